"""DuckDB without the relations of its Python package, whose import takes longer than a small command.

Everything that this engine uses is in ``_duckdb``, the compiled module below that package, and is the same object there. A DuckDB that
has no such module, or one that lacks something, is imported as usual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["duckdb"]

if TYPE_CHECKING:
    import duckdb
else:
    USED = (
        "BinderException", "CatalogException", "ConversionException", "DuckDBPyConnection", "Error", "FatalException", "IOException",
        "InterruptException", "InvalidInputException", "OutOfRangeException", "Statement", "StatementType", "TransactionException", "connect",
    )  # fmt: skip
    from importlib.util import find_spec
    from pathlib import Path

    package = find_spec("duckdb")
    try:
        import _duckdb as duckdb
    except ImportError:
        import duckdb
    else:
        # A module of another installation may lie on the path behind that of the package.
        place = Path(duckdb.__file__).parent
        beside = package is not None and package.origin is not None and place == Path(package.origin).parent.parent
        if not beside or any(not hasattr(duckdb, name) for name in USED):
            import duckdb

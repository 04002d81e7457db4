"""Names of columns that Starlake does not quote, so that its own load fails."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from .casting import Column
from .errors import EngineError

__all__ = ["refuse_bare_names"]

# A keyword of the DuckDB that Starlake 1.5 brings, and of some later ones.
_ALSO = ("at",)


def refuse_bare_names(connection: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> None:
    """Fail the load of a table with a column that Starlake cannot create.

    Raises:
        EngineError: the name of a column is a keyword of SQL, or the name of an attribute has a dot.
    """
    reserved = {
        name
        for (name,) in connection.execute(
            "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'"
        ).fetchall()
    }
    found = [
        column.name
        for column in columns
        if "." in column.attribute.name or column.name.lower() in reserved.union(_ALSO)
    ]
    if found:
        raise EngineError(
            f"Starlake does not quote the names of columns, so it cannot load {', '.join(found)}; "
            "rename the attribute, or unset SL_DUCKDB_COMPAT"
        )

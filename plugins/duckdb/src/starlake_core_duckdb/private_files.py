"""Refuses files of tables with ``privacy`` that can be read only through a temporary copy with the clear text."""

from __future__ import annotations

from collections.abc import Sequence

from starlake_core_project import Table

from .dialect import codec_of
from .errors import EngineError, unsupported

__all__ = ["refuse_clear_copies"]

_JSON = ("JSON", "JSON_FLAT", "JSON_ARRAY")


def refuse_clear_copies(table: Table, names: Sequence[str]) -> None:
    """Refuse a table whose values must not be seen, if its files would have to be copied.

    Args:
        names: the names of the files.

    Raises:
        EngineError: the format, the encoding or the compression of the files needs a copy.
    """
    what = f"privacy of {table.domain}.{table.name}"
    form = table.metadata.format.format or "DSV"
    if form != "DSV" and form not in _JSON:
        raise unsupported(f"{what} in files of the format {form}")
    if form in _JSON and codec_of(table) != "utf-8":
        raise unsupported(f"{what} in JSON files that are not written in UTF-8")
    packed = [name for name in names if name.lower().endswith(".zip")]
    if packed:
        raise EngineError(
            f"{packed[0]}: {what} is not supported in zip files; put the files themselves there, or compress them with gzip"
        )

"""The formats of data files, and how each of them is read.

A reader has two parts. The first makes a file that DuckDB can read. The second is the query that reads that file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from starlake_core_project import Table

from .casting import Column
from .dialect import as_utf8
from .dsv import dsv_source
from .errors import unsupported
from .json_files import json_source
from .sql import Parameters

__all__ = ["READERS", "Reader", "format_of", "reader_of"]


@dataclass(frozen=True)
class Reader:
    """How the files of a format are read.

    Attributes:
        readable: a context with a file that DuckDB can read; it takes the table and the file.
        source: the query with ``n`` (1 is the first row), ``record``, ``broken`` and ``v0``, ``v1`` ... for the columns. It takes the table,
            the columns, the readable file, the name of the file in messages, the name of the temporary table for records that cannot be read
            at all, and the parameters of the query.
    """

    readable: Callable[[Table, Path], AbstractContextManager[Path]]
    source: Callable[[Table, Sequence[Column], Path, str, str, Parameters], str]


def _json(table: Table, columns: Sequence[Column], path: Path, name: str, rejects: str, parameters: Parameters) -> str:
    return json_source(table, columns, path, rejects, parameters)


READERS: Mapping[str, Reader] = {
    "DSV": Reader(as_utf8, dsv_source),
    "JSON": Reader(as_utf8, _json),
    "JSON_FLAT": Reader(as_utf8, _json),
}
"""The readers by the names of formats."""


def format_of(table: Table) -> str:
    """The format of the files of a table."""
    return table.metadata.format.format or "DSV"


def reader_of(table: Table) -> Reader:
    """The reader of the files of a table.

    Raises:
        ProjectFault: this engine does not read the format.
    """
    found = READERS.get(format_of(table))
    if found is None:
        raise unsupported(f"the format {format_of(table)} of {table.domain}.{table.name}")
    return found

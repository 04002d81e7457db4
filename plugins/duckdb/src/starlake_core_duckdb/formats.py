"""The formats of data files, and how each of them is read.

A reader has two parts. The first makes a file that DuckDB can read. The second is the query that reads that file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from starlake_core_project import Table

from .dialect import as_utf8
from .dsv import dsv_source
from .errors import unsupported
from .json_files import json_source
from .reading import Reading
from .sql import Parameters

__all__ = ["READERS", "Reader", "format_of", "reader_of"]


@dataclass(frozen=True)
class Reader:
    """How the files of a format are read.

    Attributes:
        readable: a context with a file that DuckDB can read: the file itself, or a copy in the directory of the rules.
        source: the query with ``n`` (1 is the first row), ``record``, ``broken`` and ``v0``, ``v1`` ... for the columns. The parameters
            collect the values that the query needs.
    """

    readable: Callable[[Reading], AbstractContextManager[Path]]
    source: Callable[[Reading, Parameters], str]


def _text(reading: Reading) -> AbstractContextManager[Path]:
    return as_utf8(reading.table, reading.path, reading.rules.directory)


def _dsv(reading: Reading, parameters: Parameters) -> str:
    return dsv_source(reading.table, reading.columns, reading.path, reading.name, reading.rejects, parameters)


def _json(reading: Reading, parameters: Parameters) -> str:
    return json_source(reading.table, reading.columns, reading.path, reading.rejects, parameters)


READERS: Mapping[str, Reader] = {
    "DSV": Reader(_text, _dsv),
    "JSON": Reader(_text, _json),
    "JSON_FLAT": Reader(_text, _json),
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

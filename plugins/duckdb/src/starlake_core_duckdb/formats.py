"""The formats of data files, and how each of them is read.

A reader has two parts. The first makes a file that DuckDB can read. The second is the query that reads that file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace

import msgspec
from starlake_core_project import Table

from .dialect import as_utf8
from .driver import duckdb
from .dsv import as_copy, dsv_source, expected_rows
from .errors import unsupported
from .json_files import has_lines, json_source
from .lines import uniform_lines
from .parquet import PARQUET_OPTIONS, as_parquet, check_parquet, parquet_source
from .position import check_positions, position_source
from .reading import Reading
from .sql import Parameters
from .xml_files import XML_OPTIONS, as_json_lines, check_xml, xml_source

__all__ = ["READERS", "Careful", "Reader", "format_of", "reader_of"]


@dataclass(frozen=True)
class Careful:
    """How to read files that the quick way may not read rightly.

    Attributes:
        expected: how many rows the query has to find in a file as it is, without rejecting any; None if it would not read it rightly.
        copied: a context with a reading of a copy of the file, in which the query finds every row.
    """

    expected: Callable[[duckdb.DuckDBPyConnection, Reading], int | None]
    copied: Callable[[Reading], AbstractContextManager[Reading]]


@dataclass(frozen=True)
class Reader:
    """How the files of a format are read.

    Attributes:
        readable: a context with a reading that DuckDB can do: of the file itself, or of a copy in the folder of the rules.
        source: the query with ``n`` (1 is the first row), ``record``, ``broken`` and ``v0``, ``v1`` ... for the columns. The parameters
            collect the values that the query needs.
        check: refuses what a table must not say about files of this format.
        options: the names in ``metadata.options`` that are honoured; None if something else checks them.
        careful: how to read the files that the query alone would not read rightly.
    """

    readable: Callable[[Reading], AbstractContextManager[Reading]]
    source: Callable[[Reading, Parameters], str]
    check: Callable[[Table], None] = lambda table: None
    options: frozenset[str] | None = frozenset()
    careful: Careful | None = None


@contextmanager
def _text(reading: Reading) -> Iterator[Reading]:
    with as_utf8(reading.table, reading.path, reading.rules.directory) as path:
        yield replace(reading, path=path)


def _objects(reading: Reading) -> AbstractContextManager[Reading]:
    return uniform_lines(reading) if has_lines(reading) else _text(reading)


@contextmanager
def _array(reading: Reading) -> Iterator[Reading]:
    """Objects in one array, or one after the other if the file does not begin with a bracket."""
    table = reading.table
    layout = msgspec.structs.replace(table.metadata.format, array=None, multiline=True)
    array = msgspec.structs.replace(table, metadata=msgspec.structs.replace(table.metadata, format=layout))
    with _text(replace(reading, table=array)) as readable:
        yield readable


READERS: Mapping[str, Reader] = {
    "DSV": Reader(nullcontext, dsv_source, options=None, careful=Careful(expected_rows, as_copy)),
    "JSON": Reader(_objects, json_source),
    "JSON_FLAT": Reader(_objects, json_source),
    "JSON_ARRAY": Reader(_array, json_source),
    "PARQUET": Reader(as_parquet, parquet_source, check_parquet, PARQUET_OPTIONS),
    "POSITION": Reader(uniform_lines, position_source, check_positions),
    "XML": Reader(as_json_lines, xml_source, check_xml, XML_OPTIONS),
}
"""The readers by the names of formats."""


def format_of(table: Table) -> str:
    """The format of the files of a table."""
    return table.metadata.format.format or "DSV"


def reader_of(table: Table) -> Reader:
    """The reader of the files of a table.

    Raises:
        ProjectFault: this engine does not read the format, or the table contradicts it.
    """
    found = READERS.get(format_of(table))
    if found is None:
        raise unsupported(f"the format {format_of(table)} of {table.domain}.{table.name}")
    for name in table.metadata.options if found.options is not None else ():
        if found.options is not None and name not in found.options:
            allowed = f" (supported: {', '.join(sorted(found.options))})" if found.options else ""
            raise unsupported(f"{table.path}: metadata.options.{name} of the format {format_of(table)}{allowed}")
    found.check(table)
    return found

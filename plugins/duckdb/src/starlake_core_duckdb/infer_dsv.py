"""Infers the dialect and the columns of files with delimiter-separated values. DuckDB's sniffer finds the separator and the quotes."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .dialect import Dialect, header_names, spare_name
from .driver import duckdb
from .dsv_copy import header_of
from .errors import EngineError, NothingThere
from .infer_header import holds_names
from .inferred import Field, Inferred, best_types

__all__ = ["infer_dsv"]

_log = logging.getLogger(__name__)
_USUAL = (",", ";", "\t", "|")
_NO_SEPARATOR = re.compile(r"[\w\s\"'()@?!+\-.:/\\]")


def infer_dsv(connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> Inferred:
    """What a file says about its table.

    The first line is the header, unless it looks like the lines below it.

    Args:
        path: a file in UTF-8 that is not compressed.
        name: the name of the file, for messages.

    Raises:
        NothingThere: the file is empty.
        EngineError: DuckDB cannot read it.
    """
    dialect = _dialect(connection, path)
    first = [field.strip() for field in header_of(path, dialect, compat=False) or ()]
    if not first:
        raise NothingThere(f"{name} is empty, so nothing can be inferred from it")
    try:
        with_header, types, lines = _contents(connection, path, dialect, first)
    except duckdb.Error as error:
        raise EngineError(f"{name} cannot be read as DSV: {error}") from error
    names = header_names(first) if with_header else [spare_name(index) for index in range(len(first))]
    fields: dict[str, Field] = {}
    for column, found in zip(names, types, strict=True):
        if column in fields:
            _log.warning(
                "%s: the header has the name %r more than once; the first column of that name counts", name, column
            )
            continue
        fields[column] = Field(column, found)
    metadata: dict[str, Any] = {
        "format": "DSV",
        "withHeader": with_header,
        "separator": dialect.separator,
        "quote": dialect.quote,
        "escape": dialect.escape,
    }
    if lines:
        metadata["multiline"] = True
    return Inferred(metadata, tuple(fields.values()))


def _contents(
    connection: duckdb.DuckDBPyConnection, path: Path, dialect: Dialect, first: Sequence[str]
) -> tuple[bool, list[tuple[str, ...]], bool]:
    """Whether the file has a header, the types of its columns, and whether a value has a line break."""
    values = [f"nullif(trim(c{index}), '')" for index in range(len(first))]
    source, parameters = _source(path, dialect, len(first), with_header=True)
    types = best_types(connection, values, source, parameters)
    with_header = holds_names(connection, first, types, source, parameters)
    if not with_header:
        source, parameters = _source(path, dialect, len(first), with_header=False)
        types = best_types(connection, values, source, parameters)
    broken = " OR ".join(f"contains(c{index}, chr(10))" for index in range(len(first)))
    found = connection.execute(f"SELECT 1 FROM ({source}) WHERE {broken} LIMIT 1", parameters).fetchone()
    return with_header, types, found is not None


def _dialect(connection: duckdb.DuckDBPyConnection, path: Path) -> Dialect:
    sniffed = _sniffed(connection, path, None)
    if sniffed is None or sniffed[2] or sniffed[3] < 2 or not _separates(path, *sniffed[:2]):
        # One column, or lines that are left out: look at the first line, as Starlake does.
        separator = _separator(path)
        sniffed = _sniffed(connection, path, separator) or (separator, '"', 0, 0)
    separator, quote = ("" if part in (None, "(empty)") else str(part) for part in sniffed[:2])
    separator, quote = separator or ",", quote or '"'
    quote = '"' if quote == "'" and _has_quoted(path, separator) else quote
    return Dialect(separator, quote, "\\" if _escapes(path, separator, quote) else '"', multiline=True)


def _separates(path: Path, separator: str, quote: str) -> bool:
    """Whether the first line has several values. The sniffer is lenient: to it, a comma separates any values with quotes."""
    line = _first_line(path)
    if quote == "(empty)" or line.count(quote) % 2:
        return True
    return separator in re.sub(f"{quote}[^{quote}]*{quote}", "", line)


def _has_quoted(path: Path, separator: str) -> bool:
    """Whether a whole value is in double quotes, so that single quotes are text."""
    between = re.escape(separator.encode())
    quoted = re.compile(rb"(?:^|" + between + rb')"[^\r\n]*"(?:' + between + rb"|\s*$)")
    with path.open("rb") as source:
        return any(quoted.search(line) for line in source)


def _escapes(path: Path, separator: str, quote: str) -> bool:
    """Whether a backslash precedes the quotes inside of values. Files with quotes double them, unless they show the opposite."""
    # A backslash at the end of a value may belong to it, and two quotes at its beginning are an empty value.
    between, one = re.escape(separator.encode()), re.escape(quote.encode())
    escaped = re.compile(rb"\\" + one + rb"(?!" + between + rb"|\s*$)")
    doubled = re.compile(rb"(?<!" + between + rb")(?<!^)" + one + one + rb"(?!" + between + rb"|\s*$)")
    found = False
    with path.open("rb") as source:
        for line in source:
            if doubled.search(line):
                return False
            found = found or escaped.search(line) is not None
    return found


def _sniffed(connection: duckdb.DuckDBPyConnection, path: Path, separator: str | None) -> tuple[Any, ...] | None:
    given = "" if separator is None else ", delim = $separator"
    parameters = {"path": str(path), **({} if separator is None else {"separator": separator})}
    try:
        return connection.execute(
            f"SELECT Delimiter, Quote, SkipRows, len(Columns) FROM sniff_csv($path{given}, strict_mode = false, null_padding = true)",
            parameters,
        ).fetchone()
    except duckdb.Error:
        return None


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as source:
        return source.readline(1_000_000).rstrip("\r\n")


def _separator(path: Path) -> str:
    """The most frequent character of the first line that may separate values; usual ones come first."""
    line = re.sub(r'"[^"]*"', "", _first_line(path))
    usual = Counter({letter: line.count(letter) for letter in _USUAL if letter in line})
    others = usual or Counter(_NO_SEPARATOR.sub("", line))
    return max(others, key=lambda letter: others[letter]) if others else ","


def _source(path: Path, dialect: Dialect, columns: int, with_header: bool) -> tuple[str, dict[str, Any]]:
    parameters = {
        "path": str(path),
        "separator": dialect.separator,
        "quote": dialect.quote,
        "escape": dialect.escape,
    }
    declared = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(columns))
    return (
        f"SELECT * FROM read_csv($path, auto_detect = false, header = {str(with_header).lower()}, delim = $separator, quote = $quote, "
        f"escape = $escape, columns = {{{declared}}}, null_padding = true, strict_mode = false, ignore_errors = true, parallel = false)"
    ), parameters

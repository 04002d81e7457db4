"""Files of delimiter-separated values as a SQL source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from starlake_core_project import java_pattern

from .casting import Column, has_privacy
from .dialect import Dialect, dialect_of, header_names, spare_name
from .driver import duckdb
from .dsv_copy import Mask, copied, header_of
from .dsv_regular import count_records
from .errors import EngineError
from .privacy import mask_text
from .reading import Reading
from .sql import Parameters

__all__ = ["Scan", "as_copy", "dsv_scan", "dsv_source", "expected_rows"]

# The longest line of DuckDB's reader unless another one is set.
_LINE, _SLACK, _BUFFER = 2_000_000, 1024, 8 * 1024 * 1024


def _positions(reading: Reading, dialect: Dialect) -> tuple[int, list[int | None]]:
    """How many fields a record has, and in which of them each column stands."""
    table, columns, name = reading.table, reading.columns, reading.name
    if not dialect.with_header:
        attributes = [attribute for attribute in table.attributes if not attribute.script]
        order = {id(attribute): index for index, attribute in enumerate(attributes)}
        return len(attributes), [order[id(column.attribute)] for column in columns]
    header = header_of(reading.path, dialect, reading.rules.compat)
    if header is None:
        return len(columns), list(range(len(columns)))
    if reading.rules.compat:
        return len(header), _starlakes_places(header, columns)
    header = header_names(header)
    exact = {field: index for index, field in reversed(list(enumerate(header)))}
    folded = {field.casefold(): index for index, field in reversed(list(enumerate(header)))}
    places = [exact.get(column.attribute.name, folded.get(column.attribute.name.casefold())) for column in columns]
    # A file without a header has values there.
    shown = "other ones" if has_privacy(table) else header
    if all(place is None for place in places):
        raise EngineError(
            f"{name}: its header names no attribute of {table.domain}.{table.name}: found {shown}; "
            f"is metadata.separator {dialect.separator!r} right?"
        )
    missing = [
        column.attribute.name
        for column, place in zip(columns, places, strict=True)
        if place is None and column.attribute.required and not column.attribute.ignore
    ]
    if missing:
        raise EngineError(f"{name}: its header lacks the required {', '.join(missing)}: found {shown}")
    return len(header), places


def _starlakes_places(header: Sequence[str], columns: Sequence[Column]) -> list[int | None]:
    """Starlake knows a name only as it is written; a name that is there twice is not found at all."""
    header = [field or spare_name(index) for index, field in enumerate(header)]
    folded = [field.lower() for field in header]
    places = {field: index for index, field in enumerate(header) if folded.count(field.lower()) == 1}
    return [places.get(column.attribute.name) for column in columns]


def _value(
    fields: Sequence[str],
    place: int | None,
    column: Column,
    dialect: Dialect,
    compat: bool,
    copied: bool,
    parameters: Parameters,
) -> str:
    raw = "CAST(NULL AS VARCHAR)" if place is None else fields[place]
    default = column.attribute.default
    if copied and column.masked:  # the copy has what may be seen, and nothing else
        return (
            raw
            if default is None
            else f"coalesce({raw}, {parameters.add(mask_text(column.attribute.privacy, default))})"
        )
    trim = {"left": "ltrim", "right": "rtrim", "both": "trim"}.get((column.attribute.trim or "").lower())
    value = f"{trim}({raw})" if trim else raw
    # Without emptyIsNull, only text can be empty. With it, the reader itself makes nothing of an empty field of the file.
    if (trim or copied) if dialect.empty_is_null else (column.ddl != "VARCHAR" and not compat):
        value = f"nullif({value}, '')"
    if dialect.null_value:
        value = f"nullif({value}, {parameters.add(dialect.null_value)})"
    # Starlake does not use the default of a required column if the file does not have the column.
    if default is not None and not (compat and place is None and column.attribute.required):
        value = f"coalesce({value}, {parameters.add(default)})"
    return value


def _record(fields: Sequence[str], dialect: Dialect, nullable: bool, parameters: Parameters) -> str:
    separator = parameters.add(dialect.separator)
    if nullable:
        fields = [f"coalesce({field}, '')" for field in fields]
    if not dialect.quote:
        return f"concat_ws({separator}, {', '.join(fields)})"
    quote = parameters.add(dialect.quote)
    doubled = parameters.add((dialect.escape or dialect.quote) + dialect.quote)
    shown = (
        f"CASE WHEN contains({field}, {quote}) OR contains({field}, {separator}) OR contains({field}, chr(10)) "
        f"THEN concat({quote}, replace({field}, {quote}, {doubled}), {quote}) ELSE {field} END"
        for field in fields
    )
    return f"concat_ws({separator}, {', '.join(shown)})"


def expected_rows(connection: duckdb.DuckDBPyConnection, reading: Reading) -> int | None:
    """How many rows :func:`dsv_source` has to find in a file as it is; None if DuckDB and Starlake would not find the same in it."""
    dialect = dialect_of(reading.table, reading.rules.dsv_options)
    records = count_records(connection, reading.path, dialect, _positions(reading, dialect)[0])
    return None if records is None else max(0, records - dialect.with_header)


@contextmanager
def as_copy(reading: Reading) -> Iterator[Reading]:
    """A context with a copy of the file for :func:`dsv_source`, in which every record is well-formed."""
    dialect = dialect_of(reading.table, reading.rules.dsv_options)
    # The values of an ignored attribute must not be seen either.
    left_out = [
        Column(item, item.name, None, "VARCHAR") for item in reading.table.attributes if item.ignore and not item.script
    ]
    columns = [*reading.columns, *left_out]
    width, places = _positions(replace(reading, columns=columns), dialect)
    masks = {
        place: _nothing if column.attribute.ignore else _mask(column, dialect)
        for column, place in zip(columns, places, strict=True)
        if place is not None and column.masked
    }
    with copied(reading.path, dialect, width, masks, reading.rules.compat, reading.rules.directory) as copy:
        yield replace(reading, copy=copy, records=copy.records)


def _nothing(value: str) -> tuple[str | None, str | None]:
    return None, None


def _mask(column: Column, dialect: Dialect) -> Mask:
    """What becomes of the values of a column that must not be seen, before anything is written."""
    attribute, kind = column.attribute, column.type
    trim = {"left": str.lstrip, "right": str.rstrip, "both": str.strip}.get((attribute.trim or "").lower(), str)
    matches = java_pattern(kind.pattern, "m").matches if kind and kind.pattern else None

    def mask(value: str) -> tuple[str | None, str | None]:
        value = trim(value)
        if value == (dialect.null_value or None) or (not value and dialect.empty_is_null):
            return None, None
        if matches is not None and not matches(value):
            return None, f"{attribute.name}: a value is not a valid {attribute.type}"
        return mask_text(attribute.privacy, value), None

    return mask


class Scan(NamedTuple):
    """The parts of a query that reads a file.

    Attributes:
        source: a table function whose columns are the fields of the file.
        fields: their names.
        values: the values of the table's columns as ``v0``, ``v1`` ..., for a ``SELECT`` list.
        record: the record as text.
    """

    source: str
    fields: tuple[str, ...]
    values: str
    record: str


def dsv_source(reading: Reading, parameters: Parameters) -> str:
    """A query with ``n`` (1 is the first), ``record``, ``broken`` and ``v0``, ``v1`` ... for the columns.

    Args:
        reading: the file; with a copy of it if the file itself is not regular.
        parameters: collects the values that the query needs.

    Raises:
        EngineError: the header does not fit the table.
    """
    scan, copied = dsv_scan(reading, parameters), reading.copy is not None
    return (
        f"SELECT row_number() OVER () AS n, {f'coalesce(raw, {scan.record})' if copied else scan.record} AS record, "
        f"{'broken' if copied else 'CAST(NULL AS VARCHAR)'} AS broken, {scan.values} FROM {scan.source}"
    )


def dsv_scan(reading: Reading, parameters: Parameters) -> Scan:
    """How a file is read.

    Args:
        reading: the file; with a copy of it if the file itself is not regular.
        parameters: collects the values that the query needs.

    Raises:
        EngineError: the header does not fit the table.
    """
    for column in reading.columns:
        if column.type is None or column.attribute.array:
            raise EngineError(
                f"{reading.table.path}: attribute {column.attribute.name!r} is nested; DSV files hold plain values only"
            )
    dialect, compat, copy = dialect_of(reading.table, reading.rules.dsv_options), reading.rules.compat, reading.copy
    width, places = _positions(reading, dialect)
    fields = [f"c{index}" for index in range(width)]
    values = ", ".join(
        f"{_value(fields, place, column, dialect, compat, copy is not None, parameters)} AS v{index}"
        for index, (column, place) in enumerate(zip(reading.columns, places, strict=True))
    )
    declared = ", ".join(f"'{name}': 'VARCHAR'" for name in (["broken", "raw", *fields] if copy else fields))
    path = copy.path if copy else reading.path
    quote = copy.quote if copy else dialect.quote
    # In a copy, and for Starlake without emptyIsNull, an empty field without quotes is a missing value; with emptyIsNull, every empty field is.
    nullable = copy is not None or compat or dialect.empty_is_null
    record = _record(fields, dialect, nullable, parameters)
    options = [
        parameters.add(str(path)),
        "auto_detect = false",
        f"header = {str(dialect.with_header and copy is None).lower()}",
        f"delim = {parameters.add(dialect.separator)}",
        f"quote = {parameters.add(quote)}",
        f"escape = {parameters.add(quote)}",
        f"columns = {{{declared}}}",
        f"compression = '{'gzip' if path.suffix == '.gz' else 'uncompressed'}'",
        # Only so can DuckDB tell an empty string from a missing value.
        f"allow_quoted_nulls = {str(dialect.empty_is_null and copy is None).lower()}",
    ]
    if copy:
        longest = max(copy.longest, _LINE) + _SLACK
        options += [f"max_line_size = {longest}, buffer_size = {max(_BUFFER, longest)}", "new_line = '\\n'"]
        if copy.line_breaks:
            options.append("parallel = false")
    else:
        options += [
            "store_rejects = true",
            f"rejects_table = '{reading.rejects}'",
            f"rejects_scan = '{reading.rejects}_scan'",
        ]
    if not nullable:
        names = ", ".join(f"'{name}'" for name in fields)
        options.append(f"force_not_null = [{names}]")
    return Scan(f"read_csv({', '.join(options)})", tuple(fields), values, record)

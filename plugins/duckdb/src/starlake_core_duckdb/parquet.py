"""Parquet files as a SQL source.

Their columns have types of their own. A value becomes the text that a file of another format would hold, and is checked in the same way; dates,
timestamps and booleans keep their exact value, whatever the pattern of the type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from starlake_core_project import Table

from .casting import Column
from .compressed import open_bytes, too_large
from .driver import duckdb
from .errors import EngineError, unsupported
from .reading import Reading
from .sql import Parameters, identifier

__all__ = ["PARQUET_OPTIONS", "as_parquet", "check_parquet", "parquet_source"]

PARQUET_OPTIONS = frozenset({"format"})
_CHUNK = 1024 * 1024
_NOT_FINITE = "-?inf|nan|-?Infinity|NaN"
"""How DuckDB writes NaN and infinity, as text and in JSON."""
_NO_EXTENSIONS: Mapping[str, bool] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}


def check_parquet(table: Table) -> None:
    """Refuse a table whose files are of a kind that Spark reads in the same way, such as ORC and Avro.

    Raises:
        ProjectFault: the option ``format`` names another format.
    """
    kind = table.metadata.options.get("format", "parquet")
    if kind.lower() != "parquet":
        raise unsupported(f"{table.path}: metadata.options.format {kind!r} of the format PARQUET (supported: parquet)")


def _types(connection: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    """The columns of a file and their types."""
    rows = connection.execute(
        "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet($path))", {"path": str(path)}
    ).fetchall()
    return dict(rows)


def _check_size(connection: duckdb.DuckDBPyConnection, reading: Reading, types: Mapping[str, str]) -> None:
    """Refuse a file that becomes too large. A few bytes of a dictionary may become any number of long texts."""
    limit = reading.rules.max_decompressed
    path = {"path": str(reading.path)}
    found = connection.execute(
        "SELECT (SELECT sum(num_rows) FROM parquet_file_metadata($path)), (SELECT sum(total_uncompressed_size) FROM parquet_metadata($path))",
        path,
    ).fetchone()
    rows, size = (int(value or 0) for value in found or (0, 0))
    if max(size, rows * len(types)) > limit:
        raise too_large(reading.name, limit)
    texts = [f"coalesce(strlen({identifier(name)}), 0)" for name, kind in types.items() if kind == "VARCHAR"]
    if texts and rows * size > limit:
        counted = connection.execute(f"SELECT sum({' + '.join(texts)}) FROM read_parquet($path)", path).fetchone()
        if counted and (counted[0] or 0) > limit:
            raise too_large(reading.name, limit)


def _adjusted(column: Column, kind: str | None) -> Column:
    """The column as its values are to be checked: without a pattern if the file holds the type itself, and with NaN and infinities."""
    if kind is None or column.type is None or column.nested:
        return _with_any_float(column) if column.nested else column
    wanted = column.type.primitive_type
    if kind in ("FLOAT", "DOUBLE"):
        return _with_any_float(column)
    same = (wanted in ("date", "timestamp") and kind.startswith(("DATE", "TIMESTAMP"))) or (
        wanted == kind.lower() == "boolean"
    )
    return replace(column, type=msgspec.structs.replace(column.type, pattern=None)) if same else column


def _with_any_float(column: Column) -> Column:
    """The column, whose floating-point values, also those in structures and lists, may be NaN or infinite."""
    kind = column.type
    if kind is not None and kind.pattern and kind.primitive_type in ("float", "double"):
        kind = msgspec.structs.replace(kind, pattern=f"(?:{kind.pattern})|{_NOT_FINITE}")
    return replace(column, type=kind, fields=tuple(map(_with_any_float, column.fields)))


def _found(column: Column, types: Mapping[str, str]) -> str | None:
    """The name of the column in the file: the same, or else the same in other letters."""
    name = column.attribute.name
    folded = {other.casefold(): other for other in reversed(list(types))}
    return name if name in types else folded.get(name.casefold())


@contextmanager
def as_parquet(reading: Reading) -> Iterator[Reading]:
    """A reading of the file, decompressed if it is compressed as a whole.

    Raises:
        EngineError: it becomes too large, or has none of the columns of the table.
    """
    rules = reading.rules
    rules.directory.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(dir=rules.directory) as own,
        closing(duckdb.connect(config={**_NO_EXTENSIONS})) as connection,
    ):
        if reading.path.suffix == ".gz":
            copy = Path(own) / "data"
            with open_bytes(reading.path) as source, copy.open("wb") as target:
                while chunk := source.read(_CHUNK):
                    target.write(chunk)
            reading = replace(reading, path=copy)
        types = _types(connection, reading.path)
        _check_size(connection, reading, types)
        names = [_found(column, types) for column in reading.columns]
        if not any(names):
            raise EngineError(
                f"{reading.name} has none of the columns of {reading.table.domain}.{reading.table.name}: found {', '.join(types)}"
            )
        kinds = {name: types[name] for name in names if name is not None}
        columns = [
            _adjusted(column, kinds[name] if name else None)
            for column, name in zip(reading.columns, names, strict=True)
        ]
        yield replace(reading, columns=columns, types=types)


def _value(column: Column, types: Mapping[str, str], table: Table, parameters: Parameters) -> str:
    name = _found(column, types)
    if name is None:
        value, kind = f"CAST(NULL AS {'JSON' if column.nested else 'VARCHAR'})", ""
    else:
        value, kind = f"file.{identifier(name)}", types[name]
    is_text = kind == "VARCHAR"
    if column.nested:
        if is_text and column.type is not None and not column.attribute.array:
            return f"CASE WHEN json_valid({value}) THEN CAST({value} AS JSON) ELSE to_json({value}) END"
        return value if name is None else f"CASE WHEN {value} IS NOT NULL THEN to_json({value}) END"
    wanted = column.type.primitive_type if column.type else None
    if kind.startswith("TIMESTAMP") and wanted == "date":
        # A time of day would be lost without a word.
        plain = f"CAST({value} AS TIMESTAMP)"
        value = (
            f"CASE WHEN date_trunc('day', {plain}) = {plain} THEN CAST(CAST({plain} AS DATE) AS VARCHAR) "
            f"ELSE 'at ' || CAST({value} AS VARCHAR) END"
        )
    elif name is not None and not is_text:
        nested = kind.startswith(("STRUCT", "MAP")) or kind.endswith("]")
        value = f"CAST({f'to_json({value})' if nested else value} AS VARCHAR)"
    trim = {"left": "ltrim", "right": "rtrim", "both": "trim"}.get((column.attribute.trim or "").lower())
    value = f"{trim}({value})" if trim else value
    if is_text and table.metadata.format.empty_is_null is not False:
        value = f"nullif({value}, '')"
    if column.attribute.default is not None:
        value = f"coalesce({value}, {parameters.add(column.attribute.default)})"
    return value


def parquet_source(reading: Reading, parameters: Parameters) -> str:
    """A query with ``n`` (1 is the first row), ``record``, ``broken`` and ``v0``, ``v1`` ... for the columns."""
    values = "".join(
        f", {_value(column, reading.types, reading.table, parameters)} AS v{index}"
        for index, column in enumerate(reading.columns)
    )
    return (
        f"SELECT row_number() OVER () AS n, CAST(to_json(file) AS VARCHAR) AS record, CAST(NULL AS VARCHAR) AS broken{values} "
        f"FROM read_parquet({parameters.add(str(reading.path))}) AS file"
    )

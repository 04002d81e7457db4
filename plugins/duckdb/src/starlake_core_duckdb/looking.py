"""Looks at the rows of a query: they are printed, and nothing is written."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, TextIO

from starlake_core_project import Query

from .context import Context
from .driver import duckdb
from .errors import EngineError, ProjectFault
from .locks import TurnLock
from .statements import query_parts, run_statements
from .surroundings import NeedsProcess, found

__all__ = ["FORMATS", "show_rows"]

FORMATS = ("csv", "json", "table", "json-array")
_PAGE = 1000
_WRITERS = (duckdb.StatementType.COPY, duckdb.StatementType.EXPORT)


def show_rows(context: Context, query: Query, database: Path, form: str) -> None:
    """Print one page of the rows of a query.

    The database is opened for reading only, so that the query sees every row, and neither it nor a statement before it changes one.

    Args:
        form: one of :data:`FORMATS`.

    Raises:
        EngineError: the query fails, would write something, or a page is not a positive number.
    """
    size = _positive(context, "pageSize", _page_size(context))
    number = _positive(context, "pageNumber", 1)
    with _reading(context, database) as connection:
        before, sql = query_parts(connection, query.sql, query.path)
        _check(connection, [*before, sql], query.path)
        run_statements(connection, before, query.path)
        try:
            cursor = connection.execute(sql)
            names = [column[0] for column in cursor.description or ()]
            _skip(cursor, (number - 1) * size)
            _write(sys.stdout, form, names, cursor.fetchmany(size))
        except duckdb.Error as error:
            raise EngineError(f"{query.path}: the query fails: {error}") from error


def _page_size(context: Context) -> int:
    text = context.project.application.max_interactive_records or str(_PAGE)
    if not text.isdecimal():
        raise ProjectFault(f"SL_MAX_INTERACTIVE_RECORDS is {text!r}, which is not a number")
    return int(text)


def _positive(context: Context, option: str, default: int) -> int:
    value: int = context.values.get(option, default)
    if value < 1:
        raise ProjectFault(f"transform --{option} {value}: use a number from 1")
    return value


@contextmanager
def _reading(context: Context, path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    if found() is not None:
        raise NeedsProcess("the database is opened for reading only")
    options: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    path.parent.mkdir(parents=True, exist_ok=True)
    with TurnLock(path.with_name(f"{path.name}.lock")):
        try:
            # A database that does not exist yet has no tables, but a query may need none.
            connection = (
                duckdb.connect(str(path), read_only=True, config=options)
                if path.exists()
                else duckdb.connect(config=options)
            )
        except duckdb.Error as error:
            raise EngineError(
                f"cannot open {path}: {error}; close other programs that have the database open for writing"
            ) from error
        try:
            connection.execute("SET TimeZone = $zone", {"zone": context.timezone})
            yield connection
        finally:
            connection.close()


def _check(connection: duckdb.DuckDBPyConnection, texts: Sequence[str], path: Path) -> None:
    kinds = [statement.type for text in texts for statement in connection.extract_statements(text)]
    if any(kind in _WRITERS for kind in kinds):
        raise ProjectFault(
            f"{path}: --interactive only shows rows, and this query writes files; run it without --interactive"
        )


def _skip(cursor: duckdb.DuckDBPyConnection, rows: int) -> None:
    while rows > 0:
        found = len(cursor.fetchmany(min(rows, 10_000)))
        if not found:
            return
        rows -= found


def _write(out: TextIO, form: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if form == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_text(value, "") for value in row] for row in rows)
    elif form == "table":
        _write_table(out, names, [[_text(value, "NULL") for value in row] for row in rows])
    else:
        lines = [json.dumps(_object(names, row), ensure_ascii=False) for row in rows]
        out.write("".join(f"{line}\n" for line in lines) if form == "json" else f"[{', '.join(lines)}]\n")


def _write_table(out: TextIO, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    cells = [[line.replace("\n", "\\n") for line in row] for row in [names, *rows]]
    widths = [max(len(row[index]) for row in cells) for index in range(len(names))]
    rule = "+".join(["", *("-" * (width + 2) for width in widths), ""])
    lines = [
        "|".join(["", *(f" {cell:<{width}} " for cell, width in zip(row, widths, strict=True)), ""]) for row in cells
    ]
    out.write("\n".join([rule, lines[0], rule, *lines[1:], *([rule] if rows else [])]) + "\n")


def _object(names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in zip(names, row, strict=True):
        key, number = name, 1
        while key in found:
            key, number = f"{name}_{number}", number + 1
        found[key] = _json(value)
    return found


def _json(value: Any) -> Any:
    """A value as JSON: numbers that JSON holds exactly, truth values, lists and objects; anything else as text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [_json(entry) for entry in value]
    if isinstance(value, dict):
        return {_text(name, "NULL"): _json(entry) for name, entry in value.items()}
    return _text(value, "")


def _text(value: Any, null: str) -> str:
    if value is None:
        return null
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(_json(value), ensure_ascii=False)
    if isinstance(value, bytes):
        return value.hex()
    return str(value)

"""All rows of the files of one table, typed and checked, in a table that exists for the time of a transaction."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from starlake_core_project import Table

from .archives import opened
from .bookkeeping import last_rejected, list_rejected
from .casting import Column, has_privacy
from .checks import column_checks
from .computed import check_computed, compute
from .driver import duckdb
from .errors import EngineError, TooLarge
from .formats import format_of, reader_of
from .privacy import needs_python, remember_digests
from .private_files import refuse_clear_copies
from .reading import Reading, ReadingRules
from .sql import Parameters, identifier
from .type_patterns import patterns_without_re2, remember_matches
from .work import Work, utc_now

__all__ = [
    "BATCH",
    "ORDER",
    "REJECTS",
    "Counts",
    "drop_batch",
    "forget_broken",
    "has_broken",
    "read_batch",
    "read_errors",
]

BATCH = "starlake_core.sl_batch"
REJECTS = "sl_rejects"
"""The name of the temporary table in which DuckDB puts the records that it cannot read."""
ORDER = ("sl$file", "sl$row")
_FILE, _ROW, _ERRORS, _RECORD = (identifier(name) for name in (*ORDER, "sl$errors", "sl$record"))


@dataclass(frozen=True)
class Counts:
    """How many rows of a table were accepted and how many rejected."""

    accepted: int
    rejected: int


def _source(reading: Reading) -> tuple[str, Parameters]:
    parameters = Parameters()
    return reader_of(reading.table).source(reading, parameters), parameters


def _match(connection: duckdb.DuckDBPyConnection, reading: Reading) -> None:
    wanted = [
        (f"v{index}", pattern)
        for index, column in enumerate(reading.columns)
        if not column.nested
        for pattern in patterns_without_re2(column.type)
    ]
    if wanted:
        remember_matches(connection, _source(reading), wanted)
    hashed = [f"v{index}" for index, column in enumerate(reading.columns) if needs_python(column.attribute.privacy)]
    if hashed and reading.copy is None:
        remember_digests(connection, _source(reading), hashed)


def _insert(reading: Reading, number: int) -> tuple[str, Parameters]:
    source, parameters = _source(reading)
    columns = reading.columns
    hidden = has_privacy(reading.table)
    checks = [
        column_checks(reading.table, column, f"v{index}", parameters, hidden=hidden, done=reading.copy is not None)
        for index, column in enumerate(columns)
    ]
    typed = "".join(f", {value} AS t{index}" for index, (value, _, _) in enumerate(checks))
    errors = "".join(f", {error}" for _, error, _ in checks)
    kept = "".join(f", t{index}" for index in range(len(columns)))
    named = "".join(f"{identifier(column.name)}, " for column in columns)
    statement = (
        f"INSERT INTO {BATCH} ({_FILE}, {_ROW}, {named}{_ERRORS}, {_RECORD}) SELECT {parameters.add(number)}, n{kept}, nullif(errors, ''), "
        f"CASE WHEN errors <> '' THEN {'NULL' if hidden else 'record'} END FROM ("
        f"SELECT n, record, coalesce(broken, concat_ws('; '{errors})) AS errors{typed} FROM ({source}))"
    )
    return statement, parameters


def _run(connection: duckdb.DuckDBPyConnection, reading: Reading, number: int) -> int:
    """Put the rows of a file into the batch; return how many they are."""
    forget_broken(connection)
    _match(connection, reading)
    statement, parameters = _insert(reading, number)
    found = connection.execute(statement, parameters.values).fetchone()
    return int(found[0]) if found else 0


def _read(connection: duckdb.DuckDBPyConnection, reading: Reading, number: int, irregular: bool) -> None:
    careful = reader_of(reading.table).careful
    if careful is None:
        _run(connection, reading, number)
        return
    expected = None if irregular else careful.expected(connection, reading)
    if expected is not None:
        if _run(connection, reading, number) == expected and not has_broken(connection):
            return
        connection.execute(f"DELETE FROM {BATCH} WHERE {_FILE} = $number", {"number": number})
    with careful.copied(reading) as copy:
        found = _run(connection, copy, number)
        if copy.records not in (None, found):
            raise EngineError(f"{reading.name} has {copy.records} records, but {found} were read; report this as a bug")


def forget_broken(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop what DuckDB's reader said about the file before; to call before a file is read."""
    connection.execute(f"DROP TABLE IF EXISTS {REJECTS}")
    connection.execute(f"DROP TABLE IF EXISTS {REJECTS}_scan")


def has_broken(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether DuckDB's reader found errors in a file."""
    # The reader of JSON arrays makes no such table: there a broken record fails the file.
    named = {"name": REJECTS}
    if connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = $name", named).fetchone() is None:
        return False
    return connection.execute(f"SELECT 1 FROM {REJECTS} LIMIT 1").fetchone() is not None


def _keep_malformed(
    connection: duckdb.DuckDBPyConnection, table: Table, name: str, number: int, work: Work, hidden: bool
) -> int:
    """Move the records that DuckDB could not split into fields to the audit; count them."""
    if not has_broken(connection):
        return 0
    seen = (
        "NULL AS record, 'the line cannot be read' AS error"
        if hidden
        else "min(csv_line) AS record, min(error_message) AS error"
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE sl_malformed AS SELECT line, {seen} FROM {REJECTS} GROUP BY line")
    found = connection.execute("SELECT count(*) FROM sl_malformed").fetchone()
    connection.execute(
        "INSERT INTO starlake_core.rejected SELECT $key, $domain, $table, $file, line, record, error, $now FROM sl_malformed",
        {"key": work.run_key, "domain": table.domain, "table": table.name, "file": name, "now": utc_now()},
    )
    # Rows are counted without the malformed ones before them; their number in the file is wanted.
    connection.execute(
        f"UPDATE {BATCH} SET {_ROW} = {_ROW} + (SELECT count(*) FROM ("
        f"SELECT line - row_number() OVER (ORDER BY line) AS before FROM sl_malformed) WHERE before < {_ROW}) "
        f"WHERE {_FILE} = $number AND {_ERRORS} IS NOT NULL",
        {"number": number},
    )
    return int(found[0]) if found else 0


def _said(error: duckdb.Error, path: Path, name: str) -> str:
    """What DuckDB says, without the statement, and with the name that the file came with."""
    return str(error).partition("\n")[0].replace(str(path), name).strip()


@contextmanager
def read_errors(table: Table, path: Path, name: str, rules: ReadingRules) -> Iterator[None]:
    """A context in which a file is read.

    Raises:
        EngineError: the file cannot be read in the format of the table.
    """
    hidden = has_privacy(table)
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise EngineError(f"{name} cannot be decompressed: {error}") from error
    except duckdb.Error as error:
        kind = TooLarge if rules.compat and isinstance(error, duckdb.ConversionException) else EngineError
        shown = (
            "a value does not fit, and is not shown because the table has attributes with privacy"
            if hidden
            else _said(error, path, name)
        )
        raise kind(f"{name} cannot be loaded into {table.domain}.{table.name}: {shown}") from (
            None if hidden else error
        )


def drop_batch(connection: duckdb.DuckDBPyConnection) -> None:
    """Remove what :func:`read_batch` made; the space in the file is used again."""
    connection.execute(f"DROP TABLE {BATCH}")


def read_batch(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    columns: Sequence[Column],
    files: Sequence[tuple[Path, str]],
    work: Work,
    rules: ReadingRules,
    irregular: bool = False,
) -> Counts:
    """Read files into :data:`BATCH`, in order, and keep the refused rows in ``starlake_core.rejected``.

    What is left in the batch are the accepted rows, in the order of files and rows (:data:`ORDER`).

    Args:
        files: the files and the names they came with.
        rules: what holds for every file.
        irregular: whether it is known that DuckDB alone would not read the files rightly.

    Raises:
        EngineError: a file cannot be read in the format of the table.
    """
    declared = ", ".join(f"{identifier(column.name)} {column.ddl}" for column in columns)
    # An ordinary table, which DuckDB writes to its file while it fills; a temporary one would stay in memory.
    connection.execute("CREATE SCHEMA IF NOT EXISTS starlake_core")
    connection.execute(
        f"CREATE OR REPLACE TABLE {BATCH} ({_FILE} INTEGER, {_ROW} BIGINT, {declared}, "
        f"{_ERRORS} VARCHAR, {_RECORD} VARCHAR)"
    )
    check_computed(connection, table, columns, BATCH)
    read = [column for column in columns if not column.attribute.script]
    hidden = has_privacy(table)
    if hidden:
        refuse_clear_copies(table, [name for _, name in files])
    malformed, listed = 0, last_rejected(connection)
    for number, (path, name) in enumerate(opened(files, rules, format_of(table))):
        with read_errors(table, path, name, rules):
            reading = Reading(table, read, path, name, REJECTS, rules)
            with reader_of(table).readable(reading) as readable:
                _read(connection, readable, number, irregular)
        malformed += _keep_malformed(connection, table, name, number, work, hidden)
        connection.execute(
            f"INSERT INTO starlake_core.rejected SELECT $key, $domain, $table, $file, {_ROW}, {_RECORD}, "
            f"{_ERRORS}, $now FROM {BATCH} WHERE {_FILE} = $number AND {_ERRORS} IS NOT NULL",
            {
                "key": work.run_key,
                "domain": table.domain,
                "table": table.name,
                "file": name,
                "now": utc_now(),
                "number": number,
            },
        )
    total = connection.execute(f"SELECT count(*), count({_ERRORS}) FROM {BATCH}").fetchone()
    rows, wrong = total if total else (0, 0)
    if wrong or malformed:
        list_rejected(connection, listed)
    connection.execute(f"DELETE FROM {BATCH} WHERE {_ERRORS} IS NOT NULL")
    compute(connection, table, columns, BATCH)
    return Counts(accepted=rows - wrong, rejected=wrong + malformed)

"""Plays cases that were measured on the real Starlake command line, and says what comes out differently here.

``python plugins/duckdb/tests/starlake_facts.py [--compat] [CASE ...]`` prints a line for each case, with its differences.
A case is a folder: ``project/``, ``expected.json``, and ``phases/N/`` (a load) or ``seed.sql`` (a transform). The commands run in this
process, which is what makes a hundred cases a matter of seconds.
"""

from __future__ import annotations

import functools
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from starlake_core_duckdb.cli import main

__all__ = ["OWN", "Played", "cases", "play"]

OWN = Path(__file__).parent / "facts"
_FOLDER = "STARLAKE_CLI_FACTS"
_UNSUPPORTED = "is not supported by the embedded DuckDB engine"
_AREAS = ("incoming", "stage", "ingesting", "archive", "unresolved")
_BOOKKEEPING = ("information_schema", "pg_catalog", "audit", "starlake_core")
_SEEDED = "src"  # shown by the measured results where a transform writes into it


@dataclass
class Played:
    """What came out of a case.

    Attributes:
        differences: what differs from the measured result; empty if nothing does.
        errors: what the commands wrote to standard error.
    """

    differences: list[str] = field(default_factory=list)
    errors: str = ""

    @property
    def refused(self) -> bool:
        """Whether something was refused by name."""
        return _UNSUPPORTED in self.errors

    def expect(self, what: str, wanted: object, found: object) -> None:
        """Keep it if the two are not equal."""
        if wanted != found:
            self.differences.append(f"{what}: Starlake {_short(wanted)}, here {_short(found)}")


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 600 else f"{text[:600]}..."


def measured() -> Path | None:
    """The folder of the measured cases: the one that ``STARLAKE_CLI_FACTS`` names, or the one of a clone that has ``shared`` beside it."""
    if os.environ.get(_FOLDER):
        return Path(os.environ[_FOLDER])
    found = (parent / "shared" / "facts" / "starlake-cli" for parent in Path(__file__).resolve().parents)
    return next((folder for folder in found if folder.is_dir()), None)


def cases() -> dict[str, Path]:
    """The cases of this repository and the measured ones, by name."""
    folders = [OWN, *filter(None, [measured()])]
    return {path.parent.name: path.parent for folder in folders for path in sorted(folder.glob("*/expected.json"))}


class _Session:
    """The project of a case in a folder of its own."""

    def __init__(self, case: Path, root: Path, compat: bool) -> None:
        self.case = case
        self.root = root
        self.played = Played()
        self.environ = {"SL_ROOT": str(root), "SL_API": "true", "PATH": os.environ.get("PATH", "")}
        if compat:
            self.environ["SL_DUCKDB_COMPAT"] = "starlake"

    def run(self, *arguments: str) -> tuple[int, str]:
        """The exit code of a command, and what it printed."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(arguments, self.environ)
        self.played.errors += err.getvalue()
        return code, out.getvalue()

    def files(self, domain: str) -> list[str]:
        """The files of a domain in every area, without locks."""
        found = []
        for area in _AREAS:
            folder = self.root / "datasets" / area / domain
            for path in folder.rglob("*"):
                if path.is_file() and (area == "incoming" or not path.name.startswith(".")):
                    found.append(f"{area}/{path.relative_to(folder)}")
        return sorted(found)

    def tables(self, hidden: Sequence[str]) -> dict[str, Any]:
        """Columns and rows of every table that is not in one of the hidden schemas."""
        path = self.root / "datasets" / "duckdb.db"
        if not path.exists():
            return {}
        with _attached(path) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            named = connection.execute(
                "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database() UNION ALL "
                "SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = current_database() AND NOT internal "
                "ORDER BY ALL"
            ).fetchall()
            return {
                f"{schema}.{table}": _table(connection, schema, table)
                for schema, table in named
                if schema not in hidden
            }

    def compare_tables(self, where: str, wanted: dict[str, Any]) -> None:
        """Every table, its columns and types, and its rows in any order."""
        seeded = any(name.startswith(f"{_SEEDED}.") for name in wanted)
        found = self.tables(_BOOKKEEPING if seeded else (*_BOOKKEEPING, _SEEDED))
        self.played.expect(f"{where}, tables", sorted(wanted), sorted(found))
        for name in sorted(wanted.keys() & found.keys()):
            self.played.expect(f"{where}, columns of {name}", wanted[name]["columns"], found[name]["columns"])
            self.played.expect(f"{where}, rows of {name}", _sorted(wanted[name]["rows"]), _sorted(found[name]["rows"]))


@functools.cache
def _instance() -> duckdb.DuckDBPyConnection:
    """An instance of DuckDB, which takes twenty times as long to make as a database to attach."""
    return duckdb.connect()


@contextmanager
def _attached(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that has a database, and releases its file at the end."""
    place = str(path).replace("'", "''")
    with _instance().cursor() as connection:
        connection.execute(f"ATTACH '{place}' AS duckdb")
        try:
            connection.execute("USE duckdb")
            yield connection
        finally:
            connection.execute("USE memory")
            connection.execute("DETACH duckdb")


def _table(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> dict[str, Any]:
    columns = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
        "AND schema_name = $schema AND table_name = $table ORDER BY column_index",
        {"schema": schema, "table": table},
    ).fetchall()
    place = ".".join('"' + name.replace('"', '""') + '"' for name in (schema, table))
    rows = connection.execute(f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM {place}").fetchall()
    return {"columns": [list(column) for column in columns], "rows": [list(row) for row in rows]}


def _sorted(rows: Sequence[Sequence[str | None]]) -> list[list[str | None]]:
    return sorted((list(row) for row in rows), key=lambda row: [(value is not None, value or "") for value in row])


def _counters(output: str) -> Iterator[dict[str, Any]]:
    for line in output.splitlines():
        if line.startswith("IngestionCounters:"):
            yield json.loads(line.partition(":")[2])


def _play_phases(session: _Session, expected: dict[str, Any]) -> None:
    domain = expected["case"]
    for number, phase in enumerate(expected["phases"]):
        where = f"phase {number}"
        added = session.case / "phases" / str(number)
        for name, target in (("incoming", "datasets/incoming"), ("metadata", "metadata")):
            if (added / name).is_dir():
                shutil.copytree(added / name, session.root / target, dirs_exist_ok=True)
        code, _ = session.run("stage")
        session.played.expect(f"{where}, exit code of stage", phase.get("stage_exit_code", 0), code)
        session.played.expect(f"{where}, files after stage", phase["after_stage_files"], session.files(domain))
        code, output = session.run("load")
        # A load whose file is still in ingesting ended with 1, whatever its audit says.
        failed = phase["table_failed"] or any(path.startswith("ingesting/") for path in phase["after_load_files"])
        session.played.expect(f"{where}, the load failed", failed, code != 0)
        session.played.expect(f"{where}, files after load", phase["after_load_files"], session.files(domain))
        loads = [entry for entry in phase["audit"] if entry["success"]]
        if loads and not failed:
            counters = list(_counters(output))
            for name, counter in (("accepted", "acceptedCount"), ("rejected", "rejectedCount")):
                session.played.expect(
                    f"{where}, rows {name}", sum(entry[name] for entry in loads), sum(c[counter] for c in counters)
                )
        session.compare_tables(where, phase["tables"])


def _play_runs(session: _Session, expected: dict[str, Any]) -> None:
    (session.root / "datasets").mkdir(exist_ok=True)
    seed = session.case / "seed.sql"
    if seed.exists():
        with _attached(session.root / "datasets" / "duckdb.db") as connection:
            connection.execute(seed.read_text())
    for number, run in enumerate(expected["runs"]):
        where = f"run {number}"
        code, _ = session.run(*run["argv"])
        session.played.expect(f"{where}, exit code", run["exit_code"], code)
        session.compare_tables(where, run["tables"])


_ARGV_PROJECT = {
    "application.sl.yml": "version: 1\napplication:\n  connectionRef: duckdb\n  connections:\n    duckdb:\n      type: jdbc\n"
    '      options: {url: "jdbc:duckdb:{{SL_ROOT}}/datasets/duckdb.db", driver: org.duckdb.DuckDBDriver}\n',
    "transform/t01/noyml.sql": "select 1 as one\n",
    "transform/t02/task.sql": "select 2 as two\n",
    "load/shop/_config.sl.yml": 'version: 1\nload:\n  metadata: {directory: "{{SL_ROOT}}/datasets/incoming/shop"}\n',
    "load/shop/t.sl.yml": "version: 1\ntable:\n  pattern: t.*.csv\n  attributes: [{name: id, type: int}]\n",
}
"""Argument vectors were measured in a project with some tasks and domains, which the facts do not hold."""


def _play_arguments(session: _Session, expected: list[dict[str, Any]]) -> None:
    for name, text in _ARGV_PROJECT.items():
        path = session.root / "metadata" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for entry in expected:
        code, _ = session.run(*entry["argv"])
        session.played.expect(f"exit code of {' '.join(entry['argv'])}", entry["exit_code"], code)


def play(case: Path, root: Path, *, compat: bool = False) -> Played:
    """Play a case in an empty folder.

    Args:
        case: the folder of the case.
        root: the folder to play it in.
        compat: whether to ask the engine for Starlake's own answers.
    """
    session = _Session(case, root, compat)
    if (case / "project").is_dir():
        shutil.copytree(case / "project", root, dirs_exist_ok=True)
    expected = json.loads((case / "expected.json").read_text())
    if isinstance(expected, list):
        _play_arguments(session, expected)
    elif "phases" in expected:
        _play_phases(session, expected)
    else:
        _play_runs(session, expected)
    return session.played


def _print(arguments: Sequence[str]) -> None:
    compat = "--compat" in arguments
    chosen = [argument for argument in arguments if argument != "--compat"]
    known = cases()
    equal = 0
    for name in chosen or known:
        with tempfile.TemporaryDirectory() as folder:
            played = play(known[name], Path(folder), compat=compat)
        equal += not played.differences
        state = "refused" if played.refused else "DIFFERS" if played.differences else "equal"
        sys.stdout.write(f"{state:8} {name}\n")
        for difference in played.differences:
            sys.stdout.write(f"           {difference}\n")
        if played.differences and chosen:
            sys.stdout.write("".join(f"         ! {line}\n" for line in played.errors.splitlines()))
    sys.stdout.write(f"{equal} of {len(chosen or known)} equal\n")


if __name__ == "__main__":
    _print(sys.argv[1:])

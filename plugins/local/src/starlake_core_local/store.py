"""The record of runs, in SQLite: a change is written before it is acted on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from starlake_core import DataInterval, Report, RunError, TaskReport, TaskState

__all__ = ["RunRecord", "Store", "TaskRow"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, pipeline_id TEXT NOT NULL, fingerprint TEXT NOT NULL, state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '', interval_start TEXT NOT NULL, interval_end TEXT NOT NULL,
    selected TEXT NOT NULL, excluded TEXT NOT NULL, grp TEXT NOT NULL, started TEXT NOT NULL, ended TEXT
);
CREATE TABLE IF NOT EXISTS tasks (
    run_id TEXT NOT NULL REFERENCES runs, task TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL,
    reason TEXT NOT NULL, exit_code INTEGER, log TEXT NOT NULL, duration REAL NOT NULL, not_ready INTEGER NOT NULL,
    PRIMARY KEY (run_id, task)
) WITHOUT ROWID;
"""
_VERSION = 1
_TASK_COLUMNS = ("task", "state", "attempt", "reason", "exit_code", "log", "duration", "not_ready")


@dataclass(frozen=True)
class RunRecord:
    """A run as it was recorded.

    Attributes:
        run_id, pipeline_id: its names.
        fingerprint: of the graph that ran.
        state: ``running`` also when its process is gone.
        interval: the data interval.
        select, exclude: the patterns it was started with.
        group: names the runs that were asked for together.
    """

    run_id: str
    pipeline_id: str
    fingerprint: str
    state: str
    interval: DataInterval
    select: tuple[str, ...]
    exclude: tuple[str, ...]
    group: str = ""


@dataclass(frozen=True)
class TaskRow:
    """The last recorded state of a task.

    Attributes:
        task: its path.
        state: one of :class:`TaskState`.
        attempt: the last attempt, from 1.
        reason, exit_code, log, duration: of that attempt.
        not_ready: it is a gate that closed.
    """

    task: str
    state: str
    attempt: int = 0
    reason: str = ""
    exit_code: int | None = None
    log: str = ""
    duration: float = 0.0
    not_ready: bool = False


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _patterns(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n")) if text else ()


class Store:
    """The record of runs of one project; one connection, used from one thread.

    Args:
        folder: where the database is; made if it does not exist.

    Raises:
        RunError: a later version of this package wrote the database.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            ignore = folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            self._open(folder)
        except (OSError, sqlite3.Error) as error:
            raise RunError(
                f"the run record {folder / 'runs.db'} cannot be used: {error}. Give another folder with the option state_dir, or move "
                "the file away if it is damaged"
            ) from error

    def _open(self, folder: Path) -> None:
        self._db = sqlite3.connect(folder / "runs.db", timeout=60.0, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise RunError(
                f"the run record {folder / 'runs.db'} was written by a later version; upgrade starlake-core-local, or move the file away"
            )
        if version < _VERSION:
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT;")

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def plan(self, records: Iterable[RunRecord]) -> None:
        """Record runs that will start later, in one transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        for record in records:
            self._insert(record, TaskState.PLANNED)
        self._db.execute("COMMIT")

    def begin(self, record: RunRecord) -> None:
        """Record a run that is about to start, or that is taken up again."""
        if self.get(record.run_id) is None:
            self._insert(record, TaskState.RUNNING)
            return
        self._db.execute(
            "UPDATE runs SET state=?, reason='', interval_start=?, interval_end=?, ended=NULL WHERE run_id=?",
            (
                TaskState.RUNNING,
                record.interval.start.isoformat(),
                record.interval.end.isoformat(),
                record.run_id,
            ),
        )

    def _insert(self, record: RunRecord, state: str) -> None:
        self._db.execute(
            "INSERT INTO runs (run_id, pipeline_id, fingerprint, state, interval_start, interval_end, selected, "
            "excluded, grp, started) VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                record.run_id,
                record.pipeline_id,
                record.fingerprint,
                state,
                record.interval.start.isoformat(),
                record.interval.end.isoformat(),
                "\n".join(record.select),
                "\n".join(record.exclude),
                record.group,
                _now(),
            ),
        )

    def end(self, run_id: str, state: str, reason: str = "") -> None:
        """Record the end of a run."""
        self._db.execute("UPDATE runs SET state=?, reason=?, ended=? WHERE run_id=?", (state, reason, _now(), run_id))

    def write(self, run_id: str, rows: Iterable[TaskRow]) -> None:
        """Record the states of some tasks in one transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(
                "INSERT OR REPLACE INTO tasks VALUES (?,?,?,?,?,?,?,?,?)",
                [
                    (run_id, r.task, r.state, r.attempt, r.reason, r.exit_code, r.log, r.duration, int(r.not_ready))
                    for r in rows
                ],
            )
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def get(self, run_id: str) -> RunRecord | None:
        """The record of a run, None if there is none."""
        row = self._db.execute(
            "SELECT run_id, pipeline_id, fingerprint, state, interval_start, interval_end, selected, excluded, grp "
            "FROM runs WHERE run_id=?",
            (run_id,),
        ).fetchone()
        if row is None:
            return None
        interval = DataInterval(datetime.fromisoformat(row[4]), datetime.fromisoformat(row[5]))
        return RunRecord(row[0], row[1], row[2], row[3], interval, _patterns(row[6]), _patterns(row[7]), row[8])

    def tasks(self, run_id: str) -> dict[str, TaskRow]:
        """The recorded tasks of a run, by path."""
        rows = self._db.execute(
            "SELECT task, state, attempt, reason, exit_code, log, duration, not_ready FROM tasks WHERE run_id=?",
            (run_id,),
        )
        return {row[0]: TaskRow(**dict(zip(_TASK_COLUMNS, row, strict=True))) for row in rows}

    def reports(self, limit: int | None) -> list[Report]:
        """The recorded runs, the newest first.

        Args:
            limit: how many at most; None for all.
        """
        rows = self._db.execute(
            "SELECT run_id, pipeline_id, state, reason, interval_start, interval_end, started, ended, grp FROM runs "
            "ORDER BY rowid DESC LIMIT ?",
            (-1 if limit is None else limit,),
        ).fetchall()
        return [
            Report(
                row[1],
                row[0],
                row[2],
                tuple(
                    TaskReport(t.task, t.state, t.reason, t.exit_code, t.attempt, t.log, t.duration)
                    for t in self.tasks(row[0]).values()
                ),
                reason=row[3],
                interval=DataInterval(datetime.fromisoformat(row[4]), datetime.fromisoformat(row[5])),
                started=datetime.fromisoformat(row[6]),
                ended=datetime.fromisoformat(row[7]) if row[7] else None,
                group=row[8],
            )
            for row in rows
        ]

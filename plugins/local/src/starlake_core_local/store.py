"""The record of runs, in SQLite: every change is written before it is acted on."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from starlake_core import DataInterval, Report, RunError, TaskReport, TaskState
from starlake_core.freshness import Previous
from starlake_core.private_files import private_file, private_folder

__all__ = ["EventRow", "RunRecord", "Store", "TaskRow", "now"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, pipeline_id TEXT NOT NULL, fingerprint TEXT NOT NULL, state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '', interval_start TEXT NOT NULL, interval_end TEXT NOT NULL,
    selected TEXT NOT NULL, excluded TEXT NOT NULL, grp TEXT NOT NULL, started TEXT NOT NULL, ended TEXT
);
CREATE TABLE IF NOT EXISTS tasks (
    run_id TEXT NOT NULL REFERENCES runs, task TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL,
    reason TEXT NOT NULL, exit_code INTEGER, log TEXT NOT NULL, duration REAL NOT NULL, not_ready INTEGER NOT NULL,
    started TEXT NOT NULL DEFAULT '', PRIMARY KEY (run_id, task)
) WITHOUT ROWID;
"""
_EVENTS = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, dataset TEXT NOT NULL, published TEXT NOT NULL, run_id TEXT NOT NULL,
    task TEXT NOT NULL, metadata TEXT NOT NULL, UNIQUE (run_id, task, dataset)
);
CREATE INDEX IF NOT EXISTS events_of_dataset ON events (dataset, id);
CREATE TABLE IF NOT EXISTS decisions (
    run_id TEXT PRIMARY KEY, pipeline_id TEXT NOT NULL, variables TEXT NOT NULL, after TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS previous (pipeline_id TEXT PRIMARY KEY, after TEXT NOT NULL) WITHOUT ROWID;
"""
_VERSION = 3
_BEFORE_3 = "ALTER TABLE tasks ADD COLUMN started TEXT NOT NULL DEFAULT '';"
_TASK_COLUMNS = ("task", "state", "attempt", "reason", "exit_code", "log", "duration", "not_ready", "started")


@dataclass(frozen=True)
class RunRecord:
    """A recorded run.

    Attributes:
        run_id, pipeline_id: the ids of the run and of its pipeline.
        fingerprint: the fingerprint of the graph that ran.
        state: the state; also ``running`` when the process of the run is gone.
        interval: the data interval.
        select, exclude: the patterns it was started with.
        group: a name that the runs of one request share.
        started: when it was first recorded, which tells it from another run with this id.
    """

    run_id: str
    pipeline_id: str
    fingerprint: str
    state: TaskState
    interval: DataInterval
    select: tuple[str, ...]
    exclude: tuple[str, ...]
    group: str = ""
    started: str = ""


@dataclass(frozen=True)
class TaskRow:
    """The last recorded state of a task.

    Attributes:
        task: its path.
        state: one of :class:`TaskState`.
        attempt: the number of the last attempt, from 1.
        reason, exit_code, log, duration: the reason, exit code, log and seconds of that attempt.
        not_ready: whether it is a gate that closed.
        started: when that attempt started, as :func:`now` says it; empty if none did.
    """

    task: str
    state: TaskState
    attempt: int = 0
    reason: str = ""
    exit_code: int | None = None
    log: str = ""
    duration: float = 0.0
    not_ready: bool = False
    started: str = ""

    @property
    def report(self) -> TaskReport:
        """What a report of the run says about the task."""
        return TaskReport(
            self.task,
            self.state,
            self.reason,
            self.exit_code,
            self.attempt,
            self.log,
            self.duration,
            datetime.fromisoformat(self.started) if self.started else None,
        )


@dataclass(frozen=True)
class EventRow:
    """An event of a dataset.

    Attributes:
        dataset: the dataset, by identity.
        published: when it happened, in UTC.
        run_id, task: the run and the task that emitted it, or names that are unique.
        metadata: its metadata, as JSON.
    """

    dataset: str
    published: str
    run_id: str
    task: str
    metadata: str


def now() -> str:
    """The current time, as it is recorded."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _patterns(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n")) if text else ()


class Store:
    """The record of the runs of one project, over one connection that one thread uses.

    Args:
        folder: the folder of the database; created if it does not exist.

    Raises:
        RunError: a later version of this package wrote the database, or it cannot be used. Every method raises it when the database cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "runs.db"
        with self._told():
            _make(folder, self._path)
            self._open()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn every error of the database file into one message."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise RunError(
                f"the run record {self._path} cannot be used: {error}. Free disk space or grant access if that is the cause, choose another "
                "folder with the option state_dir, or move the file away if it is damaged"
            ) from error

    def _open(self) -> None:
        self._db = sqlite3.connect(self._path, timeout=60.0, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise RunError(
                    f"the run record {self._path} was written by a later version; upgrade starlake-core-local, or move the file away"
                )
            if version < _VERSION:
                if not version and self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise RunError(
                        f"{self._path} is the database of another program; choose another folder with the option state_dir"
                    )
                changes = _BEFORE_3 if version else ""
                self._db.executescript(
                    f"BEGIN IMMEDIATE; {_SCHEMA} {_EVENTS} {changes} PRAGMA user_version={_VERSION}; COMMIT;"
                )
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        with suppress(sqlite3.Error):
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk or a lost device may have ended the transaction already.
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def plan(self, records: Iterable[RunRecord]) -> None:
        """Record runs that will start later, in one transaction."""
        with self._transaction():
            for record in records:
                self._insert(record, TaskState.PLANNED)

    def hold(self, run_ids: Iterable[str], reason: str) -> None:
        """Record why planned runs do not start.

        Args:
            run_ids: the runs; those that have started are left alone.
            reason: a sentence that explains it.
        """
        rows = [(reason, run_id, TaskState.PLANNED) for run_id in run_ids]
        with self._transaction():
            self._db.executemany("UPDATE runs SET reason=? WHERE run_id=? AND state=?", rows)

    def begin(self, record: RunRecord) -> None:
        """Record a run that is about to start or to be resumed."""
        with self._transaction():
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

    def _insert(self, record: RunRecord, state: TaskState) -> None:
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
                record.started or now(),
            ),
        )

    def end(self, run_id: str, state: TaskState, reason: str = "", events: Iterable[EventRow] = ()) -> None:
        """Record the end of a run, the events that it emits, and, if it succeeded, what was decided for it.

        Args:
            run_id: the run.
            state: its state.
            reason: a sentence that explains it.
            events: what its tasks produced; what an earlier process of the run emitted is not emitted again.
        """
        with self._transaction():
            self._db.execute(
                "UPDATE runs SET state=?, reason=?, ended=? WHERE run_id=?", (state, reason, now(), run_id)
            )
            self._insert_events(events)
            if state == TaskState.SUCCEEDED:
                self._move(run_id)

    def _insert_events(self, events: Iterable[EventRow]) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO events (dataset, published, run_id, task, metadata) VALUES (?,?,?,?,?)",
            [(row.dataset, row.published, row.run_id, row.task, row.metadata) for row in events],
        )

    def _move(self, run_id: str) -> None:
        """What a successful run leaves for the next decision, unless a run that was decided later has left more."""
        row = self._db.execute("SELECT pipeline_id, after FROM decisions WHERE run_id=?", (run_id,)).fetchone()
        if row is None:
            return
        found = self._db.execute("SELECT after FROM previous WHERE pipeline_id=?", (row[0],)).fetchone()
        if found is None or Previous.from_json(found[0]).decided < Previous.from_json(row[1]).decided:
            self._db.execute("INSERT OR REPLACE INTO previous VALUES (?,?)", row)
        self._db.execute("DELETE FROM decisions WHERE run_id=?", (run_id,))

    def decided(self, run_id: str, pipeline_id: str, variables: str, after: Previous) -> None:
        """Record what was decided for a run that is about to start.

        Args:
            run_id, pipeline_id: the run and its pipeline.
            variables: the run variables, as JSON.
            after: what the run leaves when it has succeeded.
        """
        with self._transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO decisions VALUES (?,?,?,?)",
                (run_id, pipeline_id, variables, json.dumps(after.to_json())),
            )

    def variables_of(self, run_id: str) -> str:
        """The run variables of a run that has not succeeded, as JSON; empty if none were recorded."""
        with self._told():
            row = self._db.execute("SELECT variables FROM decisions WHERE run_id=?", (run_id,)).fetchone()
        return str(row[0]) if row is not None else ""

    def add_events(self, events: Iterable[EventRow]) -> None:
        """Record events that did not come from a run."""
        with self._transaction():
            self._insert_events(events)

    def previous(self, pipeline_id: str) -> Previous | None:
        """What the last successful run of a pipeline left; None if there was none."""
        with self._told():
            row = self._db.execute("SELECT after FROM previous WHERE pipeline_id=?", (pipeline_id,)).fetchone()
        return None if row is None else Previous.from_json(row[0])

    def events(self, dataset: str, after: int, since: str | None) -> list[tuple[int, str, str]]:
        """The events of a dataset that matter: those that no run has seen, those published since a date, and the newest.

        Args:
            dataset: the dataset, by identity.
            after: the greatest id that a run has seen.
            since: a date in UTC; None for none.

        Returns:
            The id, the date of publication and the metadata of each.
        """
        with self._told():
            return self._db.execute(
                "SELECT id, published, metadata FROM events WHERE dataset=? AND (id > ? OR published >= ? OR "
                "id = (SELECT max(id) FROM events WHERE dataset=?))",
                (dataset, after, since or "9", dataset),
            ).fetchall()

    def write(self, run_id: str, rows: Iterable[TaskRow]) -> None:
        """Record the states of some tasks in one transaction."""
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO tasks (run_id, task, state, attempt, reason, exit_code, log, duration, not_ready, started) "
                "VALUES (?,?,?,?,?,?,?,?,?,?)",
                [
                    (
                        run_id,
                        r.task,
                        r.state,
                        r.attempt,
                        r.reason,
                        r.exit_code,
                        r.log,
                        r.duration,
                        int(r.not_ready),
                        r.started,
                    )
                    for r in rows
                ],
            )

    def get(self, run_id: str) -> RunRecord | None:
        """The record of a run; None if there is none."""
        with self._told():
            row = self._db.execute(
                "SELECT run_id, pipeline_id, fingerprint, state, interval_start, interval_end, selected, excluded, grp, started "
                "FROM runs WHERE run_id=?",
                (run_id,),
            ).fetchone()
        if row is None:
            return None
        with self._readable(run_id):
            interval = DataInterval(datetime.fromisoformat(row[4]), datetime.fromisoformat(row[5]))
            return RunRecord(
                row[0],
                row[1],
                row[2],
                TaskState.parse(row[3]),
                interval,
                _patterns(row[6]),
                _patterns(row[7]),
                row[8],
                row[9],
            )

    def tasks(self, run_id: str) -> dict[str, TaskRow]:
        """The recorded tasks of a run, by path."""
        with self._told():
            rows = self._db.execute(
                "SELECT task, state, attempt, reason, exit_code, log, duration, not_ready, started FROM tasks WHERE run_id=?",
                (run_id,),
            ).fetchall()
        with self._readable(run_id):
            found = [TaskRow(**dict(zip(_TASK_COLUMNS, row, strict=True))) for row in rows]
            return {row.task: replace(row, state=TaskState.parse(row.state)) for row in found}

    @contextmanager
    def _readable(self, run_id: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, AttributeError, RunError) as error:
            raise RunError(
                f"run '{run_id}' in {self._path} is damaged: {error}. Forget it with: starlake-orchestrate runs PATHS --forget {run_id}"
            ) from error

    def forget(self, run_id: str) -> bool:
        """Delete the record of a run.

        Args:
            run_id: the id of the run.

        Returns:
            Whether the run was recorded.
        """
        with self._transaction():
            self._db.execute("DELETE FROM tasks WHERE run_id=?", (run_id,))
            self._db.execute("DELETE FROM decisions WHERE run_id=?", (run_id,))
            return self._db.execute("DELETE FROM runs WHERE run_id=?", (run_id,)).rowcount > 0

    def reports(self, limit: int | None) -> list[Report]:
        """The recorded runs, newest first.

        Args:
            limit: the maximum number of runs; None for all.
        """
        with self._told():
            rows = self._db.execute(
                "SELECT run_id, pipeline_id, state, reason, interval_start, interval_end, started, ended, grp FROM runs "
                "ORDER BY rowid DESC LIMIT ?",
                (-1 if limit is None else limit,),
            ).fetchall()
        return [self._report(row) for row in rows]

    def _report(self, row: Sequence[Any]) -> Report:
        tasks = self.tasks(row[0]).values()
        with self._readable(str(row[0])):
            return Report(
                row[1],
                row[0],
                row[2],
                tuple(row.report for row in tasks),
                reason=row[3],
                interval=DataInterval(datetime.fromisoformat(row[4]), datetime.fromisoformat(row[5])),
                started=datetime.fromisoformat(row[6]),
                ended=datetime.fromisoformat(row[7]) if row[7] else None,
                group=row[8],
            )


def _make(folder: Path, database: Path) -> None:
    """Create the folder, or restrict its permissions if it is ours; a folder that holds other things is left as it is."""
    if folder.name == ".starlake-core" or database.exists() or not folder.exists():
        for place in (folder, folder / "logs", folder / "locks"):
            private_folder(place)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    # SQLite gives its other files the permissions of this one.
    os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for file in (database, *(database.with_name(database.name + ending) for ending in ("-wal", "-shm"))):
        private_file(file)

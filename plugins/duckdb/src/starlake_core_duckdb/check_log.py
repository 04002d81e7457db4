"""Remembers under which run keys a check was ready.

A small SQLite file next to the data, not the DuckDB database: a check must neither wait for a long load that
holds the database nor pay for starting DuckDB.
"""

from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

from starlake_core.model.identity import Kinship, kinship

from .context import Context
from .fingerprint import fingerprint

if TYPE_CHECKING:
    import sqlite3

__all__ = ["FileIdentity", "ReadyChecks"]

_BETWEEN = "\n"
"""Separates the name of the work from the instance of its run."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS ready (
    run_key TEXT NOT NULL, arguments_hash TEXT NOT NULL,
    path TEXT, device INTEGER, inode INTEGER, mtime_ns INTEGER, size INTEGER,
    PRIMARY KEY (run_key, arguments_hash)
)
"""


@dataclass(frozen=True)
class FileIdentity:
    """Distinguishes a file from a later one of the same name."""

    path: str
    device: int
    inode: int
    mtime_ns: int
    size: int

    @classmethod
    def of(cls, path: Path) -> FileIdentity | None:
        """The identity of a file, or None if there is no regular file of this name."""
        try:
            stat = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not S_ISREG(stat.st_mode):
            return None
        return cls(os.path.abspath(path), stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)

    def delete(self) -> None:
        """Delete the file, unless it was replaced by another one."""
        if FileIdentity.of(Path(self.path)) == self:
            Path(self.path).unlink(missing_ok=True)


@dataclass(frozen=True)
class ReadyChecks:
    """What is remembered of one check; nothing without a run key.

    Attributes:
        path: the SQLite file.
        run_key: the name of the work.
        instance: the instance of its run.
        arguments_hash: distinguishes two checks under one key.
    """

    path: Path
    run_key: str | None
    instance: str
    arguments_hash: str

    @classmethod
    def of(cls, context: Context) -> ReadyChecks:
        """What is remembered of the check that a context describes."""
        path = context.project.application.datasets / ".preload.sqlite"
        # Every attempt has a marker of its own, but it is still the same check.
        values = {name: value for name, value in context.values.items() if name != "notReadySentinel"}
        hashed = fingerprint(context.command, [json.dumps(values, sort_keys=True)])
        return cls(path, context.run_key, context.instance, hashed)

    def find(self) -> tuple[bool, FileIdentity | None]:
        """Whether this check was ready before, and the ack file that it found."""
        if self.run_key is None or not self.path.exists():
            return False, None
        with closing(self._connect()) as connection:
            # Earlier versions kept no instance after the name.
            rows = connection.execute(
                "SELECT run_key, path, device, inode, mtime_ns, size FROM ready "
                "WHERE arguments_hash = ?1 AND (run_key = ?2 OR substr(run_key, 1, length(?3)) = ?3)",
                (self.arguments_hash, self.run_key, f"{self.run_key}{_BETWEEN}"),
            ).fetchall()
        for name, *file in rows:
            if kinship(name.partition(_BETWEEN)[2], self.instance) is not Kinship.OTHER:
                return True, FileIdentity(*file) if file[0] is not None else None
        return False, None

    def record(self, ack: FileIdentity | None) -> None:
        """Record on disk that the check was ready."""
        if self.run_key is None:
            return
        file = (ack.path, ack.device, ack.inode, ack.mtime_ns, ack.size) if ack else (None,) * 5
        with closing(self._connect()) as connection, connection:
            connection.execute(
                "INSERT OR IGNORE INTO ready VALUES (?, ?, ?, ?, ?, ?, ?)",
                (f"{self.run_key}{_BETWEEN}{self.instance}", self.arguments_hash, *file),
            )

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=60)
        connection.execute(_SCHEMA)
        return connection

"""Locks between processes that a crash cannot leave behind."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .surroundings import found

__all__ = ["TurnLock", "locked"]

_SHORTEST, _LONGEST = 0.002, 0.05


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock; wait for it as long as necessary.

    The kernel frees the lock when the process ends, however it ends. The file itself stays: deleting it
    would let two processes lock two different files of one name.

    Args:
        path: the lock file; it and its folder are created if they are missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        _take(handle)
        yield


def _take(handle: BinaryIO) -> None:
    surroundings = found()
    if surroundings is None:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return
    pause = _SHORTEST
    while not _taken(handle):
        surroundings.check()  # a wait in the kernel could not be cancelled
        time.sleep(pause)
        pause = min(_LONGEST, 2 * pause)


def _taken(handle: BinaryIO) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class TurnLock:
    """The lock of a database, which processes get one after the other.

    A process that waits holds a second lock. So its holder can see that somebody waits, and two holders that want it again and again take turns.

    Args:
        path: the lock file; it and its folder are created if they are missing.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._queue = path.with_name(f"{path.name}.queue").open("ab")
        try:
            self._lock = path.open("ab")
        except BaseException:
            self._queue.close()
            raise

    def __enter__(self) -> TurnLock:
        try:
            fcntl.flock(self._queue, fcntl.LOCK_EX)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            fcntl.flock(self._queue, fcntl.LOCK_UN)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def wanted(self) -> bool:
        """Whether another process waits for the lock that this one holds."""
        if not _taken(self._queue):
            return True
        fcntl.flock(self._queue, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        """Let the next one have it."""
        self._lock.close()
        self._queue.close()

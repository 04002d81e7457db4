"""Locks between processes that a crash cannot leave behind."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["locked"]


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
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield

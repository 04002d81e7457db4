"""Folders and files that are for one user alone, whatever the umask is."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

__all__ = ["private_file", "private_folder"]


def private_folder(path: Path) -> None:
    """Make a folder that only this user can look into; one that exists is tightened if it is this user's.

    Args:
        path: of the folder; those above it are made as usual.

    Raises:
        OSError: it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    _tighten(path)


def private_file(file: int | Path) -> None:
    """Take a file away from all users but this one, if it is this user's.

    Args:
        file: an open file, or a path; one that does not exist is left alone.
    """
    _tighten(file)


def _tighten(file: int | Path) -> None:
    # That of another user, or on a file system without modes, stays as it is.
    with contextlib.suppress(OSError):
        found = os.stat(file)
        if stat.S_IMODE(found.st_mode) & 0o077 and found.st_uid == os.geteuid():
            os.chmod(file, stat.S_IMODE(found.st_mode) & 0o700)

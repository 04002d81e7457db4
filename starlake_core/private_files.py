"""Creates folders and files for one user alone, whatever the umask."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

__all__ = ["private_file", "private_folder"]


def private_folder(path: Path) -> None:
    """Create a folder that only this user can access. If it exists and belongs to this user, restrict it.

    Args:
        path: the path of the folder; its parents are created as usual.

    Raises:
        OSError: it cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    _tighten(path)


def private_file(file: int | Path) -> None:
    """Remove the access of all other users to a file, if it belongs to this user.

    Args:
        file: an open file, or a path, which need not exist.
    """
    _tighten(file)


def _tighten(file: int | Path) -> None:
    # A file of another user, or on a file system without modes, stays as it is.
    with contextlib.suppress(OSError):
        found = os.stat(file)
        if stat.S_IMODE(found.st_mode) & 0o077 and found.st_uid == os.geteuid():
            os.chmod(file, stat.S_IMODE(found.st_mode) & 0o700)

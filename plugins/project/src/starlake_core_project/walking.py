"""The files below a folder, through links to folders as well: what is read through a link counts."""

from __future__ import annotations

import os
from collections.abc import Iterator

__all__ = ["files_below"]


def files_below(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the paths of all files below a folder, in an order that does not depend on the file system.

    A folder that contains itself through a link is entered once.

    Args:
        folder: the folder.
    """
    entered = {os.path.realpath(folder)}
    for place, folders, files in os.walk(os.fspath(folder), followlinks=True):
        folders.sort()
        for name in list(folders):
            path = f"{place}/{name}"
            if os.path.islink(path):
                real = os.path.realpath(path)
                if real in entered or f"{os.path.realpath(place)}/".startswith(f"{real}/"):
                    folders.remove(name)
                entered.add(real)
        for name in sorted(files):
            yield f"{place}/{name}"

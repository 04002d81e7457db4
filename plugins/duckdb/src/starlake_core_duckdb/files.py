"""Finding data files, and names for them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from starlake_core_project import Table, java_pattern

__all__ = ["ack_companion", "data_files", "free_name", "matches", "owner"]

_log = logging.getLogger(__name__)


def data_files(directory: Path) -> list[Path]:
    """The data files of a folder, sorted by name; none if it does not exist. Hidden files and links do not count.

    A person who may put files there is not necessarily allowed to read what a link leads to.
    """
    try:
        found = sorted(path for path in directory.iterdir() if path.name[0] != ".")
    except (FileNotFoundError, NotADirectoryError):
        return []
    for path in found:
        if path.is_symlink():
            _log.warning("%s is a link and stays where it is: put the file itself there, or a hard link", path)
    return [path for path in found if not path.is_symlink() and path.is_file()]


def matches(table: Table, name: str) -> bool:
    """Whether a file of this name belongs to a table: its pattern is a regular expression of Java and fits the whole name."""
    return java_pattern(table.pattern).matches(name) is not None


def owner(tables: Iterable[Table], name: str) -> Table | None:
    """The first of the tables that a file of this name belongs to."""
    return next((table for table in tables if matches(table, name)), None)


def ack_companion(path: Path, extension: str | None) -> Path | None:
    """The file that says that a data file is complete: same name, other extension. None if the table needs none."""
    extension = (extension or "").lstrip(".")
    return path.with_name(f"{path.stem}.{extension}") if extension else None


def _candidates(directory: Path, name: str) -> Iterator[Path]:
    yield directory / name
    stem, dot, extension = name.partition(".")
    number = 1
    while True:
        yield directory / f"{stem}.{number}{dot}{extension}"
        number += 1


def free_name(directory: Path, name: str) -> Path:
    """A path in a folder that no file has: ``orders.csv``, else ``orders.1.csv``, ``orders.2.csv`` ..."""
    return next(path for path in _candidates(directory, name) if not os.path.lexists(path))

"""Moves data files. A move is one atomic rename; between file systems it takes several steps, and can be completed after a crash.

Such a move leaves a note in the target folder, which says where the file comes from. The note decides nothing until the source has
another name; from then on the copy is the file.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .files import free_name

__all__ = ["finish_moves", "move", "unfinished"]

_NOTE, _GONE = ".move", ".moved"


class _Move(NamedTuple):
    """A move between file systems; its token is in the names of all its hidden files."""

    token: str
    source: Path
    target: Path

    @property
    def note(self) -> Path:
        return self.target.with_name(f".{self.token}{_NOTE}")

    @property
    def copy(self) -> Path:
        return self.target.with_name(f".{self.token}")

    @property
    def gone(self) -> Path:
        """The source, once the copy counts."""
        return self.source.with_name(f".{self.token}{_GONE}")


def move(source: Path, target: Path) -> None:
    """Move a file; a process that ends in the middle leaves it in one of the two places, or to :func:`finish_moves`.

    The caller holds the lock of the folders, and has checked that the target is free.

    Raises:
        OSError: the file cannot be moved.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(_Move(uuid.uuid4().hex, source, target))


def _copy(step: _Move) -> None:
    written = step.note.with_suffix(".tmp")
    try:
        written.write_text(json.dumps([str(step.source), step.target.name]), encoding="utf-8")
        os.rename(written, step.note)
        shutil.copy2(step.source, step.copy)
        os.rename(step.source, step.gone)
    except Exception:
        for path in (step.copy, step.note, written):
            path.unlink(missing_ok=True)
        raise
    _finish(step)


def _finish(step: _Move) -> None:
    if os.path.lexists(step.copy):
        os.rename(step.copy, step.target)
    step.gone.unlink()
    step.note.unlink()


def _begun(folder: Path) -> Iterator[_Move]:
    """The moves into a folder that did not end."""
    try:
        notes = sorted(path for path in folder.iterdir() if path.name[0] == "." and path.suffix == _NOTE)
    except (FileNotFoundError, NotADirectoryError):
        return
    for note in notes:
        try:
            source, name = json.loads(note.read_text(encoding="utf-8"))
        except FileNotFoundError:  # it ends just now
            continue
        yield _Move(note.name[1:].removesuffix(_NOTE), Path(source), folder / name)


def unfinished(folder: Path) -> list[str]:
    """The names of the files that :func:`finish_moves` would put into a folder."""
    return [step.target.name for step in _begun(folder) if os.path.lexists(step.gone) and os.path.lexists(step.copy)]


def finish_moves(folder: Path) -> None:
    """Complete, or undo, the moves into a folder that a crash interrupted. The caller holds the lock of the folder."""
    for step in _begun(folder):
        if os.path.lexists(step.gone):
            _finish(step._replace(target=free_name(folder, step.target.name)))
        else:
            step.copy.unlink(missing_ok=True)
            step.note.unlink()

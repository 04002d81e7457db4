"""Notes about attempts that have not succeeded: what an attempt found when it started, and how it ended. Each task has
one file below ``SL_ROOT``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..plugins.runner import Storage
from ..short_names import short_hash

__all__ = ["FAILED", "UNKNOWN", "Note", "Notes"]

FAILED = "failed"
"""The command failed, and its rows are not written."""
UNKNOWN = "unknown"
"""It is not known how far the attempt came."""

_FOLDER = ".starlake-core/attempts"


@dataclass(frozen=True)
class Note:
    """The note about the latest attempt of a task that has not succeeded.

    Attributes:
        task: the stable part of its key.
        about: what the task works on, such as ``sales.orders``.
        attempt: the attempt.
        generation: how often the task had been deliberately repeated.
        end: ``FAILED``, ``UNKNOWN``, or empty while it runs.
        files: for a load, the files that waited, each with a string that changes when the content does.
        before: for a load, the files in the ingesting area before it started.
        acknowledged: for a check, whether its file existed.
    """

    task: str
    about: str
    attempt: str
    generation: int = 0
    end: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()
    acknowledged: bool = False


class Notes:
    """The note of a task, and those of other tasks about the same domain.

    Args:
        storage: the storage of the project.
        root: the root of the project.
        about: what the task works on.
        task: the stable part of its key.
    """

    def __init__(self, storage: Storage, root: str, about: str, task: str) -> None:
        self._storage = storage
        self._task = task
        self._folder = f"{root}/{_FOLDER}/{short_hash(about.partition('.')[0])}"
        self._path = self.path(task)

    def path(self, task: str) -> str:
        """Return the path of the note of a task about the same domain.

        Args:
            task: the stable part of its key.
        """
        return f"{self._folder}/{short_hash(task)}.json"

    def read(self) -> Note | None:
        """Return the note of the task; None if there is none that can be read."""
        return _parsed(self._storage.read(self._path))

    def write(self, note: Note) -> None:
        """Write the note of the task, replacing the previous one."""
        self._storage.write(self._path, json.dumps(asdict(note), sort_keys=True).encode())

    def delete(self) -> None:
        """Delete the note of the task, if there is one."""
        self._storage.delete(self._path)

    def others(self) -> dict[str, Note]:
        """Return the files of other tasks of the domain that have not succeeded, each with the note of its task."""
        found: dict[str, Note] = {}
        for name in self._storage.list(self._folder):
            note = _parsed(self._storage.read(f"{self._folder}/{name}"))
            if note is not None and note.task != self._task:
                found.update(dict.fromkeys(note.files, note))
        return found


def _parsed(content: bytes | None) -> Note | None:
    if content is None:
        return None
    try:
        values: dict[str, Any] = json.loads(content)
        return Note(**values)
    except (TypeError, ValueError):
        return None

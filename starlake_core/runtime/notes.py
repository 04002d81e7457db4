"""Notes about attempts that have not succeeded: what an attempt found when it began, and how it ended. One file a task, below ``SL_ROOT``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..plugins.runner import Storage
from ..short_names import short_hash

__all__ = ["FAILED", "UNKNOWN", "Note", "Notes"]

FAILED = "failed"
"""The command itself ended with an error, and its rows are not in."""
UNKNOWN = "unknown"
"""Nobody can tell how far it came."""

_FOLDER = ".starlake-core/attempts"


@dataclass(frozen=True)
class Note:
    """What is remembered of the latest attempt of a task that has not succeeded.

    Attributes:
        task: the stable part of its key.
        about: what it works on, ``sales.orders``.
        attempt: which attempt.
        generation: how often the task had been asked for anew.
        end: ``FAILED``, ``UNKNOWN``, or empty while it goes on.
        files: of a load, the files that waited for it: name to what tells a change.
        before: of a load, what was in the ingesting area before it began.
        acknowledged: of a check, whether its file was there.
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
    """The note of one task, and those of others about the same domain.

    Args:
        storage: that the project is in.
        root: of the project.
        about: what the task works on.
        task: the stable part of its key.
    """

    def __init__(self, storage: Storage, root: str, about: str, task: str) -> None:
        self._storage = storage
        self._task = task
        self._folder = f"{root}/{_FOLDER}/{short_hash(about.partition('.')[0])}"
        self._path = self.path(task)

    def path(self, task: str) -> str:
        """Where the note of a task about the same domain is.

        Args:
            task: the stable part of its key.
        """
        return f"{self._folder}/{short_hash(task)}.json"

    def read(self) -> Note | None:
        """The note of the task; None where there is none that can be read."""
        return _parsed(self._storage.read(self._path))

    def write(self, note: Note) -> None:
        """Keep a note of the task in place of the one before."""
        self._storage.write(self._path, json.dumps(asdict(note), sort_keys=True).encode())

    def delete(self) -> None:
        """Delete the note of the task, if there is one."""
        self._storage.delete(self._path)

    def others(self) -> dict[str, Note]:
        """The files that other tasks of the domain, which have not ended well, were to load: name to the note of the task."""
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

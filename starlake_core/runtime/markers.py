"""Markers in object storage, by which checks report *not ready*."""

from __future__ import annotations

import re
import threading
import time
from datetime import datetime, timedelta
from typing import Protocol

from ..errors import StarlakeError
from ..logs import get_logger

__all__ = ["Markers", "ObjectStore"]

logger = get_logger(__name__)

_OLD = timedelta(days=1)
# The names that the core gives to markers. All other files in the folder belong to the user.
_OURS = re.compile(r"[0-9a-f]{12}(\.notready)?")


class ObjectStore(Protocol):
    """How :class:`Markers` accesses objects. Paths are URIs such as ``gs://bucket/folder/name``.

    Every method raises a :class:`StarlakeError` if the storage cannot be used.
    """

    def written(self, path: str) -> datetime | None:
        """Return when an object was written, by the clock of the storage and with a time zone; None if it does not
        exist.

        Args:
            path: the path of the object.
        """
        ...

    def delete(self, path: str) -> None:
        """Delete an object, if it exists.

        Args:
            path: the path of the object.
        """
        ...

    def delete_older(self, folder: str, before: datetime, named: re.Pattern[str]) -> None:
        """Delete the old empty objects of a folder. It is not retried, and need not delete all of them.

        Args:
            folder: the folder, without a slash at its end; subfolders are left alone.
            before: delete only objects written before this time, by the clock of the storage.
            named: delete only objects whose whole name in the folder matches.
        """
        ...


class Markers:
    """Reads and deletes markers.

    A marker stays after it was read, because another process, or this one after a restart, may read it again and must
    get the same answer. Reading a marker removes those of earlier days from its folder.

    Args:
        store: the storage.
        sweep_interval: the minimum seconds between two sweeps of a folder.
    """

    def __init__(self, store: ObjectStore, sweep_interval: float = 0.0) -> None:
        self._store = store
        self._sweep_interval = sweep_interval
        self._swept: dict[str, float] = {}
        self._lock = threading.Lock()

    def clear(self, marker: str) -> None:
        """Delete the marker of an attempt before it starts.

        Args:
            marker: the URI of the marker.

        Raises:
            RunnerError: the storage cannot be used.
            OutageError: the storage does not answer.
        """
        self._store.delete(marker)

    def exists(self, marker: str) -> bool:
        """Return whether a marker exists.

        Args:
            marker: the URI of the marker.

        Raises:
            RunnerError, OutageError: see :meth:`clear`.
        """
        return self._store.written(marker) is not None

    def seen(self, marker: str) -> bool:
        """Return whether a check that has ended wrote its marker.

        Args:
            marker: the URI of the marker.

        Raises:
            RunnerError, OutageError: see :meth:`clear`.
        """
        written = self._store.written(marker)
        if written is not None:
            self._sweep(marker.rpartition("/")[0], written - _OLD)
        return written is not None

    def _sweep(self, folder: str, before: datetime) -> None:
        with self._lock:
            now = time.monotonic()
            if now - self._swept.get(folder, float("-inf")) < self._sweep_interval:
                return
            self._swept[folder] = now
        try:
            self._store.delete_older(folder, before, _OURS)
        except StarlakeError as error:  # housekeeping changes no verdict
            logger.warning("old markers in %s cannot be deleted: %s", folder, error)

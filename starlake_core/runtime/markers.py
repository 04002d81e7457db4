"""The markers in an object storage with which checks say *not ready*."""

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
# The names that the core gives to markers. Everything else in the folder is the user's.
_OURS = re.compile(r"[0-9a-f]{12}(\.notready)?")


class ObjectStore(Protocol):
    """What :class:`Markers` does with objects. Paths are URIs such as ``gs://bucket/folder/name``.

    Every method raises a :class:`StarlakeError` where the storage cannot be used.
    """

    def written(self, path: str) -> datetime | None:
        """When an object was written, by the clock of the storage and with a time zone; None where there is none.

        Args:
            path: of the object.
        """
        ...

    def delete(self, path: str) -> None:
        """Delete an object, if it is there.

        Args:
            path: of the object.
        """
        ...

    def delete_older(self, folder: str, before: datetime, named: re.Pattern[str]) -> None:
        """Delete the empty objects of a folder that were written long ago. It is tried once, and need not delete all of them.

        Args:
            folder: without a slash at its end; objects in folders below it stay.
            before: only those that were written before this moment, by the clock of the storage.
            named: only those whose name in the folder is like that as a whole.
        """
        ...


class Markers:
    """Reads and deletes markers.

    A marker stays when it was seen: another process, or this one after a restart, may ask again and must get the same answer. Those of
    earlier days are swept from the folder when a marker is seen there.

    Args:
        store: where they are.
        sweep_interval: seconds between two sweeps of a folder at least.
    """

    def __init__(self, store: ObjectStore, sweep_interval: float = 0.0) -> None:
        self._store = store
        self._sweep_interval = sweep_interval
        self._swept: dict[str, float] = {}
        self._lock = threading.Lock()

    def clear(self, marker: str) -> None:
        """Delete the marker of an attempt before it starts.

        Args:
            marker: URI of the object.

        Raises:
            RunnerError: the storage cannot be used.
            OutageError: the storage does not answer.
        """
        self._store.delete(marker)

    def exists(self, marker: str) -> bool:
        """Whether there is a marker.

        Args:
            marker: URI of the object.

        Raises:
            RunnerError, OutageError: as above.
        """
        return self._store.written(marker) is not None

    def seen(self, marker: str) -> bool:
        """Whether a check that has ended left its marker.

        Args:
            marker: URI of the object.

        Raises:
            RunnerError, OutageError: as above.
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
            logger.warning("old markers in %s are not swept: %s", folder, error)

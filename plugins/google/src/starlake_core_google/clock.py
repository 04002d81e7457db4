"""The time of a service, by its own clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["ServiceClock"]


class ServiceClock:
    """A lower bound of the current time at the service, from the times that it reports and the time that has passed here since.

    The clock of this machine is never compared with that of the service: whatever a service reports happened before it reported it.
    So this clock is never ahead of the service, and it is exact when something has just happened.

    Args:
        monotonic: a monotonic clock; replaced in tests.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._ahead: float | None = None
        self._lock = threading.Lock()

    def note(self, moment: float) -> None:
        """Take in the time of an event that the service reported.

        Args:
            moment: the time of the event, in seconds since the epoch; 0 is ignored.
        """
        if moment <= 0:
            return
        with self._lock:
            ahead = moment - self._monotonic()
            self._ahead = ahead if self._ahead is None else max(self._ahead, ahead)

    def since(self, moment: float) -> float:
        """How many seconds have passed at the service since an event, at least.

        Args:
            moment: the time of the event, as the service reported it.
        """
        self.note(moment)
        with self._lock:
            return 0.0 if self._ahead is None else self._monotonic() + self._ahead - moment

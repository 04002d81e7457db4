"""The time of a service, by its own clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["ServiceClock"]


class ServiceClock:
    """What time it is at the service at least, from the times that it tells and the time that passed here since.

    The clock of this machine is never compared with that of the service: whatever a service tells of has happened before it told. So what
    this says is never ahead of the service, and it is exact where something has just happened.

    Args:
        monotonic: for tests.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._ahead: float | None = None
        self._lock = threading.Lock()

    def note(self, moment: float) -> None:
        """The service told of something that has happened.

        Args:
            moment: when, in seconds since the epoch; 0 is no moment.
        """
        if moment <= 0:
            return
        with self._lock:
            ahead = moment - self._monotonic()
            self._ahead = ahead if self._ahead is None else max(self._ahead, ahead)

    def since(self, moment: float) -> float:
        """Seconds that have passed at the service since something happened, at least.

        Args:
            moment: when that was, as the service told it.
        """
        self.note(moment)
        with self._lock:
            return 0.0 if self._ahead is None else self._monotonic() + self._ahead - moment

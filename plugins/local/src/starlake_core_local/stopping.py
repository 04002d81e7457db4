"""Requests to stop a run: tear-downs still run after the first one, but not after the second."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from starlake_core.processes.supervisor import guard, interrupts

from .progress import Progress

__all__ = ["StopRequests"]


class StopRequests:
    """How often a stop was requested, and what stops because of it.

    Attributes:
        times: the number of requests; the loop acts on them in :meth:`hear`.
        why: a sentence that says why.
    """

    def __init__(self) -> None:
        self.times = 0
        self.why = "stopped by the user"
        self._heard = 0
        self._stop = threading.Event()

    @contextmanager
    def signals(self, wake: Callable[[], None]) -> Iterator[None]:
        """While this block is active, an interrupt is a message to the loop, so that it never comes between two steps of a run.

        Args:
            wake: wakes the loop.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_signal(number: int, frame: FrameType | None) -> None:
            self.times += 1
            if self.times > 1:
                guard.kill()
            wake()

        before: dict[signal.Signals, Any] = {}
        try:
            for number in interrupts():
                before[number] = signal.signal(number, on_signal)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def ask(self, why: str) -> None:
        """Request a stop, as the user does with an interrupt.

        Args:
            why: a sentence that says why.
        """
        self.why = why
        self.times += 1

    @property
    def unheard(self) -> bool:
        """Whether there was another request since the loop acted."""
        return self.times > self._heard

    def hear(self) -> None:
        """Act on the requests: from now on attempts stop."""
        self._heard = self.times
        self._stop.set()

    def is_set(self) -> bool:
        """Whether attempts stop."""
        return self._stop.is_set()

    def all(self) -> None:
        """Stop everything, tear-downs included."""
        self.times = max(2, self.times)
        self._stop.set()

    def of(self, progress: Progress) -> Callable[[], bool]:
        """A function that tells the attempts of a step whether to stop.

        Args:
            progress: the progress of the step.
        """
        return (lambda: self.times > 1) if progress.is_teardown else self._stop.is_set

    def spares(self, progress: Progress) -> bool:
        """Whether a step runs although the run is stopped.

        Args:
            progress: the progress of the step.
        """
        return progress.is_teardown and self.times < 2

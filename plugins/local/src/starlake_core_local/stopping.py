"""Requests to stop a run: the first one lets tear-downs run, the second one does not."""

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
    """How often somebody asked for the end of a run, and what ends for it.

    Attributes:
        times: how often; the loop acts on it with :meth:`hear`.
        why: a sentence on it.
    """

    def __init__(self) -> None:
        self.times = 0
        self.why = "stopped by the user"
        self._heard = 0
        self._stop = threading.Event()

    @contextmanager
    def signals(self, wake: Callable[[], None]) -> Iterator[None]:
        """While this block is open, an interrupt is a message to the loop: it must not come between two steps of a run.

        Args:
            wake: ends the wait of the loop.
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
        """Ask in the place of the user.

        Args:
            why: a sentence on it.
        """
        self.why = why
        self.times += 1

    @property
    def unheard(self) -> bool:
        """Whether somebody asked again since the loop acted."""
        return self.times > self._heard

    def hear(self) -> None:
        """From now on attempts stop."""
        self._heard = self.times
        self._stop.set()

    def is_set(self) -> bool:
        """Whether attempts stop."""
        return self._stop.is_set()

    def all(self) -> None:
        """Stop everything, tear-downs too."""
        self.times = max(2, self.times)
        self._stop.set()

    def of(self, progress: Progress) -> Callable[[], bool]:
        """What says to the attempts of a step that they are to stop.

        Args:
            progress: where the step stands.
        """
        return (lambda: self.times > 1) if progress.is_teardown else self._stop.is_set

    def spares(self, progress: Progress) -> bool:
        """Whether a step runs although the run is stopped.

        Args:
            progress: where the step stands.
        """
        return progress.is_teardown and self.times < 2

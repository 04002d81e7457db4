"""Looks again for doubles, when a list that lags behind shows them.

A submission looks for its key before and after it. Where the list lags behind, two processes may both find nothing and start an execution each
for one attempt. Every execution is shown some seconds after its start: then the younger one is stopped, whoever waits for which.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Collection

from starlake_core import StarlakeError
from starlake_core.logs import get_logger

__all__ = ["Doubles"]

logger = get_logger(__name__)

_AGAIN_SECONDS = 5.0
_TIMES = 60


class Doubles:
    """Calls a function some time after the start of tasks, in one thread that lives as long as there is something to look at.

    Args:
        look: for the doubles of some tasks: name of the Cloud Run job, and tasks. What it raises is tried again.
        apart: seconds between two looks at least: those that began shortly after each other share one.
    """

    def __init__(self, look: Callable[[str, Collection[str]], object], apart: float) -> None:
        self._look = look
        self._apart = apart
        self._looked = float("-inf")
        self._due: list[tuple[float, int, str, str]] = []
        self._changed = threading.Condition()
        self._alive = False

    def later(self, seconds: float, parent: str, task: str, times: int = 0) -> None:
        """Look for doubles of a task later.

        Args:
            seconds: from now.
            parent: full name of the Cloud Run job.
            task: stable part of the key.
            times: how often it was tried already.
        """
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, times, parent, task))
            self._changed.notify()
            if not self._alive:
                self._alive = True
                threading.Thread(target=self._work, name="starlake-doubles", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._due:
                    self._alive = False
                    return
                now = time.monotonic()
                left = max(self._due[0][0], self._looked + self._apart) - now
                if left > 0:
                    self._changed.wait(left)
                    continue
                self._looked = now
                due: dict[str, dict[str, int]] = {}
                while self._due and self._due[0][0] <= now:
                    _, times, parent, task = heapq.heappop(self._due)
                    due.setdefault(parent, {})[task] = times
            for parent, tasks in due.items():
                self._look_for(parent, tasks)

    def _look_for(self, parent: str, tasks: dict[str, int]) -> None:
        try:
            self._look(parent, tasks)
        except StarlakeError as error:
            logger.info("doubles of %d tasks cannot be looked for now: %s", len(tasks), error)
            for task, times in tasks.items():
                if times < _TIMES:
                    self.later(_AGAIN_SECONDS, parent, task, times + 1)
                else:
                    logger.warning("doubles of %s were not looked for: %s", task, error)
        except Exception:  # the others are looked for all the same
            logger.exception("doubles of %s cannot be looked for", ", ".join(tasks))

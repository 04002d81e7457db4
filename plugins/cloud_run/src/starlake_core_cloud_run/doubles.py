"""Finds duplicate executions once a lagging list shows them.

A submission searches for its key before and after it starts an execution. If the list lags, two processes may both find nothing and each start
an execution for one attempt. Every execution appears in the list some seconds after its start. Then the younger one is stopped, whichever
process waits for it.
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
    """Calls a function some time after tasks have started, in one thread that lives as long as there is something to look for.

    Args:
        look: called with the name of the Cloud Run job and the tasks whose duplicates to look for; retried if it raises.
        apart: the least time between two calls, in seconds; tasks that start within it share one call.
    """

    def __init__(self, look: Callable[[str, Collection[str]], object], apart: float) -> None:
        self._look = look
        self._apart = apart
        self._looked = float("-inf")
        self._due: list[tuple[float, int, str, str]] = []
        self._changed = threading.Condition()
        self._alive = False

    def later(self, seconds: float, parent: str, task: str, times: int = 0) -> None:
        """Look for duplicates of a task later.

        Args:
            seconds: when, in seconds from now.
            parent: the full name of the Cloud Run job.
            task: the stable part of the key.
            times: how often it was attempted already.
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
            logger.info("cannot look for duplicate executions of %d tasks now: %s", len(tasks), error)
            for task, times in tasks.items():
                if times < _TIMES:
                    self.later(_AGAIN_SECONDS, parent, task, times + 1)
                else:
                    logger.warning("could not look for duplicate executions of %s: %s", task, error)
        except Exception:  # the other jobs must still be searched
            logger.exception("cannot look for duplicate executions of %s", ", ".join(tasks))

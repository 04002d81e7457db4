"""Tasks that wait for what has one user at a time, without a slot of the run."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from starlake_core import RunKey
from starlake_core.runtime import Lease, occupy

from .attempt import HeldUp
from .progress import Progress
from .stopping import StopRequests

__all__ = ["News", "WaitingLine"]


@dataclass(frozen=True)
class News:
    """Of a task that is held up: another line for people, or, without one, the end of its wait, with the lease unless it was given up.

    Attributes:
        progress: where the task stands.
        line: who uses what it needs.
        lease: of what it needs.
        trouble: why there is none.
    """

    progress: Progress
    line: str = ""
    lease: Lease | None = None
    trouble: str = ""


class WaitingLine:
    """One thread for each resource waits in the name of the tasks that need it, in the order in which they came.

    Args:
        stop: whether tasks are to stop.
        tell: gets the news of each task, in these threads.
    """

    def __init__(self, stop: StopRequests, tell: Callable[[News], None]) -> None:
        self._stop = stop
        self._tell = tell
        self._lock = threading.Lock()
        self._lines: dict[str, deque[tuple[Progress, RunKey]]] = {}

    def add(self, progress: Progress, held: HeldUp) -> None:
        """Wait in the name of a task.

        Args:
            progress: where it stands.
            held: what it needs.
        """
        with self._lock:
            line = self._lines.get(held.resource)
            if line is not None:
                line.append((progress, held.key))
                return
            self._lines[held.resource] = deque([(progress, held.key)])
        thread = threading.Thread(target=self._wait_for, args=(held.resource,), name="starlake-exclusive", daemon=True)
        try:
            thread.start()
        except (RuntimeError, OSError, MemoryError) as error:
            with self._lock:
                del self._lines[held.resource]
            self._tell(News(progress, trouble=f"no thread to wait for {held.resource} can be started now: {error}"))

    def _wait_for(self, resource: str) -> None:
        """Take a resource for one task after the other; in a thread of its own."""
        while True:
            with self._lock:
                if not self._lines[resource]:
                    del self._lines[resource]
                    return
                progress, key = self._lines[resource].popleft()

            def tell(line: str, progress: Progress = progress) -> None:
                self._tell(News(progress, line))

            lease, trouble = None, ""
            try:
                lease = occupy(resource, key, stop=self._stop.of(progress), on_wait=tell)
            except Exception as error:
                trouble = str(error)
            self._tell(News(progress, lease=lease, trouble=trouble))

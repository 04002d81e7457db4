"""Tasks that wait for a resource that has one user at a time, without occupying a slot of the run."""

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
    """News about a task that waits: another message about the holder, or the end of the wait, with the lease unless the task gave up.

    Attributes:
        progress: the progress of the task.
        line: a message that says who holds the resource.
        lease: the lease on the resource.
        trouble: why there is no lease.
    """

    progress: Progress
    line: str = ""
    lease: Lease | None = None
    trouble: str = ""


class WaitingLine:
    """Waits for resources on behalf of tasks: one thread for each resource serves its tasks in the order in which they came.

    Args:
        stop: tells whether tasks are to stop.
        tell: called with the news of each task, in these threads.
    """

    def __init__(self, stop: StopRequests, tell: Callable[[News], None]) -> None:
        self._stop = stop
        self._tell = tell
        self._lock = threading.Lock()
        self._lines: dict[str, deque[tuple[Progress, RunKey]]] = {}

    def add(self, progress: Progress, held: HeldUp) -> None:
        """Wait on behalf of a task.

        Args:
            progress: the progress of the task.
            held: the resource it needs.
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
            self._tell(News(progress, trouble=f"no thread can be started to wait for {held.resource}: {error}"))

    def _wait_for(self, resource: str) -> None:
        """Take a resource for one task after the other, in a thread of its own."""
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

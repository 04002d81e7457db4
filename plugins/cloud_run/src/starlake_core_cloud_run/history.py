"""The executions of a Cloud Run job that belong to us, by task.

The service lists executions from the newest to the oldest and has no filter. So the first read takes up to a number of executions, and each
later read only those newer than what was read before, with a margin for executions that appear late. Threads that read at the same time
share one read. Executions that polls list are remembered too.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .state import Execution, seen, seen_again

__all__ = ["History", "Page"]

_MARGIN = 60
_KEPT = 20_000

Page = Callable[[str, str], "tuple[Sequence[Any], str]"]
"""Gets a page of executions, newest first, for the name of a job and a token, and the token of the next page, empty for none."""


@dataclass
class _Job:
    """What is known of a Cloud Run job."""

    seen: dict[str, Execution] = field(default_factory=dict)
    looked_at: dict[str, int] = field(default_factory=dict)
    by_task: dict[str, set[str]] = field(default_factory=dict)
    over: list[tuple[tuple[int, int], str]] = field(default_factory=list)
    newest: int | None = None
    started: int = 0
    done: int = 0
    looking: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)


class History:
    """Remembers the executions that were seen.

    Args:
        page: gets a page of executions.
        limit: how many executions one read takes at most.
        lag: how long a new execution may be missing from a list, in seconds.
    """

    def __init__(self, page: Page, limit: int, lag: float) -> None:
        self._page = page
        self._limit = limit
        self._margin = _MARGIN + int(lag)
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()

    def _job(self, parent: str) -> _Job:
        with self._lock:
            job = self._jobs.get(parent)
            if job is None:
                job = self._jobs[parent] = _Job()
            return job

    def look(self, parent: str) -> int:
        """Read what is new. When it returns, everything that was listed at the time of the call is known.

        Args:
            parent: the full name of the Cloud Run job.

        Returns:
            The number of the read, for :meth:`is_fresh`.
        """
        job = self._job(parent)
        with job.changed:
            # A read in progress may already be past the wanted executions, so wait for one that starts from now on.
            enough = job.started + 1
            while job.done < enough and job.looking:
                job.changed.wait()
            if job.done >= enough:
                return enough
            job.looking = True
            job.started += 1
            number = job.started
        newest = None
        try:
            newest = self._read(job, parent, number)
        finally:
            with job.changed:
                job.looking = False
                if newest is not None:
                    job.done, job.newest = number, newest
                job.changed.notify_all()
        return number

    def is_fresh(self, handle: str, number: int) -> bool:
        """Whether an execution was read by this read or a later one.

        Args:
            handle: the full name of the execution.
            number: the number of the read.
        """
        return self._job(handle.rpartition("/executions/")[0]).looked_at.get(handle, 0) >= number

    def _read(self, job: _Job, parent: str, number: int) -> int:
        token, count, newest = "", 0, job.newest or 0
        until = None if job.newest is None else job.newest - self._margin
        while True:
            executions, token = self._page(parent, token)
            for execution in executions:
                newest = max(newest, execution.create_time.seconds)
                found = self.note(parent, execution)
                if found is not None:
                    job.looked_at[found.handle] = number
            count += len(executions)
            last = executions[-1].create_time.seconds if executions else newest
            if not token or count >= self._limit or (until is not None and last < until):
                return newest

    def note(self, parent: str, execution: Any) -> Execution | None:
        """Remember the current state of an execution.

        Args:
            parent: the full name of the Cloud Run job.
            execution: the message of the service.

        Returns:
            What is known of it; None if it is not one of ours.
        """
        handle = f"{parent}/executions/{execution.name.rpartition('/')[2]}"
        return self._note(self._job(parent), handle, execution)

    def note_page(self, parent: str, executions: Iterable[Any]) -> tuple[dict[str, Any], list[Execution]]:
        """Remember the executions of a page.

        Args:
            parent: the full name of the Cloud Run job.
            executions: the messages of the service.

        Returns:
            The messages by the full names of the executions, and the running executions that are not the only one of their task.
        """
        job, prefix = self._job(parent), f"{parent}/executions/"
        messages: dict[str, Any] = {}
        several: list[Execution] = []
        for execution in executions:
            handle = prefix + execution.name.rpartition("/")[2]
            messages[handle] = execution
            found = self._note(job, handle, execution)
            if found is not None and not found.ended and len(job.by_task.get(found.task, ())) > 1:
                several.append(found)
        return messages, several

    def _note(self, job: _Job, handle: str, execution: Any) -> Execution | None:
        # What has ended keeps its end.
        known = job.seen.get(handle)
        if known is not None and known.ended:
            return known
        found = seen(execution, handle) if known is None else seen_again(known, execution)
        if found is None or found is known:
            return found
        with job.changed:
            job.seen[handle] = found
            job.by_task.setdefault(found.task, set()).add(handle)
            if found.ended:
                heapq.heappush(job.over, found.age)
            # A running execution is never forgotten: a search for its task would miss it and start another one.
            while len(job.seen) > _KEPT and job.over:
                self._forget(job, heapq.heappop(job.over)[1])
        return found

    def forget(self, handle: str) -> None:
        """Forget an execution that the service no longer knows.

        Args:
            handle: the full name of the execution.
        """
        job = self._job(handle.rpartition("/executions/")[0])
        with job.changed:
            self._forget(job, handle)

    def _forget(self, job: _Job, handle: str) -> None:
        job.looked_at.pop(handle, None)
        found = job.seen.pop(handle, None)
        if found is not None:
            of_task = job.by_task[found.task]
            of_task.discard(handle)
            if not of_task:
                del job.by_task[found.task]

    def of_task(self, parent: str, task: str) -> list[Execution]:
        """The executions of a task that were seen, oldest first.

        Args:
            parent: the full name of the Cloud Run job.
            task: the stable part of the key.
        """
        job = self._job(parent)
        with job.changed:
            handles = job.by_task.get(task, ())
            return sorted((job.seen[handle] for handle in handles), key=lambda found: found.age)

    def of_attempt(self, parent: str, task: str, attempt: str, instance: str) -> list[Execution]:
        """The executions of an attempt that were seen, oldest first. If there are several, they are duplicates.

        Args:
            parent: the full name of the Cloud Run job.
            task, attempt, instance: the key.
        """
        return [
            found for found in self.of_task(parent, task) if found.attempt == attempt and found.instance == instance
        ]

    def knows(self, handle: str) -> bool:
        """Whether an execution was seen.

        Args:
            handle: the full name of the execution.
        """
        return handle in self._job(handle.rpartition("/executions/")[0]).seen

    def oldest(self, parent: str, handles: Iterable[str]) -> tuple[int, int] | None:
        """When the oldest of some executions was created; None if one of them was never seen.

        Args:
            parent: the full name of their Cloud Run job.
            handles: the full names of the executions.
        """
        known = self._job(parent).seen
        found = [known.get(handle) for handle in handles]
        created = [execution.created for execution in found if execution is not None]
        return min(created) if created and len(created) == len(found) else None

"""One poll per tick for all the tasks that wait in one process."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from ..errors import RunnerError
from .outcome import Outcome, Runner, Status, Verdict

__all__ = ["BatchPoller", "shared_poller"]

logger = logging.getLogger(__name__)

_SLOWEST = 60.0
_SILENT = Status(Outcome(Verdict.LOST, reason="the environment says nothing about it"))


class BatchPoller:
    """Waits for many attempts with one :meth:`Runner.poll` a tick, in one thread that lives as long as somebody waits.

    Args:
        runner: that started the attempts.
        interval: seconds between two ticks; the runner's own by default. A tick that raises is tried again, with a
            growing pause of at most a minute: an outage of the service is no end of a job. A :class:`RunnerError` is
            handed to those who wait.
        sleep: for tests.
    """

    def __init__(
        self,
        runner: Runner,
        interval: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._runner = runner
        self._interval = interval if interval is not None else float(getattr(runner, "interval", 5.0))
        self._sleep = sleep
        self._futures: dict[str, list[Future[Outcome]]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.ticks = 0

    def watch(self, handle: str) -> Future[Outcome]:
        """A future of the end of an attempt; many callers may watch one. In a coroutine: ``await asyncio.wrap_future(...)``.

        Args:
            handle: of the attempt.
        """
        with self._lock:
            # One for each caller: who cancels theirs, as asyncio does, must not cancel those of others.
            future: Future[Outcome] = Future()
            self._futures.setdefault(handle, []).append(future)
            if self._thread is None:
                self._thread = threading.Thread(target=self._poll, name="starlake-poller", daemon=True)
                self._thread.start()
        return future

    def forget(self, handle: str) -> None:
        """Watch an attempt no longer; those who still wait see their future cancelled."""
        with self._lock:
            futures = self._futures.pop(handle, [])
        for future in futures:
            future.cancel()

    def _fail(self, handles: list[str], error: RunnerError) -> None:
        with self._lock:
            futures = [future for handle in handles for future in self._futures.pop(handle, [])]
        for future in futures:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)

    def _poll(self) -> None:
        failures = 0
        while True:
            with self._lock:
                for handle, futures in list(self._futures.items()):
                    if all(future.cancelled() for future in futures):
                        del self._futures[handle]
                handles = list(self._futures)
                if not handles:
                    self._thread = None
                    return
            try:
                statuses = dict(self._runner.poll(handles))
                statuses.update((handle, _SILENT) for handle in handles if handle not in statuses)
                failures = 0
            except RunnerError as error:
                # Missing permission, quota or resource: asking again would be answered alike.
                self._fail(handles, error)
                continue
            except Exception as error:
                failures += 1
                logger.warning("the states of %d jobs cannot be read, trying again: %s", len(handles), error)
                statuses = {}
            self.ticks += 1
            for handle, status in statuses.items():
                if status.outcome is not None:
                    with self._lock:
                        ended = self._futures.pop(handle, [])
                    for future in ended:
                        if future.set_running_or_notify_cancel():
                            future.set_result(status.outcome)
            if self._futures:
                self._sleep(min(_SLOWEST, self._interval * 2 ** min(failures, 10)))


_pollers: dict[int, BatchPoller] = {}
_pollers_lock = threading.Lock()


def _after_fork() -> None:
    """A forked child has neither the threads nor the connections of its parent."""
    global _pollers_lock
    _pollers_lock = threading.Lock()
    _pollers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def shared_poller(runner: Runner, interval: float | None = None) -> BatchPoller:
    """The poller of a runner, shared by everybody in this process.

    Args:
        runner: of an endpoint.
        interval: seconds between two ticks; that of the first caller counts.
    """
    with _pollers_lock:
        poller = _pollers.get(id(runner))
        if poller is None:
            # The poller keeps its runner, so that the id stays taken.
            poller = _pollers[id(runner)] = BatchPoller(runner, interval)
        return poller

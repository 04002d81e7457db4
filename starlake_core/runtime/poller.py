"""Polls all waiting tasks of a process together, once per tick."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from ..errors import OutageError, RunnerError, StarlakeError
from ..logs import get_logger
from ..model.exit_codes import may_pass
from ..model.outcome import Outcome, Status, Verdict
from ..plugins.blame import blame
from ..plugins.runner import Runner

__all__ = ["PATIENCE_SECONDS", "BatchPoller", "Refusals", "ask", "shared_poller"]

logger = get_logger(__name__)

PATIENCE_SECONDS = 600.0
"""Seconds for which reading the state of a running attempt may be refused, for example while a permission takes effect,
before callers get the error. There is no such limit for an outage."""

_SLOWEST = 60.0
_URGENT_SECONDS = 1.0
_SILENT = Status(Outcome(Verdict.LOST, reason="the environment reports nothing about it"))


def ask(runner: Runner, handles: Sequence[str]) -> dict[str, Status]:
    """Poll once, and return a status for each handle, with an error if its state cannot be read.

    Args:
        runner: the runner that started the attempts.
        handles: the handles of the attempts.
    """
    try:
        told = runner.poll(handles)
    except OutageError as error:
        return {handle: Status(error=error) for handle in handles}
    except StarlakeError as error:
        if len(handles) == 1:
            return {handles[0]: Status(error=error)}
        # The runner refused all because of one. Poll them one by one, so that the others are not affected.
        half = len(handles) // 2
        return {**ask(runner, handles[:half]), **ask(runner, handles[half:])}
    return {handle: told.get(handle, _SILENT) for handle in handles}


class Refusals:
    """Tracks since when reading the state of attempts has been refused.

    Args:
        patience: the seconds for which refusals are tolerated; :data:`PATIENCE_SECONDS` by default.
        clock: for tests.
    """

    def __init__(self, patience: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._since: dict[str, float] = {}

    def final(self, handle: str, status: Status) -> StarlakeError | None:
        """Return the error of a status, if it is no longer tolerated.

        Args:
            handle: the handle of the attempt.
            status: its latest status.
        """
        if status.error is None:
            self._since.pop(handle, None)
            return None
        if isinstance(status.error, OutageError):
            return None
        since = self._since.setdefault(handle, self._clock())
        patience = PATIENCE_SECONDS if self._patience is None else self._patience
        return status.error if self._clock() - since >= patience else None

    def forget(self, handle: str) -> None:
        """Forget an attempt that is no longer polled."""
        self._since.pop(handle, None)


class BatchPoller:
    """Waits for many attempts with one :meth:`Runner.poll` per tick, in one thread that runs while there are waiting
    callers.

    If the state of an attempt cannot be read, it is polled again, without delaying others. An outage never ends a job.
    Callers get an error if a refusal (:class:`RunnerError`) lasts for :data:`PATIENCE_SECONDS`, or if the runner has a
    bug.

    Args:
        runner: the runner that started the attempts.
        interval: the seconds between two ticks; the runner's own by default. After a tick without news the pause grows,
            up to a minute.
        sleep: for tests; by default the thread wakes up for urgent attempts.
        clock: for tests, the clock that measures patience.
    """

    def __init__(
        self,
        runner: Runner,
        interval: float | None = None,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner = runner
        self._interval = interval if interval is not None else runner.interval
        self._sleep = sleep
        self._futures: dict[str, list[Future[Outcome]]] = {}
        self._urgent: set[str] = set()
        self._errors: dict[str, StarlakeError] = {}
        self._refusals = Refusals(clock=clock)
        self._hurry = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.ticks = 0

    def watch(self, handle: str, urgent: bool = False) -> Future[Outcome]:
        """Return a future with the end of an attempt, which many callers may watch. In a coroutine, use ``await
        asyncio.wrap_future(...)``.

        Args:
            handle: the handle of the attempt.
            urgent: whether to poll every second, together with other urgent attempts, because it was cancelled and will
                end soon.
        """
        with self._lock:
            # One for each caller: a caller that cancels its future, as asyncio does, must not cancel those of others.
            future: Future[Outcome] = Future()
            self._futures.setdefault(handle, []).append(future)
            if urgent:
                self._urgent.add(handle)
                self._hurry.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._poll, name="starlake-poller", daemon=True)
                self._thread.start()
        return future

    def forget(self, handle: str) -> None:
        """Stop watching an attempt, and cancel the futures of callers that still wait."""
        for future in self._drop(handle):
            future.cancel()

    def error(self, handle: str) -> StarlakeError | None:
        """Return why the state of a watched attempt could not be read at the last poll; None if it could, or was not
        polled yet.

        Args:
            handle: the handle of the attempt.
        """
        with self._lock:
            return self._errors.get(handle)

    def _drop(self, handle: str) -> list[Future[Outcome]]:
        with self._lock:
            self._urgent.discard(handle)
            self._errors.pop(handle, None)
            self._refusals.forget(handle)
            return self._futures.pop(handle, [])

    def _watched(self) -> list[str] | None:
        """Return the watched attempts; None if there are none left, and the thread ends."""
        with self._lock:
            left = [handle for handle, futures in self._futures.items() if all(one.cancelled() for one in futures)]
            for handle in left:
                del self._futures[handle]
                self._urgent.discard(handle)
                self._errors.pop(handle, None)
                self._refusals.forget(handle)
            if not self._futures:
                self._thread = None
                return None
            self._hurry.clear()
            return list(self._futures)

    def _poll(self) -> None:
        # Counts the requested pauses instead of real time, so that the length of a poll does not affect the rhythm of
        # the ticks.
        elapsed, next_tick = 0.0, 0.0
        failures, urgent_failures = 0, 0
        while True:
            handles = self._watched()
            if handles is None:
                return
            whole = elapsed >= next_tick
            if not whole:
                with self._lock:
                    handles = [handle for handle in handles if handle in self._urgent]
            learnt = self._tick(handles) if handles else True
            urgent_failures = 0 if learnt else urgent_failures + 1
            if whole:
                failures = 0 if learnt else failures + 1
                next_tick = elapsed + min(_SLOWEST, self._interval * 2 ** min(failures, 10))
            if not self._futures:
                continue
            pause = next_tick - elapsed
            if self._urgent:
                pause = min(pause, min(_SLOWEST, min(_URGENT_SECONDS, self._interval) * 2 ** min(urgent_failures, 10)))
            elapsed += self._slept(pause)

    def _slept(self, seconds: float) -> float:
        if self._sleep is not None:
            self._sleep(seconds)
            return seconds
        began = time.monotonic()
        if not self._hurry.wait(seconds):
            return seconds
        # Several attempts may become urgent one after the other. They share a tick too.
        time.sleep(max(0.0, min(seconds, _URGENT_SECONDS, self._interval) - (time.monotonic() - began)))
        return min(seconds, time.monotonic() - began)

    def _tick(self, handles: list[str]) -> bool:
        """Poll attempts, and resolve the futures of those that have ended.

        Returns:
            Whether there was any news.
        """
        statuses = self._asked(handles)
        self.ticks += 1
        troubled: list[StarlakeError] = []
        for handle, status in statuses.items():
            with self._lock:
                if status.error is None:
                    self._errors.pop(handle, None)
                elif handle in self._futures:
                    self._errors[handle] = status.error
            refused = self._refusals.final(handle, status)
            if refused is not None:
                for future in self._drop(handle):
                    if future.set_running_or_notify_cancel():
                        future.set_exception(refused)
            elif status.outcome is not None:
                for future in self._drop(handle):
                    if future.set_running_or_notify_cancel():
                        future.set_result(status.outcome)
            elif status.error is not None:
                troubled.append(status.error)
        if troubled:
            logger.warning(
                "the states of %d of %d jobs cannot be read now, trying again: %s",
                len(troubled),
                len(handles),
                troubled[0],
            )
        return len(troubled) < len(handles)

    def _asked(self, handles: list[str]) -> dict[str, Status]:
        """Return a status for each attempt, whatever the runner raises, so that no caller waits forever."""
        try:
            return ask(self._runner, handles)
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            if may_pass(error):
                return {handle: Status(error=OutageError(told)) for handle in handles}
            if len(handles) > 1:  # a bug may affect only one of them
                half = len(handles) // 2
                return {**self._asked(handles[:half]), **self._asked(handles[half:])}
            logger.debug("poll of %s", handles[0], exc_info=True)
            return {
                handles[0]: Status(
                    error=RunnerError(
                        f"the plugin of the environment has a bug; report it to its authors: {blame(self._runner, 'poll', error)}"
                    )
                )
            }


# By the id of the runner. A poller lives as long as its thread or its user, and keeps its runner alive, so the id is
# not reused.
_pollers: weakref.WeakValueDictionary[int, BatchPoller] = weakref.WeakValueDictionary()
_pollers_lock = threading.Lock()


def _after_fork() -> None:
    """A forked child has neither the threads nor the connections of its parent."""
    global _pollers_lock
    _pollers_lock = threading.Lock()
    _pollers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def shared_poller(runner: Runner, interval: float | None = None) -> BatchPoller:
    """Return the poller of a runner, shared by all callers in this process.

    Args:
        runner: the runner of an endpoint.
        interval: the seconds between two ticks; the first caller decides, while there are waiting callers.
    """
    with _pollers_lock:
        poller = _pollers.get(id(runner))
        if poller is None:
            poller = _pollers[id(runner)] = BatchPoller(runner, interval)
        return poller

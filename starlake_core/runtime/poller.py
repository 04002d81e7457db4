"""One poll per tick for all the tasks that wait in one process."""

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
from ..plugins.runner import Runner

__all__ = ["PATIENCE_SECONDS", "BatchPoller", "Refusals", "ask", "shared_poller"]

logger = get_logger(__name__)

PATIENCE_SECONDS = 600.0
"""How long an attempt that runs may be refused to be asked about (a permission that spreads, a role that is rolled out) before whoever waits
is told. An outage is waited for without a limit of its own."""

_SLOWEST = 60.0
_URGENT_SECONDS = 1.0
_SILENT = Status(Outcome(Verdict.LOST, reason="the environment says nothing about it"))


def ask(runner: Runner, handles: Sequence[str]) -> dict[str, Status]:
    """Poll once: a status for each handle, with an error where one cannot be asked about.

    Args:
        runner: that started the attempts.
        handles: of the attempts.
    """
    try:
        told = runner.poll(handles)
    except OutageError as error:
        return {handle: Status(error=error) for handle in handles}
    except StarlakeError as error:
        if len(handles) == 1:
            return {handles[0]: Status(error=error)}
        # A runner that refuses all because of one: the others have nothing to do with it.
        half = len(handles) // 2
        return {**ask(runner, handles[:half]), **ask(runner, handles[half:])}
    return {handle: told.get(handle, _SILENT) for handle in handles}


class Refusals:
    """Since when attempts are refused to be asked about.

    Args:
        patience: seconds for which that passes; :data:`PATIENCE_SECONDS` by default.
        clock: for tests.
    """

    def __init__(self, patience: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._since: dict[str, float] = {}

    def final(self, handle: str, status: Status) -> StarlakeError | None:
        """The error of a status, if it does not pass any more.

        Args:
            handle: of the attempt.
            status: that was told just now.
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
        """Forget an attempt that nobody asks about any more."""
        self._since.pop(handle, None)


class BatchPoller:
    """Waits for many attempts with one :meth:`Runner.poll` a tick, in one thread that lives as long as somebody waits.

    An attempt that cannot be asked about is asked about again, and holds up no other one. An outage is no end of a job; a refusal
    (:class:`RunnerError`) that lasts for :data:`PATIENCE_SECONDS`, and a fault of the runner's own program, is handed to those who wait for that
    attempt.

    Args:
        runner: that started the attempts.
        interval: seconds between two ticks; the runner's own by default. After a tick that learnt nothing the pause grows, to a
            minute at most.
        sleep: for tests; by default the thread wakes when somebody is in a hurry.
        clock: for tests, of the patience.
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
        """A future of the end of an attempt; many callers may watch one. In a coroutine: ``await asyncio.wrap_future(...)``.

        Args:
            handle: of the attempt.
            urgent: its end is near, as somebody cancelled it: it is asked about every second, together with others like it.
        """
        with self._lock:
            # One for each caller: who cancels theirs, as asyncio does, must not cancel those of others.
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
        """Watch an attempt no longer; those who still wait see their future cancelled."""
        for future in self._drop(handle):
            future.cancel()

    def error(self, handle: str) -> StarlakeError | None:
        """Why an attempt that is watched could not be asked about the last time; None if it could, or was not asked about yet.

        Args:
            handle: of the attempt.
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
        """The attempts that somebody waits for; None if there are none any more, and the thread ends."""
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
        # The time that was slept, by what was asked for: ticks come in the rhythm of the pauses, whatever a poll takes.
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
        # Many may be in a hurry one after the other: they share a tick too.
        time.sleep(max(0.0, min(seconds, _URGENT_SECONDS, self._interval) - (time.monotonic() - began)))
        return min(seconds, time.monotonic() - began)

    def _tick(self, handles: list[str]) -> bool:
        """Ask about attempts, and tell those who wait what there is to tell.

        Returns:
            Whether anything was learnt.
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
        """A status for each attempt, whatever a runner raises: nobody is left waiting for ever without a word."""
        try:
            return ask(self._runner, handles)
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            if may_pass(error):
                return {handle: Status(error=OutageError(told)) for handle in handles}
            if len(handles) > 1:  # a fault of the program may be about one of them
                half = len(handles) // 2
                return {**self._asked(handles[:half]), **self._asked(handles[half:])}
            logger.debug("poll of %s", handles[0], exc_info=True)
            return {
                handles[0]: Status(
                    error=RunnerError(f"the plugin of the environment has a fault, report it to its authors: {told}")
                )
            }


# By the id of the runner. A poller lives as long as its thread or its user, and keeps its runner, so that an id in here stays taken.
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
    """The poller of a runner, shared by everybody in this process.

    Args:
        runner: of an endpoint.
        interval: seconds between two ticks; that of the first caller counts, for as long as somebody waits.
    """
    with _pollers_lock:
        poller = _pollers.get(id(runner))
        if poller is None:
            poller = _pollers[id(runner)] = BatchPoller(runner, interval)
        return poller

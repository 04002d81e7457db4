"""Waits for the end of an attempt, and cancels attempts."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace

from ..errors import OutageError, StarlakeError
from ..logs import get_logger
from ..model.outcome import Outcome, Status, Verdict
from ..plugins.pausing import given_up_on, pausing, unless_stopped
from ..plugins.runner import Runner
from .poller import Refusals, ask, shared_poller

__all__ = ["Heard", "OnLine", "cancel_and_settle", "expire", "forward", "settled", "wait", "watch"]

logger = get_logger(__name__)

_SETTLE_SECONDS = 60.0
_LAST_CANCEL_SECONDS = 0.8
"""Seconds for which to try to cancel an attempt and confirm its end, if the service does not answer and the wait was
stopped."""
_STOP_SECONDS = 0.5

OnLine = Callable[[str], None]


class Heard:
    """Passes lines on to a callback, whose errors never change how an attempt ends. The first one is reported.

    Args:
        on_line: the callback.
        what: what the lines are about, for the message.
    """

    def __init__(self, on_line: OnLine, what: str) -> None:
        self._on_line = on_line
        self._what = what
        self._reported = False

    def __call__(self, line: str) -> None:
        try:
            self._on_line(line)
        except Exception as error:
            if not self._reported:
                self._reported = True
                logger.error(
                    "%s: the callback on_line raised %s: %s. The attempt keeps running, but lines of its output may be lost",
                    self._what,
                    type(error).__name__,
                    error,
                    exc_info=True,
                )

    @classmethod
    def by(cls, on_line: OnLine | None, what: str) -> OnLine | None:
        """Return a callback that reports its errors; None for None.

        Args:
            on_line: the callback; one that reports its errors stays as it is.
            what: what the lines are about.
        """
        return on_line if on_line is None or isinstance(on_line, cls) else cls(on_line, what)


def wait(
    runner: Runner,
    handle: str,
    *,
    timeout: float | None = None,
    interval: float | None = None,
    on_line: OnLine | None = None,
    stop: Callable[[], bool] | None = None,
    cancel_on_interrupt: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Wait until an attempt has ended.

    Args:
        runner: the runner that started it.
        handle: the handle of the attempt.
        timeout: the seconds after which it is cancelled and counts as failed.
        interval: the seconds between two polls; the runner's own by default.
        on_line: called with every line of output. Its first error is logged with its traceback, and changes nothing else.
        stop: called between two polls; the attempt is cancelled when it returns true.
        cancel_on_interrupt: whether an interrupt (such as KeyboardInterrupt) cancels the attempt, or leaves it to be
            found again.
        clock: for tests.

    Returns:
        How it ended. An attempt that succeeds while it is being cancelled counts as succeeded. One that fails in that
        time counts as stopped, because environments report a stopped job as failed too.

    Raises:
        BaseException: an interrupt, after the attempt was cancelled.
        RunnerError: the environment has refused to report the state for ten minutes; the attempt keeps running, and the
            next one finds it.
    """
    with pausing(stop):
        return _waited(runner, handle, timeout, interval, Heard.by(on_line, handle), stop, cancel_on_interrupt, clock)


def _waited(
    runner: Runner,
    handle: str,
    timeout: float | None,
    interval: float | None,
    on_line: OnLine | None,
    stop: Callable[[], bool] | None,
    cancel_on_interrupt: bool,
    clock: Callable[[], float],
) -> Outcome:
    deadline = None if timeout is None else clock() + timeout
    pause = interval if interval is not None else runner.interval
    refusals = Refusals(clock=clock)
    cursor: str | None = None
    read_every, read_at = 0.0, 0.0
    shared: Future[Outcome] | None = None
    left = 0.0
    if runner.detached:
        shared = shared_poller(runner, interval).watch(handle)
        # The wait ends with a message from the poller. The output is read no more often than the state.
        read_every = pause
        pause = pause if stop is None else min(pause, _STOP_SECONDS)
    try:
        while True:
            outcome = _asked(runner, handle, refusals).outcome if shared is None else _told(shared, left)
            now = clock()
            if on_line is not None and runner.follows and (outcome is not None or now >= read_at):
                cursor = forward(runner, handle, cursor, on_line)
                read_at = now + read_every
            if outcome is not None:
                return outcome
            if stop is not None and stop():
                return _stopped(runner, handle, stop)
            if deadline is not None and now >= deadline:
                return expire(runner, handle, timeout or 0)
            left = pause if deadline is None else max(0.0, min(pause, deadline - now))
            if shared is None:
                runner.wait([handle], left)
    except Exception:
        raise
    except BaseException:
        if cancel_on_interrupt:
            try:
                with pausing(None, _LAST_CANCEL_SECONDS):
                    runner.cancel(handle)
            except StarlakeError as error:  # the caller must see the interrupt
                logger.warning("%s cannot be cancelled and may keep running: %s", handle, error)
        raise
    finally:
        if shared is not None:
            shared.cancel()


def _told(shared: Future[Outcome], seconds: float) -> Outcome | None:
    """Return what the shared poll reports within some seconds."""
    try:
        return shared.result(seconds)
    except FutureTimeout:
        return None


def watch(
    runner: Runner,
    handle: str,
    seconds: float,
    *,
    cursor: str | None = None,
    on_line: OnLine | None = None,
    stop: Callable[[], bool] | None = None,
) -> tuple[Outcome | None, str | None]:
    """Watch an attempt for a while, and leave it running if it does not end.

    Args:
        runner: the runner that started it.
        handle: the handle of the attempt.
        seconds: how long to watch; the state is read at least once.
        cursor: up to where its output was read; None for the beginning.
        on_line: called with every line of output. Its first error is logged with its traceback, and changes nothing else.
        stop: called between two polls; the attempt is cancelled when it returns true.

    Returns:
        How it ended, or None if it has not; and up to where its output was read.

    Raises:
        RunnerError: the environment has refused to report the state for ten minutes; the attempt keeps running.
    """
    with pausing(stop):
        return _watched(runner, handle, seconds, cursor, Heard.by(on_line, handle), stop)


def _watched(
    runner: Runner,
    handle: str,
    seconds: float,
    cursor: str | None,
    on_line: OnLine | None,
    stop: Callable[[], bool] | None,
) -> tuple[Outcome | None, str | None]:
    deadline = time.monotonic() + seconds
    refusals = Refusals()
    while True:
        status = _asked(runner, handle, refusals)
        if on_line is not None and runner.follows:
            cursor = forward(runner, handle, cursor, on_line)
        if status.outcome is not None:
            return status.outcome, cursor
        if stop is not None and stop():
            return _stopped(runner, handle, stop), cursor
        left = deadline - time.monotonic()
        if left <= 0:
            return None, cursor
        runner.wait([handle], min(runner.interval, left))


def expire(runner: Runner, handle: str, timeout: float) -> Outcome:
    """Stop an attempt that has reached its time-out.

    Args:
        runner: the runner that started it.
        handle: the handle of the attempt.
        timeout: its time-out in seconds.

    Returns:
        A failure, or the true end if the attempt succeeded in the meantime.
    """
    return _cancelled(runner, handle, Verdict.FAILED, f"stopped after its time-out of {timeout:g} s")


def _asked(runner: Runner, handle: str, refusals: Refusals) -> Status:
    """Return what a poll reports about an attempt. For a while, tolerate that its state cannot be read."""
    status = ask(runner, [handle])[handle]
    refused = refusals.final(handle, status)
    if refused is not None:
        raise refused
    if status.error is not None:
        logger.warning("the state of %s cannot be read now, trying again: %s", handle, status.error)
    return status


def forward(runner: Runner, handle: str, cursor: str | None, on_line: OnLine) -> str | None:
    """Pass on the new lines of an attempt's output.

    Args:
        runner: the runner that started it.
        handle: the handle of the attempt.
        cursor: up to where its output was read; None for the beginning.
        on_line: called with every line; it raises nothing.

    Returns:
        Up to where its output was read.
    """
    try:
        lines, cursor = runner.logs(handle, cursor)
    except Exception as error:  # a log that cannot be read must not change how the attempt ends
        logger.warning("the output of %s cannot be read now: %s", handle, error)
        return cursor
    for line in lines:
        on_line(line)
    return cursor


def _stopped(runner: Runner, handle: str, stop: Callable[[], bool]) -> Outcome:
    """Return the end of an attempt whose wait was stopped. If the service does not answer, do not wait for it."""

    def cancel() -> None:
        with pausing(None, _LAST_CANCEL_SECONDS):
            runner.cancel(handle)

    try:
        unless_stopped(cancel, stop if runner.detached else None, f"cancelling {handle}")
    except OutageError as error:
        logger.warning("%s cannot be cancelled and may keep running: %s", handle, error)
        return Outcome(
            Verdict.CANCELLED, reason=f"cancelled, but it cannot be stopped now and may keep running: {error}"
        )
    return _ended_by(runner, handle, Verdict.CANCELLED, "cancelled")


def _cancelled(runner: Runner, handle: str, verdict: Verdict, reason: str) -> Outcome:
    runner.cancel(handle)
    return _ended_by(runner, handle, verdict, reason)


def _ended_by(runner: Runner, handle: str, verdict: Verdict, reason: str) -> Outcome:
    outcome = settled(runner, handle, _SETTLE_SECONDS)
    if outcome is None:
        return Outcome(verdict, reason=f"{reason}; the environment has not confirmed its end", stopped=True)
    if outcome.verdict in (Verdict.SUCCEEDED, Verdict.NOT_READY):
        return outcome
    return replace(outcome, verdict=verdict, reason=reason, stopped=True)


def cancel_and_settle(runner: Runner, handle: str, seconds: float = _SETTLE_SECONDS) -> Outcome | None:
    """Cancel an attempt and wait for its true end.

    Args:
        runner: the runner that started it.
        handle: the handle of the attempt.
        seconds: how long to wait. If the service does not answer, a caller that is stopped in the meantime waits no
            longer.

    Returns:
        How it ended, or None if it had not by then.
    """
    runner.cancel(handle)
    return settled(runner, handle, seconds)


def settled(runner: Runner, handle: str, seconds: float, stoppable: bool = False) -> Outcome | None:
    """Return the end of an attempt that is being stopped; None if it has not ended in time. All callers in a process share their polls.

    Args:
        runner: the runner that started it.
        handle: the handle of the attempt.
        seconds: how long to wait.
        stoppable: whether a stopped caller returns at once, rather than only if the service does not answer.
    """
    deadline = time.monotonic() + seconds
    pace = min(1.0, runner.interval)
    poller = shared_poller(runner) if runner.detached else None
    shared = poller.watch(handle, urgent=True) if poller is not None else None
    silent_since: float | None = None
    try:
        while True:
            now = time.monotonic()
            left = max(0.0, deadline - now)
            if shared is not None and poller is not None:
                try:
                    outcome = _told(shared, min(left, _STOP_SECONDS))
                except StarlakeError as refused:
                    logger.warning("the end of %s cannot be read: %s", handle, refused)
                    return None
                error = poller.error(handle)
            else:
                status = ask(runner, [handle])[handle]
                outcome, error = status.outcome, status.error
            if outcome is not None or left <= 0 or (stoppable and given_up_on()):
                return outcome
            silent_since = None if error is None else now if silent_since is None else silent_since
            if silent_since is not None and now - silent_since >= _LAST_CANCEL_SECONDS and given_up_on():
                return None
            if shared is None:
                runner.wait([handle], min(pace, left))
    finally:
        if shared is not None:
            shared.cancel()

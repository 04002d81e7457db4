"""Pauses between calls of a service, which the waiting caller can cut short."""

from __future__ import annotations

import contextvars
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from ..errors import OutageError
from ..logs import get_logger

__all__ = ["Backoff", "given_up_on", "pause", "pausing", "retrying", "unless_stopped"]

logger = get_logger(__name__)

_JITTER = random.SystemRandom()
"""The generator of the module ``random`` belongs to the program, which may have seeded it."""
_SLICE = 0.1
_LAST_SECONDS = 1.0
"""Seconds that a running call may still take after the wait for it was stopped."""

T = TypeVar("T")


@dataclass(frozen=True)
class _Bounds:
    stop: Callable[[], bool] | None = None
    until: float | None = None


_UNBOUND = _Bounds()
_bounds: contextvars.ContextVar[_Bounds] = contextvars.ContextVar("starlake_core_pausing", default=_UNBOUND)


@contextmanager
def pausing(stop: Callable[[], bool] | None, seconds: float | None = None) -> Iterator[None]:
    """In this block, :func:`pause` can end early in this thread.

    Args:
        stop: called during a pause; the pause ends when it returns true. None if nothing stops it.
        seconds: the number of seconds from now after which there are no more pauses; None for no limit.
    """
    token = _bounds.set(_Bounds(stop, None if seconds is None else time.monotonic() + seconds))
    try:
        yield
    finally:
        _bounds.reset(token)


def given_up_on() -> bool:
    """Return whether the caller has given up: it was stopped, or its time is over."""
    bounds = _bounds.get()
    return (bounds.until is not None and time.monotonic() >= bounds.until) or (
        bounds.stop is not None and bounds.stop()
    )


def pause(seconds: float) -> bool:
    """Wait between two calls or two polls. Runners use this instead of ``time.sleep``.

    Args:
        seconds: the length of the pause.

    Returns:
        Whether to continue. If False, the waiting caller has given up: raise an :class:`OutageError`, as if the time
        were over.
    """
    bounds = _bounds.get()
    end = time.monotonic() + seconds
    if bounds.until is not None and end > bounds.until:
        return False
    if bounds.stop is None:
        time.sleep(seconds)
        return True
    while not bounds.stop():
        left = end - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(left, _SLICE))
    return False


class Backoff:
    """The pauses between repeated calls, each up to twice as long as the previous one, until the time is over.

    ::

        backoff = Backoff(60)
        while True:
            try:
                return call()
            except OutageError:
                if not backoff.wait():
                    raise

    Args:
        total: the seconds from now after which the call is not repeated; None for no limit.
        first: the maximum seconds of the first pause.
        longest: the maximum seconds of any pause.

    Attributes:
        longest: the maximum seconds of any pause.
    """

    def __init__(self, total: float | None, first: float = 0.5, longest: float = 30.0) -> None:
        self._over = None if total is None else time.monotonic() + total
        self._most = min(first, longest)
        self.longest = longest

    def next(self, at_least: float = 0.0) -> float | None:
        """Return the seconds of the next pause, with jitter so that many callers do not return at once. Return None if
        the time is over before the pause ends.

        Args:
            at_least: the minimum seconds that the service requests, for example in ``Retry-After``.
        """
        seconds = max(at_least, self._most * _JITTER.uniform(0.5, 1.0))
        self._most = min(self.longest, 2 * self._most)
        return None if self._over is not None and time.monotonic() + seconds >= self._over else seconds

    def wait(self, at_least: float = 0.0) -> bool:
        """Make the next pause.

        Args:
            at_least: as in :meth:`next`.

        Returns:
            Whether to repeat the call. False if the time is over or the caller has given up; see :func:`pause`.
        """
        seconds = self.next(at_least)
        return seconds is not None and pause(seconds)


def retrying(
    call: Callable[[], T],
    transient: Callable[[Exception], bool],
    about: str,
    seconds: float = 60.0,
    at_least: Callable[[Exception], float] = lambda error: 0.0,
) -> T:
    """Make a call of a service, again and again while it fails for a passing reason.

    ::

        retrying(lambda: client.list(label), lambda error: error.status in (429, 503), "list the jobs")

    Args:
        call: a function without arguments. It may be called several times, so it must not do its work twice.
        transient: returns whether an error may pass. All other errors are raised at once.
        about: the purpose of the call, for messages.
        seconds: how long to repeat it.
        at_least: returns the minimum seconds that the service requests before the next call.

    Raises:
        OutageError: the error did not pass in time, or the wait for it was stopped.
    """
    backoff = Backoff(seconds)
    while True:
        try:
            return call()
        except Exception as error:
            if not transient(error):
                raise
            if not backoff.wait(at_least(error)):
                raise OutageError(f"the service does not answer ({about}): {type(error).__name__}: {error}") from error


def unless_stopped(
    call: Callable[[], T], stop: Callable[[], bool] | None, about: str, late: Callable[[T], None] | None = None
) -> T:
    """Make a call that may hang, and wait for its answer until the wait is stopped.

    Args:
        call: a function without arguments. If the wait can be stopped, it runs in its own thread, and its pauses end
            when the wait is stopped.
        stop: called while the call runs; the wait stops when it returns true. None to make the call in this thread.
        about: the purpose of the call, for messages.
        late: receives an answer that arrives after the stop.

    Raises:
        OutageError: the wait was stopped before there was an answer.
    """
    if stop is None:
        return call()
    answer: list[T] = []
    raised: list[BaseException] = []
    done, lock, abandoned = threading.Event(), threading.Lock(), False

    def made() -> None:
        try:
            value = call()
        except BaseException as error:  # it is raised in the thread that waits for the answer
            raised.append(error)
            done.set()
            return
        with lock:
            answer.append(value)
            done.set()
            is_late = abandoned
        if is_late and late is not None:
            try:
                late(value)
            except Exception as error:
                logger.warning("%s was stopped, and its answer came later: %s", about, error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_within, stop, made), name="starlake-call", daemon=True).start()
    stopped_at: float | None = None
    while not done.wait(_SLICE):
        if stopped_at is None and stop():
            stopped_at = time.monotonic()
        if stopped_at is not None and time.monotonic() - stopped_at >= _LAST_SECONDS:
            with lock:
                abandoned = not done.is_set()
            if abandoned:
                raise OutageError(
                    f"{about} was stopped before there was an answer; it is not known whether it was done"
                )
    if raised:
        raise raised[0]
    return answer[0]


def _within(stop: Callable[[], bool], call: Callable[[], None]) -> None:
    with pausing(stop):
        call()

"""Ends a check that takes too long, whatever the plugin waits for."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["PATIENCE", "at_most", "patience", "uncounted", "within"]

PATIENCE = "STARLAKE_KIT_PATIENCE"
"""An environment variable: by how much the time limits of checks are multiplied."""


def patience() -> float:
    """Return by how much time limits are multiplied: more on a machine that does other things too."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 1.0
    return float(os.environ.get(PATIENCE, "1")) * max(1.0, load)


def within(seconds: float) -> float:
    """Return for how long to wait for something inside a check: shorter than the check may still take, so that the check
    can say what did not happen.

    Args:
        seconds: the time on a machine that does nothing else.
    """
    left = signal.getitimer(signal.ITIMER_REAL)[0] if hasattr(signal, "getitimer") else 0.0
    wanted = seconds * patience()
    return min(wanted, 0.8 * left) if left else wanted


@contextmanager
def at_most(seconds: float, what: str) -> Iterator[None]:
    """Fail in this block as soon as it takes too long. Only the main thread can be interrupted; in others, nothing happens.

    A limit outside this block (that of pytest-timeout, for example) stays in force.

    Args:
        seconds: the time.
        what: what takes too long, for the message.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    seconds *= patience()

    def over(number: int, frame: FrameType | None) -> None:
        import pytest  # not in the processes that need no limit

        pytest.fail(f"{what} takes more than {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, over)
    began = time.monotonic()
    # Once more every second, because the plugin may catch what is raised.
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(0.01, left - (time.monotonic() - began)), interval)


@contextmanager
def uncounted() -> Iterator[None]:
    """Do not count the time in this block, which is that of the kit and not of the plugin."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        if left:
            signal.setitimer(signal.ITIMER_REAL, left, interval)

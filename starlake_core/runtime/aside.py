"""Slow calls, made next to the polls that need their answers."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from ..errors import OutageError

__all__ = ["Aside"]

_THREADS = 8
_REMEMBERED = 4096

T = TypeVar("T")


class Aside:
    """Makes calls in its own threads, so that a slow call delays nothing else. A poll takes the answers that have
    arrived.

    Args:
        seconds: how long a poll waits for all the answers that it needs.
    """

    def __init__(self, seconds: float = 2.0) -> None:
        self._seconds = seconds
        self._asked: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._left: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads = 0
        self._lock = threading.Lock()

    def until(self) -> float:
        """Return the time until which a poll that begins now waits for answers."""
        return time.monotonic() + self._seconds

    def ask(self, about: Hashable, call: Callable[[], T], until: float) -> T:
        """Return the answer of a call. The call is not repeated until its answer was taken.

        Args:
            about: the subject of the call; two calls with the same subject are one.
            call: a function without arguments.
            until: the result of :meth:`until` when the poll began.

        Raises:
            OutageError: there is no answer yet; a later poll takes it.
        """
        with self._lock:
            future = self._asked.get(about)
            if future is None:
                future = self._asked[about] = Future()
                while len(self._asked) > _REMEMBERED:
                    self._asked.popitem(last=False)
                self._left.append((future, call))
                if self._threads < _THREADS:
                    self._threads += 1
                    # Not an executor, because its threads would keep the process alive.
                    threading.Thread(target=self._work, name="starlake-aside", daemon=True).start()
        wait([future], max(0.0, until - time.monotonic()))
        if not future.done():
            raise OutageError("there is no answer yet; still waiting for it")
        with self._lock:
            if self._asked.get(about) is future:
                del self._asked[about]
        value: T = future.result()
        return value

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._left:
                    self._threads -= 1
                    return
                future, call = self._left.popleft()
            try:
                value = call()
            except BaseException as error:  # it is raised in the thread that takes the answer
                future.set_exception(error)
            else:
                future.set_result(value)

"""Answers that may be slow, asked for beside the polls that want them."""

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
    """Makes calls in threads of its own, so that a slow one holds up nothing but itself. A poll takes the answers that are there.

    Args:
        seconds: how long a poll waits for the answers that it wants, in all.
    """

    def __init__(self, seconds: float = 2.0) -> None:
        self._seconds = seconds
        self._asked: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._left: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads = 0
        self._lock = threading.Lock()

    def until(self) -> float:
        """The moment to which a poll that begins now waits for answers."""
        return time.monotonic() + self._seconds

    def ask(self, about: Hashable, call: Callable[[], T], until: float) -> T:
        """The answer of a call. It is made once, until its answer was taken.

        Args:
            about: what it is about; two calls about one thing are one.
            call: without arguments.
            until: what :meth:`until` said when the poll began.

        Raises:
            OutageError: there is no answer yet; it is waited for, and a later poll takes it.
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
                    # No executor: its threads would keep the process from ending.
                    threading.Thread(target=self._work, name="starlake-aside", daemon=True).start()
        wait([future], max(0.0, until - time.monotonic()))
        if not future.done():
            raise OutageError("the answer takes long; it is waited for")
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
            except BaseException as error:  # it is raised where the answer is taken
                future.set_exception(error)
            else:
                future.set_result(value)

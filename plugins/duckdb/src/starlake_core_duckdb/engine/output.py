"""Standard output and standard error of many commands in one process: what a thread writes goes to its own command."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["route", "routed"]

_sinks = threading.local()


class _Routed(io.TextIOBase):
    """A stream that gives what a thread writes to the command of that thread; the rest goes to the stream that was here before."""

    encoding = "utf-8"

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        sink: Callable[[str], None] | None = getattr(_sinks, "sink", None)
        if sink is not None:
            sink(text)
        else:
            stream = getattr(sys, self._name)
            if stream is not None:
                stream.write(text)
                stream.flush()
        return len(text)


def route() -> None:
    """Replace the two streams of this process."""
    sys.stdout = _Routed("__stdout__")
    sys.stderr = _Routed("__stderr__")


@contextmanager
def routed(sink: Callable[[str], None]) -> Iterator[None]:
    """In this block, what this thread writes goes to a function, if :func:`route` was called."""
    before = getattr(_sinks, "sink", None)
    _sinks.sink = sink
    try:
        yield
    finally:
        _sinks.sink = before

"""The output streams of the command line. A closed, full, slow or broken output never stops the work."""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

__all__ = ["Output", "install", "output_lost"]

_LONGEST_QUEUE = 5_000


class Output:
    """A text stream that hides errors from the code that writes to it.

    Args:
        stream: the underlying stream; None if its descriptor was closed, as in Python.

    Attributes:
        trouble: why writing failed; None if it has not.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._queue: queue.Queue[str] | None = None
        self._left_out = 0
        self.trouble: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_stream"] if self.__dict__["_stream"] is not None else _NOWHERE, name)

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        with contextlib.suppress(OSError, ValueError):
            return self._stream is not None and self._stream.isatty()
        return False

    def writable(self) -> bool:
        """Return True, because writing never fails."""
        return True

    def write(self, text: str) -> int:
        """Write text, now or a little later. Text that cannot be written is dropped."""
        waiting = self._queue
        if waiting is None:
            self._put(text)
        else:
            try:
                waiting.put_nowait(text)
            except queue.Full:
                self._left_out += 1
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several strings."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the underlying stream."""
        if self._queue is None:
            self._guarded(lambda stream: stream.flush())

    @contextlib.contextmanager
    def in_background(self) -> Iterator[None]:
        """In this block, writing does not wait for a slow reader (a pager, a paused terminal).

        At its end everything is written, or was left out because too much was waiting. By then there is nothing else to
        do.
        """
        waiting: queue.Queue[str] = queue.Queue(_LONGEST_QUEUE)
        done = threading.Event()

        def pump() -> None:
            while not (done.is_set() and waiting.empty()):
                with contextlib.suppress(queue.Empty):
                    self._put(waiting.get(timeout=0.1))
                    if waiting.empty():
                        self._guarded(lambda stream: stream.flush())

        thread = threading.Thread(target=pump, name="starlake-output", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # without a thread, write directly
            yield
            return
        self._queue = waiting
        try:
            yield
        finally:
            self._queue = None
            done.set()
            thread.join()
            if self._left_out:
                self._put(f"[{self._left_out} pieces of output were left out, because nothing read them]\n")
                self._left_out = 0
            self.flush()

    def _put(self, text: str) -> None:
        def write(stream: TextIO) -> None:
            try:
                stream.write(text)
            except UnicodeEncodeError:
                encoding = stream.encoding or "ascii"
                stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

        self._guarded(write)

    def _guarded(self, use: Callable[[TextIO], object]) -> None:
        if self._stream is None or self.trouble is not None:
            return
        try:
            use(self._stream)
        except (OSError, ValueError) as error:
            self.trouble = error
            # The interpreter must not try again to write the buffer when it exits, and fail again.
            with contextlib.suppress(OSError, ValueError):
                descriptor = self._stream.fileno()
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)

    @property
    def lost(self) -> str:
        """Return why wanted output was lost; empty if none was lost, or if the reader closed the stream."""
        if self.trouble is None or (isinstance(self.trouble, OSError) and self.trouble.errno == errno.EPIPE):
            return ""
        return str(self.trouble)


class _Nowhere:
    """Stands in for a closed stream."""

    encoding = "utf-8"
    errors = "replace"
    closed = False

    def fileno(self) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


_NOWHERE = _Nowhere()


def install() -> None:
    """Make it safe to write to the streams of this process, whatever state they are in."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # Otherwise the next opened file would get this descriptor, and output would be written into it.
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, Output):
            setattr(sys, name, Output(stream))


def output_lost() -> str:
    """Return why wanted output was lost; empty if none was lost."""
    if isinstance(sys.stdout, Output):
        sys.stdout.flush()
        return sys.stdout.lost
    return ""

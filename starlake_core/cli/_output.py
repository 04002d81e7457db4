"""The streams of the command line. What becomes of the output never decides what happens: closed, full, slow or broken, the work goes on."""

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
    """A text stream whose troubles do not reach who writes to it.

    Args:
        stream: what is written to; None for none, as Python has it where the descriptor was closed.

    Attributes:
        trouble: why it could not be written to; None as long as it could.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._queue: queue.Queue[str] | None = None
        self._left_out = 0
        self.trouble: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_stream"] if self.__dict__["_stream"] is not None else _NOWHERE, name)

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        with contextlib.suppress(OSError, ValueError):
            return self._stream is not None and self._stream.isatty()
        return False

    def writable(self) -> bool:
        """It always is."""
        return True

    def write(self, text: str) -> int:
        """Write, now or a little later; what cannot be written is dropped."""
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
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand on what is kept."""
        if self._queue is None:
            self._guarded(lambda stream: stream.flush())

    @contextlib.contextmanager
    def in_background(self) -> Iterator[None]:
        """While this block is open, who writes does not wait for who reads (a pager, a terminal that was told to pause).

        At its end everything is written, or was left out because too much waited; by then there is nothing else to do.
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
        except RuntimeError:  # no thread: then as without this block
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
                self._put(f"[{self._left_out} pieces of output were left out, because nobody read them]\n")
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
            # What is still in its buffer must not be tried again, and fail again, when the interpreter ends.
            with contextlib.suppress(OSError, ValueError):
                descriptor = self._stream.fileno()
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)

    @property
    def lost(self) -> str:
        """Why output was lost that somebody wants; empty where nothing was, or where the reader went away."""
        if self.trouble is None or (isinstance(self.trouble, OSError) and self.trouble.errno == errno.EPIPE):
            return ""
        return str(self.trouble)


class _Nowhere:
    """What a closed stream is like."""

    encoding = "utf-8"
    errors = "replace"
    closed = False

    def fileno(self) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


_NOWHERE = _Nowhere()


def install() -> None:
    """Make the streams of this process safe to write to, whatever they are."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The next file that is opened would get this number, and what is printed would be written into it.
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, Output):
            setattr(sys, name, Output(stream))


def output_lost() -> str:
    """Why something of the output that somebody wants is lost; empty where nothing is."""
    if isinstance(sys.stdout, Output):
        sys.stdout.flush()
        return sys.stdout.lost
    return ""

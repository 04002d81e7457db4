"""What a command finds around it: nothing in a process of its own, and other commands in the warm engine.

A command asks here before it waits, and before it writes a table. In a process of its own nothing happens: it is the only writer of its
database. In the warm engine, several commands share one instance of DuckDB.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from .errors import caused_by

if TYPE_CHECKING:
    from .context import Context
    from .driver import duckdb
    from .memory import Memory

__all__ = ["ALL_LOADS", "Interruption", "NeedsProcess", "Surroundings", "found", "retried", "surrounded", "writing"]

T = TypeVar("T")
ALL_LOADS = ("starlake_core", "sl_batch")
"""What every load writes: its batch."""
_PAUSES = (0.01, 0.05, 0.2, 0.5, 1.0)
_LONGER = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0)
"""The pauses after those, for transactions that exclude each other: the other one may take its time."""


class Interruption(BaseException):
    """Ends a command as the end of its process would: nothing catches it, and nothing is written about it."""


class NeedsProcess(Interruption):
    """The command needs a process of its own; nothing is done."""


class Surroundings(Protocol):
    """What the warm engine offers to a command.

    Attributes:
        memory: what is known about the connected database.
    """

    memory: Memory

    def check(self) -> None:
        """End the command if it is cancelled.

        Raises:
            Interruption: it is.
        """
        ...

    def connect(self, context: Context, path: Path) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection to the shared instance of a database."""
        ...

    def hold(self, path: Path, names: Sequence[tuple[str, str]]) -> AbstractContextManager[None]:
        """Be the only command that writes some tables of a database."""
        ...


_found: ContextVar[Surroundings | None] = ContextVar("starlake_core_duckdb_surroundings", default=None)


def found() -> Surroundings | None:
    """The surroundings of this command; None in a process of its own."""
    return _found.get()


@contextmanager
def surrounded(surroundings: Surroundings) -> Iterator[None]:
    """In this block, and in this thread, commands find these surroundings."""
    token = _found.set(surroundings)
    try:
        yield
    finally:
        _found.reset(token)


def writing(path: Path, names: Sequence[tuple[str, str]]) -> AbstractContextManager[None]:
    """In this block, no other command writes these tables.

    Args:
        path: the database.
        names: schemas and names of the tables.
    """
    surroundings = found()
    return nullcontext() if surroundings is None else surroundings.hold(path, names)


def retried(once: Callable[[], T], done: Callable[[], bool]) -> T:
    """Repeat a transaction that another command of the same instance has prevented.

    Args:
        once: the transaction. If DuckDB refuses it, nothing of it has happened.
        done: whether it has happened all the same, which a repeat would double.
    """
    from .driver import duckdb

    surroundings = found()
    for number, pause in enumerate((*_PAUSES, *_LONGER) if surroundings is not None else ()):
        try:
            return once()
        except Exception as error:
            if not caused_by(error, duckdb.TransactionException) or done():
                raise
            if number >= len(_PAUSES) and "conflict" not in str(error).casefold():
                raise
        assert surroundings is not None
        surroundings.check()
        time.sleep(pause)
    return once()

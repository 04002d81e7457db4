"""The program of a :class:`~starlake_core.testing.StandIn`: what one call does.

It is started for every command of a test. It imports little (not even pathlib), so that most of a call is not the import of what it does not use.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from ..contract import parse_arguments
from ..errors import ContractError
from .subjects import subject

__all__ = ["ALIVE", "CHILD", "RUNNING", "Step", "main"]

ALIVE = "alive"
"""A pipe that nobody writes to: reading from it ends when the stand-in is closed."""
CHILD = "child"
"""A file that exists when a call has started a process of its own."""
RUNNING = "running"
"""A folder of files named after processes, each locked by its process."""


@dataclass(frozen=True)
class Step:
    """What one call does.

    Attributes:
        lines: the lines that it writes first.
        tells: the names of environment variables whose values it writes.
        exit_code: its exit code.
        not_ready: a check finds nothing: it writes its marker and exits with 0, or with 1 if it has no marker.
        goes_on: it never ends by itself.
        child: it first starts a process of its own, in its group, which never ends by itself either.
        at: if the stand-in handles the areas of a project (:meth:`StandIn.keep`), the one of ``MOMENTS`` at which
            something happens.
        how: what happens then: ``fails`` (exit code 1), ``dies``, ``worker dies`` (the process that started it), or
            ``goes on`` until it is stopped.
    """

    lines: tuple[str, ...] = ()
    tells: tuple[str, ...] = ()
    exit_code: int = 0
    not_ready: bool = False
    goes_on: bool = False
    child: bool = False
    at: str = ""
    how: str = "fails"


def _note(folder: str, about: str, arguments: Sequence[str]) -> int:
    """Record the call, and return how many came before it about the same subject."""
    line = {
        "subject": about,
        "arguments": list(arguments),
        "env": dict(os.environ),
        "folder": os.getcwd(),
        "process": os.getpid(),
    }
    with open(os.path.join(folder, "calls.jsonl"), "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        earlier = sum(1 for text in file if json.loads(text)["subject"] == about)
        file.write(json.dumps(line) + "\n")
    return earlier


def _go_on(folder: str) -> None:
    with contextlib.suppress(OSError):
        pipe = os.open(os.path.join(folder, ALIVE), os.O_RDONLY | os.O_NONBLOCK)  # would wait for a writer otherwise
        os.set_blocking(pipe, True)
        os.read(pipe, 1)


def _start_child(folder: str) -> None:
    """Start a process that holds the lock of this one, so that the call counts as running until both have ended."""
    if os.fork() == 0:
        _touch(os.path.join(folder, CHILD))
        _go_on(folder)
        os._exit(0)


def _touch(path: str) -> None:
    with open(path, "a"):
        pass


def _running(folder: str) -> IO[str]:
    """Lock the file of this process, until it is closed."""
    os.makedirs(os.path.join(folder, RUNNING), exist_ok=True)
    file = open(os.path.join(folder, RUNNING, str(os.getpid())), "a")  # noqa: SIM115
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _scenario(folder: str, about: str, number: int) -> Step:
    with contextlib.suppress(FileNotFoundError), open(os.path.join(folder, "scenario.json"), encoding="utf-8") as file:
        steps = json.load(file).get(about)
        if steps:
            found = steps[min(number, len(steps) - 1)]
            return Step(**{**found, "lines": tuple(found["lines"]), "tells": tuple(found["tells"])})
    return Step()


def main(folder: str, arguments: Sequence[str]) -> int:
    """Run the program for one call.

    Args:
        folder: the folder of its :class:`StandIn`.
        arguments: the command and its arguments.

    Returns:
        The exit code.
    """
    with _running(folder):
        return _call(folder, arguments)


def _call(folder: str, arguments: Sequence[str]) -> int:
    about = subject(arguments)
    number = _note(folder, about, arguments)
    try:
        values = parse_arguments(arguments).values
    except ContractError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    step = _scenario(folder, about, number)
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for line in (*step.lines, *(os.environ.get(name, "") for name in step.tells)):
        sys.stdout.write(line + "\n")
    sys.stdout.flush()
    if step.child:
        _start_child(folder)
    if step.goes_on:
        _go_on(folder)
        return 143
    not_ready = step.not_ready
    kept = os.path.join(folder, "tables.json")
    if os.path.exists(kept) and not step.exit_code and not not_ready:
        from .areas import Failure, TableModel, act

        with open(kept, encoding="utf-8") as file:
            tables = [TableModel(**each) for each in json.load(file)]
        try:
            not_ready = not act(arguments[0], values, tables, step.at, step.how, lambda: _go_on(folder))
        except Failure as failure:
            sys.stdout.write(f"{failure}\n")
            return 1
    if not not_ready:
        return step.exit_code
    marker = values.get("notReadySentinel")
    if marker is None:
        return 1
    _touch(marker)
    return 0

"""A stand-in for the Starlake command line. It is strict about arguments, moves files as Starlake does, and fails
according to a script."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..contract import parse_arguments
from ..errors import ContractError
from ..model.command import Command
from ..model.job import Job
from ..options import GeneralOptions, Options
from ..plugins.hookspecs import hookimpl
from ..runtime import ProcessRunner, Runner
from .areas import Failure, TableModel, act
from .subjects import subject

__all__ = ["Call", "StandIn", "StandInEnvironment", "Step", "main"]


@dataclass(frozen=True)
class Step:
    """What one call does.

    Attributes:
        lines: the lines that it writes first.
        tells: the names of environment variables whose values it writes.
        exit_code: its exit code.
        not_ready: a check finds nothing: it writes its marker and exits with 0, or with 1 if it has no marker.
        goes_on: it never ends by itself.
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
    at: str = ""
    how: str = "fails"


@dataclass(frozen=True)
class Call:
    """A call, as the program saw it.

    Attributes:
        subject: the subject of the call.
        arguments: the command and its arguments.
        env: all environment variables.
        folder: the working directory.
    """

    subject: str
    arguments: tuple[str, ...]
    env: dict[str, str]
    folder: str


# sh starts Python, because the first line of a script is limited in length and cannot have spaces in the path.
_SCRIPT = """\
#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
import sys

sys.path.insert(0, {package!r})
from starlake_core.testing.stand_in import main

sys.exit(main({folder!r}, sys.argv[1:]))
"""


class StandIn:
    """The program in a folder, its script and its calls.

    Args:
        folder: the folder of the program; created if it does not exist.

    Attributes:
        path: the path of the executable.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._steps: dict[str, list[dict[str, Any]]] = {}
        self.path = folder / "starlake"
        package = Path(__file__).resolve().parents[2]
        script = _SCRIPT.format(python=shlex.quote(sys.executable), package=str(package), folder=str(folder))
        self.path.write_text(script, encoding="utf-8")
        self.path.chmod(0o755)

    def script(self, about: str, *steps: Step) -> None:
        """Set what the calls about a subject do, one after the other. The last step also applies to all further calls.

        Args:
            about: the subject, such as ``load:sales.orders``; see :func:`starlake_core.testing.subject`.
            steps: what each call does.
        """
        self._steps[about] = [asdict(step) for step in steps]
        (self._folder / "scenario.json").write_text(json.dumps(self._steps), encoding="utf-8")

    def keep(self, *tables: TableModel) -> None:
        """From now on, handle the areas of the project in SL_ROOT as Starlake does: files move, and rows arrive in a :class:`Warehouse`.

        Args:
            tables: the tables of the project.
        """
        (self._folder / "tables.json").write_text(json.dumps([asdict(table) for table in tables]), encoding="utf-8")

    def calls(self, about: str | None = None) -> list[Call]:
        """Return the calls so far, in order.

        Args:
            about: return only calls about this subject.
        """
        try:
            lines = (self._folder / "calls.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        calls = [Call(d["subject"], tuple(d["arguments"]), d["env"], d["folder"]) for d in map(json.loads, lines)]
        return [call for call in calls if about is None or call.subject == about]


def _note(folder: Path, about: str, arguments: Sequence[str]) -> int:
    """Record the call, and return how many came before it about the same subject."""
    line = {"subject": about, "arguments": list(arguments), "env": dict(os.environ), "folder": os.getcwd()}
    with (folder / "calls.jsonl").open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        earlier = sum(1 for text in file if json.loads(text)["subject"] == about)
        file.write(json.dumps(line) + "\n")
    return earlier


def _scenario(folder: Path, about: str, number: int) -> Step:
    with contextlib.suppress(FileNotFoundError):
        steps = json.loads((folder / "scenario.json").read_text(encoding="utf-8")).get(about)
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
    about = subject(arguments)
    number = _note(Path(folder), about, arguments)
    try:
        values = parse_arguments(arguments).values
    except ContractError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    step = _scenario(Path(folder), about, number)
    for line in (*step.lines, *(os.environ.get(name, "") for name in step.tells)):
        sys.stdout.write(line + "\n")
    sys.stdout.flush()
    while step.goes_on:
        signal.pause()
    not_ready = step.not_ready
    kept = Path(folder) / "tables.json"
    if kept.exists() and not step.exit_code and not not_ready:
        tables = [TableModel(**each) for each in json.loads(kept.read_text(encoding="utf-8"))]
        try:
            not_ready = not act(arguments[0], values, tables, step.at, step.how)
        except Failure as failure:
            sys.stdout.write(f"{failure}\n")
            return 1
    if not not_ready:
        return step.exit_code
    marker = values.get("notReadySentinel")
    if marker is None:
        return 1
    Path(marker).touch()
    return 0


class StandInEnvironment:
    """A minimal plugin object that runs Starlake commands as processes of a given program.

    Args:
        program: the path of the program.
    """

    name = "stand_in"

    def __init__(self, program: Path) -> None:
        self.program = program

    @hookimpl
    def sl_create_job(self, command: Command, options: Options) -> Job:
        """Return a job that names the program."""
        return Job("stand_in", command.vector, options[GeneralOptions].sl_env_var, {"program": str(self.program)})

    @hookimpl
    def sl_create_runner(self, job: Job) -> Runner:
        """Return a runner of processes."""
        return ProcessRunner(lambda job: (job.spec["program"], *job.arguments), missing="It stands in for Starlake")

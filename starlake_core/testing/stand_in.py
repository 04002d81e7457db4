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
import time
import weakref
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..model.command import Command
from ..model.job import Job
from ..options import GeneralOptions, Options
from ..plugins.hookspecs import hookimpl
from ..runtime import ProcessRunner, Runner
from .areas import TableModel
from .stand_in_program import ALIVE, CHILD, RUNNING, Step

__all__ = ["Call", "StandIn", "StandInEnvironment", "Step"]


@dataclass(frozen=True)
class Call:
    """A call, as the program saw it.

    Attributes:
        subject: the subject of the call.
        arguments: the command and its arguments.
        env: all environment variables.
        folder: the working directory.
        process: the number of its process.
    """

    subject: str
    arguments: tuple[str, ...]
    env: dict[str, str]
    folder: str
    process: int = 0


# sh starts Python, because the first line of a script is limited in length and cannot have spaces in the path. It starts it
# without the packages of the environment (-S), because the program needs none, and looking for them takes as long as a call.
_SCRIPT = """\
#!/bin/sh
'''exec' {python} -I -S "$0" "$@"
' '''
import sys

sys.path.insert(0, {package!r})
for name in ("starlake_core", "starlake_core.testing"):  # without what they export, which takes longer than a call
    sys.modules[name] = type(sys)(name)
    sys.modules[name].__path__ = [sys.path[0] + "/" + name.replace(".", "/")]
from starlake_core.testing.stand_in_program import main

sys.exit(main({folder!r}, sys.argv[1:]))
"""


class StandIn:
    """The program in a folder, its script and its calls.

    A call that never ends by itself does so when this object is closed, or when this process ends.

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
        with contextlib.suppress(FileExistsError):
            os.mkfifo(folder / ALIVE)
        # Calls that do not end by themselves read from it, until nobody can write to it any more.
        self._close = weakref.finalize(self, os.close, os.open(folder / ALIVE, os.O_RDWR | os.O_NONBLOCK))

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
        calls = [
            Call(d["subject"], tuple(d["arguments"]), d["env"], d["folder"], d["process"])
            for d in map(json.loads, lines)
        ]
        return [call for call in calls if about is None or call.subject == about]

    @property
    def has_child(self) -> bool:
        """Whether a call has started a process of its own (:attr:`Step.child`)."""
        return (self._folder / CHILD).exists()

    def running(self, about: str | None = None) -> list[Call]:
        """Return the calls whose processes have not ended; those that they started count too.

        Args:
            about: return only calls about this subject.
        """
        return [call for call in self.calls(about) if self._is_running(call.process)]

    def _is_running(self, process: int) -> bool:
        try:
            with (self._folder / RUNNING / str(process)).open("a") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False

    def close(self) -> list[Call]:
        """End all calls.

        Returns:
            Those that were still running.
        """
        left = self.running()
        self._close()
        deadline = time.monotonic() + 1.0
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.01)
        for call in self.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(call.process, signal.SIGKILL)
        return left


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

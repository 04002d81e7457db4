"""Other processes, in which a runner does what this process asks for."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..model.job import Job
from ..model.outcome import AttemptInfo
from ..model.run import RunKey
from . import time_limits
from .worker_program import read_attempt

__all__ = ["Worker", "Workers", "same_imports"]

_PATIENCE = 18.0
"""More than it waits for the end of an attempt there."""
_START_SECONDS = 120.0
"""How long importing an SDK may take on a machine that is busy."""


def same_imports() -> dict[str, str]:
    """Return environment variables with which another Python finds the modules that this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class Worker:
    """Another process, with its own runner. An error there is an ``AssertionError`` here, which shows it.

    Args:
        number: the number of the process, for messages.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._process = subprocess.Popen(
            [sys.executable, "-m", "starlake_core.testing.worker_program"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=same_imports(),
            start_new_session=True,
        )

    @property
    def is_alive(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def ask(self, what: str, **values: Any) -> None:
        """Send a request, whose answer :meth:`answer` returns."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **values}) + "\n")
        self._process.stdin.flush()

    def answer(self, patience: float | None = None) -> Any:
        """Return the answer to the last request.

        Args:
            patience: the seconds to wait for it; by default, less than a check may take.
        """
        out = self._process.stdout
        assert out is not None
        seconds = time_limits.within(_PATIENCE) if patience is None else patience
        ready, _, _ = select.select([out], [], [], seconds)
        assert ready, f"another process (worker {self._number}) does not answer"
        line = out.readline()
        assert line, f"another process (worker {self._number}) died"
        answer = json.loads(line)
        assert "error" not in answer, f"another process fails: {answer['error']}"
        return answer["value"]

    def _asked(self, what: str, **values: Any) -> Any:
        self.ask(what, **values)
        return self.answer()

    def open(self, environment: Sequence[str], options: Mapping[str, Any], root: str, job: Job) -> None:
        """Create the runner of a job there, with the environment variables of this process.

        Args:
            environment: ``name`` and the entry-point name, or ``module`` and the name of the module.
            options: the options of the orchestration.
            root: SL_ROOT.
            job: the bound job.
        """
        self.ask(
            "open",
            environment=list(environment),
            options=dict(options),
            root=root,
            job=job.to_json(),
            env=dict(os.environ),
        )
        with time_limits.uncounted():
            self.answer(_START_SECONDS)

    def ask_to_start(self, key: RunKey) -> None:
        """Let it start an attempt; :meth:`answer` returns the handle."""
        self.ask("start", key=asdict(key))

    def start(self, key: RunKey) -> str:
        """Start an attempt, as the runtime does."""
        self.ask_to_start(key)
        return str(self.answer())

    def submit(self, key: RunKey) -> str:
        """Submit an attempt."""
        return str(self._asked("submit", key=asdict(key)))

    def find(self, task: str) -> list[AttemptInfo]:
        """Find the attempts of a task."""
        return [read_attempt(found) for found in self._asked("find", task=task)]

    def poll(self, handle: str) -> tuple[str, bool]:
        """Return the verdict of an attempt, or an empty string while it is running; and whether it is being stopped."""
        verdict, stopping = self._asked("poll", handle=handle)
        return str(verdict), bool(stopping)

    def settle(self, handle: str) -> tuple[str, int | None, str]:
        """Wait for the end of an attempt; return its verdict, exit code and the end of its output."""
        verdict, code, tail = self._asked("settle", handle=handle)
        return verdict, code, tail

    def cancel(self, handle: str) -> None:
        """Cancel an attempt."""
        self._asked("cancel", handle=handle)

    def logs(self, handle: str) -> list[str]:
        """Return the output of an attempt."""
        return [str(line) for line in self._asked("logs", handle=handle)]

    def tail(self, handle: str) -> list[str]:
        """Return the end of the output of an attempt."""
        return [str(line) for line in self._asked("tail", handle=handle)]

    def over(self, handle: str) -> str:
        """Return how an attempt ended, as a message; empty while it is running."""
        verdict, _ = self.poll(handle)
        return f"the attempt is {verdict}; its output: {self.logs(handle)}" if verdict else ""

    def kill(self) -> None:
        """Kill the process, as when a worker dies."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()


class Workers:
    """The processes, started when they are needed and kept, because importing an SDK takes long."""

    def __init__(self) -> None:
        self._all: dict[int, Worker] = {}

    def get(self, number: int) -> Worker:
        """Return one of the processes.

        Args:
            number: which one.
        """
        if number not in self._all or not self._all[number].is_alive:
            self._all[number] = Worker(number)
        return self._all[number]

    def close(self) -> None:
        """End all processes."""
        for worker in self._all.values():
            worker.kill()

"""The program of a :class:`~starlake_core.testing.workers.Worker`: answers requests, each a line of JSON."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from ..dsl.orchestration import Orchestration
from ..model.job import Job
from ..model.outcome import AttemptInfo, Outcome, Status, Verdict
from ..model.run import RunKey
from ..runtime import Runner, finish, runner_for, start
from .lab import settle
from .recording import RecordingOrchestrator

__all__ = ["main", "read_attempt"]

_TAIL_LINES = 20


def _plain(found: AttemptInfo) -> dict[str, Any]:
    status = found.status
    return {
        **{name: getattr(found, name) for name in ("attempt", "handle", "instance", "digest")},
        "ended": status.ended,
        "stopping": status.stopping,
    }


def read_attempt(found: Mapping[str, Any]) -> AttemptInfo:
    """Return an attempt that another process found; of its status only whether it has ended or is being stopped."""
    outcome = Outcome(Verdict.LOST) if found["ended"] else None
    status = Status(outcome, stopping=found["stopping"])
    return AttemptInfo(found["attempt"], found["handle"], status, found["instance"], found["digest"])


class _Desk:
    """Answers requests with the runner of one job."""

    runner: Runner
    job: Job

    def open(self, environment: list[str], options: dict[str, Any], root: str, job: str, env: dict[str, str]) -> None:
        os.environ.clear()
        os.environ.update(env)
        kind, name = environment
        self.job = Job.from_json(job)
        if kind == "name":
            self.runner = runner_for(self.job)
            return
        with Orchestration(
            options,
            orchestrator=RecordingOrchestrator(),
            environment=importlib.import_module(name),
            filename=f"{root}/corpus.py",
            namespace={},
        ) as orchestration:
            self.runner = orchestration.plugins.create_runner(self.job)

    def start(self, key: dict[str, Any]) -> str:
        return start(self.job, self.runner, RunKey(**key))

    def submit(self, key: dict[str, Any]) -> str:
        return self.runner.submit(self.job, RunKey(**key))

    def find(self, task: str) -> list[dict[str, Any]]:
        return [_plain(found) for found in self.runner.find(self.job, task)]

    def poll(self, handle: str) -> tuple[str, bool]:
        status = self.runner.poll([handle])[handle]
        return "" if status.outcome is None else str(status.outcome.verdict), status.stopping

    def settle(self, handle: str) -> tuple[str, int | None, str]:
        outcome = finish(self.runner, handle, settle(self.runner, handle))
        return str(outcome.verdict), outcome.exit_code, outcome.tail

    def cancel(self, handle: str) -> None:
        self.runner.cancel(handle)

    def logs(self, handle: str) -> list[str]:
        return list(self.runner.logs(handle, None)[0])

    def tail(self, handle: str) -> list[str]:
        return list(self.runner.tail(handle, _TAIL_LINES))


def main() -> None:
    """Answer until nothing more is asked."""
    desk, out = _Desk(), sys.stdout
    sys.stdout = sys.stderr  # plugins may print
    for line in sys.stdin:
        values = json.loads(line)
        try:
            answer = {"value": getattr(desk, values.pop("do"))(**values)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    main()

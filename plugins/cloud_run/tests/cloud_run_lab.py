"""What the tests of the environment share: a program that does what its variables say, and short ways to look at what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from emulators.cloud_run import CloudRun
from starlake_core_cloud_run.request import run_request
from starlake_core_cloud_run.runner import CloudRunRunner
from starlake_core_cloud_run.state import Execution
from starlake_core_google import Calls

from starlake_core import Command, Job, Orchestration, RunKey
from starlake_core.model.command import load_command
from starlake_core.testing import RecordingOrchestrator
from starlake_core.testing.lab import until

PROGRAM = (
    "/bin/sh",
    "-c",
    """
    if [ -n "$LATE" ]; then trap 'exit 0' TERM; fi
    if [ -n "$SAYS" ]; then echo "$SAYS"; fi
    if [ -n "$TOUCHES" ]; then touch "$TOUCHES"; fi
    if [ -n "$WAITS_FOR" ]; then while [ ! -e "$WAITS_FOR" ]; do sleep 0.02; done; fi
    if [ "$CLOUD_RUN_TASK_ATTEMPT" -lt "${FAILS:-0}" ]; then exit 3; fi
    if [ "$CLOUD_RUN_TASK_INDEX" = "$BAD_TASK" ]; then exit 4; fi
    if [ -n "$DIES" ]; then kill -KILL $$; fi
    exit "${EXIT:-0}"
    """,
    "starlake",
)
LOAD = load_command("load", "sales", "orders")
QUICK = Calls("Cloud Run", attempt_seconds=5.0, total_seconds=20.0, first_pause=0.01)
IMPATIENT = Calls("Cloud Run", attempt_seconds=5.0, total_seconds=0.2, first_pause=0.01)
KEY = RunKey("sales/run-1/load.orders", "1")

MakeJob = Callable[..., Job]
MakeRunner = Callable[..., CloudRunRunner]


class CarelessRunner(CloudRunRunner):
    """The negative control: it looks for no execution of its key and stops no double, so that faults do harm."""

    def _of_key(self, parent: str, key: RunKey, started: str = "") -> str | None:
        return None

    def _after_silence(self, parent: str, key: RunKey) -> str | None:
        return None

    def _stop_double(self, double: Execution, first: Execution) -> None:
        return


def create(options: dict[str, Any], command: Command = LOAD) -> Job:
    """The job of a command with options of the environment."""
    orchestration = Orchestration(
        options, orchestrator=RecordingOrchestrator(), environment="cloud_run", filename="t.py", namespace={}
    )
    # These tests are about attempts: what a load may not do twice is tested elsewhere.
    return replace(
        orchestration.plugins.create_job(command=command, options=orchestration.options), retry_unsafe="blind"
    )


def run_outside(runner: CloudRunRunner, job: Job, key: RunKey) -> str:
    """Start an execution without looking for any: as a process does whose answer is lost, or another one at the same moment."""
    return str(runner._client.run(run_request(job.spec, job.arguments, job.env, key)).name)


def ends(emulator: CloudRun) -> list[str]:
    """How all executions ended, the oldest first; waits for that."""
    until(lambda: all(told.completion_time for told in emulator.executions()), "all executions have ended")
    return [
        "succeeded" if told.succeeded_count else "cancelled" if told.cancelled_count else "failed"
        for told in emulator.executions()
    ]

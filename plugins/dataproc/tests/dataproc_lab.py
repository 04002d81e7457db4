"""What the tests of the environment ``dataproc`` share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from emulators.dataproc import Dataproc

from starlake_core import Command, DataInterval, Job, Orchestration, Run, RunKey
from starlake_core.model.command import load_command, preload_command
from starlake_core.runtime import Runner, runner_for
from starlake_core.testing import RecordingOrchestrator

DAY = datetime(2026, 11, 3, tzinfo=timezone.utc)
RUN = Run("starbake_load", "scheduled__2026-11-03", DataInterval(DAY - timedelta(days=1), DAY))
ATTEMPT = RUN.attempt("starbake.load_orders")
KEY = RunKey("starbake_load/scheduled__2026-11-03/starbake.load_orders", "1")
PLACE: Mapping[str, Any] = {
    "dataproc_project_id": "my-project",
    "spark_jar_list": "gs://jars/starlake.jar,gs://jars/more.jar",
    "spark_bucket": "my-bucket",
}
LOAD = load_command("load_orders", "starbake", "orders")
CHECK = preload_command("check", "starbake", ("orders",), "imported")


def opened(options: Mapping[str, Any]) -> Orchestration:
    """An orchestration that renders nothing."""
    return Orchestration(
        options, orchestrator=RecordingOrchestrator(), environment="dataproc", filename="lab.py", namespace={}
    )


def job_of(options: Mapping[str, Any], command: Command = LOAD, *, check: bool = False) -> Job:
    """The bound job of a command."""
    orchestration = opened(options)
    job = orchestration.plugins.create_job(command=command, options=orchestration.options)
    # These tests are about attempts: what a load may not do twice is tested elsewhere.
    return replace(job, check=check, retry_unsafe="blind").bind(ATTEMPT)


def runner_of(job: Job) -> Runner:
    """A new runner, as another process has it."""
    made = opened(PLACE).plugins.create_runner(job)
    return made


def program(*script: str) -> tuple[str, ...]:
    """A driver that is a script of sh; the arguments of the job are its own."""
    return ("/bin/sh", "-c", "\n".join(script), "driver")


def sh(emulator: Dataproc, *script: str) -> None:
    """Let the drivers that start from now on be a script."""
    emulator.containers.program = program(*script)


__all__ = [
    "ATTEMPT",
    "CHECK",
    "DAY",
    "KEY",
    "LOAD",
    "PLACE",
    "RUN",
    "job_of",
    "opened",
    "program",
    "runner_for",
    "runner_of",
    "sh",
]

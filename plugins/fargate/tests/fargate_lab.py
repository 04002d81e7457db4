"""Short ways to make jobs and runners of an emulator whose containers run what the variable DO says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from emulators.ecs import BUCKET, Ecs
from starlake_core_fargate.client import AwsClient
from starlake_core_fargate.runner import FargateRunner

from starlake_core import Command, Job, Orchestration, RunKey
from starlake_core.model.command import load_command
from starlake_core.runtime import Outcome
from starlake_core.testing import RecordingOrchestrator
from starlake_core.testing.lab import an_attempt, settle

PROGRAM = ("/bin/sh", "-c", 'eval "${DO:-true}"', "starlake")
KEY = RunKey("sales/run-1/load_orders", "1")
ROOT = f"s3://{BUCKET}/project"


def orchestration(options: Mapping[str, Any]) -> Orchestration:
    return Orchestration(
        options, orchestrator=RecordingOrchestrator(), environment="fargate", filename="p.py", namespace={}
    )


class Lab:
    """The emulator, with jobs and runners."""

    def __init__(self, ecs: Ecs) -> None:
        self.ecs = ecs
        self.options: dict[str, Any] = {**ecs.options, "fargate_async_poke_interval": 0.02}
        self.command: Command = load_command("load_orders", "sales", "orders")

    def job(self, do: str = "true", env: Mapping[str, str] | None = None, **options: Any) -> Job:
        """A bound job whose container runs a line of shell; its arguments are ``$1`` and so on."""
        given = {**self.options, "sl_env_var": {"SL_ROOT": ROOT, "DO": do, **(env or {})}, **options}
        opened = orchestration(given)
        made = opened.plugins.create_job(command=self.command, options=opened.options)
        # These tests are about attempts: what a load may not do twice is tested elsewhere.
        return replace(made, retry_unsafe="blind").bind(an_attempt())

    def check(self, do: str, sentinel: str = "", root: str = ROOT) -> Job:
        """A bound check."""
        arguments = (
            "--domain",
            "sales",
            "--strategy",
            "imported",
            *(("--notReadySentinel", sentinel) if sentinel else ()),
        )
        command = Command("preload", arguments, "check_sales", "sales")
        opened = orchestration({**self.options, "sl_env_var": {"SL_ROOT": root, "DO": do}})
        return replace(opened.plugins.create_job(command=command, options=opened.options), check=True).bind(
            an_attempt()
        )

    def runner(self, job: Job | None = None, clock: Callable[[], float] | None = None, **service: Any) -> FargateRunner:
        """A runner that has little patience."""
        made = {**(job or self.job()).spec["service"], **service}
        aws = AwsClient(made)
        aws.first_pause, aws.total_seconds = 0.01, 5.0
        return FargateRunner(made, aws, **({"clock": clock} if clock is not None else {}))

    def run(self, job: Job, key: RunKey = KEY) -> Outcome:
        """Run a job to its end."""
        runner = self.runner(job)
        return settle(runner, runner.submit(job, key))

    def object(self, path: str) -> Path:
        """The file that stands for an object of S3."""
        return self.ecs.buckets / path.partition("://")[2]

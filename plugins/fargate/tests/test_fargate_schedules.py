"""Random faults around tasks on Fargate."""

from __future__ import annotations

import os

from emulators.ecs import CREDENTIALS, Ecs
from emulators.fault_suite import FaultSuite


class TestFaults(FaultSuite):
    environment = "fargate"
    emulator_class = Ecs
    submit = "RunTask"
    polls = ("DescribeTasks",)
    preload = ("boto3", "starlake_core_fargate.runner")
    quick = {"fargate_async_poke_interval": 0.05}  # noqa: RUF012

    def prepare(self) -> None:
        os.environ.update(CREDENTIALS)

"""The environment ``fargate`` is an environment like any other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from emulators import conformance
from emulators.ecs import BUCKET, CREDENTIALS, Ecs

from starlake_core.testing import EnvironmentSuite, ServiceFault, StandIn

pytest_plugins = ["starlake_core.testing.plugin"]


class TestFargate(EnvironmentSuite):
    environment = "fargate"
    levels = ("basic", "resumable", "detached", "service")
    forbidden_imports = ("boto3", "botocore")
    option_sets = (
        {},
        {
            "aws_task_private_subnets": [],
            "aws_network_configuration": {"awsvpcConfiguration": {"subnets": ["subnet-89abcdef"]}},
        },
    )
    option_values: Mapping[str, Any] = {
        "aws_task_private_subnets": "subnet-0123abcd",
        "aws_task_security_groups": "sg-0123abcd",
        "aws_region": "us-east-1",
        "aws_endpoint_url": "http://127.0.0.1:1",
        "aws_platform_version": "1.4.0",
        "aws_run_task": {"enableExecuteCommand": True},
        "aws_network_configuration": {"awsvpcConfiguration": {"subnets": ["subnet-4567cdef"]}},
    }

    @pytest.fixture(autouse=True)
    def _emulator(self, tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        with Ecs((str(stand_in.path),), buckets=tmp_path / "buckets") as self.ecs:
            yield

    def environment_options(self, stand_in: StandIn, root: Path) -> Mapping[str, Any]:
        return {
            **self.ecs.options,
            "fargate_async_poke_interval": 0.02,
            "sl_env_var": {"SL_ROOT": f"s3://{BUCKET}/project"},
        }

    def disturb(self, fault: ServiceFault | None) -> bool:
        return conformance.disturb(self.ecs, "RunTask", fault)

    def fault_hits(self) -> int:
        return conformance.fault_hits(self.ecs)

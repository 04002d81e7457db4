"""The environment ``cloud_run`` is an environment like any other; its service is an emulator that runs the stand-in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from emulators import conformance
from emulators.cloud_run import CloudRun

from starlake_core.testing import EnvironmentSuite, ServiceFault, StandIn

pytest_plugins = ["starlake_core.testing.plugin"]


class TestCloudRun(EnvironmentSuite):
    environment = "cloud_run"
    levels = ("basic", "resumable", "detached", "service")
    stops_doubles = True  # Cloud Run has no request ids
    forbidden_imports = ("google", "grpc")
    option_values: Mapping[str, Any] = {
        "cloud_run_job_region": "us-east1",
        "cloud_run_overrides": {"containerOverrides": [{"name": "sidecar", "args": ["quick"]}]},
    }

    @pytest.fixture(autouse=True)
    def _emulated(self, tmp_path: Path, stand_in: StandIn) -> Iterator[None]:
        (tmp_path / "buckets" / "bucket").mkdir(parents=True)
        with CloudRun((str(stand_in.path),), buckets=tmp_path / "buckets") as self.emulator:
            yield

    def environment_options(self, stand_in: StandIn, root: Path) -> Mapping[str, Any]:
        # Where the project is in storage, the marker of a check is there too.
        return {**self.emulator.options, "sl_env_var": {"SL_ROOT": "gs://bucket/project"}}

    def disturb(self, fault: ServiceFault | None) -> bool:
        return conformance.disturb(self.emulator, "RunJob", fault)

    def fault_hits(self) -> int:
        return conformance.fault_hits(self.emulator)

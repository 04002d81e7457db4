"""Random faults around executions of Cloud Run."""

from __future__ import annotations

from typing import Any

import pytest
from emulators.cloud_run import CloudRun
from emulators.fault_suite import FaultSuite
from starlake_core_cloud_run import runner


class TestFaults(FaultSuite):
    environment = "cloud_run"
    emulator_class = CloudRun
    submit = "RunJob"
    preload = ("starlake_core_cloud_run.runner", "google.cloud.run_v2")
    quick = {"cloud_run_async_poke_interval": 0.05}  # noqa: RUF012
    duplicates = True

    def without_dedupe(self, emulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runner, "_LOOKS", False)

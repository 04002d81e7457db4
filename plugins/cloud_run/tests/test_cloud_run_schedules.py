"""Random faults around executions of Cloud Run."""

from __future__ import annotations

from typing import Any

import pytest
from cloud_run_lab import CarelessRunner
from emulators.cloud_run import CloudRun
from emulators.fault_suite import FaultSuite
from starlake_core_cloud_run import runner


class TestFaults(FaultSuite):
    environment = "cloud_run"
    emulator_class = CloudRun
    submit = "RunJob"
    polls = ("GetExecution",)
    preload = ("starlake_core_cloud_run.runner", "google.cloud.run_v2")
    # Longer than the lists of the schedules lag behind; twice as long is shorter than their long runs.
    quick = {"cloud_run_async_poke_interval": 0.05, "cloud_run_list_lag": 0.5, "cloud_run_missing_grace": 60}  # noqa: RUF012
    duplicates = True

    def without_dedupe(self, emulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runner, "CloudRunRunner", CarelessRunner)

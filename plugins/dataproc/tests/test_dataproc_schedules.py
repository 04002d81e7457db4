"""Random faults around jobs of Dataproc."""

from __future__ import annotations

from emulators.dataproc import Dataproc
from emulators.fault_suite import FaultSuite


class TestFaults(FaultSuite):
    environment = "dataproc"
    emulator_class = Dataproc
    submit = "SubmitJob"
    preload = ("starlake_core_dataproc.runner", "google.cloud.dataproc_v1")
    quick = {"dataproc_poll_interval": 0.05}  # noqa: RUF012

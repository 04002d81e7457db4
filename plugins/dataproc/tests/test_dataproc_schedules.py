"""Random faults around jobs and batches of Dataproc."""

from __future__ import annotations

from emulators.dataproc import Dataproc
from emulators.fault_suite import FaultSuite


class TestFaults(FaultSuite):
    environment = "dataproc"
    emulator_class = Dataproc
    submit = "SubmitJob"
    polls = ("GetJob",)
    preload = ("starlake_core_dataproc.runner", "google.cloud.dataproc_v1")
    # The time-out is shorter than the clocks differ.
    quick = {"dataproc_poll_interval": 0.05, "dataproc_job_wait_timeout": 240, "dataproc_missing_grace": 60}  # noqa: RUF012


class TestFaultsOfBatches(TestFaults):
    submit = "CreateBatch"
    polls = ("GetBatch",)
    quick = {**TestFaults.quick, "dataproc_serverless": True, "dataproc_cluster": None}  # noqa: RUF012

"""The environment ``dataproc`` is an environment like any other: jobs on a cluster, in both deploy modes, and batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from breadth import ON_EVERY_VERSION
from emulators import conformance
from emulators.dataproc import Dataproc

from starlake_core.testing import EnvironmentSuite, ServiceFault, StandIn
from starlake_core.testing.environment_build import BuildChecks

pytest_plugins = ["starlake_core.testing.plugin"]


class _Suite(EnvironmentSuite):
    environment = "dataproc"
    levels = ("basic", "resumable", "detached", "service")
    forbidden_imports = ("google", "grpc")
    emulator: Dataproc
    more: Mapping[str, Any]
    submit = "SubmitJob"
    option_sets = (
        {"dataproc_cluster": "existing", "dataproc_serverless": False},
        {"dataproc_cluster": None, "dataproc_serverless": False},
        {"dataproc_cluster": None, "dataproc_serverless": False, "dataproc_secondary_num_workers": 2},
        {"dataproc_cluster": None, "dataproc_serverless": True},
    )
    option_values: Mapping[str, Any] = {
        "dataproc_region": "us-east1",
        "dataproc_image_version": "2.1-debian11",
        "dataproc_zone": "europe-west1-b",
        "dataproc_cluster_properties": {"spark:spark.speculation": "true"},
        "dataproc_master_properties": {"min_cpu_platform": "Intel Skylake"},
        "dataproc_worker_properties": {"min_cpu_platform": "Intel Skylake"},
        "dataproc_secondary_properties": {"min_cpu_platform": "Intel Skylake"},
        "dataproc_serverless_version": "1.2",
        "dataproc_cluster_config": {"softwareConfig": {"optionalComponents": ["JUPYTER"]}},
        "dataproc_batch_config": {"runtimeConfig": {"cohort": "kit"}},
    }

    def repeats(self, check: str) -> bool:
        """Whether a check shows here what it shows in TestDataproc; then it is played in the matrix alone."""
        return False

    @pytest.fixture(autouse=True)
    def _emulator(self, request: pytest.FixtureRequest, stand_in: StandIn, tmp_path: Path) -> Iterator[None]:
        if self.repeats(request.function.__name__) and not ON_EVERY_VERSION:
            pytest.skip("played by TestDataproc; here too with STARLAKE_ON_EVERY_VERSION=1, as the matrix has it")
        with Dataproc((str(stand_in.path),), buckets=tmp_path / "buckets") as self.emulator:
            yield

    def environment_options(self, stand_in: StandIn, root: Path) -> Mapping[str, Any]:
        return {**self.emulator.options, **self.more}

    def disturb(self, fault: ServiceFault | None) -> bool:
        return conformance.disturb(self.emulator, self.submit, fault)

    def fault_hits(self) -> int:
        return conformance.fault_hits(self.emulator)


class TestDataproc(_Suite):
    more: Mapping[str, Any] = {}


class TestDataprocInYarn(_Suite):
    levels = (
        "basic",
        "resumable",
        "detached",
    )  # the calls of the service, and so its faults, are those of TestDataproc
    more: Mapping[str, Any] = {"dataproc_deploy_mode": "cluster"}

    def repeats(self, check: str) -> bool:
        # The same jobs and calls: only where the driver runs differs, so how it gets variables and where its output is.
        differs = ("arrive", "logs", "test_check", "test_failure", "test_success", "another_process", "test_cancel")
        return not any(word in check for word in differs)


class TestDataprocServerless(_Suite):
    submit = "CreateBatch"
    more: Mapping[str, Any] = {"dataproc_serverless": True, "dataproc_cluster": None}

    def repeats(self, check: str) -> bool:
        return check in vars(BuildChecks)  # batches have other calls, and the same jobs

"""Every error that a user can make says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cloud_run_lab import KEY, create
from emulators.cloud_run import JobDefinition
from emulators.faults import Fault, Kind
from starlake_core_cloud_run import plugin

from starlake_core import RunnerError

if TYPE_CHECKING:
    from cloud_run_lab import MakeJob, MakeRunner
    from emulators.cloud_run import CloudRun


def refusal(runner: MakeRunner, job: MakeJob, **options: str) -> str:
    with pytest.raises(RunnerError) as error:
        runner(**options).submit(job(**options), KEY)
    return str(error.value)


def test_a_missing_job(job: MakeJob, runner: MakeRunner) -> None:
    assert refusal(runner, job, cloud_run_job_name="nope") == (
        "Cloud Run: starting job nope: Resource 'nope' of kind 'JOB' in region 'europe-west1' in project 'emulated-project' does not "
        "exist. Create the Cloud Run job in project emulated-project, region europe-west1 (gcloud run jobs deploy), or set "
        "cloud_run_project_id, cloud_run_job_region and cloud_run_job_name to its project, region and name."
    )


def test_a_wrong_region(job: MakeJob, runner: MakeRunner) -> None:
    said = refusal(runner, job, cloud_run_job_region="us-east1")
    assert "in region 'us-east1'" in said
    assert (
        "set cloud_run_project_id, cloud_run_job_region and cloud_run_job_name to its project, region and name" in said
    )


def test_a_wrong_project(job: MakeJob, runner: MakeRunner) -> None:
    """Google does not tell strangers whether something exists."""
    said = refusal(runner, job, cloud_run_project_id="other")
    assert "the role roles/run.viewer (or roles/run.developer) on the job" in said
    assert "If it does not exist: Create the Cloud Run job in project other" in said


def test_a_missing_permission(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    denied = "Permission 'run.jobs.runWithOverrides' denied on resource 'starlake' (or resource may not exist)."
    emulator.faults.plan("RunJob", Fault(Kind.DENIED, message=denied))
    said = refusal(runner, job)
    assert denied.rstrip(".") in said
    assert (
        "Grant the account of this worker the role roles/run.jobsExecutorWithOverrides (or roles/run.developer)" in said
    )


def test_a_wrong_container(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    said = refusal(runner, job, cloud_run_container="nope")
    assert "no container is named 'nope' in the job" in said
    assert "cloud_run_container is 'nope': set it to the name of the container that runs Starlake" in said
    emulator.jobs["starlake"] = JobDefinition(("main", "sidecar"))
    assert "cloud_run_container is not set: set it" in refusal(runner, job)
    assert runner().submit(job(cloud_run_container="main"), KEY)


def test_a_used_up_quota(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.faults.plan("RunJob", Fault(Kind.QUOTA))
    said = refusal(runner, job)
    assert (
        "A quota is used up: request a higher one on the page 'Quotas' of the project, or run fewer tasks at once"
        in said
    )
    assert emulator.faults.calls["RunJob"] == 1


def test_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    place = {"cloud_run_project_id": "p", "cloud_run_job_region": "europe-west1", "cloud_run_job_name": "j"}
    with pytest.raises(RunnerError, match="there are no credentials for Google Cloud") as error:
        plugin.sl_create_runner(create(place))
    for words in ("gcloud auth application-default login", "GOOGLE_APPLICATION_CREDENTIALS", "a service account"):
        assert words in str(error.value)

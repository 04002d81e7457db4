"""Every mistake in the options has a message, when the pipeline is built."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from dataproc_lab import KEY, LOAD, PLACE, job_of, opened, runner_of
from starlake_core_dataproc.options import DataprocOptions

from starlake_core import Job, OptionsError, RunnerError
from starlake_core.options import Option

DEFAULTS = {
    "dataproc_region": "europe-west1",
    "dataproc_subnet": "default",
    "dataproc_image_version": "2.2-debian12",
    "dataproc_master_machine_type": "n1-standard-4",
    "dataproc_master_disk_type": "pd-standard",
    "dataproc_master_disk_size": 1024,
    "dataproc_worker_machine_type": "n1-standard-4",
    "dataproc_worker_disk_type": "pd-standard",
    "dataproc_worker_disk_size": 1024,
    "dataproc_num_workers": 4,
    "dataproc_idle_delete_ttl": 3600,
    "dataproc_name": "dataproc-cluster",
    "dataproc_cluster_metadata": {},
    "spark_job_main_class": "ai.starlake.job.Main",
}


def test_names_and_defaults_are_those_of_earlier_packages() -> None:
    options = {option.name: option for option in DataprocOptions.declared}
    assert {name: options[name].default for name in DEFAULTS} == DEFAULTS
    assert {option.name for option in DataprocOptions.declared if option.required} == {
        "dataproc_project_id",
        "spark_jar_list",
        "spark_bucket",
    }
    assert options["dataproc_project_id"].env == "GCP_PROJECT"
    assert {"cluster_id", "dataproc_worker_num_instances"} <= {
        alias for option in DataprocOptions.declared for alias in option.aliases
    }


def test_every_default_is_a_value_that_the_option_takes() -> None:
    def reads(option: Option) -> bool:
        return option.default is None or option.type.read(option.default) == option.default

    assert [option.name for option in DataprocOptions.declared if not reads(option)] == []


def test_what_is_missing_is_said_at_once() -> None:
    with pytest.raises(OptionsError) as caught:
        opened({})
    assert caught.value.problems == (
        "lab.py: option 'dataproc_project_id' of plugin 'dataproc' is required: The project of the jobs and clusters. "
        "Set it in the options or the environment variable GCP_PROJECT",
        "lab.py: option 'spark_jar_list' of plugin 'dataproc' is required: The jars of the jobs: Starlake and its dependencies. "
        "Set it in the options or the environment variable SL_SPARK_JAR_LIST",
        "lab.py: option 'spark_bucket' of plugin 'dataproc' is required: The bucket for Spark (defaultFS), for the BigQuery connector "
        "(temporaryGcsBucket) and for the markers of checks. Set it in the options or the environment variable SL_SPARK_BUCKET",
    )


def test_the_project_comes_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCP_PROJECT", "from-env")
    options = {name: value for name, value in PLACE.items() if name != "dataproc_project_id"}
    assert job_of(options).spec["project"] == "from-env"


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("spark_jar_list", "", "use at least one URI such as gs://bucket/starlake.jar"),
        ("spark_jar_list", " , ", "use at least one URI such as gs://bucket/starlake.jar, separated by commas"),
        ("spark_jar_list", "starlake.jar", "use at least one URI"),
        ("spark_bucket", "gs://", "use a bucket name, with or without gs://"),
        ("spark_bucket", "gs://bucket/folder", "use a bucket name"),
        (
            "dataproc_cluster_metadata",
            '{"a": 1',
            "use a mapping of strings, or a JSON object such as",
        ),
        (
            "dataproc_cluster_metadata",
            "[1]",
            'use a mapping of strings, or a JSON object such as {"NAME": "value"}',
        ),
        ("dataproc_cluster_metadata", {"a": {"b": 1}}, "use a mapping of strings"),
        ("dataproc_cluster_properties", "x", "use a mapping of strings"),
        (
            "dataproc_master_machine_type",
            "four cores",
            "use a machine type such as n1-standard-4, or the URI of one",
        ),
        ("dataproc_worker_machine_type", "N1", "use a machine type"),
        ("dataproc_worker_disk_type", "ssd", "use a disk type such as pd-standard, pd-balanced or pd-ssd"),
        ("dataproc_worker_disk_size", 1, "use a whole number, at least 10 and at most 65536"),
        ("dataproc_num_workers", "many", "use a whole number"),
        ("dataproc_region", "Europe", "use a region such as europe-west1"),
        (
            "dataproc_subnet",
            "a subnet",
            "use the name of a subnet of the region, or projects/P/regions/R/subnetworks/S",
        ),
        ("dataproc_service_account", "a@b,c@d", "use the e-mail address of one service account"),
        (
            "dataproc_cluster",
            "My_Cluster",
            "use a cluster name: at most 51 lower-case letters, digits and dashes",
        ),
        ("dataproc_name", "x" * 52, "use a cluster name"),
        ("dataproc_idle_delete_ttl", 60, "use 300 s (5m) to 14d, or 0 for never"),
        ("dataproc_labels", {"Team": "x"}, "lower-case letters, digits, - and _"),
        ("dataproc_labels", {"starlake_task": "x"}, "no name that starts with starlake_"),
        ("dataproc_poll_interval", 0, "greater than 0 and less than a day"),
        ("dataproc_poll_interval", "1d", "greater than 0 and less than a day"),
        ("dataproc_deploy_mode", "yarn", "use one of client, cluster"),
        ("dataproc_endpoint", "localhost:1", "use http://host:port or https://host"),
        ("dataproc_secondary_preemptibility", "cheap", "use one of preemptible, spot, non_preemptible"),
    ],
)
def test_a_wrong_value(option: str, value: Any, says: str) -> None:
    with pytest.raises(OptionsError) as caught:
        opened({**PLACE, option: value})
    (problem,) = caught.value.problems
    assert problem.startswith("lab.py: ")
    assert f" is not a valid value for option '{option}' of plugin 'dataproc'" in problem
    assert says in problem


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("dataproc_master_machine_type", "n2-custom-8-32768"),
        ("dataproc_master_machine_type", "custom-6-23040"),
        ("dataproc_master_machine_type", "projects/p/zones/z/machineTypes/n1-standard-4"),
        ("dataproc_master_disk_type", "hyperdisk-balanced"),
        ("dataproc_subnet", "https://www.googleapis.com/compute/v1/projects/p/regions/r/subnetworks/s"),
        ("dataproc_region", "northamerica-northeast1"),
        ("dataproc_project_id", "example.com:my-project"),
        ("dataproc_poll_interval", "0.05"),
        ("dataproc_poll_interval", "5s"),
        ("dataproc_cluster_properties", {"spark-env:SPARK_LOCAL_DIRS": "/tmp", "dataproc:dataproc.x": True}),
        ("dataproc_cluster_metadata", {"1st-key": 1}),
        ("dataproc_idle_delete_ttl", "1h"),
    ],
)
def test_a_right_value(option: str, value: Any) -> None:
    opened({**PLACE, option: value})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"dataproc_cluster": "c", "dataproc_serverless": True},
            "option 'dataproc_cluster' ('c') and option 'dataproc_serverless'",
        ),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError) as caught:
        job_of({**PLACE, **options})
    assert says in str(caught.value)


def test_jobs_of_one_place_share_a_runner() -> None:
    one, other = job_of(PLACE), job_of({**PLACE, "dataproc_cluster": "c", "dataproc_serverless": False})
    assert one.endpoint == other.endpoint
    for option, value in (
        ("dataproc_region", "us-central1"),
        ("dataproc_project_id", "other"),
        ("dataproc_poll_interval", 1),
    ):
        assert job_of({**PLACE, option: value}).endpoint != one.endpoint


def test_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    with pytest.raises(
        RunnerError, match=r"there are no credentials for Google Cloud.*gcloud auth application-default login"
    ):
        runner_of(job_of(PLACE))


def test_a_command_for_people_hides_secrets() -> None:
    options = {
        **PLACE,
        "dataproc_endpoint": "http://127.0.0.1:1",
        "sl_env_var": {"DB_PASSWORD": "hunter2-and-more", "SL_ROOT": "gs://b/x y", "LIST": "1,2"},
        "dataproc_labels": {"team": "sales"},
    }
    job = job_of(options)
    described = runner_of(job).describe(job)  # type: ignore[attr-defined]
    assert described.startswith(
        "gcloud dataproc jobs submit spark --project=my-project --region=europe-west1 --cluster=dataproc-cluster-"
    )
    assert "hunter2" not in described
    assert described.endswith(
        " -- load --scheduledDate 2026-11-03T00:00:00.000+0000 --domains starbake --tables orders"
    )
    batch = job_of({**options, "dataproc_serverless": True})
    assert "gcloud dataproc batches submit spark" in runner_of(batch).describe(batch)  # type: ignore[attr-defined]


_MANY = """
import sys
from starlake_core import Orchestration
from starlake_core.testing import RecordingOrchestrator
options = {"dataproc_project_id": "p", "spark_jar_list": "gs://j/s.jar", "spark_bucket": "bucket"}
with Orchestration(options, orchestrator=RecordingOrchestrator(), environment="dataproc", filename="x.py", namespace={}) as o:
    with o.sl_create_pipeline(name="p", cron="0 0 * * *") as pipeline:
        loads = [pipeline.sl_load(domain="sales", table=f"t{n}") for n in range(1000)]
        pipeline.pre_tasks() >> loads
        loads >> pipeline.post_tasks()
assert len(list(pipeline.tasks())) == 1002
print([name for name in sys.modules if name.partition(".")[0] in ("google", "grpc", "requests")])
"""


def test_a_thousand_jobs_import_no_sdk() -> None:
    done = subprocess.run([sys.executable, "-c", _MANY], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_job_is_what_was_asked_for() -> None:
    job = job_of(PLACE, LOAD)
    assert Job.from_json(job.to_json()) == job
    assert job.arguments[0] == "load"
    assert KEY.task not in job.to_json(), "the run is no part of a job"

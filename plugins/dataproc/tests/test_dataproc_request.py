"""What Dataproc is asked for: pure functions, the same bytes for the same attempt, and nothing lost on the way to the driver."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from dataproc_lab import ATTEMPT, CHECK, KEY, LOAD, PLACE, job_of, opened
from google.cloud import dataproc_v1
from hypothesis import given
from hypothesis import strategies as st
from starlake_core_dataproc.cluster_request import cluster_request
from starlake_core_dataproc.naming import batch_id, cluster_name, job_id, labels_of, request_id
from starlake_core_dataproc.request import batch_request, job_request, with_own_marker
from starlake_core_dataproc.variables import variables_as_properties, with_options

from starlake_core import Command, RunKey, StarlakeSparkConfig
from starlake_core.contract import parse_arguments, validate_arguments
from starlake_core.model.command import transform_command
from starlake_core.runtime import marker_of

TEXT = st.text(max_size=30)
KEYS = st.builds(RunKey, st.text(max_size=200), TEXT)
# Variables of a process have no NUL and no half of a surrogate pair.
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
OPTIONS = {**PLACE, "sl_env_var": {"SL_ROOT": "gs://b/project", "SL_ENV": "BQ"}, "dataproc_labels": {"team": "sales"}}


def test_the_request_of_an_attempt() -> None:
    request = job_request(job_of(OPTIONS), KEY)
    properties = request["job"]["spark_job"].pop("properties")
    assert request == {
        "project_id": "my-project",
        "region": "europe-west1",
        "request_id": f"starlake-{KEY.attempt_hash}",
        "job": {
            "reference": {
                "project_id": "my-project",
                "job_id": f"starbake-load-starbake-load-orders-{KEY.attempt_hash}",
            },
            "placement": {"cluster_name": f"dataproc-cluster-{ATTEMPT.value('sl_run_hash')}"},
            "spark_job": {
                "main_class": "ai.starlake.job.Main",
                "jar_file_uris": ["gs://jars/starlake.jar", "gs://jars/more.jar"],
                "args": [
                    *(
                        "load",
                        "--scheduledDate",
                        "2026-11-03T00:00:00.000+0000",
                        "--domains",
                        "starbake",
                        "--tables",
                        "orders",
                    ),
                    *("--options", "SL_ROOT=gs://b/project,SL_ENV=BQ"),
                ],
            },
            "labels": {"team": "sales", "starlake_core": "run", "starlake_task": KEY.task_hash},
        },
    }
    assert properties == {
        "spark.hadoop.fs.defaultFS": "gs://my-bucket",
        "spark.eventLog.enabled": "true",
        "spark.sql.sources.partitionOverwriteMode": "DYNAMIC",
        "spark.sql.legacy.parquet.int96RebaseModeInWrite": "CORRECTED",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.datasource.bigquery.temporaryGcsBucket": "my-bucket",
        "spark.datasource.bigquery.allowFieldAddition": "true",
        "spark.datasource.bigquery.allowFieldRelaxation": "true",
        "spark.dynamicAllocation.enabled": "false",
        "spark.shuffle.service.enabled": "false",
        "spark.executor.memory": "11g",
        "spark.executor.cores": "4",
        "spark.executor.instances": "1",
        "spark.executorEnv.SL_ROOT": "gs://b/project",
        "spark.executorEnv.SL_ENV": "BQ",
        "spark.executorEnv.SL_RUN_KEY": KEY.work,
        "spark.executorEnv.SL_RUN_TASK": KEY.task,
        "spark.executorEnv.SL_RUN_ATTEMPT": "1",
        "spark.driver.defaultJavaOptions": (
            f"-DSL_ROOT=gs://b/project -DSL_ENV=BQ -DSL_RUN_KEY={KEY.task} -DSL_RUN_TASK={KEY.task} -DSL_RUN_ATTEMPT=1"
        ),
    }


_BYTES = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
from dataproc_lab import CHECK, KEY, job_of
from google.cloud import dataproc_v1 as v1
from starlake_core_dataproc.request import batch_request, job_request, with_own_marker
options = json.loads(sys.argv[2])
job = with_own_marker(job_of(options, CHECK, check=True), KEY)[1]
batch = job_of({**options, "dataproc_serverless": True}, CHECK, check=True)
for message, request in ((v1.SubmitJobRequest, job_request(job, KEY)), (v1.CreateBatchRequest, batch_request(batch, KEY))):
    print(message.pb(message(request)).SerializeToString(deterministic=True).hex())
    print(json.dumps(request))
"""


def test_the_same_attempt_is_the_same_bytes_in_every_process() -> None:
    built = {
        subprocess.run(
            [sys.executable, "-c", _BYTES, json.dumps(sys.path), json.dumps(OPTIONS)],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(built) == 1


def test_another_attempt_is_another_job_with_the_same_command() -> None:
    first, second = (job_request(job_of(OPTIONS), RunKey(KEY.task, attempt)) for attempt in "12")
    assert first["request_id"] != second["request_id"]
    assert first["job"]["reference"]["job_id"] != second["job"]["reference"]["job_id"]
    assert first["job"]["labels"] == second["job"]["labels"]
    assert first["job"]["spark_job"]["args"] == second["job"]["spark_job"]["args"]


def test_a_batch() -> None:
    options = {
        **OPTIONS,
        "dataproc_serverless": True,
        "dataproc_job_wait_timeout": "2h",
        "dataproc_config_bucket": "gs://staging",
    }
    request = batch_request(job_of(options), KEY)
    assert request["batch_id"] == f"sl-starbake-load-starbake-load-orders-{KEY.attempt_hash}"
    assert request["parent"] == "projects/my-project/locations/europe-west1"
    assert request["batch"]["labels"]["starlake_timeout"] == "7200"
    assert request["batch"]["environment_config"] == {
        "execution_config": {
            "subnetwork_uri": "default",
            "network_tags": ["dataproc"],
            "staging_bucket": "staging",
            "ttl": {"seconds": 7200},
        }
    }
    properties = request["batch"]["runtime_config"]["properties"]
    assert properties["spark.dataproc.driverEnv.SL_ROOT"] == properties["spark.executorEnv.SL_ROOT"] == "gs://b/project"
    assert properties["spark.executor.instances"] == "2", "a batch has two executors at least"
    assert "spark.hadoop.fs.defaultFS" not in properties
    dataproc_v1.CreateBatchRequest(request)


def test_the_user_wins_over_what_is_fixed_and_the_run_over_the_user() -> None:
    given = {
        "spark.sql.catalogImplementation": "hive",
        "spark.executor.memory": "2g",
        "spark.executorEnv.SL_RUN_ATTEMPT": "9",
    }
    java = {"spark.driver.defaultJavaOptions": "-Xss4m -Dx=y", "spark.driver.extraJavaOptions": "-Dmine=1"}
    options = {**OPTIONS, "spark_properties": {**given, **java}, "spark_executor_instances": 7}
    for command in (LOAD, CHECK):
        properties = job_request(job_of(options, command), KEY)["job"]["spark_job"]["properties"]
        assert properties["spark.sql.catalogImplementation"] == "hive"
        assert properties["spark.executor.memory"] == "2g"
        assert properties["spark.executor.instances"] == "7"
        assert properties["spark.executorEnv.SL_RUN_ATTEMPT"] == "1"
        assert properties["spark.driver.defaultJavaOptions"].startswith("-Xss4m -Dx=y -DSL_ROOT=")
        assert properties["spark.driver.extraJavaOptions"] == "-Dmine=1"


def test_each_task_has_its_own_size() -> None:
    command = transform_command("t", "kpi.revenue", spark=StarlakeSparkConfig("20g", 8, 3, {"spark.x": "y"}))
    properties = job_request(job_of(OPTIONS, command), KEY)["job"]["spark_job"]["properties"]
    assert [properties[f"spark.executor.{name}"] for name in ("memory", "cores", "instances")] == ["20g", "8", "3"]
    assert properties["spark.x"] == "y"


def test_the_driver_in_yarn_gets_variables_as_such() -> None:
    options = {**OPTIONS, "dataproc_deploy_mode": "cluster", "dataproc_max_failures_per_hour": 2}
    request = job_request(job_of(options), KEY)
    properties = request["job"]["spark_job"]["properties"]
    assert properties["spark.submit.deployMode"] == "cluster"
    assert properties["spark.yarn.appMasterEnv.SL_RUN_KEY"] == KEY.work
    assert "spark.driver.defaultJavaOptions" not in properties
    assert request["job"]["scheduling"] == {"max_failures_per_hour": 2}


def test_every_check_has_a_marker() -> None:
    in_root, job = with_own_marker(job_of(OPTIONS, CHECK, check=True), KEY)
    assert in_root == marker_of(job.arguments) == f"gs://b/project/.starlake-core/not-ready/{KEY.attempt_hash}"
    elsewhere, job = with_own_marker(job_of(PLACE, CHECK, check=True), KEY)
    assert elsewhere == marker_of(job.arguments) == f"gs://my-bucket/.starlake-core/not-ready/{KEY.attempt_hash}"
    assert job_request(job, KEY)["job"]["labels"]["starlake_check"] == "yes"
    old = job_of({**OPTIONS, "pre_load_not_ready_sentinel": False}, CHECK, check=True)
    assert with_own_marker(old, KEY) == (None, old)
    asked = replace(old, arguments=(*old.arguments, "--notReadySentinel", "gs://b/asked"))
    assert with_own_marker(asked, KEY) == ("gs://b/asked", asked)
    assert with_own_marker(job_of(OPTIONS), KEY)[0] is None


# -- names


@given(key=KEYS)
def test_names_are_legal_and_the_same_every_time(key: RunKey) -> None:
    assert re.fullmatch(r"[a-z0-9-]{12,100}", job_id(key))
    assert re.fullmatch(r"[a-z][a-z0-9-]{2,61}[a-z0-9]", batch_id(key))
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", request_id(key))
    assert job_id(key) == job_id(RunKey(key.task, key.attempt))
    for label, value in labels_of(key, {}, True, 60).items():
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", label)
        assert re.fullmatch(r"[a-z0-9_-]{0,63}", value)


@given(first=KEYS, second=KEYS)
def test_two_attempts_have_two_names(first: RunKey, second: RunKey) -> None:
    assert (job_id(first) == job_id(second)) is (first == second)


@given(name=st.from_regex(r"[a-z]([-a-z0-9]{0,49}[a-z0-9])?", fullmatch=True), config=st.none() | TEXT)
def test_the_name_of_a_cluster_is_legal_and_holds_the_run(name: str, config: str | None) -> None:
    made = cluster_name(name, config)
    assert made.endswith("-${sl_run_hash}")
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,49}[a-z0-9])?", made.replace("${sl_run_hash}", "0123456789ab"))


# -- variables


@given(env=st.dictionaries(NAMES, VALUES))
def test_java_reads_the_variables_as_they_were(env: dict[str, str]) -> None:
    properties = variables_as_properties(env, "client")
    # Spark takes them apart as a shell does.
    words = shlex.split(properties["spark.driver.defaultJavaOptions"])
    assert dict(word.removeprefix("-D").split("=", 1) for word in words) == env
    assert {f"spark.executorEnv.{name}": value for name, value in env.items()}.items() <= properties.items()


@given(
    env=st.dictionaries(NAMES, VALUES),
    given_options=st.dictionaries(NAMES, VALUES.filter(lambda text: "," not in text)),
)
def test_options_carry_variables_without_commas_and_keep_their_own(
    env: dict[str, str], given_options: dict[str, str]
) -> None:
    text = ",".join(f"{name}={value}" for name, value in given_options.items())
    words = ("transform", "--name", "kpi.x", *(("--options", text) if text else ()), "--interactive", "csv")
    merged = with_options(words, env)
    carried = {name: value for name, value in env.items() if "," not in value}
    assert parse_arguments(merged).values.get("options", {}) == {**carried, **given_options}
    assert [word for word in merged if word in words and "=" not in word] == [word for word in words if "=" not in word]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("load", "--domains", "a"), ("load", "--domains", "a", "--options", "X=1")),
        (("load", "--options", "X=2"), ("load", "--options", "X=2")),
        (("load", "--options=k=v"), ("load", "--options=X=1,k=v")),
        (("load", "--options:k=v", "--test"), ("load", "--options:X=1,k=v", "--test")),
        (("transform", "--name", "--options"), ("transform", "--name", "--options", "--options", "X=1")),
        (("freshness",), ("freshness",)),
        (("ingest", "domain", "schema", "paths"), ("ingest", "domain", "schema", "paths")),
        (("unknown", "--x"), ("unknown", "--x")),
        ((), ()),
    ],
)
def test_options_are_where_the_command_line_takes_them(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    assert with_options(before, {"X": "1", "Y": "1,2"}) == after


def test_the_job_itself_keeps_its_arguments() -> None:
    command = Command("transform", ("--name", "kpi.x", "--options", "a=1"), "t")
    job = job_of(OPTIONS, command)
    args = job_request(job, KEY)["job"]["spark_job"]["args"]
    assert job.arguments == command.vector
    assert args == ["transform", "--name", "kpi.x", "--options", "SL_ROOT=gs://b/project,SL_ENV=BQ,a=1"]
    validate_arguments(args)


# -- clusters


def cluster(**options: Any) -> dict[str, Any]:
    with (
        opened({**OPTIONS, **options}) as orchestration,
        orchestration.sl_create_pipeline(name="p", cron="0 0 * * *") as pipeline,
    ):
        pipeline.pre_tasks() >> pipeline.sl_load(domain="starbake", table="orders") >> pipeline.post_tasks()
    create, delete = (
        next(task.job for task in pipeline.tasks() if task.id == f"{verb}_cluster") for verb in ("create", "delete")
    )
    assert create is not None
    assert delete is not None
    assert create.spec["cluster"] == delete.spec["cluster"]
    assert "gs://b/project" not in str(create.spec), "what an orchestrator keeps of a job is without its variables"
    request = cluster_request(create.bind(ATTEMPT))
    dataproc_v1.CreateClusterRequest(request)
    return request


def test_labels_of_a_job_reach_the_service() -> None:
    labels = {"cost": "sales", "team": "other", "starlake_core": "mine"}
    wanted = {"cost": "sales", "team": "other", "starlake_core": "run"}
    job = replace(job_of(OPTIONS), labels=labels)
    assert wanted.items() <= job_request(job, KEY)["job"]["labels"].items()
    batch = replace(job_of({**OPTIONS, "dataproc_serverless": True}), labels=labels)
    assert wanted.items() <= batch_request(batch, KEY)["batch"]["labels"].items()


def test_the_cluster_of_a_run() -> None:
    request = cluster()
    made = request["cluster"]
    config = made["config"]
    assert made["cluster_name"] == f"dataproc-cluster-{ATTEMPT.value('sl_run_hash')}"
    assert made["labels"] == {"team": "sales", "starlake_core": "cluster", "starlake_timeout": "1800"}
    properties = config["software_config"].pop("properties")
    # Neither an account nor a bucket: what is left out, Dataproc chooses.
    assert config == {
        "gce_cluster_config": {
            "subnetwork_uri": "projects/my-project/regions/europe-west1/subnetworks/default",
            "internal_ip_only": True,
            "service_account_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
            "tags": ["dataproc"],
            "metadata": {},
        },
        "master_config": {
            "num_instances": 1,
            "machine_type_uri": "n1-standard-4",
            "disk_config": {"boot_disk_type": "pd-standard", "boot_disk_size_gb": 1024},
        },
        "worker_config": {
            "num_instances": 4,
            "machine_type_uri": "n1-standard-4",
            "disk_config": {"boot_disk_type": "pd-standard", "boot_disk_size_gb": 1024},
        },
        "software_config": {"image_version": "2.2-debian12"},
        "lifecycle_config": {"idle_delete_ttl": {"seconds": 3600}},
    }
    assert properties["spark-env:SL_ROOT"] == "gs://b/project"
    assert properties["spark-env:SL_AUDIT_SINK_TYPE"] == "BigQuerySink"
    assert not [name for name, value in properties.items() if "gs://dataproc" in value or name.endswith("Directory")]
    assert "dataproc:dataproc.allow.zero.workers" not in properties


@pytest.mark.parametrize(
    "options", [{"dataproc_num_workers": 0}, {"dataproc_worker_num_instances": -1}, {"dataproc_single_node": True}]
)
def test_a_cluster_of_one_node(options: dict[str, Any]) -> None:
    config = cluster(**options)["cluster"]["config"]
    assert "worker_config" not in config
    assert config["software_config"]["properties"]["dataproc:dataproc.allow.zero.workers"] == "true"


def test_a_cluster_with_everything() -> None:
    made = cluster(
        dataproc_name="bakery",
        cluster_id="Night Run",
        dataproc_secondary_num_workers=3,
        dataproc_secondary_preemptibility="spot",
        dataproc_secondary_disk_size=100,
        dataproc_subnet="projects/other/regions/europe-west1/subnetworks/s",
        dataproc_internal_ip_only=False,
        dataproc_zone="europe-west1-b",
        dataproc_service_account="me@my-project.iam.gserviceaccount.com",
        dataproc_tags="a,b",
        dataproc_cluster_metadata='{"PIP_PACKAGES": "x", "n": 1}',
        dataproc_cluster_properties={"spark-env:SL_HIVE": True, "core:x": "y"},
        dataproc_master_properties={"min_cpu_platform": "Intel Skylake"},
        dataproc_worker_properties={"num_instances": 9},
        dataproc_secondary_properties={"num_instances": 5},
        dataproc_temp_bucket="temp-bucket",
        dataproc_idle_delete_ttl=0,
        dataproc_config_bucket="staging",
        dataproc_create_timeout=0,
    )["cluster"]
    config = made["config"]
    assert made["cluster_name"] == f"bakery-night-run-{ATTEMPT.value('sl_run_hash')}"
    assert config["secondary_worker_config"] == {
        "num_instances": 5,
        "preemptibility": "SPOT",
        "disk_config": {"boot_disk_type": "pd-standard", "boot_disk_size_gb": 100},
    }
    assert config["gce_cluster_config"] == {
        "subnetwork_uri": "projects/other/regions/europe-west1/subnetworks/s",
        "internal_ip_only": False,
        "service_account": "me@my-project.iam.gserviceaccount.com",
        "service_account_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
        "tags": ["a", "b"],
        "metadata": {"PIP_PACKAGES": "x", "n": "1"},
        "zone_uri": "europe-west1-b",
    }
    assert config["master_config"]["min_cpu_platform"] == "Intel Skylake"
    assert config["worker_config"]["num_instances"] == 9
    assert config["software_config"]["properties"]["spark-env:SL_HIVE"] == "true"
    assert config["temp_bucket"] == "temp-bucket"
    assert config["config_bucket"] == "staging"
    events = "gs://staging/tmp/spark/events/2026-11-03"
    assert config["software_config"]["properties"]["spark:spark.eventLog.dir"] == events
    assert "starlake_timeout" not in made["labels"]
    assert "lifecycle_config" not in config

"""What is passed on to Dataproc as it is: taken in both spellings, typed, under what the user said otherwise."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dataproc_lab import ATTEMPT, KEY, PLACE, job_of, opened, runner_of
from emulators.dataproc import Dataproc
from google.cloud import dataproc_v1
from hypothesis import given
from hypothesis import strategies as st
from starlake_core_dataproc.cluster_request import cluster_request
from starlake_core_dataproc.documents import JSON_MAPS, json_form, message_of, plain_document
from starlake_core_dataproc.elsewhere import ELSEWHERE
from starlake_core_dataproc.options import DataprocOptions
from starlake_core_dataproc.request import batch_request
from test_dataproc_limits import drawn

from starlake_core import Job, OptionsError, RunKey
from starlake_core.runtime import Verdict, execute

README = Path(__file__).parents[1] / "README.md"
CREATE = RunKey("p/run/create_cluster", "1")


def camel(name: str) -> str:
    return re.sub(r"_(.)", lambda found: found[1].upper(), name)


def fields(kind: Any) -> list[Any]:
    """All fields below a message of the SDK."""
    found, open_, seen = [], [kind.pb(kind()).DESCRIPTOR], set()
    while open_:
        message = open_.pop()
        if message.full_name not in seen:
            seen.add(message.full_name)
            found += message.fields
            open_ += [field.message_type for field in message.fields if field.message_type is not None]
    return found


@pytest.mark.parametrize("kind", [dataproc_v1.ClusterConfig, dataproc_v1.Batch, dataproc_v1.InstanceGroupConfig])
def test_both_spellings_of_every_field_are_one(kind: Any) -> None:
    for field in fields(kind):
        assert plain_document({field.json_name: "x"}, "") == {field.name: "x"} == plain_document({field.name: "x"}, "")
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        assert (field.name in JSON_MAPS) is is_map, field.full_name


NAMES = st.text("abcXYZ_-:.", min_size=1, max_size=12)


@given(st.dictionaries(NAMES, st.text(max_size=5)))
def test_names_in_maps_are_nobodys_but_the_users(entries: dict[str, str]) -> None:
    document = {"softwareConfig": {"properties": entries}, "gceClusterConfig": {"metadata": entries}}
    assert plain_document(document, "") == {
        "software_config": {"properties": entries},
        "gce_cluster_config": {"metadata": entries},
    }


def test_durations_have_two_forms() -> None:
    for ttl in ("600s", {"seconds": 600}):
        config = message_of(dataproc_v1.ClusterConfig, {"lifecycle_config": {"auto_delete_ttl": ttl}})
        assert config.lifecycle_config.auto_delete_ttl.total_seconds() == 600
    assert json_form({"labels": {"seconds": "5"}}) == {"labels": {"seconds": "5"}}


def test_without_a_document_a_job_is_what_it_was() -> None:
    assert "document" not in drawn().spec["create"]
    assert set(job_of({**PLACE, "dataproc_serverless": True}).spec) == {
        *("mode", "project", "region", "bucket", "jars", "main_class", "properties", "labels", "timeout", "sentinel", "batch"),
    }  # fmt: skip


# -- the examples of the messages and of the README


def examples(option: str) -> list[dict[str, Any]]:
    """Each document that a sentence or the README tells people to write."""
    found = []
    for text in (*ELSEWHERE.values(), README.read_text(encoding="utf-8")):
        for place in re.finditer(rf"['\"]{option}['\"]: (?=\{{)", text):
            document, _ = json.JSONDecoder().raw_decode(text, place.end())
            if document not in found:
                found.append(document)
    return found


CLUSTERS, BATCHES = examples("dataproc_cluster_config"), examples("dataproc_batch_config")


def held(given: Any, made: Any) -> bool:
    """Whether all that was given is in what was made."""
    if isinstance(given, dict):
        return all(held(value, made.get(name)) for name, value in given.items())
    if isinstance(given, list):
        return len(given) == len(made) and all(map(held, given, made))
    return bool(given == made)


def as_json(message: Any) -> Any:
    return json.loads(type(message).to_json(message, preserving_proto_field_name=False, use_integers_for_enums=False))


def test_there_are_examples() -> None:
    assert len(CLUSTERS) >= 20
    assert len(BATCHES) >= 7


@pytest.mark.parametrize("document", CLUSTERS, ids=json.dumps)
def test_an_example_arrives_in_the_cluster(document: dict[str, Any], emulator: Dataproc) -> None:
    options = {**emulator.options, "dataproc_cluster": None, "dataproc_cluster_config": document}
    create = drawn(**options).bind(ATTEMPT)
    assert Job.from_json(create.to_json()) == create
    runner = runner_of(create)
    assert execute(create, runner, CREATE).verdict is Verdict.SUCCEEDED
    made = emulator.clusters[create.spec["cluster"]]
    assert held(document, as_json(made.config))
    told = runner.describe(create)  # type: ignore[attr-defined]
    assert told.startswith("gcloud dataproc clusters create ")
    assert "  # plus, from a document: " in told


@pytest.mark.parametrize("document", BATCHES, ids=json.dumps)
def test_an_example_arrives_in_the_batch(document: dict[str, Any], emulator: Dataproc) -> None:
    options = {
        **emulator.options,
        "dataproc_cluster": None,
        "dataproc_serverless": True,
        "dataproc_batch_config": document,
    }
    job = job_of(options)
    assert Job.from_json(job.to_json()) == job
    runner = runner_of(job)
    assert execute(job, runner, KEY).verdict is Verdict.SUCCEEDED
    (made,) = emulator.batches.values()
    assert held(document, as_json(made))
    assert made.spark_batch.main_class == "ai.starlake.job.Main"
    assert made.labels["starlake_core"] == "run"
    assert "  # plus, from a document: " in runner.describe(job)  # type: ignore[attr-defined]


# -- names that are no options


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_what_is_no_option_says_where_it_belongs(name: str) -> None:
    with pytest.raises(OptionsError) as caught:
        opened({**PLACE, name: "x"})
    (problem,) = caught.value.problems
    assert problem.startswith(f"lab.py: '{name}' is not an option of plugin 'dataproc'. ")
    assert "write: '" in problem or name in ("dataproc_async",)
    for named in re.findall(r"'(dataproc_\w+|spark_\w+)': ", problem):
        assert named in {*(option.name for option in DataprocOptions.declared), "spark_properties"}


def test_no_option_is_told_to_be_none() -> None:
    known = {key for option in DataprocOptions.declared for key in (option.name, *option.aliases)}
    assert not known & set(ELSEWHERE)


@pytest.mark.parametrize(
    "name",
    [
        *("dataproc_autoscaling_policy", "dataproc_init_actions", "dataproc_gke_cluster", "dataproc_metastore"),
        *("dataproc_phs", "dataproc_optional_components", "dataproc_component_gateway", "dataproc_kms_key"),
        *("dataproc_max_age", "dataproc_container_image", "dataproc_kerberos"),
    ],
)
def test_what_people_looked_for_is_among_them(name: str) -> None:
    assert name in ELSEWHERE


def test_an_unknown_name_of_ours_is_refused() -> None:
    with pytest.raises(
        OptionsError, match="unknown option 'dataproc_flux_capacitor': plugin 'dataproc' has no such option"
    ):
        opened({**PLACE, "dataproc_flux_capacitor": 1})


@pytest.mark.parametrize(
    "name",
    [
        *("dataproc_project_id", "dataproc_region", "dataproc_subnet", "dataproc_service_account", "dataproc_image_version"),
        *(f"dataproc_{role}_{what}" for role in ("master", "worker") for what in ("machine_type", "disk_type", "disk_size", "properties")),
        *("dataproc_num_workers", "dataproc_worker_num_instances", "dataproc_single_node", "dataproc_idle_delete_ttl"),
        *("dataproc_name", "dataproc_cluster_metadata", "dataproc_cluster_properties", "dataproc_job_wait_timeout"),
        *("cluster_config_name", "cluster_id", "spark_jar_list", "spark_job_main_class", "spark_bucket"),
    ],
)  # fmt: skip
def test_options_of_generated_files_are_known(name: str) -> None:
    assert name in {key for option in DataprocOptions.declared for key in (option.name, *option.aliases)}


# -- under what the user said, over what is a default


def config_of(**options: Any) -> dict[str, Any]:
    config: dict[str, Any] = cluster_request(drawn(**options).bind(ATTEMPT))["cluster"]["config"]
    message_of(dataproc_v1.ClusterConfig, config)
    return config


def batch_of(**options: Any) -> dict[str, Any]:
    batch: dict[str, Any] = batch_request(job_of({**PLACE, "dataproc_serverless": True, **options}), KEY)["batch"]
    message_of(dataproc_v1.Batch, batch)
    return batch


def test_a_document_replaces_defaults() -> None:
    document = {
        "masterConfig": {"numInstances": 3, "machineTypeUri": "n2-standard-8"},
        "worker_config": {"num_instances": 10},
        "softwareConfig": {"imageVersion": "2.1", "properties": {"dataproc:job.history.to-gcs.enabled": "false"}},
        "lifecycleConfig": {"idleDeleteTtl": "7200s"},
        "gceClusterConfig": {"tags": ["mine"], "internalIpOnly": False},
    }
    config = config_of(dataproc_cluster_config=document)
    assert config["master_config"] == {
        "num_instances": 3,
        "machine_type_uri": "n2-standard-8",
        "disk_config": {"boot_disk_type": "pd-standard", "boot_disk_size_gb": 1024},
    }
    assert config["worker_config"]["num_instances"] == 10
    assert config["software_config"]["image_version"] == "2.1"
    assert config["software_config"]["properties"]["dataproc:job.history.to-gcs.enabled"] == "false"
    assert config["software_config"]["properties"]["spark-env:SL_HIVE"] == "false"
    assert config["lifecycle_config"] == {"idle_delete_ttl": "7200s"}
    assert config["gce_cluster_config"]["tags"] == ["mine"]


@pytest.mark.parametrize(
    ("options", "document", "says"),
    [
        ({"dataproc_tags": "a"}, {"gceClusterConfig": {"tags": ["b"]}}, "gce_cluster_config.tags is already set by option 'dataproc_tags'"),
        ({"dataproc_image_version": "2.1"}, {"softwareConfig": {"imageVersion": "2.3"}}, "option 'dataproc_image_version'"),
        ({"dataproc_num_workers": 3}, {"workerConfig": {"numInstances": 5}}, "num_instances is already set by option 'dataproc_num_workers'"),
        ({"dataproc_idle_delete_ttl": "2h"}, {"lifecycleConfig": {"idleDeleteTtl": "600s"}}, "option 'dataproc_idle_delete_ttl'"),
        ({"dataproc_config_bucket": "mine"}, {"configBucket": "other"}, "config_bucket is already set by option 'dataproc_config_bucket'"),
        ({"dataproc_cluster_metadata": {"a": "1"}}, {"gceClusterConfig": {"metadata": {"a": "2"}}}, "option 'dataproc_cluster_metadata'"),
        (
            {"dataproc_cluster_properties": {"core:a.b": "1"}},
            {"softwareConfig": {"properties": {"core:a.b": "2"}}},
            "software_config.properties.core:a.b is already set by option 'dataproc_cluster_properties'",
        ),
        ({"sl_env_var": {"SL_ROOT": "hunter2"}}, {"softwareConfig": {"properties": {"spark-env:SL_ROOT": "x"}}}, "option 'sl_env_var'"),
        ({"dataproc_master_properties": {"min_cpu_platform": "a"}}, {"masterConfig": {"minCpuPlatform": "b"}}, "option 'dataproc_master_properties'"),
        (
            {"dataproc_subnet": "s"},
            {"gceClusterConfig": {"networkUri": "n"}},
            "gce_cluster_config.network_uri replaces what option 'dataproc_subnet' sets",
        ),
        ({"dataproc_worker_disk_size": 50}, {"workerConfig": {"diskConfig": {"bootDiskSizeGb": 60}}}, "option 'dataproc_worker_disk_size'"),
    ],
)  # fmt: skip
def test_what_an_option_says_stays(options: dict[str, Any], document: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError) as caught:
        drawn(**options, dataproc_cluster_config=document)
    (problem,) = caught.value.problems
    assert problem.startswith("cluster of a run (environment dataproc): option 'dataproc_cluster_config': ")
    assert says in problem
    assert "remove one of them" in problem
    assert "hunter2" not in problem


def test_the_same_said_twice_is_no_contradiction() -> None:
    document = {"gceClusterConfig": {"tags": ["a"]}, "softwareConfig": {"properties": {"spark-env:A": "1"}}}
    assert config_of(dataproc_tags="a", sl_env_var={"A": "1"}, dataproc_cluster_config=document)


def test_a_network_takes_the_place_of_the_default_subnet() -> None:
    machines = config_of(dataproc_cluster_config={"gceClusterConfig": {"networkUri": "n"}})["gce_cluster_config"]
    assert machines["network_uri"] == "n"
    assert "subnetwork_uri" not in machines
    execution = batch_of(dataproc_batch_config={"environmentConfig": {"executionConfig": {"networkUri": "n"}}})
    assert "subnetwork_uri" not in execution["environment_config"]["execution_config"]


def test_flexible_groups_take_the_place_of_the_default_ones() -> None:
    flexible = {"masterFlexibleConfig": {"numInstances": 1}, "workerFlexibleConfig": {"numInstances": 2}}
    config = config_of(dataproc_cluster_config=flexible)
    assert {name for name in config if name.endswith(("master_config", "worker_config"))} == set()


def test_variables_of_a_cluster_stay_out_of_what_is_kept() -> None:
    job = drawn(
        sl_env_var={"SL_ROOT": "gs://b/project"},
        dataproc_cluster_config={"endpointConfig": {"enableHttpPortAccess": True}},
    )
    assert "gs://b/project" not in str(job.spec)
    properties = cluster_request(job.bind(ATTEMPT))["cluster"]["config"]["software_config"]["properties"]
    assert properties["spark-env:SL_ROOT"] == "gs://b/project"


def test_a_document_of_a_batch_replaces_defaults_and_adds() -> None:
    batch = batch_of(
        dataproc_labels={"team": "sales"},
        dataproc_batch_config={
            "labels": {"cost": "7"},
            "runtimeConfig": {"version": "2.3", "properties": {"spark.dynamicAllocation.enabled": "true", "spark.executor.cores": "8"}},
            "sparkBatch": {"fileUris": ["gs://b/f"]},
            "environmentConfig": {"executionConfig": {"ttl": "3600s", "networkTags": ["mine"]}},
        },
    )  # fmt: skip
    assert batch["labels"] == {"team": "sales", "cost": "7", "starlake_core": "run", "starlake_task": KEY.task_hash}
    assert batch["runtime_config"]["version"] == "2.3"
    assert batch["runtime_config"]["properties"]["spark.dynamicAllocation.enabled"] == "true"
    assert batch["runtime_config"]["properties"]["spark.executor.cores"] == "8"
    assert batch["runtime_config"]["properties"]["spark.executorEnv.SL_RUN_KEY"] == KEY.work
    assert batch["spark_batch"]["file_uris"] == ["gs://b/f"]
    assert batch["spark_batch"]["args"][0] == "load"
    assert batch["environment_config"]["execution_config"] == {
        "subnetwork_uri": "default",
        "network_tags": ["mine"],
        "ttl": "3600s",
    }


@pytest.mark.parametrize(
    ("options", "document", "says"),
    [
        ({}, {"sparkBatch": {"mainClass": "Other"}}, "spark_batch.main_class is already set by option 'spark_job_main_class'"),
        ({}, {"sparkBatch": {"jarFileUris": []}}, "option 'spark_jar_list'"),
        ({}, {"sparkBatch": {"args": ["x"]}}, "spark_batch.args is already set by the command of the task"),
        ({}, {"labels": {"starlake_task": "x"}}, "the label by which this plugin finds its own"),
        ({"dataproc_labels": {"team": "a"}}, {"labels": {"team": "b"}}, "option 'dataproc_labels'"),
        ({}, {"runtimeConfig": {"properties": {"spark.executorEnv.SL_RUN_KEY": "x"}}}, "option 'sl_env_var', or the names of the run,"),
        ({"spark_executor_memory": "20g"}, {"runtimeConfig": {"properties": {"spark.executor.memory": "8g"}}}, "option 'spark_executor_memory'"),
        ({"spark_properties": {"spark.x": "1"}}, {"runtimeConfig": {"properties": {"spark.x": "2"}}}, "option 'spark_properties'"),
        ({}, {"runtimeConfig": {"properties": {"spark.datasource.bigquery.temporaryGcsBucket": "x"}}}, "option 'spark_bucket'"),
        ({"dataproc_job_wait_timeout": "1h"}, {"environmentConfig": {"executionConfig": {"ttl": "7200s"}}}, "option 'dataproc_job_wait_timeout'"),
        (
            {"dataproc_subnet": "s"},
            {"environmentConfig": {"executionConfig": {"networkUri": "n"}}},
            "replaces what option 'dataproc_subnet' sets",
        ),
        ({}, {"pysparkBatch": {"mainPythonFileUri": "gs://b/f.py"}}, "pyspark_batch is not the work of a Starlake command"),
        ({}, {"uuid": "x"}, "uuid is set by Dataproc and cannot be given"),
    ],
)  # fmt: skip
def test_what_a_batch_is_stays(options: dict[str, Any], document: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError) as caught:
        batch_of(**options, dataproc_batch_config=document)
    (problem,) = caught.value.problems
    assert problem.startswith("task load_orders (environment dataproc): option 'dataproc_batch_config': ")
    assert says in problem


# -- wrong documents


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"autoscalingConfg": {}}, "ClusterConfig has no field 'autoscalingConfg'. Did you mean 'autoscalingConfig'?"),
        ({"autoscalingConfig": {"policy": "x"}}, "AutoscalingConfig has no field 'policy' (in autoscalingConfig). Did you mean 'policyUri'? See https://"),
        ({"softwareConfig": {"optionalComponents": ["JUPYTR"]}}, "softwareConfig.optionalComponents: Invalid enum value JUPYTR"),
        ({"softwareConfig": {"properties": {"core:x": 3}}}, "softwareConfig.properties: "),
        ({"lifecycleConfig": {"autoDeleteTtl": "2h"}}, "lifecycleConfig: Duration must end with letter"),
        ({"workerConfig": {"numInstances": "many"}}, "workerConfig.numInstances: "),
        ({"workerConfig": {}, "worker_config": {}}, "worker_config occurs in two spellings; write it only once"),
        ({"gceClusterConfig": 5}, "gceClusterConfig"),
    ],
)  # fmt: skip
def test_a_document_that_is_no_cluster(document: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError) as caught:
        drawn(dataproc_cluster_config=document)
    assert says in str(caught.value)


def test_a_document_that_is_no_batch() -> None:
    with pytest.raises(
        OptionsError,
        match=r"RuntimeConfig has no field 'containerImg' \(in runtimeConfig\)\. Did you mean 'containerImage'",
    ):
        batch_of(dataproc_batch_config={"runtimeConfig": {"containerImg": "x"}})


def test_what_is_null_is_not_there() -> None:
    config = config_of(
        dataproc_cluster_config={"softwareConfig": None, "endpointConfig": {"enableHttpPortAccess": True}}
    )
    assert config["software_config"]["image_version"] == "2.2-debian12"


def test_a_document_of_one_task() -> None:
    image = {"runtimeConfig": {"containerImage": "R-docker.pkg.dev/p/r/i:1"}}
    options = {**PLACE, "dataproc_serverless": True, "load_orders": {"dataproc_batch_config": image}}
    with opened(options) as orchestration, orchestration.sl_create_pipeline(name="p") as pipeline:
        tasks = [pipeline.sl_load(f"load_{table}", "starbake", table) for table in ("orders", "products")]
    assert [task.job is not None and task.job.spec.get("document") for task in tasks] == [
        {"runtime_config": {"container_image": "R-docker.pkg.dev/p/r/i:1"}},
        None,
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"dataproc_cluster": "c", "dataproc_cluster_config": {"clusterTier": "CLUSTER_TIER_STANDARD"}},
            "no cluster is created when option 'dataproc_cluster' is set",
        ),
        ({"dataproc_cluster": "c", "dataproc_batch_config": {"labels": {"a": "b"}}}, "no command runs as a batch; write 'dataproc_serverless': True"),
    ],
)  # fmt: skip
def test_a_document_that_goes_nowhere(options: dict[str, Any], says: str, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING),
        opened({**PLACE, **options}) as orchestration,
        orchestration.sl_create_pipeline(name="p") as pipeline,
    ):
        assert pipeline.pre_tasks() is None
        pipeline.sl_load(domain="starbake", table="orders")
    assert says in caplog.text


_WITHOUT_SDK = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
sys.modules["google.cloud.dataproc_v1"] = None
import logging
logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
from starlake_core import Orchestration
from starlake_core.testing import RecordingOrchestrator
options = {"dataproc_project_id": "p", "spark_jar_list": "gs://j/s.jar", "spark_bucket": "bucket"}
options["dataproc_cluster_config"] = {"autoscalingConfig": {"policyUri": "x"}}
with Orchestration(options, orchestrator=RecordingOrchestrator(), environment="dataproc", filename="x.py", namespace={}) as o:
    with o.sl_create_pipeline(name="p", cron="0 0 * * *") as pipeline:
        pipeline.pre_tasks() >> pipeline.sl_load(domain="sales", table="t")
        pipeline.post_tasks()
(create,) = (task.job for task in pipeline.tasks() if task.id == "create_cluster")
print(create.spec["create"]["config"]["autoscaling_config"])
"""


def test_without_the_sdk_the_worker_looks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_SDK, json.dumps(sys.path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "{'policy_uri': 'x'}\n"
    assert "the worker checks ClusterConfig, because google-cloud-dataproc is not installed here" in done.stderr

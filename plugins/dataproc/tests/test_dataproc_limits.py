"""What Dataproc would refuse is refused while a pipeline is drawn, with the limit and its page."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from dataproc_lab import CHECK, LOAD, PLACE, job_of, opened
from starlake_core_dataproc.limits import LIMITS

from starlake_core import Job, Limit, OptionsError, StarlakeSparkConfig
from starlake_core.model.command import transform_command


def drawn(**options: Any) -> Job:
    """The job that makes a cluster."""
    with (
        opened({**PLACE, **options}) as orchestration,
        orchestration.sl_create_pipeline(name="p", cron="0 0 * * *") as pipeline,
    ):
        pipeline.pre_tasks() >> pipeline.sl_load(domain="starbake", table="orders") >> pipeline.post_tasks()
    return next(task.job for task in pipeline.tasks() if task.id == "create_cluster" and task.job is not None)


def job(**spark: Any) -> dict[str, Any]:
    return {"job": {"spark_job": spark}}


def of_job(**fields: Any) -> dict[str, Any]:
    return {"job": fields}


def batch(properties: Mapping[str, str] | None = None, version: str = "2.2", **execution: Any) -> dict[str, Any]:
    runtime = {"version": version, "properties": properties or {}}
    return {"batch": {"runtime_config": runtime, "environment_config": {"execution_config": execution}}}


def cluster(**config: Any) -> dict[str, Any]:
    return {"region": "europe-west1", "cluster": {"cluster_name": "c", "config": config}}


def group(count: int, one_node: bool = False, role: str = "worker") -> dict[str, Any]:
    properties = {"dataproc:dataproc.allow.zero.workers": "true"} if one_node else {}
    return cluster(**{f"{role}_config": {"num_instances": count}, "software_config": {"properties": properties}})


def machines(**fields: Any) -> dict[str, Any]:
    return cluster(gce_cluster_config=fields)


def software(**fields: Any) -> dict[str, Any]:
    return cluster(software_config=fields)


def variable(name: str, value: str = "1") -> dict[str, Any]:
    return job(properties={f"spark.executorEnv.{name}": value})


def labels(count: int) -> dict[str, Any]:
    # A job may turn out to be a check, which has one more.
    return of_job(
        labels={**{f"l{number}": "x" for number in range(count)}, "starlake_core": "run", "starlake_task": "x"}
    )


MANY = 10 * 1024 * 1024
TABLE: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "name of a variable": (variable("SL_ROOT"), [variable(name) for name in ("A=B", "MY VAR", "é", "", "1A", "a\n")]),
    "name of a variable on a cluster": (
        software(properties={"spark-env:SL_ROOT": "x"}),
        [software(properties={"spark-env:SL-ROOT": "x"}), software(properties={"spark-env:sl.root": "x"})],
    ),
    "length of a variable or argument": (
        variable("A", "x" * (128 * 1024 - 3)),
        [variable("A", "x" * (128 * 1024 - 2)), job(args=["é" * 65_536]), {"batch": {"spark_batch": {"args": ["x" * 131_072]}}}],
    ),
    "size of a request": (job(args=["x" * 131_000] * 79), [job(args=["x" * 131_000] * 81)]),
    "labels of a job, batch or cluster": (labels(29), [labels(30), {"cluster": {"labels": dict.fromkeys(map(str, range(33)))}}]),
    "name of a label": (of_job(labels={"a" * 63: ""}), [of_job(labels={name: ""}) for name in ("A", "1a", "", "a" * 64, "a.b")]),
    "value of a label": (of_job(labels={"a": "1" * 63}), [of_job(labels={"a": value}) for value in ("A", "1" * 64, "a b")]),
    "region": (
        {"region": "europe-west1", "job": {}},
        [{"region": "EUROPE-WEST1", "job": {}}, {"parent": "projects/p/locations/global", "batch": {}}],
    ),
    "zone of a cluster": (machines(zone_uri="projects/p/zones/europe-west1-b"), [machines(zone_uri="us-central1-a"), machines(zone_uri="b")]),
    "cluster name": (
        {"cluster": {"cluster_name": "a" * 38 + "-${sl_run_hash}"}},
        [
            {"cluster": {"cluster_name": "a" * 39 + "-${sl_run_hash}"}},
            {"cluster": {"cluster_name": "a-"}},
            of_job(placement={"cluster_name": "My_Cluster"}),
        ],
    ),
    "job id": (of_job(reference={"job_id": "j" * 100}), [of_job(reference={"job_id": "j" * 101}), of_job(reference={"job_id": "jöb"})]),
    "batch id": ({"batch_id": "b" * 63}, [{"batch_id": "b" * 64}, {"batch_id": "b"}, {"batch_id": "B123"}]),
    "request id": ({"request_id": "r" * 40}, [{"request_id": "r" * 41}, {"request_id": "r/1"}]),
    "restarts of a driver per hour": (of_job(scheduling={"max_failures_per_hour": 10}), [of_job(scheduling={"max_failures_per_hour": 11})]),
    "workers of a cluster": (group(2), [group(1), group(0)]),
    "workers of a single-node cluster": (group(0, one_node=True), [group(2, one_node=True)]),
    "secondary workers of a single-node cluster": (group(1, role="secondary_worker"), [group(1, True, "secondary_worker")]),
    "image of a cluster": (
        software(image_version="2.2.5-debian12"),
        [software(image_version=version) for version in ("banana", "2", "debian12", "2.2_debian12")],
    ),
    "runtime of a batch": (batch(version="3.0"), [batch(version=version) for version in ("99", "latest", "2.2-debian12")]),
    "time to live of a batch": (batch(ttl={"seconds": 14 * 86400}), [batch(ttl={"seconds": 20 * 86400}), batch(ttl="599s")]),
    "lifetime of a cluster": (
        cluster(lifecycle_config={"idle_delete_ttl": {"seconds": 300}, "auto_delete_ttl": "1209600s"}),
        [
            cluster(lifecycle_config={"idle_delete_ttl": "299s"}),
            cluster(lifecycle_config={"auto_delete_ttl": "500s"}),
            cluster(lifecycle_config={"idle_stop_ttl": "1209601s"}),
        ],
    ),
    "cores of the driver and executors of a batch": (
        batch({"spark.executor.cores": "16", "spark.driver.cores": "4"}),
        [batch({"spark.executor.cores": "1"}), batch({"spark.driver.cores": "5"})],
    ),
    "executors of a batch": (batch({"spark.executor.instances": "2"}), [batch({"spark.executor.instances": "1"})]),
    "bucket name": (
        cluster(config_bucket="a" * 63, temp_bucket="a.example.com"),
        [
            cluster(config_bucket="a" * 64),
            cluster(temp_bucket="goog-x"),
            batch(staging_bucket="My_Bucket"),
            batch({"spark.datasource.bigquery.temporaryGcsBucket": "192.168.5.4"}),
            cluster(config_bucket="a..b"),
        ],
    ),
    "network tag": (machines(tags=["a" * 63]), [machines(tags=["A"]), batch(network_tags=["a_b"]), machines(tags=["a-"]), machines(tags=["a" * 64])]),
    "network tags": (machines(tags=["a"] * 64), [machines(tags=["a"] * 65)]),
    "name of a metadata entry": (machines(metadata={"a" * 127: ""}), [machines(metadata={name: ""}) for name in ("a" * 128, "a b", "é")]),
    "size of a metadata entry": (machines(metadata={"a": "x" * 262_144}), [machines(metadata={"a": "x" * 262_145})]),
    "size of all metadata": (
        machines(metadata={"a": "x" * 262_143, "b": "x" * 262_142}),
        [machines(metadata={"a": "x" * 262_144, "b": "x" * 262_143})],
    ),
    "name of a cluster property": (
        software(properties={"spark:spark.executor.memory": "2g"}),
        [software(properties={"spark.executor.memory": "2g"}), software(properties={"core:": ""})],
    ),
}  # fmt: skip


def test_each_limit_is_in_the_table() -> None:
    assert [limit.about for limit in LIMITS] == list(TABLE)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.about)
def test_each_limit(limit: Limit[Any]) -> None:
    within, beyond = TABLE[limit.about]
    assert limit.problems(within) == []
    assert all(limit.problems({kind: {}}) == [] for kind in ("job", "batch", "cluster"))
    for request in beyond:
        (problem,) = limit.problems(request)
        assert len(problem) < 600
        assert problem.endswith(f" ({limit.about}: {limit.allowed}{'; ' + limit.source if limit.source else ''})")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sl_env_var": {"A=B": "x"}}, "'A=B' is not a valid name"),
        ({"sl_env_var": {"MY VAR": "x"}}, "'MY VAR' is not a valid name"),
        ({"sl_env_var": {"é": "x"}}, "'é' is not a valid name"),
        ({"sl_env_var": {"": "x"}}, "'' is not a valid name"),
        (
            {"dataproc_labels": {f"l{number}": "x" for number in range(30)}},
            "33 labels, 3 of which this plugin adds; remove 1 from the option dataproc_labels (labels of a job, batch or "
            "cluster: at most 32; https://cloud.google.com/python/docs/reference/dataproc/latest/google.cloud.dataproc_v1.types.Job)",
        ),
        (
            {"dataproc_labels": {f"l{number}": "x" for number in range(29)}, "dataproc_job_wait_timeout": "2h"},
            "33 labels, 4 of which",
        ),
        ({"spark_bucket": "a" * 64}, "(64 characters)"),
        ({"spark_bucket": "my-google-bucket"}, "'my-google-bucket' is not a valid bucket name; look it up with: gcloud storage buckets list"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", [{}, {"dataproc_serverless": True}, {"dataproc_cluster": "c"}])
def test_a_job_that_would_be_refused(options: dict[str, Any], says: str, where: dict[str, Any]) -> None:
    with pytest.raises(OptionsError) as caught:
        job_of({**PLACE, **options, **where})
    if "64 characters" not in says:
        assert says in str(caught.value)
    if "is not a valid name" not in says:
        assert str(caught.value).startswith("task load_orders (environment dataproc): ")


def test_a_variable_is_refused_whichever_option_it_comes_from() -> None:
    with pytest.raises(
        OptionsError, match=r"'MY VAR' is not a valid name for a variable; rename it to MY_VAR .* \(name of"
    ):
        job_of({**PLACE, "spark_properties": {"spark.executorEnv.MY VAR": "x"}})
    with pytest.raises(OptionsError, match=r"cluster of a run .*'A=B' is not a valid name for a variable"):
        drawn(dataproc_cluster_properties={"spark-env:A=B": "x"})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"dataproc_serverless_version": "99"},
            "runtime '99'; write 'dataproc_serverless_version': '2.2' (runtime of a batch: MAJOR.MINOR; "
            "https://cloud.google.com/dataproc-serverless/docs/concepts/versions/spark-runtime-versions)",
        ),
        ({"dataproc_job_wait_timeout": "20d"}, "1.728e+06 s; write 'dataproc_job_wait_timeout': '14d', or less (time to live"),
        ({"spark_executor_cores": 1}, "spark.executor.cores is '1'; write 'spark_executor_cores': 4 for executors"),
        ({"spark_properties": {"spark.driver.cores": "2"}}, "spark.driver.cores is '2'"),
        ({"spark_properties": {"spark.executor.instances": "1"}}, "write 'spark_executor_instances': 2"),
        ({"dataproc_tags": "Data_Proc"}, "'Data_Proc' is not a valid network tag; change it in the option dataproc_tags (network tag: 1 to 63"),
    ],
)  # fmt: skip
def test_a_batch_that_would_be_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError) as caught:
        job_of({**PLACE, "dataproc_serverless": True, **options})
    (problem,) = caught.value.problems
    assert problem.startswith("task load_orders (environment dataproc): ")
    assert says in problem


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"dataproc_num_workers": 1},
            "1 worker; write 'dataproc_num_workers': 2, or 'dataproc_single_node': True for a single-node cluster (workers of a cluster: "
            "at least 2; https://cloud.google.com/python/docs/reference/dataproc/latest/google.cloud.dataproc_v1.types.ClusterConfig.ClusterType)",
        ),
        ({"dataproc_worker_properties": {"num_instances": 1}}, "1 worker; write"),
        (
            {"dataproc_num_workers": 0, "dataproc_secondary_num_workers": 2},
            "option 'dataproc_secondary_num_workers' (2) of plugin 'dataproc': a single-node cluster (dataproc_num_workers, "
            "dataproc_single_node) has no secondary workers; give it at least 2 workers, or remove the option",
        ),
        ({"dataproc_image_version": "banana"}, "image 'banana'; write 'dataproc_image_version': '2.2-debian12'"),
        ({"dataproc_zone": "us-central1-a"}, "zone 'us-central1-a' is not in region europe-west1; write 'dataproc_zone': 'europe-west1-b'"),
        ({"dataproc_config_bucket": "goog-bucket"}, "'goog-bucket' is not a valid bucket name"),
        ({"dataproc_cluster_metadata": {"MY KEY": "x"}}, "'MY KEY' is not a valid name for a metadata entry; rename it"),
        ({"dataproc_cluster_properties": {"spark.executor.memory": "2g"}}, "write spark:spark.executor.memory in the option"),
        ({"dataproc_tags": [f"t{number}" for number in range(65)]}, "65 tags; shorten the option dataproc_tags"),
        ({"dataproc_cluster_config": {"workerConfig": {"numInstances": 1}}}, "1 worker; write"),
        ({"dataproc_cluster_config": {"lifecycleConfig": {"autoDeleteTtl": "60s"}}}, "auto_delete_ttl is 60 s"),
    ],
)  # fmt: skip
def test_a_cluster_that_would_be_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError) as caught:
        drawn(**options)
    (problem,) = caught.value.problems
    assert problem.startswith("cluster of a run (environment dataproc): ")
    assert says in problem


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(OptionsError) as caught:
        drawn(dataproc_num_workers=1, dataproc_image_version="banana", dataproc_tags="A,B")
    assert len(caught.value.problems) == 4


def test_what_is_long_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        job_of({**PLACE, "sl_env_var": {"LONG": "x" * 140_000}})
    assert "variable LONG has 140005 bytes; put the long value into a file" in caplog.text
    assert "this limit is not documented" in caplog.text
    assert "xxxx" not in caplog.text


def test_a_name_that_no_shell_sets_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        drawn(sl_env_var={"sl.root": "gs://b/p"})
    assert (
        "variable 'sl.root' may not reach the drivers of a cluster; rename it to sl_root in the option sl_env_var"
        in caplog.text
    )


@pytest.mark.parametrize("where", [{}, {"dataproc_serverless": True}, {"dataproc_cluster": "c"}])
def test_what_is_within_the_limits_says_nothing(where: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    options = {
        **PLACE,
        **where,
        "sl_env_var": {"SL_ROOT": "gs://b/project", "SL_ENV": "BQ"},
        "dataproc_labels": {f"l{number}": "x" for number in range(28)},
        "dataproc_job_wait_timeout": "14d",
    }
    with caplog.at_level(logging.WARNING):
        for command in (LOAD, CHECK, transform_command("t", "kpi.x", spark=StarlakeSparkConfig("20g", 8, 3, {}))):
            job_of(options, command)
    assert not caplog.records


@pytest.mark.parametrize(
    "image", ["2.2", "2.2-debian12", "2.1.80-rocky8", "2.3-ml-ubuntu22", "preview", "1.5-debian10", "2.2-ubuntu22-arm"]
)
def test_images_of_clusters(image: str) -> None:
    drawn(dataproc_image_version=image)


@pytest.mark.parametrize("cores", [4, 8, 16])
def test_cores_of_batches(cores: int) -> None:
    job_of({**PLACE, "dataproc_serverless": True, "spark_executor_cores": cores})

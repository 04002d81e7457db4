"""Jobs of the environment: pure functions of commands and options."""

from __future__ import annotations

import json
from typing import Any

from starlake_core import Command, Job, Lifecycle, Options, OptionsError, StarlakeSparkConfig

from .naming import OWNER_LABEL, TIMEOUT_LABEL, cluster_name
from .variables import OF_CLUSTER

__all__ = ["endpoint_of", "job_of", "lifecycle_of"]

_LEAST_BATCH_EXECUTORS = 2

_CLUSTER_VARIABLES = {
    "SL_HIVE": "false",
    "SL_GROUPED": "true",
    "SL_AUDIT_SINK_TYPE": "BigQuerySink",
    "SL_SINK_REPLAY_TO_FILE": "false",
    "SL_MERGE_OPTIMIZE_PARTITION_WRITE": "true",
    "SL_SPARK_SQL_SOURCES_PARTITION_OVERWRITE_MODE": "dynamic",
}


def endpoint_of(options: Options) -> str:
    """All that a runner is made from, as one text."""
    about = {
        "project": options["dataproc_project_id"],
        "region": options["dataproc_region"],
        "endpoint": options["dataproc_endpoint"],
        "storage": options["dataproc_storage_endpoint"],
        "logging": options["dataproc_logging_endpoint"],
        "impersonate": options["dataproc_impersonate_service_account"] or "",
        "interval": options["dataproc_poll_interval"],
        "follow": options["dataproc_follow_logs"],
        "missing_grace": options["dataproc_missing_grace"],
    }
    return json.dumps(about, sort_keys=True, separators=(",", ":"))


def _mode(options: Options) -> str:
    return "serverless" if options["dataproc_serverless"] else str(options["dataproc_deploy_mode"])


def _cluster(options: Options) -> str:
    existing: str | None = options["dataproc_cluster"]
    return existing or cluster_name(options["dataproc_name"], options["cluster_config_name"])


def _fixed_properties(bucket: str, mode: str) -> dict[str, str]:
    properties = {
        "spark.sql.sources.partitionOverwriteMode": "DYNAMIC",
        "spark.sql.legacy.parquet.int96RebaseModeInWrite": "CORRECTED",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.datasource.bigquery.temporaryGcsBucket": bucket,
        "spark.datasource.bigquery.allowFieldAddition": "true",
        "spark.datasource.bigquery.allowFieldRelaxation": "true",
        "spark.dynamicAllocation.enabled": "false",
    }
    if mode == "serverless":
        return properties
    return {
        **properties,
        "spark.hadoop.fs.defaultFS": f"gs://{bucket}",
        "spark.eventLog.enabled": "true",
        "spark.shuffle.service.enabled": "false",
        **({"spark.submit.deployMode": "cluster"} if mode == "cluster" else {}),
    }


def _sizing(command: Command, options: Options, mode: str) -> dict[str, str]:
    """Sizing and properties of the user."""
    spark = command.spark or StarlakeSparkConfig(
        options["spark_executor_memory"],
        options["spark_executor_cores"],
        options["spark_executor_instances"],
        options["spark_properties"],
    )
    sizing = spark.__config__()
    if mode == "serverless" and "spark.executor.instances" not in spark.properties and spark.instances is not None:
        sizing["spark.executor.instances"] = str(max(_LEAST_BATCH_EXECUTORS, spark.instances))
    return sizing


def _single(options: Options) -> bool:
    return bool(options["dataproc_single_node"] or options["dataproc_num_workers"] <= 0)


def _check(options: Options) -> None:
    problems = []
    if options["dataproc_serverless"] and options["dataproc_cluster"]:
        problems.append(
            f"option 'dataproc_cluster' ({options['dataproc_cluster']!r}) and option 'dataproc_serverless' of plugin 'dataproc' exclude "
            "each other: a batch runs on no cluster; give one of them"
        )
    if _single(options) and options["dataproc_secondary_num_workers"]:
        problems.append(
            f"option 'dataproc_secondary_num_workers' ({options['dataproc_secondary_num_workers']}) of plugin 'dataproc': a cluster of one node "
            "(dataproc_num_workers, dataproc_single_node) has no secondary workers; give it at least 2 workers, or leave the option out"
        )
    if problems:
        raise OptionsError(problems)


def job_of(command: Command, options: Options) -> Job:
    """The job of a Starlake command.

    Args:
        command: what it does.
        options: of the pipeline and the task.

    Raises:
        OptionsError: options that contradict each other.
    """
    _check(options)
    mode = _mode(options)
    spec: dict[str, Any] = {
        "mode": mode,
        "project": options["dataproc_project_id"],
        "region": options["dataproc_region"],
        "bucket": options["spark_bucket"],
        "jars": list(options["spark_jar_list"]),
        "main_class": options["spark_job_main_class"],
        "properties": {**_fixed_properties(options["spark_bucket"], mode), **_sizing(command, options, mode)},
        "labels": options["dataproc_labels"],
        "timeout": options["dataproc_job_wait_timeout"],
        "sentinel": options["pre_load_not_ready_sentinel"],
    }
    if mode == "serverless":
        spec["batch"] = {
            "version": options["dataproc_serverless_version"],
            "subnet": options["dataproc_subnet"],
            "tags": list(options["dataproc_tags"]),
            "service_account": options["dataproc_service_account"] or "",
            "staging_bucket": options["dataproc_config_bucket"] or "",
        }
    else:
        spec["cluster"] = _cluster(options)
        spec["max_failures_per_hour"] = options["dataproc_max_failures_per_hour"]
    return Job("dataproc", command.vector, options["sl_env_var"], spec, endpoint_of(options))


def lifecycle_of(options: Options) -> Lifecycle | None:
    """The creation and the deletion of the cluster of a run; None where none is made.

    Args:
        options: of the pipeline.

    Raises:
        OptionsError: options that contradict each other.
    """
    _check(options)
    if options["dataproc_serverless"] or options["dataproc_cluster"]:
        return None
    base = {
        "project": options["dataproc_project_id"],
        "region": options["dataproc_region"],
        "cluster": _cluster(options),
    }
    endpoint = endpoint_of(options)
    # The variables are those of the job: what an orchestrator keeps of it is without them.
    create = Job("dataproc", (), options["sl_env_var"], {**base, "create": _configuration(options)}, endpoint)
    delete = Job("dataproc", (), {}, {**base, "delete": True}, endpoint)
    return Lifecycle(setup=(("create_cluster", create),), teardown=(("delete_cluster", delete),))


def _configuration(options: Options) -> dict[str, Any]:
    """Labels, ``ClusterConfig`` and the user's properties of a cluster, as JSON values."""
    project, region = options["dataproc_project_id"], options["dataproc_region"]
    # What is left out, Dataproc chooses: a bucket that it makes, and the account of Compute Engine.
    bucket, account = options["dataproc_config_bucket"], options["dataproc_service_account"]
    subnet = options["dataproc_subnet"]
    single = _single(options)
    config: dict[str, Any] = {
        **({"config_bucket": bucket} if bucket else {}),
        "gce_cluster_config": {
            "subnetwork_uri": subnet if "/" in subnet else f"projects/{project}/regions/{region}/subnetworks/{subnet}",
            "internal_ip_only": options["dataproc_internal_ip_only"],
            **({"service_account": account} if account else {}),
            "service_account_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
            "tags": list(options["dataproc_tags"]),
            "metadata": options["dataproc_cluster_metadata"],
            **({"zone_uri": options["dataproc_zone"]} if options["dataproc_zone"] else {}),
        },
        "master_config": {**_machines(options, "master", 1), **options["dataproc_master_properties"]},
        "software_config": {
            "image_version": options["dataproc_image_version"],
            "properties": _cluster_properties(bucket, single),
        },
    }
    if options["dataproc_temp_bucket"]:
        config["temp_bucket"] = options["dataproc_temp_bucket"]
    if options["dataproc_idle_delete_ttl"]:
        config["lifecycle_config"] = {"idle_delete_ttl": {"seconds": options["dataproc_idle_delete_ttl"]}}
    if not single:
        config["worker_config"] = {
            **_machines(options, "worker", options["dataproc_num_workers"]),
            **options["dataproc_worker_properties"],
        }
    if options["dataproc_secondary_num_workers"]:
        config["secondary_worker_config"] = {
            "num_instances": options["dataproc_secondary_num_workers"],
            "preemptibility": options["dataproc_secondary_preemptibility"].upper(),
            "disk_config": {
                "boot_disk_type": options["dataproc_secondary_disk_type"] or options["dataproc_worker_disk_type"],
                "boot_disk_size_gb": options["dataproc_secondary_disk_size"] or options["dataproc_worker_disk_size"],
            },
            **options["dataproc_secondary_properties"],
        }
    labels = {**options["dataproc_labels"], OWNER_LABEL: "cluster"}
    if options["dataproc_create_timeout"]:
        labels[TIMEOUT_LABEL] = str(options["dataproc_create_timeout"])
    return {"labels": labels, "config": config, "properties": options["dataproc_cluster_properties"]}


def _machines(options: Options, role: str, count: int) -> dict[str, Any]:
    return {
        "num_instances": count,
        "machine_type_uri": options[f"dataproc_{role}_machine_type"],
        "disk_config": {
            "boot_disk_type": options[f"dataproc_{role}_disk_type"],
            "boot_disk_size_gb": options[f"dataproc_{role}_disk_size"],
        },
    }


def _cluster_properties(bucket: str | None, single: bool) -> dict[str, str]:
    history = f"gs://{bucket}/tmp/spark/events/" + "${sl_ds}" if bucket else ""
    return {
        "dataproc:dataproc.logging.stackdriver.job.driver.enable": "true",
        "dataproc:dataproc.logging.stackdriver.enable": "true",
        "dataproc:dataproc.logging.stackdriver.job.yarn.container.enable": "true",
        "dataproc:jobs.file-backed-output.enable": "true",
        "dataproc:job.history.to-gcs.enabled": "true",
        **({"spark:spark.history.fs.logDirectory": history, "spark:spark.eventLog.dir": history} if history else {}),
        **({"dataproc:dataproc.allow.zero.workers": "true"} if single else {}),
        **{f"{OF_CLUSTER}{name}": value for name, value in _CLUSTER_VARIABLES.items()},
    }

"""Jobs of the environment: pure functions of commands and options."""

from __future__ import annotations

import json
from typing import Any

from starlake_core import Command, GeneralOptions, Job, Lifecycle, Options, OptionsError, StarlakeSparkConfig

from .naming import OWNER_LABEL, TIMEOUT_LABEL, cluster_name
from .options import DataprocOptions
from .variables import OF_CLUSTER

__all__ = ["job_of", "lifecycle_of"]

_LEAST_BATCH_EXECUTORS = 2

_CLUSTER_VARIABLES = {
    "SL_HIVE": "false",
    "SL_GROUPED": "true",
    "SL_AUDIT_SINK_TYPE": "BigQuerySink",
    "SL_SINK_REPLAY_TO_FILE": "false",
    "SL_MERGE_OPTIMIZE_PARTITION_WRITE": "true",
    "SL_SPARK_SQL_SOURCES_PARTITION_OVERWRITE_MODE": "dynamic",
}


def _endpoint(dataproc: DataprocOptions) -> str:
    """All that a runner is made from, as one text."""
    about = {
        "project": dataproc.dataproc_project_id,
        "region": dataproc.dataproc_region,
        "endpoint": dataproc.dataproc_endpoint,
        "storage": dataproc.dataproc_storage_endpoint,
        "logging": dataproc.dataproc_logging_endpoint,
        "impersonate": dataproc.dataproc_impersonate_service_account or "",
        "interval": dataproc.dataproc_poll_interval,
        "follow": dataproc.dataproc_follow_logs,
        "missing_grace": dataproc.dataproc_missing_grace,
    }
    return json.dumps(about, sort_keys=True, separators=(",", ":"))


def _mode(dataproc: DataprocOptions) -> str:
    return "serverless" if dataproc.dataproc_serverless else dataproc.dataproc_deploy_mode


def _cluster(dataproc: DataprocOptions) -> str:
    return dataproc.dataproc_cluster or cluster_name(dataproc.dataproc_name, dataproc.cluster_config_name)


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


def _sizing(command: Command, general: GeneralOptions, mode: str) -> dict[str, str]:
    """Sizing and properties of the user."""
    spark = command.spark or StarlakeSparkConfig(
        general.spark_executor_memory,
        general.spark_executor_cores,
        general.spark_executor_instances,
        general.spark_properties,
    )
    sizing = spark.__config__()
    if mode == "serverless" and "spark.executor.instances" not in spark.properties and spark.instances is not None:
        sizing["spark.executor.instances"] = str(max(_LEAST_BATCH_EXECUTORS, spark.instances))
    return sizing


def _single(dataproc: DataprocOptions) -> bool:
    return dataproc.dataproc_single_node or dataproc.dataproc_num_workers <= 0


def _check(dataproc: DataprocOptions) -> None:
    problems = []
    if dataproc.dataproc_serverless and dataproc.dataproc_cluster:
        problems.append(
            f"option 'dataproc_cluster' ({dataproc.dataproc_cluster!r}) and option 'dataproc_serverless' of plugin 'dataproc' exclude "
            "each other: a batch runs on no cluster; give one of them"
        )
    if _single(dataproc) and dataproc.dataproc_secondary_num_workers:
        problems.append(
            f"option 'dataproc_secondary_num_workers' ({dataproc.dataproc_secondary_num_workers}) of plugin 'dataproc': a cluster of one node "
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
    dataproc, general = options[DataprocOptions], options[GeneralOptions]
    _check(dataproc)
    mode = _mode(dataproc)
    spec: dict[str, Any] = {
        "mode": mode,
        "project": dataproc.dataproc_project_id,
        "region": dataproc.dataproc_region,
        "bucket": dataproc.spark_bucket,
        "jars": list(dataproc.spark_jar_list),
        "main_class": dataproc.spark_job_main_class,
        "properties": {**_fixed_properties(dataproc.spark_bucket, mode), **_sizing(command, general, mode)},
        "labels": dataproc.dataproc_labels,
        "timeout": dataproc.dataproc_job_wait_timeout,
        "sentinel": dataproc.pre_load_not_ready_sentinel,
    }
    if mode == "serverless":
        spec["batch"] = {
            "version": dataproc.dataproc_serverless_version,
            "subnet": dataproc.dataproc_subnet,
            "tags": list(dataproc.dataproc_tags),
            "service_account": dataproc.dataproc_service_account or "",
            "staging_bucket": dataproc.dataproc_config_bucket or "",
        }
    else:
        spec["cluster"] = _cluster(dataproc)
        spec["max_failures_per_hour"] = dataproc.dataproc_max_failures_per_hour
    return Job("dataproc", command.vector, general.sl_env_var, spec, _endpoint(dataproc))


def lifecycle_of(options: Options) -> Lifecycle | None:
    """The creation and the deletion of the cluster of a run; None where none is made.

    Args:
        options: of the pipeline.

    Raises:
        OptionsError: options that contradict each other.
    """
    dataproc = options[DataprocOptions]
    _check(dataproc)
    if dataproc.dataproc_serverless or dataproc.dataproc_cluster:
        return None
    base = {
        "project": dataproc.dataproc_project_id,
        "region": dataproc.dataproc_region,
        "cluster": _cluster(dataproc),
    }
    endpoint = _endpoint(dataproc)
    # The variables are those of the job: what an orchestrator keeps of it is without them.
    env = options[GeneralOptions].sl_env_var
    create = Job("dataproc", (), env, {**base, "create": _configuration(dataproc)}, endpoint)
    delete = Job("dataproc", (), {}, {**base, "delete": True}, endpoint)
    return Lifecycle(setup=(("create_cluster", create),), teardown=(("delete_cluster", delete),))


def _configuration(dataproc: DataprocOptions) -> dict[str, Any]:
    """Labels, ``ClusterConfig`` and the user's properties of a cluster, as JSON values."""
    project, region = dataproc.dataproc_project_id, dataproc.dataproc_region
    # What is left out, Dataproc chooses: a bucket that it makes, and the account of Compute Engine.
    bucket, account = dataproc.dataproc_config_bucket, dataproc.dataproc_service_account
    subnet = dataproc.dataproc_subnet
    single = _single(dataproc)
    config: dict[str, Any] = {
        **({"config_bucket": bucket} if bucket else {}),
        "gce_cluster_config": {
            "subnetwork_uri": subnet if "/" in subnet else f"projects/{project}/regions/{region}/subnetworks/{subnet}",
            "internal_ip_only": dataproc.dataproc_internal_ip_only,
            **({"service_account": account} if account else {}),
            "service_account_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
            "tags": list(dataproc.dataproc_tags),
            "metadata": dataproc.dataproc_cluster_metadata,
            **({"zone_uri": dataproc.dataproc_zone} if dataproc.dataproc_zone else {}),
        },
        "master_config": {
            "num_instances": 1,
            "machine_type_uri": dataproc.dataproc_master_machine_type,
            "disk_config": _disk(dataproc.dataproc_master_disk_type, dataproc.dataproc_master_disk_size),
            **dataproc.dataproc_master_properties,
        },
        "software_config": {
            "image_version": dataproc.dataproc_image_version,
            "properties": _cluster_properties(bucket, single),
        },
    }
    if dataproc.dataproc_temp_bucket:
        config["temp_bucket"] = dataproc.dataproc_temp_bucket
    if dataproc.dataproc_idle_delete_ttl:
        config["lifecycle_config"] = {"idle_delete_ttl": {"seconds": dataproc.dataproc_idle_delete_ttl}}
    if not single:
        config["worker_config"] = {
            "num_instances": dataproc.dataproc_num_workers,
            "machine_type_uri": dataproc.dataproc_worker_machine_type,
            "disk_config": _disk(dataproc.dataproc_worker_disk_type, dataproc.dataproc_worker_disk_size),
            **dataproc.dataproc_worker_properties,
        }
    if dataproc.dataproc_secondary_num_workers:
        config["secondary_worker_config"] = {
            "num_instances": dataproc.dataproc_secondary_num_workers,
            "preemptibility": dataproc.dataproc_secondary_preemptibility.upper(),
            "disk_config": _disk(
                dataproc.dataproc_secondary_disk_type or dataproc.dataproc_worker_disk_type,
                dataproc.dataproc_secondary_disk_size or dataproc.dataproc_worker_disk_size,
            ),
            **dataproc.dataproc_secondary_properties,
        }
    labels = {**dataproc.dataproc_labels, OWNER_LABEL: "cluster"}
    if dataproc.dataproc_create_timeout:
        labels[TIMEOUT_LABEL] = str(dataproc.dataproc_create_timeout)
    return {"labels": labels, "config": config, "properties": dataproc.dataproc_cluster_properties}


def _disk(kind: str, size: int) -> dict[str, Any]:
    return {"boot_disk_type": kind, "boot_disk_size_gb": size}


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

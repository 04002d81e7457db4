"""Requests that create and delete the cluster of a run. All functions are pure: the same input gives the same bytes."""

from __future__ import annotations

from typing import Any

from starlake_core import GeneralOptions, Job, Lifecycle, Options, OptionsError, check_limits
from starlake_core.logs import get_logger

from .documents import leaves_of
from .limits import LIMITS
from .naming import OWNER_LABEL, TIMEOUT_LABEL
from .options import DataprocOptions, has_one_node, problems
from .pass_through import check_group_properties, cluster_config
from .request import cluster_of, endpoint_of
from .variables import OF_CLUSTER

__all__ = ["cluster_request", "lifecycle_of"]

logger = get_logger(__name__)

_CLUSTER_VARIABLES = {
    "SL_HIVE": "false",
    "SL_GROUPED": "true",
    "SL_AUDIT_SINK_TYPE": "BigQuerySink",
    "SL_SINK_REPLAY_TO_FILE": "false",
    "SL_MERGE_OPTIMIZE_PARTITION_WRITE": "true",
    "SL_SPARK_SQL_SOURCES_PARTITION_OVERWRITE_MODE": "dynamic",
}


def lifecycle_of(options: Options) -> Lifecycle | None:
    """The creation and the deletion of the cluster of a run; None if no cluster is created.

    Args:
        options: the options of the pipeline.

    Raises:
        OptionsError: options contradict each other, or Dataproc does not accept them.
    """
    dataproc = options[DataprocOptions]
    wrong = problems(dataproc)
    if wrong:
        raise OptionsError(wrong)
    _warn_of_idle_documents(options)
    if dataproc.dataproc_serverless or dataproc.dataproc_cluster:
        return None
    where = "cluster of a run (environment dataproc)"
    check_group_properties(dataproc, where)
    base = {
        "project": dataproc.dataproc_project_id,
        "region": dataproc.dataproc_region,
        "cluster": cluster_of(dataproc),
    }
    endpoint = endpoint_of(dataproc)
    # The variables are those of the job: an orchestrator stores the job without them.
    env = options[GeneralOptions].sl_env_var
    made = _configuration(dataproc)
    if dataproc.dataproc_cluster_config:
        made["config"] = cluster_config(made["config"], dataproc, env, where)
        made["document"] = sorted(".".join(path) for path, _ in leaves_of(dataproc.dataproc_cluster_config))
    create = Job("dataproc", (), env, {**base, "create": made}, endpoint)
    check_limits(LIMITS, cluster_request(create), where)
    delete = Job("dataproc", (), {}, {**base, "delete": True}, endpoint)
    return Lifecycle(setup=(("create_cluster", create),), teardown=(("delete_cluster", delete),))


def _warn_of_idle_documents(options: Options) -> None:
    """Warn about a document that has no effect."""
    dataproc = options[DataprocOptions]
    if dataproc.dataproc_cluster_config and (dataproc.dataproc_serverless or dataproc.dataproc_cluster):
        other = "dataproc_serverless" if dataproc.dataproc_serverless else "dataproc_cluster"
        logger.warning(
            "option 'dataproc_cluster_config' has no effect: no cluster is created when option '%s' is set", other
        )
    has_batches = dataproc.dataproc_serverless or any(
        values.get("dataproc_serverless") for values in options.tasks.values()
    )
    if dataproc.dataproc_batch_config and not has_batches:
        logger.warning(
            "option 'dataproc_batch_config' has no effect: no command runs as a batch; write 'dataproc_serverless': True, or remove it"
        )


def _configuration(dataproc: DataprocOptions) -> dict[str, Any]:
    """Labels, ``ClusterConfig`` and the user's properties of a cluster, as JSON values."""
    project, region = dataproc.dataproc_project_id, dataproc.dataproc_region
    # Dataproc chooses what is left out: it creates a bucket, and uses the account of Compute Engine.
    bucket, account = dataproc.dataproc_config_bucket, dataproc.dataproc_service_account
    subnet = dataproc.dataproc_subnet
    single = has_one_node(dataproc)
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


def cluster_request(job: Job) -> dict[str, Any]:
    """The ``CreateClusterRequest`` of a job that creates a cluster. All variables of the pipeline are passed to its drivers.

    Args:
        job: a bound job.
    """
    spec = job.spec
    made = spec["create"]
    software = made["config"]["software_config"]
    variables = {f"{OF_CLUSTER}{name}": value for name, value in job.env.items()}
    properties = {**software["properties"], **variables, **made["properties"]}
    own = {name: value for name, value in made["labels"].items() if name.startswith("starlake_")}
    return {
        "project_id": spec["project"],
        "region": spec["region"],
        "cluster": {
            "project_id": spec["project"],
            "cluster_name": spec["cluster"],
            "labels": {**made["labels"], **job.labels, **own},
            "config": {**made["config"], "software_config": {**software, "properties": properties}},
        },
    }

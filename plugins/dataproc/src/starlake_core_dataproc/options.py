"""The options of the environment ``dataproc``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from starlake_core import (
    BOOL,
    CSV,
    DOCUMENT,
    DURATION,
    JSON_MAP,
    STR,
    TEXT_MAP,
    Integer,
    Kind,
    Matching,
    OneOf,
    OptionGroup,
    Seconds,
    option,
)

from .elsewhere import ELSEWHERE

__all__ = ["DataprocOptions", "has_one_node", "is_given", "problems"]

_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_DAYS_14 = 14 * 86400


def _read_jars(value: Any) -> tuple[str, ...]:
    jars = CSV.read(value)
    if not jars or any(not re.fullmatch(r"[a-z][a-z0-9+.-]*:\S+", jar) for jar in jars):
        raise ValueError
    return jars


def _read_bucket(value: Any) -> str:
    text = STR.read(value).strip().removeprefix("gs://").rstrip("/")
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", text):
        raise ValueError
    return text


def _read_labels(value: Any) -> dict[str, str]:
    labels = TEXT_MAP.read(value)
    for name, text in labels.items():
        if not _LABEL.fullmatch(name) or not _LABEL_VALUE.fullmatch(text) or name.startswith("starlake_"):
            raise ValueError
    return labels


def _read_idle(value: Any) -> int:
    seconds = DURATION.read(value)
    if seconds and not 300 <= seconds <= _DAYS_14:
        raise ValueError
    return seconds


_CLUSTER = Matching(
    r"[a-z]([-a-z0-9]{0,49}[a-z0-9])?",
    "a cluster name: at most 51 lower-case letters, digits and dashes",
    "name",
    strip=True,
)
_REGION = Matching(r"[a-z]+(-[a-z]+)+[0-9]+", "a region such as europe-west1", "region", strip=True)
_PROJECT = Matching(
    r"([a-z0-9.-]+:)?[a-z0-9][a-z0-9-]{0,61}",
    "a project id such as my-project-123",
    "project",
    strip=True,
)
_MACHINE = Matching(
    r"[a-z][a-z0-9]*(-[a-z0-9]+)+|custom(-[0-9]+){2}|(https://|projects/)\S+",
    "a machine type such as n1-standard-4, or the URI of one",
    "machine type",
    strip=True,
)
_DISK = Matching(r"[a-z]+(-[a-z]+)+", "a disk type such as pd-standard, pd-balanced or pd-ssd", "disk type", strip=True)
_SIZE = Integer(10, 65536)
_ACCOUNT = Matching(r"[^@\s,]+@[^@\s,]+", "the e-mail address of one service account", "account", strip=True)
_SUBNET = Matching(
    r"[a-z]([-a-z0-9]*[a-z0-9])?|(https://\S+/)?projects/[^/\s]+/regions/[^/\s]+/subnetworks/[^/\s]+",
    "the name of a subnet of the region, or projects/P/regions/R/subnetworks/S",
    "subnet",
    strip=True,
)
_BUCKET = Kind("bucket", "a bucket name, with or without gs://", _read_bucket)
_JARS = Kind("csv", "at least one URI such as gs://bucket/starlake.jar, separated by commas", _read_jars)
_LABELS = Kind(
    "json",
    'a mapping, or a JSON object such as {"team": "sales"}: lower-case letters, digits, - and _, no name that starts with starlake_',
    _read_labels,
)
_INTERVAL = Seconds(
    math.ulp(0.0), "seconds, or a number with s, m, h or d; greater than 0 and less than a day", high=86400
)
_IDLE = Kind("duration", "300 s (5m) to 14d, or 0 for never", _read_idle)
_ADDRESS = Matching(r"|https?://[^\s/]+/?", "http://host:port or https://host", "address", strip=True)


class DataprocOptions(OptionGroup):
    """Where commands run, the cluster or batch that runs them, and how they are waited for."""

    elsewhere: ClassVar[Mapping[str, str]] = ELSEWHERE

    dataproc_project_id: str = option(
        _PROJECT, required=True, env="GCP_PROJECT", doc="The project of the jobs and clusters."
    )
    dataproc_region: str = option(_REGION, "europe-west1", doc="The region of the jobs and clusters.")
    spark_jar_list: tuple[str, ...] = option(
        _JARS, required=True, doc="The jars of the jobs: Starlake and its dependencies."
    )
    spark_job_main_class: str = option(STR, "ai.starlake.job.Main", doc="The main class of the jobs.")
    spark_bucket: str = option(
        _BUCKET,
        required=True,
        doc="The bucket for Spark (defaultFS), for the BigQuery connector (temporaryGcsBucket) and for the markers of checks.",
    )
    dataproc_cluster: str | None = option(
        _CLUSTER, doc="An existing cluster to run on; without it, pre_tasks creates one for each run."
    )
    dataproc_deploy_mode: str = option(
        OneOf("client", "cluster"),
        "client",
        doc="Where drivers run. client: on the master, with their output kept in Cloud Storage. "
        "cluster: in YARN, where they receive all environment variables.",
    )
    dataproc_labels: dict[str, str] = option(_LABELS, {}, doc="Labels of the jobs, batches and clusters.")
    dataproc_max_failures_per_hour: int = option(
        Integer(0, 10),
        0,
        doc="How often Dataproc itself restarts a failed driver; the same attempt may then run more than once.",
    )
    dataproc_job_wait_timeout: int | None = option(
        DURATION,
        doc="How long after its submission a job is cancelled. By default, there is no limit (see task_timeout).",
    )
    dataproc_poll_interval: float = option(
        _INTERVAL,
        10.0,
        aliases=("dataproc_async_poke_interval",),
        doc="Seconds between two polls; one poll is for all jobs.",
    )
    dataproc_missing_grace: int = option(
        DURATION, 60, doc="How long Dataproc may not know a job that was never seen, before it counts as lost."
    )
    dataproc_create_timeout: int = option(
        DURATION,
        1800,
        doc="How long the creation of a cluster may take, before the cluster is deleted; 0 for no limit.",
    )
    dataproc_follow_logs: bool = option(
        BOOL, False, doc="Read the output of drivers while they run, not only after a failure."
    )
    dataproc_impersonate_service_account: str | None = option(
        _ACCOUNT, doc="The service account to call Dataproc and Cloud Storage with."
    )
    pre_load_not_ready_sentinel: bool = option(
        BOOL,
        True,
        doc="Let Starlake report 'not ready' with a marker file; turn it off for Starlake older than 1.5.15.",
    )
    dataproc_name: str = option(
        _CLUSTER, "dataproc-cluster", doc="The first part of the name of a cluster that is created for a run."
    )
    cluster_config_name: str | None = option(
        STR, aliases=("cluster_id",), doc="The second part of the name of a cluster that is created for a run."
    )
    dataproc_image_version: str = option(STR, "2.2-debian12", doc="The image of a cluster.")
    dataproc_subnet: str = option(_SUBNET, "default", doc="The subnet of a cluster or batch.")
    dataproc_internal_ip_only: bool = option(BOOL, True, doc="No external addresses for the machines of a cluster.")
    dataproc_tags: tuple[str, ...] = option(CSV, ("dataproc",), doc="Network tags of a cluster or batch.")
    dataproc_zone: str | None = option(STR, doc="The zone of a cluster. By default, Dataproc chooses it.")
    dataproc_service_account: str | None = option(
        _ACCOUNT,
        doc="The service account of the machines of a cluster, or of a batch. The default is that of Compute Engine.",
    )
    dataproc_config_bucket: str | None = option(
        _BUCKET, doc="The bucket for staged files and driver output. By default, Dataproc creates one."
    )
    dataproc_temp_bucket: str | None = option(
        _BUCKET, doc="The bucket for short-lived files of a cluster. By default, Dataproc chooses it."
    )
    dataproc_master_machine_type: str = option(_MACHINE, "n1-standard-4", doc="The machine type of the master.")
    dataproc_master_disk_type: str = option(_DISK, "pd-standard", doc="The type of the master's boot disk.")
    dataproc_master_disk_size: int = option(_SIZE, 1024, doc="The size of the master's boot disk in GB.")
    dataproc_worker_machine_type: str = option(_MACHINE, "n1-standard-4", doc="The machine type of the workers.")
    dataproc_worker_disk_type: str = option(_DISK, "pd-standard", doc="The type of a worker's boot disk.")
    dataproc_worker_disk_size: int = option(_SIZE, 1024, doc="The size of a worker's boot disk in GB.")
    dataproc_num_workers: int = option(
        Integer(),
        4,
        aliases=("dataproc_worker_num_instances",),
        doc="Number of workers; 0 or less for a single-node cluster.",
    )
    dataproc_single_node: bool = option(
        BOOL, False, doc="Create a single-node cluster, whatever dataproc_num_workers says."
    )
    dataproc_secondary_num_workers: int = option(
        Integer(0),
        0,
        aliases=("dataproc_secondary_worker_num_instances",),
        doc="Number of secondary workers, which have the machine type of the workers.",
    )
    dataproc_secondary_preemptibility: str = option(
        OneOf("preemptible", "spot", "non_preemptible"),
        "preemptible",
        doc="Whether secondary workers can be preempted.",
    )
    dataproc_secondary_disk_type: str | None = option(
        _DISK, doc="The type of a secondary worker's boot disk. The default is that of a worker."
    )
    dataproc_secondary_disk_size: int | None = option(
        _SIZE, doc="The size of a secondary worker's boot disk in GB. The default is that of a worker."
    )
    dataproc_idle_delete_ttl: int = option(
        _IDLE, 3600, doc="The idle time after which Dataproc itself deletes a cluster, as a safety net."
    )
    dataproc_cluster_metadata: dict[str, str] = option(TEXT_MAP, {}, doc="Metadata of the machines of a cluster.")
    dataproc_cluster_properties: dict[str, str] = option(
        TEXT_MAP, {}, doc="Further properties of a cluster, such as spark-env:NAME; they override others."
    )
    dataproc_master_properties: dict[str, Any] = option(
        JSON_MAP, {}, doc="Further fields of the master's InstanceGroupConfig; they override others."
    )
    dataproc_worker_properties: dict[str, Any] = option(
        JSON_MAP, {}, doc="Further fields of the workers' InstanceGroupConfig; they override others."
    )
    dataproc_secondary_properties: dict[str, Any] = option(
        JSON_MAP, {}, doc="Further fields of the secondary workers' InstanceGroupConfig; they override others."
    )
    dataproc_serverless: bool = option(
        BOOL, False, doc="Run each command as a batch of Dataproc Serverless, without a cluster."
    )
    dataproc_serverless_version: str = option(STR, "2.2", doc="The runtime of a batch.")
    dataproc_cluster_config: dict[str, Any] = option(
        DOCUMENT,
        {},
        doc="Further fields of the ClusterConfig of a new cluster: autoscaling, initialization actions, metastore ...",
    )
    dataproc_batch_config: dict[str, Any] = option(
        DOCUMENT,
        {},
        doc="Further fields of the Batch of a command: container image, history server, encryption key ...",
    )
    dataproc_endpoint: str = option(
        _ADDRESS, "", doc="Another address of Dataproc: an emulator (http://), or a private one (https://)."
    )
    dataproc_storage_endpoint: str = option(_ADDRESS, "", doc="Another address of Cloud Storage.")
    dataproc_logging_endpoint: str = option(_ADDRESS, "", doc="Another address of Cloud Logging.")


def has_one_node(dataproc: DataprocOptions) -> bool:
    """Whether a new cluster has no workers.

    Args:
        dataproc: the options of a pipeline or task.
    """
    return dataproc.dataproc_single_node or dataproc.dataproc_num_workers <= 0


def problems(dataproc: DataprocOptions) -> list[str]:
    """Problems of values that the types of the options cannot find.

    Args:
        dataproc: the options of a pipeline or task.
    """
    found = []
    if dataproc.dataproc_serverless and dataproc.dataproc_cluster:
        found.append(
            f"option 'dataproc_cluster' ({dataproc.dataproc_cluster!r}) and option 'dataproc_serverless' of plugin 'dataproc' exclude "
            "each other: a batch does not run on a cluster; remove one of them"
        )
    return found


def is_given(dataproc: DataprocOptions, name: str) -> bool:
    """Whether an option has a value other than its default, which a document may replace.

    Args:
        dataproc: the options of a pipeline or task.
        name: the name of the option.
    """
    default = next(one.default for one in dataproc.declared if one.name == name)
    return bool(getattr(dataproc, name) != default)

"""The options of the environment ``dataproc``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from starlake_core import BOOL, CSV, DURATION, JSON_MAP, STR, Integer, OneOf, Option
from starlake_core.options import Kind

__all__ = ["MAIN_CLASS", "OPTIONS"]

MAIN_CLASS = "ai.starlake.job.Main"

_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_DAYS_14 = 14 * 86400


def _matching(pattern: str) -> Callable[[Any], str]:
    compiled = re.compile(pattern)

    def read(value: Any) -> str:
        text: str = STR.read(value).strip()
        if not compiled.fullmatch(text):
            raise ValueError
        return text

    return read


def _read_jars(value: Any) -> tuple[str, ...]:
    jars: tuple[str, ...] = CSV.read(value)
    if not jars or any(not re.fullmatch(r"[a-z][a-z0-9+.-]*:\S+", jar) for jar in jars):
        raise ValueError
    return jars


def _read_bucket(value: Any) -> str:
    text: str = STR.read(value).strip().removeprefix("gs://").rstrip("/")
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", text):
        raise ValueError
    return text


def _read_labels(value: Any) -> dict[str, str]:
    labels = {
        name: str(text).lower() if isinstance(text, bool) else str(text) for name, text in JSON_MAP.read(value).items()
    }
    for name, text in labels.items():
        if not _LABEL.fullmatch(name) or not _LABEL_VALUE.fullmatch(text) or name.startswith("starlake_"):
            raise ValueError
    return labels


def _read_texts(value: Any) -> dict[str, str]:
    values: Mapping[str, Any] = JSON_MAP.read(value)
    if any(isinstance(item, (Mapping, list)) for item in values.values()):
        raise ValueError
    return {name: str(item).lower() if isinstance(item, bool) else str(item) for name, item in values.items()}


def _read_seconds(value: Any) -> float:
    seconds = float(value) if not isinstance(value, bool) else 0.0
    if not 0 < seconds < 86400:
        raise ValueError
    return seconds


def _read_idle(value: Any) -> int:
    seconds: int = DURATION.read(value)
    if seconds and not 300 <= seconds <= _DAYS_14:
        raise ValueError
    return seconds


_NAME = r"[a-z]([-a-z0-9]{0,49}[a-z0-9])?"
_CLUSTER = Kind("name", "the name of a cluster: lower-case letters, digits and dashes, at most 51", _matching(_NAME))
_REGION = Kind("region", "a region such as europe-west1", _matching(r"[a-z]+(-[a-z]+)+[0-9]+"))
_PROJECT = Kind(
    "project", "the id of a project such as my-project-123", _matching(r"([a-z0-9.-]+:)?[a-z0-9][a-z0-9-]{0,61}")
)
_MACHINE = Kind(
    "machine type",
    "a machine type such as n1-standard-4, or the URI of one",
    _matching(r"[a-z][a-z0-9]*(-[a-z0-9]+)+|custom(-[0-9]+){2}|(https://|projects/)\S+"),
)
_DISK = Kind("disk type", "a disk type such as pd-standard, pd-balanced or pd-ssd", _matching(r"[a-z]+(-[a-z]+)+"))
_SIZE = Integer(10, 65536)
_ACCOUNT = Kind("account", "the e-mail address of one service account", _matching(r"[^@\s,]+@[^@\s,]+"))
_SUBNET = Kind(
    "subnet",
    "the name of a subnet of the region, or projects/P/regions/R/subnetworks/S",
    _matching(r"[a-z]([-a-z0-9]*[a-z0-9])?|(https://\S+/)?projects/[^/\s]+/regions/[^/\s]+/subnetworks/[^/\s]+"),
)
_BUCKET = Kind("bucket", "the name of a bucket, with or without gs://", _read_bucket)
_JARS = Kind("csv", "at least one URI such as gs://bucket/starlake.jar, separated by commas", _read_jars)
_LABELS = Kind(
    "json",
    'a mapping, or a JSON object such as {"team": "sales"}: lower-case letters, digits, - and _, no name that begins with starlake_',
    _read_labels,
)
_TEXTS = Kind("json", 'a mapping of texts, or a JSON object such as {"NAME": "value"}', _read_texts)
_SECONDS = Kind("seconds", "a number of seconds greater than 0", _read_seconds)
_IDLE = Kind("duration", "300 s (5m) to 14d, or 0 for never", _read_idle)
_ADDRESS = Kind("address", "http://host:port or https://host", _matching(r"|https?://[^\s/]+/?"))

OPTIONS = (
    Option(
        "dataproc_project_id",
        _PROJECT,
        None,
        required=True,
        env="GCP_PROJECT",
        doc="Project that has the jobs and clusters.",
    ),
    Option("dataproc_region", _REGION, "europe-west1", doc="Region of the jobs and clusters."),
    Option("spark_jar_list", _JARS, None, required=True, doc="Jars of the jobs: that of Starlake and what it needs."),
    Option("spark_job_main_class", STR, MAIN_CLASS, doc="Main class of the jobs."),
    Option(
        "spark_bucket",
        _BUCKET,
        None,
        required=True,
        doc="Bucket for Spark (defaultFS) and for the BigQuery connector (temporaryGcsBucket); it also takes the markers of checks.",
    ),
    Option(
        "dataproc_cluster",
        _CLUSTER,
        None,
        doc="An existing cluster to run on; without it, pre_tasks makes one for each run.",
    ),
    Option(
        "dataproc_deploy_mode",
        OneOf("client", "cluster"),
        "client",
        doc="Where drivers run. client: on the master, their output is kept in Cloud Storage. cluster: in YARN, they get all variables as such.",
    ),
    Option("dataproc_labels", _LABELS, {}, doc="Labels of the jobs, batches and clusters."),
    Option(
        "dataproc_max_failures_per_hour",
        Integer(0, 10),
        0,
        doc="How often Dataproc itself starts a failed driver again; the same attempt may then run more than once.",
    ),
    Option(
        "dataproc_job_wait_timeout",
        DURATION,
        None,
        doc="How long a job may take from its submission until it is cancelled; unlimited by default (see task_timeout).",
    ),
    Option(
        "dataproc_poll_interval",
        _SECONDS,
        10.0,
        aliases=("dataproc_async_poke_interval",),
        doc="Seconds between two looks at the jobs; one look is for all of them.",
    ),
    Option(
        "dataproc_missing_grace",
        DURATION,
        60,
        doc="How long Dataproc may not know a job that was never seen, before it is lost.",
    ),
    Option(
        "dataproc_create_timeout",
        DURATION,
        1800,
        doc="How long a cluster may take to be made, before it is given up and deleted; 0 for no limit.",
    ),
    Option(
        "dataproc_follow_logs", BOOL, False, doc="Read the output of drivers while they run, and not of failures only."
    ),
    Option(
        "dataproc_impersonate_service_account",
        _ACCOUNT,
        None,
        doc="Service account as which Dataproc and Cloud Storage are called.",
    ),
    Option(
        "pre_load_not_ready_sentinel",
        BOOL,
        True,
        doc="Let Starlake mark 'not ready'; switch off for a Starlake older than 1.5.15.",
    ),
    Option(
        "dataproc_name", _CLUSTER, "dataproc-cluster", doc="First part of the name of a cluster that is made for a run."
    ),
    Option(
        "cluster_config_name",
        STR,
        None,
        aliases=("cluster_id",),
        doc="Second part of the name of a cluster that is made for a run.",
    ),
    Option("dataproc_image_version", STR, "2.2-debian12", doc="Image of a cluster."),
    Option("dataproc_subnet", _SUBNET, "default", doc="Subnet of a cluster or batch."),
    Option("dataproc_internal_ip_only", BOOL, True, doc="No external addresses for the machines of a cluster."),
    Option("dataproc_tags", CSV, ("dataproc",), doc="Network tags of a cluster or batch."),
    Option("dataproc_zone", STR, None, doc="Zone of a cluster; chosen by Dataproc by default."),
    Option(
        "dataproc_service_account",
        _ACCOUNT,
        None,
        doc="Service account of the machines of a cluster, or of a batch; chosen by Dataproc by default (that of Compute Engine).",
    ),
    Option(
        "dataproc_config_bucket",
        _BUCKET,
        None,
        doc="Bucket for what Dataproc stages and for driver output; made by Dataproc by default.",
    ),
    Option(
        "dataproc_temp_bucket",
        _BUCKET,
        None,
        doc="Bucket for short-lived files of a cluster; chosen by Dataproc by default.",
    ),
    Option("dataproc_master_machine_type", _MACHINE, "n1-standard-4", doc="Machine type of the master."),
    Option("dataproc_master_disk_type", _DISK, "pd-standard", doc="Boot disk of the master."),
    Option("dataproc_master_disk_size", _SIZE, 1024, doc="GB of the boot disk of the master."),
    Option("dataproc_worker_machine_type", _MACHINE, "n1-standard-4", doc="Machine type of the workers."),
    Option("dataproc_worker_disk_type", _DISK, "pd-standard", doc="Boot disk of a worker."),
    Option("dataproc_worker_disk_size", _SIZE, 1024, doc="GB of the boot disk of a worker."),
    Option(
        "dataproc_num_workers",
        Integer(),
        4,
        aliases=("dataproc_worker_num_instances",),
        doc="Number of workers; 0 or less for a cluster of one node.",
    ),
    Option("dataproc_single_node", BOOL, False, doc="A cluster of one node, whatever dataproc_num_workers says."),
    Option(
        "dataproc_secondary_num_workers",
        Integer(0),
        0,
        aliases=("dataproc_secondary_worker_num_instances",),
        doc="Number of secondary workers; their machines are like those of the workers.",
    ),
    Option(
        "dataproc_secondary_preemptibility",
        OneOf("preemptible", "spot", "non_preemptible"),
        "preemptible",
        doc="Whether secondary workers may be taken away.",
    ),
    Option(
        "dataproc_secondary_disk_type", _DISK, None, doc="Boot disk of a secondary worker; that of a worker by default."
    ),
    Option(
        "dataproc_secondary_disk_size",
        _SIZE,
        None,
        doc="GB of the boot disk of a secondary worker; as a worker by default.",
    ),
    Option(
        "dataproc_idle_delete_ttl",
        _IDLE,
        3600,
        doc="Idle time after which Dataproc deletes a cluster by itself; the safety net.",
    ),
    Option("dataproc_cluster_metadata", _TEXTS, {}, doc="Metadata of the machines of a cluster."),
    Option(
        "dataproc_cluster_properties",
        _TEXTS,
        {},
        doc="Further properties of a cluster, such as spark-env:NAME; they win.",
    ),
    Option(
        "dataproc_master_properties", JSON_MAP, {}, doc="Further fields of the master's InstanceGroupConfig; they win."
    ),
    Option(
        "dataproc_worker_properties", JSON_MAP, {}, doc="Further fields of the workers' InstanceGroupConfig; they win."
    ),
    Option(
        "dataproc_secondary_properties",
        JSON_MAP,
        {},
        doc="Further fields of the secondary workers' InstanceGroupConfig; they win.",
    ),
    Option(
        "dataproc_serverless", BOOL, False, doc="Run each command as a batch of Dataproc Serverless: no cluster at all."
    ),
    Option("dataproc_serverless_version", STR, "2.2", doc="Runtime of a batch."),
    Option(
        "dataproc_endpoint",
        _ADDRESS,
        "",
        doc="Another address of Dataproc: an emulator (http://), or a private one (https://).",
    ),
    Option("dataproc_storage_endpoint", _ADDRESS, "", doc="Another address of Cloud Storage."),
    Option("dataproc_logging_endpoint", _ADDRESS, "", doc="Another address of Cloud Logging."),
)

"""What sets each value of a cluster or batch: a user's option, which stays, or a default, which a document replaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlake_core import OptionsError, merge_under

from .documents import Path, check_document, merge_document, plain_document
from .naming import OWN_LABELS
from .options import DataprocOptions, is_given
from .variables import DRIVER_PREFIXES, EXECUTOR, OF_CLUSTER

__all__ = ["batch_document", "check_group_properties", "cluster_config", "over_batch"]

_EXECUTION = ("environment_config", "execution_config")
_PROPERTIES = ("software_config", "properties")
_OF_BATCH: Mapping[Path, str] = {
    ("runtime_config", "version"): "dataproc_serverless_version",
    (*_EXECUTION, "subnetwork_uri"): "dataproc_subnet",
    (*_EXECUTION, "network_tags"): "dataproc_tags",
    (*_EXECUTION, "service_account"): "dataproc_service_account",
    (*_EXECUTION, "staging_bucket"): "dataproc_config_bucket",
    (*_EXECUTION, "ttl"): "dataproc_job_wait_timeout",
}
_OF_COMMAND = {
    ("spark_batch", "main_class"): "option 'spark_job_main_class'",
    ("spark_batch", "jar_file_uris"): "option 'spark_jar_list'",
    ("spark_batch", "args"): "the command of the task",
}
_OF_PROPERTY = {
    "spark.datasource.bigquery.temporaryGcsBucket": "option 'spark_bucket'",
    **{
        f"spark.executor.{one}": f"option 'spark_executor_{one}' (or 'spark_properties')"
        for one in ("memory", "cores", "instances")
    },
}
_TOLD_BY_DATAPROC = (
    "name",
    "uuid",
    "create_time",
    "runtime_info",
    "state",
    "state_message",
    "state_time",
    "state_history",
    "creator",
    "operation",
)
_OTHER_WORK = ("pyspark_batch", "spark_r_batch", "spark_sql_batch", "pyspark_notebook_batch")
_OF_CLUSTER: Mapping[Path, str] = {
    ("config_bucket",): "dataproc_config_bucket",
    ("temp_bucket",): "dataproc_temp_bucket",
    ("gce_cluster_config", "subnetwork_uri"): "dataproc_subnet",
    ("gce_cluster_config", "internal_ip_only"): "dataproc_internal_ip_only",
    ("gce_cluster_config", "service_account"): "dataproc_service_account",
    ("gce_cluster_config", "tags"): "dataproc_tags",
    ("gce_cluster_config", "metadata"): "dataproc_cluster_metadata",
    ("gce_cluster_config", "zone_uri"): "dataproc_zone",
    ("software_config", "image_version"): "dataproc_image_version",
    ("lifecycle_config", "idle_delete_ttl"): "dataproc_idle_delete_ttl",
    ("worker_config", "num_instances"): "dataproc_num_workers",
    ("secondary_worker_config", "num_instances"): "dataproc_secondary_num_workers",
    ("secondary_worker_config", "preemptibility"): "dataproc_secondary_preemptibility",
    **{
        (f"{group}_config", *path): f"dataproc_{option}_{name}"
        for group, option in (("master", "master"), ("worker", "worker"), ("secondary_worker", "secondary"))
        for path, name in (
            (("disk_config", "boot_disk_type"), "disk_type"),
            (("disk_config", "boot_disk_size_gb"), "disk_size"),
        )
    },
    ("master_config", "machine_type_uri"): "dataproc_master_machine_type",
    ("worker_config", "machine_type_uri"): "dataproc_worker_machine_type",
}
_GROUPS = {"master_config": "master", "worker_config": "worker", "secondary_worker_config": "secondary"}
_INSTEAD: Mapping[Path, Path] = {
    ("gce_cluster_config", "network_uri"): ("gce_cluster_config", "subnetwork_uri"),
    **{(name.replace("_config", "_flexible_config"),): (name,) for name in _GROUPS},
}
_INSTEAD_IN_BATCH: Mapping[Path, Path] = {(*_EXECUTION, "network_uri"): (*_EXECUTION, "subnetwork_uri")}


def _said(dataproc: DataprocOptions, options: Mapping[Path, str], path: Path) -> str:
    """The option that sets the value at a path; empty for a default."""
    for length in range(len(path), 0, -1):
        name = options.get(path[:length])
        if name is not None:
            return f"option '{name}'" if is_given(dataproc, name) else ""
    return ""


def batch_document(
    document: Mapping[str, Any],
    own: Mapping[str, Any],
    dataproc: DataprocOptions,
    defaults: Mapping[str, str],
    where: str,
) -> dict[str, Any]:
    """The document of a batch, plain.

    Args:
        document: the option ``dataproc_batch_config``.
        own: the batch without the document.
        dataproc: the options of the task.
        defaults: properties that no option of the user sets.
        where: the task, for messages.

    Raises:
        OptionsError: it is not a batch, or contradicts another option.
    """
    source = f"{where}: option 'dataproc_batch_config'"
    plain = plain_document(document, source)
    problems = [
        f"{source}: {name} is set by Dataproc and cannot be given; remove it"
        for name in _TOLD_BY_DATAPROC
        if name in plain
    ]
    problems += [
        f"{source}: {name} is not the work of a Starlake command, which is a spark_batch; remove it"
        for name in _OTHER_WORK
        if name in plain
    ]
    if problems:
        raise OptionsError(problems)
    check_document(document, "Batch", source)

    def owner(path: Path) -> str:
        if path in _OF_COMMAND:
            return _OF_COMMAND[path]
        if path[0] == "labels":
            return (
                "the label by which this plugin finds its own" if path[1] in OWN_LABELS else "option 'dataproc_labels'"
            )
        if path[:2] == ("runtime_config", "properties") and len(path) > 2:
            return _owner_of_property(path[2], own["runtime_config"]["properties"][path[2]], defaults)
        return _said(dataproc, _OF_BATCH, path)

    merge_document(own, plain, owner, source, _INSTEAD_IN_BATCH)
    return plain


def _owner_of_property(name: str, value: str, defaults: Mapping[str, str]) -> str:
    if name.startswith((EXECUTOR, *DRIVER_PREFIXES)):
        return "option 'sl_env_var', or the names of the run,"
    return "" if defaults.get(name) == value else _OF_PROPERTY.get(name, "option 'spark_properties'")


def over_batch(document: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A batch with its document. Where they differ, the plugin's value is a default: conflicts were checked when the job was created.

    Args:
        document: the plain document.
        own: the batch without the document.
    """
    return merge_document({**own}, document, lambda path: "", "", _INSTEAD_IN_BATCH)


def cluster_config(
    own: Mapping[str, Any], dataproc: DataprocOptions, variables: Mapping[str, str], where: str
) -> dict[str, Any]:
    """The configuration of a cluster with the document of ``dataproc_cluster_config``.

    Args:
        own: the configuration without the document.
        dataproc: the options of the pipeline.
        variables: the environment variables of drivers, which the cluster gets when it is created.
        where: the cluster, for messages.

    Raises:
        OptionsError: it is not a configuration of a cluster, or contradicts another option.
    """
    source = f"{where}: option 'dataproc_cluster_config'"
    document = dataproc.dataproc_cluster_config
    plain = plain_document(document, source)
    check_document(document, "ClusterConfig", source)

    def owner(path: Path) -> str:
        group = _GROUPS.get(path[0])
        if group is not None and len(path) > 1 and path[1] in getattr(dataproc, f"dataproc_{group}_properties"):
            return f"option 'dataproc_{group}_properties'"
        return _said(dataproc, _OF_CLUSTER, path)

    merged = merge_document(own, plain, owner, source, _INSTEAD)
    # These are added when the cluster is created, and win.
    given: Mapping[str, str] = plain.get("software_config", {}).get("properties", {})
    added = {
        **{f"{OF_CLUSTER}{name}": (value, "sl_env_var") for name, value in variables.items()},
        **{
            name: (value, "dataproc_cluster_properties") for name, value in dataproc.dataproc_cluster_properties.items()
        },
    }
    conflicts = merge_under({name: value for name, (value, _) in added.items()}, given)[1]
    if conflicts:
        raise OptionsError(
            [
                f"{source}: {'.'.join((*_PROPERTIES, name))} is already set by option '{added[name][1]}', to another value; "
                "remove one of them"
                for name in conflicts
            ]
        )
    return merged


def check_group_properties(dataproc: DataprocOptions, where: str) -> None:
    """Check the fields of groups of machines against the message of the SDK, if any are given.

    Args:
        dataproc: the options of the pipeline.
        where: the cluster, for messages.

    Raises:
        OptionsError: they are not fields of a group.
    """
    for group in _GROUPS.values():
        fields = getattr(dataproc, f"dataproc_{group}_properties")
        if fields:
            check_document(fields, "InstanceGroupConfig", f"{where}: option 'dataproc_{group}_properties'")

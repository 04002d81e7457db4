"""Jobs as gcloud command lines."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from starlake_core import Job

from .beyond_limits import seconds_of
from .cluster_request import cluster_request
from .documents import leaves_of
from .variables import JAVA_OPTIONS, variables_as_properties

__all__ = ["command_line"]


def command_line(job: Job) -> str:
    """The gcloud command that does the same as a job, with secrets masked.

    Args:
        job: a bound job.
    """
    spec = job.spec
    document = (
        spec["create"].get("document", [])
        if "create" in spec
        else [".".join(path) for path, _ in leaves_of(spec.get("document", {})) if path]
    )
    # Some fields of a document have no flag.
    return shlex.join(_words(job.masked())) + (f"  # plus, from a document: {', '.join(document)}" if document else "")


def _words(job: Job) -> list[str]:
    spec = job.spec
    place = [f"--project={spec['project']}", f"--region={spec['region']}"]
    if "delete" in spec:
        return ["gcloud", "dataproc", "clusters", "delete", spec["cluster"], *place, "--quiet"]
    if "create" in spec:
        return [
            "gcloud",
            "dataproc",
            "clusters",
            "create",
            spec["cluster"],
            *place,
            *_cluster_flags(cluster_request(job)["cluster"]),
        ]
    reaching = variables_as_properties(job.env, spec["mode"], spec["properties"].get(JAVA_OPTIONS, ""))
    properties = {**spec["properties"], **reaching}
    words = [f"--class={spec['main_class']}", f"--jars={','.join(spec['jars'])}", _map_flag("properties", properties)]
    if spec["labels"]:
        words.append(_map_flag("labels", spec["labels"]))
    if spec["mode"] == "serverless":
        start = ["gcloud", "dataproc", "batches", "submit", "spark", *place, f"--version={spec['batch']['version']}"]
    else:
        start = ["gcloud", "dataproc", "jobs", "submit", "spark", *place, f"--cluster={spec['cluster']}"]
    return [*start, *words, "--", *job.arguments]


def _map_flag(name: str, values: Mapping[str, str]) -> str:
    """A gcloud flag that holds a mapping; values with commas need another separator."""
    pairs = [f"{key}={value}" for key, value in values.items()]
    separator = next(sign for sign in (",", "|", "#", "~@~") if not any(sign in pair for pair in pairs))
    prefix = "" if separator == "," else f"^{separator}^"
    return f"--{name}={prefix}{separator.join(pairs)}"


def _cluster_flags(made: Mapping[str, Any]) -> list[str]:
    config = made["config"]
    machines = config["gce_cluster_config"]
    flags = [
        f"--image-version={config['software_config']['image_version']}",
        *([f"--subnet={machines['subnetwork_uri']}"] if "subnetwork_uri" in machines else []),
        *([f"--service-account={machines['service_account']}"] if "service_account" in machines else []),
        *([f"--bucket={config['config_bucket']}"] if "config_bucket" in config else []),
        f"--tags={','.join(machines['tags'])}",
        _map_flag("properties", config["software_config"]["properties"]),
        _map_flag("labels", made["labels"]),
    ]
    if machines["internal_ip_only"]:
        flags.append("--no-address")
    idle = seconds_of(config.get("lifecycle_config", {}).get("idle_delete_ttl"))
    if idle is not None:
        flags.append(f"--max-idle={idle:g}s")
    if machines["metadata"]:
        flags.append(_map_flag("metadata", machines["metadata"]))
    flags += _machine_flags("master", config.get("master_config", {}))
    if "num_instances" in config.get("worker_config", {}):
        flags += [
            f"--num-workers={config['worker_config']['num_instances']}",
            *_machine_flags("worker", config["worker_config"]),
        ]
    elif "worker_flexible_config" not in config:
        flags.append("--single-node")
    if "num_instances" in config.get("secondary_worker_config", {}):
        flags.append(f"--num-secondary-workers={config['secondary_worker_config']['num_instances']}")
    return flags


def _machine_flags(role: str, config: Mapping[str, Any]) -> list[str]:
    disk = config.get("disk_config", {})
    given = (
        ("machine-type", config.get("machine_type_uri"), ""),
        ("boot-disk-type", disk.get("boot_disk_type"), ""),
        ("boot-disk-size", disk.get("boot_disk_size_gb"), "GB"),
    )
    return [f"--{role}-{name}={value}{unit}" for name, value, unit in given if value is not None]

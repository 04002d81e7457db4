"""Jobs as command lines for people."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from starlake_core import Job

from .cluster_request import cluster_request
from .variables import JAVA_OPTIONS, variables_as_properties

__all__ = ["command_line"]


def command_line(job: Job) -> str:
    """The gcloud command with which a person does the same as a job, its secrets masked.

    Args:
        job: bound.
    """
    return shlex.join(_words(job.masked()))


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
    """A flag of gcloud that holds a mapping; commas need another separator."""
    pairs = [f"{key}={value}" for key, value in values.items()]
    separator = next(sign for sign in (",", "|", "#", "~@~") if not any(sign in pair for pair in pairs))
    prefix = "" if separator == "," else f"^{separator}^"
    return f"--{name}={prefix}{separator.join(pairs)}"


def _cluster_flags(made: Mapping[str, Any]) -> list[str]:
    config = made["config"]
    machines = config["gce_cluster_config"]
    flags = [
        f"--image-version={config['software_config']['image_version']}",
        f"--subnet={machines['subnetwork_uri']}",
        *([f"--service-account={machines['service_account']}"] if "service_account" in machines else []),
        *([f"--bucket={config['config_bucket']}"] if "config_bucket" in config else []),
        f"--tags={','.join(machines['tags'])}",
        _map_flag("properties", config["software_config"]["properties"]),
        _map_flag("labels", made["labels"]),
    ]
    if machines["internal_ip_only"]:
        flags.append("--no-address")
    if "lifecycle_config" in config:
        flags.append(f"--max-idle={config['lifecycle_config']['idle_delete_ttl']['seconds']}s")
    if machines["metadata"]:
        flags.append(_map_flag("metadata", machines["metadata"]))
    flags += _machine_flags("master", config["master_config"])
    if "worker_config" in config:
        flags += [
            f"--num-workers={config['worker_config']['num_instances']}",
            *_machine_flags("worker", config["worker_config"]),
        ]
    else:
        flags.append("--single-node")
    if "secondary_worker_config" in config:
        flags.append(f"--num-secondary-workers={config['secondary_worker_config']['num_instances']}")
    return flags


def _machine_flags(role: str, config: Mapping[str, Any]) -> list[str]:
    disk = config["disk_config"]
    return [
        f"--{role}-machine-type={config['machine_type_uri']}",
        f"--{role}-boot-disk-type={disk['boot_disk_type']}",
        f"--{role}-boot-disk-size={disk['boot_disk_size_gb']}GB",
    ]

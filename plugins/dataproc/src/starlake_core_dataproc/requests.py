"""Requests to Dataproc: pure functions of a bound job and the key of an attempt. The same input, the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlake_core import Job, RunKey
from starlake_core.runtime import marker_of, remote_marker, with_marker

from .naming import batch_id, job_id, labels_of, request_id
from .variables import JAVA_OPTIONS, OF_CLUSTER, variables_as_properties, with_options

__all__ = ["batch_request", "cluster_request", "job_request", "with_own_marker"]

_LEAST_TTL = 600


def with_own_marker(job: Job, key: RunKey) -> tuple[str | None, Job]:
    """The marker of a check, and the job that leaves it.

    Dataproc does not tell exit codes, so that every check needs one. Where SL_ROOT is known to the cluster alone it is in the Spark bucket.

    Args:
        job: bound.
        key: of the attempt.

    Raises:
        RunnerError: the pipeline asks for a marker elsewhere.
    """
    if not job.spec["sentinel"] and marker_of(job.arguments) is None:
        return None, job
    marker, marked = remote_marker(job, key, "gs")
    if marker is None and job.check and job.arguments[:1] == ("preload",):
        marker = f"gs://{job.spec['bucket']}/.starlake-core/not-ready/{key.attempt_hash}"
        marked = with_marker(job, marker)
    return marker, marked


def _variables(job: Job, key: RunKey) -> dict[str, str]:
    return {**job.env, **key.variables}


def _spark(job: Job, key: RunKey) -> tuple[dict[str, Any], dict[str, str]]:
    """What a Spark job and a Spark batch have in common, and the properties."""
    env = _variables(job, key)
    properties: Mapping[str, str] = job.spec["properties"]
    reaching = variables_as_properties(env, job.spec["mode"], properties.get(JAVA_OPTIONS, ""))
    spark = {
        "main_class": job.spec["main_class"],
        "jar_file_uris": list(job.spec["jars"]),
        # Without what names the attempt: the command of a repeated piece of work must be the same, or an engine does it again.
        "args": list(with_options(job.arguments, job.env)),
    }
    return spark, {**properties, **reaching}


def job_request(job: Job, key: RunKey) -> dict[str, Any]:
    """The ``SubmitJobRequest`` of an attempt.

    Args:
        job: bound.
        key: of the attempt.
    """
    spec = job.spec
    spark, properties = _spark(job, key)
    request = {
        "project_id": spec["project"],
        "region": spec["region"],
        "request_id": request_id(key),
        "job": {
            "reference": {"project_id": spec["project"], "job_id": job_id(key)},
            "placement": {"cluster_name": spec["cluster"]},
            "spark_job": {**spark, "properties": properties},
            "labels": labels_of(key, spec["labels"], job.check, spec["timeout"]),
        },
    }
    if spec["max_failures_per_hour"]:
        request["job"]["scheduling"] = {"max_failures_per_hour": spec["max_failures_per_hour"]}
    return request


def batch_request(job: Job, key: RunKey) -> dict[str, Any]:
    """The ``CreateBatchRequest`` of an attempt.

    Args:
        job: bound.
        key: of the attempt.
    """
    spec = job.spec
    spark, properties = _spark(job, key)
    about = spec["batch"]
    execution = {
        "subnetwork_uri": about["subnet"],
        "network_tags": list(about["tags"]),
        "service_account": about["service_account"],
        "staging_bucket": about["staging_bucket"],
        # The service's own limit also holds when nobody looks. It takes nothing shorter.
        "ttl": {"seconds": spec["timeout"]} if (spec["timeout"] or 0) >= _LEAST_TTL else None,
    }
    return {
        "parent": f"projects/{spec['project']}/locations/{spec['region']}",
        "batch_id": batch_id(key),
        "request_id": request_id(key),
        "batch": {
            "spark_batch": spark,
            "labels": labels_of(key, spec["labels"], job.check, spec["timeout"]),
            "runtime_config": {"version": about["version"], "properties": properties},
            "environment_config": {"execution_config": {name: value for name, value in execution.items() if value}},
        },
    }


def cluster_request(job: Job) -> dict[str, Any]:
    """The ``CreateClusterRequest`` of a job that makes a cluster. All variables of the pipeline are those of its drivers.

    Args:
        job: bound.
    """
    spec = job.spec
    made = spec["create"]
    software = made["config"]["software_config"]
    variables = {f"{OF_CLUSTER}{name}": value for name, value in job.env.items()}
    properties = {**software["properties"], **variables, **made["properties"]}
    return {
        "project_id": spec["project"],
        "region": spec["region"],
        "cluster": {
            "project_id": spec["project"],
            "cluster_name": spec["cluster"],
            "labels": dict(made["labels"]),
            "config": {**made["config"], "software_config": {**software, "properties": properties}},
        },
    }

"""Requests to Dataproc: the job of a Starlake command, and the request of an attempt. All functions are pure: the same input gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlake_core import (
    Command,
    GeneralOptions,
    Job,
    Options,
    OptionsError,
    RunKey,
    StarlakeSparkConfig,
    check_limits,
)
from starlake_core.runtime import Recent, is_preload, marker_of, remote_marker, request_marker

from .limits import LIMITS
from .naming import batch_id, cluster_name, job_id, labels_of, request_id
from .options import DataprocOptions, problems
from .pass_through import batch_document, over_batch
from .variables import JAVA_OPTIONS, variables_as_properties, with_options

__all__ = ["batch_request", "cluster_of", "endpoint_of", "job_of", "job_request", "with_own_marker"]

_LEAST_BATCH_EXECUTORS = 2
_LEAST_TTL = 600
_LONGEST = RunKey(f"{'p' * 200}/{'r' * 200}/{'t' * 200}", "999")
"""The key of an attempt that makes a request as long as it can get."""
_SHORT_COMMAND = 1000
_known: Recent[str, dict[str, Any]] = Recent(1000)
"""Requests that are known to be within the limits, each with its plain document."""


def endpoint_of(dataproc: DataprocOptions) -> str:
    """Everything that a runner depends on, as one string.

    Args:
        dataproc: the options of a pipeline or task.
    """
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


def cluster_of(dataproc: DataprocOptions) -> str:
    """The name of the cluster: the given one, or that of the run, with a placeholder until the job is bound.

    Args:
        dataproc: the options of a pipeline or task.
    """
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


def _default_properties(mode: str) -> dict[str, str]:
    """The properties of a job that no option sets."""
    default = {one.name: one.default for one in GeneralOptions.declared}
    defaults = StarlakeSparkConfig(
        default["spark_executor_memory"],
        default["spark_executor_cores"],
        max(_LEAST_BATCH_EXECUTORS, default["spark_executor_instances"]),
    )
    fixed = {name: value for name, value in _fixed_properties("", mode).items() if value}
    return {**fixed, **defaults.__config__()}


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


def job_of(command: Command, options: Options) -> Job:
    """The job of a Starlake command.

    Args:
        command: the command.
        options: the options of the pipeline and the task.

    Raises:
        OptionsError: options contradict each other, or Dataproc does not accept them.
    """
    dataproc, general = options[DataprocOptions], options[GeneralOptions]
    wrong = problems(dataproc)
    if wrong:
        raise OptionsError(wrong)
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
        spec["cluster"] = cluster_of(dataproc)
        spec["max_failures_per_hour"] = dataproc.dataproc_max_failures_per_hour
    job = Job("dataproc", command.vector, general.sl_env_var, spec, endpoint_of(dataproc))
    return _checked(job, dataproc, f"task {command.task_id} (environment dataproc)")


def _checked(job: Job, dataproc: DataprocOptions, where: str) -> Job:
    """A job, with its document if it has one, whose requests are within the limits."""
    document = dataproc.dataproc_batch_config if job.spec["mode"] == "serverless" else {}
    # Most tasks of a pipeline differ only in their commands, which are far from every limit.
    words = job.arguments if sum(map(len, job.arguments)) > _SHORT_COMMAND else ()
    about = json.dumps([dict(job.spec), dict(job.env), document, words])
    plain = _known.get(about)
    if plain is None:
        plain = {}
        if document:
            sent = batch_request(job, _LONGEST)["batch"]
            plain = batch_document(document, sent, dataproc, _default_properties(job.spec["mode"]), where)
        full = _with_document(job, plain)
        check_limits(
            LIMITS, batch_request(full, _LONGEST) if "batch" in job.spec else job_request(full, _LONGEST), where
        )
        _known.put(about, plain)
    return _with_document(job, plain)


def _with_document(job: Job, document: dict[str, Any]) -> Job:
    return replace(job, spec={**job.spec, "document": document}) if document else job


def with_own_marker(job: Job, key: RunKey) -> tuple[str | None, Job]:
    """The marker of a check, and the job that leaves it.

    Dataproc does not report exit codes, so every check needs a marker. If SL_ROOT is known only to the cluster, the marker is in the Spark bucket.

    Args:
        job: a bound job.
        key: the key of the attempt.

    Raises:
        RunnerError: the pipeline requires a marker in another storage.
    """
    if not job.spec["sentinel"] and marker_of(job.arguments) is None:
        return None, job
    marker, marked = remote_marker(job, key, "gs")
    if marker is None and job.check and is_preload(job.arguments):
        marker = f"gs://{job.spec['bucket']}/.starlake-core/not-ready/{key.attempt_hash}"
        marked = request_marker(job, marker)
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
        # Without the names of the attempt: a repeated command must stay the same, or an engine does the work again.
        "args": list(with_options(job.arguments, job.env)),
    }
    return spark, {**properties, **reaching}


def job_request(job: Job, key: RunKey) -> dict[str, Any]:
    """The ``SubmitJobRequest`` of an attempt.

    Args:
        job: a bound job.
        key: the key of the attempt.
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
            "labels": labels_of(key, {**spec["labels"], **job.labels}, job.check, spec["timeout"]),
        },
    }
    if spec["max_failures_per_hour"]:
        request["job"]["scheduling"] = {"max_failures_per_hour": spec["max_failures_per_hour"]}
    return request


def batch_request(job: Job, key: RunKey) -> dict[str, Any]:
    """The ``CreateBatchRequest`` of an attempt.

    Args:
        job: a bound job.
        key: the key of the attempt.
    """
    spec = job.spec
    spark, properties = _spark(job, key)
    about = spec["batch"]
    execution = {
        "subnetwork_uri": about["subnet"],
        "network_tags": list(about["tags"]),
        "service_account": about["service_account"],
        "staging_bucket": about["staging_bucket"],
        # The service's own limit also applies when nobody polls. It does not accept a shorter time.
        "ttl": {"seconds": spec["timeout"]} if (spec["timeout"] or 0) >= _LEAST_TTL else None,
    }
    batch = {
        "spark_batch": spark,
        "labels": labels_of(key, {**spec["labels"], **job.labels}, job.check, spec["timeout"]),
        "runtime_config": {"version": about["version"], "properties": properties},
        "environment_config": {"execution_config": {name: value for name, value in execution.items() if value}},
    }
    if "document" in spec:
        batch = over_batch(spec["document"], batch)
    return {
        "parent": f"projects/{spec['project']}/locations/{spec['region']}",
        "batch_id": batch_id(key),
        "request_id": request_id(key),
        "batch": batch,
    }

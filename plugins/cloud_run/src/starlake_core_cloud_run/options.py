"""The options of the environment ``cloud_run``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from starlake_core import BOOL, DOCUMENT, DURATION, STR, Integer, Matching, OptionGroup, Seconds, option

__all__ = ["CloudRunOptions"]

_NAME = Matching(r"[^\s/]+", "a name without spaces and slashes")
_ACCOUNT = Matching(r"(?:[^\s,@]+@[^\s,@]+)?", "the e-mail address of one service account, without commas and spaces")
_ENDPOINT = Matching(r"(?:https?://[^\s/]+/?)?", "an address such as http://127.0.0.1:8080")
_INTERVAL = Seconds(0.01, "seconds, or a number with s, m, h or d; at least 0.01")
_LAG = Seconds(0.0, "seconds, or a number with s, m, h or d, not negative")
_TIMEOUT = Seconds(1.0, "seconds, or a number with s, m, h or d; at least 1")

_FLAGS = {
    "binary_authorization": "--binary-authorization=default",
    "cloudsql_instances": "--set-cloudsql-instances=PROJECT:REGION:INSTANCE",
    "command": "--command=COMMAND",
    "cpu": "--cpu=2",
    "gpu": "--gpu=1 --gpu-type=nvidia-l4",
    "gpu_type": "--gpu=1 --gpu-type=nvidia-l4",
    "image": "--image=IMAGE",
    "job_labels": "--update-labels=team=data",
    "job_service_account": "--service-account=EMAIL",
    "kms_key": "--key=KEY",
    "labels": "--update-labels=team=data",
    "max_retries": "--max-retries=0",
    "memory": "--memory=4Gi",
    "network": "--network=NETWORK --subnet=SUBNET",
    "network_tags": "--network-tags=TAG",
    "parallelism": "--parallelism=10",
    "runtime_service_account": "--service-account=EMAIL",
    "secrets": "--update-secrets=DB_PASSWORD=SECRET:latest",
    "set_secrets": "--update-secrets=DB_PASSWORD=SECRET:latest",
    "subnet": "--network=NETWORK --subnet=SUBNET",
    "subnetwork": "--network=NETWORK --subnet=SUBNET",
    "volume_mounts": "--add-volume-mount=volume=data,mount-path=/data",
    "volumes": "--add-volume=name=data,type=cloud-storage,bucket=BUCKET --add-volume-mount=volume=data,mount-path=/data",
    "vpc_connector": "--vpc-connector=CONNECTOR",
    "vpc_egress": "--vpc-egress=private-ranges-only",
}
"""What cannot be set for one execution: maps the option to the gcloud flag that sets it on the job."""
_WRITE = {
    "args": "The arguments are those of the Starlake command. For another container of the job, write cloud_run_overrides: {'containerOverrides': "
    "[{'name': 'CONTAINER', 'args': ['ARGUMENT']}]}",
    "container_name": "Write cloud_run_container: 'CONTAINER'",
    "container_overrides": "Write cloud_run_overrides: {'containerOverrides': [{'name': 'CONTAINER', 'args': ['ARGUMENT']}]}",
    "env": "Write sl_env_var: {'NAME': 'VALUE'}",
    "env_vars": "Write sl_env_var: {'NAME': 'VALUE'}",
    "execution_environment": "Jobs always run in the second generation; remove this option",
    "impersonate_service_account": "Write cloud_run_service_account: 'EMAIL'",
    "location": "Write cloud_run_job_region: 'europe-west1'",
    "region": "Write cloud_run_job_region: 'europe-west1'",
    "retries": "The orchestrator retries tasks; write retries: 2",
    "sidecars": "Write cloud_run_overrides: {'containerOverrides': [{'name': 'CONTAINER', 'args': ['ARGUMENT']}]}",
    "tasks": "Write cloud_run_task_count: 2",
    "timeout": "Write cloud_run_task_timeout: '2h'",
    "update_env_vars": "Write sl_env_var: {'NAME': 'VALUE'}",
}


class CloudRunOptions(OptionGroup):
    """Which job runs, how its executions are waited for, and what is accepted from earlier generators."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        **{
            f"cloud_run_{name}": f"It is set on the Cloud Run job; type: gcloud run jobs update JOB --region=REGION {flag}"
            for name, flag in _FLAGS.items()
        },
        **{f"cloud_run_{name}": sentence for name, sentence in _WRITE.items()},
    }

    cloud_run_project_id: str = option(_NAME, required=True, env="GCP_PROJECT", doc="The project of the Cloud Run job.")
    cloud_run_job_region: str = option(_NAME, required=True, env="GCP_REGION", doc="The region of the Cloud Run job.")
    cloud_run_job_name: str = option(_NAME, required=True, doc="The Cloud Run job, which must exist.")
    cloud_run_container: str = option(STR, "", doc="The container that runs Starlake, if the job has several.")
    cloud_run_service_account: str = option(
        _ACCOUNT, "", doc="The service account to call Cloud Run with; not the account of the job."
    )
    cloud_run_async: bool = option(
        BOOL,
        True,
        doc="Let the orchestrator wait without a worker, if it can; false keeps a worker busy with each task.",
    )
    cloud_run_async_poke_interval: float = option(_INTERVAL, 30, doc="Time between two polls.")
    cloud_run_task_count: int | None = option(
        Integer(1, 10_000), doc="Number of tasks of an execution. The default is set on the job."
    )
    cloud_run_task_timeout: float | None = option(
        _TIMEOUT, doc="How long an attempt of a task may take. The default is set on the job."
    )
    cloud_run_overrides: dict[str, Any] = option(
        DOCUMENT,
        {},
        doc="Further overrides of an execution, as RunJobRequest.Overrides of the API: arguments and variables of other containers, and so on.",
    )
    cloud_run_follow_logs: bool = option(
        BOOL, False, doc="Read the output of every execution, not only after a failure. Cloud Logging has a low quota."
    )
    cloud_run_list_lag: float = option(
        _LAG,
        10,
        doc="How long a new execution may be missing from lists: the wait before looking for duplicates, and "
        "before repeating an unanswered submission.",
    )
    cloud_run_missing_grace: float = option(
        _LAG, 60, doc="How long Cloud Run may not know an execution that was never seen, before it counts as lost."
    )
    cloud_run_history: int = option(
        Integer(100, 10_000),
        1000,
        doc="How many of the newest executions of the job are searched for earlier attempts of a task.",
    )
    cloud_run_endpoint: str = option(
        _ENDPOINT, "", doc="The address of an emulator, or of a private endpoint of Cloud Run."
    )
    cloud_run_storage_endpoint: str = option(_ENDPOINT, "", doc="The same for Cloud Storage.")
    cloud_run_logging_endpoint: str = option(_ENDPOINT, "", doc="The same for Cloud Logging.")
    retry_on_failure: bool = option(
        BOOL,
        False,
        env="",
        effective=False,
        doc="A pre-load that crashes always fails; `retries` sets how often it is retried.",
    )
    retry_delay_in_seconds: int | None = option(
        DURATION,
        env="",
        doc="Another name for retry_delay, from earlier generators; retry_delay wins if both are set.",
    )
    use_gcloud: bool = option(BOOL, True, env="", effective=False, doc="Cloud Run is called through its API.")
    google_cloud_sdk: str = option(
        STR,
        "/usr/local/google-cloud-sdk",
        name="GOOGLE_CLOUD_SDK",
        env="",
        effective=False,
        doc="gcloud is never called.",
    )
    separator: str = option(STR, " ", env="", effective=False, doc="Arguments are never joined.")

"""The options of the environment ``cloud_run``."""

from __future__ import annotations

from starlake_core import BOOL, DURATION, STR, Integer, Matching, OptionGroup, Seconds, option

__all__ = ["CloudRunOptions"]

_NAME = Matching(r"[^\s/]+", "a name without spaces and slashes")
_ACCOUNT = Matching(r"(?:[^\s,@]+@[^\s,@]+)?", "the e-mail address of one service account, without commas and spaces")
_ENDPOINT = Matching(r"(?:https?://[^\s/]+/?)?", "an address such as http://127.0.0.1:8080")
_INTERVAL = Seconds(0.01, "seconds, or a number with s, m, h or d; at least 0.01")
_LAG = Seconds(0.0, "seconds, or a number with s, m, h or d, not negative")
_TIMEOUT = Seconds(1.0, "seconds, or a number with s, m, h or d; at least 1")


class CloudRunOptions(OptionGroup):
    """Which job is run, how its executions are waited for, and what is accepted from earlier generators."""

    cloud_run_project_id: str = option(_NAME, required=True, env="GCP_PROJECT", doc="The project of the Cloud Run job.")
    cloud_run_job_region: str = option(_NAME, required=True, env="GCP_REGION", doc="The region of the Cloud Run job.")
    cloud_run_job_name: str = option(_NAME, required=True, doc="The Cloud Run job, which must exist.")
    cloud_run_container: str = option(STR, "", doc="Container of the job that runs Starlake, where it has several.")
    cloud_run_service_account: str = option(
        _ACCOUNT, "", doc="Service account as which Cloud Run is called; not the one as which the job runs."
    )
    cloud_run_async: bool = option(
        BOOL,
        True,
        doc="Let the orchestrator wait without a worker, where it can; false keeps a worker with each task.",
    )
    cloud_run_async_poke_interval: float = option(_INTERVAL, 30, doc="Time between two looks at what runs.")
    cloud_run_task_count: int | None = option(
        Integer(1, 10_000), doc="Tasks of an execution; as the job says by default."
    )
    cloud_run_task_timeout: float | None = option(
        _TIMEOUT, doc="How long an attempt of a task may take; as the job says by default."
    )
    cloud_run_follow_logs: bool = option(
        BOOL, False, doc="Read the output while all goes well too; the quota of Cloud Logging is low."
    )
    cloud_run_list_lag: float = option(
        _LAG,
        10,
        doc="How long a new execution may be missing in lists: until doubles are looked for, and a submission without an answer repeated.",
    )
    cloud_run_missing_grace: float = option(
        _LAG, 60, doc="How long Cloud Run may not know an execution that was never seen, before it is lost."
    )
    cloud_run_history: int = option(
        Integer(100, 10_000),
        1000,
        doc="How many of the newest executions of the job are searched for earlier attempts of a task.",
    )
    cloud_run_endpoint: str = option(
        _ENDPOINT, "", doc="Address of an emulator, or of a private endpoint of Cloud Run."
    )
    cloud_run_storage_endpoint: str = option(_ENDPOINT, "", doc="The same of Cloud Storage.")
    cloud_run_logging_endpoint: str = option(_ENDPOINT, "", doc="The same of Cloud Logging.")
    retry_on_failure: bool = option(
        BOOL,
        False,
        env="",
        effective=False,
        doc="A pre-load that crashed always fails, and `retries` says how often it is tried again.",
    )
    retry_delay_in_seconds: int | None = option(
        DURATION,
        env="",
        doc="Another name of retry_delay, from earlier generators; retry_delay wins where both are given.",
    )
    use_gcloud: bool = option(BOOL, True, env="", effective=False, doc="Cloud Run is called through its API.")
    google_cloud_sdk: str = option(
        STR,
        "/usr/local/google-cloud-sdk",
        name="GOOGLE_CLOUD_SDK",
        env="",
        effective=False,
        doc="No gcloud is called.",
    )
    separator: str = option(STR, " ", env="", effective=False, doc="Arguments are never joined.")

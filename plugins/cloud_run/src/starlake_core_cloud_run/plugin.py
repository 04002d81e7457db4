"""The hooks of the environment ``cloud_run``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlake_core import BOOL, DURATION, STR, Command, Integer, Job, Kind, Option, Options, hookimpl
from starlake_core.runtime import Runner

_NO_EFFECT = "Without effect here; accepted so that existing options go on."


def _matching(pattern: str, allowed: str) -> Kind:
    """A text of a form."""
    form = re.compile(pattern)

    def read(value: Any) -> str:
        text: str = STR.read(value)
        if not form.fullmatch(text):
            raise ValueError
        return text

    return Kind("str", allowed, read)


def _seconds(low: float, allowed: str) -> Kind:
    """A duration that may be a part of a second."""

    def read(value: Any) -> float:
        try:
            seconds = float(DURATION.read(value))
        except ValueError:
            seconds = float(STR.read(value))
        if not low <= seconds < float("inf"):
            raise ValueError
        return int(seconds) if seconds.is_integer() else seconds

    return Kind("seconds", allowed, read)


NAME = _matching(r"[^\s/]+", "a name without blanks and slashes")
ACCOUNT = _matching(r"(?:[^\s,@]+@[^\s,@]+)?", "the e-mail address of one service account, without commas and blanks")
ENDPOINT = _matching(r"(?:https?://[^\s/]+/?)?", "an address such as http://127.0.0.1:8080")
INTERVAL = _seconds(0.01, "seconds, or a number with s, m, h or d; at least 0.01")
LAG = _seconds(0.0, "seconds, or a number with s, m, h or d, not negative")
TIMEOUT = _seconds(1.0, "seconds, or a number with s, m, h or d; at least 1")

# What a runner depends on besides project and region, with the options that say it: jobs that agree on it share a runner.
_OF_RUNNER = {
    "service_account": "cloud_run_service_account",
    "endpoint": "cloud_run_endpoint",
    "storage_endpoint": "cloud_run_storage_endpoint",
    "logging_endpoint": "cloud_run_logging_endpoint",
    "detached": "cloud_run_async",
    "interval": "cloud_run_async_poke_interval",
    "follow_logs": "cloud_run_follow_logs",
    "list_lag": "cloud_run_list_lag",
    "missing_grace": "cloud_run_missing_grace",
    "history": "cloud_run_history",
}


@hookimpl
def sl_options() -> Sequence[Option]:
    return [
        Option("cloud_run_project_id", NAME, required=True, env="GCP_PROJECT", doc="The project of the Cloud Run job."),
        Option("cloud_run_job_region", NAME, required=True, env="GCP_REGION", doc="The region of the Cloud Run job."),
        Option("cloud_run_job_name", NAME, required=True, doc="The Cloud Run job, which must exist."),
        Option("cloud_run_container", STR, "", doc="Container of the job that runs Starlake, where it has several."),
        Option(
            "cloud_run_service_account",
            ACCOUNT,
            "",
            doc="Service account as which Cloud Run is called; not the one as which the job runs.",
        ),
        Option(
            "cloud_run_async",
            BOOL,
            True,
            doc="Let the orchestrator wait without a worker, where it can; false keeps a worker with each task.",
        ),
        Option("cloud_run_async_poke_interval", INTERVAL, 30, doc="Time between two looks at what runs."),
        Option("cloud_run_task_count", Integer(1, 10_000), doc="Tasks of an execution; as the job says by default."),
        Option(
            "cloud_run_task_timeout", TIMEOUT, doc="How long an attempt of a task may take; as the job says by default."
        ),
        Option(
            "cloud_run_follow_logs",
            BOOL,
            False,
            doc="Read the output while all goes well too; the quota of Cloud Logging is low.",
        ),
        Option(
            "cloud_run_list_lag",
            LAG,
            10,
            doc="How long a new execution may be missing in lists: until doubles are looked for, and a submission without an answer repeated.",
        ),
        Option(
            "cloud_run_missing_grace",
            LAG,
            60,
            doc="How long Cloud Run may not know an execution that was never seen, before it is lost.",
        ),
        Option(
            "cloud_run_history",
            Integer(100, 10_000),
            1000,
            doc="How many of the newest executions of the job are searched for earlier attempts of a task.",
        ),
        Option(
            "cloud_run_endpoint", ENDPOINT, "", doc="Address of an emulator, or of a private endpoint of Cloud Run."
        ),
        Option("cloud_run_storage_endpoint", ENDPOINT, "", doc="The same of Cloud Storage."),
        Option("cloud_run_logging_endpoint", ENDPOINT, "", doc="The same of Cloud Logging."),
        Option(
            "retry_on_failure",
            BOOL,
            False,
            env="",
            doc=f"{_NO_EFFECT} A pre-load that crashed always fails, and `retries` says how often it is tried again.",
        ),
        Option(
            "retry_delay_in_seconds",
            DURATION,
            None,
            env="",
            doc="Another name of retry_delay, from earlier generators; retry_delay wins where both are given.",
        ),
        Option("use_gcloud", BOOL, True, env="", doc=f"{_NO_EFFECT} Cloud Run is called through its API."),
        Option(
            "GOOGLE_CLOUD_SDK", STR, "/usr/local/google-cloud-sdk", env="", doc=f"{_NO_EFFECT} No gcloud is called."
        ),
        Option("separator", STR, " ", env="", doc=f"{_NO_EFFECT} Arguments are never joined."),
    ]


@hookimpl
def sl_find_options(given: Mapping[str, Any]) -> Mapping[str, Any]:
    earlier = given.get("retry_delay_in_seconds")
    return {} if earlier is None else {"retry_delay": earlier}


@hookimpl
def sl_create_job(command: Command, options: Options) -> Job:
    project, region = options["cloud_run_project_id"], options["cloud_run_job_region"]
    of_runner = {name: options[option] for name, option in _OF_RUNNER.items()}
    spec = {
        "project": project,
        "region": region,
        "job": options["cloud_run_job_name"],
        "container": options["cloud_run_container"],
        "task_count": options["cloud_run_task_count"],
        "timeout": options["cloud_run_task_timeout"],
        **of_runner,
    }
    words = [f"{name}={quote(str(value), safe=':/@')}" for name, value in of_runner.items() if value not in ("", None)]
    return Job(
        "cloud_run",
        command.vector,
        options["sl_env_var"],
        {name: value for name, value in spec.items() if value not in ("", None)},
        f"{project}/{region}?{'&'.join(words)}",
    )


@hookimpl
def sl_create_runner(job: Job) -> Runner:
    from .runner import CloudRunRunner

    return CloudRunRunner(job.spec)

"""The hooks of the add-on ``notify``."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from starlake_core import CSV, STR, Job, Kind, Lifecycle, OneOf, OptionGroup, Options, RunKey, Seconds, hookimpl, option
from starlake_core.logs import get_logger
from starlake_core.runtime import MASK, Outcome, Verdict

from .message import message
from .sending import NotSent, send

needs_hooks = "1.0"

logger = get_logger(__name__)

NAME = "notify"
URL_VARIABLE = "SL_NOTIFY_URL"


def _read_ends(value: Any) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word.lower().replace("_", " ") for word in CSV.read(value)))
    if not words or not set(words) <= {verdict.value for verdict in Verdict}:
        raise ValueError
    return words


ENDS = Kind("csv", "some of " + ", ".join(verdict.value for verdict in Verdict), _read_ends)


class NotifyOptions(OptionGroup):
    """Where messages go, and which ends cause one."""

    notify_url: str = option(
        STR,
        "",
        env="",
        doc=f"The address of the webhook; a variable of the orchestrator keeps it secret: ${{var:NAME}}. The default is the variable {URL_VARIABLE} "
        "of the worker.",
    )
    notify_on: tuple[str, ...] = option(
        ENDS, ("failed", "cancelled", "lost"), doc="The ends of attempts that cause a message."
    )
    notify_format: str = option(
        OneOf("json", "text"),
        "json",
        doc="json: all details. text: only the text, as Slack, Mattermost and Google Chat expect it.",
    )
    notify_timeout: float = option(
        Seconds(0.1, "seconds, at least 0.1 and less than 60; a fraction is allowed", 60),
        5.0,
        doc="How long the worker waits for the webhook.",
    )


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [NotifyOptions]


@hookimpl(wrapper=True)
def sl_create_job(options: Options) -> Generator[None, Job, Job]:
    job = yield
    return _informed(job, options)


@hookimpl(wrapper=True)
def sl_create_preload(options: Options) -> Generator[None, Job | None, Job | None]:
    job = yield
    return job if job is None else _informed(job, options)


@hookimpl(wrapper=True)
def sl_create_lifecycle(options: Options) -> Generator[None, Lifecycle | None, Lifecycle | None]:
    made = yield
    return None if made is None else made.map_jobs(lambda job: _informed(job, options))


def _informed(job: Job, options: Options) -> Job:
    """Return a job with what the worker needs to know, because the pipeline file is not read again there."""
    given = options[NotifyOptions]
    spec = {"on": list(given.notify_on), "format": given.notify_format, "timeout": given.notify_timeout}
    if given.notify_url:
        spec["secret_url"] = given.notify_url
    return replace(job, addon_specs={**job.addon_specs, NAME: spec})


@hookimpl
def sl_task_ended(job: Job, key: RunKey, outcome: Outcome) -> None:
    spec = job.addon_specs.get(NAME)
    if spec is None or outcome.verdict.value not in spec["on"]:
        return
    url = spec.get("secret_url", "")
    if url in ("", MASK):  # masked in what the database of Airflow keeps
        url = os.environ.get(URL_VARIABLE, "")
    try:
        send(url, message(job, key, outcome, spec["format"]), spec["timeout"])
    except NotSent as error:
        logger.warning("no message that %s %s: %s", key.task, outcome.verdict, error)

"""An environment whose jobs run in the fake service of the kit: a module, so that other processes find it too.

The option ``service_runner`` names the class of its runner: the right one, or a broken one of ``kit_service_broken``.
"""

from __future__ import annotations

import http.client
import importlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from starlake_core import (
    STR,
    Command,
    GeneralOptions,
    Job,
    OptionGroup,
    Options,
    OutageError,
    RunKey,
    RunnerError,
    StarlakeError,
    hookimpl,
    option,
)
from starlake_core.masking import mask_text, secret_arguments, secret_values
from starlake_core.runtime import (
    AttemptInfo,
    Backoff,
    Outcome,
    Runner,
    Status,
    Verdict,
    is_preload,
    marker_of,
    outcome_from_exit_code,
    request_marker,
)


class ServiceOptions(OptionGroup):
    service_url: str = option(STR, required=True, doc="Where the service is.")
    service_runner: str = option(STR, "kit_service:ServiceRunner", doc="The class of the runner.")


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [ServiceOptions]


@hookimpl
def sl_create_job(command: Command, options: Options) -> Job:
    service = options[ServiceOptions]
    spec = {"runner": service.service_runner, "secret": "s3cret-of-the-spec"}
    return Job("kit_service", command.vector, options[GeneralOptions].sl_env_var, spec, endpoint=service.service_url)


@hookimpl
def sl_create_runner(job: Job) -> Runner:
    module, _, name = job.spec["runner"].partition(":")
    made: ServiceRunner = getattr(importlib.import_module(module), name)(job.endpoint)
    made.take(job.spec)
    return made


class ServiceRunner(Runner):
    """Keeps every promise of an environment with a service."""

    interval = 0.05
    detached = True

    def __init__(self, url: str) -> None:
        self._url = url

    def take(self, spec: Mapping[str, Any]) -> None:
        """Get what the job says about the service."""

    # -- the service

    def refused(self, status: int, message: str) -> StarlakeError:
        return RunnerError(
            f"the service at {self._url} refuses: {message} ({status}). Grant the account the role kit.runner"
        )

    def down(self, error: Exception) -> StarlakeError:
        return OutageError(f"the service at {self._url} does not answer: {error}")

    def sent(self, body: object) -> object:
        """What a try sends."""
        return body

    def call(self, method: str, path: str, body: object = None) -> Any:
        backoff = Backoff(5.0, 0.02, 0.2)
        while True:
            data = None if body is None else json.dumps(self.sent(body)).encode()
            try:
                request = urllib.request.Request(f"{self._url}{path}", data, method=method)
                with urllib.request.urlopen(request, timeout=5) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                with error:
                    message = json.load(error)["message"]
                if error.code == 404:
                    return None
                if error.code not in (429, 503):
                    raise self.refused(error.code, message) from None
                passing: Exception = RuntimeError(f"{error.code} {message}")
            except (OSError, http.client.HTTPException) as error:
                passing = error
            if not backoff.wait():
                raise self.down(passing) from None

    # -- a runner

    def name(self, key: RunKey) -> str:
        return f"job-{key.attempt_hash}"

    def env(self, job: Job, key: RunKey) -> dict[str, str]:
        return {**job.env, **key.variables}

    def labels(self, job: Job, key: RunKey) -> dict[str, str]:
        return {
            **key.variables,
            "task": key.task_hash,
            "marker": marker_of(job.arguments) or "",
            "secrets": json.dumps([*secret_values({**job.env, **secret_arguments(job.arguments)})]),
        }

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        found = self.call("GET", f"/jobs?{urlencode({'SL_RUN_TASK': task})}")
        return [AttemptInfo.told(one["labels"], one["name"], self.status(one)) for one in found]

    def submit(self, job: Job, key: RunKey) -> str:
        if is_preload(job.arguments) and marker_of(job.arguments) is None:
            folder = Path(job.env["SL_ROOT"]) / ".not-ready"
            folder.mkdir(exist_ok=True)
            job = request_marker(job, str(folder / key.attempt_hash))
        body = {
            "name": self.name(key),
            "arguments": list(job.arguments),
            "env": self.env(job, key),
            "labels": self.labels(job, key),
        }
        return str(self.call("POST", "/jobs", body)["name"])

    def status(self, one: Mapping[str, Any]) -> Status:
        state, code = one["state"], one["exitCode"]
        if code is None:
            return Status(None, state, stopping=state == "stopping")
        if state == "stopped":
            return Status(Outcome(Verdict.CANCELLED, code, "it was stopped"), state)
        marker = one["labels"]["marker"]
        outcome = outcome_from_exit_code(code, check=bool(marker), marked=os.path.exists(marker) if marker else None)
        return Status(outcome, state)

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        return {handle: self.looked(handle) for handle in handles}

    def looked(self, handle: str) -> Status:
        try:
            one = self.call("GET", f"/jobs/{quote(handle)}")
        except StarlakeError as error:
            return Status(error=error)
        return Status(Outcome(Verdict.LOST, reason="the service does not know it")) if one is None else self.status(one)

    def cancel(self, handle: str) -> None:
        self.call("POST", f"/jobs/{quote(handle)}/stop", {})

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        one = self.call("GET", f"/jobs/{quote(handle)}")
        found = self.call("GET", f"/jobs/{quote(handle)}/log?from={cursor or 0}")
        if one is None or found is None:
            return (), cursor
        secrets = json.loads(one["labels"]["secrets"])
        lines = [mask_text(line, secrets) for line in found["lines"]]
        return lines, str(int(cursor or 0) + len(lines))

"""Runners of the environment ``kit_service`` that break one promise each."""

from __future__ import annotations

import json
import os
import re
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kit_service import ServiceRunner

from starlake_core import Job, OutageError, RunKey, RunnerError, StarlakeError
from starlake_core.runtime import AttemptInfo, Outcome, Status, Verdict, mask_text

_REFERENCE = re.compile(r"\$\((\w+)\)")


# -- what arrives


class PassesNoVariables(ServiceRunner):
    def env(self, job: Job, key: RunKey) -> dict[str, str]:
        return {**key.variables, "SL_ROOT": job.env["SL_ROOT"]}


class PassesNoKey(ServiceRunner):
    def env(self, job: Job, key: RunKey) -> dict[str, str]:
        return dict(job.env)


class ForgetsTheGeneration(ServiceRunner):
    def env(self, job: Job, key: RunKey) -> dict[str, str]:
        return {**super().env(job, key), "SL_RUN_KEY": key.task}


class ForgetsTheRunOfItsJobs(ServiceRunner):
    def env(self, job: Job, key: RunKey) -> dict[str, str]:
        return {**job.env, **replace(key, instance="").variables}


class ExpandsArguments(ServiceRunner):
    """As Kubernetes does where nobody escapes it."""

    def submit(self, job: Job, key: RunKey) -> str:
        filled = [_REFERENCE.sub(lambda found: job.env.get(found[1], found[0]), word) for word in job.arguments]
        return super().submit(replace(job, arguments=tuple(filled)), key)


class ExpandsVariables(ServiceRunner):
    def env(self, job: Job, key: RunKey) -> dict[str, str]:
        made = super().env(job, key)
        return {name: _REFERENCE.sub(lambda found: made.get(found[1], found[0]), text) for name, text in made.items()}


class ExpandsDollars(ServiceRunner):
    def submit(self, job: Job, key: RunKey) -> str:
        return super().submit(replace(job, arguments=tuple(map(os.path.expandvars, job.arguments))), key)


class SplitsAtSpaces(ServiceRunner):
    def submit(self, job: Job, key: RunKey) -> str:
        return super().submit(replace(job, arguments=tuple(" ".join(job.arguments).split(" "))), key)


class DropsEmptyArguments(ServiceRunner):
    def submit(self, job: Job, key: RunKey) -> str:
        return super().submit(replace(job, arguments=tuple(filter(None, job.arguments))), key)


class DropsEmptyVariables(ServiceRunner):
    def env(self, job: Job, key: RunKey) -> dict[str, str]:
        return {name: text for name, text in super().env(job, key).items() if text}


class StripsNewlines(ServiceRunner):
    def submit(self, job: Job, key: RunKey) -> str:
        return super().submit(replace(job, arguments=tuple(word.rstrip("\n") for word in job.arguments)), key)


class KnowsAsciiOnly(ServiceRunner):
    def env(self, job: Job, key: RunKey) -> dict[str, str]:
        return {name: text.encode("ascii", "ignore").decode() for name, text in super().env(job, key).items()}


class _ChangesOutput(ServiceRunner):
    def changed(self, line: str) -> str:
        raise NotImplementedError

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        lines, cursor = super().logs(handle, cursor)
        return [self.changed(line) for line in lines], cursor


class ReadsAscii(_ChangesOutput):
    def changed(self, line: str) -> str:
        return line.encode().decode("ascii", "ignore")


class StripsOutput(_ChangesOutput):
    def changed(self, line: str) -> str:
        return line.strip()


class CutsLines(_ChangesOutput):
    def changed(self, line: str) -> str:
        return line[:1024]


# -- other processes


class KeepsHandlesInItsProcess(ServiceRunner):
    known: set[str] = set()  # noqa: RUF012 - of the process, as a module global

    def submit(self, job: Job, key: RunKey) -> str:
        handle = super().submit(job, key)
        self.known.add(handle)
        return handle

    def looked(self, handle: str) -> Status:
        return super().looked(handle) if handle in self.known else Status(Outcome(Verdict.LOST))


class FindsItsOwnOnly(KeepsHandlesInItsProcess):
    def looked(self, handle: str) -> Status:
        return ServiceRunner.looked(self, handle)

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        return [found for found in super().find(job, task) if found.handle in self.known]


class CancelsItsOwnOnly(KeepsHandlesInItsProcess):
    def looked(self, handle: str) -> Status:
        return ServiceRunner.looked(self, handle)

    def cancel(self, handle: str) -> None:
        if handle in self.known:
            super().cancel(handle)


class ReadsItsOwnOnly(KeepsHandlesInItsProcess):
    def looked(self, handle: str) -> Status:
        return ServiceRunner.looked(self, handle)

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        return super().logs(handle, cursor) if handle in self.known else ((), cursor)


class KnowsItsMarkersOnly(KeepsHandlesInItsProcess):
    def looked(self, handle: str) -> Status:
        status = ServiceRunner.looked(self, handle)
        mine = handle in self.known or status.outcome is None or status.outcome.verdict is not Verdict.NOT_READY
        return status if mine else Status(Outcome(Verdict.SUCCEEDED, 0))


class RemembersSecretsInItsProcess(ServiceRunner):
    secrets: dict[str, str] = {}  # noqa: RUF012 - of the process

    def labels(self, job: Job, key: RunKey) -> dict[str, str]:
        labels = super().labels(job, key)
        self.secrets[self.name(key)] = labels["secrets"]
        return {**labels, "secrets": "[]"}

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        lines, cursor = super().logs(handle, cursor)
        return [mask_text(line, json.loads(self.secrets.get(handle, "[]"))) for line in lines], cursor


class NeedsASecretOfItsSpec(ServiceRunner):
    """What a job may show is not enough to reach the service."""

    def take(self, spec: Mapping[str, Any]) -> None:
        if spec["secret"] != "s3cret-of-the-spec":
            raise RunnerError(
                f"the service at {self._url} refuses: wrong secret. Grant the account the role kit.runner"
            )


class SubmitsTwice(ServiceRunner):
    """It looks whether there is one, and gives each a name of its own."""

    def submit(self, job: Job, key: RunKey) -> str:
        for found in self.find(job, key.task):
            if found.attempt == key.attempt and found.instance == key.instance:
                return found.handle
        time.sleep(0.2)
        return super().submit(job, key)

    def name(self, key: RunKey) -> str:
        return f"job-{uuid.uuid4().hex}"


# -- faults of the service


class OutageIsAnyError(ServiceRunner):
    def down(self, error: Exception) -> Any:
        return ValueError(str(error))


class OutageIsFinal(ServiceRunner):
    def down(self, error: Exception) -> Any:
        return RunnerError(str(error))


class RefusalIsOutage(ServiceRunner):
    def refused(self, status: int, message: str) -> StarlakeError:
        return OutageError(message)


class RefusalIsRaw(ServiceRunner):
    def refused(self, status: int, message: str) -> Any:
        return urllib.error.HTTPError("http://service", status, message, {}, None)  # type: ignore[arg-type]


class RefusalSaysNothing(ServiceRunner):
    def refused(self, status: int, message: str) -> StarlakeError:
        return RunnerError(str(status))


class FindsNothingWhenRefused(ServiceRunner):
    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        try:
            return super().find(job, task)
        except RunnerError:
            return ()


class FindsNothingInAnOutage(ServiceRunner):
    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        try:
            return super().find(job, task)
        except OutageError:
            return ()


class PollRaises(ServiceRunner):
    def looked(self, handle: str) -> Status:
        status = super().looked(handle)
        if status.error is not None:
            raise status.error
        return status


class OutageIsAnEnd(ServiceRunner):
    def looked(self, handle: str) -> Status:
        status = super().looked(handle)
        failed = Status(Outcome(Verdict.FAILED, reason=str(status.error)))
        return failed if isinstance(status.error, OutageError) else status


class RefusalIsLost(ServiceRunner):
    def looked(self, handle: str) -> Status:
        status = super().looked(handle)
        return Status(Outcome(Verdict.LOST)) if isinstance(status.error, RunnerError) else status


class ThrottlingIsRefusal(ServiceRunner):
    def call(self, method: str, path: str, body: object = None) -> Any:
        try:
            with urllib.request.urlopen(f"{self._url}/jobs/none", timeout=5):
                pass
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 429:
                    raise RunnerError("too many requests: request a higher quota") from None
        return super().call(method, path, body)


class SleepsInAnOutage(ServiceRunner):
    def down(self, error: Exception) -> StarlakeError:
        time.sleep(60)
        return super().down(error)


class LostReplyStartsAnother(ServiceRunner):
    """Every try has a name of its own."""

    def sent(self, body: Any) -> Any:
        return {**body, "name": f"{body['name']}-{uuid.uuid4().hex}"} if body and "name" in body else body


class StoppingIsRunning(ServiceRunner):
    def status(self, one: Mapping[str, Any]) -> Status:
        return replace(super().status(one), stopping=False)


class StoppingIsOver(ServiceRunner):
    def status(self, one: Mapping[str, Any]) -> Status:
        status = super().status(one)
        return Status(Outcome(Verdict.CANCELLED)) if status.stopping else status


class ForgetsToCancel(ServiceRunner):
    """What it could not cancel counts as cancelled."""

    asked: set[str] = set()  # noqa: RUF012 - of the process

    def cancel(self, handle: str) -> None:
        if handle in self.asked:
            return
        self.asked.add(handle)
        super().cancel(handle)


class WaitsForOutput(ServiceRunner):
    def tail(self, handle: str, count: int) -> Sequence[str]:
        while not (lines := self.logs(handle, None)[0]):
            time.sleep(0.1)
        return lines[-count:]

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        try:
            return super().logs(handle, cursor)
        except OutageError:
            return (), cursor


# -- the rest


class NeverCancels(ServiceRunner):
    def cancel(self, handle: str) -> None:
        pass


class SaysCancelled(ServiceRunner):
    """It tells what it was asked for, and the process goes on."""

    asked: set[str] = set()  # noqa: RUF012 - of the process

    def cancel(self, handle: str) -> None:
        self.asked.add(handle)

    def looked(self, handle: str) -> Status:
        return Status(Outcome(Verdict.CANCELLED)) if handle in self.asked else super().looked(handle)


class FindsNewestFirst(ServiceRunner):
    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        return super().find(job, task)[::-1]


class ForgetsEndedAttempts(ServiceRunner):
    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        return [found for found in super().find(job, task) if not found.status.ended]


class IsDetachedInSecret(ServiceRunner):
    detached = False


class LosesTheExitCode(ServiceRunner):
    def status(self, one: Mapping[str, Any]) -> Status:
        status = super().status(one)
        return status if status.outcome is None else replace(status, outcome=replace(status.outcome, exit_code=1))

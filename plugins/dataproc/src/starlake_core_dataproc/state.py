"""What Dataproc reports about a job or batch, and what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlake_core.masking import mask_text, secret_arguments, secret_values
from starlake_core.runtime import Markers, Outcome, Status, Verdict, marker_of, outcome_from_exit_code

from .naming import CHECK_LABEL, TIMEOUT_LABEL
from .variables import EXECUTOR

__all__ = ["DriverRun", "exit_code_of", "is_stopping", "seconds", "status_of", "timeout_of"]

_REASON = 1000
_STOPPING = ("CANCEL_PENDING", "CANCEL_STARTED", "CANCELLING")
# Dataproc does not report exit codes; if its agent knows one, a sentence about the driver contains it.
_EXIT = re.compile(r"\bdriver\b[^.\n]{0,120}?\bexited with (?:exit )?(?:code |status )?(\d{1,3})\b", re.IGNORECASE)


@dataclass(frozen=True)
class DriverRun:
    """A job or batch.

    Attributes:
        handle: its full name.
        state: Dataproc's word for its state.
        verdict: what that word means; None while it runs.
        details: what Dataproc says about the state.
        arguments: the arguments of the driver.
        properties: the Spark properties.
        labels: the labels of the job or batch.
        submitted, ended: when it was submitted, and when its state began, in seconds since the epoch.
        output: where the output of the driver is, ``gs://...``; empty if it is not kept.
    """

    handle: str
    state: str
    verdict: Verdict | None
    details: str
    arguments: tuple[str, ...]
    properties: Mapping[str, str]
    labels: Mapping[str, str]
    submitted: float
    ended: float
    output: str

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that it was given."""
        return {
            name.removeprefix(EXECUTOR): value for name, value in self.properties.items() if name.startswith(EXECUTOR)
        }

    @property
    def task(self) -> str:
        """The task that it was submitted for."""
        return self.env.get("SL_RUN_TASK", "")

    @property
    def attempt(self) -> str:
        """The attempt that it was submitted for."""
        return self.env.get("SL_RUN_ATTEMPT", "")

    @property
    def stopping(self) -> bool:
        """Whether it is being stopped."""
        return is_stopping(self.state)

    @property
    def check(self) -> bool:
        """Whether it is a check."""
        return self.labels.get(CHECK_LABEL) == "yes"

    @property
    def timeout(self) -> int | None:
        """After how many seconds to cancel it."""
        return timeout_of(self.labels)

    @property
    def secrets(self) -> Sequence[str]:
        """Values that must not appear in its output."""
        return secret_values({**secret_arguments(self.arguments), **self.env})

    def masked(self, text: str) -> str:
        """Mask the secrets in a string.

        Args:
            text: a message or an output of the service.
        """
        return mask_text(text, self.secrets)


def timeout_of(labels: Mapping[str, str]) -> int | None:
    """After how many seconds to cancel a job or batch, read from its labels.

    Args:
        labels: the labels of the job or batch.
    """
    text = labels.get(TIMEOUT_LABEL, "") if labels else ""
    return int(text) if text.isdigit() else None


def is_stopping(state: str) -> bool:
    """Whether a state means that the job or batch is being stopped.

    Args:
        state: Dataproc's word for the state.
    """
    return state in _STOPPING


def exit_code_of(details: str) -> int | None:
    """The exit code of a driver, if Dataproc reports it.

    >>> exit_code_of("Driver received SIGTERM/SIGKILL signal and exited with 143 code, which potentially signifies a memory pressure.")
    143
    >>> exit_code_of("Google Cloud Dataproc Agent reports job failure. If logs are available, they can be found at: ...")

    Args:
        details: the details of the state of the job.
    """
    found = _EXIT.search(details)
    return int(found[1]) if found and int(found[1]) else None


def status_of(told: DriverRun, markers: Markers, console: str) -> Status:
    """The status of a job or batch.

    Args:
        told: the job or batch as Dataproc reports it.
        markers: the markers of checks.
        console: its address in the console.

    Raises:
        RunnerError, OutageError: it is a check that has ended, and its marker cannot be read now.
    """
    if told.verdict is None:
        return Status(detail=told.state, stopping=told.stopping)
    return Status(replace(_outcome(told, markers), log=console), told.state)


def _outcome(told: DriverRun, markers: Markers) -> Outcome:
    check = told.check
    marker = marker_of(told.arguments) if check else None
    if told.verdict is Verdict.SUCCEEDED:
        return outcome_from_exit_code(0, check=check, marked=None if marker is None else markers.seen(marker))
    if told.verdict is Verdict.CANCELLED:
        return _cancelled(told)
    details = told.masked(told.details).strip()[:_REASON]
    code = exit_code_of(told.details)
    if code is None:
        hint = ""
        if check and marker is None:
            hint = (
                ". Dataproc does not report exit codes, so 'not ready' and a crash look alike: let Starlake 1.5.15 or later report 'not ready' with "
                "a marker (options pre_load_not_ready_sentinel and pre_load_not_ready_sentinel_path)"
            )
        return Outcome(Verdict.FAILED, None, f"{told.state}: {details or 'Dataproc gives no reason'}{hint}")
    # A check leaves its marker only with exit code 0.
    outcome = outcome_from_exit_code(code, check=check, marked=None if marker is None else False, about=told.task)
    return replace(outcome, reason=f"{outcome.reason}: {details}") if outcome.verdict is Verdict.FAILED else outcome


def _cancelled(told: DriverRun) -> Outcome:
    timeout = told.timeout
    if timeout is not None and told.ended - told.submitted >= timeout:
        return Outcome(
            Verdict.FAILED, reason=f"cancelled after its time-out of {timeout} s (option dataproc_job_wait_timeout)"
        )
    return Outcome(Verdict.CANCELLED, reason="cancelled")


def seconds(stamp: Any) -> float:
    """A protobuf time as seconds since the epoch.

    Args:
        stamp: a ``google.protobuf.Timestamp``.
    """
    return float(stamp.seconds + stamp.nanos / 1e9)

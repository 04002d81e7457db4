"""The only place that runs anything: submit, poll, cancel, logs, re-attach, outcome."""

from __future__ import annotations

from .execute import OlderAttempt, cancel_and_settle, execute, finish, start, wait
from .outcome import Found, Outcome, Runner, Status, Verdict
from .poller import BatchPoller, shared_poller
from .process import ProcessRunner
from .runners import runner_for

__all__ = [
    "BatchPoller",
    "Found",
    "OlderAttempt",
    "Outcome",
    "ProcessRunner",
    "Runner",
    "Status",
    "Verdict",
    "cancel_and_settle",
    "execute",
    "finish",
    "runner_for",
    "shared_poller",
    "start",
    "wait",
]

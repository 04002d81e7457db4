"""The only place that runs anything: submit, poll, cancel, logs, re-attach, outcome."""

from __future__ import annotations

from .aside import Aside
from .credentials import Credentials, credentials_of
from .execute import OlderAttempt, cancel_and_settle, end_all, execute, expire, finish, start, wait, watch
from .facts import facts_of
from .outcome import Found, Outcome, Runner, Status, Verdict
from .pausing import given_up_on, pause, pausing
from .poller import BatchPoller, ask, shared_poller
from .process import ProcessRunner
from .project import in_project, project_root
from .recent import Recent
from .runners import runner_for
from .storage import LocalStorage, Storage
from .verdicts import judged, marker_of, remote_marker, with_marker

__all__ = [
    "Aside",
    "BatchPoller",
    "Credentials",
    "Found",
    "LocalStorage",
    "OlderAttempt",
    "Outcome",
    "ProcessRunner",
    "Recent",
    "Runner",
    "Status",
    "Storage",
    "Verdict",
    "ask",
    "cancel_and_settle",
    "credentials_of",
    "end_all",
    "execute",
    "expire",
    "facts_of",
    "finish",
    "given_up_on",
    "in_project",
    "judged",
    "marker_of",
    "pause",
    "pausing",
    "project_root",
    "remote_marker",
    "runner_for",
    "shared_poller",
    "start",
    "wait",
    "watch",
    "with_marker",
]

"""The only place that runs anything: submit, poll, cancel, logs, re-attach, outcome."""

from __future__ import annotations

from .credentials import Credentials, credentials_of
from .exclusive import POOL_PREFIX, Lease, exclusively, inherited, occupy, pool_of, resource_of
from .execute import OlderAttempt, cancel_and_settle, execute, expire, finish, start, wait, watch
from .facts import facts_of
from .outcome import Found, Outcome, Runner, Status, Verdict
from .poller import BatchPoller, shared_poller
from .process import ProcessRunner
from .project import in_project, project_root
from .runners import runner_for
from .storage import LocalStorage, Storage
from .verdicts import WILL_NOT_PASS, judged, marker_of, may_pass, remote_marker, with_marker

__all__ = [
    "POOL_PREFIX",
    "WILL_NOT_PASS",
    "BatchPoller",
    "Credentials",
    "Found",
    "Lease",
    "LocalStorage",
    "OlderAttempt",
    "Outcome",
    "ProcessRunner",
    "Runner",
    "Status",
    "Storage",
    "Verdict",
    "cancel_and_settle",
    "credentials_of",
    "exclusively",
    "execute",
    "expire",
    "facts_of",
    "finish",
    "in_project",
    "inherited",
    "judged",
    "marker_of",
    "may_pass",
    "occupy",
    "pool_of",
    "project_root",
    "remote_marker",
    "resource_of",
    "runner_for",
    "shared_poller",
    "start",
    "wait",
    "watch",
    "with_marker",
]

"""The only place that runs anything: submit, poll, cancel, logs, re-attach, outcome."""

from __future__ import annotations

from .aside import Aside
from .credentials import Credentials, credentials_of
from .exclusive import POOL_PREFIX, Lease, exclusively, inherited, occupy, pool_of, resource_of
from .execute import (
    OlderAttempt,
    attempts_of,
    cancel_and_settle,
    check_work,
    end_all,
    execute,
    expire,
    finish,
    start,
    wait,
    watch,
)
from .facts import facts_of
from .outcome import Found, Outcome, Status, Verdict
from .pausing import given_up_on, pause, pausing
from .poller import BatchPoller, ask, shared_poller
from .process import ProcessRunner
from .project import in_project, project_root
from .recent import Recent
from .runner import Runner, Storage
from .runners import runner_for
from .storage import LocalStorage
from .verdicts import WILL_NOT_PASS, judged, marker_of, may_pass, remote_marker, with_marker

__all__ = [
    "POOL_PREFIX",
    "WILL_NOT_PASS",
    "Aside",
    "BatchPoller",
    "Credentials",
    "Found",
    "Lease",
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
    "attempts_of",
    "cancel_and_settle",
    "check_work",
    "credentials_of",
    "end_all",
    "exclusively",
    "execute",
    "expire",
    "facts_of",
    "finish",
    "given_up_on",
    "in_project",
    "inherited",
    "judged",
    "marker_of",
    "may_pass",
    "occupy",
    "pause",
    "pausing",
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

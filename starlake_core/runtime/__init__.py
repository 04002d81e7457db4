"""The only place that runs anything: submit, poll, cancel, logs, re-attach, outcome.

``attempt`` starts an attempt, or finds the one that runs, and finishes it, ``waiting`` waits for its end, and ``poller`` for many at once;
``repeating`` says whether work may be done again, with ``guarded``, ``loads`` and ``notes``; ``runner_cache`` keeps a runner for each endpoint,
with ``credentials``; ``project``, ``storage`` and ``markers`` are files; ``aside`` and ``recent`` are tools of runners. Knows jobs and runs, and
no pipeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model.exit_codes import (
    WILL_NOT_PASS,
    is_preload,
    marker_of,
    may_pass,
    outcome_from_exit_code,
    remote_marker,
    request_marker,
)
from ..model.outcome import AttemptInfo, Outcome, Status, Verdict
from ..plugins.pausing import Backoff, given_up_on, pause, pausing
from ..plugins.project_facts import facts_of
from ..plugins.runner import Runner, RunnerSource, Storage
from ..processes.exclusive import POOL_PREFIX, Lease, exclusively, inherited, occupy, pool_of, resource_of
from ..processes.runner import ProcessRunner
from ..renamed import earlier_name
from .aside import Aside
from .attempt import OlderAttempt, attempts_of, check_work, end_all, execute, finish, start
from .credentials import Credentials, credentials_of
from .markers import Markers, ObjectStore
from .poller import BatchPoller, ask, shared_poller
from .project import in_project, project_root
from .recent import Recent
from .runner_cache import runner_for
from .storage import LocalStorage
from .waiting import cancel_and_settle, expire, wait, watch

__all__ = [
    "POOL_PREFIX",
    "WILL_NOT_PASS",
    "Aside",
    "AttemptInfo",
    "Backoff",
    "BatchPoller",
    "Credentials",
    "Lease",
    "LocalStorage",
    "Markers",
    "ObjectStore",
    "OlderAttempt",
    "Outcome",
    "ProcessRunner",
    "Recent",
    "Runner",
    "RunnerSource",
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
    "is_preload",
    "marker_of",
    "may_pass",
    "occupy",
    "outcome_from_exit_code",
    "pause",
    "pausing",
    "pool_of",
    "project_root",
    "remote_marker",
    "request_marker",
    "resource_of",
    "runner_for",
    "shared_poller",
    "start",
    "wait",
    "watch",
]

if not TYPE_CHECKING:  # a type checker would take every name to be there

    def __getattr__(name):
        return earlier_name(__name__, name)

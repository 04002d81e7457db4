"""Runs attempts: submits, polls, cancels and re-attaches them, reads their logs, and decides their outcome. Nothing else in the core runs anything.

``attempt`` starts an attempt, or finds it running, and finishes it. ``waiting`` waits for its end, and ``poller`` for
many at once. ``repeating`` decides whether work may be repeated, with ``guarded``, ``loads`` and ``notes``.
``runner_cache`` keeps a runner for each endpoint, with ``credentials``. ``project``, ``storage`` and ``markers`` handle
files; ``aside`` and ``recent`` are tools for runners. Knows jobs and runs, but no pipelines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..masking import (
    MASK,
    is_secret_name,
    mask_arguments,
    mask_mapping,
    mask_text,
    secret_arguments,
    secret_values,
)
from ..model.exit_codes import (
    WILL_NOT_PASS,
    is_preload,
    marker_of,
    may_pass,
    outcome_from_exit_code,
    remote_marker,
    request_marker,
)
from ..model.outcome import AttemptInfo, Outcome, Status, Verdict, explain_not_ready
from ..plugins.pausing import Backoff, given_up_on, pause, pausing, retrying
from ..plugins.project_facts import facts_of
from ..plugins.runner import DelegatingRunner, Runner, RunnerSource, Storage
from ..private_files import private_file, private_folder
from ..processes.exclusive import POOL_PREFIX, Lease, exclusively, inherited, occupy, pool_of, resource_of
from ..processes.runner import ProcessRunner, worker_environment
from ..renamed import earlier_name
from ..short_names import file_name
from .aside import Aside
from .attempt import OlderAttempt, attempts_of, check_work, end_all, execute, finish, start, tell_end
from .credentials import Credentials, credentials_of
from .markers import Markers, ObjectStore
from .poller import BatchPoller, ask, shared_poller
from .project import in_project, project_root
from .recent import Recent
from .runner_cache import rest_runners, runner_for
from .storage import LocalStorage
from .waiting import cancel_and_settle, expire, wait, watch

__all__ = [
    "MASK",
    "POOL_PREFIX",
    "WILL_NOT_PASS",
    "Aside",
    "AttemptInfo",
    "Backoff",
    "BatchPoller",
    "Credentials",
    "DelegatingRunner",
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
    "explain_not_ready",
    "facts_of",
    "file_name",
    "finish",
    "given_up_on",
    "in_project",
    "inherited",
    "is_preload",
    "is_secret_name",
    "marker_of",
    "mask_arguments",
    "mask_mapping",
    "mask_text",
    "may_pass",
    "occupy",
    "outcome_from_exit_code",
    "pause",
    "pausing",
    "pool_of",
    "private_file",
    "private_folder",
    "project_root",
    "remote_marker",
    "request_marker",
    "resource_of",
    "rest_runners",
    "retrying",
    "runner_for",
    "secret_arguments",
    "secret_values",
    "shared_poller",
    "start",
    "tell_end",
    "wait",
    "watch",
    "worker_environment",
]

if not TYPE_CHECKING:  # otherwise a type checker would accept any name

    def __getattr__(name):
        return earlier_name(__name__, name)

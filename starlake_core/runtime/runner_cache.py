"""Keeps one runner per endpoint and process."""

from __future__ import annotations

import os
import threading
import weakref

from ..logs import get_logger
from ..model.job import Job
from ..plugins import Plugins, installed, select
from ..plugins.runner import Runner, RunnerSource
from .credentials import Credentials, offering

__all__ = ["rest_runners", "runner_for"]

logger = get_logger(__name__)

_runners: weakref.WeakKeyDictionary[RunnerSource, dict[tuple[str, str, str], Runner]] = weakref.WeakKeyDictionary()
_selections: dict[tuple[str, tuple[str, ...]], Plugins] = {}
_lock = threading.Lock()


def _is_installed(environment: str) -> bool:
    return any(plugin.name == environment for plugin in installed("environment"))


def _serving(addons: tuple[str, ...]) -> Plugins | None:
    """Return add-ons of which one makes runners; None if there is none."""
    plugins = select(None, None, addons) if addons else None
    return plugins if plugins is not None and plugins.implements("sl_create_runner") else None


def _after_fork() -> None:
    """A forked child must not use the clients, locks and threads of its parent."""
    global _lock
    _lock = threading.Lock()
    _runners.clear()
    _selections.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def runner_for(job: Job, plugins: RunnerSource | None = None, credentials: Credentials | None = None) -> Runner:
    """Return the runner of a job. Jobs with the same environment, endpoint and credentials share a runner.

    Args:
        job: a job, bound or not.
        plugins: the selected plugins, if the pipeline was built in this process; otherwise the environment and add-ons
            named in the job are loaded.
        credentials: the credentials that the orchestrator offers to the runner.

    Raises:
        PluginError: the environment cannot be loaded, or does not return a runner.
    """
    with _lock:
        if plugins is not None and job.environment != plugins.environment and _is_installed(job.environment):
            plugins = None  # an add-on sent this job to another environment
        if plugins is None:
            wanted = (job.environment, job.plugins)
            plugins = _selections.get(wanted)
            if plugins is None:
                # An add-on may serve an environment of its own, which is not installed as one.
                plugins = None if _is_installed(job.environment) else _serving(job.plugins)
                plugins = _selections[wanted] = plugins or select(None, job.environment, job.plugins)
        runners = _runners.setdefault(plugins, {})
        key = (job.environment, job.endpoint, credentials.name if credentials is not None else "")
        if key not in runners:
            with offering(credentials):
                runners[key] = plugins.create_runner(job)
        return runners[key]


def rest_runners() -> None:
    """Let all runners of this process release what they keep for more work. Orchestrators call it when a run has ended."""
    with _lock:
        runners = {id(runner): runner for found in _runners.values() for runner in found.values()}
    for runner in runners.values():
        try:
            runner.rest()
        except Exception as error:  # what is kept too long changes nothing about the run
            logger.warning("a runner cannot release what it keeps: %s", error)

"""What may be done again, and what has to be put back before: the one place that decides, for every orchestrator and environment.

Most commands give the same when they are repeated. Three do not, unless the environment records what it has done (its runner is ``keyed``):

- A *load* moves its files from the stage area to the ingesting area before it loads them, archives them when it is done, and never looks into
  the ingesting area again. Repeated after a failure it finds nothing, succeeds, and has loaded nothing.
- A *transform* that appends adds its rows twice.
- The check of an *acknowledgement file* deletes the file that it finds.

For these the runtime keeps a note below ``SL_ROOT`` from before an attempt is started until it has succeeded: which files were there, and how the
attempt ended. The next attempt reads it, puts back what can be put back, or says what a person has to look at.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..contract import parse_arguments
from ..errors import ContractError
from ..facts import ProjectFacts
from ..job import Job
from ..run import RunKey
from .facts import facts_of
from .guarded import Acknowledged, Appended, Guarded, Subject
from .loads import IDEMPOTENT, Loaded
from .process import local_folder
from .runner import Runner
from .storage import storage_for

__all__ = ["guarded"]


def guarded(job: Job, runner: Runner, key: RunKey) -> Guarded | None:
    """What watches over the repetition of a job.

    Args:
        job: bound.
        runner: of its endpoint.
        key: of the attempt.

    Returns:
        None for a job that may be repeated as often as one likes.
    """
    name = job.arguments[0] if job.arguments else ""
    if name not in ("load", "transform", "preload") or runner.keyed:
        return None
    try:
        values = parse_arguments(job.arguments).values
    except ContractError:
        return None  # the command line refuses it too
    if name == "preload":
        path = str(values.get("globalAckFilePath") or "")
        if str(values.get("strategy", "")).lower() != "ack" or not path:
            return None
        return Acknowledged(_subject(job, runner, key, str(values.get("domain", "")), ProjectFacts()), path)
    if name == "load":
        return _load(job, runner, key, values)
    facts = _read(job) or ProjectFacts()
    if facts.strategy in IDEMPOTENT:
        return None
    return Appended(_subject(job, runner, key, str(values.get("name", "")), facts))


def _load(job: Job, runner: Runner, key: RunKey, values: Mapping[str, Any]) -> Guarded:
    domains, tables = values.get("domains") or [], values.get("tables") or []
    about = ".".join((",".join(domains) or "all", ",".join(tables) or "all"))
    facts, (root, near) = _read(job), _roots(job)
    if facts is None:
        facts = _usual(job, root, domains[0]) if len(domains) == 1 else ProjectFacts()
    elif near != root:
        # The project is read here, and its areas are where the command finds them.
        facts = replace(
            facts,
            stage=_moved(facts.stage, near, root),
            ingesting=_moved(facts.ingesting, near, root),
            archive=_moved(facts.archive, near, root),
        )
    return Loaded(_subject(job, runner, key, about, facts))


def _subject(job: Job, runner: Runner, key: RunKey, about: str, facts: ProjectFacts) -> Subject:
    root = _roots(job)[0]
    # A folder of a service's own is not that folder of this machine, even where there is one.
    elsewhere = bool(job.endpoint) and local_folder(root) is not None
    reached = storage_for(runner, root) if root and not elsewhere else None
    storage, root = reached if reached is not None else (None, root)
    return Subject(job, runner, key, about, facts, root, storage)


def _read(job: Job) -> ProjectFacts | None:
    near = _roots(job)[1]
    return facts_of(replace(job, env={**job.env, "SL_ROOT": near})) if near else None


def _roots(job: Job) -> tuple[str, str]:
    """Where the command finds the project, and where this worker can read it; empty where nobody says."""
    told = job.env.get("SL_ROOT", "")
    here = os.environ.get("SL_ROOT", "")
    root = told if told or job.endpoint else here
    for one in (told, here):
        folder = local_folder(one)
        if folder is not None:
            return (folder if local_folder(root) is not None else root), folder
    return root, ""


def _moved(path: str, source: str, target: str) -> str:
    source, target = os.path.abspath(source), target.rstrip("/")
    return f"{target}{path[len(source) :]}" if target and path.startswith(f"{source}/") else ""


def _usual(job: Job, root: str, domain: str) -> ProjectFacts:
    """Where the files of a domain are if the project says nothing else."""
    if not root:
        return ProjectFacts()
    environ = {**os.environ, **job.env}
    datasets = posixpath.join(root, environ.get("SL_DATASETS") or "datasets")

    def area(name: str) -> str:
        return posixpath.join(datasets, environ.get(f"SL_AREA_{name.upper()}") or name, domain)

    return ProjectFacts(stage=area("stage"), ingesting=area("ingesting"), archive=area("archive"))

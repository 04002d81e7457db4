"""Decides what may be repeated, and what must be put back first, for all orchestrators and environments.

Most commands have the same result when repeated. Three do not, unless the environment records its work (its runner is
``keyed``):

- A *load* moves its files from the stage area to the ingesting area before it loads them, archives them when it is
done, and never looks into
  the ingesting area again. Repeated after a failure, it finds no files and succeeds without loading anything.
- A *transform* that appends adds its rows twice.
- The check of an *acknowledgement file* deletes the file that it finds.

For these, the runtime keeps a note below ``SL_ROOT`` from before an attempt starts until it has succeeded. The note
says which files existed, and how the attempt ended. The next attempt reads it, and puts back what it can, or says what
a person must check.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ..contract import parse_arguments
from ..errors import ContractError
from ..model.facts import ProjectFacts
from ..model.job import Job
from ..model.run import RunKey
from ..plugins.project_facts import facts_of
from ..plugins.runner import Runner
from ..processes.runner import local_folder
from .guarded import Acknowledged, Appended, Guarded, Subject
from .loads import IDEMPOTENT, Loaded
from .storage import storage_for

__all__ = ["guarded"]


def guarded(job: Job, runner: Runner, key: RunKey) -> Guarded | None:
    """Return what guards the repetition of a job.

    Args:
        job: the bound job.
        runner: the runner of the job's endpoint.
        key: the key of the attempt.

    Returns:
        None for a job that may always be repeated.
    """
    name = job.arguments[0] if job.arguments else ""
    if name not in ("load", "transform", "preload") or runner.keyed:
        return None
    try:
        values = parse_arguments(job.arguments).values
    except ContractError:
        return None  # the Starlake command line refuses it too
    if name == "preload":
        path = str(values.get("globalAckFilePath") or "")
        if str(values.get("strategy", "")).lower() != "ack" or not path:
            return None
        return Acknowledged(
            _subject(job, runner, key, str(values.get("domain", "")), ProjectFacts(), _place(job)), path
        )
    if name == "load":
        return _load(job, runner, key, values)
    place = _place(job)
    facts = _read(job, place) or ProjectFacts()
    if facts.strategy in IDEMPOTENT:
        return None
    return Appended(_subject(job, runner, key, str(values.get("name", "")), facts, place))


def _load(job: Job, runner: Runner, key: RunKey, values: Mapping[str, Any]) -> Guarded:
    domains, tables = values.get("domains") or [], values.get("tables") or []
    about = ".".join((",".join(domains) or "all", ",".join(tables) or "all"))
    place = _place(job)
    facts, root, near = _read(job, place), place.root, place.near
    if facts is None:
        facts = _usual(job, root, domains[0]) if len(domains) == 1 else ProjectFacts()
    elif near != root:
        # The project is read here, but the paths of its areas are those of the command.
        facts = replace(
            facts,
            stage=_moved(facts.stage, near, root),
            ingesting=_moved(facts.ingesting, near, root),
            archive=_moved(facts.archive, near, root),
        )
    return Loaded(_subject(job, runner, key, about, facts, place))


def _subject(job: Job, runner: Runner, key: RunKey, about: str, facts: ProjectFacts, place: _Place) -> Subject:
    root = place.root
    # A folder inside a service is not the folder with the same path on this machine.
    elsewhere = bool(job.endpoint) and place.is_local
    reached = storage_for(runner, root) if root and not elsewhere else None
    storage, root = reached if reached is not None else (None, root)
    return Subject(job, runner, key, about, facts, root, storage)


def _read(job: Job, place: _Place) -> ProjectFacts | None:
    return facts_of(replace(job, env={**job.env, "SL_ROOT": place.near})) if place.near else None


class _Place(NamedTuple):
    """Where the project of a job is.

    Attributes:
        root: its path for the command; empty if unknown.
        near: its path for this worker; empty if the worker cannot read it.
        is_local: whether ``root`` is a folder of a machine, rather than in a bucket.
    """

    root: str
    near: str
    is_local: bool


def _place(job: Job) -> _Place:
    told = job.env.get("SL_ROOT", "")
    here = os.environ.get("SL_ROOT", "")
    folders = {one: local_folder(one) for one in (told, here)}
    root = told if told or job.endpoint else here
    near = next((folder for folder in folders.values() if folder is not None), None)
    is_local = folders[root] is not None
    return _Place(near if near is not None and is_local else root, near or "", is_local)


def _moved(path: str, source: str, target: str) -> str:
    source, target = os.path.abspath(source), target.rstrip("/")
    return f"{target}{path[len(source) :]}" if target and path.startswith(f"{source}/") else ""


def _usual(job: Job, root: str, domain: str) -> ProjectFacts:
    """Return where the files of a domain are by default."""
    if not root:
        return ProjectFacts()
    environ = {**os.environ, **job.env}
    datasets = posixpath.join(root, environ.get("SL_DATASETS") or "datasets")

    def area(name: str) -> str:
        return posixpath.join(datasets, environ.get(f"SL_AREA_{name.upper()}") or name, domain)

    return ProjectFacts(stage=area("stage"), ingesting=area("ingesting"), archive=area("archive"))

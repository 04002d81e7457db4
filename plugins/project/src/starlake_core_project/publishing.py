"""Publishes the pipelines of a project where it is called: as DAGs of Airflow, as ``defs`` of Dagster, or for the command line."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from starlake_core import Orchestration, PipelineFault, StarlakeError, StarlakePipeline
from starlake_core.dsl.caller import calling_module
from starlake_core.dsl.faults import publish_faults
from starlake_core.dsl.orchestration import current_overrides
from starlake_core.plugins import installed

from .cache import Cache
from .catalogue import Catalogue, read_catalogue
from .details import with_facts
from .drawing import Drawing
from .errors import ProjectError
from .grouping import Draft, Drafts, group
from .lineage import Lineage, read_lineage
from .project import AT_RUN_TIME, Project
from .selection import select_items
from .unread import unread_files

__all__ = ["Plan", "open_project", "orchestrations", "plan", "publish"]

_log = logging.getLogger(__name__)

_MOMENT = datetime(2000, 1, 1, tzinfo=timezone.utc)
"""The date of a project that is only read: what is built must not depend on a clock."""


@dataclass(frozen=True)
class Plan:
    """The pipelines of a project, before an orchestrator is known.

    Attributes:
        project: the project.
        catalogue: its tables and transforms.
        lineage: what its transforms read.
        drafts: its pipelines.
        warnings: what is likely to be a mistake.
    """

    project: Project
    catalogue: Catalogue
    lineage: Lineage
    drafts: Drafts
    warnings: tuple[str, ...] = ()

    def faults_of(self, draft: Draft) -> tuple[str, ...]:
        """Return why a pipeline cannot be built, a message for each broken file."""
        found = {fault.path: fault.message for fault in draft.faults}
        for item in draft.items:
            fault = self.lineage.faults.get(item.full_name)
            if fault is not None:
                found.setdefault(fault.path, fault.message)
        return tuple(found.values())

    @property
    def faults(self) -> tuple[PipelineFault, ...]:
        """The pipelines that cannot be built, and the broken files that belong to none."""
        broken = [
            PipelineFault(draft.id, "\n".join(messages), _work(draft))
            for draft in self.drafts.drafts
            if (messages := self.faults_of(draft))
        ]
        rest = [PipelineFault(fault.path.name, fault.message) for fault in self.drafts.faults]
        return (*broken, *rest)


def open_project(root: str | os.PathLike[str], env: str | None = None) -> Project:
    """Open a project whose pipelines are built.

    Args:
        root: the folder of the project.
        env: ``SL_ENV``; by default as the project and the process say.

    Raises:
        ProjectError: the folder is not a project, or its application file is invalid.
    """
    return Project.load(Path(root), env=env, variables=AT_RUN_TIME, scheduled_date=_MOMENT, warn=False)


def plan(
    root: str | os.PathLike[str],
    *,
    by: str = "dag",
    names: Mapping[str, str] | None = None,
    cron: str | None = None,
    lineage: str = "sql",
    env: str | None = None,
    select: Iterable[str] | str = (),
    exclude: Iterable[str] | str = (),
    state: str | os.PathLike[str] | None = None,
    cache: bool = True,
    columns: bool = False,
) -> Plan:
    """Read a project and group it into pipelines, without building them.

    Args:
        root, by, names, cron, lineage, env, select, exclude, state, cache, columns: see :func:`publish`.

    Raises:
        ProjectError: an argument is wrong, the folder is not a project, or its application file is invalid.
    """
    project = open_project(root, env)
    catalogue, found = _content(project, lineage, env, cache, columns)
    part = catalogue
    if select or exclude:
        part = select_items(project.root, catalogue, found, select, exclude, None if state is None else Path(state))
    drafts = group(project, part, by, names, cron, catalogue)
    return Plan(project, catalogue, found, drafts, tuple(_circles(drafts, found)))


def _circles(drafts: Drafts, lineage: Lineage) -> Iterator[str]:
    """Warn about pipelines that start each other without end: each runs when another one of them has run."""
    writers = {item.full_name: draft.id for draft in drafts.drafts for item in draft.items if item.is_task}
    starts: dict[str, set[str]] = {}
    for draft in drafts.drafts:
        whole = str(draft.dag.options.get("run_dependencies_first", "")).lower() == "true"
        if draft.kind != "load" and draft.schedule.cron is None and not draft.faults and not whole:
            read = (one for item in draft.items if item.is_task for one in lineage.parents.get(item.full_name, ()))
            starts[draft.id] = {
                found for one in read if one.is_task and (found := writers.get(one.full_name)) not in (None, draft.id)
            }
    waiting = {name: sorted(others & starts.keys()) for name, others in starts.items()}
    while waiting:
        try:
            TopologicalSorter(waiting).prepare()
            return
        except CycleError as error:
            circle = list(reversed(error.args[1]))
            yield (
                f"the pipelines {' -> '.join(circle)} start each other without end, because each reads what another one writes; "
                "give one of them a schedule, or group them into one pipeline"
            )
            waiting = {
                name: [other for other in others if other not in circle]
                for name, others in waiting.items()
                if name not in circle
            }


def _content(project: Project, mode: str, env: str | None, cache: bool, columns: bool) -> tuple[Catalogue, Lineage]:
    """Return the tables, transforms and lineage of a project, from the cache if nothing changed."""
    kept = Cache(project, (mode, str(env), str(columns)), os.environ) if cache else None
    found = kept.read() if kept is not None else None
    if found is not None:
        for warning in found[1].warnings:
            _log.warning("%s", warning)
        return found
    catalogue = read_catalogue(project)
    catalogue, lineage = with_facts(project, catalogue, read_lineage(project, catalogue, mode), columns)
    unread = tuple(map(str, unread_files(project.metadata)))
    for warning in unread:
        _log.warning("%s", warning)
    lineage = replace(lineage, warnings=(*lineage.warnings, *unread))
    if kept is not None:
        kept.write(catalogue, lineage)
    return catalogue, lineage


def publish(
    project: str | os.PathLike[str],
    *,
    orchestrator: Any = None,
    environment: Any = None,
    options: Mapping[str, Any] | None = None,
    by: str = "dag",
    names: Mapping[str, str] | None = None,
    cron: str | None = None,
    lineage: str = "sql",
    env: str | None = None,
    select: Iterable[str] | str = (),
    exclude: Iterable[str] | str = (),
    state: str | os.PathLike[str] | None = None,
    cache: bool = True,
    columns: bool = False,
    strict: bool = False,
    filename: str | None = None,
    namespace: dict[str, Any] | None = None,
) -> list[StarlakePipeline]:
    """Build the pipelines of a project, and publish them in the module that calls this function.

    A pipeline that cannot be built is reported by the orchestrator, and the others are published.

    Args:
        project: the folder of the project.
        orchestrator: the orchestrator; by default the one that loads the file, and else that of the template of the dag.
        environment: the environment; by default that of the template of the dag, then ``SL_EXECUTION_ENVIRONMENT``, then ``duckdb`` for tables in
            DuckDB and ``shell`` for others, as far as they are installed.
        options: options for all pipelines; they override those of the dags.
        by: one pipeline for each ``dag`` and schedule, ``domain`` or ``tag``, or one for the whole ``project``.
        names: ids to use instead of the derived ones, by id or by ``file/schedule``.
        cron: the schedule of every pipeline, instead of those of the project.
        lineage: ``sql``, or ``compat`` for the rule of the command line of Starlake.
        env: ``SL_ENV``; by default as the project and the process say.
        select: words for the tables and transforms of the pipelines; see :mod:`.selection`. Everything by default.
        exclude: words for what to leave out.
        state: a file that ``graph --format json`` wrote earlier, for ``state:modified``.
        cache: keep what was read, in ``.starlake-core/cache`` of the project or the folder that ``SL_PROJECT_CACHE`` names, and use it while no file
            of the project changes.
        columns: find out, from their SQL, which columns transforms have and what these are computed from; takes longer.
        strict: raise the first error, instead of building the other pipelines.
        filename: the path of the pipeline file; that of the caller by default.
        namespace: the globals of the pipeline file; those of the caller by default.

    Returns:
        The pipelines, sorted by id.

    Raises:
        ProjectError: an argument is wrong, the folder is not a project, or its application file is invalid; with ``strict`` also for any broken file.
        NothingFoundError: a word selects nothing.
        StarlakeError: with ``strict``, a pipeline cannot be built.
    """
    module = calling_module() if filename is None or namespace is None else {}
    namespace = module if namespace is None else namespace
    filename = str(module.get("__file__", "")) if filename is None else filename
    found = plan(
        project,
        by=by,
        names=names,
        cron=cron,
        lineage=lineage,
        env=env,
        select=select,
        exclude=exclude,
        state=state,
        cache=cache,
        columns=columns,
    )
    return publish_plan(
        found, orchestrator, environment, options or {}, strict or current_overrides().strict, filename, namespace, env
    )


def publish_plan(
    found: Plan,
    orchestrator: Any,
    environment: Any,
    options: Mapping[str, Any],
    strict: bool,
    filename: str,
    namespace: dict[str, Any],
    env: str | None = None,
) -> list[StarlakePipeline]:
    """Build and publish the pipelines of a plan; see :func:`publish`."""
    faults = list(found.faults)
    if strict and faults:
        raise ProjectError("\n".join(fault.message for fault in faults))
    broken = {fault.pipeline for fault in faults}
    for warning in found.warnings:
        _log.warning("%s", warning)
    drawing = Drawing(found.project, found.lineage, env)
    made: list[StarlakePipeline] = []
    host = _host()
    for settings, drafts in orchestrations(
        found, [draft for draft in found.drafts.drafts if draft.id not in broken], environment, options
    ):
        where = orchestrator or (None if host else _installed_orchestrator(drafts[0].dag.orchestrator))
        try:
            with Orchestration(
                settings.options,
                orchestrator=where,
                environment=settings.environment,
                filename=filename,
                namespace=namespace,
            ) as orchestration:
                for draft in drafts:
                    _draw(drawing, orchestration, draft, strict, faults)
        except StarlakeError as error:
            if strict:
                raise
            faults += [PipelineFault(draft.id, str(error), _work(draft)) for draft in drafts]
            continue
        made += orchestration.pipelines
    faults = list(dict.fromkeys(faults))
    publish_faults(faults, orchestrator=orchestrator, filename=filename, namespace=namespace)
    if found.drafts.unscheduled:
        level = logging.INFO if found.drafts.drafts else logging.WARNING
        what = "%d tables or transforms have no dagRef or tag that a pipeline is made for, so no pipeline runs them"
        _log.log(level, what, len(found.drafts.unscheduled))
    return sorted(made, key=lambda pipeline: pipeline.id)


def _draw(
    drawing: Drawing, orchestration: Orchestration, draft: Draft, strict: bool, faults: list[PipelineFault]
) -> None:
    try:
        drawing.draw(orchestration, draft)
    except StarlakeError as error:
        if strict:
            raise
        faults.append(PipelineFault(draft.id, str(error), _work(draft)))


def _work(draft: Draft) -> tuple[str, ...]:
    return tuple(item.full_name for item in draft.items)


@dataclass(frozen=True)
class _Settings:
    environment: Any
    options: Mapping[str, Any]


def orchestrations(
    found: Plan, drafts: Iterable[Draft], environment: Any, options: Mapping[str, Any]
) -> Iterable[tuple[_Settings, Sequence[Draft]]]:
    """Return the drafts with the same environment and options together: they share an orchestration.

    Args:
        found: the plan.
        drafts: the pipelines.
        environment: the environment; by default that of each dag.
        options: options for all pipelines.
    """
    zone = found.project.application.timezone
    base: dict[str, Any] = {"timezone": zone} if zone else {}
    groups: dict[str, tuple[_Settings, list[Draft]]] = {}
    for draft in drafts:
        own = {
            **({} if "SL_TIMEZONE" in draft.dag.options else base),
            **draft.dag.options,
            **({"dataset_triggering_strategy": draft.condition} if draft.condition else {}),
            **options,
        }
        where = environment or _environment(draft)
        key = repr((where, sorted(own.items(), key=lambda pair: pair[0])))
        groups.setdefault(key, (_Settings(where, own), []))[1].append(draft)
    return list(groups.values())


def _host() -> str:
    """Return the orchestrator whose host runs this process; empty if there is none."""
    names = [plugin.name for plugin in installed("orchestrator")]
    return next((name for name in names if name != "local" and name in sys.modules), "")


def _installed_orchestrator(name: str) -> str | None:
    return name if name in {plugin.name for plugin in installed("orchestrator")} else None


def _environment(draft: Draft) -> str | None:
    names = {plugin.name for plugin in installed("environment")}
    word = draft.dag.environment
    if word and (word in names or word in ("shell", "cloud_run", "dataproc", "fargate")):
        return word
    if word and draft.dag.orchestrator and draft.dag.path is not None:
        _log.warning(
            "%s: the template names the environment %r, which there is not, so another one is used",
            draft.dag.path,
            word,
        )
    if os.environ.get("SL_EXECUTION_ENVIRONMENT") or len(names) < 2:
        return None
    if "duckdb" in names and all(item.facts.dialect == "duckdb" for item in draft.items):
        return "duckdb"
    return "shell" if "shell" in names else None

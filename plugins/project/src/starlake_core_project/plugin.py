"""The hooks of the reader of projects: the facts about a command, the check of a project, and the demo."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlake_core import Demo, DemoTables, Job, Pipeline, ProjectCheck, ProjectFacts, hookimpl
from starlake_core.contract import parse_arguments

if TYPE_CHECKING:
    from .model import Table
    from .project import Project
    from .schema import WriteStrategy

_FILE_DATABASE = re.compile(r"jdbc:(duckdb|sqlite):(?!md:|:memory:)(?P<path>[^?]+)", re.IGNORECASE)


@hookimpl
def sl_read_facts(job: Job, environ: Mapping[str, str]) -> ProjectFacts | None:
    root = environ.get("SL_ROOT", "").removeprefix("file://")
    name = job.arguments[0] if job.arguments else ""
    if not root or "://" in root or name not in ("load", "transform"):
        return None
    if not (Path(root) / (environ.get("SL_METADATA") or "metadata")).is_dir():
        return None
    from .project import Project

    command = parse_arguments(job.arguments)
    # The command sees the environment variables of Airflow's and Dagster's processes as well; --options override them.
    # The command itself reports undefined variables.
    project = Project.load(
        Path(root), variables=command.values.get("options") or {}, environ=environ, strict=False, warn=False
    )
    if command.name == "load":
        return _of_load(project, command.values, environ)
    task = project.task(str(command.values.get("name", "")))
    if task is None:
        return None
    application = project.application
    connection = (
        task.sink_connection_ref
        or task.connection_ref
        or application.transform_connection_ref
        or application.connection_ref
    )
    return ProjectFacts(
        strategy=_strategy(task.write_strategy),
        fails_late=task.has_expectations or bool(task.postsql) or project.has_postsql(task),
        single_writer=_single_writer(project, connection, environ),
    )


@hookimpl
def sl_check_project(folder: Path, strict: bool) -> ProjectCheck:
    from .checking import check_project

    return check_project(folder, strict)


@hookimpl
def sl_check_pipelines(pipelines: Sequence[Pipeline]) -> Sequence[str]:
    from .unknown_tables import find_unknown

    return find_unknown(pipelines)


@hookimpl
def sl_build_project(folder: Path, columns: bool) -> bool:
    from .publishing import publish

    # The file says where the project is; the orchestrator keeps its records there.
    file = folder / "metadata" / "application.sl.yml"
    publish(folder, orchestrator=_local(), columns=columns, filename=str(file), namespace={})
    return True


@hookimpl
def sl_select_tables(folder: Path, select: Sequence[str], exclude: Sequence[str], state: Path | None) -> Sequence[str]:
    from .publishing import plan
    from .selection import select_items, selected_names

    found = plan(folder)
    return selected_names(select_items(folder, found.catalogue, found.lineage, select, exclude, state))


@hookimpl
def sl_export_project(
    folder: Path,
    orchestrator: str,
    environment: str | None,
    options: Mapping[str, str],
    output: Path,
    by: str,
    name: str,
) -> Mapping[Path, str | None]:
    from .export import earlier_files, export_files
    from .publishing import plan

    made = export_files(plan(folder, by=by), orchestrator, environment, options, name)
    earlier = earlier_files(output, made, name)
    return {**dict.fromkeys(earlier), **{output / file: text for file, text in made.items()}}


@hookimpl
def sl_write_project(folder: Path, files: Sequence[Path]) -> Sequence[Path]:
    from .starting import write_project

    return write_project(folder, files)


@hookimpl
def sl_write_demo(folder: Path, again: bool) -> Demo:
    from .demo import write_demo

    return write_demo(folder, again)


@hookimpl
def sl_show_demo(folder: Path) -> DemoTables | None:
    from .demo import show_demo

    return show_demo(folder)


def _local() -> str | None:
    """Return the orchestrator of the command line; None to choose as usual."""
    from starlake_core.plugins import installed

    return "local" if any(plugin.name == "local" for plugin in installed("orchestrator")) else None


def _of_load(project: Project, values: Mapping[str, Any], environ: Mapping[str, str]) -> ProjectFacts | None:
    domains, tables = list(values.get("domains") or ()), list(values.get("tables") or ())
    from .java_patterns import java_pattern

    table = _table(project, domains[0], tables[0]) if len(domains) == 1 and len(tables) == 1 else None
    if table is None:
        return None
    application = project.application
    areas = application.areas
    connection = table.metadata.connection_ref or application.load_connection_ref or application.connection_ref
    return ProjectFacts(
        strategy=_strategy(table.metadata.write_strategy),
        nullable_key=_nullable_key(table),
        fails_late=table.has_expectations,
        stage=str(application.datasets / areas.stage / table.domain),
        ingesting=str(application.datasets / areas.ingesting / table.domain),
        archive=str(application.datasets / areas.archive / table.domain),
        pattern=table.pattern,
        matches=lambda name: java_pattern(table.pattern).matches(name) is not None,
        single_writer=_single_writer(project, connection, environ),
    )


def _table(project: Project, domain: str, name: str) -> Table | None:
    found = project.domain(domain)
    return project.table(found, name) if found is not None else None


def _strategy(strategy: WriteStrategy) -> str:
    """Return the write strategy that Starlake uses, by default APPEND; empty if it depends on the names of files."""
    return "" if strategy.types else strategy.type or "APPEND"


def _nullable_key(table: Table) -> bool:
    required = {attribute.name.lower() for attribute in table.attributes if attribute.required}
    return any(name.lower() not in required for name in table.metadata.write_strategy.key)


def _single_writer(project: Project, name: str | None, environ: Mapping[str, str]) -> str:
    root = project.root
    connection = project.connection(name) if name else None
    if connection is None:
        return ""
    found = _FILE_DATABASE.fullmatch(connection.options.get("url", ""))
    if found is None:
        return ""
    kind = found[1].lower()
    path = (environ.get("SL_DUCKDB_PATH") if kind == "duckdb" else None) or found["path"]
    return "" if "://" in path else f"{kind}:{root / path}"

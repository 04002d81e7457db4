"""Checks a whole project: reads every file on its own and reports all problems at once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from starlake_core import ProjectCheck
from starlake_core.errors import did_you_mean

from .documents import document_of
from .effects import Use, given_keys, setting_effect
from .errors import Problem, ProjectError
from .keys import Keys
from .model import Table, Task
from .project import AT_RUN_TIME, Project
from .schema import Attribute, DagFile, DomainFile, EnvFile, File, JobFile, RefsFile, TableFile, TaskFile, TypesFile
from .schema_application import ApplicationFile
from .settings import SETTINGS
from .tables import SUFFIX
from .unread import unread_files
from .yaml_text import read_text
from .yaml_values import parse_yaml

__all__ = ["check_project"]

_Result = TypeVar("_Result")


def check_project(folder: Path, strict: bool, environ: Mapping[str, str] | None = None) -> ProjectCheck:
    """Read every file of a project, and return all errors and warnings.

    Args:
        folder: the folder that contains ``metadata``.
        strict: treat what Starlake tolerates as errors.
        environ: the environment variables; by default ``os.environ``.
    """
    environ = {**(os.environ if environ is None else environ), "SL_ROOT": str(folder)}
    if strict:
        environ["SL_STRICT_VARIABLES"] = "true"
    check = _Check(folder, environ)
    with _heard() as warnings:
        check.run()
    return ProjectCheck(len(check.files), _once(check.errors), _once([*warnings, *check.warnings]))


def _once(lines: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lines))


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Collect the warnings of this package, and keep them from other handlers."""
    handler, logger = _Heard(), logging.getLogger(__package__)
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield handler.lines
    finally:
        logger.propagate = before
        logger.removeHandler(handler)


def _files(metadata: Path) -> dict[Path, type[File]]:
    """Return the files of a project, each with its model."""
    found: dict[Path, type[File]] = {
        metadata / "application.sl.yml": ApplicationFile,
        metadata / "refs.sl.yml": RefsFile,
    }
    found |= dict.fromkeys((metadata / "env.sl.yml", *sorted(metadata.glob("env.*.sl.yml"))), EnvFile)
    found |= dict.fromkeys(sorted((metadata / "types").glob(f"*{SUFFIX}")), TypesFile)
    found |= dict.fromkeys(sorted((metadata / "dags").glob(f"*{SUFFIX}")), DagFile)
    for part, config, file in (("load", DomainFile, TableFile), ("transform", JobFile, TaskFile)):
        for path in sorted((metadata / part).glob(f"*/*{SUFFIX}")):
            if path.name == f"_config{SUFFIX}":
                found[path] = config
            elif path.name[0] not in "._":
                found[path] = file
    return {path: file for path, file in found.items() if path.is_file()}


def _raw(path: Path, file: type[File]) -> File:
    """Read a file as written, without filling in variables."""
    text = read_text(path)
    return document_of(parse_yaml(text, path), path, file, lambda: text)


class _Check:
    """One check of a project.

    Attributes:
        files: the files of the project.
        errors, warnings: the messages so far.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = environ
        self.metadata = folder / (environ.get("SL_METADATA") or "metadata")
        self.files = _files(self.metadata)
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def attempt(self, work: Callable[..., _Result], *arguments: object) -> _Result | None:
        try:
            return work(*arguments)
        except ProjectError as error:
            self.errors += map(str, error.problems or [error])
            return None

    def run(self) -> None:
        self.misnamed()
        project = self.attempt(partial(Project.load, self.folder, variables=AT_RUN_TIME, environ=self.environ))
        if project is None:
            self.raw_files()
            return
        for path, file in self.files.items():
            if file is EnvFile:
                self.attempt(_raw, path, file)
            else:
                self.attempt(project.document, path, file)
        self.keys(project, self.metadata / "application.sl.yml", ("application",), project.application.keys)
        for name, value in project.application.variables.items():
            effect = setting_effect(name)
            if effect.use is Use.REFUSED and value.lower() not in effect.unless:
                self.warnings.append(
                    f"{' or '.join(SETTINGS[name])}={value}: the DuckDB engine refuses the setting {name}: {effect.note}"
                )
        types = self.attempt(getattr, project, "types")
        for table in self.tables(project):
            self.table(project, table, types)
        for task in self.tasks(project):
            self.task(project, task)

    def misnamed(self) -> None:
        """Warn about files that look like project files but are not read."""
        self.warnings += map(str, unread_files(self.metadata))

    def raw_files(self) -> None:
        """Check the files that use no variables. The variables are not known, so other files cannot be checked."""
        for path, file in self.files.items():
            text = self.attempt(read_text, path)
            if text is not None and not any(mark in text for mark in ("{{", "{%", "${")):
                self.attempt(_raw, path, file)

    def tables(self, project: Project) -> Iterator[Table]:
        for name in self.attempt(project.domain_names) or ():
            domain = self.attempt(project.domain, name)
            if domain is None:
                continue
            self.keys(project, domain.path / f"_config{SUFFIX}", ("load",), domain.keys)
            final: dict[str, Path] = {}
            for table_name in domain.table_names:
                table = self.attempt(project.table, domain, table_name)
                if table is None:
                    continue
                other = final.setdefault(table.final_name.lower(), table.path)
                if other != table.path:
                    message = f"defines the table {table.final_name}, and so does {other.name}; rename one of them"
                    self.errors.append(str(Problem(table.path, message)))
                yield table

    def tasks(self, project: Project) -> Iterator[Task]:
        for directory, name in self.attempt(project.task_places) or ():
            task = self.attempt(project.task_at, directory, name)
            if task is not None:
                yield task

    def table(self, project: Project, table: Table, types: Mapping[str, object] | None) -> None:
        top: tuple[str | int, ...] = ("table",)
        inline = table.path.name == f"_config{SUFFIX}"
        if not inline:
            self.keys(project, table.path, top, table.keys)
        self.connection(project, table.path, (*top, "metadata", "sink", "connectionRef"), table.metadata.connection_ref)
        if types is not None:
            self.types(project, table.path, (*top, "attributes"), table.attributes, types)

    def types(
        self,
        project: Project,
        path: Path,
        way: tuple[str | int, ...],
        attributes: tuple[Attribute, ...],
        types: Mapping[str, object],
    ) -> None:
        for index, attribute in enumerate(attributes):
            here = (*way, index)
            if attribute.attributes:
                self.types(project, path, (*here, "attributes"), attribute.attributes, types)
            elif attribute.type not in types and attribute.type.lower() != "struct":
                hint = did_you_mean(attribute.type, types)
                message = f"the type {attribute.type!r} of the attribute {attribute.name!r} is not defined in metadata/types.{hint}"
                self.errors.append(f"{project.place(path, (*here, 'type'))}: {message.removesuffix('.')}")

    def task(self, project: Project, task: Task) -> None:
        if task.path.name.endswith(SUFFIX) and task.path.name != f"_config{SUFFIX}":
            self.keys(project, task.path, ("task",), task.keys)
        if task.sql_path is None and task.inline_sql is None and task.python_path is None:
            message = f"the transform {task.full_name} has no query; write it to {task.name}.sql in the same folder"
            self.errors.append(str(Problem(task.path, message)))
        if task.sql_path is not None:
            self.attempt(project.written_query, task)
        self.connection(project, task.path, ("task", "sink", "connectionRef"), task.sink_connection_ref)
        self.connection(project, task.path, ("task", "connectionRef"), task.connection_ref)

    def connection(self, project: Project, path: Path, way: tuple[str | int, ...], name: str | None) -> None:
        known = project.application.connections
        if name and name not in known:
            hint = did_you_mean(name, known)
            message = f"the connection {name!r} is not defined in application.sl.yml.{hint}"
            self.errors.append(f"{project.place(path, way)}: {message.removesuffix('.')}")

    def keys(self, project: Project, path: Path, top: tuple[str | int, ...], keys: Keys) -> None:
        """Warn about the keys of a file that the DuckDB engine refuses or ignores."""
        for given in given_keys(keys, top):
            if given.effect.use is Use.REFUSED:
                what = f"is refused by the DuckDB engine: {given.effect.note}"
            elif given.effect.warn:
                what = f"has no effect in the DuckDB engine: {given.effect.note}"
            else:
                continue
            name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in given.way).lstrip(".")
            self.warnings.append(f"{project.place(path, given.way)}: {name} {what}")

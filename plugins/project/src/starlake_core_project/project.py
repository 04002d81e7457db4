"""The project, which reads each file when it is first needed."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from .application import read_application
from .errors import ProjectError
from .model import Application, Connection, Domain, Table, Task
from .reader import Reader
from .schema import DataType, File
from .sql_text import Query, has_postsql, sections
from .table_index import tables_named
from .table_names import Reference, bare_names, read_references, replaced_names
from .tables import check_layout, domain_names, read_domain, read_table
from .tasks import read_job, read_task, task_files
from .text import read_text, render, render_sql
from .types import read_types
from .undefined import APPLICATION, BY_HAND, IN_A_PIPELINE, Reports
from .variables import Variables, active_variables, date_variables, with_interval

__all__ = ["AT_RUN_TIME", "Project"]

_File = TypeVar("_File", bound=File)
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_AREAS = ("incoming", "stage", "unresolved", "archive", "ingesting", "replay")


AT_RUN_TIME: Mapping[str, str] = {
    "sl_data_interval_start": "'${sl_data_interval_start}'",
    "sl_data_interval_end": "'${sl_data_interval_end}'",
}
"""The values of variables that are known only at run time."""


def _flag(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "")
    if value.lower() not in ("", *_BOOLEANS):
        raise ProjectError(f"{name} is {value!r}; it takes one of {', '.join(_BOOLEANS)}")
    return _BOOLEANS.get(value.lower(), False)


@dataclass(frozen=True, eq=False)
class Project:
    """A Starlake project. Build it with :meth:`load`.

    Attributes:
        root: the folder of the project, ``SL_ROOT``.
        application: ``metadata/application.sl.yml``.
        variables: the variables that Jinja expressions in YAML and SQL may use.
    """

    root: Path
    application: Application
    variables: Mapping[str, str] = field(repr=False)
    _reader: Reader = field(repr=False)

    @classmethod
    def load(
        cls,
        root: Path,
        *,
        env: str | None = None,
        variables: Mapping[str, str] | None = None,
        scheduled_date: datetime | None = None,
        environ: Mapping[str, str] | None = None,
        strict: bool | None = None,
        warn: bool = True,
    ) -> Project:
        """Open a project. Only reads the variables and the application file; other files are read when they are needed.

        Args:
            root: the folder that holds ``metadata``.
            env: which ``env.<env>.sl.yml`` to use. By default ``SL_ENV`` of the process, then ``SL_ENV`` of ``env.sl.yml``, then ``env`` of the
                application file.
            variables: the values of ``--options``; they override every file.
            scheduled_date: the date of ``sl_date`` and the other date variables, in its own time zone; by default now, in UTC.
            environ: the environment variables; by default ``os.environ``.
            strict: treat an undefined variable as an error; by default as ``SL_STRICT_VARIABLES`` says.
            warn: warn about undefined variables.

        Raises:
            ProjectError: the folder is not a Starlake project, or one of these files is invalid.
        """
        environ = os.environ if environ is None else environ
        root = Path(os.path.abspath(root))
        metadata = root / (environ.get("SL_METADATA") or "metadata")
        if not metadata.is_dir():
            raise ProjectError(
                f"{root} is not a Starlake project: {metadata} does not exist; "
                "name the folder that contains metadata/, or set SL_ROOT to it"
            )
        base = {
            **environ,
            "SL_ROOT": str(root),
            "SL_METADATA": str(metadata),
            "SL_DATASETS": str(root / (environ.get("SL_DATASETS") or "datasets")),
            **date_variables(scheduled_date or datetime.now(timezone.utc)),
        }
        if strict is None:
            strict = _flag(environ, "SL_STRICT_VARIABLES")
        hint = IN_A_PIPELINE if environ.get("SL_RUN_KEY") else BY_HAND
        reports = Reports(strict, hint, silent=not warn)
        active = active_variables(
            metadata, base, environ.get("SL_ENV") if env is None else env, with_interval(variables or {}), reports
        )
        check_layout(metadata)
        application = read_application(root, metadata, environ, Reader(active))
        # Files that are read later can use what the application file decides.
        areas = {f"SL_AREA_{area.upper()}": str(getattr(application.areas, area)) for area in _AREAS}
        known = active.overlaid({"SL_DATASETS": str(application.datasets), **areas})
        return cls(root, application, known, Reader(known))

    @property
    def metadata(self) -> Path:
        """The folder of the project's files."""
        return self.application.metadata

    @functools.cached_property
    def types(self) -> Mapping[str, DataType]:
        """The types by name.

        Raises:
            ProjectError: a file below ``metadata/types`` is invalid.
        """
        return read_types(self.metadata, self._reader)

    def domain_names(self) -> tuple[str, ...]:
        """Return the names of the domains, sorted, without reading a file."""
        return domain_names(self.metadata)

    def domain(self, name: str) -> Domain | None:
        """Find a domain by the name of its folder; None if there is none.

        Raises:
            ProjectError: its ``_config.sl.yml`` is invalid.
        """
        return read_domain(self.application, name, self._reader)

    def table(self, domain: Domain, name: str) -> Table | None:
        """Find a table by the name of its file; None if there is none.

        Raises:
            ProjectError: its file is invalid.
        """
        return read_table(domain, name, self._reader)

    def tables(self, domain: str | Domain, names: Iterable[str] | None = None) -> tuple[Table, ...]:
        """Return the tables of a domain, sorted by name.

        Args:
            domain: the domain or the name of its folder; an unknown domain has no tables.
            names: the tables to return; unknown ones are left out. By default all. No other file is read.

        Raises:
            ProjectError: one of the files is invalid.
        """
        found = self.domain(domain) if isinstance(domain, str) else domain
        if found is None:
            return ()
        wanted = found.table_names if names is None else sorted(set(names))
        return tuple(table for name in wanted if (table := self.table(found, name)) is not None)

    def tasks(self) -> tuple[Task, ...]:
        """Return every transform, sorted by folder and file.

        Raises:
            ProjectError: one of the files is invalid.
        """
        found = (read_task(self.metadata, directory, name, self._reader) for directory, name in self.task_places())
        return tuple(task for task in found if task is not None)

    def silently(self) -> Project:
        """Return the same project for reading files that are not used: it does not report undefined variables."""
        return replace(self, variables=self._looking.variables, _reader=self._looking)

    @functools.cached_property
    def _looking(self) -> Reader:
        return Reader(self._known.silent())

    def task_places(self) -> tuple[tuple[str, str], ...]:
        """Return the folder and name of every transform, sorted. The name is that of its file or its name in ``_config.sl.yml``.

        Raises:
            ProjectError: a ``_config.sl.yml`` is invalid.
        """
        folders = sorted(path.name for path in (self.metadata / "transform").glob("*") if path.is_dir())
        inline = (
            (folder, task.name)
            for folder in folders
            for task in read_job(self.metadata, folder, self._looking).tasks or ()
            if task.name
        )
        return tuple(sorted({*task_files(self.metadata), *inline}))

    def task_at(self, directory: str, name: str) -> Task | None:
        """Find a transform by its folder and name, as :meth:`task_places` returns them.

        Raises:
            ProjectError: one of its files is invalid.
        """
        return read_task(self.metadata, directory, name, self._reader)

    def task(self, full_name: str) -> Task | None:
        """Find a transform by ``domain.name``; None if there is none. Upper and lower case only matter if two names differ in nothing else.

        Raises:
            ProjectError: one of the files that must be read is invalid.
        """
        directory, dot, name = full_name.partition(".")
        if not dot:
            return None
        task = read_task(self.metadata, directory, name, self._reader)
        if task is not None and task.full_name == full_name:
            return task
        # Other transforms are not used, so their undefined variables are not reported.
        similar: list[tuple[str, str]] = []
        for folder, file in self.task_places():
            other = read_task(self.metadata, folder, file, self._looking)
            if other is not None and other.full_name == full_name:
                return read_task(self.metadata, folder, file, self._reader)
            if other is not None and other.full_name.lower() == full_name.lower():
                similar.append((folder, file))
        return read_task(self.metadata, *similar[0], self._reader) if len(similar) == 1 else None

    def connection(self, name: str) -> Connection | None:
        """Return a connection that is about to be used, or None. This call reports its undefined variables.

        Raises:
            ProjectError: it uses an undefined variable, and the project is strict.
        """
        self._known.reports.used(self.metadata / APPLICATION, "connections", name)
        return self.application.connections.get(name)

    def use_statements(self, source: Path) -> None:
        """Declare that ``presql`` and ``postsql`` of a table or transform are about to run. This call reports their undefined variables.

        Args:
            source: the file of the table or transform.

        Raises:
            ProjectError: they use an undefined variable, and the project is strict.
        """
        for path in (source.with_name("_config.sl.yml"), source):
            for part in ("presql", "postsql"):
                self._known.reports.used(path, part)

    @functools.cached_property
    def _known(self) -> Variables:
        return Variables.of(self.variables)

    def document(self, path: Path, file: type[_File]) -> _File:
        """Read a file of the project, with its variables filled in.

        Args:
            path: the path of the file.
            file: its model, one of :mod:`.schema`.

        Raises:
            ProjectError: the file is invalid; lists every problem in it.
        """
        return self._reader.read(path, file)

    def place(self, path: Path, way: Sequence[str | int]) -> str:
        """Return the position of a key as ``file:line``. Reads the file again.

        Args:
            path: the path of the file.
            way: the path of keys from the top of the file.
        """
        line = self._reader.line(path, tuple(way))
        return f"{path}:{line}" if line else str(path)

    def render(self, text: str, source: Path, variables: Mapping[str, str] | None = None) -> str:
        """Fill in the variables and Jinja expressions of a string.

        Args:
            text: the string.
            source: the file it is from, for messages.
            variables: more variables; they override those of the project.

        Raises:
            ProjectError: the template is invalid, or a variable is undefined and the project is strict.
        """
        return render(text, self._known.overlaid(variables) if variables else self._known, source)

    def query(self, task: Task) -> Query:
        """Return the rendered query of a transform and the statements of its file, with complete table names.

        Raises:
            ProjectError: the transform has no query, or it cannot be rendered.
        """
        query = self.written_query(task)
        return query if task.parse_sql is False else replace(query, sql=self._whole_names(query))

    def written_query(self, task: Task) -> Query:
        """Return the rendered query of a transform and the statements of its file, with table names as written.

        Raises:
            ProjectError: the transform has no query, or it cannot be rendered.
        """
        if task.sql_path is not None:
            return sections(render_sql(read_text(task.sql_path), self._known, task.sql_path), task.sql_path)
        if task.inline_sql is not None:
            return Query(task.inline_sql, task.path)
        raise ProjectError(
            f"{task.path}: the transform {task.full_name} has no query; write it to {task.name}.sql in the same folder"
        )

    def has_postsql(self, task: Task) -> bool:
        """Return whether the query file of a transform has statements to run after the query. Does not render the file.

        Raises:
            ProjectError: the file cannot be read.
        """
        return task.sql_path is not None and has_postsql(read_text(task.sql_path))

    def sql(self, task: Task) -> str:
        """Return the query of a transform, without the statements that :meth:`query` also returns.

        Raises:
            ProjectError: the transform has no query, or it cannot be rendered.
        """
        return self.query(task).sql

    def references(self) -> tuple[Reference, ...]:
        """Return the entries of ``refs.sl.yml``, in order.

        Raises:
            ProjectError: the file is invalid.
        """
        path = self.metadata / "refs.sl.yml"
        return read_references(path, self._reader) if path.is_file() else ()

    def _whole_names(self, query: Query) -> str:
        references = self.references()
        names = bare_names(query.sql)
        known = tables_named(self.application, names, self._looking) if names else {}
        if not references and not any(known.values()):
            return query.sql
        return replaced_names(query.sql, known, references, query.path)

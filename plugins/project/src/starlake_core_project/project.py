"""The project: reads each file when it is first asked for."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from .application import read_application
from .errors import ProjectError
from .model import Application, Domain, Table, Task
from .reader import Reader
from .schema import DataType, File
from .tables import check_layout, domain_names, read_domain, read_table
from .tasks import read_job, read_task, task_files
from .text import read_text, render
from .types import read_types
from .variables import active_variables, date_variables

__all__ = ["Project"]

_Named = TypeVar("_Named", Domain, Table)
_File = TypeVar("_File", bound=File)


@dataclass(frozen=True, eq=False)
class Project:
    """A Starlake project. Build it with :meth:`load`.

    Attributes:
        root: the folder, ``SL_ROOT``.
        application: ``metadata/application.sl.yml``.
        variables: what Jinja expressions in YAML and SQL may use.
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
    ) -> Project:
        """Open a project. Reads the variables and the application file, and no other file yet.

        Args:
            root: the folder that holds ``metadata``.
            env: which ``env.<env>.sl.yml`` to use; without it, what ``SL_ENV`` says.
            variables: the values of ``--options``, stronger than every file.
            scheduled_date: the moment of ``sl_date`` and its siblings, in its own time zone; without it, now (UTC).
            environ: the process environment; without it, ``os.environ``.

        Raises:
            ProjectError: the folder is no project, or one of these files is broken.
        """
        environ = os.environ if environ is None else environ
        root = Path(os.path.abspath(root))
        metadata = root / (environ.get("SL_METADATA") or "metadata")
        if not metadata.is_dir():
            raise ProjectError(
                f"{root} is not a Starlake project: {metadata} does not exist; "
                "SL_ROOT has to name the directory that holds metadata/"
            )
        base = {
            **environ,
            "SL_ROOT": str(root),
            "SL_METADATA": str(metadata),
            "SL_DATASETS": str(root / (environ.get("SL_DATASETS") or "datasets")),
            **date_variables(scheduled_date or datetime.now(timezone.utc)),
        }
        active = active_variables(metadata, base, environ.get("SL_ENV") if env is None else env, variables or {})
        check_layout(metadata)
        reader = Reader(active)
        return cls(root, read_application(root, metadata, environ, reader), active, reader)

    @property
    def metadata(self) -> Path:
        """The folder of the project's files."""
        return self.application.metadata

    @functools.cached_property
    def types(self) -> Mapping[str, DataType]:
        """The types by name.

        Raises:
            ProjectError: a file below ``metadata/types`` is broken.
        """
        return read_types(self.metadata, self._reader)

    def domain_names(self) -> tuple[str, ...]:
        """The names of the domains, sorted; no file is read."""
        return domain_names(self.metadata)

    def domain(self, name: str) -> Domain | None:
        """A domain by the name of its folder, else by its logical or final name; None where there is none.

        Raises:
            ProjectError: its ``_config.sl.yml`` is broken.
        """
        found = read_domain(self.application, name, self._reader)
        return found if found is not None else self._named(self._readable_domains(), name)

    def table(self, domain: Domain, name: str) -> Table | None:
        """A table by the name of its file, else by its logical or final name; None where there is none.

        Raises:
            ProjectError: its file is broken.
        """
        found = read_table(domain, name, self._reader)
        return found if found is not None else self._named(self._readable_tables(domain), name)

    @staticmethod
    def _named(known: Iterable[_Named], name: str) -> _Named | None:
        return next((one for one in known if name in (one.name, one.final_name)), None)

    def _readable_domains(self) -> Iterator[Domain]:
        for name in self.domain_names():
            with suppress(ProjectError):  # a broken neighbour is reported when it is asked for
                if (domain := read_domain(self.application, name, self._reader)) is not None:
                    yield domain

    def _readable_tables(self, domain: Domain) -> Iterator[Table]:
        for name in domain.table_names:
            with suppress(ProjectError):
                if (table := read_table(domain, name, self._reader)) is not None:
                    yield table

    def tables(self, domain: str | Domain, names: Iterable[str] | None = None) -> tuple[Table, ...]:
        """The tables of a domain, sorted by name.

        Args:
            domain: the domain or its name; an unknown one has no tables.
            names: only these, unknown ones are left out; without it, all. Another file is read only for a name that is not a file's.

        Raises:
            ProjectError: one of the files is broken.
        """
        found = self.domain(domain) if isinstance(domain, str) else domain
        if found is None:
            return ()
        wanted = found.table_names if names is None else sorted(set(names))
        tables = (self.table(found, name) for name in wanted)
        return tuple({table.name: table for table in tables if table is not None}.values())

    def tasks(self) -> tuple[Task, ...]:
        """Every transform, sorted by folder and file.

        Raises:
            ProjectError: one of the files is broken.
        """
        found = (read_task(self.metadata, directory, name, self._reader) for directory, name in self.task_places())
        return tuple(task for task in found if task is not None)

    def task_places(self) -> tuple[tuple[str, str], ...]:
        """Folder and name of every transform, sorted: of its file, or as ``_config.sl.yml`` calls it.

        Raises:
            ProjectError: a ``_config.sl.yml`` is broken.
        """
        folders = sorted(path.name for path in (self.metadata / "transform").glob("*") if path.is_dir())
        inline = (
            (folder, task.name)
            for folder in folders
            for task in read_job(self.metadata, folder, self._reader).tasks or ()
            if task.name
        )
        return tuple(sorted({*task_files(self.metadata), *inline}))

    def task_at(self, directory: str, name: str) -> Task | None:
        """A transform by its place, as :meth:`task_places` gives it.

        Raises:
            ProjectError: one of its files is broken.
        """
        return read_task(self.metadata, directory, name, self._reader)

    def task(self, full_name: str) -> Task | None:
        """A transform by ``domain.name``, or None.

        Raises:
            ProjectError: one of the files that had to be read is broken.
        """
        directory, dot, name = full_name.partition(".")
        if not dot:
            return None
        task = read_task(self.metadata, directory, name, self._reader)
        if task is not None and task.full_name == full_name:
            return task
        return next((other for other in self.tasks() if other.full_name == full_name), None)

    def document(self, path: Path, file: type[_File]) -> _File:
        """A file of the project as it is written, its variables filled.

        Args:
            path: of the file.
            file: its model, one of :mod:`.schema`.

        Raises:
            ProjectError: with everything that is wrong in the file.
        """
        return self._reader.read(path, file)

    def place(self, path: Path, way: Sequence[str | int]) -> str:
        """Where a key stands, ``file:line``; the file is read again for it.

        Args:
            path: of the file.
            way: to the key, from the top of the file.
        """
        line = self._reader.line(path, tuple(way))
        return f"{path}:{line}" if line else str(path)

    def render(self, text: str, source: Path, variables: Mapping[str, str] | None = None) -> str:
        """Fill the Jinja expressions of a text.

        Args:
            text: the text.
            source: the file it is from, for messages.
            variables: more variables, stronger than the project's.

        Raises:
            ProjectError: a variable is missing, or the template is broken.
        """
        return render(text, {**self.variables, **(variables or {})}, source)

    def sql(self, task: Task) -> str:
        """The query of a transform, rendered.

        Raises:
            ProjectError: it has none, or it cannot be rendered.
        """
        if task.sql_path is not None:
            return self.render(read_text(task.sql_path), task.sql_path)
        if task.inline_sql is not None:
            return task.inline_sql
        raise ProjectError(
            f"{task.path}: transform {task.full_name} has no query; put one into {task.name}.sql next to it"
        )

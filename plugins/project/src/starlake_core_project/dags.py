"""Reads ``metadata/dags``: for each dagRef the pattern of its file name, its options, and the orchestrator and environment of its template."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlake_core.errors import did_you_mean

from .documents import document_of
from .errors import Problem, ProjectError
from .keys import text_map
from .project import Project
from .schema import DagFile, DagKeys
from .tables import SUFFIX, is_plain_name
from .text import read_text
from .yaml_values import parse_yaml

__all__ = ["Dag", "DagSource", "Dags"]

_OPEN, _CLOSE = "\ue000", "\ue001"
_LEFT = re.compile(f"{_OPEN}(\\w+){_CLOSE}")
_VARIABLES = (
    "domain", "finalDomain", "renamedDomain", "table", "finalTable", "renamedTable", "name", "task", "schedule",
)  # fmt: skip
_LOWER = {name.lower(): name for name in _VARIABLES}
_ALIASES = {"bash": "shell"}
_DEFAULTS = {
    "load": "{filename: '{{domain}}_load.py', template: project, options: {pre_load_strategy: imported}}",
    "transform": "{filename: '{{domain}}_transform.py', template: project}",
}
"""The dags of a project that has none: files are taken from the incoming folder."""


@dataclass(frozen=True)
class Dag:
    """What a dag says about one group of tables.

    Attributes:
        stem: the rendered name of the file, without ``.py``.
        comment: the description.
        options: the options, rendered.
        orchestrator, environment: the words of the template; empty if it has none.
        path: the file; None for the built-in dag of a project without dags.
    """

    stem: str
    comment: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    orchestrator: str = ""
    environment: str = ""
    path: Path | None = None


class DagSource:
    """A file of ``metadata/dags``. The variables of a group are only known later, so it is rendered for each group.

    Args:
        project: the project.
        path: the file; None for the built-in dag.
        text: the text of the file.

    Attributes:
        path: the file.
        variables: the variables of a group that the name of the file uses.
    """

    def __init__(self, project: Project, path: Path | None, text: str) -> None:
        self.path = path
        self._project = project
        self._text = text
        self._known: dict[tuple[tuple[str, str], ...], Dag] = {}
        marked = self._keys({name: f"{_OPEN}{name}{_CLOSE}" for name in _VARIABLES}, silent=True)
        self._check(marked)
        words = {word.lower() for word in _LEFT.findall(marked.filename or "")}
        # A statement of Jinja may look at any variable without showing it.
        shown = {name for lower, name in _LOWER.items() if lower in words}
        self.variables = frozenset(_VARIABLES if "{%" in text else shown)

    def at(self, values: Mapping[str, str]) -> Dag:
        """Return the dag for a group.

        Args:
            values: the values of its variables.

        Raises:
            ProjectError: the file is invalid.
        """
        key = tuple(sorted(values.items()))
        if key not in self._known:
            keys = self._keys(values, silent=False)
            orchestrator, environment = _template_words(keys.template or "")
            self._known[key] = Dag(
                (keys.filename or "").replace("_-1", "").removesuffix(".py"),
                keys.comment or "",
                text_map(keys.options),
                orchestrator,
                environment,
                self.path,
            )
        return self._known[key]

    def _keys(self, values: Mapping[str, str], silent: bool) -> DagKeys:
        project = self._project.silently() if silent else self._project
        path = self.path or self._project.metadata / "dags"
        fixed = {"sl_project_id": "-1", "sl_project_name": ""}

        def text() -> str:
            return project.render(self._text, path, {**fixed, **values})

        return document_of(parse_yaml(text(), path), path, DagFile, text, silent).dag or DagKeys()

    def _check(self, keys: DagKeys) -> None:
        path = self.path or Path()
        problems = [
            Problem(path, f"dag.{name} is missing; {what}", self._line(name))
            for name, value, what in (
                ("template", keys.template, "name a template, such as load/airflow__scheduled_table__shell.py.j2"),
                ("filename", keys.filename, "give the name of the file, such as {{domain}}_tables.py"),
            )
            if not value
        ]
        problems += [
            Problem(path, f"dag.{name} is {value!r}; it must not contain '..'", self._line(name))
            for name, value in (("template", keys.template), ("filename", keys.filename))
            if value and ".." in value
        ]
        if problems:
            raise ProjectError(problems=problems)

    def _line(self, name: str) -> int | None:
        lines = self._text.splitlines()
        return next(
            (
                number
                for wanted in (name, "dag")
                for number, line in enumerate(lines, 1)
                if line.strip().startswith(f"{wanted}:")
            ),
            None,
        )


class Dags:
    """The dags of a project, each read when it is first needed.

    Args:
        project: the project.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._read: dict[str, DagSource | ProjectError] = {}

    def names(self) -> Sequence[str]:
        """Return the names of all dags, sorted."""
        folder = self._project.metadata / "dags"
        return sorted(path.name[: -len(SUFFIX)] for path in folder.glob(f"*{SUFFIX}"))

    def built_in(self, kind: str) -> DagSource:
        """Return the dag of a project without any: one file for each domain.

        Args:
            kind: ``load`` or ``transform``.
        """
        return DagSource(self._project, None, f"version: 1\ndag: {_DEFAULTS[kind]}\n")

    def of(self, ref: str) -> DagSource:
        """Return the dag that a dagRef names.

        Raises:
            ProjectError: there is no such file, or it is invalid.
        """
        found = self._read.get(ref)
        if found is None:
            try:
                found = self._open(ref)
            except ProjectError as error:
                found = error
            self._read[ref] = found
        if isinstance(found, ProjectError):
            raise found
        return found

    def _open(self, ref: str) -> DagSource:
        name = ref.removesuffix(SUFFIX)
        path = self._project.metadata / "dags" / f"{name}{SUFFIX}"
        if not is_plain_name(name) or not path.is_file():
            known = self.names()
            hint = did_you_mean(name, known)
            raise ProjectError(
                f"the dagRef {ref!r} names no file of metadata/dags (there: {', '.join(known) or 'none'}).{hint}".removesuffix(
                    "."
                )
            )
        return DagSource(self._project, path, read_text(path))


def _template_words(template: str) -> tuple[str, str]:
    """Return the orchestrator and the environment that the name of a template says."""
    name = template.rpartition("/")[2]
    for ending in (".j2", ".py"):
        name = name.removesuffix(ending)
    parts = name.split("__")
    if len(parts) < 2:
        return "", ""
    environment = parts[-1].lower()
    return parts[0].lower(), _ALIASES.get(environment, environment)

"""Refuses keys of a project that this engine does not support, and that affect rows or what a command leaves behind; each is refused by its name.

The table of all keys is :mod:`starlake_core_project.effects`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from starlake_core_project import Project, Table, Task
from starlake_core_project.effects import Use, given_keys, setting_effect
from starlake_core_project.keys import Keys
from starlake_core_project.settings import SETTINGS

from .context import Context
from .errors import unsupported

__all__ = ["refuse_table", "refuse_task"]

_log = logging.getLogger(__name__)


def refuse_table(context: Context, table: Table) -> None:
    """Refuse a table that needs more than this engine supports, and warn about keys that have no effect.

    Raises:
        ProjectFault: a key is not supported; the message names all of them.
    """
    project = context.project
    files = [
        (table.path, _way(table), table.keys),
        (table.path.with_name("_config.sl.yml"), ("load",), table.domain_keys),
    ]
    _refuse(project, [*_of_application(project), *_of_files(project, files)])


def refuse_task(context: Context, task: Task) -> None:
    """Refuse a transform that needs more than this engine supports, and warn about keys that have no effect.

    Raises:
        ProjectFault: a key is not supported; the message names all of them.
    """
    project = context.project
    files = [
        (task.path, ("task",), task.keys),
        (task.path.with_name("_config.sl.yml"), ("transform", "default"), task.default_keys),
    ]
    _refuse(project, [*_of_application(project), *_of_files(project, files)])


def _way(table: Table) -> tuple[str | int, ...]:
    return ("tables",) if table.path.name == "_config.sl.yml" else ("table",)


def _refuse(project: Project, refused: list[str]) -> None:
    if refused:
        raise unsupported("\n".join(refused))


def _of_files(project: Project, files: Iterable[tuple[Path, tuple[str | int, ...], Keys]]) -> Iterator[str]:
    for path, top, keys in files:
        for given in given_keys(keys, top):
            if given.effect.use is Use.REFUSED:
                yield f"{project.place(path, given.way)}: {_named(given.way)} ({given.effect.note})"
            elif given.effect.warn:
                _log.warning(
                    "%s: %s has no effect here: %s",
                    project.place(path, given.way),
                    _named(given.way),
                    given.effect.note,
                )


def _of_application(project: Project) -> Iterator[str]:
    application = project.application
    path = application.metadata / "application.sl.yml"
    for given in given_keys(application.keys, ("application",)):
        about_another = given.way[1] == "connections"
        if given.effect.use is Use.REFUSED and not about_another:
            yield f"{project.place(path, given.way)}: {_named(given.way)} ({given.effect.note})"
    for name, value in application.variables.items():
        effect = setting_effect(name)
        if effect.use is Use.REFUSED and value.lower() not in effect.unless:
            yield f"{' or '.join(SETTINGS[name])} = {value!r}, the setting {name} ({effect.note}),"


def _named(way: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in way).lstrip(".")

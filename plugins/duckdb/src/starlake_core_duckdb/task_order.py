"""The order in which transforms run, so that each of them reads what the ones before it have written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter

from starlake_core_project import ProjectError, Task
from starlake_core_project.table_uses import tables_read

from .context import Context
from .errors import ProjectFault
from .transforms import query_of

__all__ = ["in_order", "with_sources"]

_Tasks = dict[str, Task]


def with_sources(context: Context, tasks: Sequence[Task]) -> list[Task]:
    """Some transforms and those whose tables they read, directly and indirectly: each once, sources first.

    Raises:
        ProjectFault: transforms read each other in a circle, or a query cannot be parsed.
        ProjectError: a file of the project is broken.
    """
    writers: dict[tuple[str, str], list[str]] = {}
    for other in context.project.silently().tasks():
        writers.setdefault((other.domain.lower(), other.table.lower()), []).append(other.full_name)
    found: _Tasks = {}
    sources: dict[str, list[str]] = {}
    waiting = [task.full_name for task in reversed(tasks)]
    given = {task.full_name: task for task in tasks}
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        task = given.get(name) or context.project.task(name)
        if task is None:
            continue  # two transforms have this name, and another file wins
        found[name] = task
        sources[name] = sorted({source for read in _read(context, task) for source in writers.get(read, ())} - {name})
        waiting.extend(reversed(sources[name]))
    return _sorted(found, sources)


def in_order(context: Context, tasks: Sequence[Task]) -> list[Task]:
    """Only these transforms, sources first.

    Raises:
        ProjectFault: transforms read each other in a circle, or a query cannot be parsed.
        ProjectError: a file of the project is broken.
    """
    wanted = {task.full_name for task in tasks}
    return [task for task in with_sources(context, tasks) if task.full_name in wanted]


def _read(context: Context, task: Task) -> Iterable[tuple[str, str]]:
    query = query_of(context, task)
    try:
        return tables_read(query.sql, query.path)
    except ProjectError as error:
        raise ProjectFault(f"{error}; run the transforms that {task.full_name} needs one by one") from error


def _sorted(found: _Tasks, sources: dict[str, list[str]]) -> list[Task]:
    try:
        names = list(TopologicalSorter(sources).static_order())
    except CycleError as error:
        way = " -> ".join(reversed(error.args[1]))
        raise ProjectFault(
            f"these transforms read each other in a circle: {way}; run one of them on its own first"
        ) from None
    return [found[name] for name in names if name in found]

"""What a page about pipelines contains, as data: the page's own format, which its script reads.

Strings and numbers are in columns, and nodes, domains and pipelines are referred to by their indexes. The same pipelines
give the same bytes, except for what depends on the date: the next runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import PurePath
from typing import Any

from starlake_core import Pipeline, StarlakeDataset, TableDetails, Task
from starlake_core.errors import ScheduleError
from starlake_core.masking import mask_mapping, mask_text, secret_arguments, secret_values
from starlake_core.model.schedule import next_fire
from starlake_core.plain_text import plain, plain_line

from .layered import layered
from .lineage import KINDS, Lineage, Node, lineage_of, natural

__all__ = ["FORMAT", "Contents", "contents", "named", "shown"]

FORMAT = 1
"""The version of the format. The script of a page refuses any other."""

_NEXT_RUNS = 5
Contents = dict[str, Any]


def shown(text: str, secrets: Sequence[str] = ()) -> str:
    """Return a string of any origin without secrets and control characters; line breaks stay.

    Args:
        text: the string.
        secrets: values that it must not have.
    """
    return plain(mask_text(text, secrets))


def named(text: str) -> str:
    """Return a name of any origin in one line, without control characters and without the user part of a URL.

    Args:
        text: the name.
    """
    return plain_line(mask_text(text))


def contents(
    pipelines: Sequence[Pipeline], title: str, now: datetime | None, sql: bool = True
) -> tuple[Contents, list[Contents]]:
    """Return the graph of pipelines, and the details of each node, which a page reads when somebody looks at one.

    Args:
        pipelines: checked pipelines.
        title: the heading of the page.
        now: the date of the page, from which it says when pipelines run next; None to leave out what depends on it.
        sql: whether the details have SQL.
    """
    lineage = lineage_of(pipelines)
    domains = sorted({node.domain for node in lineage.nodes}, key=lambda name: (natural(name), name))
    place = {name: index for index, name in enumerate(domains)}
    layout = layered(len(lineage.nodes), [(edge.before, edge.after) for edge in lineage.edges])
    tasks = [(index, task) for index, pipeline in enumerate(pipelines) for task in pipeline.tasks()]
    number = {id(task): index for index, (_, task) in enumerate(tasks)}
    graph = {
        "format": FORMAT,
        "title": title,
        "made": None if now is None else now.isoformat(timespec="seconds"),
        "kinds": list(KINDS),
        "domains": domains,
        "nodes": {
            "name": [node.name for node in lineage.nodes],
            "kind": [node.kind for node in lineage.nodes],
            "domain": [place[node.domain] for node in lineage.nodes],
            "pipelines": [_unique(index for index, _ in node.tasks) for node in lineage.nodes],
            "tags": [sorted({tag for details in _tables(node) for tag in details.tags}) for node in lineage.nodes],
            "tasks": [[number[id(task)] for _, task in node.tasks] for node in lineage.nodes],
            "x": [round(x) for x in layout.x],
            "y": [round(y) for y in layout.y],
        },
        "edges": [number for edge in lineage.edges for number in (edge.before, edge.after, int(edge.reads))],
        "back": list(layout.back),
        "columnEdges": _column_edges(lineage),
        "tasks": {
            "path": [task.path for _, task in tasks],
            "kind": [task.kind.value for _, task in tasks],
            "pipeline": [index for index, _ in tasks],
        },
    }
    secrets = _secrets(task for _, task in tasks)
    clean = cache(lambda text: shown(text, secrets))
    about = [_pipeline(pipeline, lineage, now) for pipeline in pipelines]
    details = [_details(node, pipelines, sql) for node in lineage.nodes]
    return {**cleaned(graph, cache(named)), "pipelines": cleaned(about, clean)}, cleaned(details, clean)


def cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """Return data in which every string is clean.

    Args:
        value: data of JSON.
        clean: takes and returns a string.
    """
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(name): cleaned(item, clean) for name, item in value.items()}
    if isinstance(value, list):
        return [item if isinstance(item, (int, float)) else cleaned(item, clean) for item in value]
    return value


def _secrets(tasks: Iterable[Task]) -> tuple[str, ...]:
    """Return the secrets that the commands of tasks get, the longest first."""
    found: dict[str, None] = {}
    seen: set[tuple[int, int]] = set()  # tasks of a pipeline share these
    for job in (task.job for task in tasks if task.job is not None):
        if (id(job.env), id(job.arguments)) not in seen:
            seen.add((id(job.env), id(job.arguments)))
            found.update(dict.fromkeys(secret_values({**job.env, **secret_arguments(job.arguments)})))
    return tuple(sorted(found, key=lambda secret: (-len(secret), secret)))


def _unique(items: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(items))


def _pipeline(pipeline: Pipeline, lineage: Lineage, now: datetime | None) -> Contents:
    trigger = pipeline.trigger
    starts = {dataset.identity for dataset in trigger.datasets} if trigger is not None else set()
    watched = [
        index
        for index, node in enumerate(lineage.nodes)
        if node.dataset is not None and node.dataset.identity in starts
    ]
    plugins = getattr(pipeline, "plugins", None)
    return _without_empty(
        {
            "id": pipeline.id,
            "description": pipeline.description,
            "schedule": pipeline.cron or "",
            "zone": pipeline.zone_name,
            "next": _next_runs(pipeline, now),
            "starts": {"policy": trigger.policy, "nodes": watched} if trigger is not None else None,
            "tags": sorted(pipeline.tags),
            "file": PurePath(pipeline.source).name,
            "orchestrator": getattr(plugins, "orchestrator", ""),
            "environment": getattr(plugins, "environment", ""),
            "catchup": pipeline.catchup,
            "activeRuns": pipeline.max_active_runs,
        }
    )


def _next_runs(pipeline: Pipeline, now: datetime | None) -> list[str]:
    if now is None or pipeline.cron is None:
        return []
    found: list[str] = []
    moment = max(now, pipeline.start_date)
    try:
        while len(found) < _NEXT_RUNS:
            moment = next_fire(pipeline.cron, moment, pipeline.zone, pipeline.fires)
            if pipeline.end_date is not None and moment > pipeline.end_date:
                break
            found.append(moment.isoformat(timespec="minutes"))
    except ScheduleError:
        pass  # it never fires again
    return found


def _column_edges(lineage: Lineage) -> list[list[Any]]:
    """Return which columns are computed from which: source node, its column, node, column."""
    places: dict[str, int] = {}
    for index, node in enumerate(lineage.nodes):
        places.setdefault(node.name.casefold(), index)
        for details in _tables(node):
            places.setdefault(details.table.casefold(), index)
    found = {
        (places[table.casefold()], column.lower(), index, target.name)
        for index, node in enumerate(lineage.nodes)
        for details in _tables(node)
        for target in details.columns
        for table, _, column in (source.rpartition(".") for source in target.sources)
        if table.casefold() in places
    }
    return [list(edge) for edge in sorted(found)]


def _tables(node: Node) -> list[TableDetails]:
    return [task.details for _, task in node.tasks if task.details is not None]


def _about(details: TableDetails, sql: bool) -> Contents:
    return _without_empty(
        {
            "description": details.description,
            "owners": list(details.owners),
            "warehouse": ".".join(part for part in (details.database, details.table) if part),
            "warehouseKind": details.kind,
            "strategy": details.strategy,
            "warnAfter": details.warn_after,
            "errorAfter": details.error_after,
            "file": PurePath(details.source).name,
            "columns": [
                _without_empty(
                    {
                        "name": column.name,
                        "type": column.type,
                        "description": column.description,
                        "key": column.key,
                        "required": column.required,
                        "tags": list(column.tags),
                    }
                )
                for column in details.columns
            ],
            "checks": [[check.name, check.text, check.fails] for check in details.checks],
            "sql": details.sql if sql else "",
            "template": details.template if sql and details.template != details.sql else "",
        }
    )


def _details(node: Node, pipelines: Sequence[Pipeline], sql: bool) -> Contents:
    dataset = node.dataset
    tables = _tables(node)
    return _without_empty(
        {
            "dataset": _dataset(dataset) if dataset is not None else None,
            "starts": [
                pipeline.id
                for pipeline in pipelines
                if dataset is not None and pipeline.trigger is not None and dataset in pipeline.trigger.datasets
            ],
            "about": _about(tables[0], sql) if tables else None,
            "tasks": [_task(task, pipelines[index]) for index, task in node.tasks],
        }
    )


def _dataset(dataset: StarlakeDataset) -> Contents:
    return _without_empty(
        {
            "uri": dataset.uri,
            "table": dataset.sink,
            "cron": dataset.cron or "",
            "freshness": dataset.freshness,
            "extra": {str(name): str(value) for name, value in mask_mapping(dict(dataset.extra)).items()},
        }
    )


def _task(task: Task, pipeline: Pipeline) -> Contents:
    job = task.job.masked() if task.job is not None else None
    return _without_empty(
        {
            "path": task.path,
            "pipeline": pipeline.id,
            "summary": task.summary(str),
            "arguments": _pairs(job.arguments) if job is not None else [],
            "environment": job.environment if job is not None else "",
            "variables": {name: str(value) for name, value in sorted(job.env.items())} if job is not None else None,
            "params": {str(name): str(value) for name, value in mask_mapping(dict(task.params)).items()},
            "trigger": task.trigger.value,
            "retries": task.retries,
            "retryDelay": task.retry_delay,
            "timeout": task.timeout,
            "pool": task.pool,
        }
    )


def _pairs(arguments: Sequence[str]) -> list[str]:
    """Return arguments for reading: a flag and its value are one item."""
    words: list[str] = []
    for argument in arguments:
        if not words or argument.startswith("--"):
            words.append(argument)
        else:
            words[-1] += f" {argument}"
    return words


def _without_empty(values: Mapping[str, Any]) -> Contents:
    return {name: value for name, value in values.items() if value not in (None, "", 0, [], {}, False)}

"""The graph of a pipeline as JSON, for tools and comparisons."""

from __future__ import annotations

import json
from typing import Any

from ..masking import mask_mapping
from .details import TableDetails
from .graph import Node, Pipeline, Task, TaskGroup
from .kinds import TaskKind

__all__ = ["MANIFEST_VERSION", "graph_json"]

MANIFEST_VERSION = 1
"""The version of what the JSON says about the tables of a project."""


def graph_json(pipeline: Pipeline) -> str:
    """Return the whole graph as JSON. The same pipeline gives the same bytes in every process. Secrets are masked."""
    about = {"manifest": MANIFEST_VERSION} if any(task.details is not None for task in pipeline.tasks()) else {}
    return json.dumps(_group(pipeline) | _pipeline(pipeline) | about, indent=2, sort_keys=True, ensure_ascii=False)


def _pipeline(pipeline: Pipeline) -> dict[str, Any]:
    trigger = pipeline.trigger
    return {
        "cron": pipeline.cron,
        "datasets": None
        if trigger is None
        else {
            "policy": trigger.policy,
            "cron": trigger.cron,
            "datasets": [dataset.uri for dataset in trigger.datasets],
        },
        "timezone": pipeline.zone_name,
        "start_date": str(pipeline.start_date),
        "end_date": None if pipeline.end_date is None else str(pipeline.end_date),
        "catchup": pipeline.catchup,
        "max_active_runs": pipeline.max_active_runs,
        "tags": list(pipeline.tags),
        "description": pipeline.description,
        **({"deployment": pipeline.deployment_at()} if pipeline.deployment_at() else {}),
    }


def _group(group: TaskGroup) -> dict[str, Any]:
    return {
        "id": group.id,
        "nodes": [_group(node) if isinstance(node, TaskGroup) else _task(node) for node in group.children],
        "edges": sorted([before, after] for before, afters in group.edges.items() for after in afters),
    }


def _shown(value: Any) -> str:
    return str(sorted(map(str, value))) if isinstance(value, (set, frozenset)) else str(value)


def _task(node: Node) -> dict[str, Any]:
    assert isinstance(node, Task)
    return {
        "id": node.id,
        "job": None if node.job is None else node.job.masked().to_dict(),
        "trigger": node.trigger.value,
        "gate": node.kind is TaskKind.CHECK,
        "setup": node.kind is TaskKind.SETUP,
        "teardown": node.kind is TaskKind.TEARDOWN,
        "end": node.kind is TaskKind.END,
        "wait": None
        if node.wait is None
        else {"interval": node.wait.interval, "timeout": node.wait.timeout, "soft_fail": node.wait.soft_fail},
        "inlets": [dataset.uri for dataset in node.inlets],
        "outlets": [dataset.uri for dataset in node.outlets],
        "retries": node.retries,
        "retry_delay": node.retry_delay,
        "timeout": node.timeout,
        "pool": node.pool,
        "params": {name: _shown(value) for name, value in mask_mapping(node.params).items()},
        "native": sorted(node.native),
        "kind": "native" if node.factory is not None else "task",
        **({} if node.details is None else {"table": _details(node.details)}),
    }


def _details(details: TableDetails) -> dict[str, Any]:
    """What a project says about a table, without its queries and without the place of its files."""
    return {
        "name": details.name,
        "table": details.table,
        "description": details.description,
        "columns": [
            {"name": column.name, "type": column.type, "description": column.description} for column in details.columns
        ],
        "checks": [check.text for check in details.checks],
        "owners": list(details.owners),
        "tags": list(details.tags),
        "strategy": details.strategy,
        **details.values,
    }

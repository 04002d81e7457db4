"""Fingerprints of tables and transforms, and the manifest that ``graph --format json`` writes, to find what changed since then."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from starlake_core.model.graph_json import MANIFEST_VERSION

from .catalogue import Item
from .errors import ProjectError
from .model import Task
from .project import Project
from .schema import Attribute
from .sql_text import Query

__all__ = ["fingerprint", "read_manifest"]


def fingerprint(project: Project, item: Item, query: Query | None = None) -> str:
    """Return a value that changes when a table or transform does.

    That is when its keys change, those of its domain, its names, the cron expression of its schedule, its rendered query and statements, its Python
    program, or a type of the project that it uses. The place of the project and the order of keys do not matter, nor do connections and dags.

    Args:
        project: the project.
        item: the table or transform.
        query: the rendered query of a transform.
    """
    content: list[Any] = [item.full_name, item.sink, item.is_task, item.dag_ref, item.schedule, sorted(item.tags)]
    content.append(project.application.schedule_presets.get(item.schedule, ""))
    if item.table is not None:
        content += [item.table.keys, item.table.domain_keys, _own_types(project, item.table.attributes)]
    elif item.task is not None:
        content += [item.task.keys, item.task.default_keys, _program(item.task)]
    if query is not None:
        content += [query.sql, query.presql, query.postsql]
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:16]


def _own_types(project: Project, attributes: Iterable[Attribute]) -> dict[str, Any]:
    """Return the types that attributes use and that the project defines itself."""
    if not (project.metadata / "types").is_dir():
        return {}
    try:
        known = project.types
    except ProjectError:  # the commands that need the types report it
        return {}
    found: dict[str, Any] = {}
    waiting = list(attributes)
    while waiting:
        attribute = waiting.pop()
        waiting += attribute.attributes or ()
        if attribute.type in known:
            found[attribute.type] = known[attribute.type]
    return found


def _program(task: Task) -> str:
    try:
        return "" if task.python_path is None else hashlib.sha256(task.python_path.read_bytes()).hexdigest()
    except OSError:
        return ""


def read_manifest(path: Path) -> Mapping[str, str]:
    """Return the fingerprints of a manifest, by the name of the table or transform.

    Args:
        path: a file that ``graph --format json`` wrote for a project.

    Raises:
        ProjectError: it cannot be read, or another version wrote it.
    """
    how = "write it with: starlake-orchestrate graph PROJECT --format json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProjectError(f"{path}: cannot be read: {error.strerror}; {how}") from error
    except ValueError as error:
        raise ProjectError(f"{path}: is not JSON ({error}); {how}") from error
    pipelines = found if isinstance(found, list) else [found]
    known: dict[str, str] = {}
    for pipeline in pipelines:
        version = pipeline.get("manifest") if isinstance(pipeline, dict) else None
        if version != MANIFEST_VERSION:
            raise ProjectError(
                f"{path}: is a manifest of version {version!r}, but this version reads {MANIFEST_VERSION}; {how}"
            )
        known.update(_tables(pipeline))
    return known


def _tables(group: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    nodes = group.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        if not isinstance(node, dict):
            continue
        if "nodes" in node:
            yield from _tables(node)
        elif isinstance(node.get("table"), dict):
            yield str(node["table"].get("name")), str(node["table"].get("fingerprint"))

"""Fingerprints of tables and transforms, and the manifest that ``graph --format json`` writes, to find what changed since then."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from starlake_core.model.graph_json import MANIFEST_VERSION

from .catalogue import Item
from .errors import ProjectError

__all__ = ["fingerprint", "read_manifest"]


def fingerprint(item: Item, sql: str = "") -> str:
    """Return a value that changes when a table or transform does: its keys, those of its domain, its names or its rendered query.

    The place of the project and the order of keys do not matter.

    Args:
        item: the table or transform.
        sql: the rendered query of a transform.
    """
    keys: list[Any] = []
    if item.table is not None:
        keys = [item.table.keys, item.table.domain_keys]
    elif item.task is not None:
        keys = [item.task.keys, item.task.default_keys]
    content = [item.full_name, item.sink, item.is_task, item.dag_ref, item.schedule, sorted(item.tags), sql, *keys]
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:16]


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
                f"{path}: is a manifest of version {version}, but this version reads {MANIFEST_VERSION}; {how}"
            )
        known.update(_tables(pipeline))
    return known


def _tables(group: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for node in group.get("nodes") or ():
        if "nodes" in node:
            yield from _tables(node)
        elif isinstance(node.get("table"), dict):
            yield str(node["table"].get("name")), str(node["table"].get("fingerprint"))

"""Migrates files without ``version`` as Starlake's ``YamlMigrator`` does, and says what to write instead.

The rules are those of Starlake 1.8. A file with a version is never migrated: there, an old key is an unknown key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["OLD_KEYS", "OLD_LAYOUT", "migrate"]

OLD_KEYS = {
    "write": "writeStrategy: {type: OVERWRITE} or {type: APPEND}",
    "merge": "writeStrategy: {type: UPSERT_BY_KEY, key: [...]}",
    "mode": "nothing: delete it",
    "schema": "table",
    "schemas": "one file per table, named after it",
    "tables": "one file per table, named after it",
    "dataset": "table",
    "engine": "nothing: delete it",
    "sqlEngine": "nothing: delete it",
    "flat": "nothing: delete it",
    "dynamicPartitionOverwrite": "writeStrategy: {type: OVERWRITE_BY_PARTITION}",
}
"""The keys of files without ``version``, and what replaces each of them."""
OLD_LAYOUT = {"domains": "load", "jobs": "transform"}
"""The folders below ``metadata`` in the oldest projects, and the folder that replaces each of them."""


class _Migration:
    """The migration of one file.

    Attributes:
        notes: what to write instead, in the order of the changes.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []

    def drop(self, node: dict[str, Any], key: str, where: str) -> None:
        if key in node:
            del node[key]
            self.notes.append(f"delete {where}.{key}")

    def rename(self, node: dict[str, Any], old: str, new: str, where: str) -> None:
        if node.get(new) is None and node.get(old) is not None:
            node[new] = node.pop(old)
            self.notes.append(f"write {where}{new} instead of {old}")

    def sink(self, parent: dict[str, Any], where: str) -> None:
        sink = parent.get("sink")
        if not isinstance(sink, dict):
            return
        name = f"{where}.sink"
        self.drop(sink, "type", name)
        partition = sink.get("partition")
        if isinstance(partition, dict):
            sink["partition"] = partition.get("attributes", [])
            self.notes.append(f"write {name}.partition as a list")
        if isinstance(sink.get("timestamp"), str):
            sink["partition"] = [sink["timestamp"]]
            self.notes.append(f"write {name}.partition: [{sink['timestamp']}] instead of timestamp")
        sink.pop("timestamp", None)
        overwrite = sink.pop("dynamicPartitionOverwrite", None)
        if str(overwrite).lower() == "true" and not _has_strategy(parent):
            self.strategy(parent, "OVERWRITE_BY_PARTITION", where, "sink.dynamicPartitionOverwrite")

    def strategy(self, parent: dict[str, Any], kind: str, where: str, old: str) -> None:
        strategy = parent.get("writeStrategy")
        parent["writeStrategy"] = {"type": kind} if not isinstance(strategy, dict) else {**strategy, "type": kind}
        self.notes.append(f"write {where}.writeStrategy.type: {kind} instead of {old}")

    def upsert(self, parent: dict[str, Any], where: str) -> None:
        strategy = parent.get("writeStrategy")
        if not isinstance(strategy, dict):
            return
        name = f"{where}.writeStrategy"
        if str(strategy.get("type")).upper() == "UPSERT_BY_KEY":
            strategy["type"] = "DELETE_THEN_INSERT"
            self.notes.append(f"write {name}.type: DELETE_THEN_INSERT, which UPSERT_BY_KEY means here")
        types = strategy.get("types")
        if not isinstance(types, dict):
            return
        for kind in [kind for kind in types if kind.upper() == "UPSERT_BY_KEY"]:
            types["DELETE_THEN_INSERT"] = types.pop(kind)
            self.notes.append(f"write {name}.types.DELETE_THEN_INSERT, which {kind} means here")

    def write(self, parent: dict[str, Any], where: str) -> None:
        mode = parent.get("write")
        if isinstance(mode, str) and mode and not _has_strategy(parent):
            kind = "OVERWRITE" if mode.upper() == "OVERWRITE" else "APPEND"
            self.strategy(parent, kind, where, f"write: {mode}")

    def metadata(self, metadata: Any, where: str) -> None:
        if isinstance(metadata, dict):
            self.sink(metadata, where)
            self.upsert(metadata, where)
            self.write(metadata, where)
            self.drop(metadata, "mode", where)

    def merge(self, node: dict[str, Any], strategies: dict[str, Any], where: str, old: Any) -> None:
        """Convert ``merge`` to a write strategy, and keep what the write strategy already says."""
        merge = node.get("merge")
        if "merge" not in node:
            return
        merge = merge if isinstance(merge, dict) else {}
        known = strategies.get("writeStrategy")
        known = known if isinstance(known, dict) else {}
        if known.get("type") == "OVERWRITE_BY_PARTITION":
            # Starlake refuses the combination; the remaining key is reported as unknown.
            return
        del node["merge"]
        strategy = {**merge, **known}
        if not isinstance(known.get("types"), dict):
            if "key" in merge:
                strategy["type"] = "UPSERT_BY_KEY_AND_TIMESTAMP" if "timestamp" in merge else "DELETE_THEN_INSERT"
            else:
                strategy["type"] = "OVERWRITE" if str(old).upper() == "OVERWRITE" else "APPEND"
        strategies["writeStrategy"] = strategy
        self.notes.append(f"write {where}.writeStrategy with type: {strategy.get('type')} instead of merge")

    def table(self, table: Any, where: str) -> None:
        if not isinstance(table, dict):
            return
        self.metadata(table.get("metadata"), f"{where}.metadata")
        self.drop(table, "flat", where)
        metadata = table.get("metadata")
        if "merge" in table and not isinstance(metadata, dict):
            metadata = table["metadata"] = {}
        if isinstance(metadata, dict):
            self.merge(table, metadata, f"{where}.metadata", metadata.get("write"))
            metadata.pop("write", None)

    def task(self, task: Any, where: str) -> None:
        if not isinstance(task, dict):
            return
        self.rename(task, "dataset", "table", f"{where}.")
        self.drop(task, "engine", where)
        self.drop(task, "sqlEngine", where)
        self.sink(task, where)
        self.write(task, where)
        self.drop(task, "flat", where)
        old, merged = task.get("write"), "merge" in task
        if merged:
            task.pop("writeStrategy", None)
        self.merge(task, task, where, old)
        task.pop("write", None)


def _has_strategy(parent: dict[str, Any]) -> bool:
    strategy = parent.get("writeStrategy")
    return isinstance(strategy, dict) and (strategy.get("type") is not None or strategy.get("types") is not None)


def _table_file(migration: _Migration, document: dict[str, Any]) -> None:
    migration.rename(document, "schema", "table", "")
    migration.rename(document, "schemas", "tables", "")
    tables = document.get("tables")
    if document.get("table") is None and isinstance(tables, list) and len(tables) == 1:
        document["table"] = document.pop("tables")[0]
        migration.notes.append("write table: instead of tables: with one item")
    migration.table(document.get("table"), "table")


def _domain_file(migration: _Migration, document: dict[str, Any]) -> None:
    load = document.get("load")
    if not isinstance(load, dict):
        return
    migration.metadata(load.get("metadata"), "load.metadata")
    if isinstance(load.get("metadata"), dict):
        load["metadata"].pop("write", None)
    migration.rename(load, "schemas", "tables", "load.")
    tables = load.pop("tables", None)
    if tables is None:
        return
    document["tables"] = tables
    migration.notes.append("put each table of load.tables into its own file, named after the table")
    for index, table in enumerate(tables if isinstance(tables, list) else ()):
        migration.table(table, f"load.tables[{index}]")


def _job_file(migration: _Migration, document: dict[str, Any]) -> None:
    job = document.get("transform")
    tasks = job.get("tasks") if isinstance(job, dict) else None
    for index, task in enumerate(tasks if isinstance(tasks, list) else ()):
        migration.task(task, f"transform.tasks[{index}]")


def _task_file(migration: _Migration, document: dict[str, Any]) -> None:
    migration.task(document.get("task"), "task")


_BY_ROOT: dict[str, Callable[[_Migration, dict[str, Any]], None]] = {
    "table": _table_file,
    "load": _domain_file,
    "transform": _job_file,
    "task": _task_file,
}


def migrate(values: Any, root: str) -> tuple[dict[str, Any], str]:
    """Migrate the values of a file without ``version`` to version 1, mostly in place.

    Args:
        values: the values of the file.
        root: the top-level key of such a file: ``"table"``, ``"load"`` ...

    Returns:
        The migrated values, and the warning.
    """
    migration = _Migration()
    if root != "table" and not (isinstance(values, dict) and root in values):
        values = {root: values}
        migration.notes.append(f"put everything below the key {root}:")
    document: dict[str, Any] = values if isinstance(values, dict) else {root: values}
    document["version"] = "1"
    known = _BY_ROOT.get(root)
    if known is not None:
        known(migration, document)
    notes = ["add version: 1 at the top", *migration.notes]
    return document, f"has no version, so it is read as an old file; {'; '.join(notes)}"

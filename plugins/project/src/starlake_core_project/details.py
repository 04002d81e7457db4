"""What a project says about each table, for the user interfaces of orchestrators: columns, checks, freshness, owners, tags and SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from starlake_core import Check, Column, TableDetails

from .catalogue import Item
from .errors import ProjectError
from .keys import texts
from .model import Table, Task
from .project import Project
from .scheduling import seconds_of
from .schema import Attribute, Expectation, Freshness
from .sql_tables import dialect_of

__all__ = ["freshness_of", "table_details"]

_OWNER = ("owner:", "owner=")


def table_details(project: Project, item: Item, sql: str = "", columns: tuple[Column, ...] = ()) -> TableDetails:
    """Return what the project says about a table.

    Args:
        project: the project.
        item: the table.
        sql: the rendered query of a transform.
        columns: the columns of its query; by default those of its file.
    """
    owners, tags = _owners(item.tags)
    warn, error = freshness_of(item)
    application = project.application
    connection_name = _connection(project, item)
    connection = application.connections.get(connection_name) if connection_name else None
    described = item.table or item.task
    assert described is not None
    keys = described.keys
    return TableDetails(
        name=item.full_name,
        table=item.sink,
        database=_database(project, item),
        kind=dialect_of(connection) if connection is not None else "",
        description=(keys.comment or "").strip(),
        columns=columns or _columns(keys.attributes or (), described.primary_key),
        checks=_checks(described.expectations),
        owners=owners,
        tags=tags,
        strategy=_strategy(described),
        warn_after=warn,
        error_after=error,
        sql=sql.strip(),
        template=_template(item.task) if item.task is not None and sql else "",
        source=str(described.path),
    )


def freshness_of(item: Item) -> tuple[int, int]:
    """Return the seconds after which a table counts as old, for a warning and for an error; 0 for never, and for what cannot be read."""
    freshness = (
        item.table.metadata.freshness if item.table is not None else item.task.freshness if item.task else Freshness()
    )
    return _seconds(freshness.warn), _seconds(freshness.error)


def _seconds(text: str | None) -> int:
    try:
        return seconds_of(text)
    except ProjectError:
        return 0


def _owners(tags: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the owners that tags name, ``owner:ann@example.org``, and the other tags."""
    owners: list[str] = []
    others: list[str] = []
    for tag in tags:
        prefix = next((prefix for prefix in _OWNER if tag.lower().startswith(prefix)), "")
        (owners if prefix else others).append(tag[len(prefix) :].strip())
    return tuple(dict.fromkeys(owners)), tuple(dict.fromkeys(others))


def _connection(project: Project, item: Item) -> str | None:
    application = project.application
    if item.table is not None:
        return item.table.metadata.connection_ref or application.load_connection_ref or application.connection_ref
    task = item.task
    own = (task.sink_connection_ref or task.connection_ref) if task is not None else None
    return own or application.transform_connection_ref or application.connection_ref


def _database(project: Project, item: Item) -> str:
    keys: Mapping[str, object] | object = (
        item.table.domain_keys if item.table is not None else item.task.keys if item.task else None
    )
    own = getattr(keys, "database", None)
    return str(own or project.application.keys.database or project.application.variables.get("database") or "")


def _columns(attributes: Iterable[Attribute], keys: tuple[str, ...]) -> tuple[Column, ...]:
    named = {key.lower() for key in keys}
    return tuple(
        Column(
            attribute.final_name,
            attribute.type + ("[]" if attribute.array else ""),
            attribute.comment or "",
            texts(attribute.tags),
            bool(attribute.required),
            attribute.name.lower() in named or attribute.final_name.lower() in named,
        )
        for attribute in attributes
        if not attribute.ignore
    )


def _checks(expectations: Iterable[Expectation]) -> tuple[Check, ...]:
    checks: dict[str, Check] = {}
    for expectation in expectations:
        text = (expectation.expect or "").strip()
        if text:
            word = text.partition("(")[0].strip() or "check"
            name = word
            number = 1
            while name in checks:
                number += 1
                name = f"{word}_{number}"
            checks[name] = Check(name, text, bool(expectation.fail_on_error))
    return tuple(checks.values())


def _strategy(described: Table | Task) -> str:
    strategy = described.metadata.write_strategy if isinstance(described, Table) else described.write_strategy
    return "" if strategy.types else strategy.type or "APPEND"


def _template(task: Task) -> str:
    path: Path | None = task.sql_path
    if path is None:
        return task.inline_sql or ""
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace").strip()
    except OSError:
        return ""

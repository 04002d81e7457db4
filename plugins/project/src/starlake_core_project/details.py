"""What a project says about each table, for the user interfaces of orchestrators: columns, checks, freshness, owners, tags and SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from msgspec import msgpack

from starlake_core import Check, Column, TableDetails

from .catalogue import Catalogue, Item
from .errors import ProjectError
from .item_facts import ItemFacts
from .keys import texts
from .lineage import Lineage, query_connection
from .manifest import fingerprint
from .model import Application, Table, Task
from .owners import split_owners
from .project import Project
from .scheduling import seconds_of
from .schema import Attribute, Expectation, Freshness
from .settings import switch
from .sql_tables import dialect_of
from .sql_text import Query

__all__ = ["with_facts"]


def with_facts(
    project: Project, catalogue: Catalogue, lineage: Lineage, columns: bool = False
) -> tuple[Catalogue, Lineage]:
    """Return the tables and transforms of a project with what their pipelines need to know about them.

    Args:
        project: the project.
        catalogue: the tables and transforms.
        lineage: what the transforms read.
        columns: find the columns of transforms in their SQL, too.
    """
    from .column_lineage import columns_of_transforms

    computed = columns_of_transforms(project, catalogue, lineage) if columns else {}
    made = {
        id(item): replace(
            item,
            facts=_facts(
                project,
                item,
                lineage.queries.get(item.full_name),
                computed.get(item.full_name, ()) if item.is_task else (),
            ),
        )
        for item in catalogue.items
    }
    parents = {name: tuple(made[id(parent)] for parent in found) for name, found in lineage.parents.items()}
    return replace(catalogue, items=tuple(made.values())), replace(lineage, parents=parents)


def _facts(project: Project, item: Item, query: Query | None, columns: tuple[Column, ...]) -> ItemFacts:
    if item.table is None and item.task is None:
        return ItemFacts()
    task = item.task
    mark = fingerprint(project, item, query)
    sql = query.sql if query is not None else ""
    details = replace(_table_details(project, item, sql, columns), values={"fingerprint": mark})
    if task is not None:
        connection = query_connection(project, task)
    else:
        name = _connection(project, item)
        connection = project.application.connections.get(name) if name else None
    return ItemFacts(
        (task.write_strategy.type or "") if task is not None else "",
        (task.keys.dataset_triggering_strategy or "").strip() if task is not None else "",
        dialect_of(connection),
        details.warn_after,
        details.error_after,
        str(task.sql_path or "") if task is not None else "",
        mark,
        msgpack.encode(details),
    )


def _table_details(project: Project, item: Item, sql: str = "", columns: tuple[Column, ...] = ()) -> TableDetails:
    """Return what the project says about a table.

    Args:
        project: the project.
        item: the table.
        sql: the rendered query of a transform.
        columns: the columns of its query; by default those of its file.
    """
    owners, tags = split_owners(item.tags)
    warn, error = _freshness_of(item)
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
        checks=_checks(described.expectations, application),
        owners=owners,
        tags=tags,
        strategy=_strategy(described),
        warn_after=warn,
        error_after=error,
        sql=sql.strip(),
        template=_template(item.task) if item.task is not None and sql else "",
        source=str(described.path),
    )


def _freshness_of(item: Item) -> tuple[int, int]:
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


def _checks(expectations: Iterable[Expectation], application: Application) -> tuple[Check, ...]:
    """The conditions that the command checks: none if the project turns them off."""
    if switch(application.keys, application.variables, "expectations.active") is False:
        return ()
    always = bool(switch(application.keys, application.variables, "expectations.failOnError"))
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
            own = expectation.fail_on_error
            checks[name] = Check(name, text, always if own is None else own)
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

"""Finds the columns of each transform, and those that they are computed from: slower than the lineage of tables, and only done on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from starlake_core import Column

from .catalogue import Catalogue, Item
from .errors import ProjectError
from .lineage import Lineage, query_connection
from .project import Project
from .schema import Attribute, DataType
from .sql_tables import dialect_of, quiet_sqlglot
from .types import BUILT_IN_TYPES

__all__ = ["Known", "columns_of_transforms", "query_columns"]

# Types of the project, each with its name in SQL. The first name for a type of SQL is that of a computed column.
_SQL_TYPES = {
    "string": "text",
    "long": "bigint",
    "int": "int",
    "integer": "bigint",
    "short": "smallint",
    "byte": "tinyint",
    "double": "double",
    "decimal": "decimal",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "variant": "json",
}
_ALIKE = {"varchar": "string", "char": "string", "float": "double", "timestamptz": "timestamp", "datetime": "timestamp"}


@dataclass
class Known:
    """The columns of tables.

    Attributes:
        tables: the names of the columns, by domain, table and name; all keys are in lower case.
        names: ``domain.table``, by the same in lower case.
        types: what is known of the types of the columns, as the project names them, by domain, table and name in lower case.
    """

    tables: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    types: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def add(self, sink: str, columns: Mapping[str, str]) -> None:
        """Add a table.

        Args:
            sink: ``domain.table``.
            columns: maps the name of each column to its type, as the project names it; empty if unknown.
        """
        domain, _, table = sink.lower().partition(".")
        self.names[sink.lower()] = sink
        self.tables.setdefault(domain, {})[table] = {name.lower(): name for name in columns}
        self.types.update(((domain, table, name.lower()), kind) for name, kind in columns.items())

    def schema(self) -> dict[str, Any]:
        """The tables as sqlglot takes them."""
        return {
            domain: {
                table: {name: _SQL_TYPES.get(self.types.get((domain, table, name), ""), "unknown") for name in names}
                for table, names in tables.items()
                if names
            }
            for domain, tables in self.tables.items()
        }

    def source(self, domain: str, table: str, column: str) -> str:
        """Return ``domain.table.column`` with the names as they are written; empty for a table that is not known."""
        sink = self.names.get(f"{domain}.{table}".lower())
        names = self.tables.get(domain.lower(), {}).get(table.lower(), {})
        return f"{sink}.{names.get(column.lower(), column)}" if sink else ""


def columns_of_transforms(project: Project, catalogue: Catalogue, lineage: Lineage) -> dict[str, tuple[Column, ...]]:
    """Return the columns of transforms, by the name of the transform. What cannot be found out is left out.

    Args:
        project: the project.
        catalogue: its tables and transforms.
        lineage: what the transforms read.
    """
    known = Known()
    try:
        kinds = project.types
    except ProjectError:  # what needs them says so
        kinds = BUILT_IN_TYPES
    for item in catalogue.tables:
        if item.table is not None:
            known.add(
                item.sink,
                {one.final_name: _known_type(one, kinds) for one in item.table.attributes if not one.ignore},
            )
    by_name = {item.full_name: item for item in catalogue.tasks}
    found: dict[str, tuple[Column, ...]] = {}
    for name in _order(by_name, lineage):
        item, query = by_name[name], lineage.queries.get(name)
        if item.task is None or query is None:
            continue
        columns = query_columns(query.sql, dialect_of(query_connection(project, item.task)), known)
        written = {one.name.lower(): one for one in item.task.keys.attributes or ()}
        found[name] = tuple(
            replace(column, type=one.type, description=one.comment or "")
            if (one := written.get(column.name.lower())) is not None
            else column
            for column in columns
        )
        if columns:
            known.add(item.sink, {column.name: column.type for column in found[name]})
    return found


def _known_type(attribute: Attribute, kinds: Mapping[str, DataType]) -> str:
    """The built-in type that an attribute has or that its own type is made of; empty if there is none."""
    if attribute.array or attribute.type in _SQL_TYPES:
        return "" if attribute.array else attribute.type
    return kinds[attribute.type].primitive_type if attribute.type in kinds else ""


def _order(items: Mapping[str, Item], lineage: Lineage) -> list[str]:
    graph = {name: [one.full_name for one in lineage.parents.get(name, ()) if one.is_task] for name in items}
    try:
        return [name for name in TopologicalSorter(graph).static_order() if name in items]
    except CycleError:  # the pipeline of these transforms cannot be built
        return []


def query_columns(sql: str, dialect: str, known: Known) -> tuple[Column, ...]:
    """Return the columns of a query, each with its type and those that it is computed from; nothing if the query is not understood.

    A type is empty if it cannot be told from the query and what it reads.

    Args:
        sql: the query, rendered.
        dialect: its dialect.
        known: the columns of the tables that it may read.
    """
    from sqlglot import exp, parse
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.annotate_types import annotate_types
    from sqlglot.optimizer.qualify import qualify

    schema = known.schema()
    try:
        queries = [one for one in parse(sql, dialect=dialect or None) if isinstance(one, exp.Query)]
        if not queries:
            return ()
        written = queries[-1].named_selects
        with quiet_sqlglot():
            query: Any = qualify(queries[-1], schema=schema, dialect=dialect or None, validate_qualify_columns=False)
        names = list(query.named_selects)
        if any(name == "*" for name in names):
            return ()
        shown = written if len(written) == len(names) and "*" not in written else names
        # Quoted, so that the name stays what it is now.
        selected = [exp.column(exp.to_identifier(name, quoted=True)) for name in names]
        with quiet_sqlglot():
            nodes = [lineage(column, query, schema=schema, dialect=dialect or None) for column in selected]
            typed: Any = annotate_types(query.copy(), schema=schema, dialect=dialect or None)
        return tuple(
            Column(name, kind, sources=_sources(node, known))
            for name, kind, node in zip(shown, _types_of(typed), nodes, strict=True)
        )
    except Exception:  # of sqlglot, which raises any for SQL that it does not expect
        return ()


def _types_of(query: Any) -> list[str]:
    """The types of the columns of a query as the project would name them; empty where they are not known."""
    from sqlglot import exp

    query = query.unnest()
    if isinstance(query, exp.SetOperation):
        both = zip(_types_of(query.left), _types_of(query.right), strict=True)
        return [one if one == other else "" for one, other in both]
    return [_type_of(selected.type) for selected in query.selects]


def _type_of(kind: Any) -> str:
    if kind is None or kind.args.get("nested"):
        return ""
    name = kind.this.value.lower()
    return _ALIKE.get(name) or next((ours for ours, theirs in _SQL_TYPES.items() if theirs == name), "")


def _sources(node: Any, known: Known) -> tuple[str, ...]:
    from sqlglot import exp

    found = set()
    for one in node.walk():
        if isinstance(one.expression, exp.Table) and one.expression.db:
            column = one.name.rpartition(".")[2].strip('"`')
            found.add(known.source(one.expression.db, one.expression.name, column))
    return tuple(sorted(found - {""}))

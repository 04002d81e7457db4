"""Which tables each transform of a project reads: from its SQL, or by the rule of the command line."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from starlake_core.errors import did_you_mean

from .catalogue import Catalogue, Fault, Item
from .errors import Problem, ProjectError
from .model import Connection, Task
from .project import Project
from .sql_rule import names_by_rule
from .sql_tables import Parsed, TableName, dialect_of, tables_of
from .sql_text import Query
from .table_resolution import Resolver

__all__ = ["LINEAGES", "Lineage", "query_connection", "read_lineage"]

_log = logging.getLogger(__name__)

LINEAGES = ("sql", "compat")
"""The ways to find out what a query reads: by its SQL, or by the rule of the command line."""


@dataclass(frozen=True)
class Lineage:
    """What the transforms of a project read.

    Attributes:
        parents: the tables that a transform reads, by the name of the transform, in the order of its query.
        queries: the rendered query of each transform and the statements of its file, by its name.
        faults: why a query cannot be rendered, by the name of the transform.
        warnings: what could not be parsed, with file and line.
    """

    parents: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)
    queries: Mapping[str, Query] = field(default_factory=dict, repr=False)
    faults: Mapping[str, Fault] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def closure(self, items: Iterable[Item]) -> list[Item]:
        """Return items and all that they need, each once.

        Args:
            items: tables and transforms.
        """
        found: dict[str, Item] = {}
        waiting = list(items)
        while waiting:
            item = waiting.pop()
            if item.full_name not in found:
                found[item.full_name] = item
                waiting += self.parents.get(item.full_name, ()) if item.is_task else ()
        return list(found.values())


def read_lineage(
    project: Project,
    catalogue: Catalogue,
    mode: str = "sql",
    known: MutableMapping[tuple[str, str], Parsed] | None = None,
) -> Lineage:
    """Find out which tables each transform reads.

    A query that cannot be parsed is read by the rule of the command line, with a warning.

    Args:
        project: the project.
        catalogue: its tables and transforms.
        mode: one of :data:`LINEAGES`.
        known: what was found earlier, by query and dialect; this function adds to it.

    Raises:
        ProjectError: ``mode`` is unknown, or ``refs.sl.yml`` is invalid.
    """
    if mode not in LINEAGES:
        raise ProjectError(
            f"lineage={mode!r} is not allowed; use one of {', '.join(LINEAGES)}.{did_you_mean(mode, LINEAGES)}"
        )
    known = {} if known is None else known
    resolver = Resolver(catalogue.items, () if mode == "compat" else project.references())
    parents: dict[str, tuple[Item, ...]] = {}
    queries: dict[str, Query] = {}
    faults: dict[str, Fault] = {}
    warnings: list[str] = []
    for item in catalogue.tasks:
        task = item.task
        if task is None or (task.sql_path is None and task.inline_sql is None):
            parents[item.full_name] = ()
            continue
        path = task.sql_path or task.path
        try:
            query = project.written_query(task)
        except ProjectError as error:
            faults[item.full_name] = Fault.of(path, error)
            parents[item.full_name] = ()
            continue
        queries[item.full_name] = query
        if mode == "compat":
            names = () if task.parse_sql is False else tuple(map(TableName, names_by_rule(query.sql)))
        else:
            dialect = dialect_of(query_connection(project, task))
            parsed = known.get((query.sql, dialect))
            if parsed is None:
                parsed = known[query.sql, dialect] = tables_of(query.sql, dialect)
            names = parsed.tables
            if parsed.problem:
                warnings.append(_warning(task, path, query.sql, parsed))
                _log.warning("%s", warnings[-1])
        found = {other.sink.lower(): other for name in names if (other := resolver.find(name)) is not None}
        found.pop(item.sink.lower(), None)
        parents[item.full_name] = tuple(
            one for other in found.values() for one in ((other,) if mode == "compat" else resolver.writers(other))
        )
    return Lineage(parents, queries, faults, tuple(warnings))


def query_connection(project: Project, task: Task) -> Connection | None:
    """Return the connection that runs the query of a transform, without reporting its variables; None if there is none.

    Args:
        project: the project.
        task: the transform.
    """
    application = project.application
    name = (
        task.connection_ref
        or application.transform_connection_ref
        or application.connection_ref
        or task.sink_connection_ref
    )
    return application.connections.get(name) if name else None


def _warning(task: Task, path: Path, sql: str, parsed: Parsed) -> str:
    what = f"the query of {task.full_name} cannot be parsed, so its tables are found by the rule of the command line: {parsed.problem}"
    return str(Problem(path, what, _line(path, sql, parsed.line)))


def _line(path: Path, sql: str, line: int | None) -> int | None:
    """Return the line in the file: the query may follow other statements there."""
    if line is None:
        return None
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return line
    first = next((part for part in sql.splitlines() if part.strip()), "")
    before = text.find(first) if first else -1
    skipped = len(sql) - len(sql.lstrip("\r\n"))
    return line + (text.count("\n", 0, before) if before > 0 else 0) - sql.count("\n", 0, skipped)

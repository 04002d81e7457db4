"""Finds the tables that SQL reads, in the dialect of its database. sqlglot parses it, and is imported only when a query is parsed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .model import Connection
from .sql_rule import names_by_rule

__all__ = ["Parsed", "TableName", "dialect_of", "tables_of"]

_DIALECTS = {
    "bigquery": "bigquery", "bq": "bigquery", "databricks": "databricks", "duckdb": "duckdb", "duck_db": "duckdb", "fs": "spark",
    "mariadb": "mysql", "mysql": "mysql", "oracle": "oracle", "postgres": "postgres", "postgresql": "postgres", "redshift": "redshift",
    "snowflake": "snowflake", "spark": "spark", "sqlite": "sqlite", "sqlserver": "tsql", "trino": "trino", "clickhouse": "clickhouse",
}  # fmt: skip
_OF_ARRAYS = ("bigquery", "redshift")
"""The dialects in which FROM may name an array of an earlier table: ``FROM orders AS o, o.lines``."""
_UPPER = ("snowflake", "oracle")
_CASE_SENSITIVE = ("postgres", "redshift", *_UPPER)
"""The dialects in which a quoted name keeps its case."""
_BY_TEXT = ("QUERY_TABLE", "IDENTIFIER")
"""The table functions that take the name of a table as text."""


@dataclass(frozen=True)
class TableName:
    """A table as SQL names it.

    Attributes:
        parts: database, domain and table, as far as they are written.
        quoted: whether one of the parts is in quotes.
    """

    parts: tuple[str, ...]
    quoted: bool = False


@dataclass(frozen=True)
class Parsed:
    """What was found in SQL.

    Attributes:
        tables: the tables that it reads, without repetition.
        problem: why the rule of the command line was used instead; empty if the SQL was understood.
        line: the line of the problem, counted from 1; None if it is not known.
    """

    tables: tuple[TableName, ...] = ()
    problem: str = ""
    line: int | None = None


def dialect_of(connection: Connection | None) -> str:
    """Return sqlglot's name for the SQL of a connection; ``duckdb`` without one, and empty for an unknown database.

    Args:
        connection: the connection of the query.
    """
    if connection is None:
        return "duckdb"
    words = [connection.type]
    url = connection.options.get("url", "").lower()
    if url.startswith("jdbc:"):
        words.insert(0, url.split(":")[1])
    words.insert(0, connection.options.get("_transpileDialect", "").lower())
    return next((_DIALECTS[word] for word in words if word in _DIALECTS), "")


def tables_of(sql: str, dialect: str = "duckdb") -> Parsed:
    """Return the tables that SQL reads.

    Tables that a statement writes, common table expressions, table functions and temporary tables of the same SQL are left out. SQL that cannot be
    parsed is read by the rule of the command line.

    Args:
        sql: one or more statements, rendered.
        dialect: the dialect, as :func:`dialect_of` returns it.
    """
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError

    try:
        statements = [statement for statement in parse(sql, dialect=dialect or None) if statement is not None]
    except (SqlglotError, RecursionError) as error:
        place = (getattr(error, "errors", None) or [{}])[0]
        reason = str(place.get("description") or error or type(error).__name__).partition("\n")[0]
        return Parsed(_by_rule(sql), reason, place.get("line"))
    found: dict[TableName, None] = {}
    problem, created = "", frozenset[str]()
    for statement in statements:
        if isinstance(statement, exp.Command):
            names = _by_rule(f" {statement.sql(dialect=dialect or None)}")
            if names:
                problem = problem or f"the statement {statement.name.upper()} is not understood"
                found.update(dict.fromkeys(names))
            continue
        walk = _Walk(dialect)
        found.update(dict.fromkeys(walk.tables(statement, created)))
        if isinstance(statement, exp.Create):
            target = statement.this.find(exp.Table) if statement.this is not None else None
            if target is not None and not target.db:
                created |= {walk.folded(target.this)}
    return Parsed(tuple(found), problem)


def _by_rule(sql: str) -> tuple[TableName, ...]:
    return tuple(TableName(parts) for parts in names_by_rule(sql))


class _Walk:
    """Walks a statement from the outside to the inside, with the names that are visible at each place."""

    def __init__(self, dialect: str) -> None:
        self._arrays = dialect in _OF_ARRAYS
        self._upper = dialect in _UPPER
        self._case = dialect in _CASE_SENSITIVE
        self._recursive = dialect == "snowflake"

    def folded(self, identifier: Any) -> str:
        """Return a name in the form in which the database compares it."""
        name = str(identifier.name)
        if self._case and identifier.args.get("quoted"):
            return name
        return name.upper() if self._upper else name.lower()

    def tables(self, statement: Any, hidden: frozenset[str]) -> Iterator[TableName]:
        from sqlglot import exp

        writing = (
            exp.Insert,
            exp.Merge,
            exp.Update,
            exp.Delete,
            exp.Create,
            exp.Drop,
            exp.Alter,
            exp.TruncateTable,
            exp.Into,
        )
        sources: dict[int, frozenset[str]] = {}
        written: set[int] = set()
        waiting: list[tuple[Any, frozenset[str], frozenset[str]]] = [(statement, hidden, frozenset())]
        while waiting:
            node, names, aliases = waiting.pop()
            with_ = node.args.get("with_") or node.args.get("with")
            inner: list[tuple[Any, frozenset[str], frozenset[str]]] = []
            if with_ is not None:
                names = self._expressions(with_, names, aliases, inner)
            if isinstance(node, writing) and isinstance(node.this, exp.Expression):
                target = node.this if isinstance(node.this, exp.Table) else node.this.find(exp.Table)
                if target is not None:
                    written.add(id(target))
            if self._arrays and isinstance(node, exp.Select):
                aliases = self._visible(node, aliases, sources)
            if isinstance(node, exp.Table) and id(node) not in written:
                yield from self._name(node, names, sources.get(id(node), aliases))
            waiting += [
                (child, names, aliases) for child in reversed(list(node.iter_expressions())) if child is not with_
            ]
            waiting += reversed(inner)

    def _expressions(
        self,
        with_: Any,
        names: frozenset[str],
        aliases: frozenset[str],
        inner: list[tuple[Any, frozenset[str], frozenset[str]]],
    ) -> frozenset[str]:
        """Queue the common table expressions, each with the names that it may use, and return the names for the query."""
        own = [self.folded(cte.args["alias"].this) for cte in with_.expressions]
        recursive = self._recursive or bool(with_.args.get("recursive"))
        whole = names.union(own)
        for at, cte in enumerate(with_.expressions):
            inner.append((cte.this, whole if recursive else names.union(own[:at]), aliases))
        return whole

    def _visible(self, select: Any, outer: frozenset[str], sources: dict[int, frozenset[str]]) -> frozenset[str]:
        """Note for each table of FROM which aliases come before it, and return all of them."""
        clause = select.args.get("from_") or select.args.get("from")
        tables = [clause.this] if clause is not None else []
        tables += [join.this for join in select.args.get("joins") or ()]
        before = outer
        for table in tables:
            sources[id(table)] = before
            before |= {str(table.alias_or_name).lower()}
        return before

    def _name(self, table: Any, names: frozenset[str], aliases: frozenset[str]) -> Iterator[TableName]:
        from sqlglot import exp

        parts = [part for key in ("catalog", "db", "this") if (part := table.args.get(key)) is not None]
        if not all(isinstance(part, exp.Identifier) for part in parts):
            yield from _named_by_text(table.this)
            return
        if len(parts) == 1:
            if self.folded(parts[0]) in names:
                return
        elif self._arrays and parts[0].name.lower() in aliases:
            return
        yield TableName(tuple(part.name for part in parts), any(part.args.get("quoted") for part in parts))


def _named_by_text(function: Any) -> Iterator[TableName]:
    from sqlglot import exp

    named = isinstance(function, exp.Anonymous) and str(function.this).upper() in _BY_TEXT
    if named or type(function).__name__ == "DynamicIdentifier":  # since sqlglot 29
        for literal in function.find_all(exp.Literal):
            if literal.is_string:
                table = exp.to_table(literal.this)
                yield TableName(tuple(part.name for part in table.parts))

"""Finds the tables that SQL reads, in the dialect of its database. sqlglot parses it, and is imported only when a query is parsed."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .model import Connection
from .sql_rule import names_by_rule

__all__ = ["Parsed", "TableName", "dialect_of", "quiet_sqlglot", "tables_of"]

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
_BY_TEXT = ("QUERY_TABLE", "IDENTIFIER", "TABLE_CHANGES")
"""The table functions that take the name of a table as text."""
_QUERY = "QUERY"
"""The table function that takes a query as text."""
_MODELS = ("Predict", "MLForecast", "MLTranslate", "GenerateEmbedding", "AIForecast", "FeaturesAtTime")
"""The functions of BigQuery whose first argument is a model."""
_TEMPORARY = re.compile(
    r"\s*(?:LOCAL\s+|GLOBAL\s+)?TEMP(?:ORARY)?\s+(?:TABLE|VIEW)\s+(?:IF\s+NOT\s+EXISTS\s+)?(\"[^\".]+\"|\w+)(?!\s*\.)\b",
    re.IGNORECASE,
)
"""The name of a temporary table in a statement that sqlglot does not parse."""


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
    from sqlglot import exp

    try:
        statements = _statements(sql, dialect)
    except Exception as error:  # of sqlglot, whose parsers raise any for SQL that they do not expect
        place = (getattr(error, "errors", None) or [{}])[0]
        reason = str(place.get("description") or error or type(error).__name__).partition("\n")[0]
        return Parsed(_by_rule(sql), reason, place.get("line"))
    found: dict[TableName, None] = {}
    problem, problem_line, created = "", None, frozenset[str]()
    for number, statement in enumerate(statements):
        walk = _Walk(dialect)
        if isinstance(statement, exp.Command):
            names = [
                name for name in _by_rule(f" {statement.sql(dialect=dialect or None)}") if not walk.hides(name, created)
            ]
            if names and not problem:
                problem = f"the statement {statement.name.upper()} is not understood"
                problem_line = _first_line(sql, dialect, number)
            found.update(dict.fromkeys(names))
            temporary = (
                _TEMPORARY.match(str(statement.expression or "")) if statement.name.upper() == "CREATE" else None
            )
            if temporary is not None:
                created |= {walk.folded(exp.to_identifier(temporary[1].strip('"'), quoted=temporary[1][0] == '"'))}
            continue
        found.update(dict.fromkeys(walk.tables(statement, created)))
        if isinstance(statement, exp.Create):
            target = statement.this.find(exp.Table) if statement.this is not None else None
            if target is not None and not target.db:
                created |= {walk.folded(target.this)}
    return Parsed(tuple(found), problem, problem_line)


def _statements(sql: str, dialect: str) -> list[Any]:
    """Return the statements of SQL. The warnings of sqlglot name neither file nor line; ours do."""
    from sqlglot import parse

    with quiet_sqlglot():
        return [statement for statement in parse(sql, dialect=dialect or None) if statement is not None]


@contextmanager
def quiet_sqlglot() -> Iterator[None]:
    """While this block is open, sqlglot logs no warnings."""
    logger = logging.getLogger("sqlglot")

    def refuse(record: logging.LogRecord) -> bool:
        return record.levelno > logging.WARNING

    logger.addFilter(refuse)
    try:
        yield
    finally:
        logger.removeFilter(refuse)


def _first_line(sql: str, dialect: str, number: int) -> int | None:
    """Return the line in which a statement begins."""
    from sqlglot import Dialect, TokenType

    begins: list[int] = []
    fresh = True
    for token in Dialect.get_or_raise(dialect or None).tokenize(sql):
        if token.token_type == TokenType.SEMICOLON:
            fresh = True
        elif fresh:
            begins.append(token.line)
            fresh = False
    return begins[number] if number < len(begins) else None


def _by_rule(sql: str) -> tuple[TableName, ...]:
    return tuple(TableName(parts) for parts in names_by_rule(sql))


class _Walk:
    """Walks a statement from the outside to the inside, with the names that are visible at each place."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
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

    def hides(self, name: TableName, names: frozenset[str]) -> bool:
        """Return whether a name that was found by the rule means a temporary table."""
        word = name.parts[0]
        return len(name.parts) == 1 and (word.upper() if self._upper else word.lower()) in names

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
            exp.Copy,
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
            if isinstance(node, writing) and not (isinstance(node, exp.Copy) and not node.args.get("kind")):
                written.update(map(id, _targets(node)))
            elif type(node).__name__ in _MODELS:
                written.add(id(node.this))
            if self._arrays and isinstance(node, exp.Select):
                aliases = self._visible(node, aliases, sources)
            if isinstance(node, exp.TableFromRows) and node.this.is_string:
                yield from _table_of(node.this.this)
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

        if table.args.get("db") == "":  # database..table, in the default schema
            table = exp.Table(this=table.this)
        parts = [part for key in ("catalog", "db", "this") if (part := table.args.get(key)) is not None]
        if not all(isinstance(part, exp.Identifier) for part in parts):
            yield from self._named_by_text(table.this)
            return
        if len(parts) == 1:
            if self.folded(parts[0]) in names:
                return
        elif self._arrays and parts[0].name.lower() in aliases:
            return
        yield TableName(tuple(part.name for part in parts), any(part.args.get("quoted") for part in parts))

    def _named_by_text(self, function: Any) -> Iterator[TableName]:
        from sqlglot import exp

        word = str(function.this).upper() if isinstance(function, exp.Anonymous) else type(function).__name__
        if word in (*_BY_TEXT, "DynamicIdentifier"):  # the latter since sqlglot 29
            for literal in function.find_all(exp.Literal):
                if literal.is_string:
                    yield from _table_of(literal.this)
        elif word == _QUERY and len(function.expressions) == 1 and function.expressions[0].is_string:
            yield from tables_of(function.expressions[0].this, self._dialect).tables


def _table_of(text: str) -> Iterator[TableName]:
    from sqlglot import exp

    table = exp.to_table(text)
    yield TableName(tuple(part.name for part in table.parts))


def _targets(node: Any) -> Iterator[Any]:
    """Return the tables that a statement writes."""
    from sqlglot import exp

    named = [
        node.this,
        *(node.args.get("tables") or ()),
        *(node.expressions if isinstance(node, exp.TruncateTable) else ()),
    ]
    for one in named:
        if isinstance(one, exp.Expression):
            target = one if isinstance(one, exp.Table) else one.find(exp.Table)
            if target is not None:
                yield target

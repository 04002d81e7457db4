"""Completes the table names of a query as Starlake does: bare names, and names that ``refs.sl.yml`` matches.

A bare name means the only table of the project with that name, among loads and transforms. A name that no table or several tables have is left
unchanged, and so are quoted names and the names of common table expressions, functions and aliases. sqlglot finds the tables of a query. It is
imported only if the query has a bare name, or the project has references. Source: ``SQLUtils.resolveTableRefInDomainsAndJobs`` and ``Ref.scala`` of
Starlake.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import JavaPatternError
from .java_patterns import JavaPattern, java_pattern
from .reader import Reader
from .schema import InputRef, OutputRef, RefsFile
from .sql_text import without_literals

__all__ = ["Reference", "bare_names", "read_references", "replaced_names"]

_log = logging.getLogger(__name__)

_TOKEN = re.compile(r"[^\W\d]\w*|[^\s\w]|\d\w*")
_ENDS_FROM = frozenset({
    "except", "fetch", "group", "having", "insert", "intersect", "limit", "offset", "order", "qualify", "returning", "select", "set", "union",
    "values", "where", "window",
})  # fmt: skip
_TAKE_FROM = frozenset({"extract", "overlay", "position", "substring", "trim"})
_NO_TABLE = frozenset(["from", "join", "lateral", "only", "select", "unnest", "values", "with"])
_CTE = re.compile(
    r"([^\W\d]\w*)\s*(?:\([^()]*\)\s*)?\bas\s*(?:(?:not\s+)?materialized\s*)?\(\s*(?:select|with|from|values|insert|update|delete)\b",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Reference:
    """An entry of ``refs.sl.yml``: patterns for the parts of a name, last part first, and the table that such a name means.

    Attributes:
        parts: the patterns for table, domain and database; a name with a different number of parts does not match.
        database, domain, table: the table; may contain ``SL_THIS_DATABASE``, ``SL_THIS_DOMAIN`` and ``SL_THIS_TABLE``.
    """

    parts: tuple[JavaPattern, ...]
    database: str
    domain: str
    table: str

    def named(self, name: Sequence[str]) -> tuple[str, ...] | None:
        """Return the complete name for a name, or None if the entry does not match it."""
        given = tuple(reversed(name))
        if len(given) != len(self.parts) or not all(
            pattern.matches(part) for pattern, part in zip(self.parts, given, strict=True)
        ):
            return None
        this = dict(zip(("SL_THIS_TABLE", "SL_THIS_DOMAIN", "SL_THIS_DATABASE"), (*given, "", ""), strict=False))
        parts = []
        for text in (self.database, self.domain, self.table):
            for word, value in this.items():
                text = text.replace(word, value)
            parts.append(text)
        return tuple(part for part in parts if part)


def read_references(path: Path, reader: Reader) -> tuple[Reference, ...]:
    """Return the entries of ``refs.sl.yml`` in order. The first match wins.

    Args:
        path: the path of the file.
        reader: the reader of the project.

    Raises:
        ProjectError: a pattern is invalid, or a part is missing.
    """
    found = []
    for number, entry in enumerate(reader.read(path, RefsFile).refs or ()):
        where = ("refs", number)
        given, meant = entry.input or InputRef(), entry.output or OutputRef()
        texts = [given.table or ".*", given.domain, given.database]
        if given.database and not given.domain:
            raise reader.wrong(
                path, RefsFile, (*where, "input"), "the input has a database but no domain; add input.domain"
            )
        if not meant.table:
            raise reader.wrong(path, RefsFile, where, "output.table is missing; add the name of the table")
        try:
            parts = tuple(java_pattern(text) for text in texts if text)
        except JavaPatternError as error:
            raise reader.wrong(path, RefsFile, (*where, "input"), str(error)) from error
        found.append(Reference(parts, meant.database or "", meant.domain or "", meant.table))
    return tuple(found)


def bare_names(sql: str) -> frozenset[str]:
    """Return the names, in lower case, that may be tables without a domain. A quick scan, which finds too many rather than too few."""
    code = without_literals(sql)
    tokens = [(found[0].lower(), found.start()) for found in _TOKEN.finditer(code)]
    words = [word for word, _ in tokens]
    found: dict[str, list[int]] = {}
    levels = [(False, False)]  # for each open parenthesis: in the tables of a query, and in a function that takes FROM
    wanted = False
    for at, (word, start) in enumerate(tokens):
        in_from, takes_from = levels[-1]
        if word == "(":
            levels.append((wanted, at > 0 and words[at - 1] in _TAKE_FROM))
            continue
        if word == ")":
            if len(levels) > 1:
                levels.pop()
        elif word in ("from", "join"):
            wanted = not takes_from and not (
                word == "from" and at > 1 and words[at - 1] == "distinct" and words[at - 2] in ("is", "not")
            )
            levels[-1] = (in_from or wanted, takes_from)
            continue
        elif word == "," and in_from:
            wanted = True
            continue
        elif word in _ENDS_FROM:
            levels[-1] = (False, takes_from)
        elif (
            wanted and word[0].isidentifier() and word not in _NO_TABLE and words[at + 1 : at + 2] not in (["."], ["("])
        ):
            found.setdefault(word, []).append(start)
        wanted = wanted and word in ("lateral", "only")
    return frozenset(found) - _only_expressions(code, found)


def _only_expressions(code: str, uses: Mapping[str, Sequence[int]]) -> set[str]:
    """Return the names that can only be common table expressions: defined outside of parentheses, and only used after their definition."""
    certain: set[str] = set()
    for found in _CTE.finditer(code):
        name = found[1].lower()
        if name not in uses or code.count("(", 0, found.start()) != code.count(")", 0, found.start()):
            continue
        level, end = 1, found.end()
        while end < len(code) and level:
            level += {"(": 1, ")": -1}.get(code[end], 0)
            end += 1
        if all(start >= end for start in uses[name]):
            certain.add(name)
    return certain


def replaced_names(
    sql: str, tables: Mapping[str, Iterable[tuple[str, str]]], references: Sequence[Reference], path: Path
) -> str:
    """Return the query with complete table names; every other character is unchanged.

    Args:
        sql: one or more statements.
        tables: the domain and name of each table, by its name in lower case.
        references: the references of the project.
        path: the file of the query, for messages.
    """
    from sqlglot.errors import SqlglotError

    try:
        changes = dict(_changes(sql, tables, references, path))
    except (SqlglotError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        _log.warning("%s: the query cannot be parsed, so table names are left unchanged: %s", path, reason)
        return sql
    for (start, end), name in sorted(changes.items(), reverse=True):
        sql = sql[:start] + name + sql[end:]
    return sql


def _changes(
    sql: str, tables: Mapping[str, Iterable[tuple[str, str]]], references: Sequence[Reference], path: Path
) -> Iterator[tuple[tuple[int, int], str]]:
    from sqlglot import exp, parse
    from sqlglot.optimizer.scope import traverse_scope

    for statement in parse(sql, dialect="duckdb"):
        query = statement.find(exp.Query) if statement is not None else None
        for scope in traverse_scope(query) if query is not None else ():
            for table in scope.tables:
                whole = _meant(table, scope, tables, references, path)
                if whole is not None:
                    yield _span(table), ".".join(_quoted(part) for part in whole)


def _identifiers(table: Any) -> list[Any]:
    return [
        part for part in (table.args.get("catalog"), table.args.get("db"), table.args.get("this")) if part is not None
    ]


def _span(table: Any) -> tuple[int, int]:
    parts = _identifiers(table)
    return parts[0].meta["start"], parts[-1].meta["end"] + 1


def _meant(
    table: Any,
    scope: Any,
    tables: Mapping[str, Iterable[tuple[str, str]]],
    references: Sequence[Reference],
    path: Path,
) -> tuple[str, ...] | None:
    from sqlglot import exp

    parts = _identifiers(table)
    if not all(isinstance(part, exp.Identifier) and not part.quoted and "start" in part.meta for part in parts):
        return None  # a function, a literal such as 'file.csv', or a name in quotes
    name = [part.name for part in parts]
    if len(name) == 1 and name[0].lower() in {cte.lower() for cte in scope.cte_sources}:
        return None
    for reference in references:
        whole = reference.named(name)
        if whole is not None:
            return whole
    if len(name) > 1:
        return None
    found = sorted({(domain.lower(), domain) for domain, _ in tables.get(name[0].lower(), ())})
    if len({lower for lower, _ in found}) > 1:
        known = ", ".join(f"{domain}.{name[0]}" for _, domain in found)
        _log.warning(
            "%s: the table %s may be any of %s, so its name is left unchanged; write its domain as well",
            path,
            name[0],
            known,
        )
        return None
    return (found[0][1], name[0]) if found else None


def _quoted(part: str) -> str:
    return part if _PLAIN.fullmatch(part) else '"' + part.replace('"', '""') + '"'

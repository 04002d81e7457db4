"""The rule by which the command line of Starlake finds the tables of a query: two regular expressions, whatever the SQL means.

A comment, a literal or a common table expression can look like a table to it. Source: ``SqlParser`` of Starlake.
"""

from __future__ import annotations

import re

__all__ = ["names_by_rule"]

_FROM = re.compile(r"\s+FROM\s+([_\-a-z0-9`./(]+\s*[ _,a-z0-9`./(]*)", re.IGNORECASE | re.ASCII)
_JOIN = re.compile(r"\s+JOIN\s+([_\-a-z0-9`./]+)", re.IGNORECASE | re.ASCII)


def names_by_rule(sql: str) -> tuple[tuple[str, ...], ...]:
    """Return the names that the rule finds, each as its parts, without repetition: those after FROM, and then those after JOIN.

    Args:
        sql: the query, rendered.
    """
    words = [part.split() for found in _FROM.finditer(sql) for part in found[1].split(",")]
    names = [word[0] for word in words if word and "(" not in word[0]]
    names += [found[1] for found in _JOIN.finditer(sql)]
    parts = (tuple(part for part in name.replace("`", "").split(".") if part) for name in names)
    return tuple(dict.fromkeys(found for found in parts if found))

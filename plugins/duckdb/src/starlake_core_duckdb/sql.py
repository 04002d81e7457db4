"""Helpers that build the SQL of this engine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .errors import ProjectFault

__all__ = ["Parameters", "identifier", "qualified", "sql_type"]

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_ ]*(\(\s*\d+\s*(,\s*\d+\s*)?\))?(\[\])*")


def identifier(name: str) -> str:
    """A name quoted for SQL.

    >>> identifier("orders")
    '"orders"'

    Raises:
        ProjectFault: the name is empty or holds a NUL character.
    """
    if not name or "\0" in name:
        raise ProjectFault(f"{name!r} cannot be the name of a table or a column")
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, table: str) -> str:
    """Schema and table quoted for SQL."""
    return f"{identifier(schema)}.{identifier(table)}"


def sql_type(text: str, where: str) -> str:
    """A type name from the project, checked, because types cannot be parameters.

    Raises:
        ProjectFault: it is not just the name of a type.
    """
    if not _TYPE.fullmatch(text.strip()):
        raise ProjectFault(f"{where}: {text!r} is not the name of a DuckDB type such as VARCHAR or DECIMAL(10, 2)")
    return text.strip()


@dataclass
class Parameters:
    """Collects the values of a statement; a value never becomes part of the SQL itself."""

    values: dict[str, object] = field(default_factory=dict)

    def add(self, value: object) -> str:
        """Keep a value and return its placeholder."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"${name}"

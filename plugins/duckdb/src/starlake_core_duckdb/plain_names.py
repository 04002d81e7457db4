"""The names of columns that Starlake cannot use: it does not quote them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .casting import Column
from .driver import duckdb
from .errors import ProjectFault

__all__ = ["refuse_unquoted_names", "reserved_words"]

_PLAIN = re.compile(r"[^\W\d][\w$]*")
_NEW = ("at",)
"""Words that are reserved in the DuckDB of Starlake, and may not be in the one that is installed."""


def reserved_words(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The words, in lower case, that cannot be names of columns without quotes."""
    words = connection.execute(
        "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category IN ('reserved', 'type_function')"
    ).fetchall()
    return frozenset({*_NEW, *(word for (word,) in words)})


def refuse_unquoted_names(connection: duckdb.DuckDBPyConnection, what: str, columns: Sequence[Column]) -> None:
    """Refuse a table with a column whose name would have to be quoted, as Starlake does.

    Args:
        what: the table, for the message.

    Raises:
        ProjectFault: there is such a column.
    """
    reserved = reserved_words(connection)
    wrong = [
        name
        for column in columns
        for name in dict.fromkeys((column.name, column.attribute.name))
        if "." in name or (name == column.name and (not _PLAIN.fullmatch(name) or name.lower() in reserved))
    ]
    if wrong:
        raise ProjectFault(
            f"{what}: Starlake cannot use the column {', '.join(map(repr, wrong))}, because its name is not quoted; "
            "rename it, or unset SL_DUCKDB_COMPAT"
        )

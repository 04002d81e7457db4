"""What Dagster shows of a table that the project describes: its columns, owners, tags, SQL and name in the warehouse."""

from __future__ import annotations

import re
from typing import Any

from dagster import MetadataValue, TableColumn, TableColumnConstraints, TableConstraints, TableSchema

from starlake_core import TableDetails
from starlake_core.masking import mask_text
from starlake_core.plain_text import plain

__all__ = ["details_metadata", "owners_of", "plain_lines"]

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
_NOT_IN_TEAM = re.compile(r"[^A-Za-z0-9_]+")


def owners_of(details: TableDetails) -> list[str]:
    """The owners as Dagster takes them: addresses, and anything else as a team.

    Args:
        details: what the project says about the table.
    """
    return [
        owner if _EMAIL.fullmatch(owner) else f"team:{_NOT_IN_TEAM.sub('_', owner.removeprefix('team:'))}"
        for owner in details.owners
    ]


def details_metadata(details: TableDetails) -> dict[str, Any]:
    """The metadata of the asset of a table, under the names that Dagster shows in places of their own.

    Args:
        details: what the project says about the table.
    """
    found: dict[str, Any] = {}
    if details.columns:
        found["dagster/column_schema"] = _schema(details)
    if details.table:
        found["dagster/table_name"] = ".".join(part for part in (details.database, details.table) if part)
    if details.sql:
        sql = plain_lines(details.sql)
        fence = "`" * (2 + max([1, *map(len, re.findall("`+", sql))]))
        found["sql"] = MetadataValue.md(f"{fence}sql\n{sql}\n{fence}")
    if details.strategy:
        found["write_strategy"] = details.strategy
    if details.checks:
        found["checks"] = MetadataValue.json({check.name: plain_lines(check.text) for check in details.checks})
    return found


def plain_lines(text: str) -> str:
    """A string of the project without secrets and control characters; line breaks stay.

    Args:
        text: the string.
    """
    return "\n".join(plain(line) for line in mask_text(text).split("\n"))


def _schema(details: TableDetails) -> TableSchema:
    keys = [column.name for column in details.columns if column.key]
    return TableSchema(
        columns=[
            TableColumn(
                column.name,
                column.type or "string",
                plain_lines(column.description) or None,
                TableColumnConstraints(nullable=not column.required),
                dict.fromkeys(column.tags, ""),
            )
            for column in details.columns
        ],
        constraints=TableConstraints(other=[f"primary key ({', '.join(keys)})"]) if keys else None,
    )

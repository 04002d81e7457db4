"""What Dagster shows of a table that the project describes: its columns, owners, tags, SQL and name in the warehouse."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from dagster import MetadataValue, TableColumn, TableColumnConstraints, TableConstraints, TableSchema

from starlake_core import Column, TableDetails, Task, Written
from starlake_core.masking import mask_text
from starlake_core.plain_text import plain
from starlake_core.runtime import Outcome

try:
    from dagster import FreshnessPolicy as _FreshnessPolicy
except ImportError:  # Dagster 1.11 has no policy of this name
    _FreshnessPolicy = None  # type: ignore[assignment,misc]

__all__ = ["details_metadata", "freshness_of", "owners_of", "plain_lines", "written_by", "written_metadata"]

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
_SHORTEST = 60
"""The shortest time, in seconds, after which Dagster lets something count as old."""
_UNKNOWN_TYPE = "?"
"""What dagster-dbt shows, too. Dagster's default would be a string."""
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


def freshness_of(details: TableDetails) -> dict[str, Any]:
    """The keyword of :class:`dagster.AssetSpec` for when a table counts as old; none for what Dagster, or this version of it, does not take.

    Args:
        details: what the project says about the table.
    """
    warn, error = details.warn_after, details.error_after
    make = getattr(_FreshnessPolicy, "time_window", None)
    if make is None or error < _SHORTEST:
        return {}
    early = timedelta(seconds=warn) if _SHORTEST <= warn < error else None
    return {"freshness_policy": make(fail_window=timedelta(seconds=error), warn_window=early)}


def details_metadata(details: TableDetails) -> dict[str, Any]:
    """The metadata of the asset of a table, under the names that Dagster shows in places of their own.

    Args:
        details: what the project says about the table.
    """
    found: dict[str, Any] = {}
    if details.columns:
        found["dagster/column_schema"] = _schema(details.columns)
    if details.table:
        found["dagster/table_name"] = _table_name(details)
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


def _schema(columns: Sequence[Column]) -> TableSchema:
    keys = [column.name for column in columns if column.key]
    return TableSchema(
        columns=[
            TableColumn(
                column.name,
                column.type or _UNKNOWN_TYPE,
                plain_lines(column.description) or None,
                TableColumnConstraints(nullable=not column.required),
                dict.fromkeys(column.tags, ""),
            )
            for column in columns
        ],
        constraints=TableConstraints(other=[f"primary key ({', '.join(keys)})"]) if keys else None,
    )


def written_by(task: Task, outcome: Outcome) -> Written | None:
    """What an attempt of a task wrote to its table; None if the environment does not say.

    Args:
        task: the task.
        outcome: how the attempt ended.
    """
    names = {task.details.name} if task.details is not None else set()
    names.update(dataset.sink for dataset in task.outlets)
    named = [written for written in outcome.written if written.table in names]
    return named[0] if named else outcome.written[0] if len(outcome.written) == 1 else None


def written_metadata(written: Written | None, details: TableDetails | None) -> dict[str, Any]:
    """The metadata of a materialisation: when it was, and what is known of the rows and columns, under Dagster's names.

    Args:
        written: what was written; None if that is not known.
        details: what the project says about the table; None if that is not known.
    """
    found: dict[str, Any] = {"dagster/last_updated_timestamp": MetadataValue.timestamp(time.time())}
    if details is not None and details.table:
        found["dagster/table_name"] = _table_name(details)
    if written is None:
        return found
    if written.place:
        found.setdefault("dagster/table_name", written.place)
    for name, number in (
        ("dagster/row_count", written.rows),
        ("rows accepted", written.accepted),
        ("rows rejected", written.rejected),
    ):
        if number is not None:
            found[name] = number
    if written.columns:
        described = {column.name.lower(): column for column in details.columns} if details is not None else {}
        found["dagster/column_schema"] = _schema(
            [
                replace(described.get(column.name.lower(), column), name=column.name, type=column.type)
                for column in written.columns
            ]
        )
    return found


def _table_name(details: TableDetails) -> str:
    return ".".join(part for part in (details.database, details.table) if part)

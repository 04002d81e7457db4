"""What an attempt wrote: rows, columns, and the results of the conditions that it checked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .details import Column

__all__ = ["CheckResult", "Written", "WrittenLines"]

_LINE = "starlake_core:written "
_COUNTERS = "IngestionCounters:"
"""Starlake's own line, if ``SL_API`` is set."""
_MOST = 10_000


@dataclass(frozen=True)
class CheckResult:
    """The result of a condition that a command checked on the rows of a table.

    Attributes:
        text: the condition as written.
        passed: whether it holds.
        fails: whether the command fails if it does not.
        found: what the check found, such as its first row.
    """

    text: str
    passed: bool
    fails: bool = False
    found: str = ""


@dataclass(frozen=True)
class Written:
    """What an attempt wrote to one table. What is not known is None or empty.

    Attributes:
        table: the table, as ``domain.table``; empty if the command writes only one.
        place: the name of the table in the warehouse, as ``schema.table``.
        accepted: the number of rows that it wrote.
        rejected: the number of rows that it rejected.
        rows: the number of rows in the table afterwards.
        columns: the columns of the table afterwards, each with its name and type.
        checks: the results of the conditions that it checked, in their order.
    """

    table: str = ""
    place: str = ""
    accepted: int | None = None
    rejected: int | None = None
    rows: int | None = None
    columns: tuple[Column, ...] = ()
    checks: tuple[CheckResult, ...] = ()

    def to_line(self) -> str:
        """Return the line of output with which a program tells it to its :class:`.ProcessRunner`."""
        values: dict[str, Any] = {name: value for name, value in vars(self).items() if value not in (None, (), "")}
        if self.columns:
            values["columns"] = [[column.name, column.type] for column in self.columns]
        if self.checks:
            values["checks"] = [asdict(check) for check in self.checks]
        return _LINE + json.dumps(values, sort_keys=True)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Written:
        """Return what plain values describe, as JSON has them.

        Args:
            values: the attributes by name.

        Raises:
            TypeError, ValueError, KeyError, AttributeError: they describe nothing of this kind.
        """
        given = dict(values)
        columns, checks = given.pop("columns", ()), given.pop("checks", ())
        for name in ("accepted", "rejected", "rows"):
            if given.get(name) is not None:
                given[name] = int(given[name])
        return cls(
            **given,
            columns=tuple(map(_column, columns)),
            checks=tuple(CheckResult(**check) for check in checks),
        )


class WrittenLines:
    """Collects what a program tells in its output."""

    def __init__(self) -> None:
        self._told: list[Written] = []
        self._counted: list[Written] = []

    def take(self, line: str) -> bool:
        """Look at a line of output. Return whether it is only for this purpose, and not to be shown.

        Args:
            line: the line.
        """
        own = line.startswith(_LINE)
        if not own and not line.startswith(_COUNTERS):
            return False
        found = _parsed(line.removeprefix(_LINE)) if own else _counted(line.removeprefix(_COUNTERS))
        kept = self._told if own else self._counted
        if found is not None and len(kept) < _MOST:
            kept.append(found)
        return own and found is not None

    @property
    def found(self) -> tuple[Written, ...]:
        """What the program reports. Starlake's counters, which name no table, count only if there is nothing else."""
        return tuple(_latest(self._told)) or tuple(self._counted)


def _latest(told: Iterable[Written]) -> Iterable[Written]:
    """The last of each table: a command may be sent again."""
    return {written.table: written for written in told}.values()


def _column(values: Any) -> Column:
    if not isinstance(values, Mapping):
        name, type_ = map(str, values)
        return Column(name, type_)
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return Column(**given)


def _parsed(text: str) -> Written | None:
    try:
        values = json.loads(text)
        return Written.from_values(values) if isinstance(values, dict) else None
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


def _counted(text: str) -> Written | None:
    try:
        values = json.loads(text)
        return Written(accepted=int(values["acceptedCount"]), rejected=int(values["rejectedCount"]))
    except (TypeError, ValueError, KeyError):
        return None

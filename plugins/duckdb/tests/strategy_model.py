"""What the write strategies do to a list of rows, written down naively, for a property test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlake_core_duckdb.strategies import Strategy

__all__ = ["Model", "Row"]

Row = dict[str, Any]


def _older(left: Any, right: Any) -> bool:
    """Whether one timestamp is before another; one that is missing is before all."""
    return right is not None and (left is None or left < right)


def _strictly_older(left: Any, right: Any) -> bool:
    return left is not None and right is not None and left < right


@dataclass
class Model:
    """A table.

    Attributes:
        rows: its rows. Those of SCD2 have ``first``, whether they have no start, and ``open``, whether they have no end.
        created: whether the table exists.
    """

    rows: list[Row] = field(default_factory=list)
    created: bool = False

    def load(self, strategy: Strategy, new: Sequence[Row]) -> None:
        """Write the rows of a file.

        Args:
            strategy: the strategy.
            new: the rows, in the order of the file.
        """
        writers: dict[str, Callable[[Strategy, list[Row]], None]] = {
            "APPEND": lambda strategy, new: self.rows.extend(new),
            "OVERWRITE": self._overwrite,
            "OVERWRITE_BY_PARTITION": self._partitions,
            "DELETE_THEN_INSERT": self._replace,
            "UPSERT_BY_KEY": lambda strategy, new: self._replace(strategy, _reduced(strategy, new)),
            "UPSERT_BY_KEY_AND_TIMESTAMP": lambda strategy, new: self._newest(strategy, _reduced(strategy, new)),
            "SCD2": self._versions,
        }
        writers[strategy.type](strategy, [dict(row) for row in new])
        self.created = True

    def _overwrite(self, strategy: Strategy, new: list[Row]) -> None:
        self.rows = new

    def _partitions(self, strategy: Strategy, new: list[Row]) -> None:
        replaced = {tuple(row[name] for name in strategy.partition) for row in new}
        if strategy.compat:
            replaced = {partition for partition in replaced if None not in partition}
        kept = [row for row in self.rows if tuple(row[name] for name in strategy.partition) not in replaced]
        self.rows = kept + new

    def _replace(self, strategy: Strategy, new: list[Row]) -> None:
        keys = {_key(strategy, row) for row in new} - {None}
        self.rows = [row for row in self.rows if _key(strategy, row) not in keys] + new

    def _newest(self, strategy: Strategy, new: list[Row]) -> None:
        time = strategy.timestamp
        if strategy.compat:
            self.rows = [
                old
                for old in self.rows
                if not any(_same(strategy, old, row) and _strictly_older(old[time], row[time]) for row in new)
            ]
            self.rows += [
                row
                for row in new
                if not any(_same(strategy, old, row) and _strictly_older(row[time], old[time]) for old in self.rows)
            ]
            return
        kept = [
            row
            for row in new
            if not any(_same(strategy, old, row) and _older(row[time], old[time]) for old in self.rows)
        ]
        self._replace(strategy, kept)

    def _versions(self, strategy: Strategy, new: list[Row]) -> None:
        time = strategy.timestamp
        for row in new:
            row.update(first=not self.created, open=True)
        if strategy.on_source or time is None:
            new = _reduced(strategy, new, always=True)
        newer = []
        for row in new:
            current = [old for old in self.rows if old["open"] and _same(strategy, old, row)]
            if all(_is_newer(strategy, row, old) for old in current):
                newer.append(row)
        for old in self.rows:
            old["open"] = old["open"] and not any(_same(strategy, old, row) for row in newer)
        if not (strategy.compat or strategy.on_source or time is None):
            newer = _chained(strategy, newer)
        self.rows += newer


def _is_newer(strategy: Strategy, row: Row, old: Row) -> bool:
    time = strategy.timestamp
    if time is None:
        return any(row[name] != old[name] for name in row if name not in ("first", "open"))
    return (_strictly_older if strategy.compat else _older)(old[time], row[time])


def _chained(strategy: Strategy, new: list[Row]) -> list[Row]:
    """The versions of each row in their order: only the last one is open, and only the first one may have no start."""
    time = strategy.timestamp
    result = [row for row in new if _key(strategy, row) is None]
    for key in {_key(strategy, row) for row in new} - {None}:
        last = {row[time]: row for row in new if _key(strategy, row) == key}
        versions = [last[when] for when in sorted(last, key=lambda when: (when is not None, when))]
        for number, version in enumerate(versions):
            version["first"] = version["first"] and number == 0
            version["open"] = number == len(versions) - 1
        result += versions
    return result


def _key(strategy: Strategy, row: Row) -> tuple[Any, ...] | None:
    key = tuple(row[name] for name in strategy.key)
    return None if None in key else key


def _same(strategy: Strategy, left: Row, right: Row) -> bool:
    return _key(strategy, left) is not None and _key(strategy, left) == _key(strategy, right)


def _reduced(strategy: Strategy, new: list[Row], always: bool = False) -> list[Row]:
    """One new row of each key: the newest, and of several newest ones the last."""
    if strategy.compat and not strategy.on_source and not always:
        return new
    time = strategy.timestamp
    found: dict[Any, Row] = {}
    for number, row in enumerate(new):
        key = _key(strategy, row)
        name = ("no key", number) if key is None else key
        if name not in found or time is None or not _older(row[time], found[name][time]):
            found[name] = row
    return list(found.values())

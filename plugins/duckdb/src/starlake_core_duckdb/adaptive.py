"""Adaptive write strategies: each file chooses one of several, by its name, its size or a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec.structs import replace
from starlake_core_project import WriteStrategy, java_pattern

from .errors import EngineError
from .file_conditions import Condition, FileFacts, parse_condition
from .ingesting import Claimed
from .strategies import Strategy, checked_strategy

__all__ = ["Adaptive", "checked_load_strategy", "facts_of", "strategies_of"]

_UNITS = ("B", "Ko", "Mo", "Go", "To")
_NAMES: Mapping[str, type] = {
    **{f"fileSize{unit}": int for unit in ("", *_UNITS)},
    "dayOfWeek": int,
    "fileDayOfWeek": int,
    **{f"is{whose}{which}DayOfMonth": bool for whose in ("", "File") for which in ("First", "Last")},
}


@dataclass(frozen=True)
class Adaptive:
    """Several write strategies of one table, of which each file chooses one.

    Attributes:
        choices: the strategies, each with its condition.
        pattern: the pattern of the table; its groups are values of the conditions.
        what: the table, for messages.
    """

    choices: tuple[tuple[Condition, Strategy], ...]
    pattern: str
    what: str

    def chosen(self, name: str, path: Path, zone: str) -> Strategy:
        """The strategy of a file.

        Args:
            name: the name with which it came.
            path: where it is now.
            zone: the time zone in which days begin.

        Raises:
            EngineError: no condition is true of it, or several are.
        """
        facts = facts_of(self.pattern, name, path, datetime.now(ZoneInfo(zone)))
        found = [(condition, strategy) for condition, strategy in self.choices if condition.holds(facts)]
        if len(found) == 1:
            return found[0][1]
        conditions = ", ".join(f"{strategy.type}: {condition.text}" for condition, strategy in found or self.choices)
        none_or_all = (
            f"{len(found)} of the conditions of writeStrategy.types are"
            if found
            else "no condition of writeStrategy.types is"
        )
        raise EngineError(
            f"{self.what}: {none_or_all} true of the file {name} ({conditions}); exactly one has to be true of each file"
        )


def strategies_of(
    strategy: Strategy | Adaptive, files: Sequence[Claimed], zone: str
) -> list[tuple[Strategy, list[Claimed]]]:
    """The strategy of each file; files that follow each other and have the same strategy stay together.

    Args:
        strategy: what the table asks for.
        files: the files, in the order in which they are loaded.
        zone: the time zone in which days begin.

    Raises:
        EngineError: the conditions do not choose exactly one strategy for a file.
    """
    if isinstance(strategy, Strategy):
        return [(strategy, list(files))]
    found: list[tuple[Strategy, list[Claimed]]] = []
    for file in files:
        chosen = strategy.chosen(file.name, file.path, zone)
        if found and found[-1][0] == chosen:
            found[-1][1].append(file)
        else:
            found.append((chosen, [file]))
    return found


def facts_of(pattern: str, name: str, path: Path, now: datetime) -> FileFacts:
    """What the conditions may ask of a file.

    Args:
        pattern: the pattern of its table.
        name: the name with which it came.
        path: where it is.
        now: the present moment, in the time zone in which days begin.
    """
    found = java_pattern(pattern).matches(name)
    groups: dict[int | str, str | None] = {}
    if found is not None:
        groups.update(enumerate((found.text, *found.numbered)))
        groups.update(found.groups.items())
    status = path.stat()
    modified = datetime.fromtimestamp(status.st_mtime, now.tzinfo)
    sizes = {f"fileSize{unit}": status.st_size // 1024**power for power, unit in enumerate(_UNITS)}
    values: dict[str, int | bool] = {"fileSize": status.st_size, **sizes}
    for prefix, word, moment in (("dayOfWeek", "", now), ("fileDayOfWeek", "File", modified)):
        values[prefix] = moment.isoweekday()
        values[f"is{word}FirstDayOfMonth"] = moment.day == 1
        values[f"is{word}LastDayOfMonth"] = (moment.date() + timedelta(days=1)).day == 1
    return FileFacts(groups, values)


def checked_load_strategy(
    declared: WriteStrategy,
    primary_key: Sequence[str],
    renamed: Mapping[str, str],
    what: str,
    *,
    pattern: str,
    partition: Sequence[str],
    period: tuple[str, str],
    compat: bool,
) -> Strategy | Adaptive:
    """What a table asks for, complete: one strategy, or several of which each file chooses one.

    Args:
        declared: what the YAML says.
        primary_key: the key when the strategy has none of its own.
        renamed: attribute name to column name.
        what: the table, for messages.
        pattern: the pattern of the table.
        partition: the columns of ``sink.partition``.
        period: the columns of SCD2 if the strategy does not name its own.
        compat: whether to keep several rows of one key where Starlake does.

    Raises:
        ProjectFault: this engine cannot do it, or a condition, the key, the timestamp or the partition is missing or wrong.
    """

    def checked(strategy: WriteStrategy) -> Strategy:
        return checked_strategy(
            strategy, "APPEND", primary_key, renamed, what, partition=partition, period=period, compat=compat
        )

    if not declared.types:
        return checked(declared)
    compiled = java_pattern(pattern)
    groups = frozenset[int | str]((*range(compiled.group_count + 1), *compiled.group_names))
    choices = []
    for kind, text in declared.types.items():
        where = f"{what}, writeStrategy.types.{kind}"
        condition = parse_condition(text or "", _NAMES, groups, where)
        choices.append((condition, checked(replace(declared, type=kind.upper(), types=None))))
    return Adaptive(tuple(choices), pattern, what)

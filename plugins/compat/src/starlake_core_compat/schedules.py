"""What is loaded when, under the old names: values that a pipeline file may change until its pipeline is created."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from starlake_core import ScheduleError
from starlake_core import StarlakeDomain as CoreDomain
from starlake_core import StarlakeSchedule as CoreSchedule
from starlake_core import StarlakeTable as CoreTable
from starlake_core.model.schedule import read_cron

from .swallowed import warn_of_keywords

__all__ = [
    "Assignable",
    "StarlakeDomain",
    "StarlakeSchedule",
    "StarlakeSchedules",
    "StarlakeTable",
    "cron_or_none",
    "is_none",
]


def is_none(value: object) -> bool:
    """Whether a value is none: None, or the string that generators write for it, in any case."""
    return value is None or (isinstance(value, str) and value.strip().lower() in ("", "none"))


def cron_or_none(value: Any, what: str) -> str | None:
    """A cron expression; None for none.

    Args:
        value: the given value.
        what: the thing that has it, for the message.

    Raises:
        ScheduleError: it cannot be read.
    """
    if is_none(value):
        return None
    if not isinstance(value, str):
        raise ScheduleError(
            f"{what}: {value!r} is not a valid cron expression; write five fields such as '0 2 * * *', or None"
        )
    return read_cron(value)


class Assignable:
    """A frozen value of the core whose attributes a pipeline file may assign, as in the replaced package.

    An assigned value is read like an argument of the constructor. Its content changes, so it is compared by identity, and its hash stays.
    """

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, self.read(name, value))

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)

    def fill(self, **values: Any) -> None:
        """Assign several attributes, in their order.

        Args:
            **values: the values, by the names of the attributes.
        """
        for name, value in values.items():
            setattr(self, name, value)

    def read(self, name: str, value: Any) -> Any:
        """The value of an attribute, from what was assigned to it.

        Args:
            name: the name of the attribute.
            value: the assigned value.
        """
        return value


def _ordered(values: Any) -> list[Any]:
    """The given values as a list; a set has no order, and what a pipeline builds must not depend on hashes."""
    values = [values] if isinstance(values, (str, CoreTable, CoreDomain)) else values or ()
    if isinstance(values, (set, frozenset)):
        values = sorted(values, key=lambda value: value if isinstance(value, str) else value.name or "")
    return list(values)


class StarlakeTable(Assignable, CoreTable):
    """A table of a domain.

    Args:
        name: its logical name.
        final_name: its name in the warehouse; the logical name by default.
        **kwargs: have no effect and cause a warning.
    """

    def __init__(self, name: str, final_name: str | None = None, **kwargs: Any) -> None:
        warn_of_keywords(f"StarlakeTable({name!r})", kwargs, ("name", "final_name"))
        self.fill(name=name, final_name=name if is_none(final_name) else final_name)


class StarlakeDomain(Assignable, CoreDomain):
    """A domain and those of its tables that are loaded.

    Args:
        name: its logical name.
        final_name: its name in the warehouse; the logical name by default.
        tables: tables, or logical names of tables.
        **kwargs: have no effect and cause a warning.
    """

    def __init__(
        self, name: str, final_name: str | None = None, tables: Iterable[CoreTable | str] = (), **kwargs: Any
    ) -> None:
        warn_of_keywords(f"StarlakeDomain({name!r})", kwargs, ("name", "final_name", "tables"))
        self.fill(name=name, final_name=name if is_none(final_name) else final_name, tables=tables)

    def read(self, name: str, value: Any) -> Any:
        """Read tables, which may be given by their names."""
        if name == "tables":
            return [table if isinstance(table, CoreTable) else StarlakeTable(table) for table in _ordered(value)]
        return value


class StarlakeSchedule(Assignable, CoreSchedule):
    """Domains that are loaded together.

    Args:
        name: a part of the name of its pipeline; None, or the string ``None``, for no part.
        cron: five fields; None, or the string ``None``, to run on demand.
        domains: what is loaded.
        **kwargs: have no effect and cause a warning.

    Raises:
        ScheduleError: the cron expression cannot be read.
    """

    def __init__(
        self, name: str | None = None, cron: str | None = None, domains: Iterable[CoreDomain] = (), **kwargs: Any
    ) -> None:
        warn_of_keywords(f"StarlakeSchedule({name!r})", kwargs, ("name", "cron", "domains"))
        self.fill(name=name, cron=cron, domains=domains)

    def read(self, name: str, value: Any) -> Any:
        """Read ``None`` also from a string, and domains as a list."""
        if name == "name":
            return None if is_none(value) else value
        if name == "cron":
            return cron_or_none(value, f"schedule {self.name or ''}".strip())
        return _ordered(value) if name == "domains" else value


class StarlakeSchedules:
    """Several schedules, in their order.

    Args:
        schedules: the schedules.
        **kwargs: have no effect and cause a warning.

    Attributes:
        schedules: the schedules.
    """

    def __init__(self, schedules: Iterable[CoreSchedule], **kwargs: Any) -> None:
        warn_of_keywords("StarlakeSchedules()", kwargs, ("schedules",))
        self.schedules = list(schedules)

    def __repr__(self) -> str:
        return f"StarlakeSchedules({self.schedules!r})"

    def __iter__(self) -> Iterator[CoreSchedule]:
        return iter(self.schedules)

    def __getitem__(self, index: int) -> CoreSchedule:
        return self.schedules[index]

    def __len__(self) -> int:
        return len(self.schedules)

"""The keywords that every verb of a pipeline takes, and those that only the orchestrator understands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ..errors import CommandError, did_you_mean
from ..model.dataset import StarlakeDataset
from ..model.kinds import TriggerRule

__all__ = ["NO_ARGUMENTS", "TaskArguments", "read_task_arguments", "seconds"]


@dataclass(frozen=True)
class TaskArguments:
    """What a call of a verb says besides what it is for.

    Attributes:
        retries, retry_delay, timeout: see :class:`Task`; the options by default.
        pool: of slots; the option by default.
        params: for the task.
        trigger: when the task runs; that of the verb by default.
        inlets, outlets: datasets besides those of the verb.
        native: keywords of the orchestrator.
    """

    retries: int | None = None
    retry_delay: int | timedelta | None = None
    timeout: int | timedelta | None = None
    pool: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    trigger: TriggerRule | str | None = None
    inlets: Iterable[StarlakeDataset] = ()
    outlets: Iterable[StarlakeDataset] = ()
    native: Mapping[str, Any] = field(default_factory=dict)


_NAMES = frozenset(TaskArguments.__dataclass_fields__) - {"native"}
NO_ARGUMENTS = TaskArguments()


def read_task_arguments(
    verb: str, keywords: Mapping[str, Any], native: frozenset[str], orchestrator: str
) -> TaskArguments:
    """Read the keywords of a call.

    Args:
        verb: for messages, with the pipeline.
        keywords: as given.
        native: those that the orchestrator declares.
        orchestrator: its label, for messages.

    Raises:
        CommandError: nobody knows a keyword, or its value is not allowed.
    """
    if not keywords:
        return NO_ARGUMENTS
    known: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for name, value in keywords.items():
        if name in _NAMES:
            known[name] = value
        elif name in native:
            own[name] = value
        else:
            raise CommandError(
                f"{verb} does not take the keyword '{name}'; it takes {', '.join(sorted(_NAMES))}, and of {orchestrator}: "
                f"{', '.join(sorted(native)) or 'nothing more'}.{did_you_mean(name, _NAMES | native)}"
            )
    if not isinstance(known.get("params", {}), Mapping):
        raise CommandError(f"{verb}: params={known['params']!r} is not allowed; it takes a mapping")
    for name in ("inlets", "outlets"):
        if name in known:
            known[name] = _datasets(known[name], f"{verb}: {name}")
    retries = known.get("retries")
    if retries is not None and (isinstance(retries, bool) or not isinstance(retries, int) or retries < 0):
        raise CommandError(f"{verb}: retries={retries!r} is not allowed; it takes a whole number, not negative")
    if known.get("trigger") is not None:
        try:
            known["trigger"] = TriggerRule(known["trigger"])
        except ValueError:
            allowed = ", ".join(rule.value for rule in TriggerRule)
            raise CommandError(f"{verb}: trigger={known['trigger']!r} is not allowed; it is one of {allowed}") from None
    return TaskArguments(**known, native=own)


def _datasets(values: Any, what: str) -> tuple[StarlakeDataset, ...]:
    found = (values,) if isinstance(values, (StarlakeDataset, str)) else tuple(values)
    for value in found:
        if not isinstance(value, StarlakeDataset):
            raise CommandError(f"{what} holds {value!r}; it takes datasets: StarlakeDataset.table('domain', 'table')")
    return found


def seconds(value: int | timedelta | None, default: int | None, what: str) -> int | None:
    """A duration in seconds, or the default.

    Raises:
        CommandError: the value is no duration.
    """
    if value is None:
        return default
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number < math.inf:
        raise CommandError(f"{what}={value!r} is not allowed; it takes seconds or a timedelta, not negative")
    return math.ceil(number)

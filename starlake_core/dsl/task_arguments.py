"""The keyword arguments that every verb accepts, and those for the orchestrator."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ..errors import CommandError, RunError, did_you_mean
from ..model.command import StarlakeSparkConfig
from ..model.dataset import StarlakeDataset
from ..model.kinds import TriggerRule
from ..model.run_options import OPTIONS, POLICIES, read_policies, read_sections

__all__ = [
    "NO_ARGUMENTS",
    "TaskArguments",
    "check_factory",
    "check_own_arguments",
    "read_datasets",
    "read_task_arguments",
]


@dataclass(frozen=True)
class TaskArguments:
    """The common arguments of a call of a verb.

    Attributes:
        retries, retry_delay, timeout: see :class:`Task`; the options by default.
        pool: the pool of slots; the option by default.
        params: parameters for the task.
        trigger: when the task runs; depends on the verb by default.
        inlets, outlets: datasets in addition to those of the verb.
        extra: metadata for the events of its outlets, as JSON values; its ``sl_options`` reach the runs that they
            start.
        native: keyword arguments for the orchestrator.
    """

    retries: int | None = None
    retry_delay: int | None = None
    timeout: int | None = None
    pool: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    trigger: TriggerRule | None = None
    inlets: tuple[StarlakeDataset, ...] = ()
    outlets: tuple[StarlakeDataset, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    native: Mapping[str, Any] = field(default_factory=dict)


_NAMES = frozenset(TaskArguments.__dataclass_fields__) - {"native"}
NO_ARGUMENTS = TaskArguments()


def read_task_arguments(
    verb: str,
    keywords: Mapping[str, Any],
    native: frozenset[str] | None,
    orchestrator: str,
    advice_on: Callable[[str], str],
) -> TaskArguments:
    """Read the keyword arguments of a call.

    Args:
        verb: the verb and the pipeline, for messages.
        keywords: the keywords as given.
        native: the keywords that the orchestrator declares; None if it accepts all.
        orchestrator: its label, for messages.
        advice_on: tells what to write instead of a keyword that is refused.

    Raises:
        CommandError: a keyword is unknown, or its value is not allowed.
    """
    if not keywords:
        return NO_ARGUMENTS
    known: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for name, value in keywords.items():
        if name in _NAMES:
            known[name] = value
        elif native is None or name in native:
            own[name] = value
        else:
            raise CommandError(
                f"{verb} does not take the keyword '{name}'; it takes {', '.join(sorted(_NAMES))}, and of {orchestrator}: "
                f"{', '.join(sorted(native)) or 'nothing more'}.{advice_on(name) or did_you_mean(name, _NAMES | native)}"
            )
    if not isinstance(known.get("params", {}), Mapping):
        raise CommandError(f"{verb}: params={known['params']!r} is not allowed; use a mapping")
    known["extra"] = _read_extra(known.get("extra"), verb)
    for name in ("inlets", "outlets"):
        if name in known:
            known[name] = read_datasets(known[name], f"{verb}: {name}")
    if not isinstance(known.get("pool") or "", str):
        raise CommandError(f"{verb}: pool={known['pool']!r} is not allowed; use the name of a pool")
    for name in ("retry_delay", "timeout"):
        known[name] = seconds(known.get(name), None, f"{verb}: {name}")
    retries = known.get("retries")
    if retries is not None and (isinstance(retries, bool) or not isinstance(retries, int) or retries < 0):
        raise CommandError(f"{verb}: retries={retries!r} is not allowed; use a whole number, at least 0")
    if known.get("trigger") is not None:
        try:
            known["trigger"] = TriggerRule(known["trigger"])
        except ValueError:
            allowed = ", ".join(rule.value for rule in TriggerRule)
            raise CommandError(f"{verb}: trigger={known['trigger']!r} is not allowed; use one of {allowed}") from None
    return TaskArguments(**known, native=own)


def _read_extra(value: Any, verb: str) -> Mapping[str, Any]:
    """Return the metadata of events, checked against what an event can carry and a consumer can read."""
    if value is None:
        return {}
    try:
        json.dumps(value)
        if not isinstance(value, Mapping):
            raise TypeError("it is not a mapping")
        read_sections(value.get(OPTIONS), OPTIONS)
        read_policies(value.get(POLICIES), POLICIES)
    except (TypeError, ValueError, RunError) as error:
        raise CommandError(f"{verb}: extra={value!r} is not allowed; use names and JSON values ({error})") from None
    return dict(value)


def read_datasets(values: Any, what: str) -> tuple[StarlakeDataset, ...]:
    """Return the datasets given for a keyword.

    Args:
        values: one dataset, or several.
        what: the verb and the keyword, for messages.

    Raises:
        CommandError: one of the values is not a dataset.
    """
    found = (values,) if isinstance(values, StarlakeDataset) or not isinstance(values, Iterable) else tuple(values)
    for value in (values,) if isinstance(values, (str, Mapping)) else found:
        if not isinstance(value, StarlakeDataset):
            raise CommandError(f"{what} has {value!r}; use datasets: StarlakeDataset.table('domain', 'table')")
    return found


def seconds(value: object, default: int | None, what: str) -> int | None:
    """Return a duration in seconds, or the default.

    Args:
        value: seconds, or a timedelta; None for the default.
        default: the default in seconds.
        what: the verb and the keyword, for messages.

    Raises:
        CommandError: the value is not a duration.
    """
    if value is None:
        return default
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number < math.inf:
        raise CommandError(f"{what}={value!r} is not allowed; use seconds or a timedelta, at least 0")
    return math.ceil(number)


_NAME = "a name"
_NAMES_OF_TABLES = "a list of names"
_WANTED: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "task_id": (_NAME, lambda value: isinstance(value, str)),
    "group_id": (_NAME, lambda value: isinstance(value, str)),
    "domain": (_NAME, lambda value: isinstance(value, str)),
    "table": (_NAME, lambda value: isinstance(value, str)),
    "transform_name": ("a name such as domain.task", lambda value: isinstance(value, str)),
    "tables": (_NAMES_OF_TABLES, lambda value: _are_texts(value)),
    "transform_options": (
        "substitution variables, k=v,k2=v2 or a mapping",
        lambda value: isinstance(value, (str, Mapping)),
    ),
    "spark_config": ("a StarlakeSparkConfig", lambda value: isinstance(value, StarlakeSparkConfig)),
    "arguments": (
        "a list of the command and its arguments: ['freshness', '--tables', 'sales.orders']",
        lambda value: isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)),
    ),
}


def _are_texts(value: object) -> bool:
    if isinstance(value, (str, Iterator)):
        return True
    if not isinstance(value, (Sequence, Set)) or isinstance(value, (bytes, bytearray)):
        return False
    return all(isinstance(one, str) for one in value)


def check_own_arguments(verb: str, **given: object) -> None:
    """Check the types of a verb's own arguments.

    Args:
        verb: the verb and the pipeline, for messages.
        **given: its arguments by name; None is the default of each.

    Raises:
        CommandError: a value has the wrong type.
    """
    for name, value in given.items():
        wanted, fits = _WANTED[name]
        if value is not None and not fits(value):
            raise CommandError(f"{verb}: {name}={value!r} is not allowed; use {wanted}")


def check_factory(factory: object, verb: str) -> None:
    """Check that the factory of a native node can be called without arguments.

    Args:
        factory: the factory as given.
        verb: the verb and the task, for messages.

    Raises:
        CommandError: it is not a function, or it needs arguments.
    """
    if not callable(factory):
        raise CommandError(
            f"{verb}: factory={factory!r} is not allowed; use a function that returns the node: lambda: EmptyOperator(task_id='x')"
        )
    try:
        inspect.signature(factory).bind()
    except ValueError:
        return  # a C function without a signature
    except TypeError as error:
        raise CommandError(
            f"{verb}: factory is called without arguments, and {getattr(factory, '__qualname__', factory)}{inspect.signature(factory)} needs some "
            f"({error}); give them with functools.partial, or in a lambda"
        ) from None

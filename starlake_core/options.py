"""Options: declared once per plugin, read from one place, checked together.

A value comes from the explicit options, else from the option's environment variable, else from its default; ``0``,
``false`` and ``""`` are values like any other. Every problem of every option is reported in one error.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from .errors import OptionsError, PluginContractError, ScheduleError, near_miss
from .masking import MASK, is_secret_name, mask_mapping

__all__ = [
    "BOOL",
    "CRON",
    "CSV",
    "DATE",
    "DURATION",
    "JSON_MAP",
    "STR",
    "TIMEZONE",
    "Declared",
    "Integer",
    "Kind",
    "OneOf",
    "Option",
    "Options",
    "resolve_options",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """The type of an option: how a value is read, and what is allowed in words.

    Attributes:
        name: for tables, ``int``.
        allowed: for messages, ``a whole number``.
        read: returns the typed value or raises ``ValueError``; never sees None.
    """

    name: str
    allowed: str
    read: Callable[[Any], Any] = field(repr=False)


def _read_text(value: Any) -> str:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    raise ValueError


def _read_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    found = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    return found[str(value).strip().lower()]


def _read_int(value: Any) -> int:
    if isinstance(value, str):
        if not _DIGITS.fullmatch(value.strip()):
            raise ValueError
    elif isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    return int(value)


_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_DIGITS = re.compile(r"[+-]?[0-9]+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?(\.\d{6})?([+-]\d{2}:\d{2})?)?", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _read_duration(value: Any) -> int:
    if isinstance(value, str) and value.strip()[-1:].lower() in _UNITS:
        text = value.strip()
        seconds = _read_int(text[:-1]) * _UNITS[text[-1].lower()]
    else:
        seconds = _read_int(value)
    if seconds < 0:
        raise ValueError
    return seconds


def _read_csv(value: Any) -> tuple[str, ...]:
    if isinstance(value, (set, frozenset)):
        value = sorted(value)
    parts = value.split(",") if isinstance(value, str) else [_read_text(item) for item in value]
    return tuple(part.strip() for part in parts if part.strip())


class _NotAllowed(ValueError):
    """A value with a reason that is worth a sentence."""


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise _NotAllowed(f"{', '.join(map(repr, twice))} is given twice")
    return result


def _read_map(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = json.loads(value, object_pairs_hook=_without_twins) if value.strip() else {}
    if not isinstance(value, Mapping):
        raise ValueError
    return {_read_text(name): item for name, item in value.items()}


def _read_env_map(value: Any) -> dict[str, str]:
    result = {}
    for name, item in _read_map(value).items():
        if isinstance(item, (Mapping, list)):
            raise ValueError
        result[name] = ("true" if item else "false") if isinstance(item, bool) else "" if item is None else str(item)
        if not _KEY.fullmatch(name):
            raise _NotAllowed(
                f"{name!r} is no name; names have letters, digits, '_', '-' and '.', and begin with no digit"
            )
        if "\0" in result[name]:
            raise _NotAllowed(f"the value of {name} has a null character")
    return result


def _read_date(value: Any) -> date:
    if isinstance(value, date):
        return value
    text = _read_text(value).strip()
    if not _DATE.fullmatch(text):
        raise ValueError
    return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)


def _read_zone(value: Any) -> str:
    from .schedule import time_zone

    time_zone(_read_text(value))
    return _read_text(value)


def _read_cron(value: Any) -> str | None:
    from .schedule import read_cron

    return read_cron(_read_text(value))


STR = Kind("str", "a text", _read_text)
BOOL = Kind("bool", "true or false", _read_bool)
DURATION = Kind("duration", "seconds, or a number with s, m, h or d, not negative", _read_duration)
CSV = Kind("csv", "a list, or texts separated by commas", _read_csv)
JSON_MAP = Kind("json", 'a mapping, or a JSON object such as {"NAME": "value"}', _read_map)
TEXT_MAP = Kind("json", 'a mapping of texts, or a JSON object such as {"NAME": "value"}', _read_env_map)
ENV_MAP = Kind("json", 'a mapping of texts, or a JSON object such as {"SL_ROOT": "/project"}', _read_env_map)
DATE = Kind("date", "a date YYYY-MM-DD, or a date with time and offset 2025-01-31T06:00:00+01:00", _read_date)
TIMEZONE = Kind("timezone", "the name of a time zone such as UTC or Europe/Paris", _read_zone)
CRON = Kind("cron", "a cron expression with five fields such as '0 2 * * *', or None", _read_cron)


def Integer(low: int | None = None, high: int | None = None) -> Kind:  # reads like a type
    """A whole number, between two bounds (both included) where they are given."""

    def read(value: Any) -> int:
        number = _read_int(value)
        if (low is not None and number < low) or (high is not None and number > high):
            raise ValueError
        return number

    bounds = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
    return Kind("int", " ".join(["a whole number", " and ".join(bounds)]).strip(), read)


def OneOf(*words: str) -> Kind:  # reads like a type
    """One of some words, in any case; the value is the word as declared."""

    def read(value: Any) -> str:
        return {word.lower(): word for word in words}[str(value).strip().lower()]

    return Kind("enum", "one of " + ", ".join(words), read)


_FROM_NAME = "<from the name>"


@dataclass(frozen=True)
class Option:
    """One option that a plugin understands.

    Attributes:
        name: the key in the options.
        type: how its value is read.
        default: the typed value when nothing is given; None where there is none.
        required: whether a value must be given.
        doc: one sentence for tables and messages.
        env: the environment variable that may give it. By default ``SL_<NAME>`` (a name that begins with
            ``sl_`` keeps its own prefix); the empty string means that no variable is read.
        aliases: other keys for the same option, from earlier generators.
    """

    name: str
    type: Kind
    default: Any = None
    required: bool = False
    doc: str = ""
    env: str = _FROM_NAME
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.env == _FROM_NAME:
            upper = self.name.upper()
            object.__setattr__(self, "env", upper if upper.startswith("SL_") else f"SL_{upper}")


@dataclass(frozen=True)
class Declared:
    """An option with the plugin that declares it, ``core`` for the general ones."""

    option: Option
    plugin: str


class Options(Mapping[str, Any]):
    """Typed, read-only values of all options of all selected plugins.

    Args:
        values: option name to typed value; every declared option has one.
        tasks: per-task values: the name of a transform or task to what is overlaid for it. The key
            ``options`` there holds substitution variables of its command.
    """

    __slots__ = ("_tasks", "_values")

    def __init__(self, values: Mapping[str, Any], tasks: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._values: dict[str, Any] = _copy(dict(values))
        self._tasks: dict[str, dict[str, Any]] = _copy({name: dict(values) for name, values in (tasks or {}).items()})

    def __getitem__(self, name: str) -> Any:
        # A copy of what could be changed: the values belong to every task.
        value = self._values[name]
        return _copy(value) if isinstance(value, (dict, list)) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Options({mask_mapping(self._values)!r})"

    @property
    def tasks(self) -> Mapping[str, Mapping[str, Any]]:
        """The per-task values, by name."""
        tasks: dict[str, dict[str, Any]] = _copy(self._tasks)
        return tasks

    @property
    def has_tasks(self) -> bool:
        """Whether there are per-task values."""
        return bool(self._tasks)

    def overlaid(self, values: Mapping[str, Any]) -> Options:
        """A copy in which some values are replaced; the names must be declared ones."""
        return Options({**self._values, **values}, self._tasks) if values else self

    def for_task(self, *names: str) -> Options:
        """The options as one task sees them.

        Args:
            names: names under which per-task values may stand, the last one wins.
        """
        if not self._tasks:
            return self
        overlay: dict[str, Any] = {}
        for name in names:
            overlay.update({k: v for k, v in self._tasks.get(name, {}).items() if k != "options"})
        return self.overlaid(overlay)

    def command_options(self, *names: str) -> Mapping[str, object] | str | None:
        """The substitution variables that stand under the name of a task, or None."""
        for name in reversed(names):
            if "options" in self._tasks.get(name, {}):
                found: Mapping[str, object] | str = self._tasks[name]["options"]
                return found
        return None


def _shown(option: Option, value: Any) -> str:
    if isinstance(value, Mapping):
        return repr(mask_mapping(value))
    if is_secret_name(option.name) or (isinstance(value, str) and option.type.name == "json" and is_secret_name(value)):
        return MASK
    return repr(value)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def resolve_options(
    declared: Sequence[Declared],
    given: Mapping[str, Any],
    *,
    environ: Mapping[str, str] | None = None,
    strict: bool = False,
    where: str = "",
) -> Options:
    """Read and check all options of the selected plugins at once.

    Args:
        declared: every option of every selected plugin.
        given: the explicit options. A mapping under a name that is no option holds per-task values.
        environ: the environment, that of this process by default.
        strict: refuse an option that no selected plugin knows, instead of warning.
        where: the pipeline file, for messages.

    Raises:
        OptionsError: with one line for every problem.
        PluginContractError: two plugins declare one option in two ways.
    """
    environ = os.environ if environ is None else environ
    prefix = f"{where}: " if where else ""
    by_key = _by_key(declared)
    problems: list[str] = []
    explicit: dict[str, tuple[str, Any]] = {}
    tasks: dict[str, Mapping[str, Any]] = {}
    for key, value in given.items():
        if key in by_key:
            name = by_key[key].option.name
            if name in explicit and explicit[name][1] != value:
                option = by_key[key].option
                problems.append(
                    f"{prefix}option '{key}' ({_shown(option, value)}) and option '{explicit[name][0]}' "
                    f"({_shown(option, explicit[name][1])}) are the same option with two values; give one of them"
                )
            explicit[name] = (key, value)
            continue
        near = near_miss(key, by_key)
        if isinstance(value, str) and value.startswith("{") and near is None:
            value = _json_or_text(value)
        if isinstance(value, Mapping) and near is None and _is_about_a_task(value, by_key):
            tasks[key] = _task_values(key, value, by_key, problems, prefix)
        elif near is not None:
            problems.append(f"{prefix}unknown option '{key}'. Did you mean '{near}' of plugin '{by_key[near].plugin}'?")
        elif strict:
            problems.append(
                f"{prefix}unknown option '{key}': none of the plugins {_plugins(declared)} knows it; remove it or select "
                "the plugin that does"
            )
        else:
            logger.warning("%soption '%s' is ignored: none of the plugins %s knows it", prefix, key, _plugins(declared))
    values: dict[str, Any] = {}
    for item in declared:
        option = item.option
        if option.name in values:
            continue
        if option.name in explicit and explicit[option.name][1] is not None:
            key, raw = explicit[option.name]
            values[option.name] = _read(item, raw, f"{prefix}option '{key}'", problems)
        elif option.env and option.env in environ:
            source = f"{prefix}environment variable {option.env} (option '{option.name}')"
            values[option.name] = _read(item, environ[option.env], source, problems)
        else:
            values[option.name] = option.default
            if option.required:
                by_env = f" or the environment variable {option.env}" if option.env else ""
                problems.append(
                    f"{prefix}option '{option.name}' of plugin '{item.plugin}' is required: {option.doc or option.type.allowed} "
                    f"Set it in the options{by_env}"
                )
    if problems:
        raise OptionsError(problems)
    return Options(values, tasks)


def _by_key(declared: Sequence[Declared]) -> Mapping[str, Declared]:
    """Names and aliases to their options; two plugins may share an option only if they declare it alike."""
    by_key: dict[str, Declared] = {}
    for item in declared:
        for key in (item.option.name, *item.option.aliases):
            other = by_key.setdefault(key, item)
            mine, others = item.option, other.option
            if mine is not others and _meaning(mine) != _meaning(others):
                raise PluginContractError(
                    f"plugins '{other.plugin}' and '{item.plugin}' both declare the option '{key}', in different ways; "
                    "one of them has to rename its option"
                )
    return by_key


def _meaning(option: Option) -> tuple[object, ...]:
    return option.name, option.type.name, option.type.allowed, option.default, option.required, option.env


def _plugins(declared: Sequence[Declared]) -> str:
    return ", ".join(dict.fromkeys(item.plugin for item in declared))


def _read(item: Declared, raw: Any, source: str, problems: list[str]) -> Any:
    try:
        return item.option.type.read(raw)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, ScheduleError) as error:
        detail = f" ({error})" if isinstance(error, (ScheduleError, _NotAllowed)) else ""
        problems.append(
            f"{source} of plugin '{item.plugin}': {_shown(item.option, raw)} is not allowed{detail}; it takes "
            f"{item.option.type.allowed}"
        )
        return item.option.default


def _json_or_text(text: str) -> Any:
    """A mapping that was written on the command line."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_about_a_task(values: Mapping[str, Any], by_key: Mapping[str, Declared]) -> bool:
    """Whether a mapping holds options of a task, and is not the value of an option of a plugin that is not selected."""
    return any(near_miss(str(key), [*by_key, "options"]) is not None for key in values)


def _task_values(
    task: str, values: Mapping[str, Any], by_key: Mapping[str, Declared], problems: list[str], prefix: str
) -> Mapping[str, Any]:
    result: dict[str, Any] = {}
    for key, value in values.items():
        if key == "options":
            result[key] = value
        elif key in by_key:
            item = by_key[key]
            result[item.option.name] = _read(item, value, f"{prefix}option '{key}' of task '{task}'", problems)
        else:
            near = near_miss(key, [*by_key, "options"])
            hint = f" Did you mean '{near}'?" if near else ""
            problems.append(f"{prefix}unknown option '{key}' of task '{task}'.{hint}")
    return result

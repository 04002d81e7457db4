"""Reads and checks all options of the selected plugins at once.

A value comes from the explicit options, then from the option's environment variable, then from its default. ``0``,
``false`` and ``""`` are values like any other. One error reports all problems.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import OptionsError, PluginContractError, ScheduleError, did_you_mean, near_miss
from ..logs import get_logger
from ..masking import MASK, is_secret_name, mask_mapping
from .declare import DeclaredOption, Option, OwnNames
from .types import STR, NotAllowed
from .values import Options

__all__ = ["resolve_options"]

logger = get_logger(__name__)

_MOST_NAMES = 12


def _shown(option: Option, value: Any) -> str:
    if isinstance(value, Mapping):
        return repr(mask_mapping(value))
    if is_secret_name(option.name) or (isinstance(value, str) and option.type.name == "json" and is_secret_name(value)):
        return MASK
    return repr(value)


def resolve_options(
    declared: Sequence[DeclaredOption],
    given: Mapping[str, Any],
    *,
    own: Sequence[OwnNames] = (),
    environ: Mapping[str, str] | None = None,
    strict: bool = False,
    where: str = "",
) -> Options:
    """Read and check all options of the selected plugins at once.

    Args:
        declared: every option of every selected plugin.
        given: the explicit options. A mapping under a name that is not an option holds per-task values.
        own: the names reserved for each selected plugin; names that it does not declare are refused.
        environ: the environment variables; those of this process by default.
        strict: raise an error for an option that no selected plugin declares, instead of a warning.
        where: the pipeline file, for messages.

    Raises:
        OptionsError: there are problems; the message has a line for each.
        PluginContractError: two plugins declare the same option differently.
    """
    environ = os.environ if environ is None else environ
    prefix = f"{where}: " if where else ""
    by_key = _by_key(declared)
    problems: list[str] = []
    explicit: dict[str, tuple[str, Any]] = {}
    tasks: dict[str, Mapping[str, Any]] = {}
    of_tasks: dict[str, list[str]] = {}
    for key, value in given.items():
        if key in by_key:
            name = by_key[key].option.name
            if name in explicit and explicit[name][1] != value:
                option = by_key[key].option
                problems.append(
                    f"{prefix}option '{key}' ({_shown(option, value)}) and option '{explicit[name][0]}' "
                    f"({_shown(option, explicit[name][1])}) are the same option with two values; set only one of them"
                )
            explicit[name] = (key, value)
            continue
        elsewhere = _elsewhere(key, own)
        if elsewhere is not None:
            problems.append(f"{prefix}{elsewhere}")
            continue
        near = near_miss(key, by_key)
        if isinstance(value, str) and value.startswith("{") and near is None:
            value = _json_or_text(value)
        if isinstance(value, Mapping) and near is None and _is_about_a_task(value, by_key):
            tasks[key] = _task_values(key, value, by_key, of_tasks.setdefault(key, []), prefix)
        elif near is not None:
            problems.append(f"{prefix}unknown option '{key}'. Did you mean '{near}' of plugin '{by_key[near].plugin}'?")
        elif (owner := _owner(key, own)) is not None:
            names = [name for name, item in by_key.items() if item.plugin == owner]
            problems.append(
                f"{prefix}unknown option '{key}': plugin '{owner}' has no such option."
                f"{did_you_mean(key, names) or f' It has: {_listed(names)}'}"
            )
        elif strict:
            problems.append(
                f"{prefix}unknown option '{key}': none of the plugins {_plugins(declared)} has it; remove it, or select "
                "the plugin that has it"
            )
        else:
            logger.warning("%soption '%s' is ignored: none of the plugins %s has it", prefix, key, _plugins(declared))
            if not isinstance(value, Mapping):  # a mapping may hold per-task options of another plugin
                of_tasks[key] = [
                    f"{prefix}option '{key}' has the name of a task, so its value must be a mapping, not {_shown(Option(key, STR), value)}; "
                    f"write substitution variables as {key!r}: {{'options': 'k=v,k2=v2'}}"
                ]
    values: dict[str, Any] = {}
    for item in declared:
        option = item.option
        if option.name in values:
            continue
        if option.name in explicit and explicit[option.name][1] is not None:
            key, raw = explicit[option.name]
            values[option.name] = _read(item, raw, prefix, f"option '{key}' of plugin '{item.plugin}'", problems)
        elif option.env and option.env in environ:
            source = f"the environment variable {option.env} (option '{option.name}' of plugin '{item.plugin}')"
            values[option.name] = _read(item, environ[option.env], prefix, source, problems)
        else:
            values[option.name] = option.default
            if option.required:
                by_env = f" or the environment variable {option.env}" if option.env else ""
                problems.append(
                    f"{prefix}option '{option.name}' of plugin '{item.plugin}' is required: {option.doc or option.type.allowed} "
                    f"Set it in the options{by_env}"
                )
    if problems:
        raise OptionsError([*problems, *(one for name in tasks for one in of_tasks.get(name, ()))])
    return Options(values, tasks, {name: found for name, found in of_tasks.items() if found})


def _listed(names: Sequence[str]) -> str:
    """Return names in alphabetical order. Beyond a dozen, say how to list the rest."""
    shown = sorted(set(names))
    more = len(shown) - _MOST_NAMES
    return ", ".join(shown[:_MOST_NAMES]) + (
        f", and {more} more; list them with: starlake-orchestrate options" if more > 0 else ""
    )


def _elsewhere(key: str, own: Sequence[OwnNames]) -> str | None:
    """Return a sentence that says where a name belongs if it is not an option; None for other names."""
    found = next((names for names in own if key in names.elsewhere), None)
    return None if found is None else f"'{key}' is not an option of plugin '{found.plugin}'. {found.elsewhere[key]}"


def _owner(key: str, own: Sequence[OwnNames]) -> str | None:
    """Return the plugin that has reserved the prefix of a name."""
    return next((names.plugin for names in own if key.startswith(names.prefixes)), None)


def _by_key(declared: Sequence[DeclaredOption]) -> Mapping[str, DeclaredOption]:
    """Return options by their names and aliases. Plugins may share an option only if they declare it in the same
    way."""
    by_key: dict[str, DeclaredOption] = {}
    for item in declared:
        for key in (item.option.name, *item.option.aliases):
            other = by_key.setdefault(key, item)
            mine, others = item.option, other.option
            if mine is not others and _meaning(mine) != _meaning(others):
                raise PluginContractError(
                    f"plugins '{other.plugin}' and '{item.plugin}' both declare the option '{key}', but differently; "
                    "one of them must rename its option"
                )
    return by_key


def _meaning(option: Option) -> tuple[object, ...]:
    return option.name, option.type.name, option.type.allowed, option.default, option.required, option.env


def _plugins(declared: Sequence[DeclaredOption]) -> str:
    return ", ".join(dict.fromkeys(item.plugin for item in declared))


def _read(item: DeclaredOption, raw: Any, prefix: str, source: str, problems: list[str]) -> Any:
    try:
        return item.option.type.read(raw)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, ScheduleError) as error:
        detail = f" ({error})" if isinstance(error, (ScheduleError, NotAllowed)) else ""
        problems.append(
            f"{prefix}{_shown(item.option, raw)} is not a valid value for {source}{detail}; use {item.option.type.allowed}"
        )
        return item.option.default


def _json_or_text(text: str) -> Any:
    """Return a mapping that was given as JSON on the command line."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_about_a_task(values: Mapping[str, Any], by_key: Mapping[str, DeclaredOption]) -> bool:
    """Return whether a mapping holds per-task options, rather than the value of an option of a plugin that is not
    selected."""
    return any(near_miss(str(key), [*by_key, "options"]) is not None for key in values)


def _task_values(
    task: str, values: Mapping[str, Any], by_key: Mapping[str, DeclaredOption], problems: list[str], prefix: str
) -> Mapping[str, Any]:
    result: dict[str, Any] = {}
    for key, value in values.items():
        if key == "options":
            result[key] = value
        elif key in by_key:
            item = by_key[key]
            source = f"option '{key}' of plugin '{item.plugin}' for task '{task}'"
            result[item.option.name] = _read(item, value, prefix, source, problems)
        else:
            near = near_miss(key, [*by_key, "options"])
            hint = f" Did you mean '{near}'?" if near else ""
            problems.append(f"{prefix}unknown option '{key}' of task '{task}'.{hint}")
    return result

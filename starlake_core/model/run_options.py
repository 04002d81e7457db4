"""Substitution variables that a run brings, from its configuration and from the events that started it.

They come in sections: ``{"all": {"batch": "b7"}, "kpi.sales": {"region": "EU"}}``. The section ``all`` applies to every
command, any other section to the commands about that table or transform. These values override those of the pipeline
file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import BindError, CommandError, RunError
from ..masking import MASK, is_secret_name
from .command import command_options

__all__ = [
    "EVERYTHING",
    "OPTIONS",
    "POLICIES",
    "Carried",
    "Sections",
    "merge",
    "overlay",
    "read_policies",
    "read_sections",
    "with_options",
]

OPTIONS = "sl_options"
"""The key of the sections, in the configuration of a run and in the metadata of an event."""
POLICIES = "sl_options_merge"
"""The key of the policies that say how the values of several events are merged."""
EVERYTHING = "all"

Sections = Mapping[str, Mapping[str, Any]]

_UNION, _STRICT = "union", "strict"
_SEPARATOR = "|"
_NOT_IN_SEPARATOR = frozenset(',$`\\"')
_COMMANDS = {
    "load": ("--domains", "--tables"),
    "transform": ("--name",),
    "stage": ("--domains",),
    "preload": ("--domain",),
}
"""The commands that accept variables, and the flags that say what they are about."""


def _document(value: Any, where: str, example: str) -> Sections:
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError:
            raise RunError(f"{where} is {value!r}, which is not JSON; use sections: {example}") from None
    if not value:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(section, Mapping) for section in value.values()):
        raise RunError(f"{where} is {value!r}; use sections of names and values: {example}")
    return {str(section): {str(name): item for name, item in items.items()} for section, items in value.items()}


def read_sections(value: Any, where: str) -> Sections:
    """Read the sections.

    Args:
        value: an object of objects, or its JSON; None or an empty string for none.
        where: where it was given, for error messages.

    Raises:
        RunError: it is something else.
    """
    return _document(value, where, '{"all": {"region": "EU"}, "kpi.sales": {"year": "2026"}}')


def read_policies(value: Any, where: str) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Read how the values of several events are merged: by name, in sections like the values.

    Args:
        value: an object of objects, or its JSON; None or an empty string for none.
        where: where it was given, for error messages.

    Raises:
        RunError: it is something else, or no such policy exists.
    """
    example = '{"all": {"days": {"policy": "union", "separator": "|"}}}'
    found = _document(value, where, example)
    return {
        section: {
            name: _policy(item, f"{name!r} of the section {section!r} of {where}", example)
            for name, item in items.items()
        }
        for section, items in found.items()
    }


def _policy(value: Any, where: str, example: str) -> Mapping[str, str]:
    fields = set(value) if isinstance(value, Mapping) else set()
    policy = value.get("policy") if fields else None
    if policy not in (_UNION, _STRICT) or fields - {"policy", "separator"}:
        raise RunError(f"{where} is {value!r}; use the policy 'union', with a separator, or 'strict': {example}")
    if policy == _STRICT:
        return {"policy": _STRICT}
    separator = _SEPARATOR if value.get("separator") is None else value["separator"]
    if (
        not isinstance(separator, str)
        or not separator
        or any(letter.isspace() or letter in _NOT_IN_SEPARATOR for letter in separator)
    ):
        raise RunError(
            f'{where}: the separator {separator!r} is not allowed; use a string without spaces and without , $ ` \\ "'
        )
    return {"policy": _UNION, "separator": separator}


def overlay(*layers: Sections) -> dict[str, dict[str, Any]]:
    """Merge sections. If a name occurs more than once, the last value counts.

    Args:
        *layers: the sections to merge; later ones win.
    """
    result: dict[str, dict[str, Any]] = {}
    for layer in layers:
        for section, values in layer.items():
            result.setdefault(section, {}).update(values)
    return result


@dataclass(frozen=True)
class Carried:
    """The variables that one event brings.

    Attributes:
        source: the name of its dataset, for messages.
        sections: its values.
        policies: how its values are merged with those of other events.
        superseded: a later event of the same dataset arrived, so its values count only for a union.
    """

    source: str
    sections: Sections
    policies: Mapping[str, Mapping[str, Mapping[str, str]]]
    superseded: bool = False


def merge(
    events: Iterable[Carried], how: str = ""
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Mapping[str, str]]]]:
    """Merge the values of several events into those of one run.

    All events must agree on a value, unless one of them declares a union, which then applies to all. Taking the first
    or last value could run with one that nobody asked for.

    Args:
        events: the events.
        how: how to resolve a conflict, for the error message.

    Returns:
        The sections, and the policies of the names in them.

    Raises:
        RunError: two events disagree.
    """
    events = list(events)
    declared: dict[tuple[str, str], tuple[str, Mapping[str, str]]] = {}
    for event in events:
        for section, policies in event.policies.items():
            for name, policy in policies.items():
                source, other = declared.setdefault((section, name), (event.source, policy))
                if other != policy:
                    raise RunError(
                        f"{POLICIES} of {name!r} in the section {section!r} is {dict(other)} for {source} and {dict(policy)} for "
                        f"{event.source}; use the same one for both"
                    )
    values: dict[tuple[str, str], list[tuple[str, Any]]] = {}
    for event in events:
        for section, items in event.sections.items():
            for name, value in items.items():
                if not event.superseded or _is_union(declared, section, name):
                    values.setdefault((section, name), []).append((event.source, value))
    sections: dict[str, dict[str, Any]] = {}
    kept: dict[str, dict[str, Mapping[str, str]]] = {}
    for (section, name), found in values.items():
        if _is_union(declared, section, name):
            value = _union([value for _, value in found], declared[section, name][1]["separator"])
        else:
            value = _agreed(section, name, found, how)
        sections.setdefault(section, {})[name] = value
        if (section, name) in declared:
            kept.setdefault(section, {})[name] = declared[section, name][1]
    return sections, kept


def _is_union(declared: Mapping[tuple[str, str], tuple[str, Mapping[str, str]]], section: str, name: str) -> bool:
    return (section, name) in declared and declared[section, name][1]["policy"] == _UNION


def _union(values: Sequence[Any], separator: str) -> str:
    parts: set[str] = set()
    for value in values:
        items = value if isinstance(value, (list, tuple)) else [] if value is None else str(value).split(separator)
        parts.update(text for item in items if (text := str(item).strip()))
    return separator.join(sorted(parts))


def _agreed(section: str, name: str, found: Sequence[tuple[str, Any]], how: str) -> Any:
    first, value = found[0]
    for source, other in found[1:]:
        if str(other) != str(value):
            if is_secret_name(name):
                value, other = MASK, MASK
            raise RunError(
                f"{OPTIONS}: {name!r} of the section {section!r} is {value!r} for {first} and {other!r} for {source}; one run has one value. "
                f"{how} A name that holds a set of values is declared with {POLICIES}: "
                f'{{"{section}": {{"{name}": {{"policy": "union", "separator": "|"}}}}}}'
            )
    return value


def with_options(arguments: Sequence[str], sections: Sections, task: str) -> tuple[str, ...]:
    """Add the variables that a run brings to the arguments of a command.

    Args:
        arguments: the command and its arguments.
        sections: the sections of the run.
        task: the path of the task; its id may also name a section.

    Raises:
        BindError: a value cannot be passed to a command.
    """
    flags = _COMMANDS.get(arguments[0]) if arguments and sections else None
    if flags is None:
        return tuple(arguments)
    about = ".".join(_after(arguments, flag) for flag in flags).strip(".")
    given: dict[str, str] = {}
    try:
        for name in dict.fromkeys((EVERYTHING, about, task.rpartition(".")[2])):
            given.update(command_options(sections.get(name), f"the section {name} of {OPTIONS}"))
        if not given:
            return tuple(arguments)
        before = command_options(_after(arguments, "--options"), f"the task {task}")
    except CommandError as error:
        raise BindError(str(error)) from None
    text = ",".join(f"{name}={value}" for name, value in {**before, **given}.items())
    if "--options" not in arguments:
        return (*arguments, "--options", text)
    place = list(arguments).index("--options") + 1
    return (*arguments[:place], text, *arguments[place + 1 :])


def _after(arguments: Sequence[str], flag: str) -> str:
    return arguments[list(arguments).index(flag) + 1] if flag in arguments else ""

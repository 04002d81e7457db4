"""The Starlake command line as data, and a strict parser of argument vectors.

The data is in ``contract.json``, taken from the command definitions of Starlake 1.5.16 to 1.8. The parser follows the
rules of scopt 4, the library that Starlake uses. Names are exact and case-sensitive. The forms are ``--name value``,
``--name=value`` and ``--name:value``. A value is always consumed, even if it begins with dashes. An option that may
occur once is unknown the second time. A list is split at commas without escaping. A map refuses an empty string and a
part without ``=``.
"""

from __future__ import annotations

import functools
import json
import pkgutil
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import ContractError, did_you_mean

__all__ = ["ParsedCommand", "commands", "parse_arguments", "parse_map", "parse_seq", "validate_arguments"]

_DECIMAL = re.compile(r"[+-]?[0-9]+")
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]+")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_RENAMED = {"import": "stage"}
"""Commands of earlier versions of Starlake."""


@dataclass(frozen=True)
class ParsedCommand:
    """A parsed argument vector.

    Attributes:
        name: the command, such as ``load``.
        values: the typed values by option name: ``str``, ``int``, ``bool``, ``list[str]`` for a list and ``dict[str,
            str]`` for a map. The value of an alias (``--include``) is stored under the name of its option.
    """

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)


@functools.cache
def commands() -> Mapping[str, Any]:
    """Return the content of ``contract.json``: the options and positional arguments of each command."""
    result: dict[str, Any] = json.loads(pkgutil.get_data(__name__, "contract.json") or b"")
    return result


def parse_seq(text: str) -> list[str]:
    """Split a list value as the command line does: ``""`` is one empty name, and trailing commas are dropped.

    >>> parse_seq("a,,b,,")
    ['a', '', 'b']
    >>> parse_seq("")
    ['']
    """
    if text == "":
        return [""]
    parts = text.split(",")
    while parts and parts[-1] == "":
        parts.pop()
    return parts


def parse_map(text: str) -> dict[str, str]:
    """Split a map value as the command line does: at the first ``=`` of each comma-separated part.

    >>> parse_map("a=b=c,d=")
    {'a': 'b=c', 'd': ''}

    Raises:
        ValueError: a part has no ``=``, which includes the empty string.
    """
    result: dict[str, str] = {}
    for part in parse_seq(text):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"expected a key=value pair, found {part!r}")
        result[key] = value
    return result


def _parse_int(text: str) -> int:
    # Like Integer.parseInt: ASCII digits, 32 bits, and 0x only at the very beginning.
    number = int(text[2:], 16) if _HEXADECIMAL.fullmatch(text) else int(text) if _DECIMAL.fullmatch(text) else None
    if number is None or not -(2**31) <= number < 2**31:
        raise ValueError(f"expected a whole number of 32 bits, found {text!r}")
    return number


def _parse_value(option: Mapping[str, Any], text: str) -> Any:
    kind = option["type"]
    if kind == "seq":
        return parse_seq(text)
    if kind == "map":
        return parse_map(text)
    if kind == "bool":
        if text.lower() not in _BOOLEANS:
            raise ValueError(f"expected true, false, yes, no, 1 or 0, found {text!r}")
        return _BOOLEANS[text.lower()]
    if kind == "int":
        return _parse_int(text)
    allowed = option.get("allowed")
    if allowed and text not in allowed:
        raise ValueError(f"expected one of {', '.join(allowed)}, found {text!r}")
    return text


def parse_arguments(arguments: Sequence[str]) -> ParsedCommand:
    """Parse an argument vector as the Starlake command line does.

    Args:
        arguments: the command and its arguments, without the executable: ``["load", "--domains", "starbake"]``.

    Returns:
        The command and its typed values.

    Raises:
        ContractError: there are problems; the message has a line for each, because the command line reports them all at
            once.
    """
    if not arguments:
        raise ContractError(["no command given; the commands are " + ", ".join(commands())])
    name, *rest = arguments
    command = commands().get(name)
    if command is None:
        now = _RENAMED.get(name)
        hint = f" Starlake calls it {now} now." if now else did_you_mean(name, commands())
        raise ContractError([f"Unknown command {name}.{hint}"])
    options = {option["name"]: option for option in command["options"]}
    positional = list(command.get("positional", ()))
    problems: list[str] = []
    values: dict[str, Any] = {}
    seen: set[str] = set()
    index = 0
    while index < len(rest):
        token = rest[index]
        index += 1
        if not token.startswith("--"):
            if positional:
                option = positional.pop(0)
                _store(option, token, values, problems)
            else:
                problems.append(f"{name}: Unknown argument '{token}'")
            continue
        flag, value = token[2:], None
        if flag not in options:
            cut = min((i for i in (flag.find("="), flag.find(":")) if i >= 0), default=-1)
            if cut >= 0:
                flag, value = flag[:cut], flag[cut + 1 :]
        found = options.get(flag)
        if found is None or (flag in seen and not found.get("repeatable")):
            again = " a second time" if found is not None else did_you_mean(flag, options)
            problems.append(f"{name}: Unknown option --{flag}{again}")
            continue
        seen.add(flag)
        if found["type"] == "flag":
            if value is not None:
                problems.append(f"{name}: --{flag} takes no value")
            values[flag] = True
            continue
        if value is None:
            if index >= len(rest):
                problems.append(f"{name}: Missing value after --{flag}")
                continue
            value = rest[index]
            index += 1
        _store(found, value, values, problems)
    for option in command["options"]:
        if option.get("required") and option["name"] not in seen:
            problems.append(f"{name}: Missing option --{option['name']}")
    problems.extend(f"{name}: Missing argument <{option['name']}>" for option in positional if option.get("required"))
    if problems:
        raise ContractError(problems)
    return ParsedCommand(name, values)


def _store(option: Mapping[str, Any], text: str, values: dict[str, Any], problems: list[str]) -> None:
    field_name = option.get("field", option["name"])
    try:
        value = _parse_value(option, text)
    except ValueError as error:
        problems.append(f"--{option['name']}: {error}")
        return
    if option.get("repeatable") and isinstance(value, dict) and field_name in values:
        values[field_name] = {**values[field_name], **value}
    else:
        values[field_name] = value


def validate_arguments(arguments: Sequence[str]) -> None:
    """Check an argument vector against the contract.

    Args:
        arguments: the command and its arguments.

    Raises:
        ContractError: the command line would refuse them.
    """
    parse_arguments(arguments)

"""Secrets are hidden wherever a person or a store could keep them: logs, reprs, tables, run records."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["MASK", "is_secret_name", "mask_arguments", "mask_mapping", "mask_text", "secret_arguments", "secret_values"]

MASK = "***"

_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|KEY|CREDENTIAL", re.IGNORECASE)
_NOT_SECRET = frozenset({"sl_run_key", "primarykeys", "primarykey"})
_OPTION = re.compile(r"--(?P<name>[^=:]*)(?P<sign>[=:]?)")
_URL_USER = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/?#]+@")
# A shorter value ("1", "yes", "true") would blacken half of a log without hiding anything.
_SHORTEST_SECRET = 6


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Tell whether the value of a variable or option of this name has to be hidden.

    >>> is_secret_name("SNOWFLAKE_PASSWORD"), is_secret_name("SL_ROOT"), is_secret_name("SL_RUN_KEY")
    (True, False, False)
    """
    return name.lower() not in _NOT_SECRET and _SECRET_NAME.search(name) is not None


def mask_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide known secret values and the user part of URLs in a text.

    >>> mask_text("jdbc:postgresql://me:pw@host/db hunter22", ["hunter22"])
    'jdbc:postgresql://***@host/db ***'
    """
    for secret in secrets:
        text = text.replace(secret, MASK)
    return _URL_USER.sub(rf"\g<scheme>{MASK}@", text) if "@" in text else text


def secret_values(env: Mapping[str, str]) -> tuple[str, ...]:
    """The values in an environment that must not show up in output, longest first."""
    values = [value for name, value in env.items() if is_secret_name(name)]
    # Output is masked line by line, and a key may have several.
    found = {line for value in values for line in value.splitlines() if len(line) >= _SHORTEST_SECRET}
    return tuple(sorted(found, key=lambda line: (-len(line), line)))


def secret_arguments(arguments: Sequence[str]) -> dict[str, str]:
    """The secrets in an argument vector, by name: those that :func:`mask_arguments` hides."""
    found: dict[str, str] = {}
    name = ""
    for argument in arguments:
        option = _OPTION.match(argument)
        if name:
            found[name], name = argument, ""
        elif option is not None and is_secret_name(option["name"]):
            value = argument[option.end() :]
            name = "" if option["sign"] else option["name"]
            if option["sign"]:
                found[option["name"]] = value
        else:
            pairs = argument[option.end() if option is not None else 0 :].split(",")
            found.update(
                (key, value) for key, _, value in (pair.partition("=") for pair in pairs) if is_secret_name(key)
            )
    return found


def mask_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """Hide secret values in an argument vector: ``--accessToken X``, ``--options password=X``.

    >>> mask_arguments(["load", "--accessToken", "abc", "--options", "a=1,db_password=2"])
    ('load', '--accessToken', '***', '--options', 'a=1,db_password=***')
    """
    masked: list[str] = []
    hide_next = False
    for argument in arguments:
        if hide_next:
            masked.append(MASK)
            hide_next = False
        else:
            shown, hide_next = _mask_argument(argument)
            masked.append(shown)
    return tuple(masked)


@functools.lru_cache(maxsize=4096)
def _mask_argument(argument: str) -> tuple[str, bool]:
    """An argument without its secrets, and whether the next one is a secret. Most arguments of a pipeline are those of many tasks."""
    if argument[:2] != "--" and "=" not in argument and "@" not in argument:
        return argument, False
    option = _OPTION.match(argument)
    if option is not None and is_secret_name(option["name"]):
        return (f"--{option['name']}{option['sign']}{MASK}", False) if option["sign"] else (argument, True)
    prefix = option[0] if option is not None else ""
    rest = argument[len(prefix) :]
    return prefix + (",".join(map(_mask_pair, rest.split(","))) if "=" in rest else mask_text(rest)), False


def _mask_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={MASK}" if equals and is_secret_name(name) else mask_text(pair)


def mask_mapping(values: Mapping[str, Any]) -> dict[str, Any]:
    """Hide the values of secret names in a mapping, nested ones and lists of mappings included."""
    return {name: MASK if is_secret_name(name) and value else _mask_value(value) for name, value in values.items()}


def _mask_value(value: Any) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return mask_mapping(value)
    if isinstance(value, (list, tuple)):
        return [_mask_value(item) for item in value]
    return value

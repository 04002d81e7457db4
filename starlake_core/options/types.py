"""The types of options: how to read a value, and how to describe the allowed values."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, TypeVar

__all__ = [
    "BOOL",
    "CRON",
    "CSV",
    "DATE",
    "DURATION",
    "ENV_MAP",
    "JSON_MAP",
    "STR",
    "STRATEGY",
    "TEXT_MAP",
    "TIMEZONE",
    "Integer",
    "Kind",
    "Matching",
    "NotAllowed",
    "OneOf",
    "Seconds",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """The type of an option: how to read a value, and how to describe the allowed values.

    Attributes:
        name: its name in tables, such as ``int``.
        allowed: the allowed values in messages, such as ``a whole number``.
        read: returns the typed value, or raises ``ValueError``; never called with None.
    """

    name: str
    allowed: str
    read: Callable[[Any], T] = field(repr=False)


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


def _read_strategy(value: Any) -> str:
    text = _read_text(value).strip().lower()
    if text not in ("any", "all") and "&" not in text and "|" not in text:
        raise ValueError
    return text


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


class NotAllowed(ValueError):
    """A value is not allowed, for a reason that the message should mention."""


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise NotAllowed(f"{', '.join(map(repr, twice))} occurs twice")
    return result


def _read_map(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = json.loads(value, object_pairs_hook=_without_twins) if value.strip() else {}
    if not isinstance(value, Mapping):
        raise ValueError
    return {_read_text(name): item for name, item in value.items()}


def _read_text_map(value: Any) -> dict[str, str]:
    result = {}
    for name, item in _read_map(value).items():
        if isinstance(item, (Mapping, list)):
            raise ValueError
        result[name] = ("true" if item else "false") if isinstance(item, bool) else "" if item is None else str(item)
        if "\0" in result[name]:
            raise NotAllowed(f"the value of {name} has a null character")
    return result


def _read_env_map(value: Any) -> dict[str, str]:
    result = _read_text_map(value)
    for name in result:
        if not _KEY.fullmatch(name):
            raise NotAllowed(
                f"{name!r} is not a valid name; names have letters, digits, '_', '-' and '.', and do not begin with a digit"
            )
    return result


def _read_date(value: Any) -> date:
    if isinstance(value, date):
        return value
    text = _read_text(value).strip()
    if not _DATE.fullmatch(text):
        raise ValueError
    return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)


def _read_zone(value: Any) -> str:
    from ..model.schedule import time_zone

    time_zone(_read_text(value))
    return _read_text(value)


def _read_cron(value: Any) -> str | None:
    from ..model.schedule import read_cron

    return read_cron(_read_text(value))


STR = Kind("str", "a string", _read_text)
BOOL = Kind("bool", "true or false", _read_bool)
DURATION = Kind("duration", "seconds, or a number with the unit s, m, h or d; at least 0", _read_duration)
CSV = Kind("csv", "a list, or strings separated by commas", _read_csv)
JSON_MAP = Kind("json", 'a mapping, or a JSON object such as {"NAME": "value"}', _read_map)
TEXT_MAP = Kind("json", 'a mapping of strings, or a JSON object such as {"NAME": "value"}', _read_text_map)
ENV_MAP = Kind("json", 'a mapping of strings, or a JSON object such as {"SL_ROOT": "/project"}', _read_env_map)
DATE = Kind("date", "a date (YYYY-MM-DD), or a date with time and offset such as 2025-01-31T06:00:00+01:00", _read_date)
TIMEZONE = Kind("timezone", "the name of a time zone such as UTC or Europe/Paris", _read_zone)
STRATEGY = Kind("strategy", "any, all, or a condition on datasets such as a.b & (a.c | a.d)", _read_strategy)
CRON = Kind("cron", "a cron expression with five fields such as '0 2 * * *', or None", _read_cron)


def Integer(low: int | None = None, high: int | None = None) -> Kind[int]:  # reads like a type
    """A whole number, within optional bounds (included)."""

    def read(value: Any) -> int:
        number = _read_int(value)
        if (low is not None and number < low) or (high is not None and number > high):
            raise ValueError
        return number

    bounds = [f"{word} {bound}" for word, bound in (("at least", low), ("at most", high)) if bound is not None]
    return Kind("int", ", ".join(["a whole number", *filter(None, [" and ".join(bounds)])]), read)


def OneOf(*words: str) -> Kind[str]:  # reads like a type
    """One of several words, ignoring case. The value is the word as declared."""

    def read(value: Any) -> str:
        return {word.lower(): word for word in words}[str(value).strip().lower()]

    return Kind("enum", "one of " + ", ".join(words), read)


def Matching(pattern: str, allowed: str, name: str = "str", strip: bool = False) -> Kind[str]:  # reads like a type
    """A string that matches a pattern.

    Args:
        pattern: a regular expression for the whole string.
        allowed: a description of the pattern, for messages.
        name: the name of the type, for tables.
        strip: whether to remove surrounding spaces first.
    """
    form = re.compile(pattern)

    def read(value: Any) -> str:
        text = _read_text(value)
        text = text.strip() if strip else text
        if not form.fullmatch(text):
            raise ValueError
        return text

    return Kind(name, allowed, read)


def Seconds(
    low: float, allowed: str, high: float = float("inf"), name: str = "seconds"
) -> Kind[float]:  # reads like a type
    """A duration that may be a fraction of a second.

    Args:
        low: the least value, included.
        allowed: a description of the bounds, for messages.
        high: the upper bound, excluded.
        name: the name of the type, for tables.
    """

    def read(value: Any) -> float:
        try:
            seconds = float(_read_duration(value))
        except ValueError:
            seconds = float(_read_text(value))
        if not low <= seconds < high:
            raise ValueError
        return seconds

    return Kind(name, allowed, read)

"""What each check holds a plugin to, and the level that it belongs to.

The promise of a check is its docstring. A check that fails says it, and the documentation lists all of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import did_you_mean

__all__ = ["BASIC", "Check", "check_levels", "checks_of", "level", "level_of", "promise_of"]

BASIC = "basic"
"""The level of a check that names none. Every plugin of the role has it."""

_LEVEL = "kit_level"
_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Check:
    """A check of a suite.

    Attributes:
        name: the name of its function.
        level: its level.
        promise: what it holds the plugin to, in one or more sentences.
    """

    name: str
    level: str
    promise: str


def level(name: str) -> Callable[[_Function], _Function]:
    """Mark a check that only applies to plugins which declare a level.

    Args:
        name: the level.
    """

    def mark(check: _Function) -> _Function:
        setattr(check, _LEVEL, name)
        return check

    return mark


def level_of(check: object) -> str:
    """Return the level of a check."""
    return str(getattr(check, _LEVEL, BASIC))


def promise_of(check: object) -> str:
    """Return what a check holds a plugin to; empty for a function that is not a check."""
    return " ".join((inspect.getdoc(check) or "").split())


def checks_of(suite: type) -> list[Check]:
    """Return the checks of a suite."""
    found: dict[str, Check] = {}
    for base in (base for base in suite.__mro__ if base.__module__.startswith(__package__)):
        for name, value in vars(base).items():
            if name.startswith("test_"):
                found.setdefault(name, Check(name, level_of(value), promise_of(value)))
    return list(found.values())


def check_levels(suite: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse levels that do not exist.

    Args:
        suite: the name of the class, for messages.
        given: the declared levels.
        known: all levels.

    Raises:
        ValueError: a level does not exist, or the basic one is missing.
    """
    known = tuple(known)
    if isinstance(given, str):
        raise ValueError(f"{suite}.levels is {given!r}; use a tuple: ({given!r},)")
    for name in given:
        if name not in known:
            raise ValueError(
                f"{suite}.levels has {name!r}, which does not exist.{did_you_mean(name, known)} Levels are: {', '.join(known)}"
            )
    if BASIC not in given:
        raise ValueError(f"{suite}.levels has no {BASIC!r}, which every plugin must keep; add it")

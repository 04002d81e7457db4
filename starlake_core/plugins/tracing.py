"""Traces calls of hooks: with ``SL_TRACE_PLUGINS=1``, the standard error shows which plugin answered, and how long it
took."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import pluggy

__all__ = ["is_tracing", "trace"]

_ABOUT = ("task", "group", "pipeline", "command", "preload", "job", "file", "role")
"""The arguments that say what a call is about."""


def is_tracing() -> bool:
    """Return whether calls of hooks are traced."""
    return os.environ.get("SL_TRACE_PLUGINS", "").lower() in ("1", "true", "yes", "on")


def trace(implementations: Iterable[tuple[str, pluggy.HookImpl]], label: str) -> None:
    """Trace all calls of some hook implementations from now on.

    Args:
        implementations: those of a registered plugin, each with the name of its hook.
        label: the plugin, with its distribution.
    """
    for hook, one in implementations:
        if not hasattr(one.function, "_starlake_traced"):
            # pluggy tells before and after a hook as a whole, and not which plugin answered.
            object.__setattr__(one, "function", _traced(hook, one.function, one.argnames, label))


def _traced(hook: str, function: Callable[..., Any], names: Iterable[str], label: str) -> Callable[..., Any]:
    known = tuple(names)

    def about(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
        given = {**dict(zip(known, arguments, strict=False)), **keywords}
        return next((f" {_named(given[name])}" for name in _ABOUT if name in given), "")

    def tell(what: str, subject: str, began: float) -> None:
        spent = 1000 * (time.perf_counter() - began)
        sys.stderr.write(f"{hook}{subject}: {label} {what} ({spent:.1f} ms)\n")

    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            began = time.perf_counter()
            try:
                result = yield from function(*arguments, **keywords)
            except BaseException as error:
                tell(f"raised {type(error).__name__}", about(arguments, keywords), began)
                raise
            tell(f"wrapped {_answer(result)}", about(arguments, keywords), began)
            return result

        wrapper._starlake_traced = True  # type: ignore[attr-defined]
        return wrapper

    @functools.wraps(function)
    def plain(*arguments: Any, **keywords: Any) -> Any:
        began = time.perf_counter()
        try:
            result = function(*arguments, **keywords)
        except BaseException as error:
            tell(f"raised {type(error).__name__}", about(arguments, keywords), began)
            raise
        tell("passed" if result is None else f"answered {_answer(result)}", about(arguments, keywords), began)
        return result

    plain._starlake_traced = True  # type: ignore[attr-defined]
    return plain


def _answer(result: object) -> str:
    """Return what a hook returned, without its content, which may be secret."""
    return "None" if result is None else type(result).__name__


def _named(subject: object) -> str:
    """Return the name of what a call is about."""
    for name in ("path", "task_id", "id", "environment"):
        found = getattr(subject, name, "")
        if isinstance(found, str) and found:
            return found
    return str(subject) if isinstance(subject, (str, os.PathLike)) else type(subject).__name__

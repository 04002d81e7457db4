"""Asking about many things one by one, in a poll that is made again soon."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from starlake_core import OutageError, StarlakeError

__all__ = ["one_by_one"]


def one_by_one(
    names: Collection[str],
    get: Callable[[str], Any],
    get_once: Callable[[str], Any],
    troubled: Collection[str] = (),
    seconds: float = 15.0,
) -> dict[str, Any]:
    """Ask about each of some things; one that cannot be asked about holds up no other one for long.

    Args:
        names: of the things.
        get: asks about one, and tries again while the service does not answer.
        get_once: asks about one without that; it is used after an outage.
        troubled: those that gave trouble the last time; they are asked about at the end.
        seconds: after which the rest is left to the next poll.

    Returns:
        The answers; for what cannot be asked about, the error.
    """
    found: dict[str, Any] = {}
    asking, deadline = get, time.monotonic() + seconds
    for name in sorted(names, key=lambda name: (name in troubled, name)):
        if found and time.monotonic() > deadline:
            found[name] = OutageError(f"the service answers slowly; {name} is asked about the next time")
            continue
        try:
            found[name] = asking(name)
        except OutageError as error:
            found[name], asking = error, get_once
        except StarlakeError as error:
            found[name] = error
    return found

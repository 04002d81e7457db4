"""What polls have in common: attempts that were seen, and many resources that are queried one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from starlake_core import OutageError, StarlakeError
from starlake_core.runtime import Recent

__all__ = ["Sightings", "one_by_one"]

_REMEMBERED = 20_000


class Sightings:
    """Which attempts the service has shown. An attempt that it does not know is gone if it was shown before; otherwise it may appear later.

    Args:
        grace: how long the service may not know an attempt that it never showed, in seconds.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._seen: Recent[str, bool] = Recent(_REMEMBERED)
        self._missed_since: Recent[str, float] = Recent(_REMEMBERED)

    def __contains__(self, handle: object) -> bool:
        return handle in self._seen

    def expect(self, handle: str) -> None:
        """Note that an attempt has just been started.

        Args:
            handle: the handle of the attempt.
        """
        self._missed_since.put(handle, time.monotonic())

    def note(self, handle: str) -> None:
        """Note that the service has shown an attempt.

        Args:
            handle: the handle of the attempt.
        """
        self._seen.put(handle, True)

    def may_come(self, handle: str) -> bool:
        """Whether an attempt that the service does not know may still appear.

        Args:
            handle: the handle of the attempt.
        """
        since = self._missed_since.setdefault(handle, time.monotonic())
        return handle not in self._seen and time.monotonic() - since < self._grace


def one_by_one(
    names: Collection[str],
    get: Callable[[str], Any],
    get_once: Callable[[str], Any],
    troubled: Collection[str] = (),
    seconds: float = 15.0,
) -> dict[str, Any]:
    """Query resources one by one, so that one that does not answer delays the others only briefly.

    Args:
        names: the names of the resources.
        get: queries one resource, with retries while the service does not answer.
        get_once: queries one resource without retries; used after an outage.
        troubled: the resources that failed the last time; they are queried last.
        seconds: how long the poll may take; the rest is left to the next poll.

    Returns:
        The answer for each resource, or the error if it cannot be queried.
    """
    found: dict[str, Any] = {}
    asking, deadline = get, time.monotonic() + seconds
    for name in sorted(names, key=lambda name: (name in troubled, name)):
        if found and time.monotonic() > deadline:
            found[name] = OutageError(f"the service is slow to answer; {name} is queried in the next poll")
            continue
        try:
            found[name] = asking(name)
        except OutageError as error:
            found[name], asking = error, get_once
        except StarlakeError as error:
            found[name] = error
    return found

"""What polls have in common: attempts that were seen, and many things that are asked about one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from starlake_core import OutageError, StarlakeError
from starlake_core.runtime import Recent

__all__ = ["Sightings", "one_by_one"]

_REMEMBERED = 20_000


class Sightings:
    """Which attempts the service has shown. One that it does not know is gone if it was shown before; else it may not be shown yet.

    Args:
        grace: seconds for which a service may not know an attempt that was never shown.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._seen: Recent[str, bool] = Recent(_REMEMBERED)
        self._missed_since: Recent[str, float] = Recent(_REMEMBERED)

    def __contains__(self, handle: object) -> bool:
        return handle in self._seen

    def expect(self, handle: str) -> None:
        """An attempt was started just now.

        Args:
            handle: of the attempt.
        """
        self._missed_since.put(handle, time.monotonic())

    def note(self, handle: str) -> None:
        """The service has shown an attempt.

        Args:
            handle: of the attempt.
        """
        self._seen.put(handle, True)

    def may_come(self, handle: str) -> bool:
        """Whether an attempt that the service does not know may be shown later.

        Args:
            handle: of the attempt.
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

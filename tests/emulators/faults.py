"""Faults of a service, on purpose: errors before and after the work is done, replies that never arrive, a client that dies."""

from __future__ import annotations

import enum
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

__all__ = ["Fault", "Faults", "Kind", "When"]


class Kind(enum.Enum):
    """What the client gets to see."""

    UNAVAILABLE = "503: try again"
    THROTTLED = "429: too many requests"
    LOST = "the reply never arrives: the deadline of the call passes"
    QUOTA = "a quota is used up"
    DENIED = "a permission is missing"
    NOT_FOUND = "something does not exist"
    SLOW = "the reply comes after the deadline of the call"
    KILL = "the client dies"


class When(enum.Enum):
    """Whether the service has already done the work of the call."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Fault:
    """One fault of one call.

    Attributes:
        kind: what the client gets to see.
        when: before or after the work of the call was done.
        message: of the service, where its words matter.
    """

    kind: Kind
    when: When = When.BEFORE
    message: str = ""


class Faults:
    """Decides for each call of a service whether it goes wrong, and counts the calls.

    Attributes:
        calls: how many calls there were of each method.
        moments: when each call was made, by the monotonic clock.
        hits: how many calls have gone wrong since :meth:`forget`.
        kill: called for :attr:`Kind.KILL`; has to end the client.
        slow_seconds: how late a reply of :attr:`Kind.SLOW` is.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.moments: list[float] = []
        self.hits = 0
        self.kill: Callable[[], None] = lambda: None
        self.slow_seconds = 1.5
        self._planned: dict[str, list[Fault | None]] = {}
        self._armed: tuple[str, Collection[str], list[Fault]] = ("", (), [])
        self._burst: tuple[Collection[str], list[Fault]] = ((), [])
        self._at: dict[int, Fault] = {}
        self._share = 0.0
        self._kinds: tuple[Fault, ...] = ()
        self._spared: Collection[str] = ()
        self._random = random.Random(0)
        self._lock = threading.Lock()

    def plan(self, method: str, *faults: Fault | None) -> None:
        """Let the next calls of a method go wrong, one after the other; None is a call that goes well.

        Args:
            method: such as ``SubmitJob``.
            faults: of the next calls.
        """
        with self._lock:
            self._planned.setdefault(method, []).extend(faults)

    def plan_call(self, number: int, fault: Fault) -> None:
        """Let one call go wrong, whatever its method.

        Args:
            number: of the call from now on, from 0.
            fault: what happens.
        """
        with self._lock:
            self._at[self.calls.total() + number] = fault

    def plan_after(self, method: str, methods: Collection[str], faults: list[Fault]) -> None:
        """Let calls of some methods go wrong as soon as a call of another method was made: while what it started runs.

        Args:
            method: such as ``SubmitJob``.
            methods: such as ``GetJob``.
            faults: of the next calls of these.
        """
        with self._lock:
            self._armed = (method, tuple(methods), list(faults))

    def calm(self) -> None:
        """Forget what :meth:`plan_after` planned."""
        with self._lock:
            self._armed, self._burst = ("", (), []), ((), [])

    def forget(self) -> None:
        """Let everything go well from now on."""
        with self._lock:
            self._planned.clear()
            self._at.clear()
            self._armed, self._burst = ("", (), []), ((), [])
            self._kinds = ()
            self.kill = lambda: None
            self.hits = 0

    def at_random(self, share: float, kinds: Collection[Fault], seed: int, spared: Collection[str] = ()) -> None:
        """Let a share of all calls go wrong.

        Args:
            share: between 0 and 1.
            kinds: of which one is drawn.
            seed: of the draw.
            spared: methods that always go well.
        """
        with self._lock:
            self._share, self._kinds, self._spared = share, tuple(kinds), spared
            self._random = random.Random(seed)

    def take(self, method: str) -> Fault | None:
        """Count a call, and say what goes wrong with it.

        Args:
            method: that is called.
        """
        with self._lock:
            fault = self._next(method)
            self.hits += fault is not None
            return fault

    def _next(self, method: str) -> Fault | None:
        number = self.calls.total()
        self.calls[method] += 1
        self.moments.append(time.monotonic())
        fault = self._at.pop(number, None)
        if method == self._armed[0] and (fault is None or fault.when is When.AFTER):
            self._burst, self._armed = self._armed[1:], ("", (), [])
        if fault is not None:
            return fault
        if method in self._burst[0] and self._burst[1]:
            return self._burst[1].pop(0)
        planned = self._planned.get(method)
        if planned:
            return planned.pop(0)
        if self._kinds and method not in self._spared and self._random.random() < self._share:
            return self._random.choice(self._kinds)
        return None

"""A bounded memory for runners."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Recent"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A thread-safe mapping of bounded size, which drops the oldest entries first.

    Args:
        size: how many entries it keeps.
    """

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: K, value: V) -> None:
        """Add a value as the newest entry."""
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def get(self, key: K) -> V | None:
        """Return the value of a key; None if there is none."""
        with self._lock:
            return self._kept.get(key)

    def take(self, key: K) -> V | None:
        """Remove a key, and return its value."""
        with self._lock:
            return self._kept.pop(key, None)

    def setdefault(self, key: K, value: V) -> V:
        """Return the value of a key; if there is none, set it to this one."""
        with self._lock:
            return self._kept.setdefault(key, value)

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return key in self._kept

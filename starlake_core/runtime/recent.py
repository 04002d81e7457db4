"""What a runner remembers for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Recent"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping of bounded size, for several threads: what was put first is forgotten first.

    Args:
        size: how many entries it keeps.
    """

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: K, value: V) -> None:
        """Remember a value, as the latest one."""
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def get(self, key: K) -> V | None:
        """The value of a key, None if there is none."""
        with self._lock:
            return self._kept.get(key)

    def take(self, key: K) -> V | None:
        """The value of a key, which is forgotten."""
        with self._lock:
            return self._kept.pop(key, None)

    def setdefault(self, key: K, value: V) -> V:
        """The value of a key; this one, if there was none."""
        with self._lock:
            return self._kept.setdefault(key, value)

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return key in self._kept

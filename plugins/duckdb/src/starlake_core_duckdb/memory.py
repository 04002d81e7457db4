"""What the warm engine knows about a database without asking it again: nobody else writes the database while it is open."""

from __future__ import annotations

from collections.abc import Callable, Collection

__all__ = ["Memory", "RunKeys"]

_MOST = 100_000


class RunKeys:
    """Which run keys a database may have. A command whose key is new need not look for its result."""

    def __init__(self) -> None:
        self._runs: dict[str, Collection[str]] = {}
        self._written: set[str] = set()

    def write(self, key: str) -> None:
        """Note a key, before it is written."""
        if len(self._written) < _MOST:
            self._written.add(key)

    def may_have(self, key: str, read: Callable[[str], Collection[str]]) -> bool:
        """Return whether a key may have been written.

        Args:
            key: the key: ``pipeline/run/task``, or another text, of which nothing is known.
            read: reads all keys of a run, which begin with ``pipeline/run/``. It is called once for each run.
        """
        pipeline, _, rest = key.partition("/")
        run, _, task = rest.partition("/")
        if not task or len(self._written) >= _MOST:
            return True
        begin = f"{pipeline}/{run}/"
        known = self._runs.get(begin)
        if known is None:
            # Whatever is committed later was noted before.
            known = self._runs[begin] = frozenset(read(begin))
        return key in known or key in self._written


class Memory:
    """What commands have found in a database, or made there, since it was opened.

    Attributes:
        run_keys: the run keys.
    """

    def __init__(self) -> None:
        self.run_keys = RunKeys()
        self._schemas: set[str] = set()
        self._lasting = True

    def has_schema(self, name: str) -> bool:
        """Return whether a schema is certainly there."""
        return self._lasting and name.lower() in self._schemas

    def keep_schema(self, name: str) -> None:
        """Note that a schema is there."""
        self._schemas.add(name.lower())

    def expect_drops(self) -> None:
        """From now on, no schema is certainly there. Called before a command runs a statement that may drop one."""
        self._lasting = False

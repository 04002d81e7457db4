"""Reports undefined variables: once for each name and file, and only when the value is used."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ProjectError

__all__ = ["APPLICATION", "BY_HAND", "IN_A_PIPELINE", "Reports", "Use", "Where", "texts_of"]

_log = logging.getLogger(__name__)

BY_HAND = "define it in metadata/env.sl.yml, in the environment or with --options"
IN_A_PIPELINE = "define it in metadata/env.sl.yml, in the environment of the worker, or with the option sl_env_var or sl_options of the pipeline"

APPLICATION = "application.sl.yml"
_EVERY_COMMAND = frozenset({
    "ack", "archive", "area", "connectionRef", "datasets", "dsvOptions", "duckdbPath", "emptyIsNull", "env", "loadConnectionRef", "loader",
    "metadata", "rejectAllOnError", "root", "transformConnectionRef",
})  # fmt: skip
_SOME_COMMANDS = frozenset({"presql", "postsql", "expectations"})

_DEEPEST = 100

Where = tuple[str, ...]
"""The path of keys to a value, from the top of its file: ``("application", "connections", "pg", "options", "url")``."""


@dataclass(frozen=True)
class Use:
    """A use of an undefined variable.

    Attributes:
        path: the file that uses it.
        name: the name of the variable.
        where: the path of keys to the value that uses it; empty for a file that is not YAML.
    """

    path: Path
    name: str
    where: Where = ()


def _waits(source: Path, where: Where) -> bool:
    """Return whether a value may stay unused, such as a setting that only some commands read, or a statement of a table."""
    if source.name == APPLICATION:
        keys = where[1:] if where[:1] == ("application",) else where
        return bool(keys) and keys[0] not in _EVERY_COMMAND
    return not _SOME_COMMANDS.isdisjoint(where)


def _is_part(part: Where, where: Where) -> bool:
    return any(where[start : start + len(part)] == part for start in range(len(where) - len(part) + 1))


@dataclass
class Reports:
    """Reports undefined variables as warnings, or as errors.

    Attributes:
        strict: raise an error instead of a warning.
        hint: how the user can define a variable.
        silent: neither warn nor raise.
    """

    strict: bool = False
    hint: str = BY_HAND
    silent: bool = False
    _told: set[tuple[Path, str]] = field(default_factory=set)
    _waiting: dict[Path, dict[Use, None]] = field(default_factory=dict)

    def found(self, source: Path, uses: Iterable[Use]) -> None:
        """Report the undefined variables of a file, or keep them until their values are used.

        Args:
            source: the file. A use may be in another file, which defines a variable that this file uses.
            uses: the uses, in the order of the file.

        Raises:
            ProjectError: there is an undefined variable, and the project is strict.
        """
        if self.silent:
            return
        for use in uses:
            if _waits(source, use.where):
                self._waiting.setdefault(source, {})[use] = None
            else:
                self._tell(use)

    def used(self, source: Path, *part: str) -> None:
        """Report the undefined variables of a value that is about to be used.

        Args:
            source: the file.
            part: consecutive keys on the path to the value, ``"connections", "pg"``.

        Raises:
            ProjectError: the value uses an undefined variable, and the project is strict.
        """
        for use in self._waiting.get(source, ()):
            if _is_part(part, use.where):
                self._tell(use)

    def _tell(self, use: Use) -> None:
        if (use.path, use.name) in self._told:
            return
        place = _place(use)
        if self.strict:
            raise ProjectError(f"{place}: variable {use.name!r} is not defined; {self.hint}")
        self._told.add((use.path, use.name))
        _log.warning("%s: variable %r is not defined, so it is empty; %s", place, use.name, self.hint)


def _place(use: Use) -> str:
    try:
        text = use.path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return str(use.path)
    found = re.search(rf"(?:\{{\{{|\{{%|\$\{{)[^}}\n]*\b{re.escape(use.name)}\b", text)
    return f"{use.path}:{text.count(chr(10), 0, found.start()) + 1}" if found else str(use.path)


def texts_of(values: object) -> Iterator[tuple[Where, str]]:
    """Yield every string of parsed YAML with its path of keys, in the order of the file. The path does not include positions in lists."""
    stack: list[tuple[Where, object]] = [((), values)]
    seen: set[tuple[Where, int]] = set()
    while stack:
        where, value = stack.pop()
        if (where, id(value)) in seen or len(where) > _DEEPEST:
            continue  # a YAML alias may be part of its own anchor
        if not isinstance(value, str):
            seen.add((where, id(value)))
        if isinstance(value, Mapping):
            stack.extend(((*where, str(key)), item) for key, item in reversed(list(value.items())))
            yield from ((where, key) for key in value if isinstance(key, str))
        elif isinstance(value, list):
            stack.extend((where, item) for item in reversed(value))
        elif isinstance(value, str):
            yield where, value

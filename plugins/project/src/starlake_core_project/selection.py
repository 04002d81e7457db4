"""Selects tables and transforms by words: names, tags, paths, what is upstream or downstream, and what changed.

| word | selects |
|---|---|
| ``sales.orders``, ``sales.*`` | tables and transforms by their logical name or the one in the warehouse |
| ``tag:nightly``, ``domain:sales``, ``type:transform`` | those with a tag, of a domain, loads or transforms |
| ``path:metadata/transform/kpi`` | those whose file is there, or that file |
| ``state:modified``, ``state:new`` | those that differ from a manifest, or are not in it |
| ``+x``, ``2+x``, ``x+``, ``x+1`` | with all that it needs, or all that needs it, up to a number of steps |
| ``@x`` | with all that needs it, and all that those need |
| ``a,b`` | what both words select |
| ``a b`` | what one of the words selects |
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from starlake_core import NothingFoundError
from starlake_core.errors import did_you_mean

from .catalogue import Catalogue, Item
from .lineage import Lineage
from .manifest import read_manifest
from .tables import SUFFIX

__all__ = ["METHODS", "select_items", "selected_names"]

METHODS = ("domain", "path", "state", "tag", "type")
_WORD = re.compile(r"(?P<at>@)?(?:(?P<up>\d*)\+)?(?P<core>[^+@]+?)(?:\+(?P<down>\d*))?")


def select_items(
    root: Path,
    catalogue: Catalogue,
    lineage: Lineage,
    select: Iterable[str] | str = (),
    exclude: Iterable[str] | str = (),
    state: Path | None = None,
) -> Catalogue:
    """Return the part of a project that words select.

    Args:
        root: the folder of the project.
        catalogue: everything.
        lineage: what its transforms read.
        select: words; everything by default.
        exclude: words for what to leave out.
        state: a manifest, for ``state:modified``.

    Raises:
        NothingFoundError: a word selects nothing, or cannot be read.
        ProjectError: the manifest cannot be read.
    """
    selection = _Selection(root, catalogue, lineage, state)
    wanted = selection.union(select)
    names = (set(selection.items) if wanted is None else wanted) - (selection.union(exclude) or set())
    kept = tuple(item for item in catalogue.items if _key(item) in names)
    left = {item.fault.path for item in catalogue.items if item.fault is not None} - {
        item.fault.path for item in kept if item.fault is not None
    }
    return Catalogue(kept, tuple(fault for fault in catalogue.faults if fault.path not in left))


def selected_names(catalogue: Catalogue) -> list[str]:
    """Return the names of everything in a catalogue."""
    return [item.full_name for item in catalogue.items]


def _key(item: Item) -> str:
    return f"{'transform' if item.is_task else 'load'}:{item.full_name}"


class _Selection:
    def __init__(self, root: Path, catalogue: Catalogue, lineage: Lineage, state: Path | None) -> None:
        self.root = root
        self.items: Mapping[str, Item] = {_key(item): item for item in catalogue.items}
        self.state = state
        self._manifest: Mapping[str, str] | None = None
        self.above = {
            _key(item): [_key(parent) for parent in lineage.parents.get(item.full_name, ())] if item.is_task else []
            for item in catalogue.items
        }
        self.below: dict[str, list[str]] = {name: [] for name in self.items}
        for name, parents in self.above.items():
            for parent in parents:
                self.below.setdefault(parent, []).append(name)

    def union(self, words: Iterable[str] | str) -> set[str] | None:
        """Return what one of the words selects; None without words."""
        texts = [words] if isinstance(words, str) else list(words)
        found = [self.both(word) for text in texts for word in text.split()]
        return set().union(*found) if found else None

    def both(self, word: str) -> set[str]:
        """Return what all parts of a word select."""
        parts = [self.one(part, word) for part in word.split(",") if part]
        if not parts:
            raise NothingFoundError(
                f"the word {word!r} of the selection cannot be read; write words on both sides of ','"
            )
        return set.intersection(*parts)

    def one(self, part: str, word: str) -> set[str]:
        found = _WORD.fullmatch(part)
        if found is None:
            raise NothingFoundError(
                f"the word {word!r} of the selection cannot be read; write a name such as sales.orders, with + before it for what it needs, "
                "or after it for what needs it"
            )
        start = self.matching(found["core"], word)
        names = set(start)
        if found["up"] is not None:
            names |= self.walk(start, self.above, found["up"])
        if found["down"] is not None or found["at"]:
            below = self.walk(start, self.below, found["down"] or "")
            names |= below
            if found["at"]:
                names |= self.walk(names | below, self.above, "")
        return names & set(self.items)

    def walk(self, start: Iterable[str], edges: Mapping[str, Sequence[str]], steps: str) -> set[str]:
        seen = set(start)
        front = set(seen)
        left = int(steps) if steps else len(self.items) + 1
        while front and left:
            front = {other for name in front for other in edges.get(name, ())} - seen
            seen |= front
            left -= 1
        return seen

    def matching(self, text: str, word: str) -> set[str]:
        method, colon, value = text.partition(":")
        if not colon:
            found = self.where(lambda item: _named(item, text))
            known = [name for item in self.items.values() for name in (item.full_name, item.sink, item.domain)]
            hint = did_you_mean(text, known)
            return self.some(found, f"the word {word!r} selects no table and no transform of {self.root}.{hint}")
        if method not in METHODS:
            raise NothingFoundError(
                f"the word {word!r} has the unknown method {method!r}; use one of {', '.join(METHODS)}.{did_you_mean(method, METHODS)}"
            )
        if method == "state":
            return self.changed(value, word)
        test: dict[str, Callable[[Item], bool]] = {
            "domain": lambda item: fnmatchcase(item.domain, value) or fnmatchcase(item.final_domain, value),
            "path": self.at(value),
            "tag": lambda item: any(fnmatchcase(tag, value) for tag in item.tags),
            "type": lambda item: value == ("transform" if item.is_task else "load"),
        }
        known = self.values(method)
        hint = did_you_mean(value, known)
        allowed = f" (there: {', '.join(known)})" if method == "type" else ""
        return self.some(
            self.where(test[method]),
            f"the word {word!r} selects no table and no transform of {self.root}{allowed}.{hint}",
        )

    def values(self, method: str) -> list[str]:
        """Return what the items have for a method, for suggestions."""
        items = self.items.values()
        found = {
            "domain": [name for item in items for name in (item.domain, item.final_domain)],
            "path": [str(item.path.relative_to(self.root)) for item in items if item.path.is_relative_to(self.root)],
            "tag": [tag for item in items for tag in item.tags],
            "type": ["load", "transform"],
        }
        return list(dict.fromkeys(found[method]))

    def changed(self, value: str, word: str) -> set[str]:
        if value not in ("modified", "new"):
            raise NothingFoundError(f"the word {word!r} is not known; use state:modified or state:new")
        if self.state is None:
            raise NothingFoundError(
                f"the word {word!r} needs a manifest to compare with; name the file with --state, or state= in publish(). "
                "Write one with: starlake-orchestrate graph PROJECT --format json"
            )
        if self._manifest is None:
            self._manifest = read_manifest(self.state)
        before = self._manifest
        if value == "new":
            return self.where(lambda item: item.full_name not in before)
        return self.where(lambda item: before.get(item.full_name) != item.facts.fingerprint)

    def where(self, test: Callable[[Item], bool]) -> set[str]:
        return {name for name, item in self.items.items() if test(item)}

    def at(self, value: str) -> Callable[[Item], bool]:
        wanted = Path(value)
        whole = Path(os.path.abspath(wanted if wanted.is_absolute() else self.root / wanted))
        wild = any(mark in value for mark in "*?[")

        def test(item: Item) -> bool:
            files = [item.path, *([Path(item.facts.sql_path)] if item.facts.sql_path else [])]
            files.append(item.path.with_name(f"_config{SUFFIX}"))
            return any(
                whole == file or whole in file.parents or (wild and fnmatchcase(str(file), str(whole)))
                for file in files
            )

        return test

    @staticmethod
    def some(found: set[str], message: str) -> set[str]:
        if not found:
            raise NothingFoundError(message.removesuffix("."))
        return found


def _named(item: Item, pattern: str) -> bool:
    names = (item.full_name, item.sink) if "." in pattern else (
        item.full_name, item.sink, item.name, item.final_name, item.domain, item.final_domain
    )  # fmt: skip
    return any(fnmatchcase(name, pattern) for name in names)

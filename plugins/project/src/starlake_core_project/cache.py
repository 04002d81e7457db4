"""Keeps what was read from a project, by the content of its files, so that an unchanged project is not parsed again.

A file of the cache is only used if it was written by the same version for the same content, variables and folder. Anything else is ignored, and so is
a file that is damaged. It contains data only. Several processes may read and write it at once: a file is complete or absent.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from .catalogue import Catalogue, Item
from .item_facts import ItemFacts
from .lineage import Lineage
from .named import words_of_references
from .project import Project
from .settings import SETTINGS
from .walking import files_below

__all__ = ["Cache"]

_FORMAT = 1
_KEPT = 8
"""How many files are kept in a folder: one for each environment and way of lineage, and a few older ones."""
_ABANDONED = 3600 * 10**9
_OFF = ("off", "false", "no", "0")


class _StoredItem(msgspec.Struct, array_like=True):
    domain: str
    name: str
    final_domain: str
    final_name: str
    path: str
    is_task: bool
    dag_ref: str
    schedule: str
    tags: tuple[str, ...]
    facts: ItemFacts


class _Stored(msgspec.Struct):
    names: tuple[str, ...]
    values: str
    items: tuple[_StoredItem, ...]
    parents: dict[str, tuple[int, ...]]
    warnings: tuple[str, ...]


class Cache:
    """The cache of one project.

    Args:
        project: the project.
        words: what else decides the content, such as the way of lineage.
        environ: the environment variables. ``SL_PROJECT_CACHE`` names the folder, or is ``off``; by default ``.starlake-core/cache`` in the project.
    """

    def __init__(self, project: Project, words: Iterable[str], environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._metadata = project.metadata
        place = environ.get("SL_PROJECT_CACHE") or str(project.root / ".starlake-core" / "cache")
        self._folder = None if place.lower() in _OFF else Path(place).expanduser()
        if self._folder is not None:
            settings = {name for names in SETTINGS.values() for name in names}
            fixed = {name: value for name, value in environ.items() if name.startswith("SL_") or name in settings}
            about = [
                _FORMAT,
                _version("starlake-core-project"),
                _version("sqlglot"),
                str(project.root),
                *words,
                sorted(fixed.items()),
            ]
            self._path = self._folder / f"{_digest(self._metadata, repr(about))}.msgpack"

    def read(self) -> tuple[Catalogue, Lineage] | None:
        """Return the content of the project, or None if the cache does not have it."""
        if self._folder is None:
            return None
        try:
            data = self._path.read_bytes()
            check, data = data[:32], data[32:]
            if hashlib.sha256(data).digest() != check:
                return None
            stored = msgspec.msgpack.decode(data, type=_Stored)
        except (OSError, msgspec.MsgspecError):
            return None
        if self._values(stored.names) != stored.values:
            return None
        items = [
            Item(
                one.domain, one.name, one.final_domain, one.final_name, Path(one.path), one.is_task, one.dag_ref, one.schedule, one.tags,
                facts=one.facts,
            )
            for one in stored.items
        ]  # fmt: skip
        try:
            parents = {name: tuple(items[index] for index in indexes) for name, indexes in stored.parents.items()}
        except IndexError:
            return None
        return Catalogue(tuple(items)), Lineage(parents, warnings=stored.warnings)

    def write(self, catalogue: Catalogue, lineage: Lineage) -> None:
        """Keep the content of the project, unless a file of it is broken or the folder cannot be written.

        Args:
            catalogue: its tables and transforms, with their facts.
            lineage: what its transforms read.
        """
        if self._folder is None or catalogue.faults or lineage.faults:
            return
        names = tuple(sorted(words_of_references(self._metadata)))
        index = {(item.is_task, item.full_name): at for at, item in enumerate(catalogue.items)}
        stored = _Stored(
            names,
            self._values(names),
            tuple(
                _StoredItem(
                    item.domain, item.name, item.final_domain, item.final_name, str(item.path), item.is_task, item.dag_ref, item.schedule,
                    item.tags, item.facts,
                )
                for item in catalogue.items
            ),
            {name: tuple(index[one.is_task, one.full_name] for one in found) for name, found in lineage.parents.items()},
            lineage.warnings,
        )  # fmt: skip
        data = msgspec.msgpack.encode(stored)
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, aside = tempfile.mkstemp(dir=self._folder, suffix=".tmp")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(hashlib.sha256(data).digest() + data)
                os.replace(aside, self._path)
            except OSError:
                os.unlink(aside)
                raise
            self._tidy(self._folder)

    def _tidy(self, folder: Path) -> None:
        files = sorted(folder.glob("*.msgpack"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in files[_KEPT:]:
            path.unlink(missing_ok=True)
        # What a process that was killed left behind; others may still be written.
        for path in folder.glob("*.tmp"):
            if files and path.stat().st_mtime_ns < files[0].stat().st_mtime_ns - _ABANDONED:
                path.unlink(missing_ok=True)

    def _values(self, names: Iterable[str]) -> str:
        """Return a value for the environment variables that the files refer to; the values themselves are not kept."""
        known = [(name, self._environ.get(name)) for name in names]
        return hashlib.sha256(repr(known).encode()).hexdigest()


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _digest(folder: Path, about: str) -> str:
    """Return a value for the names and contents of all files below a folder."""
    digest = hashlib.sha256(about.encode())
    root = str(folder)
    for path in files_below(root):
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError:
            content = b"\0unreadable"
        digest.update(f"{path[len(root) :]}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return digest.hexdigest()[:40]

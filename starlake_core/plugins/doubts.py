"""Doubts about installed distributions: entry points that nothing reads, and requirements that are not met.

Nothing is imported: only the metadata of the distributions is read.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

from ..errors import did_you_mean, near_miss

__all__ = ["Stray", "find_strays", "forget", "unmet_requirements"]

_PREFIXES = ("starlake_core.", "starlake-core.", "starlake_core_", "starlake.", "starlake_orchestrate.")


@dataclass(frozen=True)
class Stray:
    """An entry point in a group that looks like a group of the core, but is none.

    Attributes:
        distribution, version: the distribution that declares it.
        group: its group.
        name: its name.
        meant: the end of a message: the group that was probably meant.
    """

    distribution: str
    version: str
    group: str
    name: str
    meant: str

    def __str__(self) -> str:
        return (
            f"{self.distribution} {self.version} declares '{self.name}' in the entry-point group '{self.group}', which nothing "
            f"reads.{self.meant}"
        )


def find_strays(groups: Iterable[str]) -> tuple[Stray, ...]:
    """Return the entry points in groups that look like a group of the core, sorted.

    Args:
        groups: the groups of the core.
    """
    return _find_strays(tuple(groups))


@functools.cache
def _find_strays(groups: tuple[str, ...]) -> tuple[Stray, ...]:
    found: dict[Stray, None] = {}
    for distribution in metadata.distributions():
        for entry_point in distribution.entry_points:
            group = entry_point.group
            if group in groups or not (group.lower().startswith(_PREFIXES) or near_miss(group, groups)):
                continue
            meant = did_you_mean(group, groups) or f" The groups are {', '.join(groups)}."
            name = distribution.metadata["Name"] or "unknown"
            found[Stray(name, distribution.version, group, entry_point.name, meant)] = None
    return tuple(sorted(found, key=lambda stray: (stray.distribution, stray.group, stray.name)))


@functools.cache
def unmet_requirements(distribution: str) -> tuple[str, ...]:
    """Return which requirements of a distribution are not met here, one phrase each. Requirements of extras are
    ignored.

    Args:
        distribution: the name of an installed distribution.
    """
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:  # an error message must not fail for want of a library
        return ()
    problems: list[str] = []
    try:
        given = metadata.distribution(distribution).requires or ()
    except metadata.PackageNotFoundError:
        return ()
    for text in given:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            problems.append(f"its requirement {text!r} cannot be read")
            continue
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        needs = f"it needs {wanted.name}{wanted.specifier}"
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            problems.append(f"{needs}, which is not installed")
            continue
        if version and not wanted.specifier.contains(version, prereleases=True):
            problems.append(f"{needs}, but {wanted.name} {version} is installed")
    return tuple(problems)


def forget() -> None:
    """Read the metadata again, after distributions were installed while this process runs."""
    _find_strays.cache_clear()
    unmet_requirements.cache_clear()

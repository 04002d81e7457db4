"""Which steps of a pipeline share a definition of assets: as few as possible, so that Dagster sees what is between two tables.

A step with a dataset is a unit of its own: Dagster can put a check, or an asset of somebody else, between it and the next one. A step without a
dataset (a gate, an import, a set-up, a native op) has no place between assets, so it shares a unit with what runs directly behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from .op_graph import Flat

__all__ = ["Units", "circles", "longest_path", "plan", "with_reads"]

Key = Any  # an asset key


@dataclass(frozen=True)
class Units:
    """The units of a pipeline.

    Attributes:
        members: the paths of the steps of each unit, in topological order.
        outside: maps the path of each step to the assets of other units that it waits for.
        inside: maps the path of each step to the steps of its unit that it waits for: those directly before it, and those whose assets it reads.
        deps: maps the path of each step to what its assets depend on, which includes what steps without a dataset before it wait for.
        relays: maps the path of each step that tolerates skips, and may meet one, to its :attr:`outside`, in groups whose assets are only
            skipped together.
        dropped: the paths of steps that only mark where a pipeline starts, and are left out.
        depth: the number of units on the longest way through the pipeline.
    """

    members: Sequence[Sequence[str]]
    outside: dict[str, tuple[Key, ...]]
    inside: Mapping[str, tuple[str, ...]]
    deps: Mapping[str, tuple[Key, ...]]
    relays: dict[str, tuple[tuple[Key, ...], ...]]
    dropped: frozenset[str]
    depth: int


def plan(
    flat: Flat,
    made: Mapping[str, Sequence[Key]],
    says: Mapping[str, Sequence[Key]],
    foreign: Collection[Key],
    optional: Collection[str],
    dropped: Collection[str],
) -> Units:
    """Find the units of a pipeline.

    Args:
        flat: the pipeline without its groups.
        made: maps the path of each step to the assets that it defines.
        says: maps the path of each step to the assets that it declares to read.
        foreign: the assets of other pipelines, among those that are read.
        optional: the paths of steps after which others may be skipped.
        dropped: the paths of steps to leave out.
    """
    befores = _befores(flat, dropped)
    maker = {key: path for path, keys in made.items() for key in keys}
    waits_for = with_reads(befores, says, maker)
    root = {path: path for path in befores}

    def find(path: str) -> str:
        while root[path] != path:
            root[path] = path = root[root[path]]
        return path

    for path, found in befores.items():
        for before in found:
            if not made.get(before):
                root[find(path)] = find(before)
    edges = _edges(befores, says, maker, find)
    # What is both before and after another unit is one with it.
    for circle in circles(edges):
        for path in circle:
            root[find(path)] = find(circle[0])
        edges = {}
    members: dict[str, list[str]] = {}
    for path in befores:
        members.setdefault(find(path), []).append(path)
    outside: dict[str, tuple[Key, ...]] = {}
    inside: dict[str, tuple[str, ...]] = {}
    deps: dict[str, tuple[Key, ...]] = {}
    for path, found in befores.items():
        unit = find(path)
        waits = dict.fromkeys(says.get(path, ()))
        reads = [key for key in waits if key in foreign or (key in maker and find(maker[key]) != unit)]
        behind: list[Key] = []
        for before in found:
            keys = made.get(before)
            waits.update(dict.fromkeys(keys or deps[before]))
            if find(before) != unit:
                behind.extend(keys or ())
        inside[path] = tuple(before for before in waits_for[path] if find(before) == unit)
        outside[path] = tuple(dict.fromkeys([*reads, *behind])) if reads or behind else ()
        own = made.get(path, ())
        deps[path] = tuple(key for key in waits if key not in own)
    relays = _relays(flat, waits_for, outside, maker, optional)
    return Units(
        list(members.values()),
        outside,
        inside,
        deps,
        relays,
        frozenset(dropped),
        longest_path(edges or _edges(befores, says, maker, find)),
    )


def _befores(flat: Flat, dropped: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Maps the path of each step, in topological order, to the steps directly before it."""
    found: dict[str, tuple[str, ...]] = {}
    known: dict[tuple[str, ...], tuple[str, ...]] = {}  # many steps wait for the same ones

    def at_steps(paths: tuple[str, ...]) -> tuple[str, ...]:
        if paths not in known:
            known[paths] = tuple(dict.fromkeys(flat.step(path) for path in paths if path not in dropped))
        return known[paths]

    for path in flat.tasks:
        step = flat.step(path)
        if step in found or step in dropped:
            continue
        for before in flat.befores[step]:
            if before in flat.joins and before not in found:
                found[before] = at_steps(flat.befores[before])
        found[step] = at_steps(flat.befores[step])
    return found


def with_reads(
    befores: Mapping[str, tuple[str, ...]], says: Mapping[str, Iterable[Key]], maker: Mapping[Key, str]
) -> Mapping[str, tuple[str, ...]]:
    """Add to the steps directly before each step those whose assets it reads; the order in which steps were drawn counts if the two differ.

    Args:
        befores: maps the path of each step to the steps directly before it.
        says: maps the path of each step to the assets that it reads.
        maker: maps each asset of the pipeline to the step that makes it.

    Returns:
        The steps that each step waits for; if that is more, in an order in which they can run.
    """
    more: dict[str, list[str]] = {}
    for path, found in befores.items():
        reads = dict.fromkeys(maker[key] for key in says.get(path, ()) if key in maker)
        left = [other for other in reads if other != path and other not in found]
        if left:
            more[path] = left
    if not more:
        return befores
    place = {path: number for number, path in enumerate(befores)}
    if any(place[other] > place[path] for path, left in more.items() for other in left):
        every = {path: [*found, *more.get(path, ())] for path, found in befores.items()}
        around = {path: number for number, circle in enumerate(circles(every)) for path in circle}
        for path, left in more.items():
            left[:] = [other for other in left if path not in around or around.get(other) != around[path]]
    waits_for = {path: (*found, *more.get(path, ())) for path, found in befores.items()}
    return {path: waits_for[path] for path in TopologicalSorter(waits_for).static_order()}


def _edges(
    befores: Mapping[str, Iterable[str]], says: Mapping[str, Iterable[Key]], maker: Mapping[Key, str], find: Any
) -> dict[str, dict[str, None]]:
    edges: dict[str, dict[str, None]] = {}
    for path, found in befores.items():
        unit = find(path)
        into = edges.setdefault(unit, {})
        for before in found:
            into[find(before)] = None
        for key in says.get(path, ()):
            if key in maker:
                into[find(maker[key])] = None
        into.pop(unit, None)
    return edges


def _relays(
    flat: Flat,
    waits_for: Mapping[str, Sequence[str]],
    outside: Mapping[str, Sequence[Key]],
    maker: Mapping[Key, str],
    optional: Collection[str],
) -> dict[str, tuple[tuple[Key, ...], ...]]:
    """For each step that tolerates skips and may meet one: what it waits for, in groups that depend on the same optional steps."""
    bits = {path: 1 << number for number, path in enumerate(path for path in waits_for if path in optional)}
    masks: dict[str, int] = {}
    relays: dict[str, tuple[tuple[Key, ...], ...]] = {}
    for path, found in waits_for.items():
        mask = 0
        for before in found:
            mask |= masks[before]
        if flat.has_one_input(path):
            if mask:
                groups: dict[int, list[Key]] = {}
                for key in outside[path]:
                    groups.setdefault(masks[maker[key]] if key in maker else -1, []).append(key)
                relays[path] = tuple(tuple(keys) for keys in groups.values())
            mask = 0
        masks[path] = mask | bits.get(path, 0)
    return relays


def circles(edges: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The groups of nodes that are before and after each other, without recursion.

    Args:
        edges: maps each node to the nodes before it.
    """
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    found: list[list[str]] = []
    for start in edges:
        if start in number:
            continue
        work = [(start, iter(edges[start]))]
        number[start] = low[start] = len(number)
        path.append(start)
        on_path.add(start)
        while work:
            node, nexts = work[-1]
            for other in nexts:
                if other not in number:
                    number[other] = low[other] = len(number)
                    path.append(other)
                    on_path.add(other)
                    work.append((other, iter(edges.get(other, ()))))
                    break
                if other in on_path:
                    low[node] = min(low[node], number[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == number[node]:
                    circle = []
                    while True:
                        circle.append(path.pop())
                        on_path.discard(circle[-1])
                        if circle[-1] == node:
                            break
                    if len(circle) > 1:
                        found.append(circle)
    return found


def longest_path(edges: Mapping[str, Iterable[str]]) -> int:
    """The number of nodes on the longest way through a graph without circles.

    Args:
        edges: maps each node to the nodes before it.
    """
    length: dict[str, int] = {}
    for start in edges:
        stack = [start]
        while stack:
            node = stack[-1]
            left = [other for other in edges.get(node, ()) if other not in length] if node not in length else []
            if left:
                stack.extend(left)
            else:
                if node not in length:
                    length[node] = 1 + max((length[other] for other in edges.get(node, ())), default=0)
                stack.pop()
    return max(length.values(), default=0)

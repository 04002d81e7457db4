"""What the job of a pipeline runs: its own assets, and what others put between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from dagster import AssetCheckKey, AssetKey, AssetSelection

__all__ = ["OwnAndBetween"]


@dataclass(frozen=True)
class OwnAndBetween(AssetSelection):
    """The assets of a pipeline, with the assets and checks of others that one run of it can make between them.

    A job has one definition of partitions. An asset with other ones is left out, and so is what only comes after such assets: Dagster would not
    load the code location. An asset or a check brings the rest of its definition if that cannot be made in parts.

    Attributes:
        own: the assets of the pipeline.
        others: the assets of other pipelines, which have jobs of their own.
    """

    own: tuple[AssetKey, ...]
    others: frozenset[AssetKey] = frozenset()

    def resolve_inner(self, asset_graph: Any, allow_missing: bool) -> Any:
        """The keys of the assets, as Dagster asks for them."""
        return self._found(asset_graph, allow_missing)[0]

    def resolve_checks_inner(self, asset_graph: Any, allow_missing: bool) -> Any:
        """The keys of the checks, as Dagster asks for them."""
        return self._found(asset_graph, allow_missing)[1]

    def _found(self, graph: Any, allow_missing: bool) -> tuple[set[AssetKey], set[AssetCheckKey]]:
        own = AssetSelection.assets(*self.own).resolve_inner(graph, allow_missing=allow_missing)
        partitions = [None]
        for key in own:
            found = graph.get(key).partitions_def
            if found not in partitions:
                partitions.append(found)
        possible = graph.materializable_asset_keys - self.others

        def fits(key: AssetKey) -> bool:
            return key in own or (key in possible and graph.get(key).partitions_def in partitions)

        down = _reached(own, lambda key: graph.get(key).child_keys, fits)
        between = down & _reached(own, lambda key: graph.get(key).parent_keys, fits)
        keys, checks = {*own, *between}, set(_checks_of(graph, {*own, *between}))
        left: list[Any] = [*between, *checks]
        while left:
            one = left.pop()
            whole = graph.get_execution_set_asset_and_check_keys(one)
            assets = {key for key in whole if isinstance(key, AssetKey)}
            if not all(map(fits, assets)):
                keys.discard(one)
                checks.discard(one)
                continue
            more = assets - keys
            about = {key for key in whole if isinstance(key, AssetCheckKey)}
            about = about.union(_checks_of(graph, more)) - checks
            keys |= more
            checks |= about
            left.extend((*more, *about))
        return keys, checks


def _checks_of(graph: Any, keys: Collection[AssetKey]) -> Iterable[AssetCheckKey]:
    return (check for check in graph.asset_check_keys if check.asset_key in keys) if keys else ()


def _reached(
    starts: Iterable[AssetKey], nexts: Callable[[AssetKey], Iterable[AssetKey]], fits: Callable[[AssetKey], bool]
) -> set[AssetKey]:
    """What others have on the ways from some assets, through what fits."""
    reached, left = set(starts), list(starts)
    begun = frozenset(reached)
    while left:
        for key in nexts(left.pop()):
            if key not in reached and fits(key):
                reached.add(key)
                left.append(key)
    return reached - begun

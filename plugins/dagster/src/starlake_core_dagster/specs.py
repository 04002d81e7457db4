"""What Dagster shows of an asset: its description, group, kinds, owners, tags and metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from dagster import AssetKey, AssetSpec

from starlake_core import StarlakeDataset

from .options import DagsterOptions
from .outputs import AssetOutput
from .render_context import RenderContext, dagster_name

__all__ = ["Specs", "tag_words"]

_NOT_IN_TAG = re.compile(r"[^A-Za-z0-9_.-]+")


class Specs:
    """Makes the descriptions of the assets of a pipeline.

    Args:
        context: what the tasks of the pipeline share.
    """

    def __init__(self, context: RenderContext) -> None:
        self._context = context
        self.pipeline = context.pipeline
        self.partitions = context.partitions

    @cached_property
    def _tags(self) -> dict[str, str]:
        return tag_words(self.pipeline.tags)

    @cached_property
    def _kinds(self) -> Mapping[str, Any]:
        """The kinds of an asset whose task sets none, derived from what it is."""
        more = self.pipeline.options[DagsterOptions].asset_kinds
        return {own: _in_order({"starlake", *([own] if own else ()), *more}) for own in ("sql", "table", "")}

    @cached_property
    def _owners(self) -> list[str]:
        return list(self.pipeline.options[DagsterOptions].asset_owners)

    def __call__(self, produced: AssetOutput, deps: Sequence[AssetKey]) -> AssetSpec:
        """The description of an asset.

        Args:
            produced: what it is.
            deps: what it depends on.
        """
        path, dataset = produced.path, produced.dataset
        if path in self._context.flat.joins:
            return self._of_join(produced, deps)
        task = self._context.flat.tasks[path]
        native = task.native
        metadata: dict[str, Any] = {"pipeline": self.pipeline.id, "task": path}
        if task.job is not None:
            metadata["command"] = self._context.lines[path]
            metadata["environment"] = task.job.environment
        if dataset is not None:
            metadata["sl_uri"] = dataset.uri
            if dataset.cron:
                metadata["sl_cron"] = dataset.cron
        kinds = native.get("kinds")
        if kinds is not None:
            kinds = _in_order(kinds)
        else:
            command = task.command
            kinds = self._kinds["sql" if command is not None and command.transform else "table" if task.domain else ""]
        return AssetSpec(
            key=produced.key,
            deps=deps,
            description=native.get("description") or self._context.about[path],
            group_name=native.get("group_name") or dagster_name(self._group(path, dataset)),
            kinds=kinds,
            tags={**self._tags, **native.get("asset_tags", {})},
            owners=list(native.get("owners") or ()) or self._owners,
            metadata={**metadata, **native.get("metadata", {})},
            code_version=native.get("code_version"),
            partitions_def=self.partitions,
        )

    def _group(self, path: str, dataset: StarlakeDataset | None) -> str:
        """The group of an asset: the outermost task group, or else the domain of the table, or else the pipeline."""
        outermost, separator, _ = path.partition(".")
        if separator:
            return outermost
        return (dataset.sink.partition(".")[0] if dataset is not None else "") or self.pipeline.id

    def _of_join(self, produced: AssetOutput, deps: Sequence[AssetKey]) -> AssetSpec:
        """The description of what waits for a wide group."""
        return AssetSpec(
            key=produced.key,
            deps=deps,
            description="Waits for a group, so that what comes after it need not wait for each of its tables.",
            group_name=dagster_name(produced.path.partition(".")[0]),
            kinds=self._kinds[""],
            tags=self._tags,
            owners=self._owners,
            metadata={"pipeline": self.pipeline.id},
            partitions_def=self.partitions,
        )


def _in_order(kinds: Iterable[str]) -> Any:
    """Kinds as a set whose order does not depend on hashes: Dagster turns them into tags in their order."""
    return dict.fromkeys(sorted(kinds)).keys()


def tag_words(words: Iterable[str]) -> dict[str, str]:
    """Words as Dagster's tags, which need values: these have empty ones."""
    return {_NOT_IN_TAG.sub("_", word)[:63]: "" for word in words}

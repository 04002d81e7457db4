"""What Dagster shows of an asset: its description, group, kinds, owners, tags and metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from dagster import AssetDep, AssetKey, AssetSpec, LastPartitionMapping

from starlake_core import StarlakeDataset, StarlakeError, Task

from .keywords import dep_of
from .options import DagsterOptions
from .outputs import AssetOutput
from .project_details import details_metadata, freshness_of, owners_of, plain_lines
from .render_context import RenderContext, dagster_name
from .translator import TranslatedAsset, asked

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
        self._partitioned: set[AssetKey] = set()

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
        details = task.details if dataset is not None else None
        about, tags, owners = self._context.about[path], self._tags, self._owners
        fresh: dict[str, Any] = {}
        if details is not None:
            metadata |= details_metadata(details)
            fresh = freshness_of(details)
            tags, owners = {**tags, **tag_words(details.tags)}, owners_of(details) or owners
            about = f"{about}\n\n{plain_lines(details.description)}" if details.description else about
        if native.get("freshness_policy") is not None:
            fresh = {"freshness_policy": native["freshness_policy"]}
        kinds = native.get("kinds")
        if kinds is not None:
            kinds = _in_order(kinds)
        else:
            command = task.command
            kinds = self._kinds["sql" if command is not None and command.transform else "table" if task.domain else ""]
        condition, partitions = native.get("automation_condition"), native.get("partitions_def") or self.partitions
        spec = AssetSpec(
            key=produced.key,
            deps=self._deps(native, deps, condition, partitions),
            description=native.get("description") or about,
            group_name=native.get("group_name") or dagster_name(self._group(path, dataset)),
            kinds=kinds,
            tags={**tags, **(native.get("asset_tags") or {})},
            owners=list(native.get("owners") or ()) or owners,
            metadata={**metadata, **(native.get("metadata") or {})},
            code_version=native.get("code_version"),
            partitions_def=partitions,
            automation_condition=condition,
            **fresh,
        )
        found = self._translated(spec, task, dataset)
        if condition is None and found.automation_condition is not None and found.deps == spec.deps:
            # The translator has set a condition, and left the dependencies to us.
            found = found.replace_attributes(
                deps=self._deps(native, deps, found.automation_condition, found.partitions_def)
            )
        if found.partitions_def is not None:
            self._partitioned.add(found.key)
        return found

    def _deps(
        self, native: Mapping[str, Any], deps: Sequence[AssetKey], condition: Any, partitions: Any
    ) -> Sequence[Any]:
        """The dependencies of an asset, with those of its keyword ``deps``."""
        given: dict[AssetKey, Any] = {dep.asset_key: dep for dep in map(dep_of, native.get("deps") or ())}
        if condition is None or partitions is not None:
            return [*(given.pop(key, key) for key in deps), *given.values()] if given else deps
        # A condition such as eager() waits until nothing is missing: of the tables of others, and of those with partitions, only the last one counts.
        own, last = self._context.own - self._partitioned, LastPartitionMapping()
        found = [given.pop(key, None) or (key if key in own else AssetDep(key, partition_mapping=last)) for key in deps]
        return [*found, *given.values()]

    def _translated(self, spec: AssetSpec, task: Task | None, dataset: StarlakeDataset | None) -> AssetSpec:
        translator = self._context.translator
        about = spec.key.to_user_string()
        found = asked(translator, "get_asset_spec", about, TranslatedAsset(self.pipeline, task, dataset, spec))
        if not isinstance(found, AssetSpec) or found.key != spec.key:
            what = f"the key {found.key.to_user_string()}" if isinstance(found, AssetSpec) else repr(found)
            raise StarlakeError(
                f"get_asset_spec() of {type(translator).__name__} returned {what} for {about}; return an AssetSpec with the same key, and "
                "override get_asset_key() to change keys"
            )
        return found

    def _group(self, path: str, dataset: StarlakeDataset | None) -> str:
        """The group of an asset: the domain of its table, or else the pipeline."""
        if dataset is not None and "." in dataset.sink:
            return dataset.sink.partition(".")[0]
        return self._context.flat.tasks[path].domain or self.pipeline.id

    def _of_join(self, produced: AssetOutput, deps: Sequence[AssetKey]) -> AssetSpec:
        """The description of what waits for a wide group."""
        spec = AssetSpec(
            key=produced.key,
            deps=deps,
            description="Waits for a group, so that what comes after it need not wait for each of its tables.",
            group_name=dagster_name(self.pipeline.id),
            kinds=self._kinds[""],
            tags=self._tags,
            owners=self._owners,
            metadata={"pipeline": self.pipeline.id},
            partitions_def=self.partitions,
        )
        return self._translated(spec, None, None)


def _in_order(kinds: Iterable[str]) -> Any:
    """Kinds as a set whose order does not depend on hashes: Dagster turns them into tags in their order."""
    return dict.fromkeys(sorted(kinds)).keys()


def tag_words(words: Iterable[str]) -> dict[str, str]:
    """Words as Dagster's tags, which need values: these have empty ones."""
    return {_NOT_IN_TAG.sub("_", word)[:63]: "" for word in words}

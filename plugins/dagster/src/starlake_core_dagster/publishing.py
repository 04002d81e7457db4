"""Puts ``defs`` into the module of a pipeline file, where Dagster looks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from dagster import AssetKey, Definitions

from starlake_core.dsl.orchestration import current_overrides
from starlake_core.logs import get_logger

from .loading import location_executor, merged
from .pipeline import DagsterPipeline

__all__ = ["publish"]

logger = get_logger(__name__)

_KEPT = "__starlake_core_dagster__"
_published: dict[AssetKey, DagsterPipeline] = {}
"""The pipeline of a file that defines an asset, for the files that this process has loaded as modules."""


def publish(pipelines: Sequence[DagsterPipeline], namespace: dict[str, Any]) -> None:
    """Set ``defs`` to the definitions of all pipelines of a file, together with those that the user defined.

    Args:
        pipelines: the pipelines of one orchestration; a file may open several.
        namespace: the namespace of the module.
    """
    before, theirs, ours = namespace.get(_KEPT, ([], None, None))
    found = namespace.get("defs")
    if isinstance(found, Definitions) and found is not ours:
        theirs = found
    # A module that is loaded again builds its pipelines again.
    new = {pipeline.name for pipeline in pipelines}
    every = [*(pipeline for pipeline in before if pipeline.name not in new), *pipelines]
    # Only one of the merged definitions may have an executor.
    theirs_has_one = theirs is not None and theirs.executor is not None
    made = merged(every, None if theirs_has_one else location_executor())
    defs = made if theirs is None else Definitions.merge(theirs, made)
    namespace["defs"] = defs
    namespace[_KEPT] = (every, theirs, defs)
    if current_overrides().collected is None:  # files that are loaded together share their assets
        for note in _twice(pipelines):
            logger.warning("%s", note)


def _twice(pipelines: Sequence[DagsterPipeline]) -> Iterator[str]:
    """A sentence for each asset that another file defines too. Dagster's own error names neither the files nor what to do."""
    for pipeline in pipelines:
        own = pipeline.pipeline
        for key in pipeline.keys:
            other = _published.setdefault(key, pipeline).pipeline
            if other.source and own.source and os.path.realpath(other.source) != os.path.realpath(own.source):
                yield (
                    f"the asset {key.to_user_string()} is defined by pipeline {other.id} of {other.source} and by pipeline {own.id} of "
                    f"{own.source}. If both files are in one code location (Definitions.merge, the folder defs of a project), Dagster refuses them "
                    f"with 'Duplicate asset key'. Load them together, so that they share it: starlake_core_dagster.definitions([{other.source!r}, "
                    f"{own.source!r}]), or a StarlakePipelinesComponent whose path is their folder"
                )

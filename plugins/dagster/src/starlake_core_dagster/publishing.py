"""Puts ``defs`` into the module of a pipeline file, where Dagster looks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagster import Definitions

from starlake_core.dsl.orchestration import current_overrides

from .loading import location_executor, merged
from .pipeline import DagsterPipeline
from .twins import warn_of_twins

__all__ = ["publish"]

_KEPT = "__starlake_core_dagster__"


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
        warn_of_twins(pipelines)

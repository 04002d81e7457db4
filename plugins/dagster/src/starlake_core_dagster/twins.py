"""Warns of assets and jobs that are defined twice by what is loaded one by one: Dagster's own error names neither the files nor what to do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlake_core.logs import get_logger

from .pipeline import DagsterPipeline

__all__ = ["warn_of_twins"]

logger = get_logger(__name__)

_loaded: dict[Any, DagsterPipeline] = {}
"""The pipeline that defines an asset, by its key, or a job, by its name, of all that this process has loaded."""
_IF = "If both are in one code location (Definitions.merge, the folder defs of a project), Dagster refuses them with"


def warn_of_twins(pipelines: Sequence[DagsterPipeline]) -> None:
    """Warn of assets and jobs that pipelines of other files define too.

    Args:
        pipelines: pipelines that are loaded together, so that they share their assets.
    """
    together = {_file(pipeline) for pipeline in pipelines}
    for pipeline in pipelines:
        if not pipeline.pipeline.source:
            continue
        same: dict[int, tuple[DagsterPipeline, list[str]]] = {}
        for key in pipeline.keys:
            other = _loaded.setdefault(key, pipeline)
            if _file(other) not in together:
                same.setdefault(id(other), (other, []))[1].append(key.to_user_string())
        for other, keys in same.values():
            logger.warning("%s", _shared(other, pipeline, keys))
        other = _loaded.setdefault(pipeline.name, pipeline)
        if _file(other) not in together:
            logger.warning(
                "%s",
                f"{_about(other)} and {_about(pipeline)} have the same job {pipeline.name}. {_IF} 'Duplicate definition found'. Rename one of "
                f"them: {_RENAME_PIPELINE if _are_files(other, pipeline) else _RENAME_OF_PROJECT}",
            )


_RENAME_PIPELINE = "sl_create_pipeline(name=...)"
_RENAME_OF_PROJECT = "the attribute names of the component, or its option asset_key_prefix"


def _file(pipeline: DagsterPipeline) -> str:
    """The file of a pipeline, under one name. A file that is loaded again makes its pipelines again."""
    return os.path.realpath(pipeline.pipeline.source)


def _are_files(*pipelines: DagsterPipeline) -> bool:
    return all(Path(pipeline.pipeline.source).suffix == ".py" for pipeline in pipelines)


def _about(pipeline: DagsterPipeline) -> str:
    return f"pipeline {pipeline.pipeline.id} of {pipeline.pipeline.source}"


def _shared(one: DagsterPipeline, two: DagsterPipeline, keys: Sequence[str]) -> str:
    more = f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
    if _are_files(one, two):
        advice = (
            f"Load them together, so that they share it: starlake_core_dagster.definitions([{one.pipeline.source!r}, {two.pipeline.source!r}]), or "
            "a StarlakePipelinesComponent whose path is their folder"
        )
    else:
        advice = (
            "Leave it out of one of them, with select or exclude of a StarlakeProjectComponent, or give the assets of one a prefix, with its option "
            "asset_key_prefix"
        )
    return f"the asset {keys[0]}{more} is defined by {_about(one)} and by {_about(two)}. {_IF} 'Duplicate asset key'. {advice}"

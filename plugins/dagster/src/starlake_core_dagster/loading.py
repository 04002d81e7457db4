"""What Dagster loads: the assets, jobs, schedules and sensors of pipelines."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from dagster import AssetKey, Definitions, Executor, ExecutorDefinition

from starlake_core import NothingFoundError, PipelineFileError, StarlakeDataset, StarlakeError, StarlakePipeline
from starlake_core.dsl.orchestration import Overrides
from starlake_core.dsl.pipeline_files import load_files, pipelines_of
from starlake_core.errors import near_miss
from starlake_core.logs import get_logger

from .arranging import arranged
from .executor import supports_threads, thread_executor
from .pipeline import DagsterPipeline
from .teardown_sensor import tear_down_of
from .translator import StarlakeTranslator, translated_by
from .triggers import schedule_of, sensor_of
from .twins import warn_of_twins

__all__ = ["definitions", "location_executor", "merged", "shared_assets"]

logger = get_logger(__name__)

Source = str | PathLike[str] | StarlakePipeline | DagsterPipeline


class _Threads(enum.Enum):
    """The default executor of :func:`definitions`."""

    OURS = "thread_executor()"


def definitions(
    source: Source | Iterable[Source],
    *,
    environment: str | None = None,
    executor: Any = _Threads.OURS,
    translator: StarlakeTranslator | None = None,
    **options: Any,
) -> Definitions:
    """Create Dagster's definitions: ``defs = definitions("pipelines")``.

    Args:
        source: pipelines, or files and folders with pipeline files; one or several. A relative path starts at the working directory of Dagster.
        environment: the environment of pipeline files that name none.
        executor: the executor of every job of the code location that names none, and of the runs that Dagster creates for assets: *Materialize*,
            backfills of assets, ``dg launch``. The default is ``thread_executor()``; None leaves it to the code location, in
            which only one set of definitions may have one.
        translator: turns the tasks of pipeline files into descriptions of assets, if a pipeline has none of its own.
        **options: options that override those in the files.

    Raises:
        PipelineFileError: with every problem of every file.
        NothingFoundError: there is no such file or folder.
        StarlakeError: an argument is not what it should be.
    """
    _check_keywords(executor, options)
    one = isinstance(source, (str, PathLike, StarlakePipeline, DagsterPipeline))
    if not one and (isinstance(source, Mapping) or not isinstance(source, Iterable)):
        raise _no_source(source)
    sources: list[Any] = list(source) if isinstance(source, Iterable) and not one else [source]
    found: list[DagsterPipeline] = []
    files: list[Path] = []
    for item in sources:
        if isinstance(item, DagsterPipeline):
            found.append(item)
        elif isinstance(item, StarlakePipeline):
            found.append(_native(item))
        elif isinstance(item, (str, PathLike)):
            files.append(_existing(Path(item)))
        else:
            raise _no_source(item)
    if files:
        with translated_by(translator):
            loaded = load_files(files, Overrides("dagster", environment, options))
        ours = [_native(pipeline) for pipeline in pipelines_of(loaded)]
        warn_of_twins(ours)
        found.extend(ours)
    elif found and (environment is not None or translator is not None or options):
        named = {"environment": environment, "translator": translator}
        given = ", ".join([*(name for name, value in named.items() if value is not None), *options])
        raise StarlakeError(
            f"definitions() takes {given} for pipeline files only: a pipeline already has the options of its Orchestration"
        )
    return merged(found, location_executor() if executor is _Threads.OURS else executor)


_KEYWORDS = ("environment", "executor", "executor_def", "translator")
_OF_DEFINITIONS = frozenset(inspect.signature(Definitions).parameters) - {"executor"}


def _check_keywords(executor: Any, options: Mapping[str, Any]) -> None:
    """Refuse keywords that cannot be options. Others may be options of a plugin that not every file selects."""
    if not (executor is None or isinstance(executor, (_Threads, Executor, ExecutorDefinition))):
        raise StarlakeError(
            f"{executor!r} is not a valid value for 'executor' of definitions(); it takes an executor: executor=multiprocess_executor, or None"
        )
    for name in options:
        if name == "options":
            raise StarlakeError("definitions() takes options as keywords: definitions(source, parallelism=4)")
        if name in _OF_DEFINITIONS:
            raise StarlakeError(
                f"definitions() does not take the keyword '{name}' of Definitions; merge yours: "
                f"Definitions.merge(Definitions({name}=...), definitions(source))"
            )
        near = near_miss(name, _KEYWORDS)
        if near is not None:
            raise StarlakeError(
                f"definitions() does not take the keyword '{name}'. Did you mean '{near.removesuffix('_def')}'?"
            )


def _existing(path: Path) -> Path:
    if path.exists() or path.is_absolute():
        return path
    raise NothingFoundError(
        f"there is no file or folder {path} in {Path.cwd()}, the working directory; a path that starts at this Python file is "
        f"Path(__file__).parent / {str(path)!r}"
    )


def location_executor() -> Any:
    """The default executor of a code location: a single object, because two cannot be merged. None if this Dagster has no threads."""
    return thread_executor() if supports_threads else None


def _no_source(given: object) -> StarlakeError:
    return StarlakeError(
        f"definitions() takes one or several pipelines, pipeline files or folders with pipeline files, not {given!r}"
    )


def _native(pipeline: StarlakePipeline) -> DagsterPipeline:
    if not isinstance(pipeline.native, DagsterPipeline):
        raise PipelineFileError(
            f"pipeline {pipeline.id} was not built for Dagster, or its 'with' block has not ended; build it with "
            "Orchestration(orchestrator='dagster')"
        )
    return pipeline.native


def merged(pipelines: Sequence[DagsterPipeline], executor: Any = None) -> Definitions:
    """The definitions of pipelines. An asset that several of them produce is defined by the first; the others record their materialisations.

    Args:
        pipelines: rendered pipelines.
        executor: the executor of the code location; None for none.
    """
    problems = _twins(pipelines) or _one_key(pipelines)
    if problems:
        raise PipelineFileError("\n".join(problems))
    assets, jobs, schedules, sensors = [], [], [], []
    forms = arranged(pipelines).forms
    for pipeline, form in forms.items():
        assets.extend(pipeline.assets(form))
        job = pipeline.job(form, [key for other, found in forms.items() if other is not pipeline for key in found.keys])
        jobs.append(job)
        schedule = schedule_of(pipeline, job)
        if schedule is not None:
            schedules.append(schedule)
        sensor = sensor_of(pipeline, job)
        if sensor is not None:
            sensors.append(sensor)
        tear_down = tear_down_of(pipeline)
        if tear_down is not None:
            jobs.append(tear_down[0])
            sensors.append(tear_down[1])
    return Definitions(assets=assets, jobs=jobs, schedules=schedules, sensors=sensors, executor=executor)


def _twins(pipelines: Iterable[DagsterPipeline]) -> list[str]:
    """A sentence for every two pipelines whose jobs, graphs or sensors would have the same name."""
    taken: dict[str, DagsterPipeline] = {}
    found = []
    for pipeline in pipelines:
        names = (pipeline.name, f"{pipeline.name}_steps", f"{pipeline.name}_tear_down")
        other = next((taken[name] for name in names if name in taken), None)
        if other is not None:
            one, two = (f"'{p.pipeline.id}' of {p.pipeline.source or 'no file'}" for p in (other, pipeline))
            found.append(
                f"the pipelines {one} and {two} have the same name in Dagster, where '-' becomes '_' and _steps and _tear_down are suffixes; "
                "rename one of them: sl_create_pipeline(name=...)"
            )
        taken.update((name, pipeline) for name in names)
    return found


def _one_key(pipelines: Iterable[DagsterPipeline]) -> list[str]:
    """A sentence for every two datasets of two pipelines that translators give the same key: one of them would be no asset."""
    known: dict[AssetKey, tuple[StarlakeDataset, DagsterPipeline]] = {}
    found = []
    for pipeline in pipelines:
        for produced in (one for made in pipeline.produces.values() for one in made):
            if produced.dataset is None:
                continue
            dataset, other = known.setdefault(produced.key, (produced.dataset, pipeline))
            if dataset != produced.dataset:
                one, two = (
                    f"{named.sink or named.uri} of pipeline {by.pipeline.id}"
                    for named, by in ((dataset, other), (produced.dataset, pipeline))
                )
                found.append(
                    f"{one} and {two} have the same key {produced.key.to_user_string()}, and only one of them would be an asset: let "
                    "get_asset_key() of their translators tell them apart"
                )
    return found


def shared_assets(pipelines: Iterable[DagsterPipeline]) -> list[str]:
    """A sentence for every asset that several pipelines produce, for names that collide, and for pipelines that read from each other.

    Args:
        pipelines: rendered pipelines.
    """
    every = list(pipelines)
    found = _twins(every) or _one_key(every)
    if found:
        return found
    arrangement = arranged(every)
    for pipeline in every:
        for key in pipeline.keys:
            owner = arrangement.owners[key]
            if owner is not pipeline:
                found.append(
                    f"the asset {key.to_user_string()} of pipeline {pipeline.pipeline.id} is already defined by pipeline {owner.pipeline.id}: in "
                    "Dagster it belongs to the first, and the other records its materialisations"
                )
    return [*found, *arrangement.notes]

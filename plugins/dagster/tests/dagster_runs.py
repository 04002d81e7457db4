"""What the tests of the orchestrator share: drawing a pipeline, resolving what Dagster makes of it, and running a job in this process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from dagster import AssetKey, DagsterInstance, Definitions, build_schedule_context, build_sensor_context
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import create_execution_plan, execute_run
from dagster._core.execution.plan.state import KnownExecutionState
from dagster._core.storage.tags import TAGS_TO_MAYBE_OMIT_ON_RETRY
from starlake_core_dagster import definitions

from starlake_core import Orchestration, StarlakePipeline
from starlake_core.testing import FakeEnvironment, StandIn

Build = Callable[[StarlakePipeline], object]


def draw(
    build: Build,
    options: Mapping[str, Any] | None = None,
    *,
    environment: Any = None,
    root: Path | None = None,
    **keywords: Any,
) -> StarlakePipeline:
    """A rendered pipeline, ``p`` if nobody names it.

    Args:
        build: draws the tasks.
        options: of the orchestration; no retries by default.
        environment: ``shell``, or a plugin object; a new :class:`FakeEnvironment` by default.
        root: the project, for an environment that needs one.
        **keywords: what ``sl_create_pipeline`` takes.
    """
    # Most tests are about steps, whatever they run: what a load may not do twice is tested by itself.
    given = {"retries": 0, "retry_delay": 0, "retry_unsafe": "blind", **(options or {})}
    filename = "pipelines.py"
    if root is not None:
        root.mkdir(exist_ok=True)
        given["sl_env_var"] = {"SL_ROOT": str(root), **(given.get("sl_env_var") or {})}
        filename = str(root / filename)
    orchestration = Orchestration(
        given,
        orchestrator="dagster",
        environment=environment if environment is not None else FakeEnvironment(),
        filename=filename,
        namespace={},
    )
    with orchestration, orchestration.sl_create_pipeline(**{"name": "p", **keywords}) as pipeline:
        build(pipeline)
    return pipeline


def program(stand_in: StandIn) -> dict[str, Any]:
    """Options with which the environment ``shell`` runs the stand-in."""
    return {"SL_STARLAKE_PATH": str(stand_in.path)}


@contextmanager
def instance_in(folder: Path, overrides: Any = None) -> Iterator[Any]:
    """An instance of Dagster that keeps all in files of a folder.

    Args:
        folder: for its files.
        overrides: what ``dagster.yaml`` would say.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with DagsterInstance.local_temp(str(folder), overrides) as instance:
        yield instance


def resolved(defs: Definitions, kind: str, name: str) -> Any:
    """A definition by its name.

    Args:
        defs: what Dagster loads.
        kind: ``job``, ``schedule`` or ``sensor``.
        name: of the definition.
    """
    resolve = getattr(defs, f"resolve_{kind}_def", None) or getattr(defs, f"get_{kind}_def")
    return resolve(name)


def repository(defs: Definitions) -> Any:
    """Everything of some definitions, as Dagster's own processes see it."""
    return defs.get_repository_def()


def job(source: Any, name: str = "p") -> Any:
    """The job of a pipeline, among the definitions of all that are given."""
    return resolved(source if isinstance(source, Definitions) else definitions(source), "job", name)


def run(job_def: Any, instance: Any, **keywords: Any) -> Any:
    """Run a job in this process, a step after the other; a failure is told by the result."""
    return job_def.execute_in_process(instance=instance, raise_on_error=False, **keywords)


def launch(
    job_def: Any,
    instance: Any,
    tags: Mapping[str, str] | None = None,
    *,
    again: Any = None,
    from_failure: bool = False,
    run_config: Mapping[str, Any] | None = None,
) -> Any:
    """Run a job in this process with its own executor, as a run worker does.

    Args:
        job_def: definition of the job.
        instance: where its events are kept.
        tags: of the run.
        again: the run that is executed again.
        from_failure: only what failed or did not run in it.
        run_config: the configuration of the run.
    """
    wrapped = InMemoryJob(job_def)
    keys, known = KnownExecutionState.build_resume_retry_reexecution(instance, again) if from_failure else (None, None)
    plan = create_execution_plan(wrapped, run_config=run_config or {}, step_keys_to_execute=keys, known_state=known)
    inherited = {} if again is None else {k: v for k, v in again.tags.items() if k not in TAGS_TO_MAYBE_OMIT_ON_RETRY}
    made = instance.create_run_for_job(
        job_def=job_def,
        execution_plan=plan,
        run_config=run_config,
        tags={
            **job_def.run_tags,
            **inherited,
            **({"dagster/is_resume_retry": "true"} if from_failure else {}),
            **(tags or {}),
        },
        parent_run_id=None if again is None else again.run_id,
        root_run_id=None if again is None else again.root_run_id or again.run_id,
    )
    return execute_run(wrapped, made, instance, raise_on_error=False)


def task_of(step_key: str) -> str:
    """The name of the task of a step, without what is around it; empty for a step that only waits."""
    around, _, name = step_key.rpartition(".")
    name = name if around else name.partition("__")[2] or name
    return "" if re.search(r"__(anyway|waits_\d+)$", name) else name


def states(result: Any) -> dict[str, str]:
    """How every step of a run ended, without the graph in the keys of the steps."""
    kinds = {"STEP_SUCCESS": "success", "STEP_SKIPPED": "skipped", "STEP_FAILURE": "failure"}
    return {
        task_of(event.step_key): kinds[event.event_type_value]
        for event in result.all_events
        if event.event_type_value in kinds and task_of(event.step_key)
    }


def tick_of_sensor(source: Any, instance: Any, cursor: str | None = None, name: str = "p_sensor") -> Any:
    """One look of a sensor; the answer has run requests, a cursor, and a message where nothing is started."""
    defs = source if isinstance(source, Definitions) else definitions(source)
    context = build_sensor_context(instance=instance, cursor=cursor, repository_def=repository(defs))
    return resolved(defs, "sensor", name).evaluate_tick(context)


def tick_of_schedule(source: Any, moment: datetime, instance: Any = None, name: str = "p_schedule") -> Any:
    """What a schedule asks for when it fires."""
    defs = source if isinstance(source, Definitions) else definitions(source)
    context = build_schedule_context(
        instance=instance, scheduled_execution_time=moment, repository_def=repository(defs)
    )
    return resolved(defs, "schedule", name).evaluate_tick(context)


def materializations(instance: Any, *key: str) -> list[Any]:
    """The records of the materialisations of an asset, the first one first."""
    found = instance.fetch_materializations(AssetKey(list(key)), limit=100, ascending=True)
    return list(found.records)


def output_of(instance: Any, result: Any, task: str) -> str:
    """What the user interface shows as the output of the step of a task: the first capture that has the step."""
    for event in result.all_events:
        if event.event_type_value != "LOGS_CAPTURED":
            continue
        data = event.event_specific_data
        if any(task_of(key) == task for key in data.step_keys):
            found = instance.compute_log_manager.get_log_data([result.run_id, "compute_logs", data.file_key])
            return (found.stdout or b"").decode()
    return ""

"""A program of the tests: says as JSON what Airflow or Dagster makes of pipeline files, in a process of its own.

``compat_native.py airflow show FOLDER`` / ``airflow run FILE DAG_ID CONF ...`` / ``dagster show FILE...`` / ``dagster jobs FILE...`` /
``dagster run FILE JOB TAGS ...``: ``run`` takes several, as half of what the first run of a process costs is spent by Airflow once.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any


def show_airflow(folder: str) -> dict[str, Any]:
    from starlake_core_airflow.versions import dag_bag

    bag = dag_bag(dag_folder=folder)
    assert not bag.import_errors, bag.import_errors
    return {dag_id: airflow_dag(dag) for dag_id, dag in bag.dags.items()}


def airflow_dag(dag: Any) -> dict[str, Any]:
    condition = getattr(dag.timetable, "asset_condition", getattr(dag.timetable, "dataset_condition", None))
    return {
        "schedule": getattr(dag.timetable, "summary", None),
        "timetable": type(dag.timetable).__name__,
        "cron": getattr(dag.timetable, "expression", getattr(dag.timetable, "_expression", None)),
        "zone": str(getattr(dag.timetable, "timezone", getattr(dag.timetable, "_timezone", ""))),
        "gate": type(condition).__name__.replace("Dataset", "Asset"),  # as Airflow 3 calls it
        "metadata": {asset.uri: dict(asset.extra or {}) for asset in getattr(condition, "objects", ())},
        "triggers": sorted(asset.uri for asset in getattr(condition, "objects", ())),
        "tags": sorted(dag.tags),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "description": dag.description,
        "default_args": {name: str(value) for name, value in dag.default_args.items()},
        "macros": sorted(dag.user_defined_macros or ()),
        "access_control": str(dag.access_control),
        "groups": sorted(group for group in dag.task_group.get_task_group_dict() if group),
        "tasks": {
            task.task_id: {
                "operator": type(task).__name__,
                "trigger_rule": str(getattr(task.trigger_rule, "value", task.trigger_rule)),
                "retries": task.retries,
                "retry_delay": task.retry_delay.total_seconds(),
                "pool": task.pool,
                "params": {name: str(value) for name, value in task.params.dump().items()},
                "inlets": sorted(inlet.uri for inlet in task.inlets),
                "outlets": sorted(outlet.uri for outlet in task.outlets),
                "names": sorted(getattr(outlet, "name", outlet.uri) for outlet in task.outlets),
                "doc": task.doc_md or "",
                "after": sorted(task.upstream_task_ids),
            }
            for task in dag.tasks
        },
        "edges": sorted(f"{task.task_id} -> {after}" for task in dag.tasks for after in task.downstream_task_ids),
    }


UNLIKE = {"access_control", "default_args", "macros", "schedule"}
"""Fields of a DAG that are not compared: one of the file itself, two in which every DAG of the replaced package differs, a second cron."""
UNLIKE_TASKS = {"after", "doc", "names", "operator"}


def comparable(dag: dict[str, Any]) -> dict[str, Any]:
    """What two packages should say alike of a DAG.

    Args:
        dag: as ``airflow_dag`` gives it.
    """
    kept = {name: value for name, value in dag.items() if name not in UNLIKE}
    kept["timetable"] = dag["timetable"].replace("Dataset", "Asset")
    if len(dag["triggers"]) < 2:
        kept["gate"] = None  # any of one is all of one
    kept["tasks"] = {
        task: {name: value for name, value in fields.items() if name not in UNLIKE_TASKS}
        for task, fields in dag["tasks"].items()
    }
    return kept


def each(run: Callable[[str, str, str], dict[str, Any]]) -> Callable[..., list[dict[str, Any]]]:
    """Run several, given as words."""
    return lambda *words: [run(*words[index : index + 3]) for index in range(0, len(words), 3)]


def run_airflow(file: str, dag_id: str, conf: str) -> dict[str, Any]:
    from starlake_core_airflow import versions

    dag = versions.dag_bag(dag_folder=file).dags[dag_id]
    if versions.AIRFLOW_3:
        versions._register(dag)
    date = datetime(2026, 11, 3, tzinfo=timezone.utc)
    run = dag.test(**{"logical_date" if versions.AIRFLOW_3 else "execution_date": date}, run_conf=json.loads(conf))
    return {ti.task_id: str(getattr(ti.state, "value", ti.state)) for ti in run.get_task_instances()}


def module_of(file: str) -> Any:
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as Dagster does, for files that look at themselves
    spec.loader.exec_module(module)
    return module


def definitions_of(file: str) -> Any:
    return module_of(file).defs


def dagster_jobs(module: Any, outlets: Any, upstream: Any) -> dict[str, Any]:
    """The jobs of a pipeline file, with their steps, schedules and sensors.

    Args:
        module: the file.
        outlets: says for a job which asset keys each step materialises: key of the step to keys.
        upstream: says for a pipeline which datasets its sensor awaits, and how many of them.
    """
    from dagster import DefaultScheduleStatus, DefaultSensorStatus
    from dagster._core.execution.api import create_execution_plan

    repository = module.defs.get_repository_def()
    pipelines = {pipeline.pipeline_id: pipeline for pipeline in module.pipelines}
    found = {}
    for job in repository.get_all_jobs():
        if job.name.startswith("__") or job.name not in pipelines:
            continue
        steps = create_execution_plan(job).steps
        ops = {step.key: job.get_op(step.node_handle).definition for step in steps}
        paths = {key: path_of(key, job.name, op.tags.get("starlake/group")) for key, op in ops.items()}
        made = outlets(job)
        befores = {step.key: set(step.get_execution_dependency_keys()) for step in steps}
        helpers = [key for key in paths if HELPER.search(key)]
        for key in helpers:  # a step that only waits for others
            for found_befores in befores.values():
                if key in found_befores:
                    found_befores.remove(key)
                    found_befores |= befores[key]
            del ops[key]
        found[job.name] = {
            "description": job.description,
            "tags": dict(job.tags),
            "edges": sorted(f"{paths[before]} -> {paths[key]}" for key in ops for before in befores[key]),
            "schedules": [
                [
                    one.name,
                    one.cron_schedule,
                    one.execution_timezone,
                    one.default_status == DefaultScheduleStatus.RUNNING,
                ]
                for one in repository.schedule_defs
                if one.job_name == job.name
            ],
            "sensors": [
                [one.name, *upstream(pipelines[job.name]), one.default_status == DefaultSensorStatus.RUNNING]
                for one in repository.sensor_defs
                if one.job_name == job.name and "tear_down" not in one.name
            ],
            "tasks": {
                paths[key]: {
                    "outlets": sorted(set(made.get(key, ()))),
                    "retries": op.retry_policy.max_retries if op.retry_policy else 0,
                    "retry_delay": op.retry_policy.delay if op.retry_policy else None,
                }
                for key, op in ops.items()
            },
        }
    return found


HELPER = re.compile(r"__(anyway|waits_\d+)$")


def path_of(key: str, job: str, group: str | None) -> str:
    """Where a step is: nested graphs say it in its key, a definition for each table in a tag."""
    parts = key.split(".")
    if parts[0].startswith(f"{job}__"):
        parts = parts[1:] or [key.removeprefix(f"{job}__")]
    elif parts[0].endswith("_steps"):
        parts = parts[1:]
    return ".".join([group, *parts] if group else parts)


def jobs_of_ours(file: str) -> dict[str, Any]:
    """The jobs of a file."""
    from dagster._core.execution.api import create_execution_plan

    def outlets(job: Any) -> dict[str, list[str]]:
        made = {}
        for step in create_execution_plan(job).steps:
            keys = (output.properties.asset_key for output in step.step_outputs)
            made[step.key] = ["/".join(key.path) for key in keys if key is not None]
        return made

    def upstream(pipeline: Any) -> tuple[list[str], str]:
        trigger = pipeline.trigger
        return sorted(dataset.uri for dataset in trigger.datasets), trigger.policy

    module = module_of(file)
    jobs = dagster_jobs(module, outlets, upstream)
    for pipeline in module.pipelines:
        native = pipeline.native
        for start in (path for path in native.flat.tasks if not native.step_key(path)):
            # What only marks the start of a pipeline is no step.
            jobs[native.name]["tasks"][start] = {"outlets": [], "retries": 0, "retry_delay": None}
            after = [path for path, befores in native.flat.befores.items() if start in befores]
            edges = [*jobs[native.name]["edges"], *(f"{start} -> {path}" for path in after)]
            jobs[native.name]["edges"] = sorted(edges)
    return jobs


def show_dagster_jobs(*files: str) -> dict[str, Any]:
    """All jobs of several files."""
    return {name: job for file in files for name, job in jobs_of_ours(file).items()}


def show_dagster(file: str, *more: str) -> dict[str, Any]:
    """One file, or several by their names."""
    if more:
        return {Path(name).stem: show_dagster(name) for name in (file, *more)}
    repository = definitions_of(file).get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    return {
        "jobs": {
            job.name: sorted(path_of(key, job.name, None) for key in steps(job) if not HELPER.search(key)) for job in jobs
        },
        "assets": sorted("/".join(key.path) for key in repository.asset_graph.get_all_asset_keys()),
        "schedules": {schedule.job_name: schedule.cron_schedule for schedule in repository.schedule_defs},
        "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
    }  # fmt: skip


def steps(job: Any) -> list[str]:
    from dagster._core.execution.api import create_execution_plan

    return [step.key for step in create_execution_plan(job).get_steps_to_execute_in_topo_order()]


def run_dagster(file: str, name: str, tags: str) -> dict[str, Any]:
    defs = definitions_of(file)
    job = (getattr(defs, "resolve_job_def", None) or defs.get_job_def)(name)
    result = job.execute_in_process(raise_on_error=False, tags=json.loads(tags))
    kinds = {"STEP_SUCCESS": "success", "STEP_SKIPPED": "skipped", "STEP_FAILURE": "failed"}
    found = [event for event in result.all_events if event.event_type_value in kinds]
    return {path_of(event.step_key, name, None): kinds[event.event_type_value] for event in found}


ACTIONS = {
    "airflow show": show_airflow,
    "airflow run": each(run_airflow),
    "dagster show": show_dagster,
    "dagster jobs": show_dagster_jobs,
    "dagster run": each(run_dagster),
}

if __name__ == "__main__":
    host, action, *words = sys.argv[1:]
    sys.stdout.write("\n" + json.dumps(ACTIONS[f"{host} {action}"](*words)) + "\n")

"""Measurements that need their own process: imports, memory, runs, recursion depth. Each prints JSON."""

from __future__ import annotations

import gc
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, execute_job, in_process_executor, reconstructable
from dagster._core.definitions.reconstruct import ReconstructableRepository

from benchmarks.measuring import chain, resident_peak

PROGRAM = "STARLAKE_BENCH_PROGRAM"
PARTITION = "2024-01-02T00:00:00+0000"
LOADS = 8


def resolve(defs: Any) -> Any:
    """Do everything that Dagster's processes do with definitions."""
    repository = defs.get_repository_def()
    repository.get_all_jobs()
    assert repository.schedule_defs
    return repository


def imports() -> dict[str, Any]:
    """Measure the CPU milliseconds of our imports and plugin selection, beyond the imports of a file written by
    hand."""
    from benchmarks import dagster_native

    resolve(dagster_native.units(1, 1))
    gc.collect()
    gc.disable()
    before = set(sys.modules)
    started = time.process_time()
    import starlake_core  # noqa: F401 - it is the import that is measured
    from starlake_core.plugins import select

    imported = time.process_time()
    select("dagster", "shell")
    from starlake_core_dagster import definitions  # noqa: F401

    selected = time.process_time()
    modules = len(set(sys.modules) - before)
    from benchmarks import dagster_ours

    ready = time.process_time()
    dagster_ours.load(1, 1)
    built = time.process_time()
    return {
        "import": (imported - started) * 1e3,
        "select": (selected - imported) * 1e3,
        "first": (built - ready) * 1e3,
        "modules": modules,
    }


def memory(form: str) -> dict[str, Any]:
    """Measure the peak memory before and after 1 000 tables are built and resolved."""
    from benchmarks import dagster_native, dagster_ours

    forms = {**dagster_native.BY_NAME, "ours": dagster_ours.load}
    kept = resolve(forms[form](1, 1))
    before = resident_peak()
    made = resolve(forms[form](10, 100))
    assert made is not kept
    return {"before": before, "after": resident_peak()}


def _definitions(executor: Any) -> Any:
    from benchmarks import dagster_ours

    namespace: dict[str, Any] = {}
    native = {"executor_def": executor} if executor is not None else None
    dagster_ours.draw_load(1, LOADS, namespace, native, SL_STARLAKE_PATH=os.environ[PROGRAM], sl_env_var={})
    return namespace["defs"]


def _job(executor: Any) -> Any:
    return _definitions(executor).get_repository_def().get_job("load_daily")


def threads_job() -> Any:
    """The job of a load pipeline with the executor of the plugin."""
    return _job(None)


def in_process_job() -> Any:
    """The job of a load pipeline with Dagster's in-process executor."""
    return _job(in_process_executor)


def loads() -> Any:
    """A load pipeline as Dagster's processes see it, with the implicit job for *Materialize* and ``dagster asset
    materialize``."""
    return _definitions(None).get_repository_def()


def _cpu() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


def run(kind: str) -> dict[str, Any]:
    """Run a job in this process, as a run worker does, and measure CPU time, including child processes, and wall
    time."""
    if kind == "materialize":
        job = ReconstructableRepository.for_file(__file__, "loads").get_reconstructable_job("__ASSET_JOB")
    else:
        job = reconstructable({"threads": threads_job, "in_process": in_process_job}[kind])
    job.get_definition()
    with tempfile.TemporaryDirectory() as folder, DagsterInstance.local_temp(folder) as instance:
        cpu, wall = _cpu(), time.perf_counter()
        with execute_job(job, instance=instance, tags={"dagster/partition": PARTITION}) as result:
            used, wall = _cpu() - cpu, time.perf_counter() - wall
            assert result.success
            succeeded = [str(event.step_key) for event in result.all_events if event.is_step_success]
            steps = [key for key in succeeded if not re.search(r"__(anyway|waits_\d+)$", key)]  # these only wait
    return {"cpu": used, "wall": wall, "all": _cpu(), "steps": len(steps)}


def reach(kind: str, length: str) -> dict[str, Any]:
    """Measure how far a chain of transforms gets within Python's recursion limit: the last completed step, and the
    error."""
    from dagster._core.execution.api import create_execution_plan

    from benchmarks import dagster_native, dagster_ours
    from starlake_core import StarlakeError

    kinds = {
        "ours": dagster_ours.lineage,
        "units": dagster_native.units_lineage,
        "assets": dagster_native.asset_lineage,
    }
    done, started = "nothing", time.process_time()
    times: dict[str, float] = {}
    try:
        defs = kinds[kind](chain(int(length)))
        done, times["built"] = "built", time.process_time() - started
        repository = resolve(defs)
        done, times["resolved"] = "resolved", time.process_time() - started
        plan = create_execution_plan(repository.get_job("lineage"))
        done, times["planned"] = "planned", time.process_time() - started
        assert len(plan.step_keys_to_execute) > int(length)
    except Exception as error:
        # Dagster wraps what it meets while it resolves a job.
        first: BaseException = error
        while (cause := first.__cause__ or first.__context__) is not None:
            first = cause
        return {
            "done": done,
            "times": times,
            "error": type(first).__name__,
            "clear": isinstance(error, StarlakeError),
            "message": str(error)[:300],
        }
    return {"done": done, "times": times, "error": "", "clear": True, "message": ""}


def program(folder: Path, seconds: float) -> Path:
    """Write an executable that replaces Starlake and only waits."""
    made = folder / "starlake"
    made.write_text(f"#!/bin/sh\nexec sleep {seconds}\n", encoding="utf-8")
    made.chmod(0o755)
    return made


CHILDREN: dict[str, Callable[..., dict[str, Any]]] = {
    "imports": imports,
    "memory": memory,
    "run": run,
    "reach": reach,
}

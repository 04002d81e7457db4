"""Measurements that need their own process: imports, memory, statements and output, triggerer. Each prints JSON."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import resident_peak

ENTRY_POINTS = "[starlake_core.environments]\nbench = starlake_bench_environment\n"
METADATA = "Metadata-Version: 2.1\nName: starlake-bench-environment\nVersion: 1\n"
ENVIRONMENT = '''"""An environment in memory: every attempt runs for some polls, then succeeds."""
import os
from starlake_core import Job, hookimpl
from starlake_core import runtime
from starlake_core.runtime import Outcome, Status, Verdict

LAST = int(os.environ["STARLAKE_BENCH_POLLS"])
RUNNERS = []


class Runner(runtime.Runner):
    interval = 0.25
    detached = True

    def __init__(self):
        self.asked = {}
        self.sizes = []

    def find(self, job, task):
        return []

    def submit(self, job, key):
        return str(key)

    def poll(self, handles):
        self.sizes.append(len(handles))
        found = {}
        for handle in handles:
            self.asked[handle] = self.asked.get(handle, 0) + 1
            found[handle] = Status(Outcome(Verdict.SUCCEEDED, 0) if self.asked[handle] >= LAST else None, "RUNNING")
        return found

    def cancel(self, handle):
        pass

    def logs(self, handle, cursor):
        return [], cursor


@hookimpl
def sl_create_job(command, options):
    return Job("bench", command.vector)


@hookimpl
def sl_create_runner(job):
    RUNNERS.append(Runner())
    return RUNNERS[-1]
'''


def dag_bag() -> Callable[[Path], Any]:
    """Parse a file as Airflow's own processes do."""
    from airflow import __version__

    if __version__.startswith("2."):
        from airflow.models import DagBag

        return lambda file: DagBag(str(file), include_examples=False)
    if __version__.startswith("3.1"):
        from airflow.models.dagbag import DagBag
    else:
        from airflow.dag_processing.dagbag import DagBag
    return lambda file: DagBag(str(file))


def imports() -> dict[str, Any]:
    """Measure the CPU milliseconds of our imports and plugin selection, beyond the imports of a DAG file written by
    hand."""
    from benchmarks import airflow_native

    airflow_native.load(1)
    # A garbage collection of Airflow's objects takes 100 ms, and would hit a random measurement.
    gc.collect()
    gc.disable()
    before = set(sys.modules)
    started = time.process_time()
    import starlake_core  # noqa: F401 - it is the import that is measured
    from starlake_core.plugins import select

    imported = time.process_time()
    select("airflow", "shell")
    selected = time.process_time()
    modules = len(set(sys.modules) - before)
    select("airflow", "shell")
    again = time.process_time()
    from benchmarks import airflow_ours

    ready = time.process_time()
    airflow_ours.load(1)
    built = time.process_time()
    return {
        "import": (imported - started) * 1e3,
        "select": (selected - imported) * 1e3,
        "again": (again - selected) * 1e3,
        "first": (built - ready) * 1e3,
        "modules": modules,
    }


def memory(file: str) -> dict[str, Any]:
    """Measure the peak memory before and after one parse."""
    from benchmarks import airflow_native

    airflow_native.load(1)
    parse = dag_bag()
    before = resident_peak()
    bag = parse(Path(file))
    assert len(bag.dags) == 1, bag.import_errors
    return {"before": before, "after": resident_peak()}


def silent(file: str) -> dict[str, Any]:
    """Count the SQL statements and the bytes on the standard output during one parse."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    parse = dag_bag()
    statements: list[str] = []

    def heard(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", heard)

    output = Path(file).with_suffix(".out")
    sys.stdout.flush()
    kept = os.dup(1)
    with output.open("wb") as sink:
        os.dup2(sink.fileno(), 1)
        try:
            bag = parse(Path(file))
            sys.stdout.flush()
        finally:
            os.dup2(kept, 1)
            os.close(kept)
    assert len(bag.dags) == 1, bag.import_errors
    lines = output.read_text().splitlines()
    # Airflow 2 prints which file it reads; that is not our output.
    return {
        "statements": statements,
        "bytes": output.stat().st_size,
        "lines": [line for line in lines if "Filling up the DagBag" not in line],
    }


def deferred(count: int, polls: int) -> dict[str, Any]:
    """Run many triggers in one event loop, as in a triggerer."""
    os.environ["STARLAKE_BENCH_POLLS"] = str(polls)
    home = Path(os.environ["AIRFLOW_HOME"]) / "bench_site"
    record = home / "starlake_bench_environment-1.dist-info"
    record.mkdir(parents=True, exist_ok=True)
    (record / "METADATA").write_text(METADATA)
    (record / "entry_points.txt").write_text(ENTRY_POINTS)
    (home / "starlake_bench_environment.py").write_text(ENVIRONMENT)
    sys.path.insert(0, str(home))

    from starlake_core_airflow.trigger import StarlakeTrigger

    from starlake_core import Job
    from starlake_core.runtime import runner_for, shared_poller

    job = Job("bench", endpoint="https://bench.invalid").to_json()

    async def wait(number: int) -> str:
        trigger = StarlakeTrigger(job=job, handle=f"h{number}", attempt="1", deadline=time.time() + 3600)
        events = [event.payload async for event in trigger.run()]
        return str(events[0]["outcome"])

    async def all_of_them() -> list[str]:
        return list(await asyncio.gather(*(wait(number) for number in range(count))))

    wall, started = time.perf_counter(), time.process_time()
    outcomes = asyncio.run(all_of_them())
    used, wall = time.process_time() - started, time.perf_counter() - wall
    assert sum('"succeeded"' in outcome for outcome in outcomes) == count
    environment = importlib.import_module("starlake_bench_environment")
    poller = shared_poller(runner_for(Job.from_json(job)))
    sizes = [size for runner in environment.RUNNERS for size in runner.sizes]
    return {
        "cpu": used,
        "wall": wall,
        "runners": len(environment.RUNNERS),
        "ticks": poller.ticks,
        "calls": len(sizes),
        "sizes": sizes,
    }


CHILDREN: dict[str, Callable[..., dict[str, Any]]] = {
    "imports": imports,
    "memory": memory,
    "silent": silent,
    "deferred": lambda count, polls: deferred(int(count), int(polls)),
}

"""Measures ratios in one run, and prints them as tables. See README.md in this folder."""

from __future__ import annotations

import gc
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from starlake_core import (
    Job,
    Orchestration,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakeDomain,
    StarlakeSchedule,
    TaskEvent,
    TaskState,
    hookimpl,
)

Row = tuple[str, str, str, bool]


class Nothing:
    """An orchestrator that creates nothing, so that only the cost of the core remains."""

    name = "nothing"

    @hookimpl
    def sl_create_task(self, task: Any) -> Any:
        return task

    @hookimpl
    def sl_create_task_group(self, group: Any, create_children: Any) -> Any:
        return create_children()

    @hookimpl
    def sl_create_pipeline(self, pipeline: Any, create_children: Any) -> Any:
        return create_children()


class Anywhere:
    """An environment that runs nothing."""

    name = "anywhere"

    @hookimpl
    def sl_create_job(self, command: Any, options: Any) -> Job:
        return Job("anywhere", command.vector, options["sl_env_var"])

    @hookimpl
    def sl_create_runner(self, job: Job) -> Any:
        raise NotImplementedError


def cpu(work: Callable[[], object], rounds: int = 5) -> float:
    """Return the least CPU seconds of several rounds."""
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def orchestration() -> Orchestration:
    options = {"pre_load_strategy": "imported", "sl_env_var": {"SL_ROOT": "/project"}}
    return Orchestration(options, orchestrator=Nothing(), environment=Anywhere(), filename="bench.py", namespace={})


def build(tables: int) -> None:
    domains = [StarlakeDomain(f"d{n}", tables=[f"t{i}" for i in range(tables // 10)]) for n in range(10)]
    with (
        orchestration() as opened,
        opened.sl_create_pipeline(schedule=StarlakeSchedule("daily", "0 0 * * *", domains)) as pipeline,
    ):
        pipeline.add_schedule()


def bench_build() -> list[Row]:
    build(1000)
    small, large = cpu(lambda: build(1000)), cpu(lambda: build(10_000))
    return [
        ("1 000 tables, per task", f"{small / 1000 * 1e6:.1f} µs", "< 60 µs", small / 1000 < 60e-6),
        ("10 000 tables, per task", f"{large / 10_000 * 1e6:.1f} µs", "< 60 µs", large / 10_000 < 60e-6),
        ("10 000 against 1 000", f"{large / small:.1f} x", "<= 16 x", large / small <= 16),
    ]


def lineage(nodes: list[StarlakeDependency]) -> None:
    with orchestration() as opened, opened.sl_create_pipeline(dependencies=StarlakeDependencies(nodes)) as pipeline:
        pipeline.add_lineage()


def chain(length: int) -> list[StarlakeDependency]:
    nodes = [StarlakeDependency("d.t0")]
    for n in range(1, length):
        nodes.append(StarlakeDependency(f"d.t{n}", dependencies=[nodes[-1]]))
    return nodes


def diamonds(width: int, depth: int) -> list[StarlakeDependency]:
    layer: list[StarlakeDependency] = []
    nodes: list[StarlakeDependency] = []
    for level in range(depth):
        layer = [StarlakeDependency(f"d.t{level}_{n}", dependencies=layer) for n in range(width)]
        nodes += layer
    return nodes


def fan(width: int) -> list[StarlakeDependency]:
    top = StarlakeDependency("d.top")
    middle = [StarlakeDependency(f"d.t{n}", dependencies=[top]) for n in range(width)]
    return [top, *middle, StarlakeDependency("d.last", dependencies=middle)]


def bench_lineage() -> list[Row]:
    rows = []
    shapes: list[tuple[str, Callable[[int], list[StarlakeDependency]], int]] = [
        ("chain of {}", chain, 10_000),
        ("diamonds, width 3, depth {}", lambda n: diamonds(3, n), 1000),
        ("fan of {}", fan, 10_000),
    ]
    for name, make, size in shapes:
        whole, tenth = make(size), make(size // 10)
        large, small = cpu(lambda nodes=whole: lineage(nodes), 3), cpu(lambda nodes=tenth: lineage(nodes), 3)
        rows.append((name.format(f"{size:,}"), f"{large:.2f} s", "< 1 s", large < 1))
        rows.append(("  against a tenth of it", f"{large / small:.1f} x", "<= 16 x", large / small <= 16))
    return rows


IMPORT = """
import time, sys
import pluggy, importlib.metadata
started = time.process_time()
import starlake_core
from starlake_core.plugins import select
select("local", "shell")
print((time.process_time() - started) * 1000)
print(",".join(sorted({"rich", "click", "duckdb", "yaml", "croniter", "airflow", "dagster"} & set(sys.modules))))
"""


def bench_import() -> list[Row]:
    costs, loaded = [], ""
    for _ in range(8):
        done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
        cost, loaded = done.stdout.split("\n")[:2]
        costs.append(float(cost))
    best = min(costs)
    return [
        (
            "import starlake_core, select local and shell",
            f"{best:.0f} ms (median {statistics.median(costs):.0f})",
            "< 60 ms",
            best < 60,
        ),
        ("rich, click, duckdb, yaml, croniter loaded", loaded or "none", "none", not loaded),
    ]


def local_pipeline(count: int, root: Path, program: str) -> Any:
    options = {
        "SL_STARLAKE_PATH": program,
        "sl_env_var": {"SL_ROOT": str(root)},
        "state_dir": str(root / "state"),
        "retries": 0,
    }
    opened = Orchestration(options, orchestrator="local", environment="shell", filename="bench.py", namespace={})
    with opened, opened.sl_create_pipeline(name=f"bench_{count}") as pipeline:
        for n in range(count):
            pipeline.sl_load(domain="d", table=f"t{n}")
    return pipeline


def bench_local(count: int = 1000, parallel: int = 4) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        program = root / "starlake"
        program.write_text("#!/bin/sh\nexec sleep 0.02\n")
        program.chmod(0o755)
        pipeline = local_pipeline(count, root, str(program))

        def bare() -> None:
            with ThreadPoolExecutor(parallel) as pool:
                vectors = [[str(program), *task.job.arguments] for task in pipeline.tasks()]
                list(
                    pool.map(
                        lambda vector: subprocess.run(
                            vector, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
                        ),
                        vectors,
                    )
                )

        ratios, ours, theirs = [], 0.0, 0.0
        memory = Memory(count)
        for _ in range(3):
            started = time.perf_counter()
            bare()
            theirs = time.perf_counter() - started
            started = time.perf_counter()
            report = pipeline.run(parallelism=parallel, listener=memory)
            ours = time.perf_counter() - started
            assert report.succeeded, report.reason
            ratios.append(ours / theirs)
        ratio = statistics.median(ratios)
        grown = memory.end - memory.quarter
        return [
            (f"{count} processes of 20 ms, {parallel} at once, bare", f"{theirs:.1f} s", "", True),
            ("the same as a pipeline", f"{ours:.1f} s", "", True),
            ("ratio, median of 3", f"{ratio:.2f} x", "<= 1.3 x", ratio <= 1.3),
            (
                f"memory, {count // 4} to {count} ended tasks",
                f"{grown:+.1f} MiB of {memory.end:.0f}",
                "< 4 MiB",
                grown < 4,
            ),
        ]


class Memory:
    """Resident memory (MiB) of the first run, when a quarter and when all of its tasks have ended."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._ended = 0
        self.quarter = self.end = 0.0

    def __call__(self, event: TaskEvent) -> None:
        if event.state == TaskState.SUCCEEDED:
            self._ended += 1
            if self._ended == self._count // 4:
                self.quarter = self._resident()
            elif self._ended == self._count:
                self.end = self._resident()

    def _resident(self) -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20


def bench_project() -> list[Row]:
    from projects import ratio_of_opening

    with tempfile.TemporaryDirectory() as folder:
        ours, theirs, ratio = ratio_of_opening(Path(folder))
    return [
        ("yaml.CSafeLoader alone, all files", f"{theirs:.2f} s", "", True),
        ("Project.load, 1 000 tables, 500 transforms", f"{ours:.2f} s", "", True),
        ("ratio, median of 5", f"{ratio:.2f} x", "<= 2.5 x", ratio <= 2.5),
    ]


def bench_publish() -> list[Row]:
    from publishing import ratios_of_publishing

    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (ours, theirs) in ratios_of_publishing(Path(folder)).items():
            what, most = {
                "cold": ("tables and lineage / yaml.CSafeLoader and sqlglot.parse alone", 1.5),
                "warm": ("the same from the cache / reading and hashing the files", 1.5),
                "build": ("building the pipelines / the same graph by hand", 1.2),
            }[name]
            rows.append(
                (what, f"{ours:.2f} s / {theirs:.2f} s = {ours / theirs:.2f}", f"<= {most} x", ours / theirs <= most)
            )
    return rows


BENCHMARKS: dict[str, tuple[str, Callable[[], list[Row]]]] = {
    "build": ("building and rendering a load pipeline", bench_build),
    "lineage": ("a pipeline from its lineage", bench_lineage),
    "import": ("import and selection", bench_import),
    "local": ("the local orchestrator", bench_local),
    "project": ("opening a project", bench_project),
    "publish": ("the pipelines of a project: 1 000 tables, 500 transforms", bench_publish),
}


def main(names: list[str]) -> int:
    console = Console()
    missed = 0
    for name in names or BENCHMARKS:
        title, measure = BENCHMARKS[name]
        table = Table("what", "measured", "target", "", title=title, title_justify="left", box=None)
        for what, measured, target, good in measure():
            missed += not good
            table.add_row(what, measured, target, "" if not target else "ok" if good else "MISSED")
        console.print(table, "")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

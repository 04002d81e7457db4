"""Compares the orchestrator ``airflow`` with DAGs that are written by hand. See README.md in this folder.

It needs an environment with one version of Airflow, starlake-core, starlake-core-airflow, starlake-core-shell and
starlake-core-compat, in which bytecode can be written. Run it once for each version. It creates its own Airflow home,
and no database. All figures are CPU time, measured in pairs in random order within one run. The result is the median of
the ratios of the pairs. The exit code is 1 if a target is missed.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# This file has the name of the package that it measures, so its folder must not be on the path. The parent folder has
# the helpers.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
if str(HERE.parent) not in sys.path:
    sys.path.append(str(HERE.parent))

from benchmarks.measuring import Measure, Pairs, Row, Size, Suite, chain, diamonds, shown_count  # noqa: E402
from benchmarks.measuring import in_process as fresh  # noqa: E402


def described(dag: Any) -> dict[str, Any]:
    """Return what must be equal in two DAGs with the same shape."""
    tasks = {
        task.task_id: {
            "group": task.task_group.group_id if task.task_group is not None else None,
            "after": sorted(task.upstream_task_ids),
            "before": sorted(task.downstream_task_ids),
            "rule": str(getattr(task.trigger_rule, "value", task.trigger_rule)),
            "retries": (task.retries, task.retry_delay),
            "pool": task.pool,
            "doc": task.doc_md,
            "params": task.params.dump(),
            "outlets": [outlet.uri for outlet in task.outlets],
            "inlets": [inlet.uri for inlet in task.inlets],
        }
        for task in dag.tasks
    }
    return {
        "": (dag.dag_id, dag.start_date, dag.catchup, dag.max_active_runs, sorted(dag.tags), dag.timetable.summary),
        **tasks,
    }


def check_alike(ours: Any, native: Any) -> None:
    """Check that the DAGs are equal, because comparing different DAGs is meaningless."""
    mine, theirs = described(ours), described(native)
    if list(mine) != list(theirs) and sorted(mine) != sorted(theirs):
        raise SystemExit(f"the DAGs have other tasks: {sorted(set(mine) ^ set(theirs))[:6]}")
    for task_id, about in mine.items():
        if about != theirs[task_id]:
            raise SystemExit(f"'{task_id}' differs:\n  ours   {about}\n  native {theirs[task_id]}")


TABLES = (10, 100, 1000, 5000)


def bench_build(size: Size, home: Path) -> list[Row]:
    from benchmarks import airflow_native, airflow_ours

    rows = []
    for count in TABLES:
        check_alike(airflow_ours.load(count), airflow_native.load(count))
        large = count == max(TABLES)
        pairs = Pairs.of(
            lambda count=count: airflow_ours.load(count),  # type: ignore[misc]
            lambda count=count: airflow_native.load(count),  # type: ignore[misc]
            size.large_pairs if large else size.pairs,
        )
        rows.append(
            pairs.row(
                f"{shown_count(count)} tables",
                1.0 if large else 1.10,
                extra=0.020 if count <= 100 else None,
                below=large,
            )
        )
    return rows


def write_file(home: Path, kind: str, count: int, more: str = "") -> Path:
    """Write a DAG file with a load pipeline; ``more`` are arguments of the function that creates it."""
    file = home / "dags" / f"{kind}_{count}{'_more' * bool(more)}.py"
    file.parent.mkdir(exist_ok=True)
    text = (HERE / f"airflow_{kind}.py").read_text(encoding="utf-8")
    file.write_text(f"{text}\n\ndag = load({count}{more})\n", encoding="utf-8")
    return file


def parser() -> Callable[[Path, int], Any]:
    """Return a function that parses a file with a DagBag and counts the tasks."""
    from benchmarks.airflow_children import dag_bag

    bag = dag_bag()

    def parse(file: Path, count: int) -> Any:
        made = bag(file)
        assert not made.import_errors, made.import_errors
        (dag,) = made.dags.values()
        assert len(dag.task_dict) == count + 4
        return made

    return parse


def bench_parse(size: Size, home: Path) -> list[Row]:
    parse = parser()
    rows = []
    for count in TABLES:
        large = count == max(TABLES)
        ours, native = write_file(home, "ours", count), write_file(home, "native", count)
        pairs = Pairs.of(
            lambda file=ours, count=count: parse(file, count),  # type: ignore[misc]
            lambda file=native, count=count: parse(file, count),  # type: ignore[misc]
            size.large_pairs if large else size.pairs,
        )
        rows.append(pairs.row(f"{shown_count(count)} tables", 1.0 if large else 1.10, below=large))
    return rows


FLAT = {"tag": "SALES", "uri": "sales_{}"}
"""What differs in the DAG of a generated file, because it uses the names of the package for which it was generated."""


def bench_compat(size: Size, home: Path) -> list[Row]:
    from benchmarks import airflow_compat, airflow_native

    parse = parser()
    rows = []
    for count in TABLES[:3]:
        check_alike(airflow_compat.load(count), airflow_native.load(count, **FLAT))
        more = "".join(f", {name}={value!r}" for name, value in FLAT.items())
        ours, native = write_file(home, "compat", count), write_file(home, "native", count, more)
        pairs = Pairs.of(
            lambda file=ours, count=count: parse(file, count),  # type: ignore[misc]
            lambda file=native, count=count: parse(file, count),  # type: ignore[misc]
            size.pairs,
        )
        rows.append(pairs.row(f"{shown_count(count)} tables", 1.10, extra=0.020 if count <= 100 else None))
    return rows


def bench_lineage(size: Size, home: Path) -> list[Row]:
    from benchmarks import airflow_native, airflow_ours

    rows = []
    for what, parents in (
        ("diamonds, width 3, depth 300", diamonds(3, 300)),
        ("chain of 1 000 transforms", chain(1000)),
    ):
        check_alike(airflow_ours.lineage(parents), airflow_native.lineage(parents))
        pairs = Pairs.of(
            lambda parents=parents: airflow_ours.lineage(parents),  # type: ignore[misc]
            lambda parents=parents: airflow_native.lineage(parents),  # type: ignore[misc]
            size.pairs,
        )
        rows.append(pairs.row(what, 1.15))
    return rows


def in_process(name: str, *arguments: object, level: str = "WARNING") -> dict[str, Any]:
    """Return the result of a new process, in which Airflow logs from some level on."""
    return fresh(HERE / "airflow.py", name, *arguments, env={"AIRFLOW__LOGGING__LOGGING_LEVEL": level})


def bench_import(size: Size, home: Path) -> list[Row]:
    in_process("imports")  # so that the byte code is there
    found = [in_process("imports") for _ in range(size.processes)]
    both = [one["import"] + one["select"] for one in found]

    def middle(name: str) -> float:
        return float(statistics.median(one[name] for one in found))

    total = statistics.median(both)
    modules = found[0]["modules"]
    return [
        Row("import starlake_core", f"{middle('import'):.0f} ms"),
        Row("select airflow and shell", f"{middle('select'):.0f} ms"),
        Row(
            "together",
            f"{total:.0f} ms [{min(both):.0f} - {max(both):.0f}], {modules} modules",
            "< 100 ms",
            total < 100,
            {"milliseconds": both, "modules": modules},
        ),
        Row("select again", f"{middle('again'):.2f} ms"),
        Row("the first pipeline, of one table", f"{middle('first'):.1f} ms"),
    ]


def bench_memory(size: Size, home: Path) -> list[Row]:
    files = {kind: write_file(home, kind, 1000) for kind in ("ours", "native")}
    peaks: dict[str, list[float]] = {"ours": [], "native": [], "before": []}
    for _ in range(max(1, size.processes // 3)):
        for kind, file in files.items():
            found = in_process("memory", file)
            peaks[kind].append(found["after"])
            peaks["before"].append(found["before"])
    ours, native, before = (statistics.median(peaks[kind]) for kind in ("ours", "native", "before"))
    return [
        Row("before, with Airflow imported", f"{before:.0f} MiB"),
        Row("peak of one parse, native", f"{native:.0f} MiB ({native - before:+.0f})"),
        Row("peak of one parse, ours", f"{ours:.0f} MiB ({ours - before:+.0f})", figures=peaks),
    ]


def bench_silent(size: Size, home: Path) -> list[Row]:
    found = in_process("silent", write_file(home, "ours", 100), level="INFO")
    native = in_process("silent", write_file(home, "native", 100), level="INFO")
    told = sum(len(line) + 1 for line in found["lines"])
    kept = f" (and {found['bytes'] - told} of Airflow's own; native {native['bytes']})" if found["bytes"] else ""
    return [
        Row("SQL statements", str(len(found["statements"])), "0", not found["statements"], found),
        Row("bytes on the standard output", f"{told}{kept}", "0", told == 0, found),
    ]


def bench_deferred(size: Size, home: Path) -> list[Row]:
    count = 1000
    found = in_process("deferred", count, size.polls)
    idle = in_process("deferred", count, 2)
    per_call = statistics.median(found["sizes"])
    calls = found["calls"] / found["ticks"]
    more = found["ticks"] - idle["ticks"]
    tick = (found["cpu"] - idle["cpu"]) / more * 1e3 if more > 0 else 0.0
    return [
        Row(
            f"CPU of {count} tasks over {found['ticks']} ticks",
            f"{found['cpu']:.2f} s in {found['wall']:.1f} s",
            figures=found,
        ),
        Row("  of them for one tick of all tasks", f"{tick:.1f} ms"),
        Row("  of them for one task, from start to end", f"{idle['cpu'] / count * 1e3:.2f} ms"),
        Row("calls of poll in a tick", f"{calls:.2f}", "1", found["calls"] == found["ticks"] and found["runners"] == 1),
        Row("handles in a call", f"{per_call:.0f} (first {found['sizes'][0]}, last {found['sizes'][-1]})"),
    ]


BENCHMARKS: dict[str, tuple[str, Measure]] = {
    "build": ("building a load pipeline: ours / by hand = ratio [middle half of the pairs]", bench_build),
    "parse": ("parsing its file with a DagBag", bench_parse),
    "compat": ("parsing a file in the form of dag-generate, against ai.starlake.*", bench_compat),
    "lineage": ("building a pipeline from its lineage", bench_lineage),
    "import": ("CPU once per process, beyond what a file written by hand imports", bench_import),
    "memory": ("memory of a process that parses 1 000 tables", bench_memory),
    "silent": ("in a parse of 100 tables, in a fresh process", bench_silent),
    "deferred": ("deferred tasks in one triggerer process", bench_deferred),
}


def make_home(folder: Path) -> None:
    """Create an Airflow home for this process and its children. Call it before Airflow is imported."""
    os.environ.update(
        AIRFLOW_HOME=str(folder),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGS_FOLDER=str(folder / "dags"),
        AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT="300",
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{folder}/airflow.db",
        AIRFLOW__LOGGING__BASE_LOG_FOLDER=str(folder / "logs"),
        AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
        AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY="True",
    )
    for name in ("SL_ORCHESTRATOR", "SL_EXECUTION_ENVIRONMENT"):
        os.environ.pop(name, None)


def children() -> Mapping[str, Callable[..., dict[str, Any]]]:
    from benchmarks.airflow_children import CHILDREN

    return CHILDREN


SUITE = Suite("Airflow", "apache-airflow", "starlake-core-airflow", BENCHMARKS, make_home, children)

if __name__ == "__main__":
    sys.exit(SUITE.main(__doc__, sys.argv[1:]))

"""What it costs to publish a project, compared with parsing, hashing and drawing the same by hand.

``python benchmarks/publishing.py`` measures a full parse by Airflow, in an environment that has it; ``run.py publish`` measures the rest.
"""

from __future__ import annotations

import gc
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ratios_of_publishing", "write_linked_project"]

_COLUMNS = "".join(
    f"    - {{ name: c{n}, type: {kind}, required: {'true' if n == 0 else 'false'} }}\n"
    for n, kind in enumerate(("string", "long", "date", "double", "string", "long", "date", "double", "string", "long"))
)
_DAG = "version: 1\ndag:\n  template: load/airflow__scheduled_table__duckdb.py.j2\n  filename: '{{domain}}_%s.py'\n"


def write_linked_project(root: Path, tables: int = 1000, tasks: int = 500) -> None:
    """Write a project whose transforms read its tables and each other.

    Args:
        root: its folder.
        tables: how many, fifty in each domain.
        tasks: how many transforms, fifty in each domain.
    """

    def write(name: str, text: str) -> None:
        path = root / "metadata" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    write(
        "application.sl.yml",
        "version: 1\napplication:\n  connectionRef: duckdb\n  schedulePresets: {daily: '0 1 * * *'}\n  dagRef: {load: loads, transform: tasks}\n"
        "  connections: {duckdb: {type: jdbc, options: {url: 'jdbc:duckdb:{{SL_ROOT}}/d.db'}}}\n",
    )
    write("dags/loads.sl.yml", _DAG % "load")
    write("dags/tasks.sl.yml", _DAG % "kpi")
    for n in range(tables):
        text = f'version: 1\ntable:\n  pattern: "t{n}.*.csv"\n  primaryKey: ["c0"]\n  attributes:\n{_COLUMNS}'
        text += (
            "  metadata:\n    format: DSV\n    schedule: daily\n    writeStrategy: { type: UPSERT_BY_KEY, key: [c0] }\n"
        )
        write(f"load/d{n // 50}/t{n}.sl.yml", text)
    for n in range(tasks):
        one, other = (n * 7) % tables, (n * 13 + 5) % tables
        before = f"JOIN k{(n - 1) // 50}.x{n - 1} AS p ON p.c0 = a.c0" if n % 5 else ""
        write(f"transform/k{n // 50}/x{n}.sl.yml", "version: 1\ntask:\n  writeStrategy: { type: OVERWRITE }\n")
        write(
            f"transform/k{n // 50}/x{n}.sql",
            f"WITH a AS (SELECT c0, c1, sum(c3) AS s FROM d{one // 50}.t{one} WHERE c1 <> 'x' GROUP BY c0, c1)\n"
            f"SELECT a.c0, a.c1, a.s, count(*) AS n\nFROM a JOIN d{other // 50}.t{other} AS b ON a.c0 = b.c0 {before}\nGROUP BY ALL\n",
        )


def _least(*works: Callable[[], object], rounds: int = 5) -> list[float]:
    """CPU seconds of each work: the best of several rounds, in each of which they take turns."""
    found: list[list[float]] = [[] for _ in works]
    for number in range(rounds):
        order = list(zip(works, found, strict=True))
        for work, times in order if number % 2 else reversed(order):
            gc.collect()
            started = time.process_time()
            work()
            times.append(time.process_time() - started)
    return [min(times) for times in found]


def _least_of_children(*works: Callable[[], object], rounds: int = 5) -> list[float]:
    """CPU seconds of each work in a process of its own, as Airflow parses a file: the best of several rounds, in each of which they take turns."""
    found: list[list[float]] = [[] for _ in works]
    for number in range(rounds):
        order = list(zip(works, found, strict=True))
        for work, times in order if number % 2 else reversed(order):
            child = os.fork()
            if not child:
                try:
                    work()
                except BaseException:
                    traceback.print_exc()
                    os._exit(1)
                os._exit(0)
            _, status, usage = os.wait4(child, 0)
            if status:
                raise SystemExit("a parse failed")
            times.append(usage.ru_utime + usage.ru_stime)
    return [min(times) for times in found]


def _parse(root: Path) -> None:
    import sqlglot

    for path in sorted((root / "metadata").rglob("*")):
        if path.suffix == ".yml":
            yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        elif path.suffix == ".sql":
            sqlglot.parse(path.read_text(encoding="utf-8"), dialect="duckdb")


def _hash(root: Path) -> None:
    for path in sorted((root / "metadata").rglob("*")):
        if path.is_file():
            hashlib.sha256(path.read_bytes()).digest()


def ratios_of_publishing(root: Path) -> dict[str, tuple[float, float]]:
    """CPU seconds of ours and of what it is compared with: reading cold, reading warm, and building the pipelines.

    Args:
        root: an empty folder.
    """
    from starlake_core_project.publishing import plan, publish_plan

    write_linked_project(root)
    plan(root)
    found = plan(root)
    code = compile(_BY_HAND, "by_hand", "exec")

    def by_hand() -> None:
        exec(code, {"__name__": "by_hand", "__file__": str(root / "by_hand.py"), "ORCHESTRATOR": "local"})

    def ours() -> None:
        publish_plan(found, "local", "duckdb", {}, True, str(root / "ours.py"), {})

    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "cold": (lambda: plan(root, cache=False), lambda: _parse(root)),
        "warm": (lambda: plan(root), lambda: _hash(root)),
        "build": (ours, by_hand),
    }
    return {name: (one, other) for name, works in pairs.items() for one, other in [_least(*works)]}


_BY_HAND = """
from starlake_core import Orchestration, StarlakeDependencies, StarlakeDependency, StarlakeDomain, StarlakeSchedule

tables = [StarlakeDependency(f"d{n // 50}.t{n}", "table", cron="0 1 * * *") for n in range(1000)]
transforms = []
for n in range(500):
    read = [tables[(n * 7) % 1000], tables[(n * 13 + 5) % 1000], *([transforms[n - 1]] if n % 5 else [])]
    transforms.append(StarlakeDependency(f"k{n // 50}.x{n}", dependencies=read))

with Orchestration({"SL_TIMEZONE": "UTC"}, orchestrator=ORCHESTRATOR, environment="duckdb") as orchestration:
    for d in range(20):
        names = [f"t{n}" for n in range(50 * d, 50 * d + 50)]
        schedule = StarlakeSchedule("", "0 1 * * *", [StarlakeDomain(f"d{d}", tables=names)])
        with orchestration.sl_create_pipeline(schedule, name=f"d{d}_load", tags=[f"d{d}"]) as pipeline:
            pipeline.add_schedule()
    for k in range(10):
        lineage = StarlakeDependencies(transforms[50 * k : 50 * k + 50])
        with orchestration.sl_create_pipeline(dependencies=lineage, name=f"k{k}_kpi", tags=[f"k{k}"]) as pipeline:
            pipeline.add_lineage()
"""
"""The pipelines of the project, drawn by hand with the verbs of this package."""

_NATIVE = """
from datetime import datetime, timedelta, timezone
from airflow.timetables.trigger import CronTriggerTimetable
try:
    from airflow.sdk import DAG, Asset, TaskGroup
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.empty import EmptyOperator
except ImportError:
    from airflow import DAG
    from airflow.datasets import Dataset as Asset
    from airflow.operators.bash import BashOperator
    from airflow.operators.empty import EmptyOperator
    from airflow.utils.task_group import TaskGroup

SINCE, DEFAULTS = datetime(2024, 1, 1, tzinfo=timezone.utc), {"retries": 1, "retry_delay": timedelta(minutes=5)}
SAME = {"start_date": SINCE, "catchup": False, "default_args": DEFAULTS}
ENV = {"SL_ROOT": "/project"}


def command(task_id, text, asset, inlets=()):
    return BashOperator(
        task_id=task_id, bash_command=text, env=ENV, append_env=True, outlets=[asset], inlets=list(inlets),
        doc_md=f"Runs {text}. Environment: shell.\\n\\n```\\n{text}\\n```",
    )


def asset(domain, table):
    uri = f"starlake://{domain}/{table}"
    return Asset(uri=uri, name=f"{domain}.{table}") if HAS_NAMES else Asset(uri)


tables = [asset(f"d{n // 50}", f"t{n}") for n in range(1000)]
computed = [asset(f"k{n // 50}", f"x{n}") for n in range(500)]
for d in range(20):
    with DAG(f"d{d}_load", schedule=CronTriggerTimetable("0 1 * * *", timezone="UTC"), tags=[f"d{d}"], **SAME) as dag:
        start, end = EmptyOperator(task_id="start"), EmptyOperator(task_id="end", trigger_rule="none_failed")
        with TaskGroup(f"d{d}") as group:
            with TaskGroup(f"load_d{d}"):
                for n in range(50 * d, 50 * d + 50):
                    command(f"load_d{d}_t{n}", f"starlake load --domains d{d} --tables t{n}", tables[n])
        start >> group >> end
    globals()[dag.dag_id] = dag
for k in range(10):
    own = range(50 * k, 50 * k + 50)
    read = {n: [tables[(n * 7) % 1000], tables[(n * 13 + 5) % 1000], *([computed[n - 1]] if n % 5 else [])] for n in own}
    outside = [asset for n in own for asset in read[n][:2]]
    with DAG(f"k{k}_kpi", schedule=ANY(*outside), tags=[f"k{k}"], **SAME) as dag:
        start, end = EmptyOperator(task_id="start"), EmptyOperator(task_id="end", trigger_rule="none_failed")
        tasks = {n: command(f"k{k}_x{n}", f"starlake transform --name k{k}.x{n}", computed[n], read[n]) for n in own}
        for n in own:
            (tasks[n - 1] if n % 5 else start) >> tasks[n]
            if (n + 1) % 5 == 0:
                tasks[n] >> end
    globals()[dag.dag_id] = dag
"""
"""DAGs with the same tasks and edges, written by hand for Airflow alone."""
_CRON = 'CronTriggerTimetable("0 1 * * *", timezone="UTC")'
"""Instead of a schedule of a hundred assets, all of which Airflow turns to JSON whenever it hashes the DAG, once for each task."""
_IMPORTS = """
try:
    from airflow.sdk import AssetAny as ANY
    HAS_NAMES = True
except ImportError:
    from airflow.datasets import DatasetAny as ANY
    HAS_NAMES = False
"""


def _airflow(folder: Path) -> None:
    os.environ |= {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
    }
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, stdout=subprocess.DEVNULL)
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # 2.11
        from airflow.models.dagbag import DagBag
    root = folder / "project"
    write_linked_project(root)
    texts = {
        "ours": f"# airflow dag\nfrom starlake_core_project import publish\npublish({str(root)!r}, environment='duckdb')\n",
        "drawn by hand": f'# airflow dag\nORCHESTRATOR = "airflow"\n{_BY_HAND}',
        "for Airflow alone": f"{_IMPORTS}{_NATIVE}",
        "for Airflow alone, all by cron": f"{_IMPORTS}{_NATIVE}".replace("ANY(*outside)", _CRON),
    }

    def parse(place: Path) -> None:
        bag: Any = DagBag(dag_folder=str(place))
        assert not bag.import_errors, bag.import_errors
        assert sum(len(dag.tasks) for dag in bag.dags.values()) == 1560

    works = []
    for name, text in texts.items():
        place = folder / name
        place.mkdir()
        (place / "all.py").write_text(text, encoding="utf-8")
        works.append(partial(parse, place))
    for work in works:
        work()  # imports what the processes share, as those of Airflow do
    figures = dict(zip(texts, _least_of_children(*works), strict=True))
    for name in list(texts)[1:]:
        ratio = figures["ours"] / figures[name]
        target = "reported" if name.endswith("cron") else "target 1.30"
        sys.stdout.write(
            f"a full parse / {name}: {figures['ours']:.2f} s / {figures[name]:.2f} s = {ratio:.2f}, {target}\n"
        )


if __name__ == "__main__":
    # The folder of this file has an airflow.py.
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).resolve().parent]
    with tempfile.TemporaryDirectory() as place:
        _airflow(Path(place))

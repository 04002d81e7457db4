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
from collections.abc import Callable
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


def _least(work: Callable[[], object], rounds: int = 4) -> float:
    """CPU seconds, the best of several rounds."""
    found = []
    for _ in range(rounds):
        gc.collect()
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


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
    from starlake_core_project.export import export_files
    from starlake_core_project.publishing import plan, publish_plan

    write_linked_project(root)
    plan(root)
    found = plan(root)
    codes = [compile(text, name, "exec") for name, text in export_files(found, "local", "duckdb").items()]

    def by_hand() -> None:
        for code in codes:
            exec(code, {"__name__": "by_hand", "__file__": str(root / "by_hand.py")})

    def ours() -> None:
        publish_plan(found, "local", "duckdb", {}, True, str(root / "ours.py"), {})

    return {
        "cold": (_least(lambda: plan(root, cache=False)), _least(lambda: _parse(root))),
        "warm": (_least(lambda: plan(root)), _least(lambda: _hash(root))),
        "build": (_least(ours), _least(by_hand)),
    }


def _airflow(folder: Path) -> None:
    os.environ |= {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
    }
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, stdout=subprocess.DEVNULL)
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # 2.11
        from airflow.models.dagbag import DagBag
    from starlake_core_project.export import export_files
    from starlake_core_project.publishing import plan

    root = folder / "project"
    write_linked_project(root)
    texts = {
        "ours": f"# airflow dag\nfrom starlake_core_project import publish\npublish({str(root)!r}, environment='duckdb')\n",
        "by hand": "# airflow dag\n" + "\n".join(export_files(plan(root), "airflow", "duckdb").values()),
    }
    figures: dict[str, float] = {}
    for name, text in texts.items():
        place = folder / name
        place.mkdir()
        (place / "all.py").write_text(text, encoding="utf-8")

        def parse(place: Path = place) -> None:
            bag: Any = DagBag(dag_folder=str(place))
            assert not bag.import_errors
            assert sum(len(dag.tasks) for dag in bag.dags.values()) == 1560

        figures[name] = _least(parse)
    ratio = figures["ours"] / figures["by hand"]
    sys.stdout.write(f"a full parse: {figures['ours']:.2f} s / {figures['by hand']:.2f} s = {ratio:.2f}, target 1.30\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        _airflow(Path(place))

"""DAGs of a generated file beside those that the replaced package made of the same file (``reference_dags.json``, measured on Airflow 3.3).

What differs on purpose stands in ``DIFFERENCES``, and, in words, in ``docs/migrating.md``; everything else is equal.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from compat_runs import HOSTS, example, native

pytestmark = pytest.mark.skipif("airflow" not in HOSTS, reason="needs Airflow")

REFERENCE = json.loads(Path(__file__).with_name("reference_dags.json").read_text(encoding="utf-8"))
MIGRATING = Path(__file__).parents[3] / "docs" / "migrating.md"

DIFFERENCES = {
    "skip_or_start": "the check skips what depends on it by itself",
    "trigger_rule of end": "none_failed: one domain that is not ready does not skip the end of the others",
    "retries of start": "it does nothing that could fail",
    "params": "nothing reads cron_expr, sink, sl_schedule_parameter_name, sl_schedule_format and uri any more",
    "asynchronous clouds": "one task starts, waits and ends",
    "edges with `run_dependencies_first`": "those that others imply are drawn, too",
    "start of a pipeline that is started by datasets": "nothing is before it",
    "timetable on Airflow 2.11": "CronTriggerTimetable, as on Airflow 3; the core computes the data interval",
}


@pytest.fixture(scope="module")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder, home = tmp_path_factory.mktemp("dags"), tmp_path_factory.mktemp("home")
    names = {f'"{name.lower()}"': f'"{name}"' for name in ("Customers", "Ingredients", "Products", "Orders")}
    told = {"the tables of the bakery": "data loading for starbake domain", "starbake bakery": "starbake"}
    delay = {'"retry_delay": "5"': '"retry_delay": "300"'}
    text = example("starbake_load", "airflow", **names, **told, **delay)
    (folder / "starbake_load.py").write_text(text, encoding="utf-8")
    return native("airflow", "show", str(folder), AIRFLOW_HOME=str(home), AIRFLOW__CORE__LOAD_EXAMPLES="False")


def without_skip_or_start(reference: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Tasks and edges of the reference, bridged over the task that ours has no need of."""
    (gone,) = [task for task in reference["tasks"] if "skip_or_start" in task]
    edges = [edge.split(" -> ") for edge in reference["edges"]]
    befores = [before for before, after in edges if after == gone]
    kept = {f"{before} -> {after}" for before, after in edges if gone not in (before, after)}
    bridged = {f"{before} -> {after}" for before in befores for gone_, after in edges if gone_ == gone}
    return set(reference["tasks"]) - {gone}, kept | bridged


@pytest.mark.parametrize("dag_id", sorted(REFERENCE))
def test_ids_groups_and_edges(dags: Any, dag_id: str) -> None:
    tasks, edges = without_skip_or_start(REFERENCE[dag_id])
    assert set(dags) == set(REFERENCE)
    assert set(dags[dag_id]["tasks"]) == tasks
    assert set(dags[dag_id]["edges"]) == edges
    groups = {task.rpartition(".")[0] for task in tasks} - {""}
    assert set(dags[dag_id]["groups"]) == groups | {group.partition(".")[0] for group in groups}


@pytest.mark.parametrize("dag_id", sorted(REFERENCE))
def test_the_dag_itself(dags: Any, dag_id: str) -> None:
    ours, theirs = dags[dag_id], REFERENCE[dag_id]
    for name in ("schedule", "timetable", "tags", "catchup", "max_active_runs", "description"):
        assert ours[name] == theirs[name], name


@pytest.mark.parametrize("dag_id", sorted(REFERENCE))
def test_every_task(dags: Any, dag_id: str) -> None:
    for task_id, ours in dags[dag_id]["tasks"].items():
        theirs = REFERENCE[dag_id]["tasks"][task_id]
        end, start = task_id.startswith("end_"), task_id.startswith("start_")
        assert ours["outlets"] == theirs["outlets"] == ours["names"], task_id
        assert ours["pool"] == theirs["pool"], task_id
        assert ours["retry_delay"] == theirs["retry_delay"], task_id
        assert ours["retries"] == (0 if start else theirs["retries"]), task_id
        assert ours["trigger_rule"] == ("none_failed" if end else theirs["trigger_rule"]), task_id
        gone = ("sl_schedule_parameter_name", "sl_schedule_format", "uri")
        kept = {name: value for name, value in theirs["params"].items() if name not in gone}
        assert ours["params"] == kept, task_id


def test_every_difference_is_in_the_documentation() -> None:
    text = MIGRATING.read_text(encoding="utf-8")
    assert [name for name in DIFFERENCES if name not in text] == []

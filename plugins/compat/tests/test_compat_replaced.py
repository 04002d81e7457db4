"""The files of ``generated.corpus`` beside what the replaced package makes of them: ``replaced_<host>.json``, which ``record_replaced.py`` writes.

What differs on purpose is a row of *What differs, and why* in ``docs/migrating.md``. Each rewrite below names its row, and turns what the replaced
package makes into what the row says of ours; after all of them both are equal.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compat_native import comparable
from compat_runs import HOSTS, native
from generated import ENVIRONMENTS, corpus

from starlake_core.plugins import installed

INSTALLED = [name for name in ENVIRONMENTS if name in {plugin.name for plugin in installed("environment")}]
MIGRATING = Path(__file__).parents[3] / "docs" / "migrating.md"
RECORDS = {
    host: json.loads(Path(__file__).with_name(f"replaced_{host}.json").read_text(encoding="utf-8"))
    for host in ("airflow", "dagster")
}
Dag = dict[str, Any]


def edges_of(dag: Dag) -> set[tuple[str, str]]:
    return {(before, after) for before, _, after in (edge.partition(" -> ") for edge in dag["edges"])}


def put_edges(dag: Dag, edges: set[tuple[str, str]]) -> None:
    dag["edges"] = sorted(f"{before} -> {after}" for before, after in edges)


def only(dag: Dag, word: str) -> str:
    """The id of the start, or of the end, which may have the name of the schedule behind it."""
    (found,) = [task for task in dag["tasks"] if task == word or task.startswith(f"{word}_")]
    return found


def leave_out(dag: Dag, gone: str) -> None:
    """Take a task out, and join what is before it with what is after it."""
    edges = edges_of(dag)
    before = {one for one, other in edges if other == gone}
    after = {other for one, other in edges if one == gone}
    put_edges(dag, {edge for edge in edges if gone not in edge} | {(one, other) for one in before for other in after})
    del dag["tasks"][gone]


def rename(dag: Dag, named: Callable[[str], str]) -> None:
    dag["tasks"] = {named(task): fields for task, fields in dag["tasks"].items()}
    put_edges(dag, {(named(before), named(after)) for before, after in edges_of(dag)})


def without_implied(dag: Dag, where: Callable[[str, str], bool]) -> None:
    """Take out the edges that others imply, among those that may be: what is left says the same order."""
    edges = edges_of(dag)
    after: dict[str, set[str]] = {}
    for one, other in edges:
        after.setdefault(one, set()).add(other)

    def reached(task: str) -> set[str]:
        return {one for other in after.get(task, ()) for one in (other, *reached(other))}

    implied = {(one, other) for one, other in edges if any(other in reached(between) for between in after[one])}
    put_edges(dag, {edge for edge in edges if edge not in implied or not where(*edge)})


# -- rewrites: what the replaced package makes becomes what the row of the page says of ours


def no_skip_or_start(dag: Dag) -> None:
    for task in [task for task in dag["tasks"] if "skip_or_start" in task]:
        leave_out(dag, task)


def one_task_for_a_command(dag: Dag) -> None:
    def path(task: str) -> str:
        group, _, _ = task.rpartition(".")
        return group.removesuffix("_wait") if group.endswith("_wait") else task

    tasks: dict[str, Any] = {}
    for name, fields in dag["tasks"].items():
        one = tasks.setdefault(path(name), {**fields, "params": {}, "outlets": []})
        one["outlets"] = sorted({*one["outlets"], *fields["outlets"]})
        one["params"].update(fields["params"])
    edges = {(path(before), path(after)) for before, after in edges_of(dag)}
    dag["tasks"] = tasks
    dag["groups"] = [group for group in dag["groups"] if not group.endswith("_wait")]
    put_edges(dag, {(before, after) for before, after in edges if before != after})


def a_cluster_of_one_name(dag: Dag) -> None:
    def named(task: str) -> str:
        verb, _, rest = task.partition("_")
        return f"{verb}_cluster" if verb in ("create", "delete") and rest.endswith("_cluster") else task

    rename(dag, named)
    put_edges(dag, edges_of(dag) - {("create_cluster", "delete_cluster")})
    if "delete_cluster" in dag["tasks"]:
        dag["tasks"]["delete_cluster"]["trigger_rule"] = "all_done"


def all_done_after_failures(dag: Dag) -> None:
    if "all_done" in dag["tasks"]:
        dag["tasks"]["all_done"]["trigger_rule"] = "all_done"


def end_without_failures(dag: Dag) -> None:
    dag["tasks"][only(dag, "end")]["trigger_rule"] = "none_failed"


def no_retries_of_nothing(dag: Dag) -> None:
    for task in dag["tasks"].keys() & {only(dag, "start"), "all_done"}:
        if task == "all_done" or not dag["triggers"]:
            dag["tasks"][task]["retries"] = 0


def params_of_the_file(dag: Dag) -> None:
    gone = {"cron", "schedule", "cron_expr", "sink", "uri", "sl_schedule_parameter_name", "sl_schedule_format"}
    for fields in dag["tasks"].values():
        fields["params"] = {name: value for name, value in fields["params"].items() if name not in gone}


def plain_start(dag: Dag) -> None:
    if dag["triggers"]:
        read = sorted({*dag["triggers"], dag["name"]})
        dag["tasks"][only(dag, "start")].update({"inlets": read, "trigger_rule": "all_success"})


def no_metadata(dag: Dag) -> None:
    dag["metadata"] = {uri: {} for uri in dag["metadata"]}


def delay_of_the_file(dag: Dag) -> None:
    for task, fields in dag["tasks"].items():
        if task.endswith("_ack_file"):
            fields["retry_delay"] = 300.0


def one_default_delay(dag: Dag) -> None:
    for fields in dag["tasks"].values():
        if fields["retry_delay"] == 10.0:
            fields["retry_delay"] = 300.0


AIRFLOW: dict[str, Callable[[Dag], None]] = {
    "asynchronous clouds": one_task_for_a_command,
    "`skip_or_start`": no_skip_or_start,
    "set-up and tear-down on Dataproc": a_cluster_of_one_name,
    "`all_done`": all_done_after_failures,
    "trigger_rule of end": end_without_failures,
    "retries of start": no_retries_of_nothing,
    "params": params_of_the_file,
    "start of a pipeline that is started by datasets": plain_start,
    "metadata of the assets themselves": no_metadata,
    "`ack` does not wait": delay_of_the_file,
    "delay of retries on Cloud Run": one_default_delay,
}
"""Rewrites of a DAG, each with the beginning of its row."""


def running_sensor(dag: Dag) -> None:
    dag["sensors"] = [[*fields, True] for *fields, _ in dag["sensors"]]


def one_key_for_a_table(dag: Dag) -> None:
    for fields in dag["tasks"].values():
        fields["outlets"] = [key for key in fields["outlets"] if "?sl_schedule=" not in key]


def tags_of_the_file(dag: Dag) -> None:
    dag["tags"] = {"starlake/pipeline": dag["name"]}
    if any(".load_raw" in task for task in dag["tasks"]):
        dag["tags"]["raw"] = ""  # the domain, as on Airflow


def retries_of_the_file(dag: Dag) -> None:
    for task, fields in dag["tasks"].items():
        if ".pre_load_" in task and "check_" in task:
            fields.update({"retries": 1, "retry_delay": 300})


DAGSTER: dict[str, Callable[[Dag], None]] = {
    "Dagster": running_sensor,
    "keys of assets on Dagster": one_key_for_a_table,
    "tags on Dagster": tags_of_the_file,
    "retries of a pre-load on Dagster": retries_of_the_file,
}
REWRITES = {"airflow": AIRFLOW, "dagster": DAGSTER}
LIFECYCLE = ("create_cluster", "delete_cluster", "all_done")
IMPLIED = {"edges with `run_dependencies_first`", "edges of the end on Dagster"}
"""Rows that allow edges which others imply."""


def may_be_implied(host: str, name: str) -> Callable[[str, str], bool]:
    """Which edges may be drawn by one package and left out by the other, as the rows ``IMPLIED`` say."""

    def where(before: str, after: str) -> bool:
        end = after.partition("_")[0] == "end"
        if name.endswith("_first"):
            return end or after == "all_done" or before in ("start", "create_cluster")
        return end and host == "dagster"

    return where


# -- the tests


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Dag]]:
    """What each installed host makes of all files with this package."""
    made = {}
    for host in HOSTS:
        folder = tmp_path_factory.mktemp(host)
        for environment in INSTALLED:
            for name, text in corpus(host, environment).items():
                (folder / f"{environment}_{name}.py").write_text(text, encoding="utf-8")
        if host == "airflow":
            home = {"AIRFLOW_HOME": str(tmp_path_factory.mktemp("home")), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
            found = {name: comparable(dag) for name, dag in native(host, "show", str(folder), **home).items()}
        else:
            found = native(host, "jobs", *sorted(map(str, folder.glob("*.py"))))
        made[host] = {name: {**dag, "name": name} for name, dag in found.items()}
    return made


def recorded(host: str) -> dict[str, Dag]:
    """The pipelines of a record."""
    files = RECORDS[host]["files"].values()
    return {name: {**copy.deepcopy(dag), "name": name} for file in files for name, dag in file["dags"].items()}


PLAYED = [
    (host, name)
    for host in HOSTS
    for name in sorted(recorded(host))
    if name.startswith(tuple(f"{one}_" for one in INSTALLED))
]


@pytest.mark.parametrize(("host", "name"), PLAYED)
def test_a_pipeline_is_that_of_the_replaced_package(ours: dict[str, dict[str, Dag]], host: str, name: str) -> None:
    (file,) = [file for file in RECORDS[host]["files"].values() if name in file["dags"]]
    made, told = ours[host][name], recorded(host)[name]
    for rewrite in REWRITES[host].values():
        rewrite(told)
    if file.get("mended") == "without set-up and tear-down":
        for task in LIFECYCLE:
            leave_out(made, task)
    for dag in (made, told):
        without_implied(dag, may_be_implied(host, name))
    assert made == told


@pytest.mark.parametrize("host", RECORDS)
def test_every_combination_is_recorded(host: str) -> None:
    files = {f"{environment}_{name}" for environment in ENVIRONMENTS for name in corpus(host, environment)}
    assert RECORDS[host]["files"].keys() == files
    assert all(file["dags"] for file in RECORDS[host]["files"].values())
    failed = {name.rpartition("_")[0] for name, file in RECORDS[host]["files"].items() if "errors" in file}
    assert failed == {"dataproc"}  # as the row on set-up and tear-down says


def rows() -> str:
    """The first cells of the tables of the page, one a line."""
    lines = MIGRATING.read_text(encoding="utf-8").splitlines()
    return "\n".join(line.split("|")[1].strip() for line in lines if line.startswith("|"))


@pytest.mark.parametrize(("host", "row"), [(host, row) for host, found in REWRITES.items() for row in found])
def test_a_rewrite_has_a_row_and_something_to_rewrite(host: str, row: str) -> None:
    assert any(line.startswith(row) for line in rows().splitlines())
    changed = []
    for name, dag in recorded(host).items():
        before = copy.deepcopy(dag)
        REWRITES[host][row](dag)
        changed.extend([name] if dag != before else [])
    assert changed


@pytest.mark.parametrize("row", sorted({*IMPLIED, "macros", "`default_args` of a DAG"}))
def test_what_is_left_out_of_the_comparison_has_a_row(row: str) -> None:
    assert any(line.startswith(row) for line in rows().splitlines())

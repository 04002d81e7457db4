"""What a page contains: nodes, edges, details, runs, and the critical path."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_pipelines import built, layers, shop
from starlake_core_page.contents import contents
from starlake_core_page.critical import critical_path
from starlake_core_page.run_contents import run_contents

from starlake_core import (
    Column,
    Report,
    StarlakeDependencies,
    StarlakeDependency,
    TableDetails,
    TaskReport,
    TaskState,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def edges_of(graph):
    names, numbers = graph["nodes"]["name"], graph["edges"]
    return {
        (names[a], names[b], bool(reads))
        for a, b, reads in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
    }


def kinds_of(graph):
    return {
        name: graph["kinds"][kind] for name, kind in zip(graph["nodes"]["name"], graph["nodes"]["kind"], strict=True)
    }


def test_a_table_is_one_node_for_its_load_and_its_readers():
    graph, _ = contents(shop(), "shop", NOW)
    assert kinds_of(graph) == {
        "kpi.overview": "transform",
        "kpi.sales": "transform",
        "shop.customers": "load",
        "shop.orders": "load",
    }
    assert edges_of(graph) == {
        ("shop.customers", "kpi.sales", True),
        ("shop.orders", "kpi.sales", True),
        ("kpi.sales", "kpi.overview", True),
    }


def test_a_table_that_nothing_here_makes_is_external():
    graph, _ = contents(shop()[1:], "shop", NOW)
    assert kinds_of(graph)["shop.orders"] == "external"
    [pipeline] = graph["pipelines"]
    assert {graph["nodes"]["name"][node] for node in pipeline["starts"]["nodes"]} == {"shop.customers", "shop.orders"}


def test_jobs_without_tables_are_nodes_in_their_order():
    def build(orchestration):
        with orchestration.sl_create_pipeline(name="jobs", cron="0 1 * * *") as pipeline:
            first = pipeline.sl_job("first", arguments=["freshness", "--tables", "shop.a"])
            pause = pipeline.sl_dummy_op("pause")
            second = pipeline.sl_job("second", arguments=["freshness", "--tables", "shop.b"])
            first >> pause >> second
        return [pipeline]

    graph, _ = contents(built(build), "jobs", NOW)
    assert kinds_of(graph) == {"first": "job", "second": "job"}
    assert edges_of(graph) == {("first", "second", False)}


def test_arguments_are_read_in_pairs_however_many_there_are():
    def build(orchestration):
        with orchestration.sl_create_pipeline(name="jobs", cron="0 1 * * *") as pipeline:
            pipeline.sl_job("first", arguments=["freshness", "--tables", "shop.a", "--persist", "true"])
        return [pipeline]

    pipelines = built(build)
    [task] = pipelines[0].tasks()
    task.job = replace(task.job, arguments=(*task.job.arguments, *["more"] * 2000))
    _, details = contents(pipelines, "jobs", NOW)
    shown = details[0]["tasks"][0]["arguments"]
    assert shown[:2] == ["freshness", "--tables shop.a"]
    assert len(shown) == 3


def test_next_runs_are_those_of_the_schedule():
    graph, _ = contents(shop(), "shop", NOW)
    found = {pipeline["id"]: pipeline.get("next", []) for pipeline in graph["pipelines"]}
    daily = next(runs for name, runs in found.items() if name.endswith("daily"))
    assert daily[:2] == ["2026-03-02T03:00+00:00", "2026-03-03T03:00+00:00"]
    assert [] in found.values()  # the pipeline that datasets start


def test_without_a_date_the_page_is_the_same_on_every_day():
    pages = [json.dumps(contents(shop(), "shop", None)) for _ in range(2)]
    assert pages[0] == pages[1]
    assert "2026" not in pages[0]


def test_details_of_the_project_are_shown_and_secrets_are_not():
    pipelines = shop()
    task = next(task for task in pipelines[1].tasks() if "sales" in task.id)
    task.details = TableDetails(
        "kpi.sales",
        table="KPI.sales",
        owners=("data@example.com",),
        columns=(Column("amount", "decimal", sources=("shop.orders.price",)),),
        sql="SELECT * FROM read_csv('https://me:hunter22@example.com/x?password=hunter22')",
    )
    graph, details = contents(pipelines, "shop", NOW)
    about = details[graph["nodes"]["name"].index("kpi.sales")]["about"]
    assert (about["warehouse"], about["owners"]) == ("KPI.sales", ["data@example.com"])
    assert "hunter22" not in json.dumps(details)
    names = graph["nodes"]["name"]
    assert [[names[a], b, names[c], d] for a, b, c, d in graph["columnEdges"]] == [
        ["shop.orders", "price", "kpi.sales", "amount"]
    ]
    without = contents(pipelines, "shop", NOW, sql=False)[1]
    assert "SELECT" not in json.dumps(without)


def test_two_pipelines_that_make_one_table_share_its_node():
    def build(orchestration):
        made = []
        for name in ("one", "two"):
            with orchestration.sl_create_pipeline(name=name, cron="0 1 * * *") as pipeline:
                pipeline.sl_load("load", domain="shop", table="orders")
            made.append(pipeline)
        return made

    graph, details = contents(built(build), "both", NOW)
    assert graph["nodes"]["name"] == ["shop.orders"]
    assert graph["nodes"]["pipelines"] == [[0, 1]]
    assert [task["pipeline"] for task in details[0]["tasks"]] == ["one", "two"]


def report(pipeline, states, **values):
    tasks = tuple(
        TaskReport(task.path, states.get(task.id, TaskState.SUCCEEDED), duration=1.0 + index)
        for index, task in enumerate(pipeline.tasks())
    )
    return Report(
        pipeline.id, "r1", TaskState.SUCCEEDED, tasks, started=NOW, ended=NOW + timedelta(seconds=9), **values
    )


def test_a_run_has_states_reasons_and_the_masked_end_of_logs(tmp_path):
    log = tmp_path / "sales.log"
    log.write_text("x" * 20_000 + "\npassword=hunter22\n" + "line\n" * 50, encoding="utf-8")
    [_, transforms] = shop()
    path = next(task.path for task in transforms.tasks() if "sales" in task.id)
    tasks = (TaskReport(path, TaskState.FAILED, "exit code 1 of token=abcdefgh", 1, 2, str(log), 1.5, NOW),)
    [run] = run_contents([transforms], [Report(transforms.id, "r1", TaskState.FAILED, tasks)])
    assert run["tasks"]["state"] == ["failed"]
    assert run["tasks"]["reason"] == {"0": "exit code 1 of token=***"}
    assert run["tasks"]["log"]["0"].splitlines() == ["line"] * 40
    assert run["tasks"]["started"] == ["2026-03-01T12:00:00.000+00:00"]


def test_runs_of_other_pipelines_are_left_out():
    assert run_contents(shop(), [Report("other", "r1", TaskState.SUCCEEDED)]) == []


@given(st.lists(st.floats(0.1, 99), min_size=12, max_size=12))
def test_the_critical_path_is_the_longest_chain(times):
    [pipeline] = layers(12, width=3)
    tasks = list(pipeline.tasks())
    seconds = dict(zip((task.path for task in tasks if task.is_work), times, strict=True))
    after = {name: list(others) for name, others in pipeline.edges.items()}

    def longest(name):
        return seconds.get(name, 0.0) + max((longest(other) for other in after.get(name, ())), default=0.0)

    found = critical_path(pipeline, seconds)
    assert sum(seconds[name] for name in found) == pytest.approx(max(longest(task.path) for task in tasks))
    for one, other in itertools.pairwise(found):
        assert other in after[one]


def test_the_critical_path_goes_through_groups():
    [loads, _] = shop()
    seconds = {task.path: 2.0 if "orders" in task.id else 1.0 for task in loads.tasks() if task.is_work}
    assert [path.rpartition(".")[2] for path in critical_path(loads, seconds)] == ["load_shop_orders"]


def test_a_lineage_with_a_cycle_between_pipelines_is_drawn():
    a, b = StarlakeDependency("x.a"), StarlakeDependency("x.b")

    def build(orchestration):
        made = []
        for target, source in ((a, "x.b"), (b, "x.a")):
            node = StarlakeDependency(target.name, dependencies=[StarlakeDependency(source, "table")])
            with orchestration.sl_create_pipeline(
                name=f"makes_{target.name[-1]}", dependencies=StarlakeDependencies([node])
            ) as pipeline:
                pipeline.add_lineage()
            made.append(pipeline)
        return made

    graph, _ = contents(built(build), "cycle", NOW)
    assert len(graph["back"]) == 1

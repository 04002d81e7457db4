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
from starlake_core_page.lineage import natural
from starlake_core_page.run_contents import run_contents

from starlake_core import (
    Check,
    Column,
    Report,
    StarlakeDataset,
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


def groups_in_order(*sizes, between=False):
    """A pipeline of groups of loads, each of which runs after the one before."""

    def build(orchestration):
        with orchestration.sl_create_pipeline(name="groups", cron="0 1 * * *") as pipeline:
            last = None
            for number, size in enumerate(sizes):
                with pipeline.sl_create_task_group(f"g{number}") as group:
                    for index in range(size):
                        pipeline.sl_load(f"l{index}", domain=f"d{number}", table=f"t{index}")
                if last is not None and between:
                    last >> pipeline.sl_dummy_op(f"pause{number}") >> group
                elif last is not None:
                    last >> group
                last = group
        return [pipeline]

    return built(build)


@pytest.mark.parametrize("between", [False, True])
def test_groups_that_follow_each_other_are_joined_by_the_order_of_their_tasks(between):
    graph, _ = contents(groups_in_order(2, 1, 2, between=between), "groups", NOW)
    assert edges_of(graph) == {
        ("d0.t0", "d1.t0", False),
        ("d0.t1", "d1.t0", False),
        ("d1.t0", "d2.t0", False),
        ("d1.t0", "d2.t1", False),
    }


def test_large_groups_that_follow_each_other_meet_in_a_step():
    graph, _ = contents(groups_in_order(30, 40), "groups", NOW)
    [step] = [name for name, kind in kinds_of(graph).items() if kind == "step"]
    found = edges_of(graph)
    assert len(found) == 70
    assert {(one, other, False) for one, other in [("d0.t7", step), (step, "d1.t39")]} < found
    graph, _ = contents(groups_in_order(30, 40, between=True), "groups", NOW)
    assert kinds_of(graph)["pause1"] == "step"


@given(st.lists(st.integers(1, 7), min_size=2, max_size=5), st.booleans())
def test_the_order_of_groups_is_kept_whatever_is_passed_over(sizes, between):
    graph, _ = contents(groups_in_order(*sizes, between=between), "groups", NOW)
    after = {}
    for one, other, _ in edges_of(graph):
        after.setdefault(one, set()).add(other)

    def reached(name):
        found, todo = set(), [name]
        while todo:
            for other in after.get(todo.pop(), ()):
                if other not in found:
                    found.add(other)
                    todo.append(other)
        return found

    for number, size in enumerate(sizes):
        later = {f"d{n}.t{i}" for n in range(number + 1, len(sizes)) for i in range(sizes[n])}
        for index in range(size):
            assert {name for name in reached(f"d{number}.t{index}") if name.startswith("d")} == later


def test_names_are_sorted_as_a_person_does():
    [pipeline] = layers(12, width=12, domains=1)
    graph, _ = contents([pipeline], "p", NOW)
    assert graph["nodes"]["name"][:3] == ["d0.t0", "d0.t1", "d0.t2"]
    assert sorted(["t10", "T9", "t" + "9" * 5000], key=natural) == ["T9", "t10", "t" + "9" * 5000]


def test_no_two_nodes_have_one_name():
    def build(orchestration):
        made = []
        for name in ("one", "two"):
            with orchestration.sl_create_pipeline(name=name, cron="0 1 * * *") as pipeline:
                pipeline.sl_job("check", arguments=["freshness"])
                with pipeline.sl_create_task_group("later"):
                    pipeline.sl_job("Check", arguments=["freshness"])
            made.append(pipeline)
        return made

    graph, _ = contents(built(build), "jobs", NOW)
    names = graph["nodes"]["name"]
    assert len({name.casefold() for name in names}) == 4
    assert all("one" in name or "two" in name for name in names)


def test_a_task_that_makes_several_tables_is_a_task_of_each():
    def build(orchestration):
        with orchestration.sl_create_pipeline(name="p", cron="0 1 * * *") as pipeline:
            task = pipeline.sl_load("load", domain="shop", table="orders")
            task.outlets = (*task.outlets, StarlakeDataset("shop.more"))
        return [pipeline]

    graph, _ = contents(built(build), "p", NOW)
    assert graph["nodes"]["tasks"] == [[0], [0]]


def test_tags_of_tables_are_those_of_the_project():
    pipelines = shop()
    task = next(task for task in pipelines[1].tasks() if "sales" in task.id)
    task.details = TableDetails("kpi.sales", tags=("gold", "daily"))
    graph, _ = contents(pipelines, "shop", NOW)
    assert dict(zip(graph["nodes"]["name"], graph["nodes"]["tags"], strict=True))["kpi.sales"] == ["daily", "gold"]


CONTROL = "a\u202eb\x1b[2Jc\u2066"


def test_no_text_has_control_characters_wherever_it_comes_from():
    node = StarlakeDependency(f"shop.{CONTROL}")

    def build(orchestration):
        with orchestration.sl_create_pipeline(
            name="p", cron="0 1 * * *", dependencies=StarlakeDependencies([node]), description=CONTROL, tags=[CONTROL]
        ) as pipeline:
            pipeline.add_lineage()
        return [pipeline]

    pipelines = built(build)
    task = next(task for task in pipelines[0].tasks() if task.is_work)
    task.details = TableDetails(
        CONTROL,
        columns=(Column(CONTROL, CONTROL, CONTROL, tags=(CONTROL,), sources=(f"{CONTROL}.{CONTROL}",)),),
        checks=(Check(CONTROL, CONTROL),),
        **dict.fromkeys(("table", "database", "kind", "description", "strategy", "sql", "template", "source"), CONTROL),
        owners=(CONTROL,),
        tags=(CONTROL,),
    )
    task.params[CONTROL] = CONTROL
    task.pool = CONTROL
    report = Report("p", CONTROL, TaskState.FAILED, (TaskReport(task.path, TaskState.FAILED, CONTROL),), reason=CONTROL)
    page = (*contents(pipelines, CONTROL, NOW), run_contents(pipelines, [report]))
    assert page[0]["nodes"]["name"][0].startswith("shop.a\\u202eb")
    text = json.dumps(page, ensure_ascii=False)
    assert not set(text) & set(CONTROL) - set("abc[2J")


def test_secrets_of_a_command_are_not_shown_wherever_they_are_repeated():
    secret = "hunter22-Zebra"

    def build(orchestration):
        with orchestration.sl_create_pipeline(name="p", cron="0 1 * * *", description=secret) as pipeline:
            task = pipeline.sl_transform("t", transform_name="kpi.sales", transform_options=f"a={secret}")
            task.details = TableDetails(
                "kpi.sales", description=secret, sql=f"SELECT '{secret}'", columns=(Column("a", description=secret),)
            )
            task.params["note"] = f"uses {secret}"
        return [pipeline]

    pipelines = built(build, DB_PASSWORD=secret)
    assert secret in str(next(iter(pipelines[0].tasks())).job.env)
    graph, details = contents(pipelines, "p", NOW)
    assert secret not in json.dumps([graph, details])


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
def test_the_critical_path_decides_how_long_a_run_takes(times):
    [pipeline] = layers(12, width=3)
    seconds = dict(zip((task.path for task in pipeline.tasks() if task.is_work), times, strict=True))
    before = pipeline.upstream()
    ended = {}
    for task in pipeline.tasks():  # each starts as soon as it can
        ended[task.path] = max((ended[name] for name in before[task.path]), default=0.0) + seconds.get(task.path, 0.0)
    moments = {name: NOW + timedelta(seconds=value) for name, value in ended.items() if name in seconds}
    found = critical_path(pipeline, moments)
    assert sum(seconds[name] for name in found) == pytest.approx(max(ended.values()))
    for one, other in itertools.pairwise(found):
        assert other in pipeline.edges[one]


def test_the_critical_path_goes_through_groups_and_over_what_did_not_run():
    pipeline = groups_in_order(2, 2, 1)[0]
    ended = {"g0.l0": NOW, "g0.l1": NOW + timedelta(seconds=9), "g2.l0": NOW + timedelta(seconds=30)}
    assert critical_path(pipeline, ended) == ["g0.l1", "g2.l0"]


def test_a_task_that_was_tried_again_is_on_the_critical_path_by_when_it_ended():
    pipeline = groups_in_order(2, 1)[0]
    tasks = (
        TaskReport("g0.l0", TaskState.SUCCEEDED, attempts=3, duration=1.0, started=NOW + timedelta(seconds=90)),
        TaskReport("g0.l1", TaskState.SUCCEEDED, attempts=1, duration=50.0, started=NOW),
        TaskReport("g1.l0", TaskState.SUCCEEDED, attempts=1, duration=2.0, started=NOW + timedelta(seconds=92)),
    )
    [run] = run_contents([pipeline], [Report(pipeline.id, "r", TaskState.SUCCEEDED, tasks)])
    assert run["critical"] == ["g0.l0", "g1.l0"]


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

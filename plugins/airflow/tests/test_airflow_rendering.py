"""What a DAG is made of: the same edges as Airflow's own, the same bytes every time, no secrets, and what the keywords do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import breadth
import pytest
from airflow_runs import scheduled
from breadth import once_on_airflow
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlake_core_airflow import settings as plugin_settings
from starlake_core_airflow.rendering import trigger_rule
from starlake_core_airflow.versions import AIRFLOW_3, DAG, VERSION, EmptyOperator
from starlake_core_airflow.versions import TaskGroup as AirflowGroup

from starlake_core import (
    CommandError,
    Orchestration,
    Pipeline,
    StarlakeDomain,
    StarlakeError,
    StarlakePipeline,
    StarlakeSchedule,
    TaskGroup,
    TaskKind,
    TriggerRule,
    data_interval,
    fire_times,
    gates_before_work,
)
from starlake_core.testing import FakeEnvironment

pytest_plugins = ["starlake_core.testing.plugin"]

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DAILY = StarlakeSchedule("daily", "0 2 * * *", [StarlakeDomain("sales", tables={"orders", "customers", "items"})])


def encoded(dag: Any) -> dict[str, Any]:
    """The serialised form that Airflow stores."""
    if VERSION >= (3, 2):
        from airflow.serialization.serialized_objects import DagSerialization

        return dict(DagSerialization.to_dict(dag))
    from airflow.serialization.serialized_objects import SerializedDAG

    return dict(SerializedDAG.to_dict(dag))


def stored(dag: Any) -> str:
    """The serialised form as the text of which Airflow takes the hash."""
    return json.dumps(encoded(dag), sort_keys=True)


def hashed(dag: Any) -> str:
    """The hash by which Airflow tells one version of a DAG from another."""
    from airflow.models.serialized_dag import SerializedDagModel

    if AIRFLOW_3:
        return str(SerializedDagModel.hash(encoded(dag)))
    return str(SerializedDagModel(dag).dag_hash)


def decoded(dag: Any) -> Any:
    """The DAG as the scheduler reads it."""
    text = json.loads(json.dumps(encoded(dag)))
    if VERSION >= (3, 2):
        from airflow.serialization.serialized_objects import DagSerialization

        return DagSerialization.from_dict(text)
    from airflow.serialization.serialized_objects import SerializedDAG

    return SerializedDAG.from_dict(text)


def orchestration(**options: Any) -> Orchestration:
    return Orchestration(
        options, orchestrator="airflow", environment=FakeEnvironment(), filename="/nowhere/p.py", namespace={}
    )


def drawn(build: Any, options: Mapping[str, Any] | None = None, **keywords: Any) -> StarlakePipeline:
    opened = orchestration(**(options or {}))
    with opened, opened.sl_create_pipeline(**{"name": "p", **keywords}) as pipeline:
        build(pipeline)
    return pipeline


# -- edges


@st.composite
def shapes(draw_: Any, depth: int = 2) -> list[Any]:
    """Nodes (None for a task, a shape for a group) and edges from earlier to later ones."""
    count = draw_(st.integers(1, 5))
    nodes = [draw_(shapes(depth - 1)) if depth and draw_(st.integers(0, 2)) == 0 else None for _ in range(count)]
    pairs = [(a, b) for b in range(count) for a in range(b)]
    return [nodes, draw_(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []]


def draw_ours(p: StarlakePipeline, shape: list[Any], prefix: str = "n") -> None:
    nodes: list[Any] = []
    for number, inner in enumerate(shape[0]):
        if inner is None:
            nodes.append(p.sl_dummy_op(f"{prefix}{number}"))
        else:
            with p.sl_create_task_group(f"{prefix}{number}") as group:
                draw_ours(p, inner, f"{prefix}{number}_")
            nodes.append(group)
    for before, after in shape[1]:
        nodes[before] >> nodes[after]


def draw_theirs(group: TaskGroup, defaults: Mapping[str, Any]) -> None:
    """The same by hand, in the order in which ours is made, with Airflow's own ``>>``."""
    nodes: dict[str, Any] = {}
    for node in group.children:
        if isinstance(node, TaskGroup):
            with AirflowGroup(group_id=node.id) as nodes[node.id]:
                draw_theirs(node, defaults)
        else:
            nodes[node.id] = EmptyOperator(task_id=node.id, **defaults)
    for before, afters in group.edges.items():
        for after in afters:
            nodes[before] >> nodes[after]


@QUICK
@given(shape=shapes())
def test_edges_are_those_of_airflow(shape: list[Any]) -> None:
    pipeline = drawn(lambda p: draw_ours(p, shape))
    ours = pipeline.native
    defaults = {"retries": 0, "retry_delay": timedelta(seconds=300), "pool": "default_pool"}
    with DAG(
        dag_id="p",
        schedule=None,
        start_date=pipeline.start_date,
        catchup=False,
        max_active_runs=pipeline.max_active_runs,
        tags=[],
    ) as theirs:
        draw_theirs(pipeline, defaults)
    theirs.fileloc = ours.fileloc
    assert stored(ours) == stored(theirs)
    assert hashed(ours) == hashed(theirs)


def test_a_factory_of_the_user_may_make_a_group(tmp_path: Path) -> None:
    def group() -> Any:
        with AirflowGroup(group_id="mine") as made:
            EmptyOperator(task_id="a") >> EmptyOperator(task_id="b")
        return made

    def build(p: StarlakePipeline) -> None:
        p.start_task() >> p.add_native("mine", group) >> p.end_task()

    dag = drawn(build).native
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == {
        "start": {"mine.a"},
        "mine.a": {"mine.b"},
        "mine.b": {"end"},
        "end": set(),
    }


# -- the same bytes

FILE = """
import json, sys
from starlake_core import Orchestration, StarlakeDependencies, StarlakeDependency, StarlakeDomain, StarlakeSchedule

with Orchestration(
    {"pre_load_strategy": "imported", "tags": "b a", "sl_env_var": {"SL_ROOT": "/p", "SL_B": "b", "DB_PASSWORD": "x"}},
    orchestrator="airflow", environment="shell", filename="/nowhere/p.py", namespace={},
) as orchestration:
    domains = [StarlakeDomain(d, tables=["z", "a", "m", d]) for d in ("sales", "hr")]
    with orchestration.sl_create_pipeline(schedule=StarlakeSchedule("daily", "0 2 * * *", domains), owner_links={"o": "https://o"}) as p:
        p.add_schedule()
    sources = {StarlakeDependency(f"raw.{name}", "table") for name in "abcdef"}
    leaf = StarlakeDependency("kpi.x", dependencies=sorted(sources, key=lambda s: s.name))
    with orchestration.sl_create_pipeline(dependencies=StarlakeDependencies([leaf]), name="kpi") as q:
        q.add_lineage()
"""

PRINTING = (
    FILE
    + """
sys.path[:0] = HERE
from test_airflow_rendering import hashed, stored
print("BYTES", *(f(dag) for dag in (p.native, q.native) for f in (stored, hashed)))
"""
)


@once_on_airflow
def test_two_processes_and_three_parses_write_the_same_bytes() -> None:
    script = PRINTING.replace("HERE", repr([str(Path(file).parent) for file in (__file__, breadth.__file__)]))
    # One process parses several times; the other has another hash seed.
    again = "\nfor _ in range(2):\n" + textwrap.indent(script, "    ")
    runs = []
    for seed in range(2):
        runs.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", script + (again if seed == 0 else "")],
                env={**os.environ, "PYTHONHASHSEED": str(seed + 1)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    lines = []
    for run in runs:
        out, err = run.communicate(timeout=120)
        assert run.returncode == 0, err
        lines += [line for line in out.splitlines() if line.startswith("BYTES")]
    assert len(lines) == 4
    assert len(set(lines)) == 1


def test_tables_in_a_set_have_one_order() -> None:
    script = "from starlake_core import StarlakeDomain; print([t.name for t in StarlakeDomain('d', tables=set('zamxyb')).tables])"
    orders = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in "12345"
    }
    assert len(orders) == 1


def transform(text: str, **env: str) -> Any:
    return drawn(
        lambda p: p.sl_transform("t", "kpi.x", {"country": text}), {"sl_env_var": {"SL_ROOT": "/p", **env}}
    ).native


def test_another_command_is_another_version() -> None:
    assert hashed(transform("FR")) == hashed(transform("FR"))
    assert hashed(transform("FR")) != hashed(transform("IT"))
    assert hashed(transform("FR", SL_ENV="BQ")) != hashed(transform("FR", SL_ENV="SF"))


def test_another_secret_is_not() -> None:
    one, other = transform("FR", DB_PASSWORD="hunter2"), transform("FR", DB_PASSWORD="correct horse")
    assert hashed(one) == hashed(other)
    assert "hunter2" not in json.dumps(encoded(one))
    assert one.get_task("t").job.env["DB_PASSWORD"] == "hunter2", "the worker uses the operator that it parsed"


def test_a_secret_among_the_arguments_is_not_stored() -> None:
    dag = drawn(lambda p: p.sl_transform("t", "kpi.x", {"api_token": "hunter2"})).native
    assert "hunter2" not in json.dumps(encoded(dag))
    assert "hunter2" in str(dag.get_task("t").job.arguments)


@pytest.mark.parametrize("strategy", ["none", "imported", "ack"])
def test_the_scheduler_reads_it_back(strategy: str) -> None:
    dag = drawn(scheduled, {"pre_load_strategy": strategy, "pre_load_sensor": True}, schedule=DAILY).native
    read = decoded(dag)
    assert sorted(read.task_dict) == sorted(dag.task_dict)
    for task_id, task in dag.task_dict.items():
        back = read.task_dict[task_id]
        assert back.downstream_task_ids == task.downstream_task_ids
        assert back.task_type == task.task_type
        assert [asset.uri for asset in back.outlets] == [asset.uri for asset in task.outlets]
        if task.task_type == "StarlakeOperator":
            assert json.loads(back.starlake_job) == json.loads(task.starlake_job)
            # The scheduler waits for the date to which a task was rescheduled.
            assert back.reschedule
            assert any(type(dep).__name__ == "ReadyToRescheduleDep" for dep in back.deps)


# -- what the keywords and options do


def test_what_a_task_says_of_itself() -> None:
    dag = drawn(scheduled, {"pre_load_strategy": "imported"}, schedule=DAILY).native
    texts = {task.task_id.rpartition(".")[2]: task.doc_md for task in dag.tasks}
    assert texts["load_sales_orders"].startswith("Loads the table `orders` of the domain `sales`.")
    assert "starlake load --scheduledDate" in texts["load_sales_orders"]
    assert "Moves the incoming files of the domain `sales`" in texts["import_sales_daily"]
    assert "Checks whether the domain `sales` is ready" in texts["check_sales_incoming_files"]


@pytest.mark.filterwarnings(
    "ignore:The airflow.security.permissions module is deprecated"
)  # 3.x: its own DAG, for access_control
def test_keywords_of_the_dag() -> None:
    def double(value: str) -> str:
        return value * 2

    dag = drawn(
        lambda p: p.sl_load("load", "sales", "orders"),
        description="the orders",
        tags=["x"],
        owner_links={"alice": "https://example.com/alice"},
        access_control={"analysts": {"can_read"}},
        user_defined_macros={"double": double},
        user_defined_filters={"double": double},
        doc_md="# Orders",
        max_active_tasks=7,
        dagrun_timeout=timedelta(hours=2),
        params={"p": 1},
        default_dag_args={"owner": "alice"},
    ).native
    assert dag.description == "the orders"
    assert set(dag.tags) == {"x"}
    assert dag.owner_links == {"alice": "https://example.com/alice"}
    assert "analysts" in dag.access_control
    assert dag.user_defined_macros == {"double": double}
    assert dag.user_defined_filters == {"double": double}
    assert dag.doc_md == "# Orders"
    assert dag.max_active_tasks == 7
    assert dag.dagrun_timeout == timedelta(hours=2)
    assert dag.params["p"] == 1
    assert dag.get_task("load").owner == "alice"
    decoded(dag)


def test_keywords_of_a_task() -> None:
    def build(p: StarlakePipeline) -> None:
        p.sl_load(
            "load",
            "sales",
            "orders",
            pool="small",
            pool_slots=2,
            queue="big",
            priority_weight=5,
            owner="bob",
            trigger_rule="one_success",
            retries=4,
            retry_delay=timedelta(seconds=7),
            doc_md="mine",
            params={"x": 1},
        )

    task = drawn(build, {"default_pool": "large", "retries": 2}).native.get_task("load")
    assert (task.pool, task.pool_slots, task.queue, task.priority_weight) == ("small", 2, "big", 5)
    assert (task.owner, task.trigger_rule, task.retries, task.doc_md) == ("bob", "one_success", 4, "mine")
    assert task.retry_delay == timedelta(seconds=7)
    assert task.params["x"] == 1


def test_the_pool_of_the_options() -> None:
    dag = drawn(scheduled, {"default_pool": "large"}, schedule=DAILY).native
    assert {task.pool for task in dag.tasks} == {"large"}


@pytest.mark.parametrize(
    ("options", "retries", "delay"),
    [
        ({}, 1, 300),
        ({"default_dag_args": {"retries": 3, "retry_delay": 60}}, 3, 60),
        ({"default_dag_args": '{"retries": 3, "retry_delay": 60}'}, 3, 60),
        ({"default_dag_args": {"retries": 3, "retry_delay": 60}, "retries": 2, "retry_delay": 9}, 2, 9),
        ({"default_dag_args": {"retries": 3}, "retries": 0}, 0, 300),
    ],
    ids=["defaults", "arguments", "arguments as JSON", "options win", "zero wins"],
)
def test_default_arguments_and_options(options: dict[str, Any], retries: int, delay: int) -> None:
    task = drawn(lambda p: p.sl_load("load", "sales", "orders"), options).native.get_task("load")
    assert (task.retries, task.retry_delay) == (retries, timedelta(seconds=delay))


def test_unknown_keywords_are_refused_by_name() -> None:
    with pytest.raises(CommandError, match=r"does not take the keyword 'pool_slot'.*Did you mean.*pool_slots"):
        drawn(lambda p: p.sl_load("load", "sales", "orders", pool_slot=2))
    with pytest.raises(StarlakeError, match="does not take the keyword 'schedule_interval'"):
        drawn(lambda p: p.sl_load("load", "sales", "orders"), schedule_interval="@daily")


# -- Variables of Airflow


def test_variables_are_read_where_they_are_named_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    store = {"retries": "5", "default_pool": "from_variable", "timezone": "Asia/Tokyo"}
    monkeypatch.setattr(plugin_settings, "get_variable", lambda name: (read.append(name), store.get(name))[1])
    monkeypatch.setenv("AIRFLOW_VAR_TAGS", "never")

    def build(p: StarlakePipeline) -> None:
        p.sl_load("load", "sales", "orders")

    assert drawn(build).native.get_task("load").retries == 1
    assert read == []
    task = drawn(build, {"options_from_variables": "retries, default_pool,task_timeout"}).native.get_task("load")
    assert (task.retries, task.pool) == (5, "from_variable")
    assert read == ["retries", "default_pool", "task_timeout"]
    read.clear()
    task = drawn(build, {"options_from_variables": ["retries"], "retries": 2}).native.get_task("load")
    assert task.retries == 2, "what the file says wins"
    assert read == []


def test_a_variable_that_is_there_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_RETRIES", "6")
    dag = drawn(lambda p: p.sl_load("load", "sales", "orders"), {"options_from_variables": "retries"}).native
    assert dag.get_task("load").retries == 6


# -- which checks guard which work


def draw_guarded(p: StarlakePipeline, shape: list[Any], kinds: list[str], prefix: str = "n") -> None:
    nodes: list[Any] = []
    for number, inner in enumerate(shape[0]):
        name = f"{prefix}{number}"
        if inner is not None:
            with p.sl_create_task_group(name) as group:
                draw_guarded(p, inner, kinds, f"{name}_")
            nodes.append(group)
            continue
        kind = kinds[hash_of(name) % len(kinds)]
        if kind == "gate":
            nodes.append(p.sl_pre_load("sales", ["orders"], "pending", task_id=name))
        elif kind == "work":
            nodes.append(p.sl_load(name, "sales", name))
        elif kind == "tolerant work":
            nodes.append(p.sl_load(name, "sales", name, trigger="none_failed"))
        elif kind == "tolerant":
            nodes.append(p.sl_dummy_op(name, trigger="none_failed"))
        else:
            nodes.append(p.sl_dummy_op(name))
    for before, after in shape[1]:
        nodes[before] >> nodes[after]


def hash_of(name: str) -> int:
    return sum((position + 1) * ord(letter) for position, letter in enumerate(name))


def skipped(pipeline: Pipeline, closed: set[str]) -> set[str]:
    """The tasks that are skipped when some checks are not ready, found by doing it: what is behind a skipped one is skipped."""
    upstream = {task.path: set(pipeline.native.task_dict[task.path].upstream_task_ids) for task in pipeline.tasks()}
    found: set[str] = set()
    for task in pipeline.tasks():
        tolerates = task.trigger is not TriggerRule.ALL_SUCCESS
        if task.path in closed or (not tolerates and upstream[task.path] & found):
            found.add(task.path)
    return found


@QUICK
@given(
    shape=shapes(),
    kinds=st.lists(
        st.sampled_from(["gate", "gate", "work", "work", "dummy", "tolerant", "tolerant work"]), min_size=3, max_size=9
    ),
    data=st.data(),
)
def test_guards_say_whether_any_work_was_done(shape: list[Any], kinds: list[str], data: Any) -> None:
    pipeline = drawn(lambda p: draw_guarded(p, shape, kinds))
    gates = [task.path for task in pipeline.tasks() if task.kind is TaskKind.CHECK]
    work = {task.path for task in pipeline.tasks() if task.is_work}
    guards = gates_before_work(pipeline, rule=trigger_rule)
    if not gates or not work:
        assert guards == []
        return
    closed = data.draw(st.sets(st.sampled_from(gates)))
    # A check behind one that is not ready is skipped itself: it has no verdict.
    missing = skipped(pipeline, closed)
    told = {gate for gate in closed if gate not in skipped(pipeline, closed - {gate})}
    done = bool(work - missing)
    assert done == any(not any(gate in told for gate in guard) for guard in guards)


# -- changes of the clock


def native_fires(dag: Any, start: datetime, end: datetime) -> list[datetime]:
    import pendulum
    from airflow.timetables.base import TimeRestriction

    read = decoded(dag)
    restriction = TimeRestriction(pendulum.instance(start), pendulum.instance(end), True)
    fires: list[datetime] = []
    interval = None
    while True:
        info = read.timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction)
        if info is None:
            return fires
        fires.append(info.run_after.astimezone(timezone.utc))
        interval = info.data_interval


CLOCKS = [
    ("Europe/Paris", datetime(2026, 3, 28, tzinfo=timezone.utc)),
    ("Europe/Paris", datetime(2026, 10, 24, tzinfo=timezone.utc)),
    ("America/New_York", datetime(2026, 3, 7, tzinfo=timezone.utc)),
    ("America/New_York", datetime(2026, 10, 31, tzinfo=timezone.utc)),
    ("Australia/Lord_Howe", datetime(2026, 4, 3, tzinfo=timezone.utc)),
    ("Asia/Kolkata", datetime(2026, 3, 28, tzinfo=timezone.utc)),
]
CRONS = [
    "0 0 * * *",
    "30 2 * * *",
    "30 1 * * *",
    "0 * * * *",
    "*/15 * * * *",
    "0 2 * * 0",
    "0 */2 * * *",
    "20 2,3 * * *",
    "0 */6 * * *",
]
CHANGES = [pytest.param(zone, start, cron, id=f"{zone} {start:%m} {cron}") for zone, start in CLOCKS for cron in CRONS]


@pytest.mark.parametrize(("zone", "start", "cron"), CHANGES)
def test_the_core_knows_when_the_timetable_fires(zone: str, start: datetime, cron: str) -> None:
    pipeline = drawn(lambda p: p.sl_load("load", "sales", "orders"), {"timezone": zone}, cron=cron)
    end = start + timedelta(days=3)
    ours = [moment.astimezone(timezone.utc) for moment in fire_times(cron, start, end, pipeline.zone, pipeline.fires)]
    assert native_fires(pipeline.native, start, end) == ours


@pytest.mark.parametrize(("zone", "start", "cron"), CHANGES)
def test_no_data_is_left_out_or_taken_twice_when_the_clock_changes(zone: str, start: datetime, cron: str) -> None:
    """Whatever the instants at which Airflow fires: the intervals of its runs follow one another."""
    pipeline = drawn(lambda p: p.sl_load("load", "sales", "orders"), {"timezone": zone}, cron=cron)
    intervals = [
        data_interval(cron, fire, pipeline.zone, pipeline.fires)
        for fire in native_fires(pipeline.native, start, start + timedelta(days=3))
    ]
    for before, after in pairwise(intervals):
        assert before.end.astimezone(timezone.utc) == after.start.astimezone(timezone.utc)


@pytest.mark.parametrize(
    "keyword",
    ["params", "user_defined_macros", "user_defined_filters", "template_searchpath", "jinja_environment_kwargs"],
)
def test_a_keyword_of_templates_is_warned_about_where_nothing_is_rendered(
    keyword: str, caplog: pytest.LogCaptureFixture
) -> None:
    value: Any = ["/templates"] if keyword == "template_searchpath" else {"trim_blocks": True}
    dag = drawn(lambda p: p.sl_load("load", "sales", "orders"), **{keyword: value})
    assert f"{keyword} of pipeline {dag.id} has no effect on Starlake commands" in caplog.text


def test_a_keyword_of_templates_is_for_native_nodes(caplog: pytest.LogCaptureFixture) -> None:
    drawn(lambda p: p.add_native("native", lambda: EmptyOperator(task_id="native")), params={"a": 1})
    assert "has no effect" not in caplog.text


def test_fail_fast_is_refused_by_name() -> None:
    """Airflow takes it only where every task waits for the success of all before it, which the end of a pipeline does not."""
    with pytest.raises(StarlakeError, match="does not take the keyword 'fail_fast'"):
        drawn(lambda p: p.sl_load("load", "sales", "orders"), fail_fast=True)


def test_a_refusal_offers_what_is_taken_there() -> None:
    with pytest.raises(StarlakeError) as of_pipeline:
        drawn(lambda p: p.sl_load("load", "sales", "orders"), queue="x")
    with pytest.raises(StarlakeError) as of_task:
        drawn(lambda p: p.sl_load("load", "sales", "orders", access_control={}))
    assert "owner_links" in str(of_pipeline.value)
    assert "weight_rule" not in str(of_pipeline.value)
    assert "weight_rule" in str(of_task.value)
    assert "owner_links" not in str(of_task.value)

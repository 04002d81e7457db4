"""The graph: nodes, edges, groups, order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlake_core import (
    CycleError,
    DatasetError,
    DuplicateIdError,
    EdgeError,
    GraphError,
    Job,
    Pipeline,
    StarlakeDataset,
    StarlakePipeline,
    Task,
    TaskGroup,
    TaskKind,
    TriggerRule,
    graph_json,
)

Draw = Callable[..., StarlakePipeline]


def tasks(parent: TaskGroup, names: str) -> list[Task]:
    return [Task(name, parent) for name in names]


def edges(group: TaskGroup) -> set[tuple[str, str]]:
    return {(before, after) for before, afters in group.edges.items() for after in afters}


@pytest.fixture
def p() -> Pipeline:
    return Pipeline("p")


# operators


def test_all_forms_of_the_operators(p: Pipeline) -> None:
    a, b, c, d, e = tasks(p, "abcde")
    assert (a >> b) is b
    assert (c << b) is b
    assert (a >> [c, d]) == [c, d]
    assert ([c, d] >> e) is e
    assert (e << (a, b)) == (a, b)
    assert ([d] << b) is b
    assert edges(p) == {
        ("a", "b"),
        ("b", "c"),
        ("a", "c"),
        ("a", "d"),
        ("c", "e"),
        ("d", "e"),
        ("a", "e"),
        ("b", "e"),
        ("b", "d"),
    }


def test_chains_with_lists_in_the_middle(p: Pipeline) -> None:
    a, b, c, d = tasks(p, "abcd")
    a >> [b, c] >> d
    assert edges(p) == {("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")}


def test_set_upstream_and_downstream(p: Pipeline) -> None:
    a, b, c = tasks(p, "abc")
    b.set_upstream(a)
    b.set_downstream([c])
    assert edges(p) == {("a", "b"), ("b", "c")}


def test_nested_lists_and_sets_in_an_order_of_their_own(p: Pipeline) -> None:
    nodes = tasks(p, "fedcb")
    a = Task("a", p)
    a >> set(nodes)
    assert list(p.edges["a"]) == ["b", "c", "d", "e", "f"]
    q = Pipeline("q")
    x, y, z = tasks(q, "xyz")
    x >> [[y], (z,)]
    assert edges(q) == {("x", "y"), ("x", "z")}


def test_an_empty_list_is_a_no_op(p: Pipeline) -> None:
    (a,) = tasks(p, "a")
    assert (a >> []) == []
    a << []
    [] >> a
    [] << a
    assert edges(p) == set()


def test_a_repeated_edge_is_a_no_op(p: Pipeline) -> None:
    a, b = tasks(p, "ab")
    a >> b
    a >> [b, b]
    b << a
    assert p.edges == {"a": {"b": None}}


def test_nodes_are_always_true(p: Pipeline) -> None:
    assert bool(Task("a", p))
    assert bool(TaskGroup("g", p))
    assert bool(p)


def test_none_cannot_be_linked_and_the_message_says_where_it_comes_from(p: Pipeline) -> None:
    (a,) = tasks(p, "a")
    for attempt in (lambda: a >> None, lambda: None >> a, lambda: a << [None]):
        with pytest.raises(EdgeError, match=r"pre_tasks\(\).*under an 'if'"):
            attempt()


def test_a_foreign_object_cannot_be_linked(p: Pipeline) -> None:
    (a,) = tasks(p, "a")
    with pytest.raises(EdgeError, match="add_native"):
        a >> "b"  # type: ignore[operator]


# edges that cannot be


@pytest.fixture
def nested(p: Pipeline) -> dict[str, Any]:
    left, right = TaskGroup("left", p), TaskGroup("right", p)
    inner = TaskGroup("inner", left)
    return {
        "p": p,
        "left": left,
        "right": right,
        "inner": inner,
        "a": Task("a", inner),
        "b": Task("b", right),
        "c": Task("c", left),
        "d": Task("d", p),
    }


@pytest.mark.parametrize(
    ("before", "after", "instead"),
    [
        ("a", "b", "Link 'left' >> 'right' instead, which are both in 'p'"),
        ("b", "a", "Link 'right' >> 'left' instead"),
        ("a", "c", "Link 'left.inner' >> 'left.c' instead, which are both in 'left'"),
        ("d", "a", "Link 'd' >> 'left' instead"),
        ("inner", "right", "Link 'left' >> 'right' instead"),
        ("left", "a", "'left.inner.a' is inside 'left'"),
        ("a", "left", "'left.inner.a' is inside 'left'"),
        ("p", "d", "'d' is inside 'p'"),
        ("d", "p", "'d' is inside 'p'"),
        ("p", "p", "cannot"),
    ],
)
def test_an_edge_between_groups_names_what_to_link(
    nested: dict[str, Any], before: str, after: str, instead: str
) -> None:
    with pytest.raises(EdgeError) as caught:
        nested[before] >> nested[after]
    assert f"cannot link '{nested[before].path}' >> '{nested[after].path}'" in str(caught.value)
    assert instead in str(caught.value)
    assert not any(group.edges for group in nested["p"].groups())


def test_an_edge_between_pipelines_names_both() -> None:
    with pytest.raises(EdgeError, match=r"they belong to two pipelines \('p' and 'q'\)"):
        Task("a", Pipeline("p")) >> Task("b", Pipeline("q"))


def test_a_node_cannot_follow_itself(p: Pipeline) -> None:
    (a,) = tasks(p, "a")
    with pytest.raises(CycleError, match="a cannot run after itself"):
        a >> a


# ids


def test_ids_are_sanitised_and_paths_joined(p: Pipeline) -> None:
    group = TaskGroup("load sales", p)
    task = Task("kpi.orders$1", TaskGroup("x", group))
    assert (task.id, task.name, task.path) == ("kpi_ordersS1", "kpi.orders$1", "load_sales.x.kpi_ordersS1")
    assert repr(task) == "Task('load_sales.x.kpi_ordersS1')"
    assert task.parent is not None
    assert group.pipeline is p
    assert p.pipeline is p


def test_two_nodes_with_one_name_are_refused(p: Pipeline) -> None:
    group = TaskGroup("g", p)
    Task("a", group)
    with pytest.raises(DuplicateIdError, match="group 'g' has two nodes 'a'"):
        TaskGroup("a", group)
    with pytest.raises(DuplicateIdError, match="pipeline 'p' has two nodes 'g'"):
        Task("g", p)


def test_two_names_that_become_one_id_are_refused(p: Pipeline) -> None:
    Task("a.b", p)
    with pytest.raises(DuplicateIdError, match=r"'a\.b' and 'a_b' in pipeline 'p' both become the id 'a_b'"):
        Task("a_b", p)


def test_one_id_may_stand_in_two_groups(p: Pipeline) -> None:
    for name in "gh":
        Task("a", TaskGroup(name, p))
    p.check()
    assert [task.path for task in p.tasks()] == ["g.a", "h.a"]


def test_an_id_is_not_empty(p: Pipeline) -> None:
    with pytest.raises(GraphError):
        Task("", p)


# order and cycles


def test_children_are_in_topological_order_after_the_check(p: Pipeline) -> None:
    a, b, c, d = tasks(p, "abcd")
    d >> c >> a
    d >> b
    assert [node.id for node in p.children] == ["a", "b", "c", "d"]
    p.check()
    assert [node.id for node in p.children] == ["d", "c", "b", "a"]
    assert [node.id for node in p.roots()] == ["d"]
    assert {node.id for node in p.leaves()} == {"a", "b"}
    assert p.upstream() == {"a": ["c"], "b": ["d"], "c": ["d"], "d": []}


def test_a_cycle_is_printed_as_a_path(p: Pipeline) -> None:
    group = TaskGroup("g", p)
    a, b, c, d, e = tasks(group, "abcde")
    a >> b >> c >> d >> b
    d >> e
    with pytest.raises(CycleError) as caught:
        p.check()
    head, _, path = str(caught.value).partition(": ")
    assert "tasks of g" in head
    steps = path.split(" >> ")
    assert steps[0] == steps[-1]
    assert set(steps) == {"b", "c", "d"}
    assert set(pairwise(steps)) <= edges(group)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] != pair[1]), max_size=20))
def test_any_graph_is_sorted_or_a_cycle_of_it_is_printed(pairs: list[tuple[int, int]]) -> None:
    pipeline = Pipeline("p")
    nodes = tasks(pipeline, "01234567")
    for before, after in pairs:
        nodes[before] >> nodes[after]
    wanted = {(str(before), str(after)) for before, after in pairs}
    try:
        pipeline.check()
    except CycleError as error:
        steps = str(error).partition(": ")[2].split(" >> ")
        found = set(pairwise(steps))
        assert found
        assert steps[0] == steps[-1]
    else:
        place = {node.id: i for i, node in enumerate(pipeline.children)}
        assert len(place) == 8
        found = {(before, after) for before, after in wanted if place[before] < place[after]}
        assert found == wanted
    assert found <= wanted


# empty groups


def test_an_empty_group_is_bridged(p: Pipeline) -> None:
    a, b, c, d = tasks(p, "abcd")
    empty = TaskGroup("empty", p)
    [a, b] >> empty >> [c, d]
    p.check()
    assert edges(p) == {("a", "c"), ("a", "d"), ("b", "c"), ("b", "d")}
    assert "empty" not in p.nodes


def test_groups_that_hold_only_empty_groups_are_empty(p: Pipeline) -> None:
    a, b = tasks(p, "ab")
    outer = TaskGroup("outer", p)
    one, two = TaskGroup("one", TaskGroup("deep", outer)), TaskGroup("two", outer)
    assert one.parent is not None
    one.parent >> two
    a >> outer >> b
    p.check()
    assert [node.id for node in p.nodes.values()] == ["a", "b"]
    assert edges(p) == {("a", "b")}


def test_empty_groups_in_a_row_are_bridged(p: Pipeline) -> None:
    a, b = tasks(p, "ab")
    one, two, three = (TaskGroup(name, p) for name in ("one", "two", "three"))
    a >> three >> one >> two >> b
    p.check()
    assert edges(p) == {("a", "b")}


def test_an_empty_group_at_the_edge_of_the_graph_leaves_no_edge(p: Pipeline) -> None:
    (a,) = tasks(p, "a")
    TaskGroup("before", p) >> a >> TaskGroup("after", p)
    p.check()
    assert edges(p) == set()
    assert [node.id for node in p.leaves()] == ["a"]


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda pair: pair[0] < pair[1]), max_size=14),
    st.sets(st.integers(0, 6)),
)
def test_who_ran_before_whom_is_the_same_without_the_empty_groups(
    pairs: list[tuple[int, int]], empty: set[int]
) -> None:
    pipeline = Pipeline("p")
    nodes: list[Any] = [(TaskGroup if i in empty else Task)(str(i), pipeline) for i in range(7)]
    for before, after in pairs:
        nodes[before] >> nodes[after]

    def reach(found: set[tuple[str, str]]) -> set[tuple[str, str]]:
        closure = set(found)
        for middle in "0123456":
            closure |= {(b, a) for b, m in closure for n, a in closure if m == n == middle}
        return closure

    kept = {str(i) for i in range(7) if i not in empty}
    expected = {
        (before, after) for before, after in reach({(str(b), str(a)) for b, a in pairs}) if {before, after} <= kept
    }
    pipeline.check()
    assert reach(edges(pipeline)) == expected
    assert set(pipeline.nodes) == kept


def test_a_cycle_of_empty_groups_is_a_cycle(p: Pipeline) -> None:
    one, two = TaskGroup("one", p), TaskGroup("two", p)
    one >> two >> one
    with pytest.raises(CycleError):
        p.check()


def test_checking_twice_changes_nothing(p: Pipeline) -> None:
    a, b = tasks(p, "ab")
    b >> TaskGroup("empty", p) >> a
    p.check()
    before = graph_json(p)
    p.check()
    assert graph_json(p) == before


# tasks and datasets


def test_a_teardown_always_runs(p: Pipeline) -> None:
    assert Task("a", p, kind=TaskKind.TEARDOWN).trigger is TriggerRule.ALL_DONE


def test_what_counts_as_work(p: Pipeline) -> None:
    job = Job("x")
    assert Task("job", p, job=job).is_work
    assert Task("native", p, factory=object).is_work
    for name, keywords in {
        "dummy": {},
        "gate": {"job": job, "kind": TaskKind.CHECK},
        "setup": {"job": job, "kind": TaskKind.SETUP},
        "down": {"job": job, "kind": TaskKind.TEARDOWN},
    }.items():
        assert not Task(name, p, **keywords).is_work


def test_the_outlets_of_a_pipeline_are_those_of_its_tasks_once(p: Pipeline) -> None:
    x, y = StarlakeDataset("x"), StarlakeDataset("y")
    Task("a", TaskGroup("g", p), outlets=[y, x])
    Task("b", p, outlets=[x])
    p.check()
    assert p.outlets == (y, x)


def test_two_datasets_on_one_name_are_refused_when_the_pipeline_is_checked(p: Pipeline) -> None:
    Task("a", p, outlets=[StarlakeDataset("x")])
    Task("b", p, inlets=[StarlakeDataset("X")])
    with pytest.raises(DatasetError, match="pipeline p"):
        p.check()


def test_the_json_shows_the_graph_and_no_secret(p: Pipeline) -> None:
    a = Task(
        "a",
        p,
        job=Job("x", ("load",), {"DB_PASSWORD": "hunter22"}),
        params={"api_token": "hunter22"},
        native={"callback": print},
    )
    a >> Task("b", TaskGroup("g", p)).parent
    p.check()
    text = graph_json(p)
    assert "hunter22" not in text
    content = json.loads(text)
    assert content["id"] == "p"
    assert content["edges"] == [["a", "g"]]
    assert [node["id"] for node in content["nodes"]] == ["a", "g"]
    assert content["nodes"][0]["job"]["arguments"] == ["load"]
    assert content["nodes"][0]["native"] == ["callback"]
    assert content["nodes"][1]["nodes"][0]["id"] == "b"


# the block


def test_an_exception_in_a_block_renders_nothing_and_restores_the_context(
    orchestrate: Callable[..., Any], noop_orchestrator: Any
) -> None:
    orchestrator = noop_orchestrator()
    with orchestrate(orchestrator=orchestrator) as orchestration:
        with orchestration.sl_create_pipeline(name="outer") as outer:
            with (  # noqa: PT012
                pytest.raises(ZeroDivisionError),
                orchestration.sl_create_pipeline(name="broken") as broken,
                broken.sl_create_task_group("g"),
            ):
                broken.sl_dummy_op("x")
                raise ZeroDivisionError
            with pytest.raises(ZeroDivisionError), outer.sl_create_task_group("h"):
                raise ZeroDivisionError
            assert outer.sl_dummy_op("after").parent is outer
        assert broken.native is None
        assert orchestration.pipelines == [outer]
    assert orchestrator.calls == ["after"]
    assert orchestrator.published == [("outer",)]


def test_an_exception_in_the_orchestration_publishes_nothing(
    orchestrate: Callable[..., Any], noop_orchestrator: Any
) -> None:
    orchestrator = noop_orchestrator()
    with pytest.raises(ZeroDivisionError), orchestrate(orchestrator=orchestrator) as orchestration:  # noqa: PT012
        with orchestration.sl_create_pipeline(name="p"):
            pass
        raise ZeroDivisionError
    assert orchestrator.published == []


def test_a_pipeline_that_fails_its_check_is_not_rendered_and_restores_the_context(
    orchestrate: Callable[..., Any],
) -> None:
    orchestration = orchestrate()
    with orchestration.sl_create_pipeline(name="outer") as outer:
        with pytest.raises(CycleError), orchestration.sl_create_pipeline(name="p") as pipeline:  # noqa: PT012
            a, b = pipeline.sl_dummy_op("a"), pipeline.sl_dummy_op("b")
            a >> b >> a
        assert pipeline.native is None
        assert outer.sl_dummy_op("c").path == "c"


def test_a_group_holds_what_is_made_while_it_is_open(draw: Draw) -> None:
    def build(p: StarlakePipeline) -> None:
        with p.sl_create_task_group("g") as g:
            p.sl_dummy_op("a")
            with p.sl_create_task_group("h"):
                p.sl_dummy_op("b")
            p.sl_dummy_op("c")
        g >> p.sl_dummy_op("d")

    assert [task.path for task in draw(build).tasks()] == ["g.a", "g.h.b", "g.c", "d"]


def test_verbs_of_one_pipeline_never_add_to_another(orchestrate: Callable[..., Any]) -> None:
    with (
        orchestrate() as o,
        o.sl_create_pipeline(name="one") as one,
        o.sl_create_pipeline(name="two") as two,
        two.sl_create_task_group("g"),
    ):
        assert one.sl_dummy_op("a").parent is one
        assert two.sl_dummy_op("a").path == "g.a"


# determinism and size

BUILD = """
from starlake_core import *
class Orchestrator:
    name = "noop"
    @hookimpl
    def sl_create_task(self, task): return task.id
    @hookimpl
    def sl_create_task_group(self, group, create_children): return create_children()
    @hookimpl
    def sl_create_pipeline(self, pipeline, create_children): return create_children()
class Environment:
    name = "fake"
    @hookimpl
    def sl_create_job(self, command, options): return Job("fake", command.vector, options["sl_env_var"])
    @hookimpl
    def sl_create_runner(self, job): raise AssertionError
tables = {f"t{i}" for i in range(30)}
with Orchestration({"pre_load_strategy": "imported", "filtered_datasets": {"s.t1", "s.t2"}, "tags": "a b"},
                   orchestrator=Orchestrator(), environment=Environment(), filename="f.py", namespace={}) as o:
    schedule = StarlakeSchedule("daily", "0 0 * * *", [StarlakeDomain("d", tables=sorted(tables))])
    with o.sl_create_pipeline(schedule=schedule, name="load") as load:
        load.add_schedule()
        done = load.sl_import("again", "d", tables)
        done >> {load.sl_dummy_op(f"x{i}") for i in range(20)}
    upstream = [StarlakeDependency(f"s.t{i}", "table", "0 0 * * *") for i in range(30)]
    node = StarlakeDependency("k.a", dependencies=upstream)
    with o.sl_create_pipeline(dependencies=[node], name="kpi") as kpi:
        kpi.add_lineage()
        PARAMS
print(graph_json(load), graph_json(kpi))
"""


def outputs(code: str) -> set[bytes]:
    return {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("0", "1", "4242")
    }


def test_the_json_is_the_same_in_every_process() -> None:
    (text,) = outputs(BUILD.replace("PARAMS", ""))
    assert text.count(b'"id"') > 50


def test_a_set_among_the_params_has_an_order_too() -> None:
    assert len(outputs(BUILD.replace("PARAMS", "kpi.sl_dummy_op('p', params={'tables': tables})"))) == 1


def test_a_chain_of_ten_thousand(draw: Draw) -> None:
    def build(p: StarlakePipeline) -> None:
        node = p.sl_dummy_op("t0")
        for i in range(1, 10_000):
            node = node >> p.sl_dummy_op(f"t{i}")

    pipeline = draw(build)
    assert [task.id for task in pipeline.tasks()] == [f"t{i}" for i in range(10_000)]
    assert len(pipeline.native[2]) == 10_000
    assert len(json.loads(graph_json(pipeline))["edges"]) == 9_999


def test_ten_thousand_side_by_side(draw: Draw) -> None:
    def build(p: StarlakePipeline) -> None:
        p.start_task() >> [p.sl_dummy_op(f"t{i}") for i in range(10_000)] >> p.end_task()

    pipeline = draw(build)
    assert len(pipeline.native[2]) == 10_002
    assert len(edges(pipeline)) == 20_000


def test_a_cycle_of_ten_thousand_is_found(p: Pipeline) -> None:
    nodes = [Task(f"t{i}", p) for i in range(10_000)]
    for before, after in pairwise([*nodes, nodes[0]]):
        before >> after
    with pytest.raises(CycleError):
        p.check()

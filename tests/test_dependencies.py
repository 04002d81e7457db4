"""Lineages: from objects and from the JSON of dag-generate."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlake_core import CycleError, DependenciesError, DependencyType, StarlakeDependencies, StarlakeDependency


def tree(name: str, *children: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"data": {"name": name, "typ": "task", **data}, "children": list(children)}


def test_nodes_come_upstream_first_and_roots_as_given() -> None:
    orders = StarlakeDependency("sales.orders", "table", "0 * * * *")
    daily = StarlakeDependency("kpi.daily", dependencies=[orders])
    yearly = StarlakeDependency("kpi.yearly", dependencies=[daily, orders])
    lineage = StarlakeDependencies([yearly, daily])
    assert list(lineage.nodes) == ["sales.orders", "kpi.daily", "kpi.yearly"]
    assert lineage.roots == ("kpi.yearly", "kpi.daily")
    assert lineage.upstream["kpi.yearly"] == ("kpi.daily", "sales.orders")
    assert {name: set(readers) for name, readers in lineage.downstream().items()} == {
        "sales.orders": {"kpi.yearly", "kpi.daily"},
        "kpi.daily": {"kpi.yearly"},
        "kpi.yearly": set(),
    }
    assert lineage.get_dependency("kpi.daily") is daily
    assert lineage.get_dependency("nope") is None
    assert len(lineage) == 3


def test_a_single_node_is_a_lineage() -> None:
    assert list(StarlakeDependencies(StarlakeDependency("a.b")).nodes) == ["a.b"]


def test_a_subclass_has_nodes_of_its_own_type() -> None:
    class Node(StarlakeDependency):
        pass

    class Lineage(StarlakeDependencies):
        node_type = Node

    text = '[{"data": {"name": "k.a"}, "children": [{"data": {"name": "k.b"}}]}]'
    assert {type(node) for node in Lineage(text).nodes.values()} == {Node}
    assert {type(node) for node in StarlakeDependencies(text).nodes.values()} == {StarlakeDependency}


def test_a_dependency_compares_by_identity_and_shows_its_name() -> None:
    one, other = StarlakeDependency("a.b"), StarlakeDependency("a.b")
    assert one != other
    assert len({one, other, one}) == 2
    assert repr(one) == "StarlakeDependency('a.b', 'task')"
    assert "a.b" in repr(StarlakeDependencies([one]))


def test_the_fields_of_a_dependency() -> None:
    node = StarlakeDependency("a.b", "TABLE", " 0  0 * * * ", sink="dw.b", freshness=5)
    assert (node.dependency_type, node.cron, node.sink, node.freshness) == (
        DependencyType.TABLE,
        "0 0 * * *",
        "dw.b",
        5,
    )
    assert (node.domain, node.is_task) == ("a", False)
    assert StarlakeDependency("a.b", DependencyType.TASK).is_task


@pytest.mark.parametrize("sink", [None, "", "None", "nodot"])
def test_without_a_sink_the_name_is_the_sink(sink: str | None) -> None:
    assert StarlakeDependency("a.b", sink=sink).sink == "a.b"


@pytest.mark.parametrize("name", ["orders", "", ".", "orders.", ".orders"])
def test_a_name_has_a_domain(name: str) -> None:
    with pytest.raises(DependenciesError, match=r"not of the form domain\.name"):
        StarlakeDependency(name)


def test_a_type_is_task_or_table() -> None:
    with pytest.raises(DependenciesError, match=r"dependency a\.b: type 'view'"):
        StarlakeDependency("a.b", "view")


# JSON


def test_the_json_of_dag_generate_is_read() -> None:
    text = json.dumps(
        [
            tree(
                "kpi.a",
                tree("sales.orders", typ="TABLE", cron="0 0 * * *", sink="None", freshness=60),
                cron="None",
                sink="dw.a",
                dataset_triggering_strategy="ALL",
                writeStrategy="APPEND",
            )
        ]
    )
    lineage = StarlakeDependencies(text)
    orders, a = lineage.nodes.values()
    assert (orders.name, orders.is_task, orders.cron, orders.sink, orders.freshness) == (
        "sales.orders",
        False,
        "0 0 * * *",
        "sales.orders",
        60,
    )
    assert (a.name, a.cron, a.sink, a.dataset_triggering_strategy, a.write_strategy) == (
        "kpi.a",
        None,
        "dw.a",
        "all",
        "APPEND",
    )
    assert lineage.roots == ("kpi.a",)


def test_a_node_that_the_json_repeats_is_one_node_with_all_that_it_reads() -> None:
    trees = [
        tree("k.a", tree("k.c", tree("t.x"), cron="0 0 * * *")),
        tree("k.b", tree("k.c", tree("t.y"), tree("t.x"))),
        tree("k.c"),
    ]
    lineage = StarlakeDependencies(json.dumps(trees))
    assert sorted(lineage.nodes) == ["k.a", "k.b", "k.c", "t.x", "t.y"]
    assert lineage.upstream["k.c"] == ("t.x", "t.y")
    assert lineage.nodes["k.c"].cron == "0 0 * * *"


def test_the_cron_of_a_later_appearance_counts_when_the_first_has_none() -> None:
    trees = [tree("k.a", tree("k.c")), tree("k.c", cron="0 0 * * *")]
    assert StarlakeDependencies(json.dumps(trees)).nodes["k.c"].cron == "0 0 * * *"


def test_one_tree_needs_no_list() -> None:
    assert list(StarlakeDependencies(json.dumps(tree("a.b"))).nodes) == ["a.b"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[}",
        "5",
        '"a"',
        "[5]",
        "[{}]",
        '[{"data": {}}]',
        '[{"data": {"name": 5}}]',
        '[{"data": []}]',
        '[{"data": {"name": "a.b"}, "children": ["x"]}]',
    ],
)
def test_json_that_is_no_lineage_is_refused(text: str) -> None:
    with pytest.raises(DependenciesError):
        StarlakeDependencies(text)


@pytest.mark.parametrize(
    "text", ['[{"data": {"name": "a.b"}, "children": 5}]', '[{"data": {"name": "a.b", "freshness": "soon"}}]']
)
def test_json_with_a_field_of_the_wrong_type_is_refused_clearly(text: str) -> None:
    with pytest.raises(DependenciesError):
        StarlakeDependencies(text)


def test_an_unknown_triggering_strategy_is_refused() -> None:
    with pytest.raises(DependenciesError):
        StarlakeDependency("a.b", dataset_triggering_strategy="sometimes")


def test_json_that_is_too_deep_for_the_parser_says_what_to_do() -> None:
    text = '[{"data": {"name": "a.b"}, "children": ' * 100_000 + "[]" + "}]" * 100_000
    with pytest.raises(DependenciesError, match=r"nested deeper than the parser allows.*StarlakeDependency objects"):
        StarlakeDependencies(text)


def test_json_as_deep_as_the_parser_allows_is_read() -> None:
    text = "[]"
    for i in range(300):
        text = f'[{{"data": {{"name": "k.t{i}"}}, "children": {text}}}]'
    assert len(StarlakeDependencies(text)) == 300


def test_a_node_with_two_types_is_refused() -> None:
    with pytest.raises(DependenciesError, match=r"k\.c is a task in one place and a table in another"):
        StarlakeDependencies(json.dumps([tree("k.a", tree("k.c")), tree("k.c", typ="table")]))


# cycles


def test_a_cycle_is_shown_as_a_path_in_the_direction_of_the_data() -> None:
    a, b, c = (StarlakeDependency(f"k.{name}") for name in "abc")
    a.dependencies, b.dependencies, c.dependencies = [b], [c], [a]
    with pytest.raises(CycleError) as caught:
        StarlakeDependencies([StarlakeDependency("k.z", dependencies=[a])])
    steps = str(caught.value).partition(": ")[2].split(" -> ")
    assert steps[0] == steps[-1]
    assert set(steps) == {"k.a", "k.b", "k.c"}
    reads = {"k.a": "k.b", "k.b": "k.c", "k.c": "k.a"}
    assert all(reads[after] == before for before, after in pairwise(steps))


def test_a_node_that_reads_itself_is_a_cycle() -> None:
    with pytest.raises(CycleError, match=r"k\.a -> k\.a"):
        StarlakeDependencies(json.dumps([tree("k.a", tree("k.a"))]))


def test_a_cycle_that_only_the_merge_closes_is_found() -> None:
    with pytest.raises(CycleError):
        StarlakeDependencies(json.dumps([tree("k.a", tree("k.b")), tree("k.b", tree("k.a"))]))


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=16))
def test_any_graph_is_sorted_or_a_cycle_of_it_is_named(pairs: list[tuple[int, int]]) -> None:
    nodes = [StarlakeDependency(f"k.t{i}") for i in range(8)]
    for reader, read in pairs:
        nodes[reader].dependencies.append(nodes[read])
    edges = {(f"k.t{read}", f"k.t{reader}") for reader, read in pairs}
    try:
        lineage = StarlakeDependencies(nodes)
    except CycleError as error:
        steps = str(error).partition(": ")[2].split(" -> ")
        cycle = set(pairwise(steps))
    else:
        cycle = set()
        place = {name: i for i, name in enumerate(lineage.nodes)}
        assert len(place) == 8
        assert all(place[before] < place[after] for before, after in edges)
    assert cycle <= edges


# size


class Counted(list[StarlakeDependency]):
    """Counts how often what a node reads is looked at."""

    looks = 0

    def __iter__(self) -> Any:
        Counted.looks += 1
        return super().__iter__()

    def __reversed__(self) -> Any:
        Counted.looks += 1
        return super().__reversed__()


def test_layered_diamonds_cost_as_much_as_they_have_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counted, "looks", 0)
    layer: list[StarlakeDependency] = []
    for depth in range(300):
        made = [StarlakeDependency(f"k.t{depth}_{i}") for i in range(3)]
        for node in made:
            node.dependencies = Counted(layer)
        layer = made
    lineage = StarlakeDependencies(layer)
    assert len(lineage) == 900
    assert sum(len(parents) for parents in lineage.upstream.values()) == 299 * 9
    assert Counted.looks <= 4 * 900


def test_a_chain_of_ten_thousand_needs_no_recursion() -> None:
    node = StarlakeDependency("k.t0", "table")
    for i in range(1, 10_000):
        node = StarlakeDependency(f"k.t{i}", dependencies=[node])
    lineage = StarlakeDependencies([node])
    assert list(lineage.nodes) == [f"k.t{i}" for i in range(10_000)]

"""The layered layout of the graph."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlake_core_page.layered import COLUMN, ROW, layered

graphs = st.integers(1, 40).flatmap(
    lambda count: st.tuples(
        st.just(count), st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=80)
    )
)


@given(graphs)
def test_any_graph_is_drawn_without_overlaps(graph):
    count, edges = graph
    found = layered(count, edges)
    places = sorted(zip(found.x, found.y, strict=True))
    assert len(places) == count
    for (x, y), (next_x, next_y) in itertools.pairwise(places):
        assert x != next_x or next_y - y > ROW - 0.01


@given(graphs)
def test_edges_go_from_left_to_right_unless_they_close_a_cycle(graph):
    count, edges = graph
    found = layered(count, edges)
    for index, (one, other) in enumerate(edges):
        if index not in found.back:
            assert found.x[other] - found.x[one] > COLUMN - 0.01


@given(graphs)
def test_no_edge_of_a_graph_without_cycles_goes_back(graph):
    count, edges = graph
    assert not layered(count, [(one, other) for one, other in edges if one < other]).back


@given(graphs)
def test_the_same_graph_is_drawn_the_same(graph):
    assert layered(*graph) == layered(*graph)


@pytest.mark.parametrize(
    ("count", "edges"),
    [
        (0, []),
        (1, [(0, 0)]),
        (500, [(index, index + 1) for index in range(499)]),
        (501, [(index, 500) for index in range(500)]),
        (3, [(0, 1), (1, 2), (2, 0)]),
    ],
    ids=["empty", "a loop", "a chain", "a hub", "a cycle"],
)
def test_extreme_graphs(count, edges):
    found = layered(count, edges)
    assert len(found.x) == count
    assert len(set(zip(found.x, found.y, strict=True))) == count

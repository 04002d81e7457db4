"""Canonical graphs. Each is a function that builds a pipeline in an orchestration.

Each task has its own subject (see :mod:`.subjects`), so that tests can tell the fakes how it ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..dsl.orchestration import Orchestration
from ..dsl.pipeline import StarlakePipeline
from ..model.lineage import StarlakeDependencies
from ..model.schedule import StarlakeDomain, StarlakeSchedule

__all__ = [
    "CORPUS",
    "CRON",
    "Graph",
    "chain",
    "chain_of_1000",
    "diamond",
    "empty_group",
    "fan",
    "group_to_group",
    "lineage",
    "native_node",
    "nested_groups",
    "odd_ids",
    "same_ids",
    "single_task",
    "tear_down",
    "two_domains",
    "wide_200",
]

CRON = "0 0 * * *"
"""The schedule of all graphs of the corpus."""


@dataclass(frozen=True)
class Graph:
    """A canonical graph. When called with an orchestration, it builds its pipeline there and returns it.

    Attributes:
        name: the name of the graph; the pipeline is called ``kit_<name>``.
        draw: builds it with the verbs of a pipeline.
        options: the options that the orchestration needs.
        schedule: the schedule of the loads, if it has any.
        cron: when the pipeline runs.
        dependencies: the JSON of a lineage, if it has one.
        large: whether it is too large to be run in a test.
    """

    name: str
    draw: Callable[[StarlakePipeline], None]
    options: Mapping[str, Any] = field(default_factory=dict)
    schedule: StarlakeSchedule | None = None
    dependencies: str | None = None
    large: bool = False
    cron: str = CRON

    def __call__(self, orchestration: Orchestration) -> StarlakePipeline:
        """Build and render the pipeline."""
        with orchestration.sl_create_pipeline(
            self.schedule,
            StarlakeDependencies(self.dependencies) if self.dependencies else None,
            name=f"kit_{self.name}",
            cron=self.cron,
        ) as pipeline:
            self.draw(pipeline)
        return pipeline


def _single_task(p: StarlakePipeline) -> None:
    p.sl_transform("only", "kpi.only")


def _chain(p: StarlakePipeline) -> None:
    (
        p.sl_transform("first", "kpi.first")
        >> p.sl_transform("second", "kpi.second")
        >> p.sl_transform("third", "kpi.third")
    )


def _diamond(p: StarlakePipeline) -> None:
    top, left = p.sl_transform("top", "kpi.top"), p.sl_transform("left", "kpi.left")
    right, bottom = p.sl_transform("right", "kpi.right"), p.sl_transform("bottom", "kpi.bottom")
    p.start_task() >> top >> [left, right] >> bottom >> p.end_task()


def _fan(p: StarlakePipeline) -> None:
    leaves = [p.sl_transform(f"leaf_{number}", f"kpi.leaf_{number}") for number in range(5)]
    p.sl_transform("source", "kpi.source") >> leaves >> p.sl_transform("sink", "kpi.sink")


def _nested_groups(p: StarlakePipeline) -> None:
    before, after = p.sl_transform("before", "kpi.before"), p.sl_transform("after", "kpi.after")
    with p.sl_create_task_group("outer") as outer:
        first = p.sl_transform("first", "kpi.outer_first")
        with p.sl_create_task_group("middle") as middle:
            with p.sl_create_task_group("inner") as inner:
                p.sl_transform("one", "kpi.one") >> p.sl_transform("two", "kpi.two")
            inner >> p.sl_transform("three", "kpi.three")
        first >> middle
    before >> outer >> after


def _group_to_group(p: StarlakePipeline) -> None:
    with p.sl_create_task_group("left") as left:
        p.sl_transform("a", "kpi.a")
        p.sl_transform("b", "kpi.b")
    with p.sl_create_task_group("middle") as middle:
        p.sl_transform("c", "kpi.c") >> p.sl_transform("d", "kpi.d")
        p.sl_transform("e", "kpi.e")
    with p.sl_create_task_group("right") as right:
        with p.sl_create_task_group("deep"):
            p.sl_transform("f", "kpi.f")
        p.sl_transform("g", "kpi.g")
    left >> middle >> right


def _empty_group(p: StarlakePipeline) -> None:
    first, last = p.sl_transform("first", "kpi.first"), p.sl_transform("last", "kpi.last")
    with p.sl_create_task_group("empty") as empty, p.sl_create_task_group("empty_too"):
        pass
    with p.sl_create_task_group("half") as half:
        with p.sl_create_task_group("nothing") as nothing:
            pass
        p.sl_transform("x", "kpi.x") >> nothing >> p.sl_transform("y", "kpi.y")
    first >> empty >> last
    first >> half


def _same_ids(p: StarlakePipeline) -> None:
    groups = []
    for name in ("north", "south"):
        with p.sl_create_task_group(name) as group:
            p.sl_transform("extract", f"{name}.extract") >> p.sl_transform("report", f"{name}.report")
        groups.append(group)
    p.start_task() >> groups >> p.end_task()


def _odd_ids(p: StarlakePipeline) -> None:
    with p.sl_create_task_group("größe (net) $") as group:
        p.sl_transform("kpi.net revenue", "kpi.net") >> p.sl_transform("kpi.gross/revenue", "kpi.gross")
    p.sl_transform("1.first", "kpi.number") >> group >> p.sl_transform("tail-end_", "kpi.tail")


def _wide(p: StarlakePipeline) -> None:
    p.start_task() >> [p.sl_transform(f"t{number:03}", f"kpi.t{number:03}") for number in range(200)] >> p.end_task()


def _long(p: StarlakePipeline) -> None:
    before = p.start_task()
    for number in range(1000):
        task = p.sl_transform(f"t{number:04}", f"kpi.t{number:04}")
        before >> task
        before = task


def _tear_down(p: StarlakePipeline) -> None:
    start, work, end = p.start_task(), p.sl_transform("work", "kpi.work"), p.end_task()
    done = p.sl_dummy_op("all_done")
    before, after = p.pre_tasks(), p.post_tasks()
    if before is not None:
        start >> before >> work
    else:
        start >> work
    work >> end
    work >> done
    if after is not None:
        done >> after >> end


_SCHEDULE = StarlakeSchedule(
    "daily",
    CRON,
    [StarlakeDomain("sales", tables=["customers", "orders"]), StarlakeDomain("hr", tables=["people"])],
)


def _node(name: str, typ: str, *children: Mapping[str, Any]) -> dict[str, Any]:
    return {"data": {"name": name, "typ": typ}, "children": list(children)}


_ORDERS = _node("sales.orders", "table")
_REVENUE = _node("kpi.revenue", "task", _ORDERS, _node("sales.customers", "table"))
_LINEAGE = json.dumps([_node("kpi.summary", "task", _REVENUE, _node("kpi.volume", "task", _ORDERS))])

single_task = Graph("single_task", _single_task)
chain = Graph("chain", _chain)
diamond = Graph("diamond", _diamond)
fan = Graph("fan", _fan)
nested_groups = Graph("nested_groups", _nested_groups)
group_to_group = Graph("group_to_group", _group_to_group)
empty_group = Graph("empty_group", _empty_group)
same_ids = Graph("same_ids", _same_ids)
odd_ids = Graph("odd_ids", _odd_ids)
tear_down = Graph("tear_down", _tear_down)
two_domains = Graph("two_domains", StarlakePipeline.add_schedule, {"pre_load_strategy": "imported"}, schedule=_SCHEDULE)
lineage = Graph("lineage", StarlakePipeline.add_lineage, {"run_dependencies_first": True}, dependencies=_LINEAGE)
wide_200 = Graph("wide_200", _wide, large=True)
chain_of_1000 = Graph("chain_of_1000", _long, large=True)

CORPUS: Mapping[str, Graph] = {
    graph.name: graph
    for graph in (
        single_task,
        chain,
        diamond,
        fan,
        nested_groups,
        group_to_group,
        empty_group,
        same_ids,
        odd_ids,
        tear_down,
        two_domains,
        lineage,
        wide_200,
        chain_of_1000,
    )
}
"""The canonical graphs by name, except :func:`native_node`, which needs a node of the orchestrator."""


def native_node(make: Callable[[str], Any]) -> Graph:
    """Return a chain with a native node of the orchestrator in the middle.

    Args:
        make: creates the native node for a task id; called while the native container is open.
    """

    def draw(p: StarlakePipeline) -> None:
        middle = p.add_native("native", lambda: make("native"))
        p.sl_transform("before", "kpi.before") >> middle >> p.sl_transform("after", "kpi.after")

    return Graph("native_node", draw)

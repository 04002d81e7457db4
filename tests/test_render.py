"""Rendering: every node once, containers in charge of when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from starlake_core import (
    CreateChildren,
    GraphError,
    Pipeline,
    PluginContractError,
    PluginFailedError,
    StarlakePipeline,
    Task,
    TaskGroup,
    hookimpl,
)

Draw = Callable[..., StarlakePipeline]


def build(p: StarlakePipeline) -> None:
    with p.sl_create_task_group("g") as g:
        p.sl_dummy_op("b") << p.sl_dummy_op("a")
    p.sl_dummy_op("c") >> g


@pytest.fixture
def render(draw: Draw, orchestrate: Any) -> Callable[[Any], StarlakePipeline]:
    return lambda orchestrator: draw(build, orchestration=orchestrate(orchestrator=orchestrator))


class Recording:
    """An orchestrator whose three hooks may be replaced."""

    name = "recording"

    def __init__(self, **hooks: Any) -> None:
        self.hooks = hooks
        self.order: list[str] = []

    @hookimpl
    def sl_create_task(self, task: Task) -> Any:
        self.order.append(task.path)
        return self.hooks.get("task", lambda task: f"native {task.id}")(task)

    @hookimpl
    def sl_create_task_group(self, group: TaskGroup, create_children: CreateChildren) -> Any:
        self.order.append(f"<{group.path}")
        made = self.hooks.get("group", lambda group, create_children: create_children())(group, create_children)
        self.order.append(f"{group.path}>")
        return made

    @hookimpl
    def sl_create_pipeline(self, pipeline: Pipeline, create_children: CreateChildren) -> Any:
        return self.hooks.get("pipeline", lambda pipeline, create_children: create_children())(
            pipeline, create_children
        )


def test_children_come_in_topological_order_inside_their_container(render: Any) -> None:
    orchestrator = Recording()
    pipeline = render(orchestrator)
    assert orchestrator.order == ["c", "<g", "g.a", "g.b", "g>"]
    assert list(pipeline.native) == ["c", "g"]
    assert pipeline.native == {"c": "native c", "g": {"a": "native a", "b": "native b"}}
    assert list(pipeline.native["g"]) == ["a", "b"]


def test_a_container_may_make_its_children_first_or_last(render: Any) -> None:
    moments: list[str] = []

    def children_last(pipeline: Pipeline, create_children: CreateChildren) -> Any:
        moments.append("open")
        children = create_children()
        moments.append("close")
        return (pipeline.id, children)

    orchestrator = Recording(pipeline=children_last, task=lambda task: moments.append(task.id) or task.id)
    assert render(orchestrator).native[0] == "p"
    assert moments == ["open", "c", "a", "b", "close"]


@pytest.mark.parametrize(("hook", "what"), [("group", r"TaskGroup\('g'\)"), ("pipeline", r"Pipeline\('p'\)")])
def test_a_container_that_forgets_its_children_is_named(render: Any, hook: str, what: str) -> None:
    with pytest.raises(
        PluginContractError, match=rf"orchestrator 'recording' never called create_children for \w*{what}"
    ):
        render(Recording(**{hook: lambda group, create_children: "native"}))


@pytest.mark.parametrize("hook", ["group", "pipeline"])
def test_a_container_that_repeats_its_children_is_named(render: Any, hook: str) -> None:
    with pytest.raises(PluginContractError, match="orchestrator 'recording' called create_children twice"):
        render(Recording(**{hook: lambda group, create_children: (create_children(), create_children())}))


def test_a_container_that_repeats_its_children_and_hides_it_is_named(render: Any) -> None:
    def hiding(group: Any, create_children: CreateChildren) -> Any:
        children = create_children()
        try:
            create_children()
        except Exception:
            return children

    with pytest.raises(PluginContractError):
        render(Recording(group=hiding))


@pytest.mark.parametrize("hook", ["task", "group", "pipeline"])
def test_nothing_is_no_native_node(render: Any, hook: str) -> None:
    def nothing(node: Any, create_children: CreateChildren | None = None) -> None:
        if create_children is not None:
            create_children()

    with pytest.raises(PluginContractError, match="orchestrator 'recording' returned nothing for"):
        render(Recording(**{hook: nothing}))


def test_a_factory_that_returns_nothing_is_named(draw: Draw, orchestrate: Any) -> None:
    """Not the orchestrator, which was not asked."""

    def native(p: StarlakePipeline) -> None:
        with p.sl_create_task_group("g"):
            p.add_native("n", lambda: None)

    with pytest.raises(
        GraphError, match=r"the factory of 'g\.n' in pipeline '.*' returned None; it must return the node"
    ):
        draw(native, orchestration=orchestrate(orchestrator=Recording()))


def test_a_falsy_native_node_is_one(render: Any) -> None:
    assert render(
        Recording(task=lambda task: 0, group=lambda group, create_children: create_children() and [])
    ).native == {"c": 0, "g": []}


def test_a_failing_hook_leaves_the_pipeline_unfinished(draw: Draw, orchestrate: Any) -> None:
    def fail(task: Task) -> Any:
        raise ZeroDivisionError

    orchestration = orchestrate(orchestrator=Recording(task=fail))
    with pytest.raises(
        PluginFailedError,
        match=r"orchestrator 'recording' failed in sl_create_task: ZeroDivisionError \(tests/test_render\.py, line \d+\)$",
    ):
        draw(build, orchestration=orchestration)
    assert orchestration.pipelines == []


def test_an_addon_may_answer_for_some_tasks(draw: Draw, orchestrate: Any) -> None:
    class Addon:
        name = "own"

        @hookimpl(tryfirst=True)
        def sl_create_task(self, task: Task) -> Any:
            return "own" if task.id == "a" else None

    orchestrator = Recording()
    pipeline = draw(build, orchestration=orchestrate(orchestrator=orchestrator, addons=[Addon()]))
    assert pipeline.native == {"c": "native c", "g": {"a": "own", "b": "native b"}}
    assert "g.a" not in orchestrator.order


def test_an_addon_may_wrap_what_the_orchestrator_makes(draw: Draw, orchestrate: Any) -> None:
    class Addon:
        name = "labels"

        @hookimpl(wrapper=True)
        def sl_create_task(self, task: Task) -> Any:
            native = yield
            return f"[{native}]"

    assert (
        draw(build, orchestration=orchestrate(orchestrator=Recording(), addons=[Addon()])).native["c"] == "[native c]"
    )


@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), ModuleNotFoundError("mine")])
@pytest.mark.parametrize("deep", [False, True])
def test_an_error_of_a_native_node_is_not_blamed_on_the_orchestrator(
    draw: Draw, orchestrate: Any, error: Exception, deep: bool
) -> None:
    def fail() -> Any:
        raise error

    def build(pipeline: StarlakePipeline) -> None:
        if not deep:
            pipeline.add_native("own", fail)
            return
        with pipeline.sl_create_task_group("g"):
            pipeline.add_native("own", fail)

    with pytest.raises(type(error), match=r"^mine$") as caught:
        draw(build, orchestration=orchestrate(orchestrator=Recording()))
    assert caught.value is error

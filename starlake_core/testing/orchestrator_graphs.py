"""Checks of the native graph that an orchestrator creates, without running it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ..model.graph import Task, TaskGroup
from ..model.graph_json import graph_json
from . import corpus
from .corpus import CORPUS, Graph
from .fake import FakeEnvironment
from .graphs import differences, neutral_graph
from .lab import plain
from .option_effects import options_of, what_is_read
from .orchestrator_base import OrchestratorBase
from .recording import Watcher

__all__ = ["GraphChecks"]

_every_graph = pytest.mark.parametrize("graph", CORPUS.values(), ids=CORPUS)
_every_small_graph = pytest.mark.parametrize(
    "graph", [graph for graph in CORPUS.values() if not graph.large], ids=[n for n, g in CORPUS.items() if not g.large]
)


class GraphChecks(OrchestratorBase):
    """Every task is there once, in its group and in the right order, and nothing is changed."""

    @_every_graph
    def test_native_graph_is_the_neutral_graph(self, graph: Graph) -> None:
        """Every task is there once, in its groups, and after the same tasks as in the neutral graph."""
        pipeline = self.draw(graph, FakeEnvironment(lifecycle=True))
        problems = differences(
            neutral_graph(pipeline), self.describe(pipeline.native), nested_groups=self.nested_groups
        )
        assert not problems, "\n".join([f"graph {graph.name}:", *problems])

    @_every_small_graph
    def test_every_node_is_asked_for_once(self, graph: Graph) -> None:
        """Rendering creates every task and every group that is not empty exactly once."""
        watcher = Watcher()
        pipeline = self.draw(graph, FakeEnvironment(lifecycle=True), watcher)
        assert sorted(watcher.tasks) == sorted(task.path for task in pipeline.tasks())
        assert sorted(watcher.groups) == sorted(group.path for group in pipeline.groups() if group is not pipeline)

    @_every_small_graph
    def test_create_children_is_called_once(self, graph: Graph) -> None:
        """Every container calls ``create_children`` exactly once."""
        pipeline = self.draw(graph, FakeEnvironment(lifecycle=True))
        plugins = pipeline.orchestration.plugins
        calls: dict[str, int] = {}

        def children(group: TaskGroup) -> Callable[[], Mapping[str, Any]]:
            made: dict[str, Any] = {}

            def create_children() -> Mapping[str, Any]:
                calls[group.path] = calls.get(group.path, 0) + 1
                if not made:
                    made.update({node.id: native(node) for node in group.children})
                return made

            return create_children

        def native(node: Any) -> Any:
            if isinstance(node, Task):
                return plugins.create_task(node)
            return plugins.create_task_group(node, children(node))

        plugins.create_pipeline(pipeline, children(pipeline))
        for group in pipeline.groups():
            assert calls.get(group.path, 0) == 1, (
                f"create_children of '{group.path}' was called {calls.get(group.path, 0)} times, not once"
            )

    @_every_small_graph
    def test_rendering_is_pure(self, graph: Graph) -> None:
        """The same graph gives the same native graph, and the neutral graph does not change."""
        watcher = Watcher()
        first = self.draw(graph, FakeEnvironment(lifecycle=True), watcher)
        second = self.draw(graph, FakeEnvironment(lifecycle=True))
        assert self.describe(first.native) == self.describe(first.native), "describing the native graph changes it"
        assert self.describe(first.native) == self.describe(second.native), "built twice, the native graphs differ"
        assert graph_json(first) == watcher.before, "the rendering changed the neutral graph"

    def test_options_are_left_alone(self) -> None:
        """Neither the user's options nor those that the plugins see are changed."""
        given: dict[str, Any] = {"tags": "a b", "sl_env_var": {"SL_ENV": "test"}, "kpi.only": {"options": {"k": "v"}}}
        kept = plain(given)
        with self.orchestration(None, **given) as orchestration:
            typed = plain(orchestration.options)
            corpus.single_task(orchestration)
        assert given == kept, "the options of the user were changed"
        assert plain(orchestration.options) == typed, "the options of the orchestration were changed"

    def test_every_option_is_read(self) -> None:
        """Every option is read when pipelines are rendered or run, or is declared with ``effective=False`` and never read."""
        fake = FakeEnvironment(lifecycle=True)
        with what_is_read() as read:
            for graph in (
                corpus.two_domains,
                corpus.nested_groups,
                corpus.tear_down,
                corpus.lineage,
                corpus.single_task,
            ):
                pipeline = self.draw(graph, fake)
            self.draw_triggered(fake)
            if self.runs_pipelines and self.runs_in_process:
                self.run(pipeline)
        plugins = pipeline.orchestration.plugins
        declared = {option.name: option for option in options_of(plugins, plugins.orchestrator)}
        ignored = [name for name, option in declared.items() if option.effective and name not in read]
        ignored = [name for name in ignored if name not in self.options_elsewhere]
        assert not ignored, (
            f"options are declared and never read: {', '.join(ignored)}; read them, declare them with effective=False, or "
            "add those that only matter for deploying or a server elsewhere to options_elsewhere"
        )
        misread = [name for name, option in declared.items() if not option.effective and name in read]
        assert not misread, f"options are declared with effective=False, and are read: {', '.join(misread)}"
        unknown = [name for name in self.options_elsewhere if name not in declared or name in read]
        assert not unknown, (
            f"options_elsewhere has names that are not options, or that are read after all: {', '.join(unknown)}"
        )

    def test_native_node(self) -> None:
        """A native node of the orchestrator takes its place between the others."""
        if self.native_node("native") is None:
            pytest.skip("native_node() returns None: the orchestrator has no native nodes")
        pipeline = self.draw(corpus.native_node(self.native_node))
        problems = differences(
            neutral_graph(pipeline), self.describe(pipeline.native), nested_groups=self.nested_groups
        )
        assert not problems, "\n".join(problems)

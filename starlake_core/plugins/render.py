"""Renders a graph as native objects, in one fold over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..errors import GraphError, PluginContractError
from ..model.graph import Node, Pipeline, Task, TaskGroup
from . import Plugins
from .hookspecs import CreateChildren

__all__ = ["render"]

G = TypeVar("G", bound=TaskGroup)


def render(pipeline: Pipeline, plugins: Plugins) -> Any:
    """Create the native form of a checked pipeline.

    Args:
        pipeline: a pipeline after :meth:`Pipeline.check`.
        plugins: the orchestrator and the add-ons.

    Returns:
        What the orchestrator's ``sl_create_pipeline`` returned.

    Raises:
        GraphError: the factory of a native task returned nothing.
        PluginContractError: a hook returned nothing, or did not call ``create_children`` exactly once.
    """

    def native(node: Node) -> Any:
        if isinstance(node, Task) and node.factory is not None:
            made = node.factory()
            if made is None:
                raise GraphError(
                    f"the factory of '{node.path}' in pipeline '{pipeline.id}' returned None; it must return the node of the orchestrator: "
                    "lambda: EmptyOperator(task_id='x')"
                )
        elif isinstance(node, Task):
            made = plugins.create_task(node)
        else:
            assert isinstance(node, TaskGroup)
            made = contained(node, plugins.create_task_group)
        if made is None:
            raise PluginContractError(f"{plugins.label('orchestrator')} returned nothing for {node!r}")
        return made

    def contained(group: G, create: Callable[[G, CreateChildren], Any]) -> Any:
        calls = 0

        def create_children() -> Mapping[str, Any]:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise PluginContractError(f"{plugins.label('orchestrator')} called create_children twice for {group!r}")
            return {node.id: native(node) for node in group.children}

        children: CreateChildren = create_children
        made = create(group, children)
        if calls != 1:
            how = "never called create_children" if not calls else "called create_children twice"
            raise PluginContractError(f"{plugins.label('orchestrator')} {how} for {group!r}")
        return made

    made = contained(pipeline, plugins.create_pipeline)
    if made is None:
        raise PluginContractError(f"{plugins.label('orchestrator')} returned nothing for {pipeline!r}")
    return made

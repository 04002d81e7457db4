"""From the graph to native objects: one fold over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import PluginContractError
from .graph import Pipeline, Task, TaskGroup
from .hookspecs import CreateChildren
from .plugins import Plugins

__all__ = ["render"]


def render(pipeline: Pipeline, plugins: Plugins) -> Any:
    """Make the native form of a checked pipeline.

    Args:
        pipeline: after :meth:`Pipeline.check`.
        plugins: the orchestrator and the add-ons.

    Returns:
        What the orchestrator's ``sl_create_pipeline`` returned.

    Raises:
        PluginContractError: a hook returned nothing, or did not call ``create_children`` exactly once.
    """
    hook = plugins.hook
    create_task, create_group = plugins.direct("sl_create_task"), plugins.direct("sl_create_task_group")

    def native(node: Any) -> Any:
        if isinstance(node, Task):
            made = node.factory() if node.factory is not None else create_task(task=node)
        else:
            made = contained(node, create_group, "group")
        if made is None:
            raise PluginContractError(f"{plugins.label('orchestrator')} returned nothing for {node!r}")
        return made

    def contained(group: TaskGroup, create: Any, argument: str) -> Any:
        calls = 0

        def create_children() -> Mapping[str, Any]:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise PluginContractError(f"{plugins.label('orchestrator')} called create_children twice for {group!r}")
            return {node.id: native(node) for node in group.children}

        children: CreateChildren = create_children
        made = create(**{argument: group, "create_children": children})
        if calls != 1:
            how = "never called create_children" if not calls else "called create_children twice"
            raise PluginContractError(f"{plugins.label('orchestrator')} {how} for {group!r}")
        return made

    made = contained(pipeline, hook.sl_create_pipeline, "pipeline")
    if made is None:
        raise PluginContractError(f"{plugins.label('orchestrator')} returned nothing for {pipeline!r}")
    return made

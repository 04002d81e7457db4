"""Edges between native tasks and groups, in time linear in their number.

Airflow's own ``>>`` looks at all tasks of the DAG for every edge, so that a DAG costs the square of its tasks. What it leaves behind are
sets of ids on both ends; here they are filled directly. A test holds that the DAG is the same, to the hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlake_core import TaskGroup

from .versions import BaseOperator

__all__ = ["Block", "link"]


@dataclass(frozen=True)
class Block:
    """A native group with the tasks at its two ends.

    Attributes:
        native: Airflow's task group.
        roots: tasks of the group, however deep, before which no other task of it runs.
        leaves: tasks of the group after which no other task of it runs.
    """

    native: Any
    roots: tuple[Any, ...]
    leaves: tuple[Any, ...]

    @classmethod
    def of(cls, group: TaskGroup, native: Any, children: Mapping[str, Any]) -> Block:
        """The block of a group whose children are made.

        Args:
            group: the neutral group.
            native: Airflow's group.
            children: id to native node.
        """
        return cls(
            native,
            tuple(root for node in group.roots() for root in _roots(children[node.id])),
            tuple(leaf for node in group.leaves() for leaf in _leaves(children[node.id])),
        )


def _roots(node: Any) -> tuple[Any, ...]:
    if isinstance(node, Block):
        return node.roots
    return (node,) if isinstance(node, BaseOperator) else tuple(node.roots)


def _leaves(node: Any) -> tuple[Any, ...]:
    if isinstance(node, Block):
        return node.leaves
    return (node,) if isinstance(node, BaseOperator) else tuple(node.leaves)


def link(group: TaskGroup, children: Mapping[str, Any]) -> None:
    """Apply the edges of a group to its native children.

    Args:
        group: the neutral group, checked.
        children: id to native node: an operator, a :class:`Block`, or whatever a user's factory made that Airflow can link.
    """
    for before_id, afters in group.edges.items():
        before = children[before_id]
        for after_id in afters:
            after = children[after_id]
            if isinstance(before, (BaseOperator, Block)) and isinstance(after, (BaseOperator, Block)):
                _link(before, after)
            else:
                _native(before).set_downstream(_native(after))


def _native(node: Any) -> Any:
    return node.native if isinstance(node, Block) else node


def _link(before: Any, after: Any) -> None:
    uppers, lowers = _leaves(before), _roots(after)
    upper_ids = [task.task_id for task in uppers]
    lower_ids = [task.task_id for task in lowers]
    for task in uppers:
        task.downstream_task_ids.update(lower_ids)
    for task in lowers:
        task.upstream_task_ids.update(upper_ids)
    # Groups remember their neighbours too, so that the graph view can draw one line instead of many.
    if isinstance(after, Block):
        after.native.upstream_task_ids.update(upper_ids)
        if isinstance(before, Block):
            after.native.upstream_group_ids.add(before.native.group_id)
            before.native.downstream_group_ids.add(after.native.group_id)
    elif isinstance(before, Block):
        before.native.downstream_task_ids.update(lower_ids)

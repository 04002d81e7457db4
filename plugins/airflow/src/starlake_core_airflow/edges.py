"""Edges between native tasks and groups, in time linear in their number.

Airflow's own ``>>`` walks all tasks of the DAG for every edge, so that a DAG costs the square of its tasks. Its result is a set of ids
on each end; this module fills the sets directly. A test checks that the DAG is the same, including its hash.
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
        roots: tasks of the group, at any depth, that no other task of the group precedes.
        leaves: tasks of the group, at any depth, that no other task of the group follows.
    """

    native: Any
    roots: tuple[Any, ...]
    leaves: tuple[Any, ...]

    @classmethod
    def of(cls, group: TaskGroup, native: Any, children: Mapping[str, Any]) -> Block:
        """The block of a group whose children exist.

        Args:
            group: the neutral group.
            native: Airflow's group.
            children: maps ids to native nodes.
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
        children: maps ids to native nodes: an operator, a :class:`Block`, or anything from a user's factory that Airflow can link.
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
    # Groups also remember their neighbours, so that the graph view can draw one line instead of many.
    if isinstance(after, Block):
        after.native.upstream_task_ids.update(upper_ids)
        if isinstance(before, Block):
            after.native.upstream_group_ids.add(before.native.group_id)
            before.native.downstream_group_ids.add(after.native.group_id)
    elif isinstance(before, Block):
        before.native.downstream_task_ids.update(lower_ids)

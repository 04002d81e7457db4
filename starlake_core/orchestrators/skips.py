"""Finds which checks come before which work, so that the end of a pipeline can say that nothing was done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from ..model.graph import Pipeline, Task, TaskGroup
from ..model.kinds import TaskKind, TriggerRule

__all__ = ["explain_skip", "gates_before_work", "skipped_end"]


def _rule(task: Task) -> str:
    return task.trigger.value


def gates_before_work(
    pipeline: Pipeline, starts: Collection[str] = (), rule: Callable[[Task], str] = _rule
) -> list[list[str]]:
    """Return, for each way in which work can be done, the checks that must be open for it.

    Args:
        pipeline: the checked pipeline.
        starts: the paths of tasks that may prevent the whole run; they count as checks.
        rule: returns the trigger rule of a task, if users of the orchestrator can change it.

    Returns:
        Sorted lists of paths of checks, without repetition, because work that needs the same checks is one way. An empty
        list means that some work needs no check. The result is empty if the pipeline has no check or no work.
    """
    gates: list[str] = []
    ways: dict[int, None] = {}

    def walk(group: TaskGroup, prefix: str, before: int) -> int:
        """Collect the work of a group, and return, as bits, the checks before the tasks that run after it."""
        masks: dict[str, int] = {}
        upstream = group.upstream()
        behind = 0
        for node in group.children:
            # The upstream tasks of a group run before its first tasks. Its other tasks wait only for those, and one of
            # those may tolerate a skip.
            mask = 0 if upstream[node.id] else before
            for other in upstream[node.id]:
                mask |= masks[other]
            if isinstance(node, TaskGroup):
                mask = walk(node, f"{prefix}{node.id}.", mask)
            elif isinstance(node, Task):
                if rule(node) != TriggerRule.ALL_SUCCESS.value:
                    mask = 0  # it tolerates skipped tasks
                if node.is_work:
                    ways[mask] = None
                if node.kind is TaskKind.CHECK or prefix + node.id in starts:
                    mask |= 1 << len(gates)
                    gates.append(prefix + node.id)
            masks[node.id] = mask
        for leaf in group.leaves():
            behind |= masks[leaf.id]
        return behind

    walk(pipeline, "", 0)
    if not gates:
        return []
    return sorted(sorted(_named(way, gates)) for way in ways)


def _named(way: int, gates: list[str]) -> Iterator[str]:
    """Yield the checks whose bits are set, without visiting the others."""
    while way:
        lowest = way & -way
        yield gates[lowest.bit_length() - 1]
        way ^= lowest


def explain_skip(guards: Sequence[Sequence[str]], closed: Mapping[str, str]) -> str:
    """Return why no work was done: each way had a check that was not ready. Empty if some work was done.

    Args:
        guards: the result of :func:`gates_before_work`.
        closed: the reason of each check that was not ready, by its path.
    """
    return skipped_end(closed.values(), not all(any(gate in closed for gate in guard) for guard in guards))


def skipped_end(reasons: Iterable[str], worked: bool) -> str:
    """Return why the end of a pipeline is skipped. Empty if it is not, because work was done or all checks were ready.

    Args:
        reasons: the reasons of the checks that were not ready.
        worked: whether any work was done.
    """
    told = list(dict.fromkeys(reasons))
    return "" if worked or not told else f"nothing was loaded or transformed: {'; '.join(told)}"

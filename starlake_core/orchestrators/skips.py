"""Which checks stand before which work: what the end of a pipeline has to know to say that nothing was done."""

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
    """For each way in which work can be done, the checks that have to be open for it.

    Args:
        pipeline: checked.
        starts: paths of the tasks that may say that the whole run is not to start; they are checks too.
        rule: the trigger rule of a task, where the orchestrator lets its users give another one.

    Returns:
        Sorted lists of ids of checks, each once: work that needs the same checks is one way. An empty list in it means that some work needs no
        check. Nothing at all where the pipeline has no check, or no work.
    """
    gates: list[str] = []
    ways: dict[int, None] = {}

    def walk(group: TaskGroup, prefix: str, before: int) -> int:
        """Collect the work of a group; return, as bits, the checks that stand before what runs after it."""
        masks: dict[str, int] = {}
        upstream = group.upstream()
        behind = 0
        for node in group.children:
            # What runs before a group runs before its first tasks; the others wait for those alone, and one of those may tolerate a skip.
            mask = 0 if upstream[node.id] else before
            for other in upstream[node.id]:
                mask |= masks[other]
            if isinstance(node, TaskGroup):
                mask = walk(node, f"{prefix}{node.id}.", mask)
            elif isinstance(node, Task):
                if rule(node) != TriggerRule.ALL_SUCCESS.value:
                    mask = 0  # it tolerates what was skipped
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
    """The checks whose bits are set, without a look at the others."""
    while way:
        lowest = way & -way
        yield gates[lowest.bit_length() - 1]
        way ^= lowest


def explain_skip(guards: Sequence[Sequence[str]], closed: Mapping[str, str]) -> str:
    """Why no work was done, empty if some was: every way to work had a check before it that was not ready.

    Args:
        guards: of :func:`gates_before_work`.
        closed: id of each check that was not ready to its reason.
    """
    return skipped_end(closed.values(), not all(any(gate in closed for gate in guard) for guard in guards))


def skipped_end(reasons: Iterable[str], worked: bool) -> str:
    """Why the end of a pipeline is skipped; empty where it is not: something was done, or no check was not ready.

    Args:
        reasons: of the checks that were not ready.
        worked: whether any work was done.
    """
    told = list(dict.fromkeys(reasons))
    return "" if worked or not told else f"nothing was loaded or transformed: {'; '.join(told)}"

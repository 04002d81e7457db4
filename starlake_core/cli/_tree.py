"""The graph of a pipeline as a tree for a terminal."""

from __future__ import annotations

from rich.markup import escape as escape_markup
from rich.tree import Tree

from ..model.graph import Pipeline, Task, TaskGroup
from ..model.kinds import TaskKind
from ..plain_text import plain_line

__all__ = ["tree"]


def tree(pipeline: Pipeline) -> Tree:
    """The pipeline as a tree: groups, tasks, what they run, and what they wait for.

    Args:
        pipeline: to draw.
    """
    root = Tree(f"[bold]{_escape(pipeline.id)}[/bold]  [dim]{_escape(_schedule(pipeline))}[/dim]")
    todo: list[tuple[TaskGroup, Tree]] = [(pipeline, root)]
    while todo:
        group, branch = todo.pop()
        upstream = group.upstream()
        inner: list[tuple[TaskGroup, Tree]] = []
        for node in group.children:
            after = f"  [dim]after {_escape(', '.join(upstream[node.id]))}[/dim]" if upstream[node.id] else ""
            if isinstance(node, TaskGroup):
                inner.append((node, branch.add(f"[bold]{_escape(node.id)}[/bold]{after}")))
            elif isinstance(node, Task):
                about = _about(node)
                gate = " [yellow]gate[/yellow]" if node.kind is TaskKind.CHECK else ""
                branch.add(f"{_escape(node.id)}{gate}" + (f"  [cyan]{_escape(about)}[/cyan]" if about else "") + after)
        todo.extend(reversed(inner))
    return root


def _escape(text: str) -> str:
    return escape_markup(plain_line(text))


def _about(task: Task) -> str:
    if task.factory is not None:
        return "native"
    if task.command is None:
        return "" if task.job is None else "job"
    words = [task.command.name]
    if task.command.transform:
        words.append(task.command.transform)
    elif task.command.domain:
        words.append(task.command.domain + ("." + ",".join(task.command.tables) if task.command.tables else ""))
    return " ".join(words)


def _schedule(pipeline: Pipeline) -> str:
    if pipeline.cron:
        return f"{pipeline.cron} {pipeline.zone_name}"
    if pipeline.trigger:
        return f"{pipeline.trigger.policy} of " + ", ".join(dataset.uri for dataset in pipeline.trigger.datasets)
    return "on demand"

"""The graph of a pipeline for people and for tools: a tree, Mermaid, DOT."""

from __future__ import annotations

from rich.markup import escape as escape_markup
from rich.tree import Tree

from ..graph import Node, Pipeline, Task, TaskGroup, TaskKind
from ..plain import plain_line

__all__ = ["dot", "mermaid", "tree"]


def escape(text: str) -> str:
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


def tree(pipeline: Pipeline) -> Tree:
    """The pipeline as a tree for a terminal: groups, tasks, what they run, and what they wait for."""
    root = Tree(f"[bold]{escape(pipeline.id)}[/bold]  [dim]{escape(_schedule(pipeline))}[/dim]")
    todo: list[tuple[TaskGroup, Tree]] = [(pipeline, root)]
    while todo:
        group, branch = todo.pop()
        upstream = group.upstream()
        inner: list[tuple[TaskGroup, Tree]] = []
        for node in group.children:
            after = f"  [dim]after {escape(', '.join(upstream[node.id]))}[/dim]" if upstream[node.id] else ""
            if isinstance(node, TaskGroup):
                inner.append((node, branch.add(f"[bold]{escape(node.id)}[/bold]{after}")))
            elif isinstance(node, Task):
                about = _about(node)
                gate = " [yellow]gate[/yellow]" if node.kind is TaskKind.CHECK else ""
                branch.add(f"{escape(node.id)}{gate}" + (f"  [cyan]{escape(about)}[/cyan]" if about else "") + after)
        todo.extend(reversed(inner))
    return root


def _mermaid_id(node: Node) -> str:
    # The root of a diagram and a node in it may have one id, and "end" is a word of the language.
    return (
        "n_" + node.path.replace(".", "__").replace("-", "_m_")
        if node.parent is not None
        else "p_" + node.id.replace("-", "_m_")
    )


def mermaid(pipeline: Pipeline) -> str:
    """The pipeline as a Mermaid flowchart."""
    lines = ["flowchart LR"]

    def write(group: TaskGroup, indent: str) -> None:
        for node in group.children:
            if isinstance(node, TaskGroup):
                lines.append(f'{indent}subgraph {_mermaid_id(node)}["{node.id}"]')
                write(node, indent + "  ")
                lines.append(f"{indent}end")
            elif isinstance(node, Task):
                left, right = (
                    ("{{", "}}") if node.kind is TaskKind.CHECK else ("(", ")") if node.job is None else ("[", "]")
                )
                lines.append(f'{indent}{_mermaid_id(node)}{left}"{node.id}"{right}')

    write(pipeline, "  ")
    for group in pipeline.groups():
        for before, afters in group.edges.items():
            lines.extend(
                f"  {_mermaid_id(group.nodes[before])} --> {_mermaid_id(group.nodes[after])}" for after in afters
            )
    return "\n".join(lines)


def dot(pipeline: Pipeline) -> str:
    """The pipeline as a DOT digraph; an edge of a group is drawn to the border of its cluster."""
    lines = [f'digraph "{pipeline.id}" {{', "  rankdir=LR; compound=true; node [shape=box];"]

    def write(group: TaskGroup, indent: str) -> None:
        for node in group.children:
            if isinstance(node, TaskGroup):
                lines.append(f'{indent}subgraph "cluster_{node.path}" {{ label="{node.id}";')
                write(node, indent + "  ")
                lines.append(indent + "}")
            elif isinstance(node, Task):
                shape = "hexagon" if node.kind is TaskKind.CHECK else "ellipse" if node.job is None else "box"
                lines.append(f'{indent}"{node.path}" [label="{node.id}", shape={shape}];')

    write(pipeline, "  ")
    for group in pipeline.groups():
        for before, afters in group.edges.items():
            for after in afters:
                lines.append(_dot_edge(group.nodes[before], group.nodes[after]))
    return "\n".join([*lines, "}"])


def _dot_edge(before: Node, after: Node) -> str:
    attributes = []
    if isinstance(before, TaskGroup):
        attributes.append(f'ltail="cluster_{before.path}"')
    if isinstance(after, TaskGroup):
        attributes.append(f'lhead="cluster_{after.path}"')
    tail, head = _some_task(before, last=True), _some_task(after, last=False)
    return f'  "{tail}" -> "{head}"' + (f" [{', '.join(attributes)}]" if attributes else "") + ";"


def _some_task(node: Node, last: bool) -> str:
    while isinstance(node, TaskGroup):
        node = node.children[-1 if last else 0]
    return node.path

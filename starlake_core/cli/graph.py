"""The command that shows the graph of pipelines as a tree, Mermaid, DOT, JSON or a page."""

from __future__ import annotations

from pathlib import Path

import click

from ..model.graph import Node, Pipeline, Task, TaskGroup
from ..model.graph_json import graph_json
from ..model.kinds import TaskKind
from ..model.page import Page
from ._command import command
from ._console import stdout
from ._pages import made_now, output_options, page_title, write_page
from ._recorded_runs import find_recorded_runs
from ._selection import PipelineFiles, pipeline_files
from ._tree import tree

__all__ = ["graph"]


@command
@pipeline_files
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["tree", "mermaid", "dot", "json", "html"]),
    default="tree",
    show_default=True,
)
@output_options
@click.option("--no-sql", is_flag=True, help="Leave SQL out of the page.")
@click.option("--no-timestamp", is_flag=True, help="Leave out of the page what depends on the date, and runs.")
def graph(
    files: PipelineFiles, output_format: str, output: Path | None, open_page: bool, no_sql: bool, no_timestamp: bool
) -> None:
    """Show the graph of pipelines.

    With --format html it is a page of its own, with search, details and the last runs, which needs no network.
    """
    if output_format != "html" and (output is not None or open_page):
        raise click.UsageError("--output and --open are for --format html; redirect the other formats with >")
    pipelines = files.load(columns=output_format == "html")
    if output_format == "html":
        runs = [] if no_timestamp else (find_recorded_runs(pipelines, 50) or [])
        made = None if no_timestamp else made_now()
        write_page(Page(pipelines, runs, page_title(pipelines), made, not no_sql), output, open_page)
        return
    if output_format == "tree":
        for pipeline in pipelines:
            stdout().print(tree(pipeline))
        return
    draw = {"mermaid": _mermaid, "dot": _dot, "json": graph_json}[output_format]
    texts = [draw(pipeline) for pipeline in pipelines]
    if output_format == "json" and len(texts) > 1:
        click.echo("[\n" + ",\n".join(texts) + "\n]")
    else:
        click.echo("\n\n".join(texts))


def _mermaid(pipeline: Pipeline) -> str:
    """Return the pipeline as a Mermaid flowchart."""
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


def _mermaid_id(node: Node) -> str:
    # The diagram and a node in it may have the same id, and "end" is a keyword of Mermaid.
    return (
        "n_" + node.path.replace(".", "__").replace("-", "_m_")
        if node.parent is not None
        else "p_" + node.id.replace("-", "_m_")
    )


def _dot(pipeline: Pipeline) -> str:
    """Return the pipeline as a DOT digraph. Edges of groups end at the border of their cluster."""
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

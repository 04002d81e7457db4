"""Writes the pipelines of a project as pipeline files: small, readable, and the same bytes for the same project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from pprint import pformat
from typing import Any

from starlake_core import sanitize_id

from .catalogue import Item
from .errors import ProjectError
from .grouping import Draft
from .publishing import Plan, orchestrations
from .scheduling import Schedules

__all__ = ["MARK", "export_files"]

MARK = "Written by starlake-orchestrate export: change the project, and export it again."
"""The line by which an exported file is recognised."""

_WIDTH = 110


def export_files(
    plan: Plan, orchestrator: str, environment: str | None = None, options: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Return the pipeline files of a project, by name.

    Args:
        plan: the pipelines of the project, grouped by dag.
        orchestrator: the orchestrator of the files.
        environment: the environment; by default that of each dag.
        options: options for all pipelines.

    Raises:
        ProjectError: a file of the project is broken; lists all of them.
    """
    if plan.faults:
        raise ProjectError("\n".join(fault.message for fault in plan.faults))
    by_file: dict[str, list[tuple[Any, Sequence[Draft]]]] = {}
    for settings, drafts in orchestrations(plan, plan.drafts.drafts, environment, options or {}):
        for stem in dict.fromkeys(draft.dag.stem for draft in drafts):
            own = [draft for draft in drafts if draft.dag.stem == stem]
            by_file.setdefault(f"{sanitize_id(PurePosixPath(stem).name)}.py", []).append((settings, own))
    return {name: _file(plan, orchestrator, parts) for name, parts in sorted(by_file.items())}


def _file(plan: Plan, orchestrator: str, parts: Sequence[tuple[Any, Sequence[Draft]]]) -> str:
    comments = dict.fromkeys(
        draft.dag.comment.strip() for _, drafts in parts for draft in drafts if draft.dag.comment.strip()
    )
    about = "; ".join(comments) or f"Pipelines of the project {plan.project.root.name}"
    safe = " (airflow dag)" if orchestrator == "airflow" else ""
    title = " ".join(about.replace("\\", "/").replace('"', "'").split())
    body = "\n\n".join(_orchestration(plan, orchestrator, settings, drafts) for settings, drafts in parts)
    names = [name for name in _NAMES if f"{name}(" in body]
    return f'"""{title}.{safe}\n\n{MARK}\n"""\n\nfrom starlake_core import {", ".join(names)}\n\n{body}\n'


_NAMES = (
    "Orchestration",
    "StarlakeDependencies",
    "StarlakeDependency",
    "StarlakeDomain",
    "StarlakeSchedule",
    "StarlakeTable",
)


def _orchestration(plan: Plan, orchestrator: str, settings: Any, drafts: Sequence[Draft]) -> str:
    lines = [f"options = {pformat(dict(settings.options), width=_WIDTH, sort_dicts=True)}", ""]
    environment = f", environment={settings.environment!r}" if settings.environment else ""
    lines.append(f"with Orchestration(options, orchestrator={orchestrator!r}{environment}) as orchestration:")
    for number, draft in enumerate(drafts):
        lines += ["", *_pipeline(plan, draft)][0 if number else 1 :]
    return "\n".join(lines)


def _pipeline(plan: Plan, draft: Draft) -> list[str]:
    given = f"name={draft.id!r}, tags={sorted({item.domain for item in draft.items})!r}"
    if draft.dag.comment:
        given += f", description={draft.dag.comment!r}"
    if draft.kind == "load":
        name = draft.schedule.name if draft.named else ""
        return [
            f"    schedule = StarlakeSchedule({name!r}, {draft.schedule.cron!r}, [",
            *_domains(draft.items),
            "    ])",
            f"    with orchestration.sl_create_pipeline(schedule, {given}) as pipeline:",
            "        pipeline.add_schedule()",
        ]
    lines, names = _nodes(plan, draft)
    return [
        *lines,
        f"    lineage = StarlakeDependencies([{', '.join(names)}])",
        f"    with orchestration.sl_create_pipeline(dependencies=lineage, cron={draft.schedule.cron!r}, {given}) as pipeline:",
        "        pipeline.add_lineage()",
    ]


def _domains(items: Iterable[Item]) -> list[str]:
    by_domain: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        by_domain.setdefault((item.domain, item.final_domain), []).append(item)
    lines = []
    for (name, final), tables in by_domain.items():
        lines.append(f"        StarlakeDomain({_both(name, final)}, tables=[")
        lines += [f"            StarlakeTable({_both(table.name, table.final_name)})," for table in tables]
        lines.append("        ]),")
    return lines


def _both(name: str, final: str) -> str:
    return repr(name) if name == final else f"{name!r}, {final!r}"


def _nodes(plan: Plan, draft: Draft) -> tuple[list[str], list[str]]:
    """Return a line for each node of the lineage, those that are read first, and the names of those that run in the pipeline."""
    own = {item.full_name for item in draft.items}
    names: dict[str, str] = {}
    lines: list[str] = []
    waiting = [(item, False) for item in reversed(draft.items)]
    while waiting:
        item, ready = waiting.pop()
        if item.full_name in names:
            continue
        parents = plan.lineage.parents.get(item.full_name, ()) if item.full_name in own and item.is_task else ()
        left = [parent for parent in parents if parent.full_name not in names]
        if left and not ready:
            waiting += [(item, True), *((parent, False) for parent in reversed(left))]
            continue
        word = sanitize_id(item.full_name).replace("-", "_")
        while word in names.values() or not word.isidentifier():
            word = f"_{word}"
        names[item.full_name] = word
        lines.append(f"    {word} = {_node(plan, item, [names[parent.full_name] for parent in parents])}")
    return lines, [names[item.full_name] for item in draft.items]


def _node(plan: Plan, item: Item, parents: Sequence[str]) -> str:
    parts = [repr(item.full_name), *([] if item.is_task else ["'table'"])]
    try:
        cron = Schedules(plan.project.application.schedule_presets).of(item.schedule).cron
    except ProjectError:
        cron = None
    if cron:
        parts.append(f"cron={cron!r}")
    if parents:
        parts.append(f"dependencies=[{', '.join(parents)}]")
    if item.sink != item.full_name:
        parts.append(f"sink={item.sink!r}")
    if item.facts.error:
        parts.append(f"freshness={item.facts.error}")
    if item.facts.any_or_all:
        parts.append(f"dataset_triggering_strategy={item.facts.any_or_all!r}")
    return f"StarlakeDependency({', '.join(parts)})"

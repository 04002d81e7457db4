"""Writes the pipelines of a project as pipeline files: small, readable, and the same bytes for the same project."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path, PurePosixPath
from pprint import pformat
from typing import Any

from starlake_core import sanitize_id

from .catalogue import Item
from .errors import ProjectError
from .grouping import Draft
from .publishing import Plan, orchestrations
from .scheduling import Schedules

__all__ = ["earlier_files", "export_files"]

_MARK = "Written by starlake-orchestrate export from the project {}: change the project, and export it again."
"""The line by which an exported file is recognised."""
_ANY_MARK = re.compile(re.escape(_MARK).replace(r"\{\}", "(.*)"))

_WIDTH = 110


def earlier_files(output: Path, files: Iterable[str], name: str) -> list[Path]:
    """Return the files in a folder that an earlier export of a project wrote.

    Args:
        output: the folder.
        files: the names of the files that are about to be written there.
        name: what the project is called in the files.

    Raises:
        ProjectError: one of the files to be written exists, and was not written by an export of this project.
    """
    wanted = set(files)
    found = []
    for path in sorted(output.glob("*.py")):
        mark = _ANY_MARK.search(path.read_text(encoding="utf-8", errors="replace"))
        if mark is not None and mark[1] == _text(name):
            found.append(path)
        elif path.name in wanted:
            owner = "somebody wrote it" if mark is None else f"the project {mark[1]} was exported to it"
            raise ProjectError(
                f"{path} is not a file of an earlier export of the project {name}: {owner}; "
                "move it away, use another folder, or name the project as before with --name"
            )
    return found


def export_files(
    plan: Plan,
    orchestrator: str,
    environment: str | None = None,
    options: Mapping[str, Any] | None = None,
    name: str = "",
) -> dict[str, str]:
    """Return the pipeline files of a project, by name.

    Args:
        plan: the pipelines of the project.
        orchestrator: the orchestrator of the files.
        environment: the environment; by default that of each dag.
        options: options for all pipelines.
        name: what the project is called in the files; the name of its folder by default.

    Raises:
        ProjectError: a file of the project is broken; lists all of them.
    """
    if plan.faults:
        raise ProjectError("\n".join(fault.message for fault in plan.faults))
    if not plan.drafts.drafts:
        raise ProjectError(
            f"{plan.project.root} has no pipelines to export: it has no tables and transforms, or none of them has a dagRef or tag"
        )
    by_file: dict[str, list[tuple[Any, Sequence[Draft]]]] = {}
    for settings, drafts in orchestrations(plan, plan.drafts.drafts, environment, options or {}):
        for stem in dict.fromkeys(draft.dag.stem for draft in drafts):
            own = [draft for draft in drafts if draft.dag.stem == stem]
            by_file.setdefault(f"{sanitize_id(PurePosixPath(stem).name)}.py", []).append((settings, own))
    name = _text(name or plan.project.root.name)
    return {file: _file(plan, orchestrator, name, parts) for file, parts in sorted(by_file.items())}


def _text(name: str) -> str:
    """Return a string that may be in a docstring."""
    return " ".join(name.replace("\\", "/").replace('"', "'").split())


def _file(plan: Plan, orchestrator: str, project: str, parts: Sequence[tuple[Any, Sequence[Draft]]]) -> str:
    comments = dict.fromkeys(
        draft.dag.comment.strip() for _, drafts in parts for draft in drafts if draft.dag.comment.strip()
    )
    about = "; ".join(comments) or f"Pipelines of the project {project}"
    safe = " (airflow dag)" if orchestrator == "airflow" else ""
    body = "\n\n".join(_orchestration(plan, orchestrator, settings, drafts) for settings, drafts in parts)
    names = [name for name in _NAMES if re.search(rf"\b{name}\(", body)]
    return f'"""{_text(about)}.{safe}\n\n{_MARK.format(project)}\n"""\n\nfrom starlake_core import {", ".join(names)}\n\n{body}\n'


_NAMES = (
    "Check",
    "Column",
    "Orchestration",
    "StarlakeDependencies",
    "StarlakeDependency",
    "StarlakeDomain",
    "StarlakeSchedule",
    "StarlakeTable",
    "TableDetails",
)


def _orchestration(plan: Plan, orchestrator: str, settings: Any, drafts: Sequence[Draft]) -> str:
    lines = [f"options = {pformat(dict(settings.options), width=_WIDTH, sort_dicts=True)}", ""]
    environment = f", environment={settings.environment!r}" if settings.environment else ""
    lines.append(f"with Orchestration(options, orchestrator={orchestrator!r}{environment}) as orchestration:")
    for number, draft in enumerate(drafts):
        lines += ["", *_pipeline(plan, draft, settings.options)][0 if number else 1 :]
    return "\n".join(lines)


def _pipeline(plan: Plan, draft: Draft, options: Mapping[str, Any]) -> list[str]:
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
            *_details(draft.items),
        ]
    whole = str(options.get("run_dependencies_first", "")).lower() in ("true", "yes", "1")
    items = plan.lineage.closure(draft.items) if whole else draft.items
    lines, names = _nodes(plan, draft, items)
    checks = "checks=True" if draft.kind == "together" else ""
    return [
        *lines,
        f"    lineage = StarlakeDependencies([{', '.join(names)}])",
        f"    with orchestration.sl_create_pipeline(dependencies=lineage, cron={draft.schedule.cron!r}, {given}) as pipeline:",
        f"        pipeline.add_lineage({checks})",
        *_details(sorted(items, key=lambda item: (item.is_task, item.full_name))),
    ]


def _details(items: Iterable[Item]) -> list[str]:
    """Return what the project says about each table."""
    lines: list[str] = []
    for item in items:
        details = item.facts.details()
        if details is not None:
            values = {field.name: getattr(details, field.name) for field in fields(details) if field.name not in _LOCAL}
            lines.append("            TableDetails(")
            lines += [
                f"                {name}={_value(value, 16)},"
                for name, value in values.items()
                if value not in ("", (), 0)
            ]
            lines.append("            ),")
    return ["        pipeline.describe_tables(", *lines, "        )"] if lines else []


_LOCAL = ("source", "template", "values")
"""What is said only where the project is: the files, the query before its variables are filled in, and the fingerprint."""


def _value(value: Any, indent: int) -> str:
    space = " " * indent
    if isinstance(value, str) and "\n" in value:
        return "\n".join(["(", *(f"{space}    {line!r}" for line in value.splitlines(keepends=True)), f"{space})"])
    if isinstance(value, tuple) and value and not isinstance(value[0], str):
        return "\n".join(["(", *(f"{space}    {_short(one)}," for one in value), f"{space})"])
    return repr(value)


def _short(record: Any) -> str:
    """Return a record as it is written, without what it has by default."""
    given = [
        repr(value) if field.name in ("name", "type", "text") else f"{field.name}={value!r}"
        for field in fields(record)
        if (value := getattr(record, field.name)) != field.default
    ]
    return f"{type(record).__name__}({', '.join(given)})"


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


def _nodes(plan: Plan, draft: Draft, items: Iterable[Item]) -> tuple[list[str], list[str]]:
    """Return a line for each node of the lineage, those that are read first, and the names of those that run in the pipeline."""
    own = {item.full_name for item in items}
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
    if item.facts.strategy:
        parts.append(f"write_strategy={item.facts.strategy!r}")
    if item.facts.any_or_all:
        parts.append(f"dataset_triggering_strategy={item.facts.any_or_all!r}")
    return f"StarlakeDependency({', '.join(parts)})"

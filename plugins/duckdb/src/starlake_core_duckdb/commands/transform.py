"""``transform``: a query becomes the rows of a table, in one transaction."""

from __future__ import annotations

import sys

from starlake_core_project import Task

from ..context import Context, refuse_options
from ..errors import ProjectFault, unsupported
from ..transforms import Transform, plan_transform, query_of, run_transform
from ..work import Work

__all__ = ["run"]

_REFUSED = (
    "dry-run",
    "format",
    "interactive",
    "pageNumber",
    "pageSize",
    "recursive",
    "sync-apply",
    "sync-preview",
    "test",
)


def _find(context: Context) -> Task:
    name = context.values["name"]
    if "tags" in context.values:
        raise ProjectFault("transform: --name and --tags cannot be given together; drop --tags")
    if context.values.get("action", "run") != "run":
        raise unsupported(f"transform --action {context.values['action']}")
    refuse_options("transform", context.values, _REFUSED)
    task = context.project.task(name)
    if task is None:
        known = ", ".join(sorted(found.full_name for found in context.project.silently().tasks())) or "none"
        raise ProjectFault(f"transform {name!r} does not exist; a name is domain.task (known: {known})")
    return task


def _report(plan: Transform, rows: int | None, repeated: bool) -> None:
    if repeated:
        sys.stdout.write("already done under this run key\n")
    place = ".".join(plan.target)
    unknown = f"the view {place}" if plan.kind == "VIEW" else "statements run as they are"
    done = unknown if rows is None else f"{rows} row(s) into {place}"
    sys.stdout.write(f"transformed {plan.task.full_name}: {done}\n")


def run(context: Context) -> int:
    """Carry out the command.

    Raises:
        EngineError: the transform does not exist, fails, or needs something that this engine does not support.
        ProjectError: a file of the project is broken, or a variable of the query is missing.
    """
    task = _find(context)
    sql = context.values.get("query")
    if context.values.get("compile"):
        sys.stdout.write(f"{query_of(context, task, sql).sql.rstrip()}\n")
        return 0
    plan = plan_transform(context, task, sql, bool(context.values.get("truncate")))
    _report(plan, *run_transform(context, plan, Work.of(context)))
    return 0

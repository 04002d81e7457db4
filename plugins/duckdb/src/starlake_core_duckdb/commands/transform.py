"""``transform``: queries become the rows of tables, each in one transaction; or the rows of a query are shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from starlake_core_project import Query, Task

from ..context import Context, refuse_options
from ..database import database_path
from ..errors import ProjectFault, unsupported
from ..fingerprint import fingerprint
from ..transforms import Transform, database_of, plan_transform, query_of, run_transform
from ..work import Work

__all__ = ["run"]

_REFUSED = ("dry-run", "format", "sync-apply", "sync-preview", "test")
_ANY = "__ignore__.__ignore__"
"""The name that Starlake accepts for a query without a transform."""


def _known(context: Context) -> str:
    return ", ".join(sorted(found.full_name for found in context.project.silently().tasks())) or "none"


def _find(context: Context) -> list[Task]:
    """The transforms that the command names: one by its name, or with an empty name all that have one of the tags."""
    name, tags = context.values["name"], context.values.get("tags")
    if tags is None or name:
        if tags is not None:
            raise ProjectFault("transform: --name and --tags cannot be given together; drop --tags, or write --name ''")
        task = context.project.task(name)
        if task is None:
            raise ProjectFault(f"transform {name!r} does not exist; a name is domain.task (known: {_known(context)})")
        return [task]
    wanted = set(tags)
    chosen = [task.full_name for task in context.project.silently().tasks() if wanted & set(task.tags)]
    return [task for found in chosen if (task := context.project.task(found)) is not None]


def _show(context: Context, form: str) -> int:
    """Print the rows of a query instead of writing them."""
    from ..looking import show_rows

    if context.values.get("recursive"):
        raise ProjectFault("transform: --interactive writes nothing, and --recursive writes tables; drop one of them")
    name, sql = context.values["name"], context.values.get("query")
    if name == _ANY:
        if sql is None:
            raise ProjectFault(f"transform --name {_ANY} needs --query")
        application = context.project.application
        source = Path("--query")
        connection = application.transform_connection_ref or application.connection_ref
        database = database_path(context, connection, "--query")
        query = Query(context.project.render(sql, source), source)
    else:
        tasks = _find(context)
        if len(tasks) != 1:
            raise ProjectFault("transform --interactive shows the rows of one transform; give its --name")
        query, database = query_of(context, tasks[0], sql), database_of(context, tasks[0])
    show_rows(context, query, database, form)
    return 0


def _report(plan: Transform, rows: int | None, repeated: bool) -> None:
    if repeated:
        sys.stdout.write("already done under this run key\n")
    place = ".".join(plan.target)
    unknown = f"the view {place}" if plan.kind == "VIEW" else "statements run as they are"
    done = unknown if rows is None else f"{rows} row(s) into {place}"
    sys.stdout.write(f"transformed {plan.task.full_name}: {done}\n")


def _run_all(context: Context, named: Sequence[Task]) -> int:
    """Run several transforms, each in a transaction of its own and under a key of its own."""
    from ..task_order import in_order, with_sources

    tasks = with_sources(context, named) if context.values.get("recursive") else in_order(context, named)
    truncate = bool(context.values.get("truncate"))
    names = {task.full_name for task in named}
    plans = [plan_transform(context, task, truncate=truncate and task.full_name in names) for task in tasks]
    work = Work.of(context)
    for plan in plans:
        # A repeated command continues with the first transform that is not done.
        own = replace(work, arguments_hash=fingerprint(context.command, (*context.arguments, plan.task.full_name)))
        _report(plan, *run_transform(context, plan, own))
    if not plans:
        sys.stdout.write("no transform has one of these tags\n")
    return 0


def run(context: Context) -> int:
    """Carry out the command.

    Raises:
        EngineError: a transform does not exist, fails, or needs something that this engine does not support.
        ProjectError: a file of the project is broken, or a variable of a query is missing.
    """
    if context.values.get("action", "run") != "run":
        raise unsupported(f"transform --action {context.values['action']}")
    refuse_options("transform", context.values, _REFUSED)
    sql = context.values.get("query")
    form = context.values.get("interactive")
    if form is not None and not context.values.get("compile"):
        return _show(context, form)
    for option in ("pageSize", "pageNumber"):
        if option in context.values:
            raise ProjectFault(
                f"transform --{option} is for --interactive; add --interactive table, or drop --{option}"
            )
    named = _find(context)
    several = context.values.get("recursive") or "tags" in context.values
    if sql is not None and several:
        raise ProjectFault("transform: --query is for one transform; drop --recursive and --tags")
    if context.values.get("compile"):
        for task in named:
            sys.stdout.write(f"{query_of(context, task, sql).sql.rstrip()}\n")
        return 0
    if several:
        return _run_all(context, named)
    plan = plan_transform(context, named[0], sql, bool(context.values.get("truncate")))
    _report(plan, *run_transform(context, plan, Work.of(context)))
    return 0

"""Reads ``metadata/transform``: the transforms and their queries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .fields import Fields
from .model import Freshness, Task, WriteStrategy
from .sections import read_freshness, read_strategy
from .tables import SUFFIX, is_plain_name
from .text import read_yaml

__all__ = ["read_task", "task_files"]

_QUERIES = (".sql", ".sql.j2")
_KNOWN = (SUFFIX, ".sql.j2", ".sql", ".py")


def task_files(metadata: Path) -> tuple[tuple[str, str], ...]:
    """Folder and file name, without its ending, of every transform; sorted."""
    found: set[tuple[str, str]] = set()
    for path in (metadata / "transform").glob("*/*"):
        ending = next((known for known in _KNOWN if path.name.endswith(known)), None)
        if ending and path.name[0] not in "._":
            found.add((path.parent.name, path.name[: -len(ending)]))
    return tuple(sorted(found))


def _union(parent: tuple[str, ...], child: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*parent, *child)))


def _first(folder: Path, name: str, endings: tuple[str, ...]) -> Path | None:
    return next((path for ending in endings if (path := folder / f"{name}{ending}").is_file()), None)


def read_task(metadata: Path, directory: str, name: str, variables: Mapping[str, str]) -> Task | None:
    """One transform, the defaults of its domain merged in.

    The child wins for schedule, dagRef, parseSQL, connectionRef and writeStrategy; tags and presql are
    joined; for freshness and sink Starlake lets the domain win, and so does this.

    Args:
        directory: the folder below ``metadata/transform``.
        name: the file's name without its ending.

    Returns:
        None when there is no such file.

    Raises:
        ProjectError: a file is broken.
    """
    folder = metadata / "transform" / directory
    if not is_plain_name(directory) or not is_plain_name(name) or name[0] in "._":
        return None
    path, sql, python = (_first(folder, name, endings) for endings in ((SUFFIX,), _QUERIES, (".py",)))
    described = path or sql or python
    if described is None:
        return None
    config_path = folder / f"_config{SUFFIX}"
    config = Fields.document(read_yaml(config_path, variables) if config_path.is_file() else None, config_path).child(
        "transform"
    )
    parent = config.child("default")
    child = Fields.document(read_yaml(path, variables) if path else None, described).child("task")
    logical = child.text("name") or name
    freshness, strategy = read_freshness(parent), read_strategy(child)
    parse_sql = child.flag("parseSQL")
    return Task(
        name=logical,
        domain=child.text("domain") or config.text("name") or directory,
        table=child.text("table") or logical,
        path=described,
        sql_path=sql,
        python_path=python,
        inline_sql=child.text("sql"),
        schedule=child.text("schedule") or parent.text("schedule"),
        dag_ref=child.text("dagRef") or parent.text("dagRef"),
        freshness=freshness if freshness != Freshness() else read_freshness(child),
        tags=_union(parent.texts("tags"), child.texts("tags")),
        write_strategy=strategy if strategy != WriteStrategy() else read_strategy(parent),
        connection_ref=child.text("connectionRef") or parent.text("connectionRef"),
        sink_connection_ref=parent.child("sink").text("connectionRef") or child.child("sink").text("connectionRef"),
        parse_sql=parse_sql if parse_sql is not None else parent.flag("parseSQL"),
        presql=_union(parent.texts("presql"), child.texts("presql")),
        postsql=_union(parent.texts("postsql"), child.texts("postsql")),
        streams={**parent.mapping("streams"), **child.mapping("streams")},
        task_timeout_ms=child.number("taskTimeoutMs"),
        has_expectations=bool(child.values.get("expectations") or parent.values.get("expectations")),
    )

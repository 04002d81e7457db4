"""Reads ``metadata/transform``: the transforms and their queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .keys import texts
from .model import Task
from .reader import Reader
from .schema import Freshness, JobFile, JobKeys, Sink, TaskFile, TaskKeys, WriteStrategy
from .tables import SUFFIX, is_plain_name

__all__ = ["read_job", "read_task", "task_files"]

_QUERIES = (".sql", ".sql.j2")
_KNOWN = (SUFFIX, ".sql.j2", ".sql", ".py")


def task_files(metadata: Path) -> tuple[tuple[str, str], ...]:
    """Return the folder and the file name without suffix of every transform, sorted. Leaves out transforms inside ``_config.sl.yml``."""
    found: set[tuple[str, str]] = set()
    for path in (metadata / "transform").glob("*/*"):
        ending = next((known for known in _KNOWN if path.name.endswith(known)), None)
        if ending and path.name[0] not in "._":
            found.add((path.parent.name, path.name[: -len(ending)]))
    return tuple(sorted(found))


def _union(parent: tuple[str, ...], child: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*parent, *child)))


def _over(sinks: Sequence[Sink]) -> Sink:
    """Merge sinks key by key; the first one that sets a key wins."""
    values = {
        name: next((value for sink in sinks if (value := getattr(sink, name)) is not None), None)
        for name in Sink.__struct_fields__
    }
    return Sink(**values)


def _first(folder: Path, name: str, endings: tuple[str, ...]) -> Path | None:
    return next((path for ending in endings if (path := folder / f"{name}{ending}").is_file()), None)


def read_job(metadata: Path, directory: str, reader: Reader) -> JobKeys:
    """Return the settings for all transforms of a folder; empty if it has no ``_config.sl.yml``.

    Raises:
        ProjectError: the file is invalid.
    """
    path = metadata / "transform" / directory / f"_config{SUFFIX}"
    return (reader.read(path, JobFile).transform if path.is_file() else None) or JobKeys()


def read_task(metadata: Path, directory: str, name: str, reader: Reader) -> Task | None:
    """Read one transform, merged with the defaults of its domain.

    The transform wins for schedule, dagRef, parseSQL, connectionRef and writeStrategy. Tags, presql and postsql are joined. The domain wins for
    freshness and sink, as in Starlake.

    Args:
        directory: the folder below ``metadata/transform``.
        name: the name of the file without its suffix.

    Returns:
        The transform, or None if there is no such file.

    Raises:
        ProjectError: a file is invalid.
    """
    folder = metadata / "transform" / directory
    if not is_plain_name(directory) or not is_plain_name(name) or name[0] in "._" or not folder.is_dir():
        return None
    job = read_job(metadata, directory, reader)
    path, sql, python = (_first(folder, name, endings) for endings in ((SUFFIX,), _QUERIES, (".py",)))
    inline = next((task for task in job.tasks or () if task.name == name), None) if path is None else None
    described = path or (folder / f"_config{SUFFIX}" if inline is not None else sql or python)
    if described is None:
        return None
    parent = job.default or TaskKeys()
    child = (reader.read(path, TaskFile).task if path else inline) or TaskKeys()
    logical = child.name or name
    freshness, strategy = parent.freshness or Freshness(), child.write_strategy or WriteStrategy()
    sinks = [sink for sink in (parent.sink, child.sink) if sink is not None]
    return Task(
        name=logical,
        domain=child.domain or job.name or directory,
        table=child.table or logical,
        path=described,
        sql_path=sql,
        python_path=python,
        inline_sql=child.sql,
        schedule=child.schedule or parent.schedule,
        dag_ref=child.dag_ref or parent.dag_ref,
        freshness=freshness if freshness != Freshness() else child.freshness or freshness,
        tags=_union(texts(parent.tags), texts(child.tags)),
        write_strategy=strategy if strategy != WriteStrategy() else parent.write_strategy or strategy,
        connection_ref=child.connection_ref or parent.connection_ref,
        sink_connection_ref=next((sink.connection_ref for sink in sinks if sink.connection_ref), None),
        sink=_over(sinks),
        parse_sql=child.parse_sql if child.parse_sql is not None else parent.parse_sql,
        presql=_union(texts(parent.presql), texts(child.presql)),
        postsql=_union(texts(parent.postsql), texts(child.postsql)),
        streams=_union(texts(parent.streams), texts(child.streams)),
        task_timeout_ms=child.task_timeout_ms if child.task_timeout_ms is not None else parent.task_timeout_ms,
        primary_key=texts(child.primary_key) or texts(parent.primary_key),
        partition=texts(child.partition) or texts(parent.partition),
        expectations=(*(parent.expectations or ()), *(child.expectations or ())),
        keys=child,
        default_keys=parent,
    )

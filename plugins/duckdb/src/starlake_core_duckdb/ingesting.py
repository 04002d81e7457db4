"""The path of a data file through the directories: stage, ingesting, archive.

While a table is loaded its files have unique names in the ingesting folder. The database records those
names in the transaction that holds the rows, so a later load that finds a file there knows whether its rows are in.
"""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starlake_core_project import Domain, ProjectError, Table

from .context import Context
from .driver import duckdb
from .files import data_files, free_name, matches, owner
from .locks import locked
from .moves import finish_moves, move

__all__ = [
    "Claimed", "archive", "claim", "clear_work", "give_back", "leftovers", "loaded_names", "loaded_paths",
    "sweep_unresolved", "work_directory",
]  # fmt: skip

_log = logging.getLogger(__name__)
_PREFIX = len(uuid.uuid4().hex) + 1


@dataclass(frozen=True)
class Claimed:
    """A file in the ingesting folder, and the table that it is for."""

    table: Table
    path: Path

    @property
    def name(self) -> str:
        """The name that it came with."""
        return self.path.name[_PREFIX:]


def _directory(context: Context, table: Table) -> Path:
    return context.ingesting(table.domain) / table.name


def work_directory(context: Context, table: Table) -> Path:
    """Where copies of the table's files are during a load. It belongs to the holder of the table's lock."""
    return context.ingesting(table.domain) / f".{table.name}.work"


def clear_work(context: Context, tables: Sequence[Table]) -> None:
    """Remove the copies that a load made, or that an interrupted load left. The caller holds the tables' locks."""
    for table in tables:
        shutil.rmtree(work_directory(context, table), ignore_errors=True)


def leftovers(context: Context, table: Table) -> list[Claimed]:
    """The files that an earlier load of the table did not finish. The caller holds the table's lock."""
    finish_moves(_directory(context, table))
    found = [Claimed(table, path) for path in data_files(_directory(context, table)) if len(path.name) > _PREFIX]
    return sorted(found, key=lambda item: (item.name, item.path))


def _all_tables(context: Context, domain: Domain, selected: Sequence[Table]) -> tuple[Sequence[Table], bool]:
    """Every table of the domain, and whether that is true: a broken neighbour must not stop a load."""
    try:
        return context.project.tables(domain), True
    except ProjectError as error:
        _log.warning("files of other tables stay in %s: %s", context.stage(domain.name), error)
        return selected, False


def claim(context: Context, domain: Domain, selected: Sequence[Table]) -> list[Claimed]:
    """Move the files of some tables from stage to ingesting. The caller holds the tables' locks.

    A file that fits several tables of the domain belongs to the first of them by name. What a failed load of Starlake left in
    ingesting is taken too: Starlake itself never looks at it again.
    """
    wanted = {table.name for table in selected}
    claimed: list[Claimed] = []
    with locked(context.domain_lock(domain.name)):
        for area in (context.stage, context.ingesting, context.archive, context.unresolved):
            finish_moves(area(domain.name))
        waiting = data_files(context.stage(domain.name))
        if not context.compat:
            waiting += data_files(context.ingesting(domain.name))
        tables, _ = _all_tables(context, domain, selected) if waiting else ((), True)
        for path in waiting:
            table = owner(tables, path.name)
            if table is None or table.name not in wanted:
                continue
            others = [other.name for other in tables if other is not table and matches(other, path.name)]
            if others:
                _log.warning("%s fits %s and also %s; it is loaded into the first", path.name, table.name, others)
            if path.parent == context.ingesting(domain.name):
                _log.warning("%s was left by a load that failed; it is loaded into %s", path, table.name)
            target = _directory(context, table) / f"{uuid.uuid4().hex}-{path.name}"
            move(path, target)
            claimed.append(Claimed(table, target))
    return claimed


def sweep_unresolved(context: Context, domain: Domain) -> None:
    """Move the staged files that belong to no table of the whole domain to the unresolved folder."""
    with locked(context.domain_lock(domain.name)):
        waiting = data_files(context.stage(domain.name))
        tables, complete = _all_tables(context, domain, ()) if waiting else ((), False)
        for path in waiting if complete else ():
            if owner(tables, path.name) is None:
                target = free_name(context.unresolved(domain.name), path.name)
                move(path, target)
                _log.warning("%s belongs to no table of %s; it is now %s", path.name, domain.name, target)


def give_back(context: Context, claimed: Sequence[Claimed]) -> None:
    """Move files whose load failed back to stage, where a check sees them; one whose name is taken waits here.

    Starlake leaves them in ingesting.
    """
    for item in claimed:
        area = context.ingesting if context.compat else context.stage
        target = area(item.table.domain) / item.name
        with locked(context.domain_lock(item.table.domain)):
            if item.path.exists() and not os.path.lexists(target):
                move(item.path, target)


def loaded_paths(connection: duckdb.DuckDBPyConnection, table: Table) -> set[str]:
    """The files in ingesting whose rows are in the database, as their paths were then."""
    rows = connection.execute(
        'SELECT path FROM starlake_core.loaded_files WHERE domain = $domain AND "table" = $table',
        {"domain": table.domain, "table": table.name},
    ).fetchall()
    return {row[0] for row in rows}


def loaded_names(connection: duckdb.DuckDBPyConnection, table: Table) -> set[str]:
    """The names in ingesting of the files whose rows are in the database.

    No two files ever have the same one, and it stays when the project is moved, mounted elsewhere or reached by a link.
    """
    return {Path(path).name for path in loaded_paths(connection, table)}


def archive(context: Context, claimed: Sequence[Claimed]) -> None:
    """Move loaded files to the archive, where an older file of the same name keeps its name, or delete them if the project keeps none."""
    for item in claimed:
        with locked(context.domain_lock(item.table.domain)):
            if not item.path.exists():
                continue
            if context.project.application.archive is False:
                item.path.unlink()
            else:
                move(item.path, free_name(context.archive(item.table.domain), item.name))

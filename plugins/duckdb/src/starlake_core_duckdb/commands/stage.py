"""``stage``: files move from the incoming folder of a domain to the stage folder."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from starlake_core_project import Domain, Table

from ..context import Context
from ..errors import EngineError, ProjectFault
from ..files import ack_companion, data_files, matches
from ..locks import locked
from ..moves import finish_moves, move
from ..selection import warn_of_unknown

__all__ = ["incoming_directory", "incoming_files", "run"]

_log = logging.getLogger(__name__)


def incoming_directory(context: Context, domain: Domain) -> Path:
    """Where the files of a domain arrive.

    Raises:
        EngineError: the domain has no ``metadata.directory``.
    """
    if not domain.metadata.directory:
        raise ProjectFault(
            f'directory attribute is mandatory for the "stage" command; '
            f"add metadata.directory to {domain.path / '_config.sl.yml'}"
        )
    return context.project.root / domain.metadata.directory


def incoming_files(directory: Path, tables: Sequence[Table]) -> list[tuple[Path, Path | None]]:
    """The complete files of some tables, each with the ack file that marks it as complete."""
    found: list[tuple[Path, Path | None]] = []
    for path in data_files(directory):
        table = next((table for table in tables if matches(table, path.name)), None)
        if table is None:
            continue
        ack = ack_companion(path, table.metadata.ack)
        if ack is None or (ack != path and not ack.is_symlink() and ack.is_file()):
            found.append((path, ack))
    return found


def _stage_domain(context: Context, domain: Domain, tables: Sequence[Table]) -> None:
    source, target = incoming_directory(context, domain), context.stage(domain.name)
    moved = 0
    ambiguous: list[str] = []
    with locked(context.domain_lock(domain.name)):
        finish_moves(target)
        if not source.is_dir():
            _log.warning("the incoming directory %s of domain %s does not exist", source, domain.name)
        for path, ack in incoming_files(source, tables):
            if os.path.lexists(target / path.name):
                _log.warning(
                    "%s stays where it is: an older file with that name is still in %s; load that file first",
                    path,
                    target,
                )
                continue
            move(path, target / path.name)
            if ack is not None:
                ack.unlink(missing_ok=True)
            moved += 1
            fitting = [table.name for table in tables if matches(table, path.name)]
            if len(fitting) > 1:
                ambiguous.append(f"{path.name} fits {' and '.join(fitting)}")
    sys.stdout.write(f"staged {domain.name}: {moved} file(s)\n")
    if ambiguous:
        raise EngineError(
            f"{'; '.join(ambiguous)}: files are staged, and will be loaded into the first table; "
            f"give the tables of {domain.name} patterns that share no file"
        )


def run(context: Context) -> int:
    """Carry out the command. It ignores unknown domains and tables, as Starlake does.

    Raises:
        EngineError: a domain has no folder, or a file fits several tables. As in Starlake, later domains are not staged then.
        ProjectError: a file of the project is broken.
    """
    domains = context.values.get("domains")
    # Starlake reads --tables only together with --domains.
    names = context.values.get("tables") if domains is not None else None
    warn_of_unknown(context, domains, names)
    for domain in context.selected_domains(domains):
        tables = context.project.tables(domain, names)
        if tables:
            _stage_domain(context, domain, tables)
    return 0

"""Warnings about names in a command that the project does not have."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from starlake_core_project import ProjectError, Table

from starlake_core.errors import did_you_mean

from .context import Context

__all__ = ["warn_of_unknown"]

_log = logging.getLogger(__name__)


def warn_of_unknown(context: Context, domains: Sequence[str] | None, tables: Sequence[str] | None) -> None:
    """Warn about domains and tables that the project does not have. Starlake ignores them silently, and the command succeeds.

    Args:
        domains: as given; None for all.
        tables: as given; None for all.
    """
    try:
        _warn(context, domains, tables)
    except ProjectError as error:  # in a file that the command itself does not read
        _log.warning("some of the names are unknown, and similar names cannot be suggested: %s", error)


def _warn(context: Context, domains: Sequence[str] | None, tables: Sequence[str] | None) -> None:
    project = context.project.silently()
    folders = project.domain_names()
    for name in sorted(set(domains or ()) - set(folders)):
        others: dict[str, set[str]] = {}
        for folder in folders:
            domain = project.domain(folder)
            for other in (domain.name, domain.final_name) if domain is not None else ():
                others.setdefault(other, set()).add(folder)
        _log.warning(
            "there is no domain %r in metadata/load, so nothing is done for it%s", name, _hint(name, folders, others)
        )
    chosen = [
        found for name in (folders if domains is None else domains) if (found := project.domain(name)) is not None
    ]
    known = {name for domain in chosen for name in domain.table_names}
    unknown = sorted(set(tables or ()) - known)
    if not unknown or not chosen:
        return
    finals = _final_names(table for domain in chosen for table in project.tables(domain))
    where = ", ".join(domain.name for domain in chosen)
    for name in unknown:
        _log.warning("there is no table %r in %s, so nothing is done for it%s", name, where, _hint(name, known, finals))


def _final_names(tables: Iterable[Table]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for table in tables:
        found.setdefault(table.final_name, set()).add(table.path.name.removesuffix(".sl.yml"))
    return found


def _hint(name: str, known: Iterable[str], others: Mapping[str, set[str]]) -> str:
    """What the name may mean instead."""
    meant = others.get(name)
    if meant:
        return f"; the command line calls it {' or '.join(sorted(meant))}"
    return f".{did_you_mean(name, sorted(known))}" if did_you_mean(name, sorted(known)) else ""

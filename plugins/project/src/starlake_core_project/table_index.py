"""Finds the tables of a project by name, among loads and transforms."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from .model import Application
from .reader import Reader
from .tables import SUFFIX, domain_names, read_domain, read_table
from .tasks import read_task, task_files
from .yaml_text import read_text

__all__ = ["tables_named"]

_COMPOSED = re.compile(r"""\b(?:name|rename|table)["']?\s*:[^,}\n]*(?:\{\{|\{%|\$\{)""")


def _may_say(path: Path, names: Collection[str]) -> bool:
    """Return whether a file may name one of the tables. Most files do not, and need not be parsed."""
    if not path.is_file():
        return False
    text = read_text(path)
    lower = text.lower()
    return any(name in lower for name in names) or _COMPOSED.search(text) is not None


def tables_named(application: Application, names: Collection[str], reader: Reader) -> dict[str, set[tuple[str, str]]]:
    """Find the tables with the given names, and return the domain and table names that the database uses.

    Args:
        application: the application of the project.
        names: the names of tables, in lower case.
        reader: a reader that does not report undefined variables.

    Raises:
        ProjectError: a file that may name one of the tables is invalid.
    """
    found: dict[str, set[tuple[str, str]]] = {name: set() for name in names}
    metadata = application.metadata
    for folder in domain_names(metadata):
        domain = read_domain(application, folder, reader)
        for name in domain.table_names if domain is not None else ():
            path = (metadata / "load" / folder) / f"{name}{SUFFIX}"
            if domain is None or (path.is_file() and name.lower() not in found and not _may_say(path, names)):
                continue
            table = read_table(domain, name, reader)
            if table is not None and table.final_name.lower() in found:
                found[table.final_name.lower()].add((table.final_domain, table.final_name))
    for folder, name in task_files(metadata):
        path = metadata / "transform" / folder / f"{name}{SUFFIX}"
        if name.lower() not in found and not _may_say(path, names):
            continue
        task = read_task(metadata, folder, name, reader)
        if task is not None and task.table.lower() in found:
            found[task.table.lower()].add((task.domain, task.table))
    return found

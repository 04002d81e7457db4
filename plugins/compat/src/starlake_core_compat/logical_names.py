"""Corrects final names of the warehouse to the logical names that the command line needs, if the project is at hand.

The generator writes final names into the files that load. A command with a name that the project does not have succeeds and does nothing.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlake_core.logs import get_logger

__all__ = ["NO_PROJECT", "LogicalNames", "names_of_project"]

logger = get_logger(__name__)


@dataclass(frozen=True)
class LogicalNames:
    """The names that the command line uses for domains and tables.

    Attributes:
        project: the project with the names; None if it is not at hand.
    """

    project: Any = None
    _tables: dict[str, Mapping[str, str]] = field(default_factory=dict, repr=False, compare=False)

    def domain(self, name: str) -> str:
        """The logical name of a domain, by its logical or final name; the name itself if the project has none.

        Args:
            name: the name in the file.
        """
        if self.project is None or name in self.project.domain_names():
            return name
        for logical in self.project.domain_names():
            found = self.project.domain(logical)
            if found is not None and found.final_name == name:
                return str(found.name)
        return name

    def table(self, domain: str, name: str) -> str:
        """The logical name of a table, by its logical or final name; the name itself if the project has none.

        Args:
            domain: the logical name of its domain.
            name: the name in the file.
        """
        found = self.project.domain(domain) if self.project is not None else None
        if found is None or name in found.table_names:
            return name
        if domain not in self._tables:
            self._tables[domain] = {table.final_name: table.name for table in self.project.tables(found)}
        return self._tables[domain].get(name, name)

    def right(self, domain: str, tables: Iterable[str], where: str) -> tuple[str, dict[str, str]]:
        """The logical names of a domain and of its tables, with a warning if a file has others.

        Args:
            domain: the name of the domain in the file.
            tables: the names of the tables in the file.
            where: the pipeline, for the warning.

        Returns:
            The logical name of the domain, and a mapping of the names of tables in the file to those of the command line.
        """
        names = sorted(tables)
        try:
            logical = self.domain(domain)
            found = {name: self.table(logical, name) for name in names}
        except Exception as error:  # commands that read the project report its problems
            logger.debug("the names of %s are left as they are: %s", domain, error)
            return domain, {name: name for name in names}
        pairs = [(domain, logical), *found.items()]
        wrong = [f"{name} ({right})" for name, right in pairs if name != right]
        if wrong:
            logger.warning(
                "%s: the command line does not know the final names %s, so it receives the logical names in brackets. Write name='logical' and "
                "final_name='final' in the file",
                where,
                ", ".join(wrong),
            )
        return logical, found


NO_PROJECT = LogicalNames()


def names_of_project(variables: Mapping[str, str]) -> LogicalNames:
    """The names of the project that some options name, if it is on this machine and can be read.

    Args:
        variables: the variables of the option ``sl_env_var``.
    """
    root = variables.get("SL_ROOT") or os.environ.get("SL_ROOT", "")
    if not root or "://" in root or not Path(root, "metadata", "load").is_dir():
        return NO_PROJECT
    return _opened(os.path.abspath(root), variables.get("SL_ENV", ""))


@functools.lru_cache(maxsize=16)
def _opened(root: str, env: str) -> LogicalNames:
    try:
        from starlake_core_project import Project

        return LogicalNames(Project.load(Path(root), env=env or None))
    except Exception as error:  # no reader is installed, or it cannot read the project
        logger.debug("project %s cannot be read for logical names: %s", root, error)
        return NO_PROJECT

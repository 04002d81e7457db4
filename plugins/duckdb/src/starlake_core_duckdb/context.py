"""What every command needs to know: the project, the folders, and the settings of the process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from starlake_core_project import Domain, Project, Table, parse_scheduled_date

from .compressed import VARIABLE, read_size
from .errors import ProjectFault, unsupported

__all__ = ["Context", "open_context", "open_project", "refuse_options"]


STORAGE_VERSION = "v1.2.0"
"""The format of a new database, which every DuckDB that Starlake ships can open."""


@dataclass(frozen=True)
class Context:
    """One call of the program.

    Attributes:
        command: ``load``.
        arguments: everything after the command, as it was given.
        values: the parsed options.
        run_key: the name of the work, or None if it has none.
        instance: the instance of the run that the work belongs to; empty if not given.
        former: the name of the work in the previous version; empty if it is the same.
        max_decompressed: how many bytes may come out of one compressed file.
        compat: whether to do what Starlake does where the engine's own way is better (``SL_DUCKDB_COMPAT=starlake``).
        storage_version: the format of a database that is made: every DuckDB from that version on can open it.
    """

    project: Project
    command: str
    arguments: tuple[str, ...]
    values: Mapping[str, Any]
    run_key: str | None
    instance: str
    former: str
    timezone: str
    duckdb_path: str | None
    reject_all_on_error: bool
    print_counters: bool
    max_decompressed: int
    compat: bool = False
    storage_version: str = STORAGE_VERSION

    def stage(self, domain: str) -> Path:
        """Where the files of a domain wait to be loaded."""
        return self.project.application.datasets / self.project.application.areas.stage / domain

    def ingesting(self, domain: str) -> Path:
        """Where the files of a domain are while they are loaded."""
        return self.project.application.datasets / self.project.application.areas.ingesting / domain

    def archive(self, domain: str) -> Path:
        """Where the files of a domain are kept once they are loaded."""
        return self.project.application.datasets / self.project.application.areas.archive / domain

    def unresolved(self, domain: str) -> Path:
        """Where files that belong to no table of their domain go."""
        return self.project.application.datasets / self.project.application.areas.unresolved / domain

    def domain_lock(self, domain: str) -> Path:
        """The lock file to hold while files of a domain are moved."""
        return self.ingesting(domain) / ".lock"

    def table_lock(self, table: Table) -> Path:
        """The lock file to hold while a table is loaded: its files in the ingesting folder belong to the holder."""
        return self.ingesting(table.domain) / f".{table.name}.lock"

    def selected_domains(self, names: list[str] | None) -> tuple[Domain, ...]:
        """Those of the named domains that exist, or all domains; sorted."""
        wanted = self.project.domain_names() if names is None else sorted(set(names))
        return tuple(domain for name in wanted if (domain := self.project.domain(name)) is not None)


def refuse_options(command: str, values: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Refuse options that would change the meaning of a command if they were ignored.

    Raises:
        ProjectFault: one of the options was given.
    """
    given = [f"--{name}" for name in names if name in values]
    if given:
        raise unsupported(f"{command} {' '.join(given)}")


def open_project(
    command: str, values: Mapping[str, Any], environ: Mapping[str, str], *, warn: bool = True
) -> tuple[Project, str]:
    """Open the project of a command.

    Args:
        command: the name of the command.
        values: the parsed options.
        environ: the process environment.
        warn: warn about undefined variables.

    Returns:
        The project, and the name of the time zone.

    Raises:
        ProjectFault: ``SL_ROOT``, ``SL_TIMEZONE`` or ``SL_DUCKDB_COMPAT`` is missing or wrong.
        ProjectError: the project cannot be read.
    """
    root = environ.get("SL_ROOT")
    if not root:
        raise ProjectFault(
            "SL_ROOT not defined; set it to the directory of the Starlake project, the one that holds metadata/"
        )
    if "://" in root and not root.startswith("file://"):
        raise ProjectFault(
            f"SL_ROOT is {root}, and this engine reads a project on this machine only; give a local directory, or use the "
            "Starlake command line for a project in a bucket"
        )
    compat = _compat(environ)
    zone_name = environ.get("SL_TIMEZONE") or "UTC"
    scheduled = values.get("scheduledDate")
    variables = dict(values.get("options") or {})
    text = (scheduled or "").replace("T", " ")
    # Starlake accepts quotes around the date of a load, and only there.
    text = text.replace("'", "") if command == "load" else text
    if compat:
        scheduled = None  # Starlake accepts the date, and its date variables are those of today
    if scheduled is not None:
        variables = {"sl_scheduled_date": text, **variables}

    def opened(zone: ZoneInfo) -> Project:
        moment = datetime.now(zone) if scheduled is None else parse_scheduled_date(text, zone)
        return Project.load(Path(root), variables=variables, scheduled_date=moment, environ=environ, warn=warn)

    project = opened(_zone(zone_name))
    if project.application.timezone not in (None, zone_name):
        # The file takes precedence over the variable, and the file itself may use the date of the run.
        zone_name = str(project.application.timezone)
        project = opened(_zone(zone_name, "timezone in metadata/application.sl.yml"))
    return project, zone_name


def open_context(
    command: str, arguments: tuple[str, ...], values: Mapping[str, Any], environ: Mapping[str, str]
) -> Context:
    """Read the environment and open the project.

    Args:
        command: the name of the command.
        arguments: what followed it.
        values: the parsed options.
        environ: the process environment.

    Raises:
        ProjectFault: ``SL_ROOT``, ``SL_TIMEZONE``, ``SL_DUCKDB_COMPAT`` or another variable is missing or wrong.
        ProjectError: the project cannot be read.
    """
    project, zone_name = open_project(command, values, environ)
    return Context(
        project=project,
        command=command,
        arguments=arguments,
        values=values,
        run_key=environ.get("SL_RUN_KEY") or None,
        instance=environ.get("SL_RUN_INSTANCE", ""),
        former=environ.get("SL_RUN_FORMER", ""),
        timezone=zone_name,
        duckdb_path=environ.get("SL_DUCKDB_PATH") or None,
        reject_all_on_error=bool(project.application.reject_all_on_error),
        print_counters=bool(environ.get("SL_API")),
        max_decompressed=read_size(environ.get(VARIABLE)),
        compat=_compat(environ),
        storage_version=environ.get("SL_DUCKDB_STORAGE_VERSION") or STORAGE_VERSION,
    )


def _compat(environ: Mapping[str, str]) -> bool:
    value = environ.get("SL_DUCKDB_COMPAT") or ""
    if value not in ("", "starlake"):
        raise ProjectFault(f"SL_DUCKDB_COMPAT is {value!r}; set it to starlake, or unset it")
    return bool(value)


def _zone(name: str, source: str = "SL_TIMEZONE") -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ProjectFault(f"{source} is {name!r}, which is not a time zone; write it as UTC or Europe/Paris") from None

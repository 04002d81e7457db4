"""``infer-schema``: data files become the YAML files of tables."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..context import Context, refuse_options
from ..errors import EngineError, NothingThere, ProjectFault
from ..files import data_files, owner
from ..infer_table import Wanted, infer_table, naming

__all__ = ["data_only", "incoming_area", "infer_files", "run", "unclaimed"]

_log = logging.getLogger(__name__)
_FORMATS = ("DSV", "JSON", "JSON_FLAT", "XML", "PARQUET")
_STRATEGIES = ("APPEND", "OVERWRITE")
_SUFFIX = ".sl.yml"


def _choice(context: Context, option: str, allowed: Sequence[str]) -> str | None:
    given: str | None = context.values.get(option)
    if given is not None and given.upper() not in allowed:
        raise ProjectFault(
            f"infer-schema --{option} {given!r} is not supported by the embedded DuckDB engine; use one of {', '.join(allowed)}"
        )
    return given.upper() if given is not None else None


def _grouped(files: Iterable[Path], wanted: Wanted) -> list[Wanted]:
    """One request for each table that the files are for."""
    found: dict[str, Wanted] = {}
    for path in files:
        name, strategy = naming(path)
        table = wanted.table or name
        before = found.get(table)
        if before is None:
            found[table] = replace(wanted, table=table, files=(path,), write=wanted.write or strategy)
        else:
            found[table] = replace(before, files=(*before.files, path))
    return list(found.values())


def infer_files(
    context: Context,
    files: Iterable[Path],
    wanted: Wanted,
    folder: Path,
    overwrite: bool,
    *,
    skip_empty: bool,
) -> None:
    """Infer the tables of some files, and write their YAML files and that of the domain.

    Args:
        wanted: what the command says; without files, and with an empty name of a table or strategy to find out.
        folder: where the YAML files are written, in a folder for the domain.
        overwrite: replace YAML files that exist.
        skip_empty: warn of tables whose files are all empty, instead of failing.

    Raises:
        EngineError: at least one table cannot be inferred; the others are written.
    """
    failures: list[str] = []
    for table in _grouped(files, wanted):
        target = folder / table.domain / f"{table.table}{_SUFFIX}"
        if target.exists() and not overwrite:
            sys.stdout.write(f"{table.domain}.{table.table} is already defined in {target}; --clean infers it again\n")
            continue
        try:
            columns = infer_table(context, table, target, overwrite)
        except FileExistsError:
            failures.append(f"{target} was written by another program; --clean replaces it")
        except NothingThere as error:
            if not skip_empty:
                failures.append(f"{table.domain}.{table.table}: {error}")
            else:
                _log.warning("%s.%s: %s; it stays where it is", table.domain, table.table, error)
        except (EngineError, OSError) as error:
            failures.append(f"{table.domain}.{table.table}: {error}")
        else:
            names = ", ".join(path.name for path in table.files)
            sys.stdout.write(
                f"inferred {table.domain}.{table.table}: {columns} column(s) from {names}, written to {target}\n"
            )
    # Also for tables that an interrupted command has left without it.
    if any(path.name[0] not in "._" for path in (folder / wanted.domain).glob(f"*{_SUFFIX}")):
        _write_domain(context, folder / wanted.domain, wanted.domain)
    if failures:
        raise EngineError("\n".join(failures))


def incoming_area(context: Context) -> Path:
    """The folder with a folder for each domain: below the datasets, or as in Starlake's guide below the project."""
    application = context.project.application
    area = application.areas.incoming
    found = application.datasets / area
    other = context.project.root / area
    return other if other.is_dir() and not found.is_dir() else found


def _write_domain(context: Context, folder: Path, name: str) -> None:
    """Write ``_config.sl.yml`` of a domain that has none: where its files arrive."""
    import yaml

    target = folder / f"_config{_SUFFIX}"
    if target.exists():
        return
    directory = incoming_area(context) / name
    root = context.project.root
    place = f"{{{{SL_ROOT}}}}/{directory.relative_to(root)}" if directory.is_relative_to(root) else str(directory)
    document = {"version": 1, "load": {"name": name, "metadata": {"directory": place}}}
    aside = folder / f".{name}.{os.getpid()}"
    aside.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000), encoding="utf-8")
    os.replace(aside, target)


def data_only(context: Context, files: Iterable[Path], name: str) -> list[Path]:
    """The files that may hold data: not those that say that another one is complete."""
    domain = context.project.domain(name)
    extensions = {".ack", f".{((domain.metadata.ack if domain else None) or 'ack').lstrip('.')}"}
    return [path for path in files if path.suffix not in extensions]


def unclaimed(context: Context, files: Iterable[Path], domain: str) -> list[Path]:
    """The files that no table of a domain takes yet."""
    tables = context.project.tables(domain)
    return [path for path in files if owner(tables, path.name) is None]


def run(context: Context) -> int:
    """Carry out the command.

    Raises:
        EngineError: a file cannot be read, or a table cannot be inferred.
        ProjectError: a file of the project is broken.
    """
    refuse_options("infer-schema", context.values, ("variant", "from-json-schema"))
    source = context.project.root / context.values["input"]
    several = source.is_dir()
    if not source.exists():
        raise EngineError(f"infer-schema --input: {source} does not exist")
    wanted = Wanted(
        domain=context.values.get("domain") or (source if several else source.parent).name,
        table=context.values.get("table") or "",
        files=(),
        write=_choice(context, "write", _STRATEGIES) or "",
        format=_choice(context, "format", _FORMATS),
        encoding=context.values.get("encoding") or None,
        row_tag=context.values.get("rowTag") or None,
    )
    folder = context.project.root / (context.values.get("outputDir") or context.project.metadata / "load")
    files = data_only(context, data_files(source), wanted.domain) if several else [source]
    infer_files(context, files, wanted, folder, bool(context.values.get("clean")), skip_empty=several)
    return 0

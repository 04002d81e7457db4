"""``autoload``: infers the tables of all files that arrived, and loads them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..context import Context
from ..errors import EngineError
from ..files import data_files
from ..infer_table import Wanted, naming
from . import load, stage
from .infer_schema import data_only, incoming_area, infer_files, unclaimed

__all__ = ["run"]


def _folders(context: Context) -> list[Path]:
    area = incoming_area(context)
    if not area.is_dir():
        raise EngineError(f"{area} is not a folder; put the files of a domain into {area}/<domain>/<table>.csv")
    return sorted(path for path in area.iterdir() if path.is_dir() and path.name[0] not in "._")


def _infer(context: Context, folder: Path, tables: Sequence[str] | None, clean: bool) -> None:
    files = data_only(context, data_files(folder), folder.name)
    if not clean:
        files = unclaimed(context, files, folder.name)
    if tables is not None:
        files = [path for path in files if naming(path)[0] in tables]
    wanted = Wanted(domain=folder.name, table="", files=(), write="")
    infer_files(context, files, wanted, context.project.metadata / "load", clean, skip_empty=True)


def run(context: Context) -> int:
    """Carry out the command. A domain whose tables cannot be inferred stops it before anything is loaded.

    Raises:
        EngineError: there is no folder of files that arrive, a table cannot be inferred, or the load fails.
        ProjectError: a file of the project is broken.
    """
    domains, tables = context.values.get("domains"), context.values.get("tables")
    folders = _folders(context)
    others = [folder.name for folder in folders if domains is not None and folder.name not in domains]
    failures = []
    for folder in folders:
        if folder.name not in others:
            try:
                _infer(context, folder, tables, bool(context.values.get("clean")))
            except EngineError as error:
                failures.append(str(error))
    if failures:
        raise EngineError("\n".join(failures))
    if others and context.compat:
        raise EngineError(
            f"Starlake loads nothing because of the folders {', '.join(others)}, which --domains does not name"
        )
    if not folders:
        sys.stdout.write("no files to load\n")
        return 0
    names = {"domains": domains, "tables": tables} if domains is not None else {"tables": tables}
    values = {name: value for name, value in names.items() if value is not None}
    stage.run(replace(context, command="stage", values=values))
    return load.run(replace(context, command="load", values=values))

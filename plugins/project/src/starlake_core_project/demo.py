"""Writes the bakery to a folder of its own: once, without overwriting anything, and resumable after an interruption.

A marker file records that the demo owns the folder, and how far it got. All files are first written to a temporary folder and then moved into place
one by one. Each file is therefore complete or absent, and a call after an interruption moves the rest. A file that was loaded in the meantime does
not arrive twice.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlake_core import Demo, DemoTables, NothingFoundError, RunError
from starlake_core.file_transaction import locked

from .bakery import FIRST_DAYS, INCOMING, data_files, project_files

__all__ = ["MARKER", "show_demo", "write_demo"]

MARKER = ".starlake-demo"
"""The file that marks a folder as written by the demo."""

_ASIDE = ".starlake-demo-new"
_VERSION = 1
_LOADED = ("starbake.Customers", "starbake.Ingredients", "starbake.Orders", "starbake.Products")
_COMPUTED = ("kpi.product_sales", "kpi.customer_value", "kpi.overview")
_TITLE = "The five products that sold best"
_QUERY = """\
SELECT product, category, sold, revenue
FROM kpi.product_sales
ORDER BY revenue DESC, product
LIMIT 5"""


@dataclass(frozen=True)
class _Progress:
    """How far the demo has got in a folder.

    Attributes:
        days: the number of days whose files have all arrived.
        moving: the day whose files are being moved into place; 0 if there is none.
    """

    days: int = 0
    moving: int = 0


def write_demo(folder: Path, again: bool) -> Demo:
    """Write the bakery to a folder, or finish an interrupted call; see the hook ``sl_write_demo``.

    Args:
        folder: a new or empty folder, or one that this function has written.
        again: add the incoming files of the next day.

    Raises:
        NothingFoundError: the folder holds something other than the demo, or ``again`` is set and the folder has no demo.
        RunError: the folder cannot be written.
    """
    try:
        _claim(folder, again)
        with locked(folder):
            return _write(folder, again)
    except OSError as error:
        raise RunError(
            f"cannot write the demo to {folder}: {error.strerror or error}. Name another folder: starlake-orchestrate demo FOLDER"
        ) from error


def _claim(folder: Path, again: bool) -> None:
    """Mark the folder as the demo's, or check that it is."""
    if (folder / MARKER).is_file():
        return
    if folder.exists() and not folder.is_dir():
        raise NothingFoundError(
            f"{folder} is a file; name a folder that is empty or new: starlake-orchestrate demo FOLDER"
        )
    found = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise NothingFoundError(
            f"the folder {folder} is not empty and was not created by the demo, so nothing was changed; it contains {', '.join(found[:3])}{more}. "
            "Name a folder that is empty or new: starlake-orchestrate demo FOLDER"
        )
    if again:
        raise NothingFoundError(
            f"there is no demo in {folder}, so there is no next day to add; create the demo first: starlake-orchestrate demo FOLDER"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()


def _write(folder: Path, again: bool) -> Demo:
    progress = _read(folder)
    if not progress.days and not progress.moving:
        files = project_files()
        for day in range(1, FIRST_DAYS + 1):
            files.update((f"{INCOMING}/{name}", content) for name, content in data_files(day).items())
        progress = _put_aside(folder, files, FIRST_DAYS)
    made = not progress.days
    came: tuple[str, ...] = ()
    if progress.moving:
        came = _move(folder, progress.moving)
        progress = _noted(folder, _Progress(progress.moving))
        again = again and made  # the files that an interrupted call had started to add are those of the next day
    if again:
        day = progress.days + 1
        progress = _put_aside(
            folder, {f"{INCOMING}/{name}": text for name, text in data_files(day).items()}, day, progress.days
        )
        came = (*came, *_move(folder, day))
        _noted(folder, _Progress(day))
    incoming = folder / INCOMING
    waiting = sum(1 for path in incoming.iterdir() if path.is_file()) if incoming.is_dir() else 0
    arrived = tuple((str(folder / name), _described(folder / name)) for name in came if name.startswith(INCOMING))
    return Demo("a bakery", folder / "dags", arrived, waiting, made)


def _read(folder: Path) -> _Progress:
    marker = folder / MARKER
    text = marker.read_text(encoding="utf-8")
    if not text:
        return _Progress()  # the first call was interrupted before it wrote anything
    try:
        found = json.loads(text)
        if found["version"] == _VERSION:
            return _Progress(int(found["days"]), int(found["moving"]))
    except (ValueError, KeyError, TypeError):
        pass
    raise RunError(
        f"{marker} was not written by this version of the demo; name another folder: starlake-orchestrate demo FOLDER"
    )


def _noted(folder: Path, progress: _Progress) -> _Progress:
    aside = folder / f"{MARKER}-writing"
    content: Mapping[str, Any] = {"version": _VERSION, "days": progress.days, "moving": progress.moving}
    aside.write_text(json.dumps(content) + "\n", encoding="utf-8")
    os.replace(aside, folder / MARKER)
    return progress


def _put_aside(folder: Path, files: Mapping[str, bytes], day: int, days: int = 0) -> _Progress:
    """Write all files to the temporary folder; only then may they be moved."""
    taken = [name for name in files if (folder / name).exists()]
    if taken:
        raise RunError(
            f"{folder / taken[0]} already exists, and the demo does not overwrite files; move the file away and try again"
        )
    shutil.rmtree(folder / _ASIDE, ignore_errors=True)
    for name, content in files.items():
        path = folder / _ASIDE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return _noted(folder, _Progress(days, day))


def _move(folder: Path, day: int) -> tuple[str, ...]:
    """Move the files of the temporary folder into place, and return their names."""
    aside = folder / _ASIDE
    names = sorted(path.relative_to(aside).as_posix() for path in aside.rglob("*") if path.is_file())
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(aside / name, folder / name)
    shutil.rmtree(aside, ignore_errors=True)
    return tuple(names)


def _described(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    records = text.count("{") if path.suffix == ".json" else text.count("\n") - 1
    return f"{records} rows"


def show_demo(folder: Path) -> DemoTables | None:
    """Return the contents of the tables of the bakery; see the hook ``sl_show_demo``.

    Args:
        folder: the folder of the bakery.
    """
    database = folder / "datasets" / "duckdb.db"
    if not database.is_file():
        return None
    try:
        import duckdb
    except ImportError:
        return None
    try:
        with duckdb.connect(str(database), read_only=True) as connection:
            there = {
                f"{schema}.{name}".lower()
                for schema, name in connection.execute(
                    "SELECT table_schema, table_name FROM information_schema.tables"
                ).fetchall()
            }
            counts = tuple((name, _count(connection, name)) for name in (*_LOADED, *_COMPUTED) if name.lower() in there)
            if "kpi.product_sales" not in there:
                return DemoTables(counts, str(database))
            result = connection.execute(_QUERY)
            columns = tuple(str(column[0]) for column in result.description or ())
            rows = tuple(tuple("" if value is None else str(value) for value in row) for row in result.fetchall())
            return DemoTables(counts, str(database), _TITLE, _QUERY, columns, rows)
    except duckdb.Error:  # another process is writing to the database, or its version differs
        return None


def _count(connection: Any, name: str) -> int:
    (found,) = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
    return int(found)

"""Writes a new project that runs at once: one table and one transform, or a table for each file that is given."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from starlake_core import NothingFoundError, RunError

__all__ = ["write_project"]

_FILES = {
    "metadata/application.sl.yml": """\
version: 1
application:
  connectionRef: "duckdb"
  connections:
    duckdb:
      type: "jdbc"
      options:
        url: "jdbc:duckdb:{{SL_ROOT}}/datasets/duckdb.db"
        driver: "org.duckdb.DuckDBDriver"
  schedulePresets:
    daily: "0 0 * * *"
""",
    "metadata/load/shop/_config.sl.yml": """\
version: 1
load:
  metadata:
    directory: "{{SL_ROOT}}/datasets/incoming/shop"
""",
}
_EXAMPLE = {
    "metadata/load/shop/orders.sl.yml": """\
version: 1
table:
  pattern: "orders.*.csv"
  primaryKey: ["id"]
  attributes:
    - { name: "id", type: "long", required: true }
    - { name: "day", type: "date" }
    - { name: "amount", type: "decimal" }
  metadata:
    format: "DSV"
    withHeader: true
    separator: ","
    schedule: "daily"
    writeStrategy: { type: "OVERWRITE" }
""",
    "metadata/transform/report/sales.sl.yml": 'version: 1\ntask:\n  writeStrategy: { type: "OVERWRITE" }\n',
    "metadata/transform/report/sales.sql": "SELECT day, count(*) AS orders, sum(amount) AS revenue\nFROM shop.orders\nGROUP BY day\nORDER BY day\n",
    "datasets/incoming/shop/orders_1.csv": "id,day,amount\n1,2026-11-01,12.50\n2,2026-11-01,3.20\n3,2026-11-02,7.00\n",
}


def write_project(folder: Path, files: Sequence[Path]) -> list[Path]:
    """Write a new project, and return its files.

    Args:
        folder: a new or empty folder.
        files: data files, whose tables are inferred; they are copied to the incoming folder. Without files, the project has an example.

    Raises:
        NothingFoundError: the folder is not empty, or a file does not exist.
        RunError: a table cannot be inferred, or the folder cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NothingFoundError(
            f"{folder} is not an empty folder, so nothing was written; name a new one: starlake-orchestrate init FOLDER"
        )
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        raise NothingFoundError(f"there is no file {missing}")
    names = [file.name for file in files]
    twin = next((file for file in files if names.count(file.name) > 1), None)
    if twin is not None:
        raise NothingFoundError(
            f"two files have the name {twin.name}, and both would go to the incoming folder; rename one of them"
        )
    before = folder.exists()
    try:
        _write(folder, files)
    except BaseException:
        # Nothing was there, so that the next attempt can use the folder.
        for path in folder.iterdir() if before else ():
            shutil.rmtree(path, ignore_errors=True)
        if not before:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write(folder: Path, files: Sequence[Path]) -> None:
    try:
        for name, text in {**_FILES, **({} if files else _EXAMPLE)}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for file in files:
            incoming = folder / "datasets/incoming/shop"
            incoming.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, incoming / file.name)
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror or error}") from error
    if not files:
        return
    _infer(folder, files)
    for path in sorted((folder / "metadata/load/shop").glob("[!_]*.sl.yml")):
        table = path.name.removesuffix(".sl.yml")
        word = re.sub(r"\W+", "_", table).strip("_") or "table"
        target = folder / f"metadata/transform/report/{word}_rows.sql"
        target.parent.mkdir(parents=True, exist_ok=True)
        quoted = table if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", table) else '"' + table.replace('"', '""') + '"'
        target.write_text(f'SELECT count(*) AS "rows"\nFROM shop.{quoted}\n', encoding="utf-8")


def _infer(folder: Path, files: Sequence[Path]) -> None:
    for file in files:
        source = folder / "datasets/incoming/shop" / file.name
        vector = [
            sys.executable,
            "-P",
            "-m",
            "starlake_core_duckdb",
            "infer-schema",
            "--input",
            str(source.resolve()),
            "--domain",
            "shop",
        ]
        if sys.version_info < (3, 11):
            vector.remove("-P")
        done = subprocess.run(
            vector, env={**os.environ, "SL_ROOT": str(folder.resolve())}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
            raise RunError(f"the table of {file} cannot be inferred: {reason}")

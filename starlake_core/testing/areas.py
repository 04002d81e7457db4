"""How the Starlake command line handles files: the areas, the order of steps, and where files stay after a failure.

``stage`` moves files from *incoming* to *stage*. ``load`` moves those of its table to *ingesting*, loads them one by
one, and moves each to *archive* once its rows are written. A file that fails stays in *ingesting*, which no later
``load`` reads. A file that belongs to no table goes to *unresolved*. Source: ``IngestionWorkflow.scala`` of Starlake
1.5.16 and 1.8, and measurements with 1.5.16.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["MOMENTS", "Failure", "TableModel", "Warehouse", "act"]

MOMENTS = ("before the move", "in the move", "after the move", "after the rows", "after the archive")
"""The points at which a command of the stand-in can fail: a load at each of them, a transform before or after the rows,
any other command before the move."""

_JAVA_GROUP = re.compile(r"\(\?<(?=[A-Za-z])")


@dataclass(frozen=True)
class TableModel:
    """What the stand-in knows about a table.

    Attributes:
        domain, table: the logical names; for a transform, the two parts of its name.
        pattern: the pattern of its file names.
        strategy: ``APPEND``, ``OVERWRITE`` or ``UPSERT_BY_KEY`` (the key is the first word of a row, up to a comma).
        keyed: whether the strategy has a key. A ``primaryKey`` of the table does not count: without a key the first
            upsert succeeds, and all others fail.
    """

    domain: str
    table: str
    pattern: str = ""
    strategy: str = "APPEND"
    keyed: bool = True

    def fits(self, name: str) -> bool:
        """Return whether a file belongs to the table."""
        pattern = self.pattern or f"{re.escape(self.table)}.*"
        return re.fullmatch(_JAVA_GROUP.sub("(?P<", pattern), name) is not None


class Failure(Exception):
    """The command fails with an error."""


class Warehouse:
    """The tables, each a file of rows below ``datasets/warehouse`` of the project.

    Args:
        root: the root of the project, SL_ROOT.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / "datasets" / "warehouse"

    def rows(self, domain: str, table: str) -> list[str] | None:
        """Return the rows of a table, in order of arrival; None if there is no such table."""
        path = self._folder / f"{domain}.{table}"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else None

    def add(self, model: TableModel, rows: Iterable[str]) -> None:
        """Add rows according to the strategy of the table, all or none.

        Raises:
            Failure: it is an upsert without a key, and the table already has rows.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            new = list(rows)
            old = self.rows(model.domain, model.table) or []
            if model.strategy == "OVERWRITE":
                old = []
            elif model.strategy == "UPSERT_BY_KEY" and old and not model.keyed:
                raise Failure("Parser Error: syntax error at or near ')'")
            elif model.strategy == "UPSERT_BY_KEY":
                keys = {row.partition(",")[0] for row in new}
                old = [row for row in old if row.partition(",")[0] not in keys]
            aside = self._folder / f".{model.domain}.{model.table}.new"
            aside.write_text("".join(f"{row}\n" for row in (*old, *new)), encoding="utf-8")
            os.replace(aside, self._folder / f"{model.domain}.{model.table}")


class _House:
    """One call of the command line on the areas of a project.

    Args:
        root: the root of the project.
        tables: the tables of the project.
        reached: called at each point with its name; it may end the process or raise :class:`Failure`.
    """

    def __init__(self, root: Path, tables: Iterable[TableModel], reached: Callable[[str], None]) -> None:
        self._datasets = root / (os.environ.get("SL_DATASETS") or "datasets")
        self._root = root
        self._tables = list(tables)
        self._reached = reached

    def area(self, name: str, domain: str) -> Path:
        """Return the folder of a domain in an area."""
        return self._datasets / (os.environ.get(f"SL_AREA_{name.upper()}") or name) / domain

    def _files(self, area: str, domain: str) -> list[Path]:
        folder = self.area(area, domain)
        return sorted(f for f in folder.glob("*") if f.is_file() and f.name[0] != ".") if folder.is_dir() else []

    def _move(self, file: Path, area: str, domain: str) -> Path:
        target = self.area(area, domain) / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        return file.replace(target)

    def _wanted(self, domain: str, names: Iterable[str] | None) -> list[TableModel]:
        wanted = None if names is None else set(names)
        return [t for t in self._tables if t.domain == domain and (wanted is None or t.table in wanted)]

    def stage(self, domain: str, names: Iterable[str] | None) -> None:
        """Move the incoming files."""
        self._reached("before the move")
        for file in self._files("incoming", domain):
            if any(table.fits(file.name) for table in self._wanted(domain, names)):
                self._move(file, "stage", domain)

    def load(self, domain: str, names: list[str] | None) -> None:
        """Load the staged files. Without names of tables, files that belong to no table go to *unresolved*."""
        self._reached("before the move")
        failed: list[str] = []
        staged = self._files("stage", domain)
        for table in self._wanted(domain, names):
            mine = [file for file in staged if table.fits(file.name)]
            moved = []
            for number, file in enumerate(mine):
                moved.append(self._move(file, "ingesting", domain))
                if number == 0:
                    self._reached("in the move")
            for file in moved:
                try:
                    self._ingest(table, file)
                except Failure as failure:  # the other files are loaded anyway
                    failed.append(str(failure))
        if names is None:
            known = self._wanted(domain, None)
            for file in self._files("stage", domain):
                if not any(table.fits(file.name) for table in known):
                    self._move(file, "unresolved", domain)
        if failed:
            raise Failure("\n".join(["Some tables failed to be loaded", *failed]))
        sys.stdout.write("All tables loaded successfully\n")

    def _ingest(self, table: TableModel, file: Path) -> None:
        self._reached("after the move")
        rows = file.read_text(encoding="utf-8").splitlines()
        Warehouse(self._root).add(table, rows)
        sys.stdout.write(
            f"ingestion-summary -> files: [file:{file}], domain: {table.domain}, schema: {table.table}, input: {len(rows)}, "
            f"accepted: {len(rows)}, rejected:0\n"
        )
        sys.stdout.flush()
        self._reached("after the rows")
        self._move(file, "archive", table.domain)
        self._reached("after the archive")

    def transform(self, name: str, date: str) -> None:
        """Add a row with the date of the run."""
        domain, _, task = name.partition(".")
        model = next(iter(self._wanted(domain, [task])), TableModel(domain, task))
        self._reached("before the move")
        Warehouse(self._root).add(model, [f"{name},{date}"])
        self._reached("after the rows")

    def is_ready(self, values: Mapping[str, Any]) -> bool:
        """Return what ``preload`` finds. It deletes the acknowledgement file that it finds."""
        self._reached("before the move")
        strategy, domain = str(values.get("strategy", "")).lower(), str(values.get("domain", ""))
        if strategy == "ack":
            path = self._root / str(values.get("globalAckFilePath", ""))
            if not path.is_file():
                return False
            path.unlink()
            self._reached("after the rows")
            return True
        if strategy not in ("imported", "pending"):
            return True
        area = "incoming" if strategy == "imported" else "stage"
        tables = self._wanted(domain, values.get("tables"))
        return any(table.fits(file.name) for file in self._files(area, domain) for table in tables)


def act(
    name: str, values: Mapping[str, Any], tables: Iterable[TableModel], at: str, how: str, go_on: Callable[[], None]
) -> bool:
    """Do what the command line does with the areas of the project in SL_ROOT.

    Args:
        name: the name of the command.
        values: its options.
        tables: the tables of the project.
        at: the one of :data:`MOMENTS` at which something happens; empty for none.
        how: what happens then. ``fails``: the command ends with exit code 1. ``dies``: its process is killed. ``worker
            dies``: the process that started it is killed. ``goes on``: it stays there until it is stopped.
        go_on: returns when the test is over.

    Returns:
        False for a check that is not ready.

    Raises:
        Failure: the command fails with an error.
    """

    def reached(moment: str) -> None:
        if moment != at:
            return
        sys.stdout.flush()
        if how == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        elif how == "worker dies":
            os.kill(os.getppid(), signal.SIGKILL)
        if how != "fails":
            go_on()
        raise Failure(f"it failed {moment}")

    house = _House(Path(os.environ["SL_ROOT"]), tables, reached)
    domains = [str(domain) for domain in values.get("domains") or ()]
    if name == "stage":
        for domain in domains:
            house.stage(domain, values.get("tables"))
    elif name == "load":
        for domain in domains:
            house.load(domain, values.get("tables"))
    elif name == "transform":
        house.transform(str(values.get("name", "")), str(values.get("scheduledDate", "")))
    elif name == "preload":
        return house.is_ready(values)
    return True

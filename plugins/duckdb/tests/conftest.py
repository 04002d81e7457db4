"""A tiny Starlake project to run commands in."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import duckdb
import pytest

from starlake_core import Written
from starlake_core.model.written import WrittenLines


def environment(root: Path, extra: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SL_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "SL_ROOT": str(root), **extra}


@dataclass(frozen=True)
class Result:
    """The end of a command.

    Attributes:
        out: its output, without the lines that are only for runners.
        told: what those lines say.
    """

    code: int
    out: str
    err: str
    told: tuple[Written, ...] = ()

    @classmethod
    def of(cls, code: int, out: str, err: str) -> Result:
        lines = WrittenLines()
        shown = "".join(line for line in out.splitlines(keepends=True) if not lines.take(line))
        return cls(code, shown, err, lines.found)


@dataclass
class Sandbox:
    """A project in a temporary directory.

    ``run`` calls the program in this process, which is quick; ``process`` starts a real one. With ``warm``, or STARLAKE_DUCKDB_WARM=1 for
    all tests, ``run`` does what the warm engine does.

    A new database is a copy of ``made``, an empty one, because to make one takes longer than most tests. Without it, commands make theirs.
    """

    root: Path
    capture: Any
    environ: dict[str, str] = field(default_factory=dict)
    warm: bool = bool(os.environ.get("STARLAKE_DUCKDB_WARM"))
    made: Path | None = None
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def write(self, path: str, text: str, version: str = "version: 1\n") -> Path:
        """Write a file; YAML of the project gets the version of today where it has none."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        text = dedent(text)
        if path.endswith(".sl.yml") and "version" not in text[:20]:
            text = version + text
        target.write_text(text, encoding="utf-8")
        return target

    def table(self, name: str, text: str, domain: str = "shop") -> None:
        self.write(f"metadata/load/{domain}/{name}.sl.yml", text)

    def incoming(self, name: str, text: str) -> Path:
        return self.write(f"incoming/shop/{name}", text)

    def staged(self, name: str, text: str, domain: str = "shop") -> Path:
        return self.write(f"datasets/stage/{domain}/{name}", text)

    def files(self, area: str) -> list[str]:
        """The data files of an area, without locks."""
        folder = self.root / "datasets" / area
        found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        return sorted(str(path.relative_to(folder)) for path in found)

    def run(self, *arguments: str, **environ: str) -> Result:
        from starlake_core_duckdb.cli import main

        self.capture.readouterr()
        variables = environment(self.root, {**self.environ, **environ})
        if arguments[:1] not in (("load",), ("transform",)):
            code = main(arguments, variables)
        else:
            with self.empty_database("SL_DUCKDB_STORAGE_VERSION" in variables):
                if self.warm:
                    return self.run_warm(arguments, variables)
                code = main(arguments, variables)
        out, err = self.capture.readouterr()
        return Result.of(code, out, err)

    @contextmanager
    def empty_database(self, makes: bool = False) -> Iterator[None]:
        """In this block, a project that has no database has an empty one; it is gone after it if nothing was written into it.

        Args:
            makes: whether the command makes its own.
        """
        place = self.root / "datasets" / "duckdb.db"
        if self.made is None or makes or place.exists() or not self.root.is_dir():
            yield
            return
        folder_is_new = not place.parent.exists()
        place.parent.mkdir(exist_ok=True)
        shutil.copyfile(self.made, place)
        before = place.stat().st_mtime_ns
        try:
            yield
        finally:
            if place.stat().st_mtime_ns == before:
                place.unlink()
                if folder_is_new and not any(place.parent.iterdir()):
                    place.parent.rmdir()

    def run_warm(self, arguments: tuple[str, ...], environ: dict[str, str]) -> Result:
        """Run a command as the warm engine does. What needs a process of its own gets this one."""
        from starlake_core_duckdb.cli import main
        from starlake_core_duckdb.engine.commands import ALONE, Command, Shared

        shared = Shared()
        try:
            code = Command(shared, arguments, environ, lambda text: None).run()
        finally:
            shared.tidy(at_once=True)
        if code == ALONE:
            code = main(arguments, environ)
        out, err = self.capture.readouterr()
        return Result.of(code, out, err)

    def python(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=environment(self.root, {**self.environ, **environ}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def kill(self) -> None:
        """End what a test that fails has left running."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def process(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        return self.python("-m", "starlake_core_duckdb", *arguments, **environ)

    def finish(self, process: subprocess.Popen[str]) -> Result:
        out, err = process.communicate(
            timeout=600
        )  # a machine may be busy; this only ends a test that would wait for ever
        return Result.of(process.returncode, out, err)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        # A new instance of DuckDB takes twenty times as long as an attached database.
        place = str(self.root / "datasets" / "duckdb.db").replace("'", "''")
        with instance().cursor() as cursor:
            cursor.execute(f"ATTACH '{place}' AS duckdb")
            try:
                cursor.execute("USE duckdb")
                return cursor.execute(sql).fetchall()
            finally:
                cursor.execute("USE memory")
                cursor.execute("DETACH duckdb")


@functools.cache
def instance() -> duckdb.DuckDBPyConnection:
    """An instance of DuckDB for the queries of all tests."""
    return duckdb.connect()


CONFIG = """
    load:
      metadata:
        directory: "{{SL_ROOT}}/incoming/shop"
        separator: ","
        escape: '"'
"""
ITEMS = """
    table:
      pattern: "items.*[.]csv"
      primaryKey: [id]
      attributes:
        - {name: id, type: int, required: true}
        - {name: label, type: string}
      metadata:
        writeStrategy: {type: APPEND}
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, as the first command of a project makes it."""
    from starlake_core_duckdb.context import STORAGE_VERSION
    from starlake_core_duckdb.database import open_database

    path = tmp_path_factory.mktemp("made") / "duckdb.db"
    open_database(path, STORAGE_VERSION).close()
    return path


@pytest.fixture
def sandbox(tmp_path: Path, capsys: pytest.CaptureFixture[str], made: Path) -> Iterable[Sandbox]:
    """A project with one domain, ``shop``, and one table, ``items``, that appends."""
    box = Sandbox(tmp_path, capsys, made=made)
    box.write("metadata/load/shop/_config.sl.yml", CONFIG)
    box.table("items", ITEMS)
    yield box
    box.kill()

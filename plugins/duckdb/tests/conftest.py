"""A tiny Starlake project to run commands in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
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
    """

    root: Path
    capture: Any
    environ: dict[str, str] = field(default_factory=dict)
    warm: bool = bool(os.environ.get("STARLAKE_DUCKDB_WARM"))

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
        if self.warm and arguments[:1] in (("load",), ("transform",)):
            return self.run_warm(arguments, environment(self.root, {**self.environ, **environ}))
        code = main(arguments, environment(self.root, {**self.environ, **environ}))
        out, err = self.capture.readouterr()
        return Result.of(code, out, err)

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
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=environment(self.root, {**self.environ, **environ}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def process(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        return self.python("-m", "starlake_core_duckdb", *arguments, **environ)

    def finish(self, process: subprocess.Popen[str]) -> Result:
        out, err = process.communicate(timeout=60)
        return Result.of(process.returncode, out, err)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.root / "datasets" / "duckdb.db")) as connection:
            return connection.execute(sql).fetchall()


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


@pytest.fixture
def sandbox(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterable[Sandbox]:
    """A project with one domain, ``shop``, and one table, ``items``, that appends."""
    box = Sandbox(tmp_path, capsys)
    box.write("metadata/load/shop/_config.sl.yml", CONFIG)
    box.table("items", ITEMS)
    return box

"""The environment ``duckdb`` is an environment like any other. Its program is its own, so real commands do what the suite asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from starlake_core import Command, Preload, StarlakePreLoadStrategy
from starlake_core.model.command import load_command, stage_command, transform_command
from starlake_core.testing import Does, EnvironmentSuite, StandIn

pytest_plugins = ["starlake_core.testing.plugin"]

CONFIG = """
load:
  metadata:
    directory: "{{SL_ROOT}}/incoming/%s"
    separator: ","
    escape: '"'
"""
ITEMS = """
table:
  pattern: "items.*[.]csv"
  attributes:
    - {name: id, type: int}
"""


SQL = {
    # What a failed transaction undoes does not include files.
    Does.FAILS_ONCE: """
        CREATE TEMP TABLE earlier AS SELECT * FROM glob('{{SL_ROOT}}/tried.csv');
        COPY (SELECT 1) TO '{{SL_ROOT}}/tried.csv';
        SELECT CASE WHEN (SELECT count(*) FROM earlier) = 0 THEN error('the first time') END AS nothing
    """,
    Does.GOES_ON: """
        SELECT sum((a.range * b.range) % 7 + c.range) AS n FROM range(1000000) a, range(1000000) b, range(1000000) c
    """,
    Does.TELLS: "SELECT error('{{KIT_DB_PASSWORD}}') AS nothing",
}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class TestDuckdb(EnvironmentSuite):
    environment = "duckdb"
    engine = "warm"
    runs_any_program = False
    levels = ("basic",)  # a process of another worker is never its own
    forbidden_imports = ("duckdb", "yaml", "jinja2", "click", "rich")

    def environment_options(self, stand_in: StandIn, root: Path) -> Mapping[str, Any]:
        for domain in ("full", "empty", "broken"):
            write(root / f"metadata/load/{domain}/_config.sl.yml", CONFIG % domain)
            write(root / f"metadata/load/{domain}/items.sl.yml", ITEMS)
        (root / "incoming/empty").mkdir(parents=True, exist_ok=True)
        for table in ("items", "more", "most"):
            write(root / f"metadata/load/full/{table}.sl.yml", ITEMS.replace("items", table))
            write(root / f"incoming/full/{table}.csv", "id\n1\n")
        for does, sql in SQL.items():
            write(root / f"metadata/transform/kpi/{does.name.lower()}.sl.yml", "task: {}")
            write(root / f"metadata/transform/kpi/{does.name.lower()}.sql", sql)
        write(root / "metadata/load/broken/items.sl.yml", "table: [")
        return {"duckdb_engine": self.engine}

    def command(self, does: Does, stand_in: StandIn, root: Path) -> Command | Preload | None:
        checks = {Does.READY: "full", Does.NOT_READY: "empty", Does.CRASHES: "broken", Does.WRITES: "full"}
        if does in checks:
            tables = ("items", "more", "most") if checks[does] == "full" else ("items",)
            return Preload("check", checks[does], tables, StarlakePreLoadStrategy.IMPORTED)
        if does in SQL:
            return transform_command("transform", f"kpi.{does.name.lower()}")
        if does is Does.SUCCEEDS:
            return stage_command("stage", "full")
        if does in (Does.FAILS, Does.EXITS_1):
            return load_command("load", "broken", "items")
        return None  # its exit codes are 0 and 1


@pytest.mark.soak
class TestProcess(TestDuckdb):
    """The same, where every command is a process of its own."""

    engine = "process"

"""The example project, against the rows that its generator computed without a database."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from starlake_core_project.bakery import INCOMING, data_files, expected_tables, write_bakery

if TYPE_CHECKING:
    from conftest import Sandbox

TABLES = ("customers", "ingredients", "orders", "products")


@pytest.fixture
def starbake(sandbox: Sandbox) -> Sandbox:
    shutil.rmtree(sandbox.root / "metadata")
    write_bakery(sandbox.root)
    return sandbox


def a_day(starbake: Sandbox) -> None:
    interval = "sl_data_interval_start='2026-11-02T00:00:00+00:00',sl_data_interval_end='2026-11-03T00:00:00+00:00'"
    words = ("--tables", ",".join(TABLES))
    assert starbake.run("preload", "--domain", "starbake", *words, "--strategy", "imported").code == 0
    assert starbake.run("stage", "--domains", "starbake", *words).code == 0
    for table in TABLES:
        assert starbake.run("load", "--domains", "starbake", "--tables", table).code == 0
    for task in ("product_sales", "customer_value", "overview"):
        assert starbake.run("transform", "--name", f"kpi.{task}", "--options", interval).code == 0


def holds(starbake: Sandbox, days: int) -> None:
    for table, content in expected_tables(days).items():
        columns = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in content["columns"])
        found = starbake.query(f"SELECT {columns} FROM {table}")
        assert sorted(map(list, found), key=str) == sorted(content["rows"], key=str), table
    assert starbake.files("stage") == starbake.files("ingesting") == starbake.files("unresolved") == []


def test_the_example_holds_the_expected_rows_day_after_day(starbake: Sandbox) -> None:
    a_day(starbake)
    holds(starbake, 2)
    interval = starbake.query("SELECT CAST(interval_start AS VARCHAR) FROM kpi.overview")
    assert interval == [("2026-11-02 00:00:00",)]
    for day in (3, 4):
        for name, content in data_files(day).items():
            (starbake.root / INCOMING / name).write_bytes(content)
        a_day(starbake)
        holds(starbake, day)

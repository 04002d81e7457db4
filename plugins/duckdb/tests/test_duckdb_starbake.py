"""The example project, against the rows that its generator computed without a database."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox

STARBAKE = Path(__file__).resolve().parents[3] / "examples" / "starbake"
TABLES = ("customers", "ingredients", "orders", "products")


@pytest.fixture
def starbake(sandbox: Sandbox) -> Sandbox:
    shutil.rmtree(sandbox.root / "metadata")
    shutil.copytree(STARBAKE / "metadata", sandbox.root / "metadata")
    for name in ("generate_data.py", "expected.json"):
        shutil.copy(STARBAKE / name, sandbox.root / name)
    assert sandbox.finish(sandbox.python(str(sandbox.root / "generate_data.py"))).code == 0
    return sandbox


def test_the_example_holds_the_expected_rows(starbake: Sandbox) -> None:
    interval = "sl_data_interval_start='2026-11-02T00:00:00+00:00',sl_data_interval_end='2026-11-03T00:00:00+00:00'"
    assert (
        starbake.run("preload", "--domain", "starbake", "--tables", ",".join(TABLES), "--strategy", "imported").code
        == 0
    )
    assert starbake.run("stage", "--domains", "starbake", "--tables", ",".join(TABLES)).code == 0
    for table in TABLES:
        assert starbake.run("load", "--domains", "starbake", "--tables", table).code == 0
    for task in ("product_sales", "customer_value", "overview"):
        assert starbake.run("transform", "--name", f"kpi.{task}", "--options", interval).code == 0
    for table, content in json.loads((STARBAKE / "expected.json").read_text(encoding="utf-8")).items():
        columns = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in content["columns"])
        found = starbake.query(f"SELECT {columns} FROM {table}")
        assert sorted(map(list, found), key=str) == sorted(content["rows"], key=str), table
    assert starbake.query("SELECT CAST(interval_start AS VARCHAR) FROM kpi.overview") == [("2026-11-02 00:00:00",)]
    assert starbake.files("stage") == starbake.files("ingesting") == starbake.files("unresolved") == []


def test_the_generator_always_writes_what_is_committed(starbake: Sandbox) -> None:
    assert (starbake.root / "expected.json").read_bytes() == (STARBAKE / "expected.json").read_bytes()
    incoming = starbake.root / "datasets/incoming/starbake"
    assert sorted(path.name for path in incoming.iterdir()) == [
        "customers-2026-11-01.csv",
        "ingredients-2026-11-01.json",
        "orders-2026-11-01.json",
        "orders-2026-11-02.json",
        "products-2026-11-01.json",
    ]

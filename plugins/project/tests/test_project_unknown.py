"""The check of a pipeline names the loads that do nothing, which are green when they run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlake_core_project.demo import write_demo

from starlake_core.cli.app import app

FILE = """# airflow dag
from starlake_core import Orchestration

with Orchestration({}, environment="duckdb") as orchestration:
    with orchestration.sl_create_pipeline(name="shop") as pipeline:
        pipeline.sl_load(domain="DOMAIN", table="TABLE")
"""


@pytest.mark.parametrize(
    ("domain", "table", "told"),
    [
        ("starbake", "orders", None),
        (
            "starbake",
            "Orders",
            "shop: task 'starbake_Orders_load' loads nothing: the project has no table 'Orders' in the domain starbake. "
            "Did you mean 'orders'?",
        ),
        (
            "starbak",
            "orders",
            "shop: task 'starbak_orders_load' loads nothing: the project has no domain 'starbak'. Did you mean 'starbake'?",
        ),
    ],
)
def test_a_load_of_what_the_project_does_not_have(
    domain: str, table: str, told: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SL_ROOT", raising=False)
    file = write_demo(tmp_path / "starbake", again=False).pipelines / "shop.py"
    file.write_text(FILE.replace("DOMAIN", domain).replace("TABLE", table))
    done = CliRunner().invoke(app, ["check", str(file), "--format", "json"])
    notes = json.loads(done.output)["notes"]
    assert [note for note in notes if "loads nothing" in note] == ([] if told is None else [told])
    assert done.exit_code == 0

"""A project as a component in a real ``dg dev``: webserver, daemon, code server and run workers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from dagster_server import LiveDagster, picture, shoot, until
from starlake_core_project.starting import write_project

pytest.importorskip("dagster_dg_cli", reason="needs create-dagster and dagster-dg-cli: tox -e dg")
pytestmark = pytest.mark.live

SCRIPTS = Path(sys.executable).parent
IMAGES = Path(__file__).parents[1] / "images"
DEFS = """\
type: starlake_core_dagster.components.StarlakeProjectComponent

attributes:
  project: ../../../../../bakery
  environment: duckdb
  columns: true
  options:
    backfill_policy: single_run
    default_status: stopped
    start_date: "2026-11-01"
    retries: 0
  translation:
    automation_condition: "{{ automation_condition.eager() if spec.key.path == ['report', 'sales'] else None }}"
"""
CHECKED = {
    "load/shop/orders": """\
  expectations:
    - { expect: "is_col_value_not_unique('id')", failOnError: true }
    - { expect: "is_row_count_to_be_between(1, 1000)" }
""",
    "transform/report/sales": """\
  attributes:
    - { name: "day", type: "date", comment: "the day of the orders" }
  expectations:
    - { expect: "is_col_value_not_unique('day')", failOnError: true }
""",
}
NEW = "SELECT day, revenue FROM report.sales ORDER BY revenue DESC LIMIT 1\n"
DAYS = [f"2026-11-0{day}T00:00:00+0000" for day in (1, 2, 3)]


@pytest.fixture
def dagster(tmp_path: Path) -> LiveDagster:
    made = LiveDagster(tmp_path / "home", [], {"PYTHONPATH": ""})
    project = tmp_path / "shop_dg"
    path = os.pathsep.join((str(project / "src"), *filter(None, [os.environ.get("PYTHONPATH")])))
    made.environ |= {"PYTHONPATH": path, "HOME": str(made.home)}
    subprocess.run(
        [str(SCRIPTS / "create-dagster"), "project", "shop_dg", "--no-uv-sync"],
        cwd=tmp_path,
        env=made.environ,
        check=True,
        capture_output=True,
    )
    write_project(tmp_path / "bakery", [])
    for name, more in CHECKED.items():
        with (tmp_path / f"bakery/metadata/{name}.sl.yml").open("a", encoding="utf-8") as about:
            about.write(more)
    folder = project / "src/shop_dg/defs/bakery"
    folder.mkdir()
    (folder / "defs.yaml").write_text(DEFS, encoding="utf-8")
    return made


def test_a_project_in_dg_dev(dagster: LiveDagster, tmp_path: Path) -> None:
    with dagster.running(folder=tmp_path / "shop_dg", program=(str(SCRIPTS / "dg"), "dev")):
        assert dagster.assets()["report/sales"]["from"] == ["shop/orders"]
        dagster.start_sensor("default_automation_condition_sensor")
        until(lambda: dagster.sensor_looked("default_automation_condition_sensor"), "conditions are read", dagster.logs)

        # The daemon makes one run of a backfill whose assets take several partitions at once.
        backfill = dagster.backfill_assets(["shop/orders", "shop_load"], DAYS)
        until(lambda: dagster.backfill_status(backfill) == "COMPLETED_SUCCESS", "the backfill ends", dagster.logs)
        loads = dagster.materializations("shop/orders")
        assert {made.partition for made in loads} == set(DAYS)
        (run_id,) = {made.run_id for made in loads}
        tags = dagster.run(run_id).tags
        assert tags["dagster/asset_partition_range_start"] == DAYS[0]
        assert tags["dagster/asset_partition_range_end"] == DAYS[-1]
        assert loads[0].metadata["sl_data_interval_start"].startswith("2026-11-01T00:00:00")
        assert loads[0].metadata["sl_data_interval_end"].startswith("2026-11-04T00:00:00")

        # The last partition of the load is new, so the condition of the transform is met.
        last = dagster.last_partitions(dagster.jobs()["shop_load"])[-1]
        (tmp_path / "bakery/datasets/incoming/shop/orders_2.csv").write_text("id,day,amount\n4,2026-11-02,1.00\n")
        dagster.ends(dagster.launch(dagster.jobs()["shop_load"], {"dagster/partition": last}), "SUCCESS")
        until(lambda: dagster.materializations("report/sales"), "the condition starts the transform", dagster.logs)
        (made,) = dagster.materializations("report/sales")
        assert dagster.ends(made.run_id, "SUCCESS").tags["dagster/from_automation_condition"] == "true"
        with duckdb.connect(str(tmp_path / "bakery/datasets/duckdb.db"), read_only=True) as connection:
            assert connection.execute("SELECT sum(orders) FROM report.sales").fetchone() == (1,)
        assert made.metadata["dagster/table_name"].endswith("report.sales")

        # A new transform is there as soon as the code location is loaded again.
        for suffix, text in (("sql", NEW), ("sl.yml", "version: 1\ntask: {}\n")):
            (tmp_path / f"bakery/metadata/transform/report/best_day.{suffix}").write_text(text, encoding="utf-8")
        dagster.reload()
        assert dagster.assets()["report/best_day"]["from"] == ["report/sales"]

        if shutil.which("chromium"):
            images = IMAGES if os.environ.get("STARLAKE_UPDATE_DOCS") else tmp_path
            shoot(dagster, "report", ("report", "shop"), images / "component.png")
            picture(dagster, f"runs/{made.run_id}", images / "run.png")
            picture(dagster, "assets/report/sales?view=overview", images / "asset.png")

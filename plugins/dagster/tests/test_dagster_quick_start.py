"""The quick start of the README, to its end."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import duckdb
import pytest
from dagster_server import LiveDagster, until
from starlake_core_project.bakery import expected_tables

pytestmark = pytest.mark.live

README = Path(__file__).parents[1] / "README.md"
TRANSFORMS = ("kpi/product_sales", "kpi/customer_value", "kpi/overview")


def quick_start() -> list[str]:
    found = re.search(r"<!-- quick start -->\n```bash\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1].splitlines()


@pytest.fixture
def dagster(tmp_path: Path) -> LiveDagster:
    # What is loaded again at once starts the transforms at once.
    environ = {"SL_SENSOR_INTERVAL": "5", "SL_MIN_TIMEDELTA_BETWEEN_RUNS": "0", "SL_ROOT": str(tmp_path / "starbake")}
    return LiveDagster(tmp_path / "dagster", [], environ)


def quiet(dagster: LiveDagster) -> bool:
    """Whether the sensor has looked twice since all runs have ended, and asked for none."""
    runs = dagster.runs("starbake_kpi")
    for run_id in runs:
        dagster.ends(run_id, "SUCCESS")
    seen = dagster.sensor_looked("starbake_kpi_sensor")
    until(lambda: dagster.sensor_looked("starbake_kpi_sensor") > seen + 1, "the sensor looks again", dagster.logs)
    return dagster.runs("starbake_kpi") == runs


def test_it_ends_with_each_transform_once_for_what_was_loaded(dagster: LiveDagster, tmp_path: Path) -> None:
    install, *lines, last = quick_start()
    assert install.startswith("pip install ")
    assert last == "dg dev -w workspace.yaml"
    done = subprocess.run(
        ["bash", "-ec", "\n".join(lines)],
        cwd=tmp_path,
        env=dagster.environ,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "starbake_kpi: success" in done.stdout
    with dagster.running("-w", "workspace.yaml", folder=tmp_path):
        dagster.stop_schedules()
        until(lambda: dagster.sensor_looked("starbake_kpi_sensor") > 1, "the sensor looks", dagster.logs)
        assert len(dagster.runs("starbake_kpi")) == 1, "what the demo has computed is computed again"
        jobs = dagster.jobs()
        loaded = dagster.launch(
            jobs["starbake_load_daily"], {"dagster/partition": dagster.last_partitions(jobs["starbake_load_daily"])[-1]}
        )
        dagster.ends(loaded, "SUCCESS")
        until(lambda: len(dagster.runs("starbake_kpi")) > 1, "the load starts the transforms", dagster.logs)
        until(lambda: quiet(dagster), "the sensor finds nothing new", dagster.logs)
        runs = dagster.runs("starbake_kpi")
        # A look between two of the three tables of the load starts a run for what is there, and another one for the rest.
        assert 2 <= len(runs) <= 4
        assert len({dagster.run(run_id).tags.get("starlake/freshness") for run_id in runs}) == len(runs)
        for transform in TRANSFORMS:
            assert len(dagster.materializations(transform)) == len(runs), transform
    with duckdb.connect(str(tmp_path / "starbake" / "datasets" / "duckdb.db"), read_only=True) as connection:
        for table in ("starbake.Customers", "starbake.Ingredients", "starbake.Products"):
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert count == len(expected_tables(3)[table]["rows"]), table
        assert connection.execute("SELECT count(*) FROM kpi.overview").fetchone() == (2,)

"""A real DAG processor: the broken pipelines of a project are import errors of their own, until they are mended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from breadth import in_the_matrix
from live_airflow import LiveAirflow, until
from starlake_core_airflow.versions import AIRFLOW_3
from test_airflow_project import CASES

pytestmark = [pytest.mark.live, in_the_matrix]

BROKEN = "version: 1\ntable:\n  pattern: a\n  colour: red\n"


def project(root: Path, prefix: str) -> Path:
    """Pipelines ``PREFIX_load``, and ``t_load`` and ``u_load`` whose tables are broken."""
    CASES.Case("", {}, tables={f"{prefix}.a": "", "t.a": "", "u.a": ""}).write(root)
    for name in ("t", "u"):
        (root / f"metadata/load/{name}/a.sl.yml").write_text(BROKEN, encoding="utf-8")
    return root


def test_each_broken_pipeline_is_an_import_error_of_its_own_until_it_is_mended(tmp_path: Path) -> None:
    # Whenever Airflow lists its files, it removes errors whose names are not those of files, until the file is parsed again.
    listing = {"AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "60", "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "60"}
    airflow = LiveAirflow(tmp_path / "airflow", listing)
    roots = [project(tmp_path / name, name) for name in ("one", "two")]
    for root in roots:
        pin = f"names={{'t_load': '{root.name}_t', 'u_load': 'u'}}"
        (airflow.dags / f"{root.name}.py").write_text(
            f"# airflow dag\nfrom starlake_core_project import publish\npublish({os.fspath(root)!r}, environment='duckdb', {pin})\n",
            encoding="utf-8",
        )

    def errors() -> dict[str, str]:
        rows = airflow.query("SELECT filename, stacktrace FROM import_error")
        return {Path(name).name: str(text) for name, text in rows}

    def told(*names: str) -> bool:
        return set(errors()) == set(names)

    airflow.parts.make_database()
    try:
        airflow.parts.begin("dag-processor" if AIRFLOW_3 else "scheduler")
        until(lambda: airflow.knows("one_load", "two_load"), "the other pipelines load")
        everything = ("one.py:one_t", "one.py:u", "two.py:two_t", "two.py:u")
        until(lambda: told(*everything), "each broken pipeline has an error of its own")
        found = errors()
        assert all(f"{root}/metadata/load/t/a.sl.yml:4: " in found[f"{root.name}.py:{root.name}_t"] for root in roots)
        words = [sys.executable, "-m", "airflow", "dags", "list-import-errors", "--output", "json"]

        def listed() -> bool:
            done = subprocess.run(words, env=airflow.environ, capture_output=True, text=True, check=False)
            return all(name in done.stdout for name in everything)

        until(listed, "the command line lists them")
        # Airflow does not schedule the DAGs of a file that has an import error.
        assert airflow.query("SELECT dag_id FROM dag WHERE has_import_errors") == []

        for root in roots:
            path = root / "metadata/load/t/a.sl.yml"
            path.write_text(BROKEN.replace("  colour: red\n", ""), encoding="utf-8")
        until(lambda: airflow.knows("one_t", "two_t"), "mended pipelines load")
        until(lambda: told("one.py:u", "two.py:u"), "and their errors are gone, and the others are still there")
    finally:
        airflow.parts.stop()

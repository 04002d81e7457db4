"""Components in a project of ``create-dagster``, with the command line of ``dg``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlake_core_project.starting import write_project

pytest.importorskip("dagster_dg_cli", reason="needs create-dagster and dagster-dg-cli: tox -e dg")

COMPONENTS = "starlake_core_dagster.components."
SCRIPTS = Path(sys.executable).parent


class Dg:
    """A project of ``create-dagster``, in which commands are run as a user does.

    Args:
        folder: where everything is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "shop_dg"
        home = folder / "home"
        (home / ".dagster").mkdir(parents=True)
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SL_", "DAGSTER_", "DG_"))}
        path = os.pathsep.join((str(self.root / "src"), *filter(None, [own.get("PYTHONPATH")])))
        # The project is not installed, as `pip install -e .` in it would do.
        self.environ = {
            **own,
            "PATH": f"{SCRIPTS}{os.pathsep}{own['PATH']}",
            "PYTHONPATH": path,
            "HOME": str(home),
            "DAGSTER_HOME": str(home),
            "SHOP_TEAM": "bi",
            "COLUMNS": "200",
        }

    def run(self, *words: str, fails: bool = False) -> str:
        """Run a command in the project, and return what it says."""
        where = self.root if self.root.exists() else self.folder
        done = subprocess.run(
            words, cwd=where, env=self.environ, capture_output=True, text=True, timeout=300, check=False
        )
        said = done.stdout + done.stderr
        assert (done.returncode != 0) is fails, said
        return said if fails else done.stdout

    def definitions(self) -> dict[str, Any]:
        """What ``dg list defs`` lists."""
        return dict(json.loads(self.run("dg", "list", "defs", "--json")))

    def defs_yaml(self, name: str) -> Path:
        return self.root / "src/shop_dg/defs" / name / "defs.yaml"


@pytest.fixture(scope="module")
def dg(tmp_path_factory: pytest.TempPathFactory) -> Dg:
    folder = tmp_path_factory.mktemp("dg")
    made = Dg(folder)
    made.run("create-dagster", "project", "shop_dg", "--no-uv-sync")
    write_project(folder / "bakery", [])
    return made


def test_dg_lists_and_scaffolds_the_components_and_says_what_is_missing(dg: Dg) -> None:
    listed = json.loads(dg.run("dg", "list", "components", "--json"))
    names = [item["key"] for item in listed["items"] if item["key"].startswith(COMPONENTS)]
    assert names == [f"{COMPONENTS}StarlakePipelinesComponent", f"{COMPONENTS}StarlakeProjectComponent"]
    asked = ("dg", "scaffold", "defs", f"{COMPONENTS}StarlakeProjectComponent")
    said = dg.run(*asked, "nothing", "--project-path", "../nowhere", fails=True)
    assert "nowhere is not the folder of a Starlake project" in said
    assert not dg.defs_yaml("nothing").exists()
    dg.run(*asked, "scaffolded", "--project-path", "../bakery", "--environment", "duckdb")
    assert dg.defs_yaml("scaffolded").read_text(encoding="utf-8").splitlines()[-2:] == [
        "  project: ../../../../../bakery",
        "  environment: duckdb",
    ]
    dg.run(*asked, "new", "--project-path", "../new", "--init", "true")
    assert dg.defs_yaml("new").exists()
    assert (dg.root.parent / "new/metadata/application.sl.yml").exists()
    shutil.rmtree(dg.defs_yaml("new").parent)
    dg.run("dg", "scaffold", "defs", f"{COMPONENTS}StarlakePipelinesComponent", "files")
    found = dg.definitions()
    assert {job["name"] for job in found["jobs"]} == {"shop_load", "report_transform", "starbake_load"}
    for name in ("scaffolded", "files"):
        shutil.rmtree(dg.defs_yaml(name).parent)


ATTRIBUTES = """\
type: starlake_core_dagster.components.StarlakeProjectComponent

attributes:
  project: "{{ context.project_root }}/../bakery"
  environment: duckdb
  columns: true
  options:
    asset_owners: "team:{{ env.SHOP_TEAM }}"
  translation:
    key_prefix: dwh
    group_name: "{{ pipeline.id }}"

post_processing:
  assets:
    - target: "kind:sql"
      attributes:
        automation_condition: "{{ automation_condition.eager() }}"
        tags: { tier: gold }
"""


def test_attributes_have_templates_and_assets_are_processed_afterwards(dg: Dg) -> None:
    file = dg.defs_yaml("bakery")
    file.parent.mkdir(exist_ok=True)
    file.write_text(ATTRIBUTES, encoding="utf-8")
    assert "All component YAML validated successfully" in dg.run("dg", "check", "defs")
    assets = {asset["asset_key"]: asset for asset in dg.definitions()["assets"]}
    assert assets.keys() == {"dwh/shop/orders", "dwh/shop_load", "dwh/report/sales", "dwh/report_transform"}
    sales = assets["dwh/report/sales"]
    assert (sales["group_name"], sales["dependency_keys"]) == ("report_transform", ["dwh/shop/orders"])
    assert sales["owners"] == [{"team": "bi"}]
    assert {"key": "tier", "value": "gold"} in sales["tags"]
    assert sales["automation_condition"]["label"] == "eager"
    assert assets["dwh/shop/orders"].get("automation_condition") is None

    file.write_text(ATTRIBUTES.replace("columns: true", "columns_: true"), encoding="utf-8")
    said = dg.run("dg", "check", "yaml", fails=True)
    assert "columns_" in said
    assert "defs.yaml:6" in said
    file.write_text(ATTRIBUTES.replace("environment: duckdb", "environment: duckdbx"), encoding="utf-8")
    assert "no environment 'duckdbx'" in " ".join(dg.run("dg", "check", "defs", fails=True).split())
    file.unlink()


def test_a_project_is_run_with_dg(dg: Dg) -> None:
    file = dg.defs_yaml("bakery")
    file.parent.mkdir(exist_ok=True)
    file.write_text(ATTRIBUTES.partition("\npost_processing")[0], encoding="utf-8")
    dg.run("dg", "launch", "--job", "shop_load", "--partition", "2026-11-01T00:00:00+0000")
    dg.run("dg", "launch", "--assets", "key:dwh/report/sales")
    import duckdb

    with duckdb.connect(str(dg.folder / "bakery/datasets/duckdb.db"), read_only=True) as connection:
        assert connection.execute("SELECT sum(orders) FROM report.sales").fetchone() == (3,)
    file.unlink()


PIPELINE = """
from starlake_core import Orchestration
with Orchestration({{"sl_env_var": {{"SL_ROOT": "/"}}}}) as orchestration:
    with orchestration.sl_create_pipeline(name="{name}", cron="0 0 * * *") as pipeline:
        pipeline.sl_load("load_{name}", "sales", "{name}")
"""


def test_files_that_are_deployed_in_a_project_are_found_by_dg(dg: Dg) -> None:
    files = dg.folder / "pipes"
    files.mkdir()
    for name in ("orders", "people"):
        (files / f"{name}.py").write_text(PIPELINE.format(name=name), encoding="utf-8")
    asked = ("--orchestrator", "dagster", "--environment", "shell")
    said = dg.run("starlake-orchestrate", "deploy", str(files), *asked)
    module = dg.root / "src/shop_dg/defs/starlake_definitions.py"
    assert said.splitlines() == [str(module)]
    assert {job["name"] for job in dg.definitions()["jobs"]} >= {"orders", "people"}
    dg.run("starlake-orchestrate", "delete", str(files), *asked)
    module.unlink()


def test_a_project_that_is_deployed_is_found_by_dg_until_it_is_deleted(dg: Dg) -> None:
    asked = (str(dg.folder / "bakery"), "--orchestrator", "dagster", "--environment", "duckdb")
    file = dg.defs_yaml("bakery")
    assert dg.run("starlake-orchestrate", "deploy", *asked).splitlines() == [str(file)]
    assert {job["name"] for job in dg.definitions()["jobs"]} >= {"shop_load", "report_transform"}
    assert dg.run("starlake-orchestrate", "delete", *asked).splitlines() == [str(file)]
    assert not file.parent.exists()
    assert f"there is no {file}" in dg.run("starlake-orchestrate", "delete", *asked, fails=True)

"""A generated file has final names; the command line is given the logical ones where the project is at hand."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from generated import DAY, load_file, transform_file

FILES = {
    "metadata/application.sl.yml": "version: 1\napplication:\n  connectionRef: db\n  connections:\n    db:\n      type: fs\n",
    "metadata/load/raw/_config.sl.yml": 'version: 1\nload:\n  name: raw\n  rename: warehouse\n  metadata:\n    directory: "{{SL_ROOT}}/in"\n',
    "metadata/load/raw/sale.sl.yml": "version: 1\ntable:\n  name: sale\n  rename: Sales\n  pattern: sale.*.csv\n",
    "metadata/load/raw/shop.sl.yml": "version: 1\ntable:\n  name: shop\n  pattern: shop.*.csv\n",
}
FINAL = ("daily", "0 0 * * *", {"warehouse": ["Sales", "shop"]})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def drawn(root: Path, text: str) -> Any:
    file = root / "dag.py"
    file.write_text(text, encoding="utf-8")
    (pipeline,) = runpy.run_path(str(file))["pipelines"]
    return pipeline


def commands(pipeline: Any) -> dict[str, list[str]]:
    return {
        task.id: [word for word in task.command.vector if "$" not in word] for task in pipeline.tasks() if task.command
    }


def test_commands_have_logical_names_and_ids_and_datasets_those_of_the_file(root: Path, caplog: Any) -> None:
    env = json.dumps({"SL_ROOT": str(root)})
    jobs = '\njobs = {"warehouse.Sales": {"options": "year=2026", "retries": "4"}}\n\nfrom ai.starlake.job import StarlakeJobFactory'
    text = load_file("local", "shell", (FINAL,), sl_env_var=env, pre_load_strategy="imported")
    pipeline = drawn(root, text.replace("\nfrom ai.starlake.job import StarlakeJobFactory", jobs, 1))
    assert commands(pipeline) == {
        "check_warehouse_incoming_files": ["preload", "--domain", "raw", "--tables", "sale,shop", "--strategy", "imported"],
        "import_warehouse": ["stage", "--domains", "raw", "--tables", "sale,shop"],
        "load_warehouse_Sales": ["load", "--scheduledDate", "--domains", "raw", "--tables", "sale", "--options", "year=2026"],
        "load_warehouse_shop": ["load", "--scheduledDate", "--domains", "raw", "--tables", "shop"],
    }  # fmt: skip
    assert [task.retries for task in pipeline.tasks() if task.id.startswith("load_")] == [4, 1]
    assert [one.uri for one in pipeline.outlets] == ["warehouse_sales", "warehouse_shop", "dag"]
    warnings = [record.getMessage() for record in caplog.records]
    assert "pipeline dag: the command line does not know the final names warehouse (raw), Sales (sale)" in warnings[0]
    assert not [one for one in warnings if "no task uses" in one]


def test_a_lineage_that_runs_its_loads(root: Path) -> None:
    sale = {"data": {"name": "warehouse.Sales", "typ": "table", "sink": "warehouse.Sales", "cron": "0 0 * * *"}}
    options = {"sl_env_var": json.dumps({"SL_ROOT": str(root)}), "run_dependencies_first": "true"}
    pipeline = drawn(root, transform_file("local", "shell", ({**DAY, "children": [sale]},), **options))
    assert commands(pipeline)["warehouse_Sales_table"][-4:] == ["--domains", "raw", "--tables", "sale"]
    assert "warehouse_sales" in [one.uri for one in pipeline.outlets]


def test_logical_names_stay_and_so_do_unknown_ones(root: Path, caplog: Any) -> None:
    for domains in ({"raw": ["sale", "shop"]}, {"nowhere": ["x"]}, {"raw": ["x"]}):
        options = {"sl_env_var": json.dumps({"SL_ROOT": str(root)})}
        pipeline = drawn(root, load_file("local", "shell", (("daily", None, domains),), **options))
        found = [(task.command.domain, *task.command.tables) for task in pipeline.tasks() if task.command]
        assert found == [(domain, table) for domain, tables in domains.items() for table in tables]
    assert caplog.text == ""


def test_a_project_that_cannot_be_read_changes_nothing(root: Path, caplog: Any) -> None:
    (root / "metadata" / "load" / "raw" / "_config.sl.yml").write_text("load: [", encoding="utf-8")
    options = {"sl_env_var": json.dumps({"SL_ROOT": str(root)})}
    pipeline = drawn(root, load_file("local", "shell", (FINAL,), **options))
    assert [task.command.domain for task in pipeline.tasks() if task.command] == ["warehouse", "warehouse"]
    assert caplog.text == ""

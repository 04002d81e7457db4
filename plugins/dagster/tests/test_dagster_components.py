"""Projects and pipeline files as components of ``dg``, without its command line, which ``test_dagster_dg.py`` runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from dagster import AssetKey, AssetSpec, Definitions, multi_asset
from dagster._core.execution.api import create_execution_plan
from dagster_runs import repository, resolved
from starlake_core_project.starting import write_project

from starlake_core import NothingFoundError, StarlakeError
from starlake_core.cli.app import app

translation = pytest.importorskip("dagster.components.utils.translation", reason="needs Dagster 1.11")
if not hasattr(translation, "TranslationFnResolver"):
    pytest.skip("needs Dagster 1.11", allow_module_level=True)

FILE = """
from starlake_core import Orchestration
with Orchestration({}) as orchestration:
    with orchestration.sl_create_pipeline(name="p") as pipeline:
        pipeline.sl_transform("a", "kpi.a")
"""


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SL_")]:
        monkeypatch.delenv(name)


def built(kind: str, **attributes: Any) -> Definitions:
    """The definitions of a component with these attributes."""
    from dagster import build_defs_for_component
    from starlake_core_dagster import components

    return build_defs_for_component(getattr(components, kind).from_attributes_dict(attributes=attributes))


def of_project(root: Path, **attributes: Any) -> Definitions:
    return built("StarlakeProjectComponent", **{"project": str(root), "environment": "duckdb", **attributes})


def jobs(defs: Definitions) -> set[str]:
    return {job.name for job in repository(defs).get_all_jobs() if not job.name.startswith("__")}


def keys(defs: Definitions) -> set[str]:
    return {key.to_user_string() for key in repository(defs).asset_graph.get_all_asset_keys()}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project with the table ``shop.orders`` and the transform ``report.sales`` that reads it."""
    write_project(tmp_path / "bakery", [])
    return tmp_path / "bakery"


TRANSLATION = {
    "group_name": "gold",
    "key_prefix": "dwh",
    "tags": {"pipeline": "{{ pipeline.id }}"},
    "metadata": {"by": "{{ task.id }}"},
}


def test_pipeline_files_are_rendered_and_their_assets_translated(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(FILE, encoding="utf-8")
    defs = built(
        "StarlakePipelinesComponent",
        path=str(tmp_path),
        environment="shell",
        options={"asset_owners": "team:bi"},
        translation=TRANSLATION,
    )
    found = repository(defs).asset_graph.get(AssetKey(["dwh", "kpi", "a"]))
    assert (found.group_name, found.tags["pipeline"], list(found.owners)) == ("gold", "p", ["team:bi"])


def test_a_project_is_rendered_and_its_assets_translated_wherever_they_are_read(shop: Path) -> None:
    defs = of_project(shop, translation=TRANSLATION)
    assert jobs(defs) == {"shop_load", "report_transform"}
    graph = repository(defs).asset_graph
    sales = graph.get(AssetKey(["dwh", "report", "sales"]))
    assert sales.parent_keys == {AssetKey(["dwh", "shop", "orders"])}
    assert (sales.group_name, sales.tags["pipeline"]) == ("gold", "report_transform")
    assert sales.metadata["by"] == "report_sales"
    (sensor,) = repository(defs).sensor_defs
    assert sensor.name == "report_transform_sensor"
    columns = graph.get(AssetKey(["dwh", "shop", "orders"])).metadata["dagster/column_schema"].columns
    assert [column.name for column in columns] == ["id", "day", "amount"]


def crons(defs: Definitions) -> set[str]:
    return {str(schedule.cron_schedule) for schedule in repository(defs).schedule_defs}


def sales_columns(defs: Definitions) -> bool:
    return "dagster/column_schema" in repository(defs).asset_graph.get(AssetKey(["report", "sales"])).metadata


EFFECTS: list[tuple[str, Any, Any, Any]] = [
    ("options", {"asset_key_prefix": "dev"}, jobs, {"dev_shop_load", "dev_report_transform"}),
    ("by", "project", jobs, {"project"}),
    ("names", {"shop_load": "nightly"}, jobs, {"nightly", "report_transform"}),
    ("cron", "0 3 * * *", crons, {"0 3 * * *"}),
    ("select", "shop.orders", keys, {"shop/orders", "shop_load"}),
    ("exclude", ["type:load"], jobs, {"report_transform"}),
    ("columns", True, sales_columns, True),
    ("executor", False, lambda defs: defs.executor, None),
    ("environment", "shell", lambda defs: environments(defs), {"shell"}),
]


def environments(defs: Definitions) -> set[str]:
    graph = repository(defs).asset_graph
    return {graph.get(key).metadata["environment"] for key in graph.get_all_asset_keys() if len(key.path) == 2}


@pytest.mark.parametrize(("name", "value", "read", "expected"), EFFECTS, ids=[name for name, *_ in EFFECTS])
def test_attributes_have_their_effect(name: str, value: Any, read: Any, expected: Any, shop: Path) -> None:
    assert read(of_project(shop)) != expected
    assert read(of_project(shop, **{name: value})) == expected


def test_the_environment_and_the_rule_of_lineage_are_those_of_the_project(shop: Path) -> None:
    (shop / "metadata/env.QA.sl.yml").write_text("version: 1\nenv: {area: archive}\n", encoding="utf-8")
    sql = shop / "metadata/transform/report/sales.sql"
    sql.write_text("SELECT 1 AS x, '{{area}}' AS y /* FROM shop.orders */\n", encoding="utf-8")
    assert "archive" in of_sales(of_project(shop, env="QA")).metadata["sql"].value
    assert of_sales(of_project(shop)).parent_keys == set()
    assert of_sales(of_project(shop, lineage="compat")).parent_keys == {AssetKey(["shop", "orders"])}


def of_sales(defs: Definitions) -> Any:
    return repository(defs).asset_graph.get(AssetKey(["report", "sales"]))


def test_what_was_read_is_kept_until_a_file_changes(shop: Path) -> None:
    cache = shop / ".starlake-core"
    of_project(shop, cache=False)
    assert not cache.exists()
    of_project(shop)
    assert cache.exists()
    (shop / "metadata/transform/report/best.sql").write_text("SELECT * FROM report.sales LIMIT 1\n", encoding="utf-8")
    (shop / "metadata/transform/report/best.sl.yml").write_text("version: 1\ntask: {}\n", encoding="utf-8")
    assert "report/best" in keys(of_project(shop))


def test_what_is_broken_is_left_out_unless_the_component_is_strict(
    shop: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (shop / "metadata/load/shop/orders.sl.yml").write_text("version: 1\ntable: {colour: red}\n", encoding="utf-8")
    assert jobs(of_project(shop)) == {"report_transform"}
    assert any("shop_load cannot be built" in line for line in caplog.messages)
    with pytest.raises(StarlakeError, match=r"orders\.sl\.yml"):
        of_project(shop, strict=True)


@pytest.mark.parametrize(
    ("attributes", "error", "message"),
    [
        ({"environment": "duckdbx"}, StarlakeError, r"shop_load cannot be built: .*no environment 'duckdbx'"),
        ({"options": {"retries": "many"}}, StarlakeError, "option 'retries'"),
        ({"by": "day"}, StarlakeError, "by"),
        ({"select": "shop.order"}, NothingFoundError, r"shop\.order"),
        ({"translation": {"tags": {"x": "{{ task.id }}"}}}, None, ""),
        (
            {"translation": {"group_name": "{{ dataset.sink.split('.')[0] }}"}},
            StarlakeError,
            r"the attribute 'translation' cannot be applied to shop_load of pipeline shop_load: .* Some assets have no dataset",
        ),
        (
            {"translation": {"key": "same"}},
            StarlakeError,
            "'translation' gives starlake://shop/orders and shop_load the same key same: let it depend on the dataset",
        ),
        (
            {"project": "/nowhere"},
            StarlakeError,
            r"/nowhere is not a Starlake project: .* name the folder that contains metadata/",
        ),
    ],
    ids=str,
)
def test_a_wrong_attribute_stops_the_component(attributes: Any, error: Any, message: str, shop: Path) -> None:
    if error is None:
        assert jobs(of_project(shop, **attributes))
        return
    with pytest.raises(error, match=message):
        of_project(shop, **attributes)


def test_an_asset_of_the_user_stands_between_two_transforms_of_a_project(shop: Path) -> None:
    """The project does not know it, so the description of the transform that reads it has to name it."""
    transforms = shop / "metadata" / "transform" / "report"
    (transforms / "top.sql").write_text("SELECT * FROM ml.score", encoding="utf-8")
    (transforms / "top.sl.yml").write_text("task:\n  name: top\n", encoding="utf-8")

    @multi_asset(specs=[AssetSpec(AssetKey(["ml", "score"]), deps=[AssetKey(["report", "sales"])])])
    def scores() -> None: ...

    only = "dataset and dataset.sink == 'report.top'"
    deps = f"{{{{ spec.deps + [['ml', 'score']] if {only} else spec.deps }}}}"
    drawn = of_project(shop, by="project", translation={"deps": deps})
    made = resolved(Definitions.merge(drawn, Definitions(assets=[scores])), "job", "project")
    befores = {step.key: step.get_execution_dependency_keys() for step in create_execution_plan(made).steps}
    assert befores["scores"] == {"project__report_sales"}
    assert befores["project__report_top"] == {"scores"}


def scaffolded(kind: str, target: Path, **parameters: Any) -> dict[str, Any]:
    """The attributes in the ``defs.yaml`` that ``dg scaffold defs`` writes."""
    from dagster import ScaffoldRequest
    from dagster.components.scaffold.scaffold import get_scaffolder
    from starlake_core_dagster import components

    scaffolder: Any = get_scaffolder(getattr(components, kind))
    given = scaffolder.get_scaffold_params()(**parameters)
    target.mkdir(parents=True)
    name = f"starlake_core_dagster.components.{kind}"
    scaffolder.scaffold(ScaffoldRequest(name, target, "yaml", target.parent, given))
    found = yaml.safe_load((target / "defs.yaml").read_text(encoding="utf-8"))
    assert found["type"] == name
    return dict(found["attributes"])


def test_scaffolding_writes_where_the_project_is(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kind = "StarlakeProjectComponent"
    assert scaffolded(kind, tmp_path / "defs" / "one", project_path="bakery", by="domain", environment="duckdb") == {
        "project": "../../bakery",
        "environment": "duckdb",
        "by": "domain",
    }
    monkeypatch.setenv("SL_ROOT", str(shop))
    assert scaffolded(kind, tmp_path / "defs" / "two", select="tag:x") == {"project": "../../bakery", "select": "tag:x"}
    made = scaffolded(kind, tmp_path / "defs" / "three", project_path="new", init=True)
    monkeypatch.delenv("SL_ROOT")
    assert jobs(of_project(tmp_path / "defs" / "three" / made["project"])) == {"shop_load", "report_transform"}
    with pytest.raises(
        ValueError, match=r"there is no metadata/application\.sl\.yml; write a new project there with --init true"
    ):
        scaffolded(kind, tmp_path / "defs" / "four", project_path="nowhere")
    with pytest.raises(ValueError, match="no project: name its folder with --project-path"):
        scaffolded(kind, tmp_path / "defs" / "five")


def test_scaffolded_pipeline_files_load(tmp_path: Path) -> None:
    target = tmp_path / "defs" / "bakery"
    made = scaffolded("StarlakePipelinesComponent", target)
    assert jobs(built("StarlakePipelinesComponent", **{**made, "path": str(target / made["path"])})) == {
        "starbake_load"
    }


def test_deploy_names_a_project_in_a_project_of_dg(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once; what somebody has written there is left alone, and a workspace needs pipeline files."""
    folder = tmp_path / "dg/src/shop/defs"
    folder.mkdir(parents=True)
    words = ["deploy", str(shop), "--orchestrator", "dagster", "--environment", "duckdb"]
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, words)
    assert said.exit_code != 0
    assert "no pipeline file in" in said.output
    (tmp_path / "dg/pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "shop"\n', encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path / "dg")
    file = folder / "bakery/defs.yaml"
    said = CliRunner().invoke(app, words)
    assert (said.exit_code, said.output) == (0, f"{file}\n")
    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert found == {
        "type": "starlake_core_dagster.components.StarlakeProjectComponent",
        "attributes": {"project": "../../../../../bakery", "environment": "duckdb"},
    }
    assert (file.parent / found["attributes"]["project"]).resolve() == shop
    written = file.read_text(encoding="utf-8")
    file.write_text(f"{written}# a note of mine\n", encoding="utf-8")
    assert CliRunner().invoke(app, words).exit_code == 0
    said = CliRunner().invoke(app, [*words, "--option", "asset_owners=team:bi"])
    assert said.exit_code != 0
    assert "change it, or remove it and deploy again" in said.output
    assert "asset_owners: team:bi" in said.output
    assert file.read_text(encoding="utf-8") == f"{written}# a note of mine\n"

"""Pipeline files as a component of a project of ``dg``."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster import AssetKey
from dagster_runs import repository

translation = pytest.importorskip("dagster.components.utils.translation", reason="needs Dagster 1.11")
if not hasattr(translation, "TranslationFnResolver"):
    pytest.skip("needs Dagster 1.11", allow_module_level=True)

FILE = """
from starlake_core import Orchestration
with Orchestration({}) as orchestration:
    with orchestration.sl_create_pipeline(name="p") as pipeline:
        pipeline.sl_transform("a", "kpi.a")
"""


def test_a_component_renders_its_files_and_translates_their_assets(tmp_path: Path) -> None:
    from dagster import build_defs_for_component
    from starlake_core_dagster.components import StarlakePipelinesComponent

    (tmp_path / "p.py").write_text(FILE, encoding="utf-8")
    made = StarlakePipelinesComponent.from_attributes_dict(
        attributes={
            "path": str(tmp_path),
            "environment": "shell",
            "options": {"asset_owners": "team:bi"},
            "translation": {"group_name": "gold", "tags": {"pipeline": "{{ pipeline.id }}"}},
        }
    )
    found = repository(build_defs_for_component(made)).asset_graph.get(AssetKey(["kpi", "a"]))
    assert (found.group_name, found.tags["pipeline"], list(found.owners)) == ("gold", "p", ["team:bi"])

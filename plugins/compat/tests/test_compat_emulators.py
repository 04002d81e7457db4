"""Generated files of the clouds run on Airflow and Dagster, against emulators that execute what they are told."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from breadth import quickly
from compat_runs import HOSTS, native_runs
from generated import load_file, transform_file

from starlake_core.plugins import installed
from starlake_core.testing import StandIn

pytest_plugins = ["starlake_core.testing.plugin"]

EMULATORS = {
    "cloud_run": ("cloud_run", "CloudRun", "grpc_status", {"cloud_run_async": "True"}),
    "dataproc": ("dataproc", "Dataproc", "grpc_status", {"dataproc_cluster": None}),
    "fargate": ("ecs", "Ecs", "moto", {"fargate_async_poke_interval": "0.05"}),
}
"""Module and class of the emulator of each cloud, what it needs, and further options of the files."""
INSTALLED = {plugin.name for plugin in installed("environment")}


@pytest.mark.parametrize("host", quickly(*HOSTS))
@pytest.mark.parametrize("environment", [name for name in EMULATORS if name in INSTALLED])
def test_generated_files_run_in_a_cloud(
    tmp_path: Path, home: dict[str, str], stand_in: StandIn, host: str, environment: str
) -> None:
    module, name, needed, options = EMULATORS[environment]
    pytest.importorskip(needed)
    emulators = importlib.import_module(f"emulators.{module}")
    variables = {**home, **getattr(emulators, "CREDENTIALS", {})}
    with getattr(emulators, name)((str(stand_in.path),), buckets=tmp_path / "buckets") as service:
        given: dict[str, Any] = {**service.options, **options, "retries": "0"}
        files = {  # with names of their own, as Airflow 2 cannot replace a run of the same date
            f"{environment}_raw": load_file(host, environment, pre_load_strategy="imported", **given),
            f"{environment}_shop": transform_file(host, environment, run_dependencies_first="true", **given),
        }
        for pipeline, text in files.items():
            (tmp_path / f"{pipeline}.py").write_text(text, encoding="utf-8")
        runs = [(tmp_path / f"{pipeline}.py", pipeline, {}) for pipeline in files]
        for states in native_runs(host, runs, **variables):
            assert set(states.values()) == {"success"}, states
    assert sorted(call.subject for call in stand_in.calls()) == [
        "load:raw.sale",
        "load:raw.sale",
        "load:raw.shop",
        "preload:raw",
        "stage:raw",
        "transform:shop.day",
        "transform:shop.total",
    ]

"""The same DAGs, built with starlake_core. This is also the content of a DAG file for airflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlake_core import (
    Orchestration,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakeDomain,
    StarlakeSchedule,
)

CRON = "0 0 * * *"
OPTIONS = {"pre_load_strategy": "imported", "sl_env_var": {"SL_ROOT": "/project"}}


def load(count: int) -> Any:
    """One domain: a check of its incoming files, their import, one load per table."""
    schedule = StarlakeSchedule("daily", CRON, [StarlakeDomain("sales", tables=[f"t{n:05}" for n in range(count)])])
    with (
        Orchestration(OPTIONS, environment="shell") as orchestration,
        orchestration.sl_create_pipeline(name="load_daily", schedule=schedule) as pipeline,
    ):
        pipeline.add_schedule()
    return pipeline.native


def lineage(parents: Mapping[str, Sequence[str]]) -> Any:
    """One task per transform, in the order of the mapping, after those that it reads."""
    nodes: dict[str, StarlakeDependency] = {}
    for name, before in parents.items():
        nodes[name] = StarlakeDependency(f"d.{name}", dependencies=[nodes[other] for other in before])
    dependencies = StarlakeDependencies(list(nodes.values()))
    with (
        Orchestration(OPTIONS, environment="shell") as orchestration,
        orchestration.sl_create_pipeline(name="lineage", cron=CRON, dependencies=dependencies) as pipeline,
    ):
        pipeline.add_lineage()
    return pipeline.native

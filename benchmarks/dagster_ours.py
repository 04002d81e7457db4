"""The pipelines of the benchmarks for Dagster, built with starlake_core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlake_core import (
    Orchestration,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakeDomain,
    StarlakePipeline,
    StarlakeSchedule,
)

CRON = "0 0 * * *"
OPTIONS = {"pre_load_strategy": "imported", "sl_env_var": {"SL_ROOT": "/project"}}


def orchestration(namespace: dict[str, Any], **options: Any) -> Orchestration:
    """Return an orchestration that publishes pipelines in a module, like a user's file."""
    return Orchestration(
        {**OPTIONS, **options},
        orchestrator="dagster",
        environment="shell",
        filename="pipelines.py",
        namespace=namespace,
    )


def draw_load(
    domains: int, tables: int, namespace: dict[str, Any], native: Mapping[str, Any] | None = None, **options: Any
) -> StarlakePipeline:
    """For each domain a check of its incoming files, their import, one load per table.

    Args:
        domains: the number of domains.
        tables: the number of tables in each domain.
        namespace: the globals of the module.
        native: keyword arguments for Dagster's job.
        **options: further options.
    """
    names = [f"t{n:05}" for n in range(tables)]
    schedule = StarlakeSchedule("daily", CRON, [StarlakeDomain(f"d{n}", tables=names) for n in range(domains)])
    with (
        orchestration(namespace, **options) as drawn,
        drawn.sl_create_pipeline(name="load_daily", schedule=schedule, **(native or {})) as pipeline,
    ):
        pipeline.add_schedule()
    return pipeline


def load(domains: int, tables: int) -> Any:
    """Return what the file of a load pipeline passes to Dagster."""
    namespace: dict[str, Any] = {}
    draw_load(domains, tables, namespace)
    return namespace["defs"]


def load_again(domains: int, tables: int) -> Any:
    """The same, if the file itself requests the definitions of a pipeline that is already published."""
    from starlake_core_dagster import definitions

    return definitions(draw_load(domains, tables, {}))


def lineage(parents: Mapping[str, Sequence[str]]) -> Any:
    """One task per transform, in the order of the mapping, after those that it reads."""
    nodes: dict[str, StarlakeDependency] = {}
    for name, before in parents.items():
        nodes[name] = StarlakeDependency(f"d.{name}", dependencies=[nodes[other] for other in before])
    dependencies = StarlakeDependencies(list(nodes.values()))
    namespace: dict[str, Any] = {}
    with (
        orchestration(namespace) as drawn,
        drawn.sl_create_pipeline(name="lineage", cron=CRON, dependencies=dependencies) as pipeline,
    ):
        pipeline.add_lineage()
    return namespace["defs"]


def fed(upstream: int) -> Any:
    """A pipeline that is started by tables from outside."""
    tables = [
        StarlakeDependency(f"up.t{n}", dependency_type="table", sink=f"up.t{n}", cron=CRON) for n in range(upstream)
    ]
    dependencies = StarlakeDependencies([StarlakeDependency("d.kpi", dependencies=tables)])
    namespace: dict[str, Any] = {}
    with (
        orchestration(namespace, run_dependencies_first="false") as drawn,
        drawn.sl_create_pipeline(name="fed", dependencies=dependencies) as pipeline,
    ):
        pipeline.add_lineage()
    return namespace["defs"]

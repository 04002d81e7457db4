"""Pipelines for the tests of pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from starlake_core import (
    Orchestration,
    Pipeline,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakeDomain,
    StarlakeSchedule,
)
from starlake_core.testing import StandIn

__all__ = ["HOSTILE", "layers", "shop", "shop_file"]

HOSTILE = "</script><img src=x onerror=alert(1)><!-- \u2028 'quoted' \"twice\" ${x}"
"""What breaks pages that put text where code is expected."""

SHOP = """
from starlake_core import Orchestration, StarlakeDependencies, StarlakeDependency, StarlakeDomain, StarlakeSchedule

def table(name):
    return StarlakeDependency(name, "table", cron="0 3 * * *")

orders, customers = table("shop.orders"), table("shop.customers")
sales = StarlakeDependency("kpi.sales", dependencies=[orders, customers])
overview = StarlakeDependency("kpi.overview", dependencies=[sales])
options = {options}
with Orchestration(orchestrator="local", environment="shell", options=options) as orchestration:
    domain = StarlakeDomain("shop", tables=["orders", "customers"])
    with orchestration.sl_create_pipeline(schedule=StarlakeSchedule("daily", "0 3 * * *", [domain])) as pipeline:
        pipeline.add_schedule()
    with orchestration.sl_create_pipeline(dependencies=StarlakeDependencies([sales, overview])) as pipeline:
        pipeline.add_lineage()
"""


def shop_file(folder: Path, stand_in: StandIn) -> Path:
    """Write a pipeline file with two loads and two transforms, whose commands a stand-in runs.

    Args:
        folder: the folder for the file.
        stand_in: the stand-in.
    """
    options = {
        "SL_STARLAKE_PATH": str(stand_in.path),
        "sl_env_var": {"SL_ROOT": str(folder)},
        "pre_load_strategy": "none",
        "retries": 0,
    }
    file = folder / "shop.py"
    file.write_text(SHOP.replace("{options}", repr(options)), encoding="utf-8")
    return file


def shop() -> list[Pipeline]:
    """Two loads and two transforms."""
    orders, customers = (
        StarlakeDependency(f"shop.{name}", "table", cron="0 3 * * *") for name in ("orders", "customers")
    )
    sales = StarlakeDependency("kpi.sales", dependencies=[orders, customers])
    overview = StarlakeDependency("kpi.overview", dependencies=[sales])
    domain = StarlakeDomain("shop", tables=["orders", "customers"])

    def build(orchestration: Orchestration) -> list[Pipeline]:
        with orchestration.sl_create_pipeline(schedule=StarlakeSchedule("daily", "0 3 * * *", [domain])) as loads:
            loads.add_schedule()
        with orchestration.sl_create_pipeline(dependencies=StarlakeDependencies([sales, overview])) as transforms:
            transforms.add_lineage()
        return [loads, transforms]

    return built(build)


def layers(count: int, width: int = 10, domains: int = 5) -> list[Pipeline]:
    """A lineage of transforms in layers, in which each reads two of the layer before.

    Args:
        count: the number of transforms.
        width: the number of transforms of a layer.
        domains: the number of domains.
    """
    nodes: list[StarlakeDependency] = []
    for index in range(count):
        at = index // width * width - width
        parents = [nodes[at + index % width], nodes[at + (index * 7 + 3) % width]] if at >= 0 else []
        nodes.append(StarlakeDependency(f"d{index % domains}.t{index}", dependencies=list(dict.fromkeys(parents))))

    def build(orchestration: Orchestration) -> list[Pipeline]:
        with orchestration.sl_create_pipeline(dependencies=StarlakeDependencies(nodes), cron="0 5 * * *") as pipeline:
            pipeline.add_lineage()
        return [pipeline]

    return built(build)


def built(build: Callable[[Orchestration], Sequence[Pipeline]], **variables: str) -> list[Pipeline]:
    """Return pipelines that a function builds.

    Args:
        build: takes an open orchestration.
        variables: environment variables of the commands.
    """
    options = {"sl_env_var": {"SL_ROOT": "/tmp", **variables}}
    with Orchestration(orchestrator="local", environment="shell", options=options) as made:
        return list(build(made))

"""What a backfill of assets does with what Dagster has put between two tables: a check, or assets of somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetCheckResult,
    AssetKey,
    AssetSpec,
    BackfillPolicy,
    Definitions,
    MaterializeResult,
    TimeWindowPartitionsDefinition,
    asset,
    asset_check,
    multi_asset,
)
from dagster_backfills import IN_PROCESS, backfill
from dagster_runs import draw, instance_in, task_of
from starlake_core_dagster import definitions

from starlake_core import StarlakeDataset, StarlakePipeline

# Dagster's daemon uses what Dagster has deprecated.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:(Property|Function) `\w+\.\w+` is deprecated", "ignore:Parameter `backfill_policy`"
)

pytest_plugins = ["starlake_core.testing.plugin"]

DAYS = [f"2024-03-0{day}T00:00:00+0000" for day in (4, 5)]
DAILY = TimeWindowPartitionsDefinition(
    start="2024-01-01T00:00:00+0000", cron_schedule="0 0 * * *", fmt="%Y-%m-%dT%H:%M:%S%z"
)
POLICIES = pytest.mark.parametrize("policy", ["multi_run", "single_run"])


def key(text: str) -> AssetKey:
    return AssetKey(text.split("/"))


MART = [key("g/x"), key("mart/a"), key("mart/b"), key("mart/c"), key("p")]


def drawn(p: StarlakePipeline) -> None:
    """A load behind a gate, three transforms in a row, the last of which reads what others make of the first, and an end."""
    check = p.sl_pre_load("g", ["x"], "imported")
    assert check is not None
    last = check >> p.sl_load("x", "g", "x")
    for name, reads in (("a", ["g/x"]), ("b", ["mart/a"]), ("c", ["mart/b", "ml/score", "dbt/staged"])):
        inlets = [StarlakeDataset(f"starlake://{read}") for read in reads]
        last = last >> p.sl_transform(name, f"mart.{name}", inlets=inlets)
    last >> p.end_task("end")


def made(policy: str) -> StarlakePipeline:
    return draw(drawn, {"backfill_policy": policy}, cron="0 0 * * *")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Any]:
    with instance_in(tmp_path / "dagster", IN_PROCESS) as found:
        yield found


def ended(instance: Any, run: Any) -> list[str]:
    """What succeeded in a run, in its order."""
    log = instance.all_logs(run.run_id)
    return [
        task_of(entry.step_key)
        for entry in log
        if entry.dagster_event is not None
        and entry.dagster_event.event_type_value == "STEP_SUCCESS"
        and task_of(entry.step_key)
    ]


def made_in(instance: Any, run: Any) -> list[str]:
    """The tables that a run made, in its order, each once."""
    events = (entry.dagster_event for entry in instance.all_logs(run.run_id))
    return list(
        dict.fromkeys(
            event.asset_key.to_user_string()
            for event in events
            if event is not None and event.event_type_value == "ASSET_MATERIALIZATION"
        )
    )


@POLICIES
def test_a_blocking_check_stops_the_next_table(policy: str, instance: Any, tmp_path: Path) -> None:
    """Of the partitions of its run, and of no other one."""

    @asset_check(asset=key("mart/a"), blocking=True)
    def good(context) -> AssetCheckResult:
        return AssetCheckResult(passed=context.run.tags.get("dagster/partition", DAYS[1]) != DAYS[1])

    pipeline = made(policy)
    defs = Definitions.merge(Definitions(asset_checks=[good]), definitions(pipeline))
    runs = backfill(defs, instance, tmp_path, MART, DAYS)
    found = {run.tags.get("dagster/partition", "all"): ended(instance, run) for run in runs}
    whole = ["check_g_incoming_files", "x", "a", "a_good", "b", "c", "end"]
    blocked = ["check_g_incoming_files", "x", "a"]
    assert found == ({"all": blocked} if policy == "single_run" else {DAYS[0]: whole, DAYS[1]: blocked})


def others(policy: BackfillPolicy | None) -> list[Any]:
    """An asset, and a definition of which any part can be made, as that of dbt: its tables are between two of ours, and after them."""

    @asset(key=key("ml/score"), deps=[key("mart/a")], partitions_def=DAILY, backfill_policy=policy)
    def score() -> None: ...

    specs = [AssetSpec(key("dbt/staged"), deps=[key("mart/a")]), AssetSpec(key("dbt/report"), deps=[key("mart/c")])]

    @multi_asset(specs=specs, partitions_def=DAILY, can_subset=True, backfill_policy=policy)
    def models(context) -> Iterator[MaterializeResult]:
        for name in context.selected_asset_keys:
            yield MaterializeResult(asset_key=name)

    return [score, models]


@POLICIES
def test_assets_of_others_run_between_two_tables(policy: str, instance: Any, tmp_path: Path) -> None:
    own = others(BackfillPolicy.single_run() if policy == "single_run" else None)
    keys = [*MART, *(key for one in own for key in one.keys)]
    defs = Definitions.merge(Definitions(assets=own), definitions(made(policy)))
    runs = backfill(defs, instance, tmp_path, keys, DAYS)
    assert len(runs) == (1 if policy == "single_run" else 2)
    for run in runs:
        order = made_in(instance, run)
        for between in ("ml/score", "dbt/staged"):
            assert order.index("mart/a") < order.index(between) < order.index("mart/c")
        assert order.index("mart/c") < order.index("dbt/report")
        assert set(order) == {one.to_user_string() for one in keys}

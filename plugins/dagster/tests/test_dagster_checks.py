"""The expectations of a project as asset checks, and what a run tells about the rows that it wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetCheckKey, AssetCheckSpec, AssetKey, AutomationCondition, Definitions
from dagster_runs import draw, instance_in, launch, repository, resolved, run, states
from starlake_core_dagster import StarlakeTranslator, TranslatedCheck, definitions

from starlake_core import Check, CheckResult, Column, StarlakeError, StarlakePipeline, TableDetails, Written
from starlake_core.runtime import Outcome, Verdict
from starlake_core.testing import FakeEnvironment

UNIQUE = Check("is_unique", "is_col_value_not_unique('id')", fails=True)
SMALL = Check("is row count small?", "SELECT count(*) FROM SL_THIS => count < 3")
DAY = {"sl_data_interval_start": "2026-03-04T00:00:00Z", "sl_data_interval_end": "2026-03-05T00:00:00Z"}
A = AssetKey(["shop", "a"])


def described(task: Any, name: str, *checks: Check, **more: Any) -> Any:
    task.details = TableDetails(name, table=name.upper(), checks=checks, **more)
    return task


def drawn(p: StarlakePipeline) -> None:
    a = described(p.sl_load("a", "shop", "a"), "shop.a", UNIQUE, SMALL, columns=(Column("id", "int", "the key"),))
    a >> p.sl_transform("b", "mart.b") >> p.end_task("end")


def gated(p: StarlakePipeline) -> None:
    """The tables of a domain with a gate share a graph."""
    check = p.sl_pre_load("shop", ["a", "c"], "imported")
    assert check is not None
    a = described(p.sl_load("a", "shop", "a"), "shop.a", UNIQUE, SMALL)
    check >> [a, p.sl_load("c", "shop", "c")]
    a >> p.sl_transform("b", "mart.b") >> p.end_task("end")


def wrote(rejected: int | None = 0, *checks: CheckResult, verdict: Verdict = Verdict.SUCCEEDED) -> Outcome:
    columns = (Column("ID", "BIGINT"), Column("extra", "VARCHAR"))
    written = Written("shop.a", "shop.A", 5, rejected, 12, columns, checks)
    return Outcome(verdict, 0 if verdict is Verdict.SUCCEEDED else 1, written=(written,))


def evaluated(result: Any) -> dict[str, tuple[bool, str]]:
    found = [e.event_specific_data for e in result.all_events if e.event_type_value == "ASSET_CHECK_EVALUATION"]
    return {one.check_name: (one.passed, one.severity.value) for one in found}


class Blocking(StarlakeTranslator):
    """Every condition blocks."""

    def get_asset_check_spec(self, check: TranslatedCheck) -> AssetCheckSpec | None:
        return check.spec._replace(blocking=True) if check.check is not None else None


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Any]:
    with instance_in(tmp_path / "dagster") as found:
        yield found


Form = Callable[[StarlakePipeline], None]
FORMS = pytest.mark.parametrize("build", [drawn, gated], ids=["a step", "a graph"])


def pipeline_of(
    build: Form, *ends: Verdict | Outcome, options: dict[str, Any] | None = None, **keywords: Any
) -> tuple[Definitions, FakeEnvironment]:
    environment = FakeEnvironment()
    environment.script("load:shop.a", *ends)
    return definitions(draw(build, options, environment=environment, **keywords)), environment


@FORMS
@pytest.mark.parametrize("options", [{}, {"load_domain_in_one_step": True}], ids=["", "domain"])
def test_each_expectation_is_a_check_and_so_are_rejected_rows(
    build: Form, options: dict[str, Any], instance: Any
) -> None:
    results = CheckResult(UNIQUE.text, True, True), CheckResult(SMALL.text, False, False, '["5"]')
    defs, _ = pipeline_of(build, wrote(2, *results), options=options)
    keys = {key.name for key in repository(defs).asset_graph.asset_check_keys}
    assert keys == {"is_unique", "is_row_count_small", "rejected_rows"}
    result = launch(resolved(defs, "job", "p"), instance, DAY)
    assert result.success
    assert evaluated(result) == {
        "is_unique": (True, "ERROR"),
        "is_row_count_small": (False, "WARN"),
        "rejected_rows": (False, "WARN"),
    }
    assert states(result)["b"] == "success"


def test_what_is_not_known_has_no_result(instance: Any) -> None:
    """A command that succeeds has met what it would fail for; nobody knows the rest."""
    defs, _ = pipeline_of(drawn, Verdict.SUCCEEDED)
    assert evaluated(launch(resolved(defs, "job", "p"), instance, DAY)) == {"is_unique": (True, "ERROR")}


@FORMS
def test_a_failed_expectation_is_shown_although_nothing_is_written(build: Form, instance: Any) -> None:
    defs, _ = pipeline_of(build, wrote(None, CheckResult(UNIQUE.text, False, True), verdict=Verdict.FAILED))
    result = launch(resolved(defs, "job", "p"), instance, DAY)
    assert not result.success
    assert evaluated(result) == {"is_unique": (False, "ERROR")}
    assert A not in {e.asset_key for e in result.all_events if e.event_type_value == "ASSET_MATERIALIZATION"}
    failed, _ = pipeline_of(build, Verdict.FAILED)
    assert evaluated(launch(resolved(failed, "job", "p"), instance, DAY)) == {}


@FORMS
def test_a_blocking_expectation_stops_what_is_behind_it_and_is_not_repeated(build: Form, instance: Any) -> None:
    found = CheckResult(SMALL.text, False, False)
    defs, environment = pipeline_of(build, wrote(0, found), options={"retries": 2}, translator=Blocking())
    keys = {key.name for key in repository(defs).asset_graph.asset_check_keys}
    assert keys == {"is_unique", "is_row_count_small"}
    result = launch(resolved(defs, "job", "p"), instance, DAY)
    assert not result.success
    assert not {"b", "end"} & set(states(result))
    assert evaluated(result)["is_row_count_small"] == (False, "ERROR")
    assert len(environment.started("load:shop.a")) == 1
    # Its rows are written.
    assert A in {e.asset_key for e in result.all_events if e.event_type_value == "ASSET_MATERIALIZATION"}


@FORMS
def test_a_blocking_expectation_without_a_result_stops_nothing(build: Form, instance: Any) -> None:
    defs, _ = pipeline_of(build, Verdict.SUCCEEDED, translator=Blocking())
    result = launch(resolved(defs, "job", "p"), instance, DAY)
    assert states(result)["end"] == "success"
    assert evaluated(result) == {"is_unique": (True, "ERROR")}


@pytest.mark.parametrize(
    "more", [{"additional_deps": ["ref"]}, {"automation_condition": AutomationCondition.eager()}], ids=list
)
def test_what_a_check_in_the_step_of_its_table_cannot_have_is_refused(more: dict[str, Any]) -> None:
    """Dagster accepts them, but nothing waits for such a dependency, and a check that is asked for alone fails."""

    class Mine(StarlakeTranslator):
        def get_asset_check_spec(self, check: TranslatedCheck) -> AssetCheckSpec:
            return AssetCheckSpec(check.spec.name, asset=check.spec.asset_key, **more)

    with pytest.raises(StarlakeError, match=rf"of Mine sets {next(iter(more))} for is_unique of shop/a; this check is"):
        pipeline_of(drawn, translator=Mine())


def test_a_materialisation_tells_rows_columns_and_the_table(instance: Any) -> None:
    defs, _ = pipeline_of(drawn, wrote(2))
    assert launch(resolved(defs, "job", "p"), instance, DAY).success
    metadata = instance.get_latest_materialization_event(A).asset_materialization.metadata
    assert metadata["dagster/row_count"].value == 12
    assert (metadata["rows accepted"].value, metadata["rows rejected"].value) == (5, 2)
    assert metadata["dagster/table_name"].value == "SHOP.A"
    assert "dagster/last_updated_timestamp" in metadata
    columns = metadata["dagster/column_schema"].value.columns
    assert [(c.name, c.type, c.description) for c in columns] == [
        ("ID", "BIGINT", "the key"),
        ("extra", "VARCHAR", None),
    ]


def test_checks_are_not_made_without_the_table(instance: Any) -> None:
    defs, environment = pipeline_of(gated, wrote())
    made = repository(defs).get_job("p")
    checks = {AssetCheckKey(A, "is_unique")}
    result = run(made.get_subset(asset_selection=set(), asset_check_selection=checks), instance, tags=DAY)
    assert not result.success
    assert environment.started("load:shop.a") == []


def test_a_table_of_two_pipelines_has_its_checks_once() -> None:
    environment = FakeEnvironment()
    two = [draw(drawn, environment=environment, name=name) for name in ("p", "q")]
    keys = list(repository(definitions(two)).asset_graph.asset_check_keys)
    assert len(keys) == len(set(keys)) == 3


def test_how_old_a_table_may_be_is_known() -> None:
    dagster = pytest.importorskip("dagster")
    if tuple(map(int, dagster.__version__.split(".")[:2])) < (1, 12):
        pytest.skip("this version has no such policy")

    def old(p: StarlakePipeline) -> None:
        for name, warn, error in (("a", 3600, 7200), ("b", 7200, 3600), ("c", 3600, 0), ("d", 0, 30)):
            described(p.sl_load(name, "shop", name), f"shop.{name}", warn_after=warn, error_after=error)

    graph = repository(definitions(draw(old))).asset_graph
    found = {name: graph.get(AssetKey(["shop", name])).freshness_policy_or_from_metadata for name in "abcd"}
    windows = {
        name: policy and (policy.fail_window.seconds, policy.warn_window and policy.warn_window.seconds)
        for name, policy in found.items()
    }
    assert windows == {"a": (7200, 3600), "b": (3600, None), "c": None, "d": None}


def test_conditions_with_one_name_are_two_checks() -> None:
    def twins(p: StarlakePipeline) -> None:
        described(p.sl_load("a", "shop", "a"), "shop.a", replace(UNIQUE, name="x y"), replace(SMALL, name="x-y"))

    keys = {key.name for key in repository(definitions(draw(twins))).asset_graph.asset_check_keys}
    assert keys == {"x_y", "x_y_2", "rejected_rows"}

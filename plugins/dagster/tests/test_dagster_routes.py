"""Whichever way a run is started, it has the same executor and the same rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetSelection,
    AutomationCondition,
    AutomationConditionSensorDefinition,
    DagsterInstance,
    DefaultSensorStatus,
    Definitions,
    define_asset_job,
    in_process_executor,
    job,
    multiprocess_executor,
    op,
    success_hook,
)
from dagster_runs import draw, instance_in, launch, program, repository, resolved
from starlake_core_dagster import definitions, thread_executor

from starlake_core import Orchestration, StarlakePipeline, TriggerRule
from starlake_core.testing import FakeEnvironment, StandIn, Step

pytest_plugins = ["starlake_core.testing.plugin"]
ASSETS = "__ASSET_JOB"


def tables(p: StarlakePipeline) -> None:
    a, b = p.sl_load("a", "d", "a"), p.sl_load("b", "d", "b")
    clean = p.sl_transform("clean", "d.clean", trigger=TriggerRule.ALL_DONE)
    mart = p.sl_transform("mart", "d.mart")
    a >> mart
    b >> mart
    a >> clean
    b >> clean


def executor_of(defs: Definitions, name: str) -> Any:
    return repository(defs).get_job(name).executor_def


def test_every_route_has_the_threads(tmp_path: Path) -> None:
    defs = definitions(draw(tables, root=tmp_path))

    @op
    def nothing() -> None: ...

    @job
    def own() -> None:
        nothing()

    mine = Definitions(jobs=[define_asset_job("mine"), own])
    both = Definitions.merge(defs, mine)
    for name in (ASSETS, "p", "mine", "own"):
        assert executor_of(both, name).name == "starlake_threads", name


@pytest.mark.parametrize("route", ["p", ASSETS, "mine"])
def test_what_the_pipeline_says_holds_on_every_route(tmp_path: Path, route: str) -> None:
    """Its hooks, once for each step, and how many steps run at once: of two pipelines, the one with fewer counts."""
    called: list[str] = []

    @success_hook
    def told(context: Any) -> None:
        called.append(context.op.name)

    first = draw(tables, {"parallelism": 3}, hooks={told})
    second = draw(lambda p: p.sl_load("x", "x", "x"), {"parallelism": 2}, name="q")
    everything = define_asset_job("mine", hooks={told})
    defs = Definitions.merge(definitions([first, second]), Definitions(jobs=[everything]))
    with instance_in(tmp_path) as instance:
        result = launch(repository(defs).get_job(route), instance)
    assert result.success
    steps = ["p__a", "p__b", "p__clean", "p__mart"]
    assert sorted(called) == sorted([*steps, *(["q__x"] if route == "mine" else [])])
    (said,) = [event.message for event in result.all_events if "in at most" in (event.message or "")]
    assert f"in at most {3 if route == 'p' else 2} threads" in said


def test_conditions_are_evaluated_by_the_sensor_that_is_merged() -> None:
    """As the README says: that of Dagster is off, and has no tags for its runs."""
    made = definitions(draw(lambda p: p.sl_transform("x", "kpi.x", automation_condition=AutomationCondition.eager())))
    mine = AutomationConditionSensorDefinition(
        "conditions",
        target=AssetSelection.all(),
        default_status=DefaultSensorStatus.RUNNING,
        run_tags={"team": "data"},
    )
    both = Definitions.merge(made, Definitions(sensors=[mine]))
    (default,) = repository(made).sensor_defs
    assert default.name == "default_automation_condition_sensor"
    assert default.default_status == DefaultSensorStatus.STOPPED
    (found,) = repository(both).sensor_defs
    assert (found.name, found.run_tags) == ("conditions", {"team": "data"})


def test_the_number_of_threads_of_a_run_wins() -> None:
    defs = definitions(draw(tables, {"parallelism": 3}))
    for given, expected in (({"max_concurrent": 5}, 5), ({"max_concurrent": None}, 3), ({}, 3)):
        with DagsterInstance.ephemeral() as instance:
            config = {"execution": {"config": given}}
            result = launch(repository(defs).get_job(ASSETS), instance, run_config=config)
        (said,) = [event.message for event in result.all_events if "in at most" in (event.message or "")]
        assert f"in at most {expected} threads" in said


def test_what_names_one_keeps_it(tmp_path: Path) -> None:
    defs = definitions(draw(tables, root=tmp_path, executor_def=multiprocess_executor))
    assert executor_of(defs, "p") is multiprocess_executor
    assert executor_of(defs, ASSETS).name == "starlake_threads"


def test_several_merge_and_the_users_own_is_left_alone(tmp_path: Path) -> None:
    """Whatever their parallelism: the executor of the code location is one object."""
    first = definitions(draw(tables, {"parallelism": 2}, root=tmp_path / "1"))
    second = definitions(draw(lambda p: p.sl_load("x", "x", "x"), {"parallelism": 3}, root=tmp_path / "2", name="q"))
    assert executor_of(Definitions.merge(first, second), ASSETS) is thread_executor()
    mine = Definitions(executor=in_process_executor)
    with pytest.raises(Exception, match="both have an executor"):
        Definitions.merge(first, mine)
    left = definitions(draw(tables, root=tmp_path / "3"), executor=None)
    assert executor_of(Definitions.merge(left, mine), ASSETS) is in_process_executor
    given = definitions(draw(tables, root=tmp_path / "4"), executor=in_process_executor)
    assert executor_of(given, ASSETS) is in_process_executor


def test_the_defs_of_a_file_too(tmp_path: Path) -> None:
    """Those that are put into its module; an executor that the file gives is left alone."""
    for given, name in ((None, "starlake_threads"), (Definitions(executor=in_process_executor), "in_process")):
        namespace: dict[str, Any] = {} if given is None else {"defs": given}
        orchestration = Orchestration(
            {},
            orchestrator="dagster",
            environment=FakeEnvironment(),
            filename=str(tmp_path / "f.py"),
            namespace=namespace,
        )
        with orchestration, orchestration.sl_create_pipeline(name="p") as pipeline:
            tables(pipeline)
        assert executor_of(namespace["defs"], ASSETS).name == name


@pytest.mark.parametrize("name", ["p", ASSETS])
def test_the_rules_of_triggers_hold(name: str, tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.script("load:d.b", Step(exit_code=3))
    defs = definitions(draw(tables, program(stand_in), environment="shell", root=tmp_path / "p"))
    with instance_in(tmp_path / "home") as instance:
        made = resolved(defs, "job", name) if name == "p" else repository(defs).get_job(name)
        assert not launch(made, instance).success
    subjects = [call.subject for call in stand_in.calls()]
    assert "transform:d.clean" in subjects, "a task that runs when all is done did not run"
    assert "transform:d.mart" not in subjects

"""The verbs, the standard shapes, and the documented way in."""

from __future__ import annotations

import dataclasses
import importlib
import logging
import re
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlake_core import (
    CommandError,
    ContractError,
    DataInterval,
    DuplicateIdError,
    GraphError,
    Job,
    Lifecycle,
    NothingFoundError,
    OptionsError,
    Orchestration,
    PluginContractError,
    Report,
    RunError,
    RunRequest,
    ScheduleError,
    StarlakeDataset,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakeDomain,
    StarlakeError,
    StarlakeExecutionEnvironment,
    StarlakeOrchestrator,
    StarlakePipeline,
    StarlakePreLoadStrategy,
    StarlakeSchedule,
    StarlakeSparkConfig,
    StarlakeTable,
    TableDetails,
    TaskGroup,
    TaskKind,
    TaskState,
    TriggerRule,
    Wait,
    hookimpl,
)
from starlake_core.contract import parse_arguments
from starlake_core.dsl.orchestration import Overrides, current_overrides, overriding
from starlake_core.dsl.pipeline_files import load_file

Draw = Callable[..., StarlakePipeline]
DAILY = StarlakeSchedule(
    "daily",
    "0 0 * * *",
    [StarlakeDomain("sales", tables=["orders", "customers"]), StarlakeDomain("hr", "HumanR", ["people"])],
)


def tree(group: TaskGroup) -> dict[str, Any]:
    return {node.id: tree(node) if isinstance(node, TaskGroup) else None for node in group.nodes.values()}


def edges(group: TaskGroup) -> set[tuple[str, str]]:
    return {(before, after) for before, afters in group.edges.items() for after in afters}


def one(
    draw: Draw, build: Callable[[StarlakePipeline], Any], options: dict[str, Any] | None = None, **keywords: Any
) -> Any:
    """What the verb returned."""
    made: list[Any] = []
    draw(lambda p: made.append(build(p)), options, **keywords)
    return made[0]


# verbs

PRELOAD = ["preload", "--domain", "d"]
LOAD = ["load", "--scheduledDate", "${sl_scheduled_date}", "--domains", "d", "--tables", "t"]


@pytest.mark.parametrize(
    ("verb", "task_id", "vector"),
    [
        (lambda p: p.sl_import(domain="d"), "d_import", ["stage", "--domains", "d"]),
        (lambda p: p.sl_import(domain="d", tables={"b", "a"}), "d_import", ["stage", "--domains", "d", "--tables", "a,b"]),
        (lambda p: p.sl_import("x", "d"), "x", ["stage", "--domains", "d"]),
        (lambda p: p.sl_load(domain="d", table="t"), "d_t_load", LOAD),
        (lambda p: p.sl_load("x", "d", "t"), "x", LOAD),
        (lambda p: p.sl_pre_load("d", pre_load_strategy="imported"), "check_d_incoming_files", [*PRELOAD, "--strategy", "imported"]),
        (lambda p: p.sl_pre_load("d", {"b", "a"}, "pending"), "check_d_pending_files", [*PRELOAD, "--tables", "a,b", "--strategy", "pending"]),
        (lambda p: p.sl_pre_load("d", pre_load_strategy="pending", task_id="x"), "x", [*PRELOAD, "--strategy", "pending"]),
        (lambda p: p.sl_job("x", ["freshness", "--tables", "d.t"]), "x", ["freshness", "--tables", "d.t"]),
    ],
)  # fmt: skip
def test_the_documented_verbs(draw: Draw, verb: Any, task_id: str, vector: list[str]) -> None:
    task = one(draw, verb)
    assert task.id == task_id
    assert list(task.job.arguments) == vector
    assert task.command.vector == task.job.arguments


@pytest.mark.parametrize(
    ("verb", "summary"),
    [
        (lambda p: p.sl_pre_load("d", pre_load_strategy="pending"), "Checks whether the domain <d> is ready; if it is not, its loads are skipped."),
        (lambda p: p.sl_import(domain="d"), "Moves the incoming files of the domain <d> to where they are loaded from."),
        (lambda p: p.sl_load(domain="d", table="t"), "Loads the table <t> of the domain <d>."),
        (lambda p: p.sl_transform(transform_name="kpi.{a}"), "Runs the transform <kpi.{a}>."),
        (lambda p: p.sl_job("x", ["load", "--domains", "d", "--tables", "t"]), "Runs the Starlake command <load>."),
        (lambda p: p.sl_job("x", ["transform", "--name", "kpi.a"]), "Runs the Starlake command <transform>."),
        (lambda p: p.sl_job("x", ["preload", "--domain", "d", "--strategy", "pending"]), "Runs the Starlake command <preload>."),
        (lambda p: p.sl_job("x", ["freshness", "--tables", "d.t"]), "Runs the Starlake command <freshness>."),
        (lambda p: p.sl_dummy_op("x"), ""),
    ],
)  # fmt: skip
def test_a_task_says_what_it_runs(draw: Draw, verb: Any, summary: str) -> None:
    assert one(draw, verb).summary(lambda name: f"<{name}>") == summary


def test_a_plain_load_takes_the_options_of_its_task(draw: Draw) -> None:
    options = {"x": {"retries": 7}, "retries": 1}
    task = one(draw, lambda p: p.sl_job("x", ["load", "--domains", "d", "--tables", "t"]), options)
    assert (task.retries, task.kind) == (7, TaskKind.WORK)


@pytest.mark.parametrize("domain", ["sales", "imported", "pending", "ack"])
def test_a_check_that_is_not_ready_names_what_it_looked_for(draw: Draw, domain: str) -> None:
    options = {"global_ack_file_path": "/x.ack"}
    for strategy, missing in (
        ("imported", "incoming files"),
        ("pending", "pending files"),
        ("ack", "acknowledgement file"),
    ):
        task = one(draw, lambda p, how=strategy: p.sl_pre_load(domain, pre_load_strategy=how), options)
        assert task.missing == f"{domain} has no {missing}"


def test_a_transform_is_named_after_itself(draw: Draw) -> None:
    task = one(draw, lambda p: p.sl_transform(transform_name="kpi.a", transform_options={"k": "v"}))
    assert (task.id, task.name) == ("kpi_a", "kpi.a")
    assert parse_arguments(task.job.arguments).values["options"]["k"] == "v"
    assert [dataset.uri for dataset in task.outlets] == ["starlake://kpi/a"]


def test_start_and_end_are_named_after_the_schedule(draw: Draw) -> None:
    assert [t.id for t in draw(lambda p: p.start_task() >> p.end_task()).tasks()] == ["start", "end"]
    assert [t.id for t in draw(lambda p: p.start_task() >> p.end_task(), schedule=DAILY).tasks()] == [
        "start_daily",
        "end_daily",
    ]
    assert [t.id for t in draw(lambda p: p.start_task("a") >> p.end_task("b")).tasks()] == ["a", "b"]


def test_the_end_closes_the_pipeline(draw: Draw) -> None:
    end = one(draw, lambda p: p.end_task(), cron="0 0 * * *")
    assert (end.kind, end.trigger, end.job) == (TaskKind.END, TriggerRule.NONE_FAILED, None)
    assert [(dataset.uri, dataset.cron) for dataset in end.outlets] == [("p", "0 0 * * *")]
    dataset = StarlakeDataset("x")
    assert one(draw, lambda p: p.end_task(output_datasets=[dataset])).outlets == (dataset,)
    assert one(draw, lambda p: p.end_task(output_datasets=[])).outlets == ()


def test_dummies(draw: Draw) -> None:
    for verb in ("sl_dummy_op", "dummy_task"):
        plain = one(draw, lambda p, verb=verb: getattr(p, verb)("x"))
        assert (plain.job, plain.trigger, plain.retries, plain.is_work) == (None, TriggerRule.ALL_SUCCESS, 0, False)
        assert one(draw, lambda p, verb=verb: getattr(p, verb)("all_done")).trigger is TriggerRule.ALL_DONE


@pytest.mark.parametrize(
    "verb",
    [
        lambda p: p.sl_import(),
        lambda p: p.sl_load(domain="d"),
        lambda p: p.sl_load(table="t"),
        lambda p: p.sl_transform(),
    ],
)
def test_what_a_verb_needs_it_names(orchestrate: Any, verb: Any) -> None:
    with pytest.raises(CommandError, match=r"\(\) of pipeline p needs \w+="):
        verb(orchestrate().sl_create_pipeline(name="p"))


@pytest.mark.parametrize(
    ("verb", "order"),
    [
        (
            lambda p: p.sl_load("sales", "orders"),
            r"needs table=, one name; its first arguments are task_id, domain, table$",
        ),
        (lambda p: p.sl_transform("kpi.a"), r"needs transform_name=, one name; .* are task_id, transform_name$"),
        (lambda p: p.sl_load("load", "sales", 7), "needs table=, one name, found 7$"),
    ],
)
def test_names_in_the_wrong_order_are_told_the_order(orchestrate: Any, verb: Any, order: str) -> None:
    with pytest.raises(CommandError, match=order):
        verb(orchestrate().sl_create_pipeline(name="p"))


def test_a_job_that_the_command_line_would_refuse_is_refused_at_once(orchestrate: Any) -> None:
    with pytest.raises(ContractError, match="Unknown option --tabels"):
        orchestrate().sl_create_pipeline(name="p").sl_job("x", ["freshness", "--tabels", "a"])


def test_skip_or_start_does_nothing(draw: Draw) -> None:
    pipeline = draw(lambda p: p.skip_or_start("skip", p.start_task(), pool="x"))
    assert [task.id for task in pipeline.tasks()] == ["start"]
    assert one(draw, lambda p: p.skip_or_start()) is None


def test_a_native_node_is_made_while_its_container_is_open(
    draw: Draw, orchestrate: Any, noop_orchestrator: Any
) -> None:
    orchestrator, seen = noop_orchestrator(), []

    def factory() -> str:
        seen.extend(orchestrator.calls)
        return "mine"

    def build(p: StarlakePipeline) -> None:
        with p.sl_create_task_group("g"):
            p.sl_dummy_op("a") >> p.add_native("b", factory) >> p.sl_dummy_op("c")

    pipeline = draw(build, orchestration=orchestrate(orchestrator=orchestrator))
    assert pipeline.native == (
        "pipeline",
        "p",
        {"g": ("group", "g", {"a": ("task", "a"), "b": "mine", "c": ("task", "c")})},
    )
    assert seen == ["open g", "g.a"]
    assert pipeline.dag is pipeline.native


@pytest.mark.parametrize("late", [lambda p: p.sl_dummy_op("late"), lambda p: p.nodes["start"] >> p.nodes["end"]])
def test_nothing_joins_a_pipeline_that_is_rendered(draw: Draw, late: Any) -> None:
    pipeline = draw(lambda p: [p.start_task(), p.end_task()])
    with pytest.raises(GraphError):
        late(pipeline)


# keywords


def test_every_verb_takes_the_settings_of_a_task(draw: Draw) -> None:
    x, y = StarlakeDataset("x"), StarlakeDataset("y")
    task = one(
        draw,
        lambda p: p.sl_load(
            domain="d", table="t", retries=0, retry_delay=timedelta(minutes=1), timeout=5, pool="small", params={"a": 1},
            trigger="all_done", inlets=[x], outlets=[y], native_keyword=print,
        ),
    )  # fmt: skip
    assert (task.retries, task.retry_delay, task.timeout, task.pool, task.params) == (0, 60, 5, "small", {"a": 1})
    assert (task.trigger, task.inlets, task.native) == (TriggerRule.ALL_DONE, (x,), {"native_keyword": print})
    assert [dataset.uri for dataset in task.outlets] == ["starlake://d/t", "y"]
    assert task.command.params == {"a": 1}


@pytest.mark.parametrize("verb", ["sl_load", "sl_dummy_op"])
def test_what_the_user_does_with_their_params_later_is_their_own_business(draw: Draw, verb: str) -> None:
    params = {"a": 1}
    keywords = {"domain": "d", "table": "t"} if verb == "sl_load" else {}
    task = one(draw, lambda p: getattr(p, verb)("task", params=params, **keywords))
    params["a"] = 2
    assert task.params == {"a": 1}


def test_settings_come_from_the_options_by_default(draw: Draw) -> None:
    options = {"retries": 4, "retry_delay": "2m", "task_timeout": "1h", "default_pool": "big"}
    task = one(draw, lambda p: p.sl_load(domain="d", table="t"), options)
    assert (task.retries, task.retry_delay, task.timeout, task.pool) == (4, 120, 3600, "big")


@pytest.mark.parametrize(
    "verb",
    [
        "start_task",
        "end_task",
        "pre_tasks",
        "post_tasks",
        "sl_dummy_op",
        "sl_import",
        "sl_load",
        "sl_pre_load",
        "sl_transform",
        "sl_job",
        "skip_or_start",
    ],
)
def test_an_unknown_keyword_is_refused_by_name(orchestrate: Any, verb: str) -> None:
    pipeline = orchestrate({"pre_load_strategy": "pending"}).sl_create_pipeline(name="p")
    needed: dict[str, dict[str, Any]] = {
        "sl_dummy_op": {"task_id": "x"},
        "sl_import": {"domain": "d"},
        "sl_load": {"domain": "d", "table": "t"},
        "sl_pre_load": {"domain": "d"},
        "sl_transform": {"transform_name": "a.b"},
        "sl_job": {"task_id": "x", "arguments": ["stage"]},
    }
    with pytest.raises(CommandError) as caught:
        getattr(pipeline, verb)(**needed.get(verb, {}), retires=3)
    task = "of task x " if "task_id" in needed.get(verb, {}) else ""
    assert f"{verb}() {task}of pipeline p does not take the keyword 'retires'" in str(caught.value)
    assert "native_keyword" in str(caught.value)
    assert "Did you mean 'retries'?" in str(caught.value)
    assert not pipeline.nodes


def test_an_unknown_keyword_of_a_pipeline_is_refused_by_name(orchestrate: Any) -> None:
    with pytest.raises(
        StarlakeError, match=r"sl_create_pipeline\(\) does not take the keyword 'schedul'.*native_keyword"
    ):
        orchestrate().sl_create_pipeline(name="p", schedul=DAILY)  # codespell:ignore schedul
    assert orchestrate().sl_create_pipeline(name="p", native_keyword=1).native_options == {"native_keyword": 1}


@pytest.mark.parametrize("value", [-1, "5", True, timedelta(seconds=-1)])
def test_a_delay_that_is_none_is_refused(orchestrate: Any, value: Any) -> None:
    with pytest.raises(CommandError, match="retry_delay="):
        orchestrate().sl_create_pipeline(name="p").sl_load(domain="d", table="t", retry_delay=value)


@pytest.mark.parametrize("value", [-1, "5", 1.5])
def test_retries_that_are_none_are_refused(orchestrate: Any, value: Any) -> None:
    with pytest.raises(StarlakeError):
        orchestrate().sl_create_pipeline(name="p").sl_load(domain="d", table="t", retries=value)


def test_an_unknown_trigger_is_refused_clearly(orchestrate: Any) -> None:
    with pytest.raises(StarlakeError):
        orchestrate().sl_create_pipeline(name="p").sl_dummy_op("x", trigger="one_success")


# per task


def test_options_of_one_task(draw: Draw) -> None:
    options = {
        "retries": 1,
        "kpi.a": {"options": "k=v", "retries": 3, "spark_executor_cores": 8},
        "d.t": {"options": {"x": 1}, "retry_delay": 7},
        "special": {"retries": 0},
    }

    def build(p: StarlakePipeline) -> None:
        p.sl_transform(transform_name="kpi.a")
        p.sl_transform(transform_name="kpi.b")
        p.sl_load(domain="d", table="t")
        p.sl_load("special", "d", "u")

    a, b, t, special = draw(build, options).tasks()
    assert [task.retries for task in (a, b, t, special)] == [3, 1, 1, 0]
    assert t.retry_delay == 7
    assert parse_arguments(a.job.arguments).values["options"]["k"] == "v"
    assert "k" not in parse_arguments(b.job.arguments).values["options"]
    assert parse_arguments(t.job.arguments).values["options"] == {"x": "1"}
    assert (a.job.spec["cores"], b.job.spec["cores"]) == (8, 4)
    assert (a.command.spark.cores, b.command.spark.cores) == (8, 4)


def test_the_argument_wins_over_the_options_of_a_task(draw: Draw) -> None:
    task = one(
        draw,
        lambda p: p.sl_transform(transform_name="kpi.a", transform_options="k=argument"),
        {"kpi.a": {"options": "k=option"}},
    )
    assert parse_arguments(task.job.arguments).values["options"]["k"] == "argument"


def test_a_preload_takes_the_options_of_its_domain_and_of_its_task(draw: Draw) -> None:
    options = {"pre_load_strategy": "pending", "d": {"retries": 5}, "check_e_pending_files": {"retries": 6}}
    pipeline = draw(lambda p: [p.sl_pre_load("d"), p.sl_pre_load("e")], options)
    assert [task.retries for task in pipeline.tasks()] == [5, 6]


def test_sl_options_reach_the_commands(draw: Draw) -> None:
    options = {"sl_options": {"all": {"k": "v"}, "kpi.a": {"x": "y"}}}
    task = one(draw, lambda p: p.sl_transform(transform_name="kpi.a"), options)
    assert {"k": "v", "x": "y"}.items() <= parse_arguments(task.job.arguments).values["options"].items()


# spark


def test_spark_sizing(draw: Draw) -> None:
    options = {
        "spark_executor_memory": "2g",
        "spark_properties": {"spark.x": 1, "spark.y": True},
        "big": {"spark_executor_instances": 9},
    }

    def build(p: StarlakePipeline) -> None:
        assert p.sl_spark_config("any") == StarlakeSparkConfig("2g", 4, 1, {"spark.x": "1", "spark.y": "true"})
        assert p.sl_spark_config("big").instances == 9
        own = StarlakeSparkConfig("1g")
        assert p.sl_load(domain="d", table="t", spark_config=own).command.spark is own
        assert p.sl_load(domain="d", table="u").command.spark.memory == "2g"

    draw(build, options)
    named = one(draw, lambda p: p.sl_load(domain="d", table="t"), {**options, "spark_config_name": "big"})
    assert named.command.spark.instances == 9


# pre-load


def test_no_strategy_no_task(draw: Draw) -> None:
    assert one(draw, lambda p: p.sl_pre_load("d")) is None
    assert one(draw, lambda p: p.sl_pre_load("d", pre_load_strategy="none"), {"pre_load_strategy": "ack"}) is None


def test_a_preload_is_a_gate_and_its_job_a_check(draw: Draw) -> None:
    task = one(draw, lambda p: p.sl_pre_load("d", pre_load_strategy=StarlakePreLoadStrategy.IMPORTED))
    assert (task.kind is TaskKind.CHECK, task.job.check, task.wait, task.is_work) == (True, True, None, False)


def test_the_option_is_the_default_strategy(draw: Draw) -> None:
    assert one(draw, lambda p: p.pre_load_strategy, {"pre_load_strategy": "ACK"}) is StarlakePreLoadStrategy.ACK


def test_one_table_may_be_given_as_a_text(draw: Draw) -> None:
    assert one(draw, lambda p: p.sl_import(domain="d", tables="orders")).command.tables == ("orders",)
    assert one(draw, lambda p: p.sl_pre_load("d", "orders", "pending")).command.tables == ("orders",)


def ack_path(draw: Draw, options: dict[str, Any]) -> str:
    task = one(draw, lambda p: p.sl_pre_load("d", pre_load_strategy="ack"), options)
    return str(parse_arguments(task.job.arguments).values["globalAckFilePath"])


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from(["", " ", "  "]))
def test_ds_is_a_run_time_value_in_any_number_of_braces(draw: Draw, left: int, right: int, blank: str) -> None:
    path = f"/acks/{'{' * left}{blank}ds{blank}{'}' * right}.ack"
    assert ack_path(draw, {"global_ack_file_path": path}) == "/acks/${sl_ds}.ack"


def test_the_ack_file_by_default(draw: Draw) -> None:
    assert ack_path(draw, {}) == "datasets/pending/d/${sl_ds}.ack"
    assert ack_path(draw, {"sl_env_var": {"SL_ROOT": "/r/"}}) == "/r/datasets/pending/d/${sl_ds}.ack"
    assert (
        ack_path(draw, {"sl_env_var": {"SL_ROOT": "/r", "SL_DATASETS": "gs://b/"}}) == "gs://b/pending/d/${sl_ds}.ack"
    )
    assert (
        ack_path(draw, {"global_ack_file_path": "/{domain}/x${sl_data_interval_end}"}) == "/d/x${sl_data_interval_end}"
    )


@given(st.sampled_from(["domain", "SL_ROOT", "SL_DATASETS", "AREA"]), st.integers(1, 3), st.sampled_from(["", " "]))
def test_what_is_known_is_filled_in_braces_of_any_number(draw: Draw, name: str, braces: int, blank: str) -> None:
    env = {"SL_ROOT": "/r", "AREA": "in"}
    filled = {"domain": "d", "SL_ROOT": "/r", "SL_DATASETS": "/r/datasets", "AREA": "in"}[name]
    path = f"{'{' * braces}{blank}{name}{blank}{'}' * braces}/GO.ack"
    assert ack_path(draw, {"global_ack_file_path": path, "sl_env_var": env}) == f"{filled}/GO.ack"
    assert ack_path(draw, {"global_ack_file_path": f"$${{{name}}}/GO.ack", "sl_env_var": env}).startswith("$$")


def test_what_is_known_in_a_path_is_no_warning(draw: Draw, caplog: pytest.LogCaptureFixture) -> None:
    options = {
        "global_ack_file_path": "{{SL_DATASETS}}/pending/{{domain}}/{{ ds }}.ack",
        "pre_load_not_ready_sentinel_path": "{{SL_DATASETS}}/{{domain}}",
    }
    with caplog.at_level(logging.WARNING, "starlake_core"):
        assert ack_path(draw, options) == "datasets/pending/d/${sl_ds}.ack"
        task = one(draw, lambda p: p.sl_pre_load("d", pre_load_strategy="imported"), options)
    assert parse_arguments(task.job.arguments).values["notReadySentinel"] == "datasets/d/d/${sl_attempt_hash}.notready"
    assert not caplog.text
    with caplog.at_level(logging.WARNING, "starlake_core"):
        path = ack_path(draw, {"global_ack_file_path": "{{SL_ROOT}}/{{table}}/{{domain}}.ack"})
    assert path == "{{SL_ROOT}}/{{table}}/d.ack"
    assert "{{SL_ROOT}}, {{table}} in option 'global_ack_file_path'" in caplog.text


def test_other_jinja_in_an_ack_path_is_a_warning(draw: Draw, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "starlake_core"):
        assert ack_path(draw, {"global_ack_file_path": "/{{ ds }}/{{ ts_nodash }}"}) == "/${sl_ds}/{{ ts_nodash }}"
    assert "{{ ts_nodash }}" in caplog.text


def test_jinja_in_another_option_is_a_warning(draw: Draw, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "starlake_core"):
        one(draw, lambda p: p.sl_load(domain="d", table="t"), {"sl_env_var": {"DAY": "{{ ds_nodash }}"}})
    assert "{{ ds_nodash }}" in caplog.text


@pytest.mark.parametrize(
    ("options", "wait"),
    [
        ({}, None),
        ({"pre_load_sensor": True}, Wait(300, 3600, False)),
        (
            {
                "pre_load_sensor": True,
                "pre_load_poke_interval": 5,
                "pre_load_timeout": 60,
                "pre_load_sensor_soft_fail": True,
            },
            Wait(5, 60, True),
        ),
    ],
)
def test_a_preload_waits_when_it_is_a_sensor(draw: Draw, options: dict[str, Any], wait: Wait | None) -> None:
    assert one(draw, lambda p: p.sl_pre_load("d", pre_load_strategy="pending"), options).wait == wait


@pytest.mark.parametrize(
    ("options", "wait"),
    [
        ({}, Wait(300, 3600, True)),
        ({"ack_wait_timeout": 10}, Wait(10, 10, True)),
        ({"ack_wait_timeout": 0}, None),
        ({"pre_load_sensor": True}, Wait(300, 3600, False)),
        ({"pre_load_sensor": True, "pre_load_sensor_soft_fail": True}, Wait(300, 3600, True)),
    ],
)
def test_an_acknowledgement_is_waited_for(draw: Draw, options: dict[str, Any], wait: Wait | None) -> None:
    assert one(draw, lambda p: p.sl_pre_load("d", pre_load_strategy="ack"), options).wait == wait


def test_the_sentinel_is_named_after_the_attempt(draw: Draw) -> None:
    task = one(
        draw,
        lambda p: p.sl_pre_load("a b", pre_load_strategy="pending"),
        {"pre_load_not_ready_sentinel_path": "gs://b/x/"},
    )
    assert parse_arguments(task.job.arguments).values["notReadySentinel"] == "gs://b/x/a_b/${sl_attempt_hash}.notready"


class OwnPreload:
    name = "own_preload"

    def __init__(self, answer: Any) -> None:
        self.answer, self.seen = answer, []

    @hookimpl(tryfirst=True)
    def sl_create_preload(self, preload: Any, options: Any) -> Any:
        self.seen.append((preload.domain, preload.strategy.value))
        return self.answer


def test_an_addon_may_answer_for_a_preload(draw: Draw, orchestrate: Any) -> None:
    addon = OwnPreload(Job("other", ("x",)))
    task = one(draw, lambda p: p.sl_pre_load("d", pre_load_strategy="ack"), orchestration=orchestrate(addons=[addon]))
    assert (task.job.environment, task.job.check, task.kind is TaskKind.CHECK) == ("other", True, True)
    assert addon.seen == [("d", "ack")]


def test_an_addon_that_answers_nonsense_for_a_preload_is_named(draw: Draw, orchestrate: Any) -> None:
    with pytest.raises(PluginContractError):
        one(
            draw,
            lambda p: p.sl_pre_load("d", pre_load_strategy="ack"),
            orchestration=orchestrate(addons=[OwnPreload("yes")]),
        )


def test_an_environment_that_answers_nonsense_is_named(draw: Draw, orchestrate: Any, fake_environment: Any) -> None:
    class Broken(fake_environment):  # type: ignore[misc]
        name = "broken"

        @hookimpl
        def sl_create_job(self, command: Any, options: Any) -> Any:
            return "yes"

    with pytest.raises(PluginContractError, match="environment 'broken' returned 'yes' from sl_create_job"):
        draw(lambda p: p.sl_import(domain="d"), orchestration=orchestrate(environment=Broken()))


# add_schedule


def test_the_shape_of_a_schedule(draw: Draw) -> None:
    pipeline = draw(lambda p: p.add_schedule(), {"pre_load_strategy": "imported"}, schedule=DAILY)
    assert tree(pipeline) == {
        "start_daily": None,
        "sales_daily": {
            "pre_load_sales_daily": {"check_sales_incoming_files": None, "import_sales_daily": None},
            "load_sales_daily": {"load_sales_orders": None, "load_sales_customers": None},
        },
        "hr_daily": {
            "pre_load_hr_daily": {"check_hr_incoming_files": None, "import_hr_daily": None},
            "load_hr_daily": {"load_hr_people": None},
        },
        "end_daily": None,
    }
    assert edges(pipeline) == {
        ("start_daily", "sales_daily"),
        ("start_daily", "hr_daily"),
        ("sales_daily", "end_daily"),
        ("hr_daily", "end_daily"),
    }
    sales: Any = pipeline.nodes["sales_daily"]
    assert edges(sales) == {("pre_load_sales_daily", "load_sales_daily")}
    assert edges(sales.nodes["pre_load_sales_daily"]) == {("check_sales_incoming_files", "import_sales_daily")}


def test_the_commands_take_logical_names_and_the_datasets_final_ones(draw: Draw) -> None:
    schedule = StarlakeSchedule(
        "s", "0 1 * * *", [StarlakeDomain("hr", "HumanR", [StarlakeTable("people", "Persons")])]
    )
    load = next(t for t in draw(lambda p: p.add_schedule(), schedule=schedule).tasks() if t.job)
    assert parse_arguments(load.job.arguments).values["domains"] == ["hr"]
    assert parse_arguments(load.job.arguments).values["tables"] == ["people"]
    (outlet,) = load.outlets
    assert (outlet.uri, outlet.cron, outlet.sink) == ("starlake://humanr/persons", "0 1 * * *", "HumanR.Persons")
    flat = draw(lambda p: p.add_schedule(), {"dataset_style": "flat"}, schedule=schedule)
    assert [d.uri for d in flat.outlets] == ["humanr_persons", "p"]


@pytest.mark.parametrize(
    ("strategy", "checks"),
    [("none", []), ("pending", ["check_sales_pending_files"]), ("ack", ["check_sales_ack_file"])],
)
def test_the_other_strategies_import_nothing(draw: Draw, strategy: str, checks: list[str]) -> None:
    schedule = StarlakeSchedule("", "0 0 * * *", [StarlakeDomain("sales", tables=["orders"])])
    pipeline = draw(lambda p: p.add_schedule(), {"pre_load_strategy": strategy}, schedule=schedule)
    assert [t.id for t in pipeline.tasks()] == ["start", *checks, "load_sales_orders", "end"]
    assert set(pipeline.nodes) == {"start", "sales", "end"}


def test_a_schedule_without_tables_still_has_a_start_and_an_end(draw: Draw) -> None:
    for domains in ([], [StarlakeDomain("sales")]):
        pipeline = draw(lambda p: p.add_schedule(), schedule=StarlakeSchedule("s", domains=domains))
        assert edges(pipeline) == {("start_s", "end_s")}


def test_the_lifecycle_stands_around_the_work(draw: Draw, orchestrate: Any, fake_environment: Any) -> None:
    environment = fake_environment(
        Lifecycle((("create", Job("fake")), ("wait", Job("fake"))), (("delete", Job("fake")),))
    )
    pipeline = draw(lambda p: p.add_schedule(), schedule=DAILY, orchestration=orchestrate(environment=environment))
    assert edges(pipeline) == {
        *(("start_daily", "pre_tasks"), ("pre_tasks", "sales_daily"), ("pre_tasks", "hr_daily")),
        *(
            ("sales_daily", "end_daily"),
            ("hr_daily", "end_daily"),
            ("sales_daily", "all_done"),
            ("hr_daily", "all_done"),
        ),
        *(("all_done", "delete"), ("delete", "end_daily")),
    }
    made = {task.id: task for task in pipeline.tasks()}
    assert [made[name].kind for name in ("create", "delete")] == [TaskKind.SETUP, TaskKind.TEARDOWN]
    assert made["delete"].trigger is TriggerRule.ALL_DONE
    assert not any(made[name].is_work for name in ("create", "wait", "delete", "all_done"))
    assert made["all_done"].trigger is TriggerRule.ALL_DONE
    pre: Any = pipeline.nodes["pre_tasks"]
    assert edges(pre) == {("create", "wait")}


def test_every_job_of_a_lifecycle_is_changed_alike() -> None:
    made = Lifecycle((("create", Job("fake")), ("wait", Job("fake"))), (("delete", Job("fake")),))
    changed = made.map_jobs(lambda job: dataclasses.replace(job, labels={"team": "sales"}))
    labelled = Job("fake", labels={"team": "sales"})
    assert changed == Lifecycle((("create", labelled), ("wait", labelled)), (("delete", labelled),))
    assert made.setup[0][1] == Job("fake")


def test_without_a_lifecycle_there_are_no_such_tasks(draw: Draw) -> None:
    assert one(draw, lambda p: p.pre_tasks()) is None
    assert one(draw, lambda p: p.post_tasks()) is None


def test_the_standard_shapes_need_their_input(orchestrate: Any) -> None:
    pipeline = orchestrate().sl_create_pipeline(name="p")
    with pytest.raises(GraphError, match=r"schedule=\.\.\."):
        pipeline.add_schedule()
    with pytest.raises(GraphError, match=r"dependencies=\.\.\."):
        pipeline.add_lineage()


# add_lineage


def lineage() -> StarlakeDependencies:
    orders = StarlakeDependency("sales.orders", "table", "0 * * * *", sink="dw.orders", freshness=60)
    people = StarlakeDependency("hr.people", "table", "0 0 * * *")
    daily = StarlakeDependency("kpi.daily", dependencies=[orders], cron="0 3 * * *")
    top = StarlakeDependency("kpi.top", dependencies=[daily, people], cron="0 4 * * 1")
    return StarlakeDependencies([daily, top])


def test_the_shape_of_a_lineage(draw: Draw) -> None:
    pipeline = draw(lambda p: p.add_lineage(), dependencies=lineage())
    assert set(pipeline.nodes) == {"start", "kpi_daily", "kpi_top", "end"}
    assert edges(pipeline) == {("start", "kpi_daily"), ("kpi_daily", "kpi_top"), ("kpi_top", "end")}
    top = pipeline.nodes["kpi_top"]
    assert [d.uri for d in top.inlets] == ["starlake://kpi/daily", "starlake://hr/people"]
    assert [(d.uri, d.cron) for d in top.outlets] == [("starlake://kpi/top", "0 4 * * 1")]
    assert [d.uri for d in pipeline.nodes["kpi_daily"].inlets] == ["starlake://dw/orders"]


def test_the_upstream_datasets_start_a_lineage(draw: Draw) -> None:
    pipeline = draw(lambda p: p.add_lineage(), dependencies=lineage())
    assert pipeline.cron is None
    trigger = pipeline.trigger
    assert trigger is not None
    assert [(d.uri, d.cron, d.freshness) for d in trigger.datasets] == [
        ("starlake://dw/orders", "0 * * * *", 60),
        ("starlake://hr/people", "0 0 * * *", 0),
    ]
    assert trigger.policy == "any"
    assert trigger.cron == "0 0 * * *"
    assert pipeline.max_active_runs == 1


def test_a_lineage_may_run_what_it_reads_first(draw: Draw) -> None:
    pipeline = draw(lambda p: p.add_lineage(), {"run_dependencies_first": True}, dependencies=lineage())
    assert edges(pipeline) == {
        *(("start", "sales_orders"), ("start", "hr_people"), ("sales_orders", "kpi_daily"), ("kpi_daily", "kpi_top")),
        *(("hr_people", "kpi_top"), ("kpi_top", "end")),
    }
    load = pipeline.nodes["sales_orders"]
    assert parse_arguments(load.job.arguments).values["domains"] == ["sales"]
    assert [d.uri for d in load.outlets] == ["starlake://dw/orders"]
    assert pipeline.trigger is None
    assert pipeline.cron == "0 * * * *"


def test_the_loads_of_a_lineage_may_wait_for_checks(draw: Draw) -> None:
    options = {"run_dependencies_first": True, "pre_load_strategy": "imported"}
    pipeline = draw(lambda p: p.add_lineage(checks=True), options, dependencies=lineage())
    checks = {task.domain: task.id for task in pipeline.tasks() if task.command and task.command.name == "preload"}
    imports = {task.domain: task.id for task in pipeline.tasks() if task.command and task.command.name == "stage"}
    assert edges(pipeline) == {
        *(("start", checks[domain]) for domain in ("sales", "hr")),
        *((checks[domain], imports[domain]) for domain in ("sales", "hr")),
        *((imports["sales"], "sales_orders"), (imports["hr"], "hr_people"), ("hr_people", "kpi_top")),
        *(("sales_orders", "kpi_daily"), ("kpi_daily", "kpi_top"), ("kpi_top", "end")),
    }


def test_tables_are_described_by_their_names(draw: Draw) -> None:
    def shape(pipeline: Any) -> None:
        pipeline.add_lineage()
        pipeline.describe_tables(TableDetails("kpi.top", owners=("ann",)))

    pipeline = draw(shape, dependencies=lineage())
    assert pipeline.nodes["kpi_top"].details.owners == ("ann",)
    assert pipeline.nodes["kpi_daily"].details is None
    with pytest.raises(GraphError, match=r"no task for the table 'kpi\.tpo'.*Did you mean 'kpi\.top'"):
        pipeline.describe_tables(TableDetails("kpi.tpo"))
    with pytest.raises(GraphError, match="no task for the table ''"):
        pipeline.describe_tables(TableDetails(""))


@pytest.mark.parametrize("filtered", ["sales.orders", ["SALES.Orders"], {"dw.orders"}])
def test_filtered_datasets_do_not_start_a_lineage(draw: Draw, filtered: Any) -> None:
    pipeline = draw(lambda p: p.add_lineage(), {"filtered_datasets": filtered}, dependencies=lineage())
    assert [d.uri for d in pipeline.trigger.datasets] == ["starlake://hr/people"]
    assert [d.uri for d in pipeline.nodes["kpi_daily"].inlets] == ["starlake://dw/orders"]


def test_without_upstream_datasets_the_own_crons_start_a_lineage(draw: Draw) -> None:
    pipeline = draw(
        lambda p: p.add_lineage(), {"filtered_datasets": ["sales.orders", "hr.people"]}, dependencies=lineage()
    )
    assert (pipeline.trigger, pipeline.cron, pipeline.max_active_runs) == (None, "0 3 * * *", 3)


def test_a_cron_wins_over_datasets(draw: Draw) -> None:
    assert draw(lambda p: p.add_lineage(), {"cron": "5 5 * * *"}, dependencies=lineage()).cron == "5 5 * * *"
    pipeline = draw(lambda p: p.add_lineage(), {"cron": "5 5 * * *"}, dependencies=lineage(), cron="6 6 * * *")
    assert (pipeline.cron, pipeline.trigger) == ("6 6 * * *", None)


def test_the_policy_of_the_transforms_wins_over_the_option(draw: Draw) -> None:
    table = StarlakeDependency("a.t", "table")
    nodes = [StarlakeDependency("k.a", dependencies=[table], dataset_triggering_strategy="ALL")]
    assert draw(lambda p: p.add_lineage(), dependencies=nodes).trigger.policy == "all"
    nodes.append(StarlakeDependency("k.b", dependencies=[table], dataset_triggering_strategy="any"))
    assert (
        draw(lambda p: p.add_lineage(), {"dataset_triggering_strategy": "all"}, dependencies=nodes).trigger.policy
        == "all"
    )
    assert draw(lambda p: p.add_lineage(), dependencies=nodes).trigger.policy == "any"


def test_names_that_become_one_id_in_a_lineage_are_refused(draw: Draw) -> None:
    with pytest.raises(DuplicateIdError):
        draw(lambda p: p.add_lineage(), dependencies=[StarlakeDependency("a.b_c"), StarlakeDependency("a_b.c")])


def test_comparing_crons_costs_little_while_a_file_is_read(draw: Draw) -> None:
    # Other minutes than in the tests above, because frequencies are cached.
    tables = [StarlakeDependency("a.t", "table", "*/7 * * * *"), StarlakeDependency("a.u", "table", "7 0 * * *")]
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        draw(lambda p: p.add_lineage(), dependencies=[StarlakeDependency("k.a", dependencies=tables)])
    finally:
        sys.setprofile(before)
    assert calls < 400_000


# the pipeline itself


def test_what_a_pipeline_takes_from_the_options(draw: Draw) -> None:
    options = {
        "SL_TIMEZONE": "Europe/Paris",
        "start_date": "2024-07-01",
        "end_date": "2025-01-01",
        "catchup": "true",
        "max_active_runs": 7,
        "tags": "a, b a",
    }
    p = draw(lambda p: p.start_task(), options, schedule=DAILY, tags=["c"], description="text")
    assert p.start_date == datetime(2024, 6, 30, 22, tzinfo=timezone.utc)
    assert p.end_date == datetime(2024, 12, 31, 23, tzinfo=timezone.utc)
    assert (p.zone_name, p.catchup, p.max_active_runs, p.tags, p.description) == (
        "Europe/Paris",
        True,
        7,
        ("a", "b", "c", "sales", "hr"),
        "text",
    )
    assert (p.pipeline_id, p.schedule_name, p.cron, p.source) == ("p", "daily", "0 0 * * *", "pipelines.py")


def test_tags_are_words(draw: Draw) -> None:
    def tags(given: Any) -> Any:
        return draw(lambda p: p.start_task(), tags=given).tags

    assert tags(None) == ()
    assert tags("daily") == ("daily",)
    assert tags(iter(["b", "a"])) == ("b", "a")
    with pytest.raises(
        StarlakeError, match=r"7 is not a valid tag of sl_create_pipeline\(\); use strings: tags=\['daily'\]"
    ):
        tags([7])


def test_the_start_date_is_fixed(draw: Draw) -> None:
    assert draw(lambda p: p.start_task()).start_date == datetime(2024, 1, 1, tzinfo=timezone.utc)


def test_a_pipeline_is_named_after_the_file_and_the_schedule(orchestrate: Any) -> None:
    orchestration = orchestrate(filename="/dags/my.load.py")
    assert orchestration.sl_create_pipeline(schedule=DAILY).id == "my_load_daily"
    assert orchestration.sl_create_pipeline().id == "my_load"
    assert orchestrate(filename="").sl_create_pipeline().id == "pipeline"


def test_two_pipelines_with_one_id_are_refused(draw: Draw, orchestrate: Any) -> None:
    orchestration = orchestrate()
    draw(lambda p: p.start_task(), orchestration=orchestration)
    with pytest.raises(StarlakeError, match=r"two pipelines of pipelines\.py have the id 'p'.*name="):
        draw(lambda p: p.start_task(), orchestration=orchestration)


TWINS = """
from starlake_core import Orchestration

def build():
    with Orchestration(orchestrator={orchestrator!r}, environment="shell") as orchestration:
        with orchestration.sl_create_pipeline(name="p") as pipeline:
            pipeline.start_task()
    return pipeline

build()
"""


def test_two_orchestrations_of_a_file_do_not_make_pipelines_with_one_id(tmp_path: Path) -> None:
    path = tmp_path / "twins.py"
    once = TWINS.format(orchestrator="local")
    path.write_text(once + "build()\n", encoding="utf-8")
    (problem,) = load_file(path, Overrides()).problems
    assert re.search(r"twins\.py, line 6: two pipelines of .*twins\.py have the id 'p'.*name=", problem)
    path.write_text(once, encoding="utf-8")
    assert [pipeline.id for pipeline in load_file(path, Overrides()).pipelines] == ["p"]


def test_a_module_that_is_loaded_again_makes_its_pipelines_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loaded_twice.py").write_text(TWINS.format(orchestrator="local"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("loaded_twice")
    monkeypatch.setitem(sys.modules, "loaded_twice", module)
    assert importlib.reload(module).build().id == "p", "and its functions as often as they are called"


def test_a_wrong_cron_is_refused(orchestrate: Any) -> None:
    with pytest.raises(ScheduleError):
        orchestrate().sl_create_pipeline(name="p", cron="daily")


def test_the_documented_calls_for_groups_work_on_the_orchestration_too(orchestrate: Any) -> None:
    with orchestrate() as orchestration, orchestration.sl_create_pipeline(name="p") as pipeline:
        group = orchestration.sl_create_task_group(group_id="g", pipeline=pipeline)
        with group:
            pipeline.start_task()
    assert group.group_id == "g"
    assert tree(pipeline) == {"g": {"start": None}}


def test_the_group_whose_block_is_open(orchestrate: Any) -> None:
    orchestration = orchestrate()
    with orchestration.sl_create_pipeline(name="p") as pipeline:
        assert pipeline.current_group is pipeline
        with pipeline.sl_create_task_group("g") as group:
            pipeline.start_task()
            assert pipeline.current_group is group
            with orchestration.sl_create_pipeline(name="other") as other:
                assert other.current_group is other
                assert pipeline.current_group is pipeline
                other.start_task()
        assert pipeline.current_group is pipeline


# options together


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"pre_load_poke_interval": 0}, "pre_load_poke_interval"),
        ({"pre_load_sensor": True, "pre_load_timeout": 10}, "pre_load_timeout"),
        ({"data_cycle": "often"}, "data_cycle"),
    ],
)
def test_options_are_checked_together(orchestrate: Any, options: dict[str, Any], names: str) -> None:
    with pytest.raises(OptionsError, match=rf"pipelines\.py: .*{names}"):
        orchestrate(options)
    orchestrate({"pre_load_timeout": 10, "data_cycle": "0 0 * * *"})


def test_the_command_line_overrides_the_file_and_collects(noop_orchestrator: Any, fake_environment: Any) -> None:
    class Other(noop_orchestrator):  # type: ignore[misc]
        name = "other"

    assert current_overrides() == Overrides()
    found: list[Orchestration] = []
    with overriding(Overrides(orchestrator=Other(), options={"retries": 9}, strict=True, collected=found)):  # type: ignore[arg-type]
        opened = Orchestration({"retries": 1}, orchestrator=noop_orchestrator(), environment=fake_environment())
        with pytest.raises(OptionsError):
            Orchestration({"nobody_knows": 1}, environment=fake_environment())
    assert found == [opened]
    assert (opened.plugins.orchestrator, opened.options["retries"]) == ("other", 9)
    assert current_overrides() == Overrides()


def test_where_it_is_written_is_where_it_is_published(noop_orchestrator: Any, fake_environment: Any) -> None:
    with (
        Orchestration(orchestrator=noop_orchestrator(), environment=fake_environment()) as orchestration,
        orchestration.sl_create_pipeline(),
    ):
        pass
    assert globals().pop("published") == ["test_pipeline"]
    assert orchestration.filename == __file__


# words


def test_the_enums_are_names() -> None:
    assert str(StarlakeOrchestrator.COMPOSER) == "airflow"
    assert [str(word) for word in StarlakeExecutionEnvironment] == [
        "shell",
        "cloud_run",
        "dataproc",
        "fargate",
        "duckdb",
    ]


# running


class Runs:
    """An add-on that runs pipelines."""

    name = "runs"

    def __init__(self, *states: str) -> None:
        self.states = list(states)
        self.requests: list[RunRequest] = []

    @hookimpl
    def sl_run_pipeline(self, pipeline: Any, request: RunRequest) -> Any:
        self.requests.append(request)
        return Report(pipeline.id, request.run.run_id, TaskState(self.states.pop(0))) if self.states else "nonsense"


def test_a_run_gets_the_interval_of_the_schedule(draw: Draw, orchestrate: Any) -> None:
    addon = Runs("success")
    pipeline = draw(
        lambda p: p.start_task(),
        orchestration=orchestrate({"timezone": "Europe/Paris"}, addons=[addon]),
        cron="0 0 * * *",
    )
    report = pipeline.run(datetime(2024, 7, 2), run_id="r", variables={"a": "b"}, select=["start"], parallelism=3)
    assert report.succeeded
    (request,) = addon.requests
    assert request.run.interval == DataInterval(
        datetime(2024, 6, 30, 22, tzinfo=timezone.utc), datetime(2024, 7, 1, 22, tzinfo=timezone.utc)
    )
    assert (request.run.run_id, request.run.variables, request.select, request.parallelism, request.dry_run) == (
        "r",
        {"a": "b"},
        ("start",),
        3,
        False,
    )


def test_a_dry_run_says_so(draw: Draw, orchestrate: Any) -> None:
    addon = Runs("dry run")
    assert draw(lambda p: p.start_task(), orchestration=orchestrate(addons=[addon])).dry_run().succeeded
    assert addon.requests[0].dry_run


def test_a_pattern_that_fits_nothing_is_refused(draw: Draw, orchestrate: Any) -> None:
    pipeline = draw(lambda p: p.sl_load(domain="d", table="t"), orchestration=orchestrate(addons=[Runs("success")]))
    for pattern in ("d", "d.t", "d_*", "d_t_load"):
        pipeline_run = draw(
            lambda p: p.sl_load(domain="d", table="t"), orchestration=orchestrate(addons=[Runs("success")])
        ).run(select=[pattern])
        assert pipeline_run.succeeded
    with pytest.raises(NothingFoundError, match="pattern 'e' matches no task of pipeline p"):
        pipeline.run(exclude=["e"])


def test_a_backfill_runs_every_interval_and_stops_at_a_failure(draw: Draw, orchestrate: Any) -> None:
    addon = Runs("success", "failed", "success")
    pipeline = draw(lambda p: p.start_task(), orchestration=orchestrate(addons=[addon]), cron="0 0 * * *")
    reports = pipeline.backfill(datetime(2024, 1, 1), datetime(2024, 1, 5))
    assert [report.state for report in reports] == ["success", "failed"]
    assert [request.run.scheduled_date.day for request in addon.requests] == [1, 2]


def test_what_cannot_run_says_so(draw: Draw, orchestrate: Any) -> None:
    with pytest.raises(RunError, match="after its 'with' block"):
        orchestrate().sl_create_pipeline(name="p").run()
    pipeline = draw(lambda p: p.start_task())
    with pytest.raises(RunError, match="orchestrator 'noop' cannot run pipeline p from here"):
        pipeline.run()
    with pytest.raises(RunError, match="no cron schedule"):
        pipeline.backfill(datetime(2024, 1, 1), datetime(2024, 1, 2))
    with pytest.raises(StarlakeError, match="returned 'nonsense' from sl_run_pipeline"):
        draw(lambda p: p.start_task(), orchestration=orchestrate(addons=[Runs()])).run()

"""What generated files do to our objects: keywords, assignments, texts for None, names of one part, and names that they import."""

from __future__ import annotations

import importlib
import json
import logging
import runpy
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ai.starlake.airflow import DEFAULT_DAG_ARGS
from ai.starlake.dataset import StarlakeDataset
from ai.starlake.job import StarlakeExecutionEnvironment, StarlakeJobFactory, StarlakeOrchestrator
from ai.starlake.orchestration import (
    OrchestrationFactory,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakeDomain,
    StarlakeSchedule,
    StarlakeSchedules,
    StarlakeTable,
)

from starlake_core import PluginNotFoundError, ScheduleError, StarlakeError

TABLE = {"data": {"name": "raw.sale", "typ": "table", "sink": "raw.sale", "cron": "0 0 * * *"}}
OTHER = {"data": {"name": "raw.shop", "typ": "table", "sink": "raw.shop", "cron": "0 0 * * *"}}


def lineage(*children: Any, **data: Any) -> str:
    """The JSON of one transform, ``shop.total``."""
    total = {"name": "shop.total", "typ": "task", "sink": "shop.total", "cron": "None", **data}
    return json.dumps([{"data": total, "children": list(children)}])


def job(folder: Path, **options: Any) -> Any:
    return StarlakeJobFactory.create_job(
        filename=str(folder / "dag.py"),
        orchestrator="local",
        execution_environment="duckdb",
        options={"sl_env_var": '{"SL_ROOT": "."}', **options},
    )


def transforms(folder: Path, dependencies: Any, **options: Any) -> Any:
    """The pipeline of a lineage, in the shape of a generated file."""
    with (
        OrchestrationFactory.create_orchestration(job=job(folder, **options)) as orchestration,
        orchestration.sl_create_pipeline(dependencies=dependencies) as pipeline,
    ):
        start, end = pipeline.start_task(), pipeline.end_task()
        for graph in pipeline.graphs:
            task = pipeline.dependency_to_task(graph.node)
            parents = [pipeline.dependency_to_task(parent.node) for parent in graph.parents]
            if parents:
                start >> parents
                task << parents
            else:
                start >> task
            task >> end
    return pipeline


def loads(folder: Path, schedule: StarlakeSchedule, **options: Any) -> Any:
    with (
        OrchestrationFactory.create_orchestration(job=job(folder, **options)) as orchestration,
        orchestration.sl_create_pipeline(schedule=schedule) as pipeline,
    ):
        pipeline.add_schedule()
    return pipeline


def ids(pipeline: Any) -> list[str]:
    return [task.path for task in pipeline.tasks()]


def daily(name: str | None = "daily", cron: str | None = "0 0 * * *") -> StarlakeSchedule:
    table = StarlakeTable(name="sale", final_name="sale")
    return StarlakeSchedule(
        name=name, cron=cron, domains=[StarlakeDomain(name="raw", final_name="raw", tables=[table])]
    )


# -- keywords that the replaced classes pass over


def test_datasets_that_a_lineage_filters_out_start_nothing(tmp_path: Path) -> None:
    text = lineage(TABLE, OTHER)
    assert [one.uri for one in transforms(tmp_path, StarlakeDependencies(text)).trigger.datasets] == [
        "raw_sale",
        "raw_shop",
    ]
    for given in ({"raw_shop"}, ["raw.shop"], "RAW_SHOP"):
        found = StarlakeDependencies(dependencies=text, filtered_datasets=given)
        assert [one.uri for one in transforms(tmp_path, found).trigger.datasets] == ["raw_sale"]
    assert found.filtered_datasets == {"raw_shop", "shop_total"}
    for empty in (set(), None):
        found = StarlakeDependencies(text, filtered_datasets=empty)
        assert len(transforms(tmp_path, found).trigger.datasets) == 2


def test_the_filter_of_one_pipeline_is_none_of_the_next(tmp_path: Path) -> None:
    first = StarlakeDependencies(lineage(TABLE, OTHER), filtered_datasets={"raw_shop"})
    second = StarlakeDependencies(lineage(TABLE, OTHER, name="shop.other", sink="shop.other"))
    with OrchestrationFactory.create_orchestration(job=job(tmp_path)) as orchestration:
        made = []
        for name, dependencies in (("one", first), ("two", second)):
            with orchestration.sl_create_pipeline(dependencies=dependencies, name=name) as pipeline:
                pipeline.add_lineage()
            made.append(len(pipeline.trigger.datasets))
    assert made == [1, 2]


def test_the_filter_and_the_option_count_together(tmp_path: Path) -> None:
    found = StarlakeDependencies(lineage(TABLE, OTHER), filtered_datasets={"raw_shop"})
    assert transforms(tmp_path, found, filtered_datasets="raw_sale").trigger is None


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: StarlakeTable("sale", final_nam="x"), "StarlakeTable('sale'): the keyword 'final_nam' has no effect. Did you mean 'final_name'?"),
        (lambda: StarlakeDomain("raw", "raw", [], owner="x"), "StarlakeDomain('raw'): the keyword 'owner' has no effect."),
        (lambda: StarlakeSchedule("daily", None, [], owner="x"), "StarlakeSchedule('daily'): the keyword 'owner' has no effect."),
        (lambda: StarlakeSchedules([], owner="x"), "StarlakeSchedules(): the keyword 'owner' has no effect."),
        (lambda: StarlakeDependencies("[]", owner="x"), "StarlakeDependencies(): the keyword 'owner' has no effect."),
        (lambda: StarlakeDependency("a.b", owner="x"), "StarlakeDependency('a.b'): the keyword 'owner' has no effect."),
        (lambda: StarlakeDataset("a.b", owner="x"), "StarlakeDataset('a.b'): the keyword 'owner' has no effect."),
    ],
)  # fmt: skip
def test_an_unknown_keyword_is_named_in_a_warning(caplog: pytest.LogCaptureFixture, make: Any, text: str) -> None:
    with caplog.at_level(logging.WARNING, "starlake_core_compat"):
        make()
    assert [record.getMessage().rstrip() for record in caplog.records] == [text]


def test_keywords_of_jobs_groups_and_pipelines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = StarlakeJobFactory.create_job(
        filename=str(tmp_path / "dag.py"), orchestrator="local", execution_environment="duckdb", options={}, timezone="Asia/Tokyo", owner="x"
    )  # fmt: skip
    with (
        OrchestrationFactory.create_orchestration(job=made) as orchestration,
        orchestration.sl_create_pipeline(schedule=daily()) as pipeline,
    ):
        with orchestration.sl_create_task_group("loads", pipeline=pipeline, tooltip="x"):
            pipeline.sl_load("load", "raw", "sale", dataset="x", task_type="load")
        made_by_hand = pipeline.sl_transform("total", "shop.total", sink="shop.Result", extra={"owner": "me"})
    assert pipeline.zone_name == "Asia/Tokyo"
    assert [(one.uri, one.sink, one.extra) for one in made_by_hand.outlets] == [
        ("shop_result", "shop.Result", {"owner": "me"})
    ]
    assert [record.getMessage().rstrip() for record in caplog.records] == [
        "PlainJob(): the keyword 'owner' has no effect.",
        "AbstractTaskGroup('loads'): the keyword 'tooltip' has no effect.",
        "sl_load(): the keyword 'dataset' has no effect.",
        "sl_load(): the keyword 'task_type' has no effect.",
    ]


# -- assignments


def test_a_schedule_without_a_name_gives_no_suffix(tmp_path: Path) -> None:
    schedule = daily()
    schedule.name = None  # what a generated load does when the file has one schedule
    pipeline = loads(tmp_path, schedule)
    assert (pipeline.pipeline_id, pipeline.cron, pipeline.schedule_name) == ("dag", "0 0 * * *", None)
    assert ids(pipeline) == ["start", "raw.load_raw.load_raw_sale", "end"]


def test_attributes_can_be_assigned_to_and_are_read_as_the_constructor_reads_them(tmp_path: Path) -> None:
    schedule = daily()
    before = {schedule, *schedule.domains, *schedule.domains[0].tables}
    schedule.name, schedule.cron = "Weekly", "None"
    schedule.domains[0].name = schedule.domains[0].final_name = "shop"
    schedule.domains[0].tables = {"orders", "items"}
    schedule.domains[0].tables.append(StarlakeTable("late"))
    schedule.domains[0].tables[0].final_name = "Items"
    schedule.domains.append(StarlakeDomain("more", "more", ["one"]))
    schedule.note = "of the user's own"
    assert {schedule, schedule.domains[0]} <= before
    pipeline = loads(tmp_path, schedule)
    assert (pipeline.pipeline_id, pipeline.cron) == ("dag_Weekly", None)
    assert [task.command.tables[0] for task in pipeline.tasks() if task.command] == ["items", "orders", "late", "one"]
    assert pipeline.outlets[0].uri == "shop_items"
    with pytest.raises(ScheduleError, match="cannot be read"):
        schedule.cron = "every day"


def test_what_a_pipeline_has_been_made_of_may_change_afterwards(tmp_path: Path) -> None:
    pipeline = loads(tmp_path, daily())
    pipeline.schedule.name = None
    assert pipeline.pipeline_id == "dag_daily"


def test_a_node_and_a_dataset_can_be_assigned_to() -> None:
    node = StarlakeDependency("raw.sale", "table")
    node.cron, node.sink, node.freshness, node.note = "None", "raw.Sale", 60, "x"
    assert (node.cron, node.uri) == (None, "raw_sale")
    node.cron = "0  * * * *"
    assert node.cron == "0 * * * *"
    dataset = StarlakeDataset("raw.sale", cron="0 0 * * *")
    known = {dataset}
    dataset.cron, dataset.freshness, dataset.stream = "none", 60, "x"
    assert (dataset.cron, dataset.freshness) == (None, 60)
    assert dataset in known
    assert dataset == StarlakeDataset(uri="raw_sale")
    with pytest.raises(AttributeError, match="create another dataset"):
        dataset.uri = "raw_other"


def test_a_dataset_takes_the_arguments_of_the_replaced_one() -> None:
    made = StarlakeDataset("shop.total", {"cron": "0 0 * * *"}, None, "shop.Result", "stream", None, 30, "transform")
    assert (made.uri, made.cron, made.sink, made.freshness) == ("shop_result", "0 0 * * *", "shop.Result", 30)
    assert (made.stream, made.datasetType, made.domain, made.url) == ("stream", "transform", "shop", "shop_result")
    assert StarlakeDataset("x", params={"cron": "0 1 * * *"}, sl_schedule_format="%Y").cron == "0 1 * * *"
    assert StarlakeDataset("raw.sale", sink="None").uri == "raw_sale"


# -- None as a text, and names of one part


@pytest.mark.parametrize("name", [None, "None", "none", " NONE ", ""])
def test_a_name_that_is_none_gives_no_suffix(tmp_path: Path, name: str | None) -> None:
    assert loads(tmp_path, daily(name, "None")).pipeline_id == "dag"


@pytest.mark.parametrize("cron", [None, "None", "none", " NONE ", ""])
def test_a_cron_that_is_none_is_no_schedule(tmp_path: Path, cron: str | None) -> None:
    assert loads(tmp_path, daily(cron=cron)).cron is None
    assert StarlakeDependency("a.b", cron=cron).cron is None
    assert StarlakeDataset("a.b", cron=cron).cron is None


@pytest.mark.parametrize("first", ["true", "false"])
def test_no_cron_is_made_up_from_the_lineage(tmp_path: Path, first: str) -> None:
    day = {"data": {"name": "shop.day", "typ": "task", "cron": "0 5 * * *"}, "children": [TABLE]}
    pipeline = transforms(tmp_path, StarlakeDependencies(lineage(day)), run_dependencies_first=first)
    assert pipeline.cron is None
    assert (pipeline.trigger is None) is (first == "true")
    alone = transforms(tmp_path, StarlakeDependencies(lineage(cron="0 5 * * *")))
    assert (alone.cron, alone.trigger) == (None, None)
    assert transforms(tmp_path, StarlakeDependencies(lineage()), cron="0 6 * * *").cron == "0 6 * * *"


def test_a_cron_of_the_file_that_is_none_in_any_case(tmp_path: Path) -> None:
    file = tmp_path / "dag.py"
    text = (
        "from ai.starlake.job import StarlakeJobFactory\nfrom ai.starlake.orchestration import OrchestrationFactory, StarlakeDependencies\n"
        "cron = 'none'\njob = StarlakeJobFactory.create_job(orchestrator='local', execution_environment='duckdb', options={})\n"
        f"with OrchestrationFactory.create_orchestration(job=job) as orchestration:\n"
        f"    with orchestration.sl_create_pipeline(dependencies=StarlakeDependencies({lineage()!r})) as pipeline:\n"
        "        pipeline.add_lineage()\n"
    )
    file.write_text(text, encoding="utf-8")
    assert runpy.run_path(str(file))["pipeline"].cron is None


@pytest.mark.parametrize("typ", ["table", "unknown", None])
def test_a_table_of_one_part_starts_a_pipeline(tmp_path: Path, typ: str | None) -> None:
    sale = {"data": {"name": "sale", "typ": typ, "sink": "sale", "cron": "0 0 * * *"}, "children": None}
    pipeline = transforms(tmp_path, StarlakeDependencies(lineage(sale)))
    assert [one.uri for one in pipeline.trigger.datasets] == ["sale_sale"]  # as the replaced package has it
    assert ids(pipeline) == ["start", "shop_total_task", "end"]
    first = transforms(tmp_path, StarlakeDependencies(lineage(sale)), run_dependencies_first="true")
    loaded = next(task for task in first.tasks() if task.id == "sale_table")
    assert (loaded.command.domain, loaded.command.tables) == ("sale", ("sale",))


@pytest.mark.parametrize(
    ("name", "sink", "uri"),
    [
        ("db.raw.sale", None, "db_sale"),
        ("raw.sale", "db.raw.Sale", "db_sale"),
        ("raw.sale", "Sale", "sale_sale"),
        ("raw.sale", "None", "raw_sale"),
    ],
)
def test_a_dataset_has_the_first_and_the_last_part_of_what_is_written(name: str, sink: str | None, uri: str) -> None:
    assert StarlakeDependency(name, "table", sink=sink).uri == uri


def test_a_task_of_a_lineage_has_the_name_of_its_node(tmp_path: Path) -> None:
    pipeline = transforms(tmp_path, StarlakeDependencies(lineage(TABLE, name="Shop.Total", sink="shop.Result")))
    assert ids(pipeline) == ["start", "Shop_Total_task", "end"]
    assert [one.uri for one in pipeline.outlets] == ["shop_result", "dag"]


def test_the_option_says_how_datasets_start_a_pipeline(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for strategy in ("ALL", "a | b"):
        caplog.clear()
        found = StarlakeDependencies(lineage(TABLE, OTHER, dataset_triggering_strategy=strategy))
        assert transforms(tmp_path, found).trigger.policy == "any"
        assert "the dataset_triggering_strategy in the lineage has no effect (shop.total)" in caplog.text
    caplog.clear()
    assert transforms(tmp_path, found, dataset_triggering_strategy="all").trigger.policy == "all"


@pytest.mark.parametrize("strategy", [None, "ANY", "any"])
def test_a_strategy_that_is_the_options_is_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, strategy: str | None
) -> None:
    transforms(tmp_path, StarlakeDependencies(lineage(TABLE, dataset_triggering_strategy=strategy)))
    assert caplog.text == ""


def test_loads_make_up_for_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert loads(tmp_path, daily(), catchup="True").catchup is False
    assert "pipeline dag_daily: the option 'catchup' has no effect on loads" in caplog.text
    assert transforms(tmp_path, StarlakeDependencies(lineage(TABLE)), catchup="True").catchup is False
    assert transforms(tmp_path, StarlakeDependencies(lineage(TABLE)), catchup="True", cron="0 0 * * *").catchup is True


# -- names


def test_the_default_arguments_are_those_of_the_replaced_package() -> None:
    assert DEFAULT_DAG_ARGS["start_date"] == datetime(2023, 1, 1)


@pytest.mark.parametrize("word", ["SNOWFLAKE", "STARLAKE"])
def test_an_orchestrator_that_is_not_there_is_named(tmp_path: Path, word: str) -> None:
    made = StarlakeJobFactory.create_job(
        filename=str(tmp_path / "dag.py"), orchestrator=getattr(StarlakeOrchestrator, word), execution_environment="duckdb", options={}
    )  # fmt: skip
    with pytest.raises(PluginNotFoundError, match=rf"orchestrator '{word.lower()}'.*local"):
        OrchestrationFactory.create_orchestration(job=made)


def test_an_environment_that_is_not_there_is_named(tmp_path: Path) -> None:
    made = StarlakeJobFactory.create_job(
        filename=str(tmp_path / "dag.py"), orchestrator="local", execution_environment=StarlakeExecutionEnvironment.SQL, options={}
    )  # fmt: skip
    with pytest.raises(PluginNotFoundError, match=r"environment 'sql'.*duckdb"):
        OrchestrationFactory.create_orchestration(job=made)


DEEP = """
    job.spark_config:StarlakeSparkConfig job.starlake_job:IStarlakeJob job.starlake_job:StarlakeOrchestrator job.starlake_options:StarlakeOptions
    job.starlake_pre_load_strategy:StarlakePreLoadStrategy orchestration.starlake_schedules:StarlakeSchedule
    orchestration.starlake_dependencies:StarlakeDependencies orchestration.starlake_orchestration:OrchestrationFactory
    dataset.starlake_dataset:StarlakeDataset airflow.starlake_airflow_job:StarlakeAirflowJob airflow.starlake_airflow_job:DEFAULT_DAG_ARGS
    airflow.starlake_airflow_options:StarlakeAirflowOptions airflow.starlake_airflow_orchestration:AirflowOrchestration
    airflow.bash.starlake_airflow_bash_job:StarlakeAirflowBashJob airflow.gcp.starlake_airflow_cloud_run_job:StarlakeAirflowCloudRunJob
    airflow.gcp.starlake_airflow_dataproc_job:StarlakeAirflowDataprocJob airflow.aws.starlake_airflow_fargate_job:StarlakeAirflowFargateJob
    dagster.starlake_dagster_job:StarlakeDagsterJob dagster.starlake_dagster_orchestration:DagsterOrchestration
    dagster.shell.starlake_dagster_shell_job:StarlakeDagsterShellJob dagster.gcp.starlake_dagster_cloud_run_job:StarlakeDagsterCloudRunJob
    dagster.gcp.starlake_dagster_dataproc_job:StarlakeDagsterDataprocJob dagster.aws.starlake_dagster_fargate_job:StarlakeDagsterFargateJob
    gcp.starlake_dataproc_cluster_config:StarlakeDataprocClusterConfig common:most_frequent_crons common:scheduled_dates_range job:TaskType
    job:StarlakeExecutionMode dataset:AbstractEvent dataset:StarlakeDatasetType orchestration:StarlakeSchedules sl_options:merge_sl_options
"""
GONE = """
    airflow.gcp:StarlakeAirflowDataprocCluster airflow.gcp:StarlakeAirflowDataprocClusterConfig airflow.gcp:StarlakeAirflowDataprocMasterConfig
    airflow.gcp:StarlakeAirflowDataprocWorkerConfig gcp:StarlakeDataprocMasterConfig gcp:StarlakeDataprocWorkerConfig airflow:AirflowDataset
    airflow:StarlakeDatasetMixin airflow:sl_options_from_events airflow:StarlakeAirflowApiClient common:TODAY dagster:StarlakeDagsterUtils
    dagster:DagsterDataset dagster:DagsterLogicalDatetimeConfig aws:StarlakeFargateHelper airflow.bash:StarlakeBashOperator
    airflow.bash.starlake_airflow_bash_job:StarlakeBashOperator airflow.starlake_airflow_job:StarlakeDatasetMixin
    orchestration.starlake_dependencies:DependencyMixin job.spark_config:StarlakeSparkExecutorConfig airflow.compat:get_variable
    airflow.starlake_airflow_api:StarlakeAirflowApiClient sentinel:consume_sentinel odbc:SQLOrchestration
    odbc.starlake_sql_job:StarlakeSQLJob snowflake:StarlakeSnowflakeJob gcp.starlake_gcs_sentinel:gcs_sentinel_handlers
"""


@pytest.mark.parametrize("path", DEEP.split())
def test_a_name_of_the_replaced_package_is_there(path: str) -> None:
    module, _, name = path.partition(":")
    assert getattr(importlib.import_module(f"ai.starlake.{module}"), name) is not None


@pytest.mark.parametrize("path", GONE.split())
def test_a_name_that_is_not_there_says_what_to_use(path: str) -> None:
    module, _, name = path.partition(":")
    with pytest.raises(ImportError, match=r"is not in starlake-core-compat: .+ See 'What differs, and why'"):
        exec(f"from ai.starlake.{module} import {name}", {})


def test_a_name_that_never_was_is_an_ordinary_error() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec("from ai.starlake.job import Nothing", {})


def test_options_of_another_host_are_no_task(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    known = '{"retries": 3, "email_on_failure": true}'
    loads(tmp_path, daily(), default_dag_args=known, dataproc_cluster_metadata=known)
    assert "of 'default_dag_args', and none of the selected plugins has an option of that name" in caplog.text
    with pytest.raises(StarlakeError, match=r"unknown option 'email_on_failure' of task 'raw.sale'"):
        loads(tmp_path, daily(), **{"raw.sale": known})

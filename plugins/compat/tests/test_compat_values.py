"""Options, datasets, sizings, crons and the lineage under their old names."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ai.starlake.airflow import DEFAULT_DAG_ARGS, StarlakeAirflowOptions
from ai.starlake.common import (
    MissingEnvironmentVariable,
    StarlakeCronPeriod,
    StarlakeParameters,
    asQueryParameters,
    cron_start_time,
    get_cron_frequency,
    is_valid_cron,
    keep_ascii_only,
    sanitize_id,
    sl_cron_start_end_dates,
    sl_schedule,
    sl_scheduled_dataset,
    sl_scheduled_date,
    sort_crons_by_frequency,
)
from ai.starlake.dataset import DatasetTriggeringStrategy, StarlakeDataset
from ai.starlake.gcp import StarlakeDataprocClusterConfig, StarlakeDataprocMachineConfig
from ai.starlake.job import (
    StarlakeExecutionEnvironment,
    StarlakeOptions,
    StarlakeOrchestrator,
    StarlakeSparkConfig,
)
from ai.starlake.orchestration import StarlakeDependencies, StarlakeDependency, StarlakeDependencyType, TreeNodeMixin

from starlake_core import DatasetError, OptionsError, ScheduleError
from starlake_core import StarlakeDataset as CoreDataset

# -- options


def test_a_value_comes_from_the_options_then_the_environment_then_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    read = StarlakeOptions.get_context_var
    monkeypatch.setenv("size", "from the environment")
    assert read("size", "default", {"size": "from the options"}) == "from the options"
    assert read("size", "default", {}, size="a keyword") == "a keyword"
    assert read("size", "default", {}) == "from the environment"
    monkeypatch.delenv("size")
    assert read(var_name="size", default_value="default", options={}) == "default"
    assert read("size", "default") == "default"


@pytest.mark.parametrize("value", [0, False, ""])
def test_what_is_given_counts(value: object) -> None:
    assert StarlakeOptions.get_context_var("retries", 3, {"retries": value}) == value


def test_a_missing_value_says_where_to_put_it() -> None:
    with pytest.raises(
        MissingEnvironmentVariable, match=r"'nowhere_to_be_found' has no value.*options = \{'nowhere_to"
    ):
        StarlakeOptions.get_context_var("nowhere_to_be_found", None, {})


def test_the_variables_of_starlake() -> None:
    options = {"sl_env_var": '{"SL_ROOT": "/bakery/", "SL_ENV": "BQ"}'}
    assert StarlakeOptions.get_sl_env_vars(options) == {"SL_ROOT": "/bakery/", "SL_ENV": "BQ"}
    assert StarlakeOptions.get_sl_root(options) == "/bakery/"
    assert StarlakeOptions.get_sl_datasets(options) == "/bakery/datasets"
    assert StarlakeOptions.get_sl_datasets({"sl_env_var": {"SL_DATASETS": "gs://d"}}) == "gs://d"
    assert StarlakeOptions.get_sl_env_vars({}) == {}
    with pytest.raises(OptionsError, match=r"sl_env_var.*takes a JSON object"):
        StarlakeOptions.get_sl_env_vars({"sl_env_var": "SL_ROOT=/bakery"})


def test_the_lines_of_generated_files_for_airflow_work_with_and_without_the_option() -> None:
    for options, expected in (({}, {}), ({"default_dag_args": '{"retries": 3}'}, {"retries": 3})):
        text = StarlakeAirflowOptions.get_context_var(var_name="default_dag_args", default_value={}, options=options)
        assert json.loads(text) == expected
    assert DEFAULT_DAG_ARGS["retry_delay"] == timedelta(minutes=5)


# -- enums


def test_the_enums_are_the_words_of_the_options() -> None:
    assert StarlakeOrchestrator.COMPOSER is StarlakeOrchestrator.AIRFLOW
    assert str(StarlakeOrchestrator.AIRFLOW) == "airflow"
    assert {str(one) for one in StarlakeExecutionEnvironment} >= {"shell", "cloud_run", "dataproc", "fargate"}
    assert str(DatasetTriggeringStrategy.ALL) == "all"
    assert StarlakeCronPeriod.from_str("Week") is StarlakeCronPeriod.WEEK
    assert str(StarlakeParameters.SCHEDULED_DATE_PARAMETER) == "sl_scheduled_date"


# -- datasets and sizings


def test_a_dataset_by_name_and_by_uri() -> None:
    by_name = StarlakeDataset("starbake.Orders", cron="0 * * * *", freshness=60)
    assert (by_name.uri, by_name.name, by_name.sink) == ("starbake_orders", "starbake_orders", "starbake.Orders")
    assert (by_name.cron, by_name.freshness) == ("0 * * * *", 60)
    by_uri = StarlakeDataset(uri="starbake_load_daily", cron="None")
    assert (by_uri.uri, by_uri.sink, by_uri.cron) == ("starbake_load_daily", "", None)
    assert by_name == CoreDataset.table("starbake", "orders", style="flat")
    with pytest.raises(DatasetError):
        StarlakeDataset()


def test_a_sizing_with_its_old_arguments() -> None:
    old = StarlakeSparkConfig(
        memory=None, cores="2", instances=3, cls_options=StarlakeOptions(), options={"spark_executor_memory": "4g"},
        **{"spark.sql.shuffle.partitions": 8},
    )  # fmt: skip
    assert (old.memory, old.cores, old.instances) == ("4g", 2, 3)
    assert old.properties == {"spark.sql.shuffle.partitions": "8"}
    assert old.__config__()["spark.executor.memory"] == "4g"


def test_a_cluster_is_a_set_of_options() -> None:
    cluster = StarlakeDataprocClusterConfig(
        "small", worker_config=StarlakeDataprocMachineConfig(2, "n1-standard-4"), idle_delete_ttl=600
    )
    assert cluster.to_options() == {
        "cluster_id": "small",
        "dataproc_idle_delete_ttl": 600,
        "dataproc_num_workers": 2,
        "dataproc_worker_machine_type": "n1-standard-4",
    }
    assert StarlakeDataprocClusterConfig(single_node=True).to_options() == {"dataproc_num_workers": 0}


# -- crons and ids


def test_ids() -> None:
    assert sanitize_id("kpi.n_customers$2") == "kpi_n_customersS2"
    assert keep_ascii_only("déjà vu") == "d_j_ vu"
    assert asQueryParameters({"a b": "c&d", "n": 1}) == "?a%20b=c%26d&n=1"
    assert asQueryParameters() == ""


def test_crons() -> None:
    assert is_valid_cron("0 2 * * *")
    assert not any(is_valid_cron(text) for text in ("every day", "None", ""))
    assert get_cron_frequency("0 */6 * * *") == timedelta(hours=6)
    with pytest.raises(ScheduleError, match="'every day' cannot be read"):
        get_cron_frequency("every day")


def test_crons_are_sorted_the_same_on_every_day_and_in_every_process() -> None:
    crons = ["0 0 * * 1", "0 0 * * *", "30 1 * * *", "0 * * * *"]
    groups, ordered = sort_crons_by_frequency(crons)
    assert groups == {3600: ["0 * * * *"], 86400: ["0 0 * * *", "30 1 * * *"], 604800: ["0 0 * * 1"]}
    assert ordered == ["0 * * * *", "0 0 * * *", "30 1 * * *", "0 0 * * 1"]
    assert sort_crons_by_frequency(set(crons)) == (groups, ordered)
    later = datetime(2024, 1, 1, 1, tzinfo=timezone.utc)
    assert sort_crons_by_frequency(crons, later)[1][1:3] == ["0 0 * * *", "30 1 * * *"]


def test_dates() -> None:
    moment = "2026-11-04T06:30:00Z"
    assert sl_schedule("0 0 * * *", moment) == "20261104T0000"
    assert sl_scheduled_date(None, moment).isoformat() == "2026-11-04T06:30:00+00:00"
    assert sl_scheduled_date("0 0 * * *", moment, previous=True).isoformat() == "2026-11-04T00:00:00+00:00"
    assert sl_scheduled_dataset("a.b", None, moment) == "a_b"
    assert sl_scheduled_dataset("a.b", "0 0 * * *", moment, previous=True, format="%Y%m%d") == (
        "a_b?sl_scheduled_date=20261104"
    )
    assert sl_cron_start_end_dates("0 0 * * *", moment) == (
        "sl_data_interval_start='2026-11-03T00:00:00+0000',sl_data_interval_end='2026-11-04T00:00:00+0000'"
    )
    assert cron_start_time().tzinfo is timezone.utc


# -- lineage


def test_a_lineage_as_generated_files_walk_it() -> None:
    table = StarlakeDependency("raw.orders", StarlakeDependencyType.TABLE, sink="raw.Orders", cron="0 * * * *")
    sales = StarlakeDependency("kpi.sales", "task", dependencies=[table])
    total = StarlakeDependency("kpi.total", "task", dependencies=[sales, table], freshness=None)
    lineage = StarlakeDependencies([total, sales])
    assert [node.name for node in lineage] == ["kpi.total", "kpi.sales"]
    assert (len(lineage), lineage[0]) == (2, total)
    assert lineage.first_level_tasks == {"kpi.total", "kpi.sales"}
    assert lineage.all_dependencies == {"kpi.sales", "raw.orders"}
    assert lineage.filtered_datasets == {"kpi_total", "kpi_sales"}
    assert lineage.get_dependency("raw.orders") is table
    assert (table.id, table.uri, table.domain, table.table, table.task_id) == (
        "raw.orders", "raw_orders", "raw", "Orders", "raw_orders_table",
    )  # fmt: skip
    assert [parent.id for parent in total.node.parents] == ["kpi.sales", "raw.orders"]


def edges(graphs: object) -> dict[str, list[str]]:
    assert all(isinstance(graph, TreeNodeMixin) for graph in graphs)  # type: ignore[attr-defined]
    return {graph.id: [parent.id for parent in graph.parents] for graph in graphs}  # type: ignore[attr-defined]


def test_graphs_with_and_without_what_is_upstream() -> None:
    table = StarlakeDependency("raw.orders", "table")
    base = StarlakeDependency("kpi.base", dependencies=[table])
    sales = StarlakeDependency("kpi.sales", dependencies=[base])
    total = StarlakeDependency("kpi.total", dependencies=[sales])
    lineage = StarlakeDependencies([sales, total])
    assert edges(lineage.graphs()) == {"kpi.total": ["kpi.sales"]}
    assert edges(lineage.graphs(load_dependencies=True)) == {
        "kpi.base": ["raw.orders"], "kpi.sales": ["kpi.base"], "kpi.total": ["kpi.sales"],
    }  # fmt: skip


def test_a_chain_that_is_repeated_in_the_json_is_each_node_once() -> None:
    tree: dict[str, object] = {"data": {"name": "k.t0", "typ": "task"}}
    for number in range(1, 40):
        tree = {"data": {"name": f"k.t{number}", "typ": "task"}, "children": [tree]}
    lineage = StarlakeDependencies(json.dumps([tree, tree]))
    assert len(lineage.graphs(load_dependencies=True)) == 39
    assert all(isinstance(node, StarlakeDependency) for node in lineage.nodes.values())


# -- what it costs


def test_the_names_load_no_orchestrator_and_nothing_heavy() -> None:
    modules = "job, orchestration, dataset, common, airflow, airflow.bash, dagster, dagster.shell, gcp, aws"
    script = (
        "import importlib, sys\nbefore = set(sys.modules)\n"
        f"for name in {modules.split(', ')!r}: importlib.import_module('ai.starlake.' + name)\n"
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy = {
        "airflow",
        "dagster",
        "croniter",
        "click",
        "rich",
        "asyncio",
        "starlake_core_airflow",
        "starlake_core_dagster",
    }
    assert {name.partition(".")[0] for name in done.stdout.split()} & heavy == set()


NAMES = Path(__file__).parents[1] / "src" / "ai" / "starlake"


@pytest.mark.parametrize("module", ["job", "orchestration", "dataset"])
def test_every_name_is_in_the_readme(module: str) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert [name for name in importlib.import_module(f"ai.starlake.{module}").__all__ if f"`{name}`" not in text] == []


def test_every_module_is_in_the_readme() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    for file in NAMES.rglob("__init__.py"):
        first, *rest = file.relative_to(NAMES).parent.parts
        assert f"`ai.starlake.{first}`" in text
        assert not rest or f"`.{rest[0]}`" in text


def test_the_packages_own_no_ai_init() -> None:
    source = Path(__file__).parents[1] / "src" / "ai"
    assert not (source / "__init__.py").exists()
    assert not (source / "starlake" / "__init__.py").exists()

"""What a pipeline file leaves in its module for the package to find."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from compat_runs import HOSTS, native, run

from starlake_core import StarlakeError, graph_json

HEAD = """# airflow dag
from ai.starlake.job import StarlakeExecutionEnvironment, StarlakeJobFactory, StarlakeOrchestrator, StarlakeSparkConfig
from ai.starlake.orchestration import (
    OrchestrationFactory, StarlakeDependencies, StarlakeDependency, StarlakeDomain, StarlakeSchedule,
)

options = {}
"""
LOAD = """
job = StarlakeJobFactory.create_job(
    orchestrator=StarlakeOrchestrator.@HOST@, execution_environment=StarlakeExecutionEnvironment.DUCKDB, options=options
)
daily = StarlakeSchedule("Daily Run", "0 0 * * *", [StarlakeDomain("sales", tables=["orders"])])
with OrchestrationFactory.create_orchestration(job=job) as orchestration:
    with orchestration.sl_create_pipeline(schedule=daily) as pipeline:
        pipeline.add_schedule()
"""
TRANSFORM = """
job = StarlakeJobFactory.create_job(
    orchestrator=StarlakeOrchestrator.@HOST@, execution_environment=StarlakeExecutionEnvironment.DUCKDB, options=options
)
@LATER@
orders = StarlakeDependency("raw.orders", "table", sink="raw.Orders", cron="0 * * * *")
items = StarlakeDependency("raw.items", "table", cron="0 0 * * *")
dependencies = StarlakeDependencies([StarlakeDependency("kpi.sales", dependencies=[orders, items])])
with OrchestrationFactory.create_orchestration(job=job) as orchestration:
    with orchestration.sl_create_pipeline(dependencies=dependencies) as pipeline:
        start, end = pipeline.start_task(), pipeline.end_task()
        for graph in pipeline.graphs:
            start >> pipeline.dependency_to_task(graph.node) >> end
"""


def drawn(folder: Path, text: str, later: str = "", name: str = "My_Sales.py") -> Any:
    """The pipeline of a file."""
    file = folder / name
    file.write_text(text.replace("@HOST@", "LOCAL").replace("@LATER@", later), encoding="utf-8")
    return runpy.run_path(str(file))["pipeline"]


def test_ids_are_those_of_the_replaced_package(tmp_path: Path) -> None:
    pipeline = drawn(tmp_path, HEAD + LOAD)
    assert pipeline.pipeline_id == "my_sales_Daily_Run"
    assert pipeline.schedule_name == "Daily_Run"
    assert [task.id for task in pipeline.tasks()] == ["start_Daily_Run", "load_sales_orders", "end_Daily_Run"]
    assert [dataset.uri for dataset in pipeline.outlets] == ["sales_orders", "my_sales_daily_run"]


def test_description(tmp_path: Path) -> None:
    assert drawn(tmp_path, HEAD + 'description = """the sales"""' + LOAD).description == "the sales"
    assert drawn(tmp_path, HEAD + LOAD).description == ""


def test_the_style_of_datasets_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = HEAD + 'options["dataset_style"] = "qualified"' + LOAD
    assert drawn(tmp_path, chosen).outlets[0].uri == "starlake://sales/orders"
    monkeypatch.setenv("SL_DATASET_STYLE", "qualified")
    assert drawn(tmp_path, HEAD + LOAD).outlets[0].uri == "starlake://sales/orders"


def test_the_zone_of_a_generator_is_weaker_than_that_of_a_user(tmp_path: Path) -> None:
    generated = HEAD + 'options["SL_TIMEZONE"] = "Europe/Paris"\n'
    assert drawn(tmp_path, generated + LOAD).zone_name == "Europe/Paris"
    assert drawn(tmp_path, generated + 'options["timezone"] = "Asia/Tokyo"' + LOAD).zone_name == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("GMT+01:00", "Etc/GMT-1"),
        ("UTC+2", "Etc/GMT-2"),
        ("-05:00", "Etc/GMT+5"),
        ("GMT+00:00", "UTC"),
        ("Z", "UTC"),
        ("Europe/paris", "Europe/Paris"),
        ("None", "UTC"),
        ("", "UTC"),
    ],
)
def test_the_zone_of_a_generator_is_what_its_java_machine_writes(tmp_path: Path, written: str, zone: str) -> None:
    assert drawn(tmp_path, HEAD + f'options["SL_TIMEZONE"] = "{written}"' + LOAD).zone_name == zone


@pytest.mark.parametrize("written", ["GMT+05:30", "UTC+15", "Mars/Base"])
def test_a_zone_that_has_no_name_is_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(StarlakeError, match=r"SL_TIMEZONE|time zone"):
        drawn(tmp_path, HEAD + f'options["SL_TIMEZONE"] = "{written}"' + LOAD)


def test_sizes_of_spark(tmp_path: Path) -> None:
    sizes = "spark_executor_memory, spark_executor_cores, spark_properties = '3g', 2, {'spark.x': 1}"
    task = next(task for task in drawn(tmp_path, HEAD + sizes + LOAD).tasks() if task.command)
    assert (task.command.spark.memory, task.command.spark.cores) == ("3g", 2)
    assert task.command.spark.properties == {"spark.x": "1"}
    weaker = HEAD + sizes + '\noptions["spark_executor_memory"] = "5g"' + LOAD
    task = next(task for task in drawn(tmp_path, weaker).tasks() if task.command)
    assert task.command.spark.memory == "5g"


def test_sizes_from_a_function_of_the_file(tmp_path: Path) -> None:
    function = (
        "spark_properties = {'spark_x': 'y'}\n"
        "def get_spark_config(name, **properties):\n"
        "    return StarlakeSparkConfig('9g' if name == 'sales.orders' else '1g', 1, 1, **properties)\n"
    )
    task = next(task for task in drawn(tmp_path, HEAD + function + LOAD).tasks() if task.command)
    assert task.command.spark.memory == "9g"
    assert task.command.spark.properties == {"spark_x": "y"}
    with pytest.raises(StarlakeError, match=r"get_spark_config\('sales.orders'\).*returned None.*StarlakeSparkConfig"):
        drawn(tmp_path, HEAD + "def get_spark_config(name): pass\n" + LOAD)


def test_the_schedule_of_transforms_may_be_said_after_the_job(tmp_path: Path) -> None:
    assert drawn(tmp_path, HEAD + TRANSFORM, 'cron = "0 5 * * *"').cron == "0 5 * * *"
    pipeline = drawn(tmp_path, HEAD + TRANSFORM, 'cron = "None"')
    assert pipeline.cron is None
    assert [dataset.uri for dataset in pipeline.trigger.datasets] == ["raw_items", "raw_orders"]


@pytest.mark.parametrize("name", ["raw_orders", "raw.orders", "raw.Orders"])
def test_filtered_datasets_under_their_old_and_new_names(tmp_path: Path, name: str) -> None:
    pipeline = drawn(tmp_path, HEAD + TRANSFORM, f"filtered_datasets = {{{name!r}}}")
    assert [dataset.uri for dataset in pipeline.trigger.datasets] == ["raw_items"]


def test_jobs_that_the_file_did_not_pass_on(tmp_path: Path) -> None:
    jobs = 'jobs = {"kpi.sales": {"options": "region=EU"}}'
    assert '"region=EU,' in graph_json(drawn(tmp_path, HEAD + jobs + TRANSFORM))


FOR_DAGS = """
from ai.starlake.airflow import DEFAULT_DAG_ARGS, StarlakeAirflowOptions
import json

options["default_dag_args"] = '{"owner": "sales", "retries": 4, "email_on_retry": true}'
access_control = {"Viewer": {"can_read"}}
user_defined_macros = {"twice": lambda text: text + text}
user_defined_filters = {"upper": str.upper}
__dag_args = json.loads(StarlakeAirflowOptions.get_context_var("default_dag_args", {}, options))
default_dag_args = dict(__dag_args, **DEFAULT_DAG_ARGS)
"""


@pytest.mark.skipif("airflow" not in HOSTS, reason="needs Airflow")
def test_what_only_dags_have(tmp_path: Path) -> None:
    folder, home = tmp_path / "dags", tmp_path / "home"
    folder.mkdir()
    (folder / "sales.py").write_text((HEAD + FOR_DAGS + LOAD).replace("@HOST@", "AIRFLOW"), encoding="utf-8")
    variables = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    (dag,) = native("airflow", "show", str(folder), **variables).values()
    assert dag["macros"] == ["twice"]
    assert "can_read" in dag["access_control"]
    # The constants that the file lays over the user's JSON do not win over it.
    assert dag["default_args"]["retries"] == "4"
    assert dag["default_args"]["email_on_retry"] == "True"
    assert dag["default_args"]["owner"] == "sales"
    assert dag["default_args"]["depends_on_past"] == "False"
    assert dag["tasks"]["sales_Daily_Run.load_sales_Daily_Run.load_sales_orders"]["retries"] == 4


@pytest.mark.skipif("dagster" not in HOSTS, reason="needs Dagster")
def test_what_only_dags_have_is_left_out_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "sales.py"
    text = (HEAD + FOR_DAGS.replace('options["default', 'unused["default') + LOAD).replace("@HOST@", "DAGSTER")
    file.write_text(text.replace("options = {}", "options, unused = {}, {}"), encoding="utf-8")
    shown = native("dagster", "show", str(file))
    assert list(shown["jobs"]) == ["sales_Daily_Run"]
    assert shown["assets"] == ["sales_daily_run", "sales_orders"]


OLDER = '''
job = StarlakeJobFactory.create_job(
    orchestrator=StarlakeOrchestrator.@HOST@, execution_environment=StarlakeExecutionEnvironment.DUCKDB, options=options
)
cron = "0 5 * * *"
from ai.starlake.orchestration import StarlakeDependencyType

dependencies = StarlakeDependencies("""[
  {"data": {"name": "kpi.total", "typ": "task"}, "children": [
    {"data": {"name": "kpi.sales", "typ": "task"}, "children": [{"data": {"name": "raw.orders", "typ": "table"}}]}]},
  {"data": {"name": "kpi.sales", "typ": "task"}, "children": [{"data": {"name": "raw.orders", "typ": "table"}}]}
]""")
with OrchestrationFactory.create_orchestration(job=job) as orchestration:
    with orchestration.sl_create_pipeline(dependencies=dependencies) as pipeline:
        inside = pipeline.load_dependencies

        def add(node, above=""):
            name = f"{above}{node.uri}_{node.dependency_type}"
            below = [one for one in node.dependencies if inside or one.name in dependencies.first_level_tasks]

            def task():
                if node.dependency_type == StarlakeDependencyType.TASK:
                    return pipeline.sl_transform(task_id=name, transform_name=node.name)
                return pipeline.sl_load(task_id=name, domain=node.domain, table=node.table)

            if not below:
                return task()
            with orchestration.sl_create_task_group(group_id=node.uri, pipeline=pipeline) as group:
                parents = [add(one, f"{node.uri}_" if inside else "") for one in below]
                made = task()
                made << parents
            return group

        start, end = pipeline.start_task(), pipeline.end_task()
        start >> [add(node) for node in dependencies if node.name not in dependencies.all_dependencies] >> end
'''


@pytest.mark.parametrize(
    ("inside", "paths"),
    [
        ("false", ["start", "kpi_total.kpi_sales_task", "kpi_total.kpi_total_task", "end"]),
        (
            "true",
            [
                "start",
                "kpi_total.kpi_sales.kpi_sales_raw_orders_table",
                "kpi_total.kpi_sales.kpi_total_kpi_sales_task",
                "kpi_total.kpi_total_task",
                "end",
            ],
        ),
    ],
)
def test_the_older_form_of_generated_transforms(tmp_path: Path, inside: str, paths: list[str]) -> None:
    pipeline = drawn(tmp_path, HEAD + f'options["run_dependencies_first"] = "{inside}"' + OLDER.replace(" >> end", "")
                     + "        end << list(pipeline.nodes.values())[2:]\n")  # fmt: skip
    assert [task.path for task in pipeline.tasks()] == paths
    assert json.loads(graph_json(pipeline))["cron"] == "0 5 * * *"


@pytest.mark.skipif("airflow" not in HOSTS, reason="needs Airflow")
def test_a_variable_of_airflow_is_asked_for_last(home: dict[str, str]) -> None:
    script = (
        "from ai.starlake.airflow import StarlakeAirflowOptions as Options\n"
        "read = Options.get_context_var\n"
        "print(read('shelf', None, {}), read('shelf', 'default', {}), read('shelf', None, {'shelf': 'option'}))\n"
        "try: read('drawer')\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    done = run("-c", script, AIRFLOW_VAR_SHELF="variable", **home)
    assert done.stdout.splitlines()[-2:] == ["variable default option", "MissingEnvironmentVariable"], done.stderr

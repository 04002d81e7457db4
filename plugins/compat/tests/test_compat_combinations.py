"""Files in the shape of the current generator: loads and transforms, on every host that is installed, in every environment that is."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
from breadth import quickly
from compat_runs import HOSTS, native, native_runs
from generated import DAILY, DAY, ENVIRONMENTS, HOURLY, RAW_SALE, TOTAL, corpus, load_file, transform_file

from starlake_core.plugins import installed

INSTALLED = [name for name in ENVIRONMENTS if name in {plugin.name for plugin in installed("environment")}]
WAITING = "raw.pre_load_raw.check_raw_incoming_files"
LOADS = {
    "start", WAITING, "raw.pre_load_raw.import_raw", "raw.load_raw.load_raw_sale", "raw.load_raw.load_raw_shop", "end",
}  # fmt: skip
EDGES = {
    f"start -> {WAITING}",
    f"{WAITING} -> raw.pre_load_raw.import_raw",
    "raw.pre_load_raw.import_raw -> raw.load_raw.load_raw_sale",
    "raw.pre_load_raw.import_raw -> raw.load_raw.load_raw_shop",
    "raw.load_raw.load_raw_sale -> end",
    "raw.load_raw.load_raw_shop -> end",
}
IDS = {
    "load", "ack", "loads_daily", "loads_cron1", "loads", "capitals_Daily_Run", "capitals_cron1", "transform", "first", "cron", "odd",
}  # fmt: skip
TRANSFORMS = ["start", "shop_day_task", "shop_total_task", "end"]


def without_lifecycle(environment: str, tasks: Any) -> set[str]:
    """Ids of tasks without those that the environment adds around them."""
    return {task for task in tasks if environment != "dataproc" or not ("cluster" in task or task == "all_done")}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each host makes of all files."""
    made: dict[str, Any] = {}
    for host in HOSTS:
        folder = tmp_path_factory.mktemp(host)
        for environment in INSTALLED:
            for name, text in corpus(host, environment).items():
                (folder / f"{environment}_{name}.py").write_text(text, encoding="utf-8")
        if host == "airflow":
            variables = {"AIRFLOW_HOME": str(tmp_path_factory.mktemp("home")), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
            made[host] = native(host, "show", str(folder), **variables)
        else:
            found = native(host, "show", *sorted(map(str, folder.glob("*.py"))))
            made[host] = {"jobs": {}, "schedules": {}, "sensors": []}
            for one in found.values():
                made[host]["jobs"].update(one["jobs"])
                made[host]["schedules"].update(one["schedules"])
                made[host]["sensors"].extend(one["sensors"])
    return made


@pytest.mark.skipif("airflow" not in HOSTS, reason="needs Airflow")
@pytest.mark.parametrize("environment", INSTALLED)
def test_every_file_is_a_dag(shown: Any, environment: str) -> None:
    dags = {
        name.removeprefix(f"{environment}_"): dag
        for name, dag in shown["airflow"].items()
        if name.startswith(environment)
    }
    assert set(dags) - {"sync"} == IDS
    load = dags["load"]
    assert load["schedule"] == "0 0 * * *"
    assert without_lifecycle(environment, load["tasks"]) == LOADS
    if environment != "dataproc":
        assert set(load["edges"]) == EDGES
    assert load["groups"] == ["raw", "raw.load_raw", "raw.pre_load_raw"]
    assert dags["loads_cron1"]["schedule"] == "0 * * * *"
    assert {"start_daily", "raw_daily.load_raw_daily.load_raw_sale", "end_daily"} <= set(dags["loads_daily"]["tasks"])
    assert dags["loads"]["timetable"] == "NullTimetable"
    assert without_lifecycle(environment, dags["loads"]["tasks"]) == {"start", "raw.load_raw.load_raw_note", "end"}
    assert dags["transform"]["triggers"] == ["raw_sale"]
    assert without_lifecycle(environment, dags["transform"]["tasks"]) == set(TRANSFORMS)
    assert "shop_day_task -> shop_total_task" in dags["transform"]["edges"]
    assert dags["transform"]["tasks"]["shop_total_task"]["outlets"] == ["shop_total"]
    assert dags["first"]["timetable"] == "NullTimetable"
    assert "raw_sale_table -> shop_day_task" in dags["first"]["edges"]
    assert dags["cron"]["schedule"] == "0 5 * * *"
    assert dags["load"]["default_args"].keys().isdisjoint({"start_date"})


@pytest.mark.skipif("dagster" not in HOSTS, reason="needs Dagster")
@pytest.mark.parametrize("environment", INSTALLED)
def test_every_file_is_a_job(shown: Any, environment: str) -> None:
    found = shown["dagster"]
    jobs = {
        name.removeprefix(f"{environment}_"): without_lifecycle(environment, steps)
        for name, steps in found["jobs"].items()
        if name.startswith(environment) and not name.endswith("_tear_down")
    }
    assert set(jobs) - {"sync"} == IDS
    # What only marks the start of a pipeline is no step.
    assert {task.rpartition(".")[2] for task in LOADS} - {"start"} == jobs["load"]
    assert jobs["transform"] == {*TRANSFORMS} - {"start"}
    assert jobs["first"] == {*TRANSFORMS, "raw_sale_table"} - {"start"}
    schedules = {name: cron for name, cron in found["schedules"].items() if name.startswith(environment)}
    assert schedules == {
        f"{environment}_load": "0 0 * * *",
        f"{environment}_ack": "0 0 * * *",
        f"{environment}_capitals_Daily_Run": "0 0 * * *",
        f"{environment}_capitals_cron1": "0 * * * *",
        f"{environment}_loads_daily": "0 0 * * *",
        f"{environment}_loads_cron1": "0 * * * *",
        f"{environment}_cron": "0 5 * * *",
        **({"cloud_run_sync": "0 0 * * *"} if environment == "cloud_run" else {}),
    }
    sensors = [name for name in found["sensors"] if not name.endswith("_tear_down_sensor")]
    assert sorted(name for name in sensors if name.startswith(f"{environment}_")) == [
        f"{environment}_odd_sensor",
        f"{environment}_transform_sensor",
    ]


@pytest.mark.skipif("dagster" not in HOSTS, reason="needs Dagster")
def test_the_check_of_a_domain_has_the_name_of_its_schedule_on_dagster(tmp_path: Path) -> None:
    file = tmp_path / "loads.py"
    file.write_text(load_file("dagster", "shell", (DAILY, HOURLY), pre_load_strategy="imported"), encoding="utf-8")
    jobs = native("dagster", "show", str(file))["jobs"]
    assert "check_raw_daily_incoming_files" in jobs["loads_daily"]
    assert "check_raw_cron1_incoming_files" in jobs["loads_cron1"]


@pytest.mark.parametrize("environment", INSTALLED)
@pytest.mark.parametrize("cloud", ["True", "False"])
def test_one_task_for_each_command_whether_or_not_the_cloud_is_waited_for(
    tmp_path: Path, environment: str, cloud: str
) -> None:
    file = tmp_path / "dag.py"
    options = {"cloud_run_async": cloud} if environment == "cloud_run" else {}
    file.write_text(load_file("local", environment, **options), encoding="utf-8")
    (pipeline,) = runpy.run_path(str(file))["pipelines"]
    paths = [task.path for task in pipeline.tasks() if task.command]
    assert paths == ["raw.load_raw.load_raw_sale", "raw.load_raw.load_raw_shop"]


# -- runs, with a program that writes down what it is asked for

FILTER = "filtered_datasets = {'raw_other'}\n\ncron = "


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, Path]:
    """A program in place of Starlake, and the file in which it writes its arguments."""
    argv, program = tmp_path / "argv.txt", tmp_path / "starlake"
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\nwith open({str(argv)!r}, 'a') as f: f.write(json.dumps(sys.argv[1:]) + '\\n')\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program, argv


def options_of_a_run(host: str, sections: Any) -> dict[str, Any]:
    """The configuration of a run with ``sl_options``; the tags of Dagster are text."""
    return {"sl_options": sections if host == "airflow" else json.dumps(sections)}


@pytest.mark.parametrize("host", quickly(*HOSTS))
def test_what_a_run_brings_reaches_the_commands(
    tmp_path: Path, home: dict[str, str], recorded: tuple[Path, Path], host: str
) -> None:
    program, argv = recorded
    shared = {"SL_STARLAKE_PATH": str(program), "retries": "0", "sl_env_var": json.dumps({"SL_ROOT": str(tmp_path)})}
    other = {"data": {"name": "raw.other", "typ": "table", "cron": "0 0 * * *"}}
    total = {**TOTAL, "children": [DAY, other]}
    text = transform_file(host, "shell", (total, DAY), **shared, sl_options='{"all": {"batch": "b0", "kept": "yes"}}')
    file = tmp_path / "shop.py"
    file.write_text(text.replace("cron = ", FILTER, 1), encoding="utf-8")
    load = tmp_path / "raw.py"
    load.write_text(load_file(host, "shell", **shared), encoding="utf-8")
    brought = {"shop": {"all": {"batch": "b7"}, "shop.total": {"batch": "b8"}}, "raw": {"raw.sale": {"day": "1"}}}
    runs = [(tmp_path / f"{name}.py", name, options_of_a_run(host, sections)) for name, sections in brought.items()]
    for states in native_runs(host, runs, **home):
        assert set(states.values()) == {"success"}, states
    lines = [json.loads(line) for line in argv.read_text(encoding="utf-8").splitlines()]
    options = {words[words.index("--name") + 1]: words[-1] for words in lines if words[0] == "transform"}
    assert options["shop.day"].startswith("batch=b7,kept=yes,sl_data_interval_start=")
    assert options["shop.total"].startswith("batch=b8,kept=yes,sl_data_interval_start=")
    assert sorted("day=1" in words for words in lines if words[0] == "load") == [False, True]


def test_a_lineage_with_the_sink_of_older_generators(tmp_path: Path) -> None:
    older = {"data": {**RAW_SALE["data"], "sink": "None"}}  # type: ignore[dict-item]
    file = tmp_path / "dag.py"
    file.write_text(transform_file("local", "shell", ({**DAY, "children": [older]},)), encoding="utf-8")
    (pipeline,) = runpy.run_path(str(file))["pipelines"]
    assert [one.uri for one in pipeline.trigger.datasets] == ["raw_sale"]


def test_extra_of_a_verb_is_told_by_the_events_of_its_task(tmp_path: Path) -> None:
    told = "{'sl_options': {'all': {'batch': 'b7'}}, 'owner': 'me'}"
    text = load_file("local", "shell", sl_options_merge='{"all": {"batch": {"policy": "union"}}}')
    file = tmp_path / "dag.py"
    file.write_text(text.replace("table=table.name)", f"table=table.name, extra={told})"), encoding="utf-8")
    (pipeline,) = runpy.run_path(str(file))["pipelines"]
    outlets = {one.uri: one.extra for one in pipeline.outlets}
    assert outlets["raw_sale"] == {"sl_options": {"all": {"batch": "b7"}}, "owner": "me"}
    assert outlets["dag"] == {}
    assert pipeline.policy.merge == {"all": {"batch": {"policy": "union", "separator": "|"}}}

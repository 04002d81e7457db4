"""Runs on a server: against a real Airflow, and against one that misbehaves."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow_server import PASSWORD, USER, Server
from click.testing import CliRunner
from rest_stub import DROP, Stub, stub_server
from starlake_core_airflow import rest_client, rest_runs
from starlake_core_airflow.firing import fires
from starlake_core_airflow.rest import Api, backfill, delete_dag, run
from starlake_core_airflow.rest_events import read_recorded
from starlake_core_airflow.versions import AIRFLOW_3

from starlake_core import (
    DataInterval,
    Orchestration,
    Report,
    RunError,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakePipeline,
    TaskEvent,
    TaskState,
    fire_times,
    request_run,
)
from starlake_core.cli.app import app
from starlake_core.freshness import FreshnessPolicy, Kind, Previous, decide

pytestmark = pytest.mark.live

HEAD = """
from datetime import datetime
try:
    from airflow.sdk import DAG, TaskGroup
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.operators.python import PythonOperator
except ImportError:
    from airflow import DAG
    from airflow.operators.empty import EmptyOperator
    from airflow.operators.python import PythonOperator
    from airflow.utils.task_group import TaskGroup
from airflow.exceptions import AirflowFailException, AirflowSkipException

def say(outcome, reason, code, error):
    def told(ti, dag_run):
        ti.xcom_push(key="return_value", value={"outcome": outcome, "reason": reason.format(**dag_run.conf), "exit_code": code, "log": ""})
        raise error(reason)
    return told
"""

DAGS = {
    "mixed.py": HEAD
    + """
with DAG("mixed", start_date=datetime(2026, 1, 1), schedule=None):
    start = EmptyOperator(task_id="start")
    with TaskGroup("sales") as sales:
        gate = PythonOperator(task_id="check", python_callable=say("not_ready", "sales is not ready", 2, AirflowSkipException))
        gate >> EmptyOperator(task_id="load")
    reason = "{sl_data_interval_start} {sl_data_interval_end} {sl_variables}"
    bad = PythonOperator(task_id="bad", python_callable=say("failed", reason, 3, AirflowFailException))
    start >> [sales, bad, EmptyOperator(task_id="kpi_fine"), EmptyOperator(task_id="other_name")]
    bad >> EmptyOperator(task_id="after")
    sales >> EmptyOperator(task_id="report")
""",
    "slow.py": HEAD
    + """
import time
with DAG("slow", start_date=datetime(2026, 1, 1), schedule=None):
    PythonOperator(task_id="sleep", python_callable=lambda: time.sleep(120)) >> EmptyOperator(task_id="then")
""",
    "many.py": HEAD
    + """
with DAG("many", start_date=datetime(2026, 1, 1), schedule=None, max_active_tasks=300):
    for number in range(230):
        EmptyOperator(task_id=f"task_{number}")
""",
    "filled.py": HEAD
    + """
from airflow.timetables.trigger import CronTriggerTimetable
crons = {"filled": "0 0 * * *", "recent": "0 0 * * *", "left": "0 0 * * *", "autumn": "30 2 * * *"}
for name, cron in crons.items():
    schedule = CronTriggerTimetable(cron, timezone="Europe/Paris")
    with DAG(name, start_date=datetime(2025, 1, 1), schedule=schedule, catchup=False):
        EmptyOperator(task_id="one") >> EmptyOperator(task_id="two")
""",
    "paused.py": HEAD
    + """
with DAG("paused", start_date=datetime(2026, 1, 1), schedule=None, is_paused_upon_creation=True):
    EmptyOperator(task_id="one")
""",
    "kpi.py": HEAD
    + """
try:
    from airflow.sdk import Asset
    named = lambda name, uri: Asset(name=name, uri=uri)
except ImportError:
    from airflow.datasets import Dataset
    named = lambda name, uri: Dataset(uri)
orders, rates = (named(f"sales.{name}", f"starlake://sales/{name}") for name in ("orders", "rates"))
with DAG("kpi", start_date=datetime(2026, 1, 1), schedule=[orders], is_paused_upon_creation=True):
    start = EmptyOperator(task_id="start", inlets=[orders, rates])
    start >> EmptyOperator(task_id="end", outlets=[named("kpi", "kpi")])
with DAG("load_rates", start_date=datetime(2026, 1, 1), schedule=None):
    EmptyOperator(task_id="load", outlets=[rates])
""",
    "broken.py": HEAD + "\nraise RuntimeError('this DAG file is broken')\n",
}


def make(name: str, draw: Callable[[StarlakePipeline], object], **keywords: Any) -> StarlakePipeline:
    with (
        Orchestration(
            {"retries": 0, "timezone": "Europe/Paris"},
            orchestrator="local",
            environment="shell",
            filename=f"/somewhere/{name}.py",
            namespace={},
        ) as orchestration,
        orchestration.sl_create_pipeline(name=name, **keywords) as pipeline,
    ):
        draw(pipeline)
    return pipeline


def draw_mixed(pipeline: StarlakePipeline) -> None:
    start = pipeline.sl_dummy_op("start")
    with pipeline.sl_create_task_group("sales") as sales:
        pipeline.sl_dummy_op("check") >> pipeline.sl_dummy_op("load")
    bad = pipeline.sl_dummy_op("bad")
    fine = pipeline.sl_transform("kpi_fine", "kpi.fine")
    start >> [sales, bad, fine, pipeline.add_native("own", lambda: print)]
    bad >> pipeline.sl_dummy_op("after")
    sales >> pipeline.sl_dummy_op("report")
    start >> pipeline.sl_dummy_op("undeployed")


@pytest.fixture
def mixed() -> StarlakePipeline:
    return make("mixed", draw_mixed)


def simple(name: str, *ids: str, **keywords: Any) -> StarlakePipeline:
    def draw(pipeline: StarlakePipeline) -> None:
        before = None
        for task_id in ids:
            task = pipeline.sl_dummy_op(task_id)
            if before is not None:
                before >> task
            before = task

    return make(name, draw, **keywords)


# -- a real Airflow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("airflow"), DAGS, AIRFLOW_3)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[Api]:
    api = server.wait({"mixed", "slow", "many", "filled", "autumn", "recent", "left", "paused", "kpi"}, errors=1)
    yield api
    api.close()


def states(report: Report) -> dict[str, str]:
    return {task.id: task.state for task in report.tasks}


def test_the_run_of_a_dag_is_followed_and_reported(api: Api, mixed: StarlakePipeline) -> None:
    events: list[TaskEvent] = []
    date = datetime(2026, 3, 1, tzinfo=timezone.utc)
    asked = request_run(mixed, date, variables={"WHO": "me"}, listener=events.append, group="g1")
    report = run(api, mixed, asked)
    assert states(report) == {
        "start": "success",
        "sales.check": "skipped",
        "sales.load": "skipped",
        "bad": "failed",
        "kpi_fine": "success",
        "other_name": "success",
        "after": "upstream failed",
        "report": "skipped",
        "undeployed": "excluded",
    }
    order = [task.id for task in report.tasks]
    assert order.index("start") < order.index("bad") < order.index("after")
    assert (report.state, report.reason, report.succeeded) == ("failed", "1 task failed", False)
    assert (report.run_id, report.group, report.interval) == (asked.run.run_id, "g1", asked.run.interval)
    assert report.started is not None
    assert report.ended is not None
    assert report.started <= report.ended
    assert report.datasets == tuple(d.uri for task in mixed.tasks() if task.id == "kpi_fine" for d in task.outlets)
    bad = report.task("bad")
    interval = f"{asked.run.interval.start.isoformat()} {asked.run.interval.end.isoformat()}"
    assert (bad.reason, bad.exit_code, bad.attempts) == (f"{interval} {{'WHO': 'me'}}", 3, 1)
    assert bad.log.startswith(api.base_url)
    assert report.task("check").reason == "sales is not ready"
    assert report.task("check").exit_code == 2
    assert report.task("load").reason == "sales is not ready"
    assert report.task("report").reason == "sales is not ready"
    assert report.task("after").reason == "bad failed"
    assert "deploy the pipeline file again" in report.task("undeployed").reason
    changes = [(event.task, event.state) for event in events]
    assert len(changes) == len(set(changes))
    assert {task for task, _ in changes} == set(states(report)) - {"undeployed"}
    assert dict(changes) == {task: state for task, state in states(report).items() if task != "undeployed"}
    with pytest.raises(RunError, match="already"):
        run(api, mixed, asked)


def test_the_link_of_a_task_opens(api: Api, mixed: StarlakePipeline) -> None:
    watch = rest_runs.Watch(api, mixed, "manual__2026-01-01T00:00:00+00:00")
    link = watch._log("sales.check", -1)
    assert "manual__2026-01-01T00%3A00%3A00%2B00%3A00" in link
    assert api._client.get(link, follow_redirects=True).status_code == 200


def test_an_interrupt_stops_the_run_in_airflow_too(api: Api) -> None:
    pipeline = simple("slow", "sleep", "then")

    def interrupt(event: TaskEvent) -> None:
        if event.state == TaskState.RUNNING:
            raise KeyboardInterrupt

    asked = request_run(pipeline, listener=interrupt)
    report = run(api, pipeline, asked)
    assert (report.state, report.reason) == ("cancelled", "stopped by the user")
    assert {(task.state, task.reason) for task in report.tasks} == {("cancelled", "stopped by the user")}
    assert api.get(f"/dags/slow/dagRuns/{asked.run.run_id}")["state"] == "failed"


def test_a_run_with_more_tasks_than_a_page(api: Api) -> None:
    pipeline = make("many", lambda pipeline: [pipeline.sl_dummy_op(f"task_{number}") for number in range(230)])
    report = run(api, pipeline, request_run(pipeline))
    assert report.succeeded
    assert len(report.tasks) == 230
    assert set(states(report).values()) == {"success"}


@pytest.mark.parametrize(
    ("name", "said"),
    [("paused", "airflow dags unpause paused"), ("unknown", "starlake-orchestrate deploy unknown.py")],
)
def test_a_dag_that_would_not_run_is_refused(api: Api, name: str, said: str) -> None:
    pipeline = simple(name, "one")
    with pytest.raises(RunError, match=said):
        run(api, pipeline, request_run(pipeline))


def test_a_dag_that_airflow_cannot_load_is_refused_with_the_error(api: Api) -> None:
    pipeline = simple("broken", "one")
    with pytest.raises(RunError, match="this DAG file is broken"):
        run(api, pipeline, request_run(pipeline))


def test_wrong_credentials(server: Server, api: Api) -> None:
    with pytest.raises(RunError, match="'airflow_password'") as caught:
        Api.connect(server.url, USER, "wrong-word").get("/dags")
    assert "wrong-word" not in str(caught.value)
    with pytest.raises(RunError, match="Set 'airflow_username' and 'airflow_password', or 'airflow_token'"):
        Api.connect(server.url).get("/dags")


def test_a_token_that_is_no_longer_good_is_renewed(server: Server, api: Api) -> None:
    if not api.v2:
        return
    api = Api.connect(server.url, USER, PASSWORD)
    login: Any = api._client.auth
    good, login._token = login._token, "expired"
    assert api.get("/dags")["total_entries"] >= 5
    with pytest.raises(RunError, match="set a new one with 'airflow_token'"):
        Api.connect(server.url, token="expired").get("/dags")
    assert Api.connect(server.url, token=good).get("/dags")["total_entries"] >= 5


@pytest.mark.parametrize(
    ("name", "cron", "first"),
    [("filled", "0 0 * * *", datetime(2026, 3, 28)), ("autumn", "30 2 * * *", datetime(2025, 10, 25))],
)
def test_a_backfill(api: Api, name: str, cron: str, first: datetime) -> None:
    """Paris changes its clocks on the second of the three days."""
    pipeline = simple(name, "one", "two", cron=cron)
    pipeline.fires = fires  # these pipelines are drawn without a DAG
    first = first.replace(tzinfo=pipeline.zone)
    last = first + timedelta(days=2, hours=3)
    runs = [
        request_run(pipeline, date, variables={"A": "b"})
        for date in fire_times(cron, first, last, pipeline.zone, pipeline.fires)
    ]
    reports = backfill(api, pipeline, runs)
    if not api.v2:
        assert reports is None
        return
    assert reports is not None
    done = list(reports)
    assert sorted(report.interval.end for report in done if report.interval) == [r.run.scheduled_date for r in runs]
    assert [(report.state, len(report.tasks)) for report in done] == [("success", 2)] * 3
    assert {api.get(f"/dags/{name}/dagRuns/{report.run_id}")["conf"]["sl_variables"]["A"] for report in done} == {"b"}

    reports = backfill(api, pipeline, runs)
    assert reports is not None
    kept = list(reports)
    assert [report.state for report in kept] == ["success"] * 3
    assert {report.run_id for report in kept} == {report.run_id for report in done}
    assert all("was not repeated" in report.reason for report in kept)


def test_a_date_that_is_not_over_is_not_run(api: Api) -> None:
    if not api.v2:
        return
    pipeline = simple("recent", "one", "two", cron="0 0 * * *")
    assert pipeline.cron is not None
    now = datetime.now(timezone.utc)
    reports = backfill(
        api,
        pipeline,
        [
            request_run(pipeline, date)
            for date in fire_times(pipeline.cron, now - timedelta(days=2), now + timedelta(days=1), pipeline.zone)
        ],
    )
    assert reports is not None
    found = list(reports)
    assert (found[0].state, found[0].reason.partition(": ")[2]) == ("planned", "it is not over yet")
    assert [report.state for report in found[1:]] == ["success"] * (len(found) - 1)


def test_a_backfill_that_is_left_is_cancelled(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    if not api.v2:
        return
    pipeline = simple("left", "one", "two", cron="0 0 * * *")
    dates = [datetime(2026, 2, day, 0, 0, tzinfo=pipeline.zone) for day in (1, 2, 3)]
    reports = backfill(api, pipeline, [request_run(pipeline, date) for date in dates])
    assert reports is not None

    ask, nap, started = Api.ask, time.sleep, []

    def noted(api: Api, method: str, path: str, body: Any = None, **params: Any) -> Any:
        answer = ask(api, method, path, body, **params)
        if (method, path) == ("POST", "/backfills"):
            started.append(answer["id"])
        return answer

    def interrupt(seconds: float) -> None:
        if started:
            raise KeyboardInterrupt
        nap(seconds)  # the database of Airflow is locked

    monkeypatch.setattr(Api, "ask", noted)
    monkeypatch.setattr(time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(reports)
    monkeypatch.undo()
    (row,) = (row for row in api.get("/backfills", dag_id="left")["backfills"] if row["id"] == started[0])
    assert row["completed_at"] is not None


def test_a_dag_is_deleted_once_and_nobody_minds_a_second_time(api: Api) -> None:
    delete_dag(api, "paused")
    delete_dag(api, "paused")
    delete_dag(api, "never there")


# -- an Airflow that misbehaves

RUN = "/api/v2/dags/mixed/dagRuns/r1"


DAILY = [StarlakeDependency(f"sales.{name}", "table", cron="0 0 * * *") for name in ("orders", "rates")]
KPI = StarlakeDependencies([StarlakeDependency("kpi.total", dependencies=DAILY)])
KPI_FILE = """\
# airflow dag
from starlake_core import Orchestration, StarlakeDependencies, StarlakeDependency
daily = [StarlakeDependency(f"sales.{name}", "table", cron="0 0 * * *") for name in ("orders", "rates")]
with Orchestration(environment="shell") as orchestration:
    lineage = StarlakeDependencies([StarlakeDependency("kpi.total", dependencies=daily)])
    with orchestration.sl_create_pipeline(name="NAME", dependencies=lineage) as pipeline:
        pipeline.add_lineage()
"""


def publish(server: Server, uri: str, moment: datetime, extra: Any, source: str = "") -> int:
    """Store an event; return its id."""
    kind = "asset" if AIRFLOW_3 else "dataset"
    with closing(sqlite3.connect(server.home / "airflow.db", timeout=30)) as database, database:
        done = database.execute(
            f"INSERT INTO {kind}_event ({kind}_id, extra, source_dag_id, source_run_id, source_map_index, timestamp) "
            f"SELECT id, ?, ?, 'before', -1, ? FROM {kind} WHERE uri LIKE ?",
            (json.dumps(extra), source or None, moment.strftime("%Y-%m-%d %H:%M:%S.%f"), uri),
        )
        assert done.rowcount == 1, uri
        return int(done.lastrowid or 0)


def test_what_a_server_has_recorded_is_explained(server: Server, api: Api, tmp_path: Path) -> None:
    file = tmp_path / "kpi.py"
    file.write_text(KPI_FILE.replace("NAME", "kpi"))
    login = {"airflow_api_base_url": server.url, "airflow_username": USER, "airflow_password": PASSWORD}

    def explain(**more: str) -> tuple[int, str]:
        options = [f"--option={name}={value}" for name, value in {**login, **more}.items()]
        done = CliRunner().invoke(app, ["explain", str(file), "--orchestrator", "airflow", *options])
        return done.exit_code, done.output

    assert explain()[0] == 4
    day = datetime(2026, 3, 1, tzinfo=timezone.utc)
    for number in range(150):  # more than a page, of which the last run has seen all
        at = day + timedelta(days=number)
        seen = {"orders": publish(server, "starlake://sales/orders", at, {"sl_scheduled_date": at.isoformat()})}
    seen["rates"] = publish(server, "starlake://sales/rates", at, {"sl_scheduled_date": at.isoformat()})
    left = Previous(
        DataInterval(at - timedelta(days=1), at), at, {f"starlake://sales/{name}": last for name, last in seen.items()}
    )
    since = {name: at.isoformat() for name in left.seen}
    publish(server, "kpi", at, {"sl_freshness": {"previous": left.to_json(), "since": since}}, source="kpi")
    publish(server, "kpi", at, {"sl_freshness": {"previous": {}}}, source="another")
    code, text = explain()
    assert (code, text.splitlines()[0]) == (4, "kpi: SKIP: nothing new was loaded since the last run")
    later = at + timedelta(days=1)
    publish(server, "starlake://sales/orders", later, {"sl_scheduled_date": later.isoformat()})
    code, text = explain()
    assert code == 3
    assert "starlake://sales/rates: missing, " in text
    publish(server, "starlake://sales/rates", later, {"sl_scheduled_date": later.isoformat(), "sl_options": "no JSON"})
    code, text = explain()
    assert (code, "which is not JSON" in text) == (5, True), text
    publish(server, "starlake://sales/rates", later, {"sl_scheduled_date": later.isoformat()})
    code, text = explain()
    assert code == 0
    pipeline = make("kpi", StarlakePipeline.add_lineage, dependencies=KPI)
    recorded = read_recorded(api, pipeline)
    assert recorded.previous == left
    assert len(recorded.events) < 20
    decision = decide(FreshnessPolicy.of(pipeline), recorded.events, recorded.previous, later + timedelta(hours=1))
    assert decision.kind is Kind.RUN
    assert decision.interval is not None
    assert decision.interval.start == at

    file.write_text(KPI_FILE.replace("NAME", "unknown"))
    code, text = explain()
    assert (code, "has no DAG 'unknown'" in text) == (1, True), text
    code, text = explain(airflow_password="wrong")
    assert (code, "'airflow_password'" in text) == (1, True), text


@pytest.fixture
def stub() -> Iterator[Stub]:
    with stub_server() as stub:
        stub.answers = {
            "GET /api/v2/version": [(200, {"version": "3.3.2"})],
            "POST /auth/token": [(201, {"access_token": "token-1"}), (201, {"access_token": "token-2"})],
            "GET /auth/token": [(201, {"access_token": "token-0"})],
            "GET /api/v2/dags/mixed": [(200, {"dag_id": "mixed", "is_paused": False, "is_stale": False})],
            "POST /api/v2/dags/mixed/dagRuns": [(200, {})],
            f"GET {RUN}": [(200, {"state": "success", "dag_run_id": "r1"})],
            f"GET {RUN}/taskInstances": [(200, {"task_instances": [ti("one", "success")], "total_entries": 1})],
        }
        yield stub


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    return naps


def ti(task_id: str, state: str | None, **more: Any) -> dict[str, Any]:
    return {"task_id": task_id, "state": state, "try_number": 1, "map_index": -1, "duration": 1.5, **more}


def one(**keywords: Any) -> tuple[StarlakePipeline, Any]:
    pipeline = simple("mixed", "one")
    return pipeline, request_run(pipeline, run_id="r1", **keywords)


def test_a_server_that_is_away_for_a_while_never_looks_like_a_failed_run(
    stub: Stub, naps: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    stub.answers[f"GET {RUN}"] = [
        (503, {"detail": "busy"}),
        (502, "<html>bad gateway</html>"),
        DROP,
        (429, {"detail": "slowly"}, {"Retry-After": "17"}),
        (200, {"state": "running"}),
        (504, ""),
        (200, {"state": "success", "dag_run_id": "r1"}),
    ]
    stub.answers[f"GET {RUN}/taskInstances"].insert(0, DROP)
    pipeline, asked = one()
    with caplog.at_level(logging.DEBUG):
        report = run(Api.connect(stub.url, "me", "secret-word"), pipeline, asked)
    assert report.succeeded
    assert states(report) == {"one": "success"}
    assert 17.0 in naps
    assert "secret-word" not in caplog.text
    assert "token-1" not in caplog.text


def test_a_server_that_stays_away_is_no_failed_run_either(
    stub: Stub, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_client, "PATIENCE", 0.05)
    stub.answers[f"GET {RUN}"] = [(503, {"detail": "busy"})]
    pipeline, asked = one()
    with pytest.raises(RunError, match=r"The run may continue in Airflow: http.*/dags/mixed/runs/r1"):
        run(Api.connect(stub.url), pipeline, asked)


def test_a_trigger_that_was_cut_off_is_made_again_and_happens_once(stub: Stub, naps: list[float]) -> None:
    trigger = "POST /api/v2/dags/mixed/dagRuns"
    stub.answers[trigger] = [DROP, (503, {}), (409, {"detail": "exists"})]
    pipeline, asked = one(variables={"PIN": "1234", "sl_options": '{"all": {"batch": "7"}}'})
    conf = {
        "sl_data_interval_start": asked.run.interval.start.isoformat(),
        "sl_data_interval_end": asked.run.interval.end.isoformat(),
        "sl_variables": {"PIN": "1234"},
        "sl_options": {"all": {"batch": "7"}},
    }
    stub.answers[f"GET {RUN}"] = [(200, {"state": "success", "dag_run_id": "r1", "conf": conf})]
    assert run(Api.connect(stub.url), pipeline, asked).succeeded
    assert stub.bodies(trigger) == [{"dag_run_id": "r1", "conf": conf, "logical_date": None}] * 3


def test_the_server_decides_whether_a_run_of_the_rules_starts(stub: Stub) -> None:
    trigger = "POST /api/v2/dags/mixed/dagRuns"
    pipeline, asked = one(variables={"PIN": "1234"})
    stub.answers[f"GET {RUN}"] = [(200, {"state": "success", "dag_run_id": "r1"})]
    assert run(Api.connect(stub.url), pipeline, replace(asked, triggered=True)).succeeded
    conf = {"sl_check_freshness": True, "sl_variables": {"PIN": "1234"}}
    assert stub.bodies(trigger) == [{"dag_run_id": "r1", "conf": conf, "logical_date": None}]


def test_a_run_of_somebody_else_is_a_conflict(stub: Stub, naps: list[float]) -> None:
    stub.answers["POST /api/v2/dags/mixed/dagRuns"] = [(503, {}), (409, {"detail": "exists"})]
    pipeline, asked = one()
    with pytest.raises(RunError, match="already has a run 'r1'"):
        run(Api.connect(stub.url), pipeline, asked)


def test_a_token_that_expires_during_a_run_is_renewed_once(stub: Stub, naps: list[float]) -> None:
    stub.answers[f"GET {RUN}"] = [(200, {"state": "running"}), (401, {}), (200, {"state": "success"})]
    pipeline, asked = one()
    assert run(Api.connect(stub.url, "me", "secret-word"), pipeline, asked).succeeded
    tokens = [headers.get("Authorization") for _, headers, _ in stub.asked if headers.get("Authorization")]
    assert list(dict.fromkeys(tokens)) == ["Bearer token-1", "Bearer token-2"]
    assert stub.bodies("POST /auth/token") == [{"username": "me", "password": "secret-word"}] * 2


def test_a_new_token_that_is_refused_too_is_not_renewed_again(stub: Stub) -> None:
    stub.answers["GET /api/v2/dags"] = [(401, {"detail": "no"})]
    with pytest.raises(RunError, match="'airflow_password'"):
        Api.connect(stub.url, "me", "secret-word").get("/dags")
    assert stub.paths().count("POST /auth/token") == 2
    assert stub.paths().count("GET /api/v2/dags") == 2


def test_a_token_that_is_not_renewed_any_more_shows_no_password(stub: Stub) -> None:
    stub.answers["POST /auth/token"] = [(201, {"access_token": "token-1"}), DROP]
    stub.answers["GET /api/v2/dags"] = [(401, {})]
    with pytest.raises(RunError, match=r"POST .*/auth/token: no answer") as caught:
        Api.connect(stub.url, "me", "secret-word").get("/dags")
    assert "secret-word" not in str(caught.value)


def test_a_server_that_sends_us_elsewhere_gets_no_second_request(stub: Stub) -> None:
    stub.answers["GET /api/v2/dags"] = [(307, {}, {"Location": f"{stub.url}/elsewhere"})]
    with pytest.raises(RunError, match="redirects to"):
        Api.connect(stub.url, "me", "secret-word").get("/dags")
    assert "GET /elsewhere" not in stub.paths()


def test_a_run_that_somebody_deletes(stub: Stub, naps: list[float]) -> None:
    stub.answers[f"GET {RUN}"] = [(200, {"state": "running"}), (404, {"detail": "gone"})]
    pipeline, asked = one()
    with pytest.raises(RunError, match="someone deleted the run"):
        run(Api.connect(stub.url), pipeline, asked)


def test_an_interrupt_that_airflow_does_not_hear_says_so(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", nap)
    stub.answers[f"GET {RUN}"] = [(200, {"state": "running"})]
    stub.answers[f"GET {RUN}/taskInstances"] = [(200, {"task_instances": [ti("one", "running")], "total_entries": 1})]
    stub.answers[f"PATCH {RUN}"] = [(403, {"detail": "no"})]
    pipeline, asked = one()
    report = run(Api.connect(stub.url), pipeline, asked)
    assert report.state == "cancelled"
    assert "may continue in Airflow; stop it there" in report.reason
    assert report.task("one").state == "cancelled"


def test_a_stopped_run_that_the_scheduler_takes_for_a_success_is_stopped_again(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", nap)
    states = ("running", "running", "success", "failed", "this is not asked for")
    stub.answers[f"GET {RUN}"] = [(200, {"state": state}) for state in states]
    stub.answers[f"GET {RUN}/taskInstances"] = [(200, {"task_instances": [ti("one", "running")], "total_entries": 1})]
    stub.answers[f"PATCH {RUN}"] = [(200, {})]
    pipeline, asked = one()
    report = run(Api.connect(stub.url), pipeline, asked)
    assert (report.state, report.reason) == ("cancelled", "stopped by the user")
    assert stub.bodies(f"PATCH {RUN}") == [{"state": "failed"}] * 2
    assert stub.paths().count(f"GET {RUN}") == 4


def test_an_interrupt_after_the_end_changes_nothing(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    def nap(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", nap)
    stub.answers[f"GET {RUN}"] = [(200, {"state": "running"}), (200, {"state": "success"})]
    pipeline, asked = one()
    assert run(Api.connect(stub.url), pipeline, asked).state == "success"
    assert not [path for path in stub.paths() if path.startswith("PATCH")]


def test_mapped_tasks_retries_and_unknown_states(stub: Stub, naps: list[float]) -> None:
    pages = [
        [ti("one", "failed", map_index=0), ti("one", "running", map_index=1)],
        [ti("one", "up_for_retry", map_index=0), ti("one", "success", map_index=1)],
        [ti("one", "a new state", map_index=0, try_number=2)],
        [ti("one", "failed", map_index=0, try_number=2), ti("one", "success", map_index=1)],
    ]
    stub.answers[f"GET {RUN}/taskInstances"] = [
        (200, {"task_instances": rows, "total_entries": len(rows)}) for rows in pages
    ]
    stub.answers[f"GET {RUN}"] = [(200, {"state": "running"})] * 3 + [(200, {"state": "failed"})]
    stub.answers[f"GET {RUN}/taskInstances/one/xcomEntries/return_value"] = [
        (200, {"value": "{'reason': 'as text', 'exit_code': 4}"})
    ]
    events: list[TaskEvent] = []
    pipeline, asked = one(listener=events.append)
    report = run(Api.connect(stub.url), pipeline, asked)
    assert [(event.state, event.attempt) for event in events] == [
        ("running", 1),
        ("up for retry", 1),
        ("running", 2),
        ("failed", 2),
    ]
    assert events[-1].reason == "as text"
    task = report.task("one")
    assert (task.state, task.reason, task.exit_code, task.attempts, task.duration) == ("failed", "as text", 4, 2, 1.5)
    assert task.log.endswith("/tasks/one/mapped/0")


def test_no_failed_or_skipped_task_is_without_a_reason(stub: Stub, naps: list[float]) -> None:
    pipeline = simple("mixed", "one", "two", "three")
    rows = [ti("one", "failed"), ti("two", "skipped", try_number=0), ti("three", None, try_number=0)]
    stub.answers[f"GET {RUN}/taskInstances"] = [(200, {"task_instances": rows, "total_entries": 3})]
    stub.answers[f"GET {RUN}"] = [(200, {"state": "failed"})]
    report = run(Api.connect(stub.url), pipeline, request_run(pipeline, run_id="r1"))
    assert [(task.state, task.reason) for task in report.tasks] == [
        ("failed", "the task failed without a reason; see its log"),
        ("skipped", "one failed"),
        ("skipped", "the run ended before its turn came"),
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, "<html>a page</html>"), "a web page came back"),
        ((404, "<html>a page</html>"), "a web page came back"),
        ((302, "", {"Location": "https://login.example.org/?next=x"}), "redirects to https://login.example.org/\\."),
        ((200, {"name": "something else"}), "is not Airflow's"),
        ((401, {}), "Set 'airflow_username'"),
        ((503, {}), "answered 503"),
    ],
)
def test_an_address_that_is_not_airflows(stub: Stub, answer: Any, said: str) -> None:
    stub.answers = {f"GET /api/{version}/version": [answer] for version in ("v1", "v2")}
    with pytest.raises(RunError, match=said):
        Api.connect(stub.url)


def test_nobody_answers() -> None:
    with pytest.raises(RunError, match=r"no answer.*airflow_api_base_url"):
        Api.connect("http://127.0.0.1:9")


@pytest.mark.parametrize("text", ["", "ftp://host", "http://", "http://host:port", "http://host:99999"])
def test_no_address(text: str) -> None:
    with pytest.raises(RunError, match="airflow_api_base_url"):
        Api.connect(text)


def test_credentials_in_the_address_count_and_are_not_shown(stub: Stub) -> None:
    url = stub.url.replace("http://", "http://me:s%40crt@") + "/api/v2/"
    api = Api.connect(url)
    assert api.base_url == stub.url
    assert stub.bodies("POST /auth/token") == [{"username": "me", "password": "s@crt"}]
    assert "s@crt" not in repr(api) + repr(vars(api))
    assert "token-1" not in repr(api)


def test_a_token_that_is_refused_does_not_repeat_what_was_sent(stub: Stub) -> None:
    stub.answers["POST /auth/token"] = [(422, {"detail": [{"msg": "no", "input": {"password": "secret-word"}}]})]
    with pytest.raises(RunError, match="gives no token to 'me'") as caught:
        Api.connect(stub.url, "me", "secret-word")
    assert "secret-word" not in str(caught.value)


def test_what_airflow_refuses_is_said_without_the_variables(stub: Stub) -> None:
    detail = [{"loc": ["body", "conf"], "msg": "is wrong", "input": {"PIN": "1234"}}]
    stub.answers["POST /api/v2/dags/mixed/dagRuns"] = [(422, {"detail": detail})]
    pipeline, asked = one(variables={"PIN": "1234"})
    with pytest.raises(RunError, match=r"body.conf: is wrong") as caught:
        run(Api.connect(stub.url), pipeline, asked)
    assert "1234" not in str(caught.value)


def test_somebody_who_may_not(stub: Stub) -> None:
    stub.answers["POST /api/v2/dags/mixed/dagRuns"] = [(403, {"detail": "Forbidden"})]
    pipeline, asked = one()
    with pytest.raises(RunError, match="'me' is not allowed to do this"):
        run(Api.connect(stub.url, "me", "pw"), pipeline, asked)


def test_the_older_api(stub: Stub, naps: list[float]) -> None:
    answers = {path.replace("/api/v2/", "/api/v1/"): given for path, given in stub.answers.items()}
    stub.answers = {path: given for path, given in answers.items() if "/auth/" not in path}
    pipeline, asked = one()
    api = Api.connect(stub.url, "me", "pw")
    assert not api.v2
    report = run(api, pipeline, asked)
    assert report.succeeded
    assert report.tasks[0].log == f"{stub.url}/dags/mixed/grid?dag_run_id=r1&task_id=one&tab=logs"
    assert "logical_date" not in stub.bodies("POST /api/v1/dags/mixed/dagRuns")[0]
    assert {h["Authorization"] for _, h, _ in stub.asked[2:]} == {"Basic bWU6cHc="}
    assert backfill(api, pipeline, [asked]) is None


@pytest.mark.parametrize("change", [{"select": ("one",)}, {"exclude": ("one",)}, {"resume": True}])
def test_what_a_server_cannot_do_is_refused(stub: Stub, change: dict[str, Any]) -> None:
    pipeline, asked = one()
    api = Api.connect(stub.url)
    before = len(stub.asked)
    with pytest.raises(RunError, match=r"in this process|airflow tasks clear"):
        run(api, pipeline, replace(asked, **change))
    with pytest.raises(RunError, match=r"in this process|airflow tasks clear"):
        backfill(api, pipeline, [replace(asked, **change)])
    assert len(stub.asked) == before


def test_a_run_that_is_to_be_skipped_triggers_nothing(stub: Stub) -> None:
    pipeline, asked = one()
    api = Api.connect(stub.url)
    before = len(stub.asked)
    report = run(api, pipeline, replace(asked, skip="nothing new"))
    assert (report.state, report.reason) == ("success", "nothing new")
    assert [(task.state, task.reason) for task in report.tasks] == [("skipped", "nothing new")]
    assert len(stub.asked) == before


def test_a_backfill_of_a_dag_with_another_schedule_is_refused(stub: Stub) -> None:
    pipeline, asked = one()
    stub.answers["POST /api/v2/backfills/dry_run"] = [
        (200, {"backfills": [{"logical_date": "2026-01-01T05:00:00Z"}], "total_entries": 1})
    ]
    reports = backfill(Api.connect(stub.url), pipeline, [asked])
    assert reports is not None
    with pytest.raises(RunError, match="deploy the file again"):
        next(reports)
    assert "POST /api/v2/backfills" not in stub.paths()


def test_a_backfill_beside_another_one_is_refused(stub: Stub) -> None:
    pipeline, asked = one()
    date = asked.run.scheduled_date.isoformat()
    stub.answers |= {
        "POST /api/v2/backfills/dry_run": [(200, {"backfills": [{"logical_date": date}], "total_entries": 1})],
        "POST /api/v2/backfills": [(409, {"detail": "running"})],
        "GET /api/v2/dags/mixed/dagRuns": [(200, {"dag_runs": [{"state": "running"}], "total_entries": 1})],
    }
    reports = backfill(Api.connect(stub.url), pipeline, [asked])
    assert reports is not None
    with pytest.raises(RunError, match="already running"):
        next(reports)


def test_a_backfill_that_airflow_has_not_closed_yet_is_waited_for(stub: Stub, naps: list[float]) -> None:
    pipeline, asked = one()
    date = asked.run.scheduled_date.isoformat()
    row = {"logical_date": date, "state": "success", "dag_run_id": "r1"}
    stub.answers |= {
        "POST /api/v2/backfills/dry_run": [(200, {"backfills": [{"logical_date": date}], "total_entries": 1})],
        "POST /api/v2/backfills": [(409, {"detail": "running"}), (200, {"id": 7})],
        "GET /api/v2/dags/mixed/dagRuns": [
            (200, {"dag_runs": [], "total_entries": 0}),
            (200, {"dag_runs": [row], "total_entries": 1}),
        ],
    }
    reports = backfill(Api.connect(stub.url), pipeline, [asked])
    assert reports is not None
    assert [(report.state, report.run_id) for report in reports] == [("success", "r1")]
    assert naps == [5.0]


def test_a_backfill_that_a_locked_database_refuses_is_asked_for_again(stub: Stub, naps: list[float]) -> None:
    pipeline, asked = one()
    date = asked.run.scheduled_date.isoformat()
    row = {"logical_date": date, "state": "success", "dag_run_id": "r1"}
    locked = (
        503,
        {"detail": "Database is locked. Backfill creation is not supported on SQLite under concurrent access."},
    )
    stub.answers |= {
        "POST /api/v2/backfills/dry_run": [locked, (200, {"backfills": [{"logical_date": date}], "total_entries": 1})],
        "POST /api/v2/backfills": [locked, locked, (200, {"id": 7})],
        "GET /api/v2/dags/mixed/dagRuns": [(200, {"dag_runs": [row], "total_entries": 1})],
    }
    reports = backfill(Api.connect(stub.url), pipeline, [asked])
    assert reports is not None
    assert [(report.state, report.run_id) for report in reports] == [("success", "r1")]
    assert naps == [5.0, 5.0, 5.0]


def test_a_parse_never_imports_what_asks_a_server(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys, starlake_core_airflow.plugin, starlake_core_airflow.running; sys.exit('starlake_core_airflow.rest_client' in sys.modules)"
    variables = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=variables, check=False).returncode == 0

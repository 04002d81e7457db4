"""The add-on ``query`` asks real databases, and its answer decides whether a domain is loaded."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest
from starlake_core_query import ask

from starlake_core import Job, OptionsError, Orchestration, Report, RunKey, StarlakePipeline
from starlake_core.runtime import Verdict, execute, runner_for
from starlake_core.testing import AddonSuite, FakeEnvironment, RecordingOrchestrator, check_options_table
from starlake_core.testing.lab import an_attempt

pytest_plugins = ["starlake_core.testing.plugin"]

README = Path(__file__).parents[1] / "README.md"
DAY = datetime(2026, 1, 31, tzinfo=timezone.utc)
ARRIVED = "SELECT 1 FROM arrivals WHERE domain = :domain AND day = :ds"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


class TestQuery(AddonSuite):
    addon = "query"

    def addon_options(self, root: Path) -> Mapping[str, Any]:
        return {"query_sql": {"*": ARRIVED}, "query_url": "sqlite://"}


@pytest.fixture(params=["sqlite", "duckdb"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database in which the domain sales has arrived on one day."""
    rows = "INSERT INTO arrivals VALUES ('sales', '2026-01-31')"
    path = tmp_path / f"arrivals.{request.param}"
    if request.param == "sqlite":
        with sqlite3.connect(path) as made:
            made.execute("CREATE TABLE arrivals (domain TEXT, day TEXT)")
            made.execute(rows)
        made.close()
    else:
        with duckdb.connect(str(path)) as other:
            other.execute("CREATE TABLE arrivals (domain TEXT, day TEXT)")
            other.execute(rows)
    return f"{request.param}:///{path}"


def asked(url: str, sql: str, capsys: pytest.CaptureFixture[str], **parameters: str) -> tuple[int, str]:
    """The exit code and the line of the program."""
    given = {"domain": "sales", "ds": "2026-01-31", **parameters}
    environ = {
        ask.URL_VARIABLE: url,
        ask.SQL_VARIABLE: sql,
        ask.PARAMETERS_VARIABLE: ask.json.dumps(given),
    }
    return ask.main(environ), capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("sql", "code", "told"),
    [
        (ARRIVED, ask.READY, "the query has a row"),
        ("SELECT count(*) FROM arrivals", ask.READY, "the query has a row"),
        ("SELECT day FROM arrivals WHERE domain = 'hr'", ask.NOT_READY, "the query has no row"),
        ("SELECT count(*) FROM arrivals WHERE domain = 'hr'", ask.NOT_READY, "the first value of the query is 0"),
        ("SELECT max(day) FROM arrivals WHERE domain = 'hr'", ask.NOT_READY, "the first value of the query is NULL"),
        ("SELECT '' FROM arrivals", ask.NOT_READY, "the first value of the query is ''"),
        ("SELECT '12:30' FROM arrivals WHERE day = :ds", ask.READY, "the query has a row"),
    ],
)
def test_the_first_value_decides(
    database: str, sql: str, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(database, sql, capsys) == (code, told)


def test_parameters_are_values_and_no_part_of_the_query(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(database, ARRIVED, capsys, domain="x' OR '1'='1")[0] == ask.NOT_READY


def test_a_query_cannot_change_a_duckdb_file(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    if database.startswith("duckdb"):
        code, told = asked(database, "DELETE FROM arrivals RETURNING 1", capsys)
        assert code != ask.READY
        assert "read-only" in told
    assert asked(database, ARRIVED, capsys)[0] == ask.READY


@pytest.mark.parametrize(
    ("url", "sql", "code", "told"),
    [
        ("", ARRIVED, ask.WRONG, "set the option query_url, or SL_QUERY_URL where the worker runs"),
        ("nonsense", ARRIVED, ask.WRONG, "the query cannot be asked"),
        ("nobody://host/x", ARRIVED, ask.WRONG, "nobody"),
        ("sqlite://", "SELECT :moment", ask.WRONG, "the query has the parameters moment; there are only domain, ds"),
        ("duckdb:///no/such/file.db", ARRIVED, ask.NO_ANSWER, "the database did not answer: IOException"),
        ("sqlite:////no/such/folder/x.db", ARRIVED, ask.NO_ANSWER, "unable to open database file"),
        ("postgresql+psycopg://me:hunter22@nowhere.invalid/x", ARRIVED, ask.WRONG, "starlake-core-query[sqlalchemy]"),
    ],
)
def test_what_cannot_be_asked_is_told(
    url: str, sql: str, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, line = asked(url, sql, capsys)
    assert found == code
    assert told in line
    assert "hunter22" not in line


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT 1 FROM nothing"])
def test_a_query_of_duckdb_that_is_wrong_is_not_asked_again(
    sql: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.duckdb"
    duckdb.connect(str(path)).close()
    code, told = asked(f"duckdb:///{path}", sql, capsys)
    assert code == ask.WRONG
    assert "Error" in told


def pipeline_of(
    given: Mapping[str, Any], folder: Path, orchestrator: Any = None, fake: FakeEnvironment | None = None
) -> StarlakePipeline:
    """A load of the domain sales behind its check."""
    options = {
        "plugins": "query",
        "pre_load_strategy": "imported",
        "sl_env_var": {"SL_ROOT": str(folder)},
        **given,
    }
    if orchestrator == "local":
        options |= {"state_dir": str(folder / "state"), "retry_delay": 0, "retries": 1}
    with Orchestration(
        options,
        orchestrator=orchestrator or RecordingOrchestrator(),
        environment=fake or FakeEnvironment(),
        filename=str(folder / "query.py"),
        namespace={},
    ) as orchestration:
        pipeline: StarlakePipeline
        with orchestration.sl_create_pipeline(name="p", cron="0 0 * * *") as pipeline:
            check = pipeline.sl_pre_load("sales")
            assert check is not None
            check >> pipeline.sl_load(domain="sales", table="orders")
    return pipeline


def run(given: Mapping[str, Any], folder: Path, fake: FakeEnvironment | None = None, **keywords: Any) -> Report:
    return pipeline_of(given, folder, "local", fake).run(**keywords)


def job_of(given: Mapping[str, Any], folder: Path) -> Job:
    (job,) = [task.job for task in pipeline_of(given, folder).tasks() if task.id.startswith("check")]
    assert job is not None
    return job


@pytest.mark.parametrize(
    ("date", "state", "reason"),
    [
        (DAY, "success", ""),
        (DAY + timedelta(days=1), "skipped", "sales is not ready: the query has no row"),
    ],
)
def test_the_answer_decides_whether_the_domain_is_loaded(
    database: str, tmp_path: Path, date: datetime, state: str, reason: str
) -> None:
    fake = FakeEnvironment()
    report = run({"query_sql": {"sales": ARRIVED}, "query_url": database}, tmp_path, fake, scheduled_date=date)
    found = {task.id: task for task in report.tasks}
    assert found["sales_orders_load"].state == state
    assert reason in found["check_sales_incoming_files"].reason
    assert len(fake.started("load:sales.orders")) == (1 if state == "success" else 0)


def test_an_address_that_is_a_variable_is_read_in_the_worker(database: str, tmp_path: Path) -> None:
    given = {"query_sql": {"*": ARRIVED}, "query_url": "${var:arrivals}"}
    report = run(given, tmp_path, scheduled_date=DAY, variables={"arrivals": database})
    assert report.state == "success"
    failed = run(given, tmp_path, scheduled_date=DAY, run_id="again")
    assert failed.state == "failed"


def test_a_database_that_is_not_there_is_no_domain_that_is_not_ready(tmp_path: Path) -> None:
    report = run({"query_sql": {"*": "SELECT 1"}, "query_url": f"duckdb:///{tmp_path}/none.db"}, tmp_path)
    (check,) = [task for task in report.tasks if task.id.startswith("check")]
    assert (check.state, check.attempts) == ("failed", 2)
    assert "the database did not answer" in check.reason


def test_a_query_that_is_wrong_is_asked_once(tmp_path: Path) -> None:
    report = run({"query_sql": {"*": "SELECT :nothing"}, "query_url": "sqlite://"}, tmp_path)
    (check,) = [task for task in report.tasks if task.id.startswith("check")]
    assert (check.state, check.attempts) == ("failed", 1)
    assert "the query has the parameters nothing" in check.reason


@pytest.mark.parametrize("how", ["time-out", "stop"])
def test_a_query_can_be_stopped(how: str, tmp_path: Path) -> None:
    bound = job_of({"query_sql": {"*": ENDLESS}, "query_url": "sqlite://"}, tmp_path).bind(an_attempt("check"))
    runner = runner_for(bound)
    started: list[str] = []
    if how == "stop":
        outcome = execute(bound, runner, RunKey("p/r/check", "1"), on_start=started.append, stop=lambda: bool(started))
    else:
        outcome = execute(bound, runner, RunKey("p/r/check", "1"), timeout=0.2)
    assert outcome.verdict is (Verdict.CANCELLED if how == "stop" else Verdict.FAILED)


def test_a_domain_without_a_query_has_its_usual_check(tmp_path: Path) -> None:
    job = job_of({"query_sql": {"hr": ARRIVED}, "query_url": "sqlite://"}, tmp_path)
    assert job.environment == "fake"
    assert job.arguments[0] == "preload"


def test_a_dry_run_shows_what_is_asked(tmp_path: Path) -> None:
    given = {"query_sql": {"*": ARRIVED}, "query_url": "postgresql://me:hunter22@host/x"}
    bound = job_of(given, tmp_path).bind(an_attempt("check"))
    shown = runner_for(bound).describe(bound)
    assert shown.startswith(f"# in query: ask the database of query_url: {ARRIVED} with ")
    assert '"domain": "sales"' in shown
    assert "${" not in shown
    assert "hunter22" not in shown + repr(bound) + bound.masked().to_json()


def test_a_duckdb_file_is_read_when_nobody_writes_to_it(tmp_path: Path) -> None:
    found = {
        url: job_of({"query_sql": {"*": ARRIVED}, "query_url": url}, tmp_path).exclusive
        for url in ("duckdb:////data/x.db", "duckdb:///datasets/x.db", "sqlite:////data/x.db")
    }
    assert [*found.values()] == ["duckdb:/data/x.db", "", ""]


def test_without_a_query_the_addon_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match="option 'query_sql' of plugin 'query' is required"):
        pipeline_of({}, tmp_path)


def test_the_options_are_those_of_the_addon() -> None:
    check_options_table(README, "addon", "query")


def test_the_example_builds(tmp_path: Path) -> None:
    """With an orchestrator that is always there in place of the one that the example names."""
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    text = example.replace('orchestrator="airflow"', 'orchestrator="local"')
    assert text != example
    file = tmp_path / "example.py"
    file.write_text(text)
    namespace: dict[str, Any] = {"__file__": str(file)}
    exec(compile(text, str(file), "exec"), namespace)
    jobs = {task.id: task.job for task in namespace["pipeline"].tasks() if task.job is not None}
    assert jobs["check_sales_incoming_files"].environment == "query"
    assert {job.environment for job in jobs.values()} == {"query", "shell"}

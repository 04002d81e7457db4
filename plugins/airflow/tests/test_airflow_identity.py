"""A run that was made again under its id does its work again; a retry and a clear are of the same run; deployments have names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow_runs import AIRFLOW_3, draw, known, program, run_dag, state
from starlake_core_airflow.context import attempt_of

from starlake_core.model.identity import Kinship, kinship
from starlake_core.plugins import rescan
from starlake_core.testing import StandIn, Step

pytest_plugins = ["starlake_core.testing.plugin"]

DATE = datetime(2026, 11, 6, 1, tzinfo=timezone.utc)


@pytest.fixture
def _detached(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "detached_environment"))
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "-2")
    rescan()
    yield
    monkeypatch.undo()
    rescan()


def options(environment: str, root: Path, stand_in: StandIn) -> dict[str, Any]:
    if environment == "detached":
        return {"detached_folder": str(root / "attempts"), "detached_program": str(stand_in.path)}
    if environment == "duckdb":
        return {}
    return program(stand_in)


def made(dag: Any) -> str:
    """Make the run of the date, in place of the one before, and have it run; its state."""
    named = {"logical_date": DATE, "run_after": DATE} if AIRFLOW_3 else {"execution_date": DATE}
    return state(known(dag).test(**named))


@pytest.mark.usefixtures("_detached")
@pytest.mark.parametrize("environment", ["detached", "shell"])
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_run_that_is_made_again_does_its_work_again(
    environment: str, deferrable: bool, tmp_path: Path, stand_in: StandIn
) -> None:
    """``dag.test`` deletes the run of its date and makes it again. A failure that is tried again is of the same run."""
    if environment == "shell" and deferrable:
        pytest.skip("a process of the worker cannot be waited for elsewhere")
    given = options(environment, tmp_path, stand_in) | {"deferrable": deferrable, "defer_after": 0, "retries": 1}
    given["retry_unsafe"] = "blind"
    stand_in.script("load:sales.orders", Step(exit_code=1), Step())
    pipeline = draw(tmp_path / "p", lambda p: p.sl_load("load", "sales", "orders"), given, environment=environment)
    for _ in range(2):
        assert made(pipeline.native) == "success"
    instances = [call.env["SL_RUN_INSTANCE"] for call in stand_in.calls("load:sales.orders")]
    assert len(instances) == 3, "a run that was made again did nothing"
    first, retried, again = instances
    assert first == retried
    assert kinship(first, again) is Kinship.OTHER


def test_on_the_engine_too(tmp_path: Path) -> None:
    folder = tmp_path / "p" / "metadata" / "transform" / "kpi"
    folder.mkdir(parents=True)
    (folder / "notes.sl.yml").write_text("task: { writeStrategy: { type: APPEND } }\n")
    (folder / "notes.sql").write_text("SELECT 1 AS n")
    (tmp_path / "p" / "metadata" / "application.sl.yml").write_text("application: {}\n")
    pipeline = draw(tmp_path / "p", lambda p: p.sl_transform("notes", "kpi.notes"), environment="duckdb")
    for _ in range(2):
        assert made(pipeline.native) == "success"
    import duckdb

    with duckdb.connect(str(tmp_path / "p" / "datasets" / "duckdb.db"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM kpi.notes").fetchall() == [(2,)]


def test_a_clear_is_of_the_same_run_and_a_new_one_is_not(tmp_path: Path, stand_in: StandIn) -> None:
    """With the rows of a real run: what a clear keeps, and what it counts."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance, clear_task_instances
    from airflow.utils.session import create_session
    from sqlalchemy import select

    pipeline = draw(tmp_path / "p", lambda p: p.sl_transform("t", "a.t"), program(stand_in))
    operator = pipeline.native.get_task("t")

    def instance(began: int) -> str:
        """With what the scheduler writes when it begins a run, at some second."""
        moment = datetime(2026, 11, 7, second=began, tzinfo=timezone.utc)
        with create_session() as session:
            run = session.scalars(select(DagRun).where(DagRun.dag_id == pipeline.native.dag_id)).one()
            seen = SimpleNamespace(
                id=run.id,
                run_id=run.run_id,
                dag_id=run.dag_id,
                conf={},
                start_date=moment,
                clear_number=run.clear_number,
                logical_date=DATE,
                run_after=DATE,
            )
            ti = SimpleNamespace(try_number=1, max_tries=0, map_index=-1)
            return attempt_of({"ti": ti, "dag_run": seen, "task": operator}, operator.facts, "t").run.instance

    made(pipeline.native)
    first = instance(1)
    assert instance(1) == first
    with create_session() as session:
        chosen = select(TaskInstance).where(TaskInstance.dag_id == pipeline.native.dag_id)
        clear_task_instances(list(session.scalars(chosen)), session)
    assert kinship(first, instance(2)) is Kinship.UNKNOWN
    made(pipeline.native)
    assert kinship(first, instance(3)) is Kinship.OTHER


@pytest.mark.parametrize(
    ("url", "given", "name"),
    [
        ("https://me@airflow.example.com:8443/prod/", None, "STAGING@airflow.example.com:8443/prod:"),
        ("http://localhost:8080", None, "STAGING:"),
        ("https://airflow.example.com", "blue", "blue:"),
    ],
)
def test_the_deployment_is_in_the_names_of_jobs(
    url: str, given: str | None, name: str, tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"AIRFLOW__{'API' if AIRFLOW_3 else 'WEBSERVER'}__BASE_URL", url)
    pipeline = draw(
        tmp_path / "p",
        lambda p: p.sl_transform("t", "a.t"),
        {**program(stand_in), "sl_env_var": {"SL_ENV": "STAGING"}, "deployment": given},
    )
    run_dag(pipeline.native, DATE)
    (call,) = stand_in.calls()
    assert call.env["SL_RUN_KEY"].startswith(f"{name}{pipeline.id}/")

"""One user at a time on Airflow: pools in the DAG, in its documentation and in ``check``; and the lock of the machine behind them."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import one_writer
import pytest
from airflow.models.dagrun import DagRun
from airflow.models.pool import Pool
from airflow.utils.session import create_session
from airflow_one_writer import build
from airflow_runs import AIRFLOW_3, draw, run_dag, unique
from breadth import in_the_matrix
from click.testing import CliRunner
from one_writer import OneWriter
from sqlalchemy import select
from starlake_core_airflow.listener import on_dag_run_running
from starlake_core_airflow.pools import creation

from starlake_core import StarlakePipeline
from starlake_core.cli.app import app

POOL = "starlake_duckdb_shop_db"


@pytest.fixture(autouse=True)
def no_pools() -> Iterator[None]:
    yield
    with create_session() as session:
        for pool in session.scalars(select(Pool).where(Pool.pool.startswith("starlake"))):
            session.delete(pool)


def make(name: str, slots: int = 1) -> None:
    with create_session() as session:
        session.add(Pool(pool=name, slots=slots, description="", include_deferred=True))


def pools(dag: Any) -> set[str]:
    return {task.pool for task in dag.tasks}


def test_what_the_project_says_becomes_a_pool(tmp_path: Path) -> None:
    OneWriter(tmp_path)

    def mixed(pipeline: StarlakePipeline) -> None:
        pipeline.start_task() >> pipeline.sl_import(domain="shop", tables=["orders"])
        build(pipeline)

    dag = draw(tmp_path, mixed, {"pre_load_strategy": "imported"}).native
    assert {task.task_id: task.pool for task in dag.tasks if task.pool != "default_pool"} == {
        "shop_orders_load": POOL,
        "shop_customers_load": POOL,
        "orders": POOL,
        "customers": POOL,
    }
    assert str(tmp_path) not in dag.doc_md
    assert POOL in dag.doc_md
    assert f'airflow pools set {POOL} 1 "Starlake: one at a time" --include-deferred' in dag.doc_md


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"exclusive": "none"}, "default_pool"),
        ({"exclusive": "the warehouse"}, "starlake_the_warehouse"),
        ({"exclusive": "duckdb:/data/a b.db"}, "starlake_duckdb_a_b_db"),
    ],
)
def test_a_word_of_the_user_is_stronger_than_the_project(tmp_path: Path, options: dict[str, Any], wanted: str) -> None:
    OneWriter(tmp_path)
    assert pools(draw(tmp_path, build, options).native) == {wanted}


def test_where_the_project_is_not_there_is_no_pool(tmp_path: Path) -> None:
    assert pools(draw(tmp_path, build).native) == {"default_pool"}


def test_a_pool_of_the_user_wins_and_is_warned_about_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    OneWriter(tmp_path)
    with caplog.at_level(logging.WARNING, "starlake_core"):
        dag = draw(tmp_path, build, {"default_pool": "mine"}).native
    assert pools(dag) == {"mine"}
    warnings = [record.getMessage() for record in caplog.records if "pool 'mine'" in record.getMessage()]
    assert len(warnings) == 1
    assert POOL in warnings[0]
    assert not dag.doc_md


def file_of(root: Path) -> Path:
    OneWriter(root)
    file = root / "dags.py"
    file.write_text(
        "# airflow dag\n"
        "from starlake_core import Orchestration\n"
        f"with Orchestration(options={{'sl_env_var': {{'SL_ROOT': {str(root)!r}}}}}) as orchestration:\n"
        f"    with orchestration.sl_create_pipeline(name={unique(root)!r}) as pipeline:\n"
        "        pipeline.sl_load(domain='shop', table='orders')\n",
        encoding="utf-8",
    )
    return file


def command(*arguments: str) -> tuple[int, str]:
    """The end and the output of ``starlake-orchestrate``, in the database of this process."""
    done = CliRunner().invoke(app, [*arguments, "--orchestrator", "airflow", "--environment", "shell"])
    return done.exit_code, done.output


def test_check_names_a_missing_pool_and_the_command_that_makes_it(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    code, told = command("check", str(file))
    assert code == 1, told
    assert f"error: Airflow has no pool '{POOL}'" in told
    assert creation(POOL) in told
    make(POOL)
    code, told = command("check", str(file))
    assert code == 0, told


def test_a_pool_with_more_slots_keeps_nobody_apart(tmp_path: Path) -> None:
    make(POOL, 4)
    code, told = command("check", str(file_of(tmp_path)))
    assert code == 1
    assert f"pool '{POOL}' has 4 slots" in told


def test_deploy_refuses_what_would_never_run(tmp_path: Path) -> None:
    file = file_of(tmp_path / "project")
    folder = tmp_path / "dags"
    folder.mkdir()
    code, told = command("deploy", str(file), "--option", f"dags_folder={folder}")
    assert code == 1, told
    assert f"Airflow has no pool '{POOL}'" in told
    assert not list(folder.iterdir())


def test_a_run_begins_with_the_failure_of_what_would_never_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    OneWriter(tmp_path)
    dag = draw(tmp_path, build, {"SL_STARLAKE_PATH": str(tmp_path / "starlake")}).native
    made = run_dag(dag)

    def begin() -> tuple[set[str], str]:
        with create_session() as session:
            run = session.scalars(select(DagRun).where(DagRun.dag_id == dag.dag_id, DagRun.run_id == made.run_id)).one()
            for instance in run.get_task_instances(session=session):
                instance.state = None
            session.flush()
            on_dag_run_running(dag_run=run, msg="")
            session.flush()
            return {str(instance.state) for instance in run.get_task_instances(session=session)}, run.note or ""

    states, note = begin()
    assert states == {"failed"}
    # On 2.11 the note refers to a table of users, which this process does not know.
    assert creation(POOL) in note or not AIRFLOW_3
    assert creation(POOL) in caplog.text
    make(POOL)
    assert begin()[0] == {"None"}


# -- on one machine


def homes(tmp_path: Path) -> list[dict[str, str]]:
    """The environments of two Airflows, with databases of their own."""
    found = []
    for name in ("one", "two"):
        home = tmp_path / f"airflow-{name}"
        shutil.copytree(os.environ["AIRFLOW_HOME"], home, ignore=shutil.ignore_patterns("logs", "dags"))
        (home / "dags").mkdir()
        found.append(
            {
                **os.environ,
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
                "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
                "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
                "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(one_writer.__file__).parent)]),
            }
        )
    return found


def two_at_once(tmp_path: Path, times: int, meet: bool = False, **options: Any) -> tuple[OneWriter, list[str]]:
    """``dag.test`` of two DAGs in two processes; how their runs ended."""
    place = OneWriter(tmp_path / "project")
    if meet:
        place.meet()
    program = str(Path(__file__).with_name("airflow_one_writer.py"))
    processes = [
        subprocess.Popen(
            [sys.executable, program, f"p{number}", str(place.root), str(times), json.dumps(options)],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number, environ in enumerate(homes(tmp_path))
    ]
    ends = []
    for process in processes:
        told = process.communicate()[0]
        assert process.returncode == 0, told[-5000:]
        ends += json.loads(told.strip().splitlines()[-1])
    return place, ends


# The lock is the one of the core, which knows nothing of Airflow.
@in_the_matrix
def test_two_runs_at_once(tmp_path: Path) -> None:
    place, ends = two_at_once(tmp_path, 2)
    assert ends == ["success"] * 4
    assert (len(place.calls()), place.lock_errors()) == (16, 0)


@in_the_matrix
def test_without_it_they_are_in_each_others_way(tmp_path: Path) -> None:
    place, ends = two_at_once(tmp_path, 1, meet=True, exclusive="none", retries=0)
    assert place.lock_errors() > 0, "the program does fail as the real one does"
    assert "failed" in ends


@pytest.mark.soak
def test_two_runs_at_once_fifty_times(tmp_path: Path, record_property: Any) -> None:
    place, ends = two_at_once(tmp_path, 25)
    failed = sum(end != "success" for end in ends)
    record_property(
        "summary",
        f"Airflow, two at once on one DuckDB file: {len(ends)} runs, {len(place.calls())} commands, {failed} runs failed, "
        f"{place.lock_errors()} lock errors",
    )
    assert (len(ends), failed, place.lock_errors()) == (50, 0, 0)

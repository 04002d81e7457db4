"""What the tests of the orchestrator share: drawing a pipeline, running its DAG with nothing but Airflow, and asking the database."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.utils.session import create_session
from sqlalchemy import func, select
from starlake_core_airflow import versions

from starlake_core import Orchestration, StarlakePipeline
from starlake_core.testing import Call, StandIn, Step

AIRFLOW_3 = versions.AIRFLOW_3
Build = Callable[[StarlakePipeline], object]

if not AIRFLOW_3:
    # Deleting a run, as dag.test does, looks at a table of users, which not every process of 2.11 knows.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("airflow.providers.fab.auth_manager.models")

NOT_READY = Step(not_ready=True)
CRASHED = Step(lines=("java.lang.OutOfMemoryError",), exit_code=3)


def unique(root: Path) -> str:
    """An id for the DAG of a test, from its folder."""
    return re.sub(r"\W+", "_", f"{root.parent.name}_{root.name}").lower()


def draw(root: Path, build: Build, options: Mapping[str, Any] | None = None, **keywords: Any) -> StarlakePipeline:
    """A rendered pipeline with an id of its own.

    Args:
        root: a folder of the test; the project.
        build: draws the tasks.
        options: of the orchestration; no retries by default.
        **keywords: ``environment`` for the orchestration, and what ``sl_create_pipeline`` takes.
    """
    root.mkdir(exist_ok=True)
    (root / "pipelines.py").write_text("# a file that 2.11 keeps the text of\n", encoding="utf-8")
    given = {"retries": 0, "retry_delay": 0, **(options or {})}
    given["sl_env_var"] = {"SL_ROOT": str(root), **(given.get("sl_env_var") or {})}
    orchestration = Orchestration(
        given,
        orchestrator="airflow",
        environment=keywords.pop("environment", "shell"),
        filename=str(root / "pipelines.py"),
        namespace={},
    )
    with orchestration, orchestration.sl_create_pipeline(**{"name": unique(root), **keywords}) as pipeline:
        build(pipeline)
    return pipeline


def scheduled(pipeline: StarlakePipeline) -> None:
    """The standard shape of a schedule."""
    pipeline.add_schedule()


def program(stand_in: StandIn) -> dict[str, Any]:
    """Options with which the environment ``shell`` runs the stand-in."""
    return {"SL_STARLAKE_PATH": str(stand_in.path)}


def known(dag: Any) -> Any:
    """Make a DAG and its assets known to the database, as the DAG processor does."""
    if AIRFLOW_3:
        versions._register(dag)
    else:
        type(dag).bulk_write_to_db([dag])
    return dag


def run_dag(dag: Any, date: datetime | None = None, conf: Mapping[str, Any] | None = None) -> Any:
    """Run a DAG with ``dag.test`` and nothing of ours around it; return its run."""
    given: dict[str, Any] = {"run_conf": dict(conf or {})}
    return known(dag).test(**{"logical_date" if AIRFLOW_3 else "execution_date": date}, **given)


def run_again(dag: Any, run: Any) -> Any:
    """Clear all tasks of a run, as a person does, and run them; return the run.

    ``dag.test`` clears the tasks of its date, too, but then deletes the run and creates another one. Here, it keeps it.
    """

    def keep(*, dag: Any, session: Any, **_: Any) -> Any:
        kept = session.scalar(select(type(run)).where(type(run).dag_id == run.dag_id, type(run).run_id == run.run_id))
        kept.dag, kept.state = dag, "running"
        session.commit()
        return kept

    module, name = (
        ("airflow.models.dagrun", "get_or_create_dagrun")
        if AIRFLOW_3
        else ("airflow.models.dag", "_get_or_create_dagrun")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module(module), name, keep)
        return run_dag(dag, run.logical_date)


def states(run: Any) -> dict[str, str | None]:
    """The state of every task of a run, without the groups in the ids."""
    return {
        ti.task_id.rpartition(".")[2]: None if ti.state is None else str(getattr(ti.state, "value", ti.state))
        for ti in run.get_task_instances()
    }


def state(run: Any) -> str:
    """The state of a run."""
    return str(getattr(run.state, "value", run.state))


def tries(run: Any, task_id: str) -> int:
    """How often a task was tried."""
    return next(ti.try_number for ti in run.get_task_instances() if ti.task_id.rpartition(".")[2] == task_id)


def variables(call: Call) -> str:
    """The substitution variables of a call, without the interval that every transform gets."""
    text = call.arguments[call.arguments.index("--options") + 1]
    return text.partition(",sl_data_interval_start=")[0]


def xcoms(run: Any) -> dict[str, Any]:
    """What every task of a run returned."""
    if AIRFLOW_3:
        from airflow.models.xcom import XComModel as XCom
    else:
        from airflow.models.xcom import XCom
    statement = select(XCom).where(XCom.dag_id == run.dag_id, XCom.run_id == run.run_id, XCom.key == "return_value")
    with create_session() as session:
        rows = session.scalars(statement)
        # 2.11 deserialises what it loads.
        return {row.task_id.rpartition(".")[2]: XCom.deserialize_value(row) if AIRFLOW_3 else row.value for row in rows}


def _event_models() -> tuple[Any, Any, Any]:
    """The models of events and of what they are about, and the condition that joins them."""
    if AIRFLOW_3:
        from airflow.models.asset import AssetEvent, AssetModel

        return AssetEvent, AssetModel, AssetEvent.asset_id == AssetModel.id
    from airflow.models.dataset import DatasetEvent, DatasetModel

    return DatasetEvent, DatasetModel, DatasetEvent.dataset_id == DatasetModel.id


def next_run(dag: Any, after: datetime) -> datetime:
    """The time of the next run that a scheduler starts after a time.

    Args:
        dag: a DAG with a schedule.
        after: an aware time.
    """
    last = DataInterval.exact(pendulum.instance(after))
    info = dag.timetable.next_dagrun_info(
        last_automated_data_interval=last, restriction=TimeRestriction(earliest=None, latest=None, catchup=True)
    )
    return datetime.fromtimestamp(info.run_after.timestamp(), timezone.utc)


def last_event() -> int:
    """The id of the last event of any run; 0 if there is none."""
    event, _, _ = _event_models()
    with create_session() as session:
        return session.scalar(select(func.max(event.id))) or 0


def events(run: Any, after: int = 0) -> dict[str, dict[str, Any]]:
    """URI to extra, for everything that a run emitted; each is emitted once.

    Args:
        run: the run.
        after: an id of :func:`last_event`, for a run whose id an earlier test has used.
    """
    event, model, same = _event_models()
    statement = (
        select(model.uri, event.extra)
        .join(model, same)
        .where(event.source_dag_id == run.dag_id, event.source_run_id == run.run_id, event.id > after)
    )
    with create_session() as session:
        found = [(uri, extra) for uri, extra in session.execute(statement)]
    assert len(found) == len(dict(found)), found
    return dict(found)

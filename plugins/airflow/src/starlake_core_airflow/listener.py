"""Called by Airflow's scheduler when a run starts and ends: fails tasks whose pool does not exist, which would otherwise wait forever, and writes
the reasons of a run that waits for its data into its note."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.listeners import hookimpl

from starlake_core.logs import get_logger
from starlake_core.runtime import POOL_PREFIX

from .pools import creation, missing

__all__ = ["on_dag_run_running", "on_dag_run_success"]

_NOTE = 1000
"""How many characters a note may have."""

logger = get_logger(__name__)


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:
    """Fail the tasks of a run that need a pool of ours that does not exist, and add a note to the run that says how to create it.

    Args:
        dag_run: the run that starts, or starts again because one of its tasks was cleared.
        msg: Airflow's reason.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        return
    in_pools = select(TaskInstance).where(
        TaskInstance.dag_id == dag_run.dag_id,
        TaskInstance.run_id == dag_run.run_id,
        TaskInstance.pool.startswith(POOL_PREFIX, autoescape=True),
        TaskInstance.state.is_(None) | (TaskInstance.state == TaskInstanceState.SCHEDULED),
    )
    waiting = list(session.scalars(in_pools))
    for pool in sorted(missing(session, {instance.pool for instance in waiting})):
        about = f"There is no pool '{pool}'. Create it with: {creation(pool)}"
        logger.error("run %s of %s: %s", dag_run.run_id, dag_run.dag_id, about)
        for instance in waiting:
            if instance.pool == pool:
                instance.set_state(TaskInstanceState.FAILED, session=session)
        if _keeps_notes() and about not in (dag_run.note or ""):
            dag_run.note = f"{dag_run.note}\n{about}" if dag_run.note else about


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """Add to the run what its start decided, if it did nothing because it waits for data, or because nothing is new.

    Args:
        dag_run: the run that has ended.
        msg: Airflow's reason.
    """
    from .conf import CHECK
    from .versions import is_by_datasets, stored_xcoms

    if not is_by_datasets(dag_run) and not (dag_run.conf or {}).get(CHECK):
        return
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None or not _keeps_notes():
        return
    from .deciding import describe

    for kept in stored_xcoms(session, dag_run, "StarlakeStart"):
        if isinstance(kept, Mapping) and kept.get("decision") in ("wait", "skip"):
            about = describe(kept)
            if about not in (dag_run.note or ""):
                dag_run.note = (f"{dag_run.note}\n{about}" if dag_run.note else about)[:_NOTE]


def _keeps_notes() -> bool:
    """Whether this process can write the note of a run: on 2.11 it refers to a table of users, which not every process can access."""
    from airflow.models.base import Base
    from airflow.models.dagrun import DagRunNote

    tables = Base.metadata.tables
    return all(key.target_fullname.rpartition(".")[0] in tables for key in DagRunNote.__table__.foreign_keys)

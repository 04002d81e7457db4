"""Called by Airflow's scheduler when a run begins: tasks whose pool does not exist fail, where they would wait for ever."""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl

from starlake_core.logs import get_logger
from starlake_core.runtime import POOL_PREFIX

from .pools import creation, missing

__all__ = ["on_dag_run_running"]

logger = get_logger(__name__)


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:
    """Fail the tasks of a run that are in a pool of ours which does not exist, and say on the run how to make it.

    Args:
        dag_run: that begins, or begins again because a task of it was cleared.
        msg: Airflow's word for why.
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
        about = f"There is no pool '{pool}'. Make it with: {creation(pool)}"
        logger.error("run %s of %s: %s", dag_run.run_id, dag_run.dag_id, about)
        for instance in waiting:
            if instance.pool == pool:
                instance.set_state(TaskInstanceState.FAILED, session=session)
        if _keeps_notes() and about not in (dag_run.note or ""):
            dag_run.note = f"{dag_run.note}\n{about}" if dag_run.note else about


def _keeps_notes() -> bool:
    """Whether this process can write the note of a run: on 2.11 it refers to a table of users, which not every process knows."""
    from airflow.models.base import Base
    from airflow.models.dagrun import DagRunNote

    tables = Base.metadata.tables
    return all(key.target_fullname.rpartition(".")[0] in tables for key in DagRunNote.__table__.foreign_keys)

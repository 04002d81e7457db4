"""The pools that the tasks of pipelines need, and whether they exist.

Airflow lets a task whose pool does not exist wait forever, and says so only in the log of its scheduler. So the command line checks before
deploying, and a listener in the scheduler fails such tasks when their run starts.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Any

from starlake_core import Options, Pipeline
from starlake_core.logs import get_logger
from starlake_core.runtime import POOL_PREFIX

from .options import AirflowOptions

__all__ = ["DEFAULT_POOL", "creation", "missing", "problems"]

logger = get_logger(__name__)

DEFAULT_POOL = "default_pool"
"""Airflow's name for its default pool. Airflow's own constant would import the models."""

_UNKNOWN = "the pools of Airflow are unknown, because its database cannot be read from here: %s"


def creation(pool: str) -> str:
    """The command that creates a pool.

    Args:
        pool: the name of the pool.
    """
    if pool.startswith(POOL_PREFIX):
        return f'airflow pools set {pool} 1 "Starlake: one at a time" --include-deferred'
    return f'airflow pools set {pool} 1 "Starlake"'


def problems(pipelines: Sequence[Pipeline]) -> list[str]:
    """One sentence for every missing pool that pipelines need, if Airflow can be queried from here.

    Args:
        pipelines: rendered pipelines.
    """
    found = []
    users: dict[str, list[str]] = {}
    for pipeline in pipelines:
        for pool in sorted({task.pool for task in pipeline.native.tasks} - {DEFAULT_POOL}):
            users.setdefault(pool, []).append(pipeline.id)
    if not users:
        return []
    slots = _slots(pipelines[0].options, users)
    if slots is None:
        return []
    for pool, ids in users.items():
        if pool not in slots:
            found.append(
                f"Airflow has no pool '{pool}', which tasks of {', '.join(ids)} need; without it they never run. Create it with: {creation(pool)}"
            )
        elif pool.startswith(POOL_PREFIX) and slots[pool] != 1:
            found.append(
                f"pool '{pool}' has {slots[pool]} slots, but tasks of {', '.join(ids)} must run one at a time. Set it with: {creation(pool)}"
            )
    return found


def _slots(options: Options, pools: Collection[str]) -> dict[str, int] | None:
    """The slots of some pools, if they exist; None if Airflow cannot be queried."""
    airflow = options[AirflowOptions]
    if airflow.airflow_api_base_url:
        return _slots_by_api(airflow.airflow_api_base_url, airflow, pools)
    from sqlalchemy.exc import SQLAlchemyError

    try:
        from airflow import settings
        from airflow.utils.session import create_session

        if settings.engine is None:
            logger.info(_UNKNOWN, "it is not set up in this process")
            return None
        url = settings.engine.url
        if url.get_backend_name() == "sqlite" and not os.path.exists(str(url.database)):
            return None  # a query would create an empty database
        with create_session() as session:
            return _of(session, pools)
    except (SQLAlchemyError, AttributeError) as error:
        logger.info(_UNKNOWN, error)
        return None


def _slots_by_api(url: str, options: AirflowOptions, pools: Collection[str]) -> dict[str, int]:
    from .rest_client import Api, quoted

    api = Api.connect(
        url,
        options.airflow_username,
        options.airflow_password,
        options.airflow_token,
    )
    found = {pool: api.find(f"/pools/{quoted(pool)}") for pool in pools}
    return {pool: int(told["slots"]) for pool, told in found.items() if told is not None}


def _of(session: Any, pools: Collection[str]) -> dict[str, int]:
    from airflow.models.pool import Pool
    from sqlalchemy import select

    rows = session.execute(select(Pool.pool, Pool.slots).where(Pool.pool.in_(sorted(pools))))
    return {row[0]: row[1] for row in rows}


def missing(session: Any, pools: Collection[str]) -> set[str]:
    """Which of some pools do not exist.

    Args:
        session: a session of Airflow's database.
        pools: the names of the pools.
    """
    return set(pools).difference(_of(session, pools)) if pools else set()

"""Pools that keep the users of a resource apart. For Dagster a pool without a limit is unlimited, so a limit is set if there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from starlake_core import Pipeline
from starlake_core.logs import get_logger
from starlake_core.runtime import POOL_PREFIX

__all__ = ["NO_POOL", "about", "limit"]

logger = get_logger(__name__)

NO_POOL = "default_pool"
"""The default of the option ``default_pool``. Dagster has no default pool, so such a step is in no pool."""


def limit(instance: Any, pools: Iterable[str | None]) -> list[str]:
    """Limit our pools to one step, if they have no limit of their own.

    Args:
        instance: the Dagster instance; one whose storage has no pools is left alone.
        pools: names of pools; those that are not ours are left alone.

    Returns:
        The pools whose limit was set.
    """
    ours = sorted({pool for pool in pools if pool and pool.startswith(POOL_PREFIX)})
    storage = instance.event_log_storage
    if not ours or not storage.supports_global_concurrency_limits:
        return []
    explicit = _limits(storage)
    unlimited = [pool for pool in ours if pool not in explicit]
    for pool in unlimited:
        storage.set_concurrency_slots(pool, 1)
    return unlimited


def _limits(storage: Any) -> dict[str, int]:
    """The pools whose limit was set explicitly; the default limit of the instance is meant for others."""
    return {found.name: found.limit for found in storage.get_pool_limits() if not found.from_default}


def about(pipelines: Sequence[Pipeline]) -> list[str]:
    """A sentence for every pool that keeps tasks of pipelines apart.

    Args:
        pipelines: rendered pipelines.
    """
    users: dict[str, list[str]] = {}
    for pipeline in pipelines:
        for pool in pipeline.native.pools:
            users.setdefault(pool, []).append(pipeline.id)
    return [
        f"tasks of {', '.join(ids)} run one at a time in pool '{pool}'; its limit is set to 1 when they first run. To set it now, type: "
        f"dagster instance concurrency set {pool} 1"
        for pool, ids in users.items()
    ]

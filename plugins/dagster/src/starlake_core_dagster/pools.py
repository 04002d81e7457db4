"""Pools that keep the users of a resource apart. Dagster takes a pool without a limit for one without bounds, so the limit is set where none is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from starlake_core import Pipeline
from starlake_core.logs import get_logger
from starlake_core.runtime import POOL_PREFIX

__all__ = ["NO_POOL", "about", "limit"]

logger = get_logger(__name__)

NO_POOL = "default_pool"
"""What the option ``default_pool`` says where nobody sets it. Dagster has no default pool: such a step is in none."""


def limit(instance: Any, pools: Iterable[str | None]) -> list[str]:
    """Give those of some pools the limit of one step that are ours and have no limit of their own.

    Args:
        instance: of Dagster; one whose storage has no pools is left alone.
        pools: names.

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
    """The pools whose limit somebody set; one that comes from the default of the instance is meant for others."""
    return {found.name: found.limit for found in storage.get_pool_limits() if not found.from_default}


def about(pipelines: Sequence[Pipeline]) -> list[str]:
    """A sentence for every pool that keeps tasks of pipelines apart.

    Args:
        pipelines: rendered.
    """
    users: dict[str, list[str]] = {}
    for pipeline in pipelines:
        for pool in pipeline.native.pools:
            users.setdefault(pool, []).append(pipeline.id)
    return [
        f"tasks of {', '.join(ids)} run one at a time in the pool '{pool}'; its limit is set to 1 when they first run, or now with: "
        f"dagster instance concurrency set {pool} 1"
        for pool, ids in users.items()
    ]

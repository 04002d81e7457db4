"""Runs without a partition, of assets that have partitions.

Before a step, Dagster looks for the partitions that it reads, and until 1.12 for those that it made after it; it fails if the run has none, although
it can record a materialisation without a partition. A mapping of the user's own is not asked before that. So the steps of pipelines say that they
have no partitions to look for in such a run: in every executor, because those of Dagster take its own context to the process of the step.
Steps of others, and runs with a partition, are left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from starlake_core.logs import get_logger

__all__ = ["tolerates_no_partition"]

logger = get_logger(__name__)

_bodies: WeakSet[Any] = WeakSet()


def tolerates_no_partition(body: Any) -> None:
    """Let the ops with a body run without a partition.

    Args:
        body: what an op is created from: a function, or what ``@op`` makes of it.
    """
    _bodies.add(_plain(body))


def _plain(body: Any) -> Any:
    return getattr(body, "decorated_fn", body)


def _in_runs_with_partitions(ask: Callable[[Any, str], bool]) -> Callable[[Any, str], bool]:
    """A question about the partitions of an input or an output of a step, which has none in a run without a partition."""

    def asked(step: Any, name: str) -> bool:
        found = ask(step, name)
        if (
            found
            and not step.has_partitions
            and step.assets_def is not None
            and step.assets_def.partitions_def is not None
        ):
            return _plain(step.op_def.compute_fn) not in _bodies
        return found

    return asked


try:
    from dagster._core.execution.context.system import StepExecutionContext

    _asked = {
        name: _in_runs_with_partitions(getattr(StepExecutionContext, name))
        for name in ("has_asset_partitions_for_input", "has_asset_partitions_for_output")
    }
except (ImportError, AttributeError) as error:  # this Dagster is newer than this module
    logger.warning("this Dagster does not run assets with partitions in runs without one: %s", error)
else:
    for _name, _question in _asked.items():
        setattr(StepExecutionContext, _name, _question)

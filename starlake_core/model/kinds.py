"""The words of a graph: what a task is for, when it runs, how long a check waits, and what starts a pipeline."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["TaskKind", "TriggerPolicy", "TriggerRule", "Wait"]


class TriggerRule(str, enum.Enum):
    """When a task runs, given how the tasks before it ended.

    ``ALL_SUCCESS`` all succeeded; ``NONE_FAILED`` none failed, some may have been skipped; ``ALL_DONE`` all ended,
    however.
    """

    ALL_SUCCESS = "all_success"
    NONE_FAILED = "none_failed"
    ALL_DONE = "all_done"

    def __str__(self) -> str:
        return self.value


class TaskKind(str, enum.Enum):
    """What a task is there for.

    ``CHECK`` asks whether there is anything to do: *not ready* skips what depends on it. ``IMPORT`` moves files to where they are loaded from.
    ``WORK`` is what the pipeline is for. ``SETUP`` and ``TEARDOWN`` prepare it and clean up after it; a tear-down always runs. ``EMPTY`` does
    nothing and gives edges a place; ``START`` is the first of these, ``GATHER`` one that runs however the tasks before it ended, and ``END``
    closes the pipeline: it is skipped, without emitting anything, when checks were not ready and no work was done. ``NATIVE`` is a node of the
    orchestrator's own.
    """

    START = "start"
    CHECK = "check"
    IMPORT = "import"
    WORK = "work"
    SETUP = "setup"
    TEARDOWN = "teardown"
    GATHER = "gather"
    EMPTY = "empty"
    END = "end"
    NATIVE = "native"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Wait:
    """A check that is asked again until it is ready.

    Attributes:
        interval: seconds between two looks.
        timeout: seconds after which it gives up.
        soft_fail: giving up skips what depends on it, instead of failing.
    """

    interval: int
    timeout: int
    soft_fail: bool = False


@dataclass(frozen=True)
class TriggerPolicy:
    """When events may start a run, for orchestrators that start on events.

    Attributes:
        optional_datasets: a dataset slower than the cycle may be missing.
        cycle: the data cycle, ``none`` for the computed one; None when cycles are off.
        beyond_cycle: widen the cycle by the freshness of a dataset.
        min_seconds: least time between two runs.
        merge: how variables that several events bring become one; see :func:`starlake_core.model.run_options.merge`.
    """

    optional_datasets: bool = False
    cycle: str | None = None
    beyond_cycle: bool = True
    min_seconds: int = 900
    merge: Mapping[str, Any] = field(default_factory=dict, hash=False)

"""The kinds of tasks, when they run, how long checks wait, and when events start a pipeline."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["TaskKind", "TriggerPolicy", "TriggerRule", "Wait"]


class TriggerRule(str, enum.Enum):
    """When a task runs, depending on how its upstream tasks ended.

    ``ALL_SUCCESS``: all succeeded. ``NONE_FAILED``: none failed, but some may have been skipped. ``ALL_DONE``: all
    ended, in whatever state.
    """

    ALL_SUCCESS = "all_success"
    NONE_FAILED = "none_failed"
    ALL_DONE = "all_done"

    def __str__(self) -> str:
        return self.value


class TaskKind(str, enum.Enum):
    """The purpose of a task.

    ``CHECK`` asks whether there is anything to do: *not ready* skips what depends on it. ``IMPORT`` moves files to
    where they are loaded from. ``WORK`` does the actual work. ``SETUP`` and ``TEARDOWN`` prepare it and clean up after
    it; a tear-down always runs. ``EMPTY`` does nothing and only joins edges. ``START`` is the first such task, and
    ``GATHER`` runs in whatever state its upstream tasks ended. ``END`` closes the pipeline: it is skipped, without
    emitting anything, if checks were not ready and no work was done. ``NATIVE`` is a node of the orchestrator.
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
    """Repeats a check until it is ready.

    Attributes:
        interval: seconds between two attempts.
        timeout: seconds after which it gives up.
        soft_fail: when the check gives up, downstream tasks are skipped instead of the check failing.
    """

    interval: int
    timeout: int
    soft_fail: bool = False


@dataclass(frozen=True)
class TriggerPolicy:
    """What a pipeline does with the events that start it. When they do is in :mod:`starlake_core.freshness`.

    Attributes:
        merge: how variables from several events are merged; see :func:`starlake_core.model.run_options.merge`.
    """

    merge: Mapping[str, Any] = field(default_factory=dict, hash=False)

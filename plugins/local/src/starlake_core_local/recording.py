"""Passes the states of the tasks of a run to the record and to the listener."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from starlake_core import RunError, TaskEvent
from starlake_core.logs import get_logger
from starlake_core.plain_text import plain

from .progress import Progress
from .store import Store, TaskRow

__all__ = ["Recorder"]

logger = get_logger(__name__)

RECORD_SECONDS = 20.0
"""How long a failed write to the record is retried, in seconds."""

_PAUSE = 0.5


class Recorder:
    """Holds changes until they are written.

    Args:
        store: the record.
        run_id: the id of the run.
        listener: called with every change; None if nobody listens.
    """

    def __init__(self, store: Store, run_id: str, listener: Callable[[TaskEvent], None] | None) -> None:
        self._store = store
        self._run_id = run_id
        self._listener = listener
        self._dirty: dict[str, TaskRow] = {}
        self._trouble: RunError | None = None
        self._trouble_since = 0.0

    def set(self, progress: Progress, row: TaskRow) -> None:
        """Change the state of a step.

        Args:
            progress: the progress of the step.
            row: the new state, to be written.
        """
        row = replace(row, reason=plain(row.reason))
        progress.row = row
        self._dirty[row.task] = row
        self.tell(TaskEvent(row.task, row.state, row.attempt, row.reason, log=row.log))

    def tell(self, event: TaskEvent) -> None:
        """Pass an event to the listener, or to the log if there is none.

        Args:
            event: a change of state, or a line of output.
        """
        if self._listener is not None:
            self._listener(event)
        elif event.line is not None:
            logger.debug("%s: %s", event.task, event.line)
        else:
            logger.info("%s: %s%s", event.task, event.state, f" ({event.reason})" if event.reason else "")

    def write(self) -> bool:
        """Write what changed, and keep what cannot be written for the next call.

        Returns:
            Whether everything is written.
        """
        if not self._dirty:
            return True
        try:
            self._store.write(self._run_id, self._dirty.values())
        except RunError as error:
            if self._trouble is None:
                self._trouble_since = time.monotonic()
                logger.warning("%s; retrying", error)
            self._trouble = error
            return False
        self._dirty.clear()
        self._trouble = None
        return True

    @property
    def is_overdue(self) -> bool:
        """Whether writes have failed for so long that the run must stop."""
        return self._trouble is not None and time.monotonic() - self._trouble_since > RECORD_SECONDS

    def finish(self) -> None:
        """Write what changed, and retry until it is written.

        Raises:
            RunError: it could not be written in time.
        """
        deadline = time.monotonic() + RECORD_SECONDS
        while not self.write():
            if time.monotonic() > deadline:
                raise RunError(
                    f"{self._trouble}. The run was stopped; the last states of {', '.join(sorted(self._dirty))} are not recorded. "
                    f"When the record can be written again, type: starlake-orchestrate resume --run {self._run_id}"
                )
            time.sleep(_PAUSE)

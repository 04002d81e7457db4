"""Keeps the errors of a listener away from the run that it listens to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..logs import get_logger
from ..model.run import RunRequest, TaskEvent

__all__ = ["with_careful_listener"]

logger = get_logger(__name__)


class _Careful:
    """A listener until it raises, and then the log."""

    def __init__(self, listener: Callable[[TaskEvent], None]) -> None:
        self._listener: Callable[[TaskEvent], None] | None = listener

    def __call__(self, event: TaskEvent) -> None:
        listener = self._listener
        if listener is not None:
            try:
                listener(event)
            except (Exception, SystemExit) as error:  # a closed terminal is not a failure
                self._listener = None
                logger.warning("progress is no longer shown: %s: %s", type(error).__name__, error)
        elif event.line is not None:
            logger.debug("%s: %s", event.task, event.line)
        else:
            logger.info("%s: %s%s", event.task, event.state, f" ({event.reason})" if event.reason else "")


def with_careful_listener(request: RunRequest) -> RunRequest:
    """Return a request whose listener cannot affect the run: its first error is logged, and it hears nothing more.

    Args:
        request: the request.
    """
    return request if request.listener is None else replace(request, listener=_Careful(request.listener))

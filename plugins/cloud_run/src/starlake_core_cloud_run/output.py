"""The output of executions, which Cloud Run sends to Cloud Logging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlake_core_google import CloudLogs

from starlake_core.masking import mask_text
from starlake_core.runtime import Recent, pause

from .client import CloudRunClient
from .state import secrets_of

__all__ = ["Output"]

_LAG_SECONDS = 2.0
_READINGS = 3


class Output:
    """Reads output, and masks the secrets of the execution in it.

    Args:
        client: the client that gets executions.
        logs: where their output is.
    """

    def __init__(self, client: CloudRunClient, logs: CloudLogs) -> None:
        self._client = client
        self._logs = logs
        self._secrets: Recent[str, tuple[str, ...]] = Recent()

    def note(self, handle: str, message: Any) -> None:
        """Remember the secrets of an execution, to save a call later.

        Args:
            handle: the full name of the execution.
            message: the message of the service.
        """
        self._secrets.put(handle, secrets_of(message))

    def after(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Lines after a cursor.

        Args:
            handle: the full name of the execution.
            cursor: the cursor that the last call returned; None at first.
        """
        secrets = self._secrets_of(handle)
        lines, cursor = self._logs.after(_condition(handle), cursor)
        return [mask_text(line, secrets) for line in lines], cursor

    def last(self, handle: str, count: int) -> Sequence[str]:
        """The last lines of an ended execution. They take a while to arrive, so the read is repeated while there are none.

        Args:
            handle: the full name of the execution.
            count: how many lines.
        """
        secrets = self._secrets_of(handle)
        for number in range(_READINGS):
            lines = self._logs.last(_condition(handle), count)
            if lines or not self._logs.available or number == _READINGS - 1 or not pause(_LAG_SECONDS):
                break
        return [mask_text(line, secrets) for line in lines]

    def _secrets_of(self, handle: str) -> tuple[str, ...]:
        known = self._secrets.get(handle)
        if known is None:
            message = self._client.get(handle)
            known = () if message is None else secrets_of(message)
            self._secrets.put(handle, known)
        return known


def _condition(handle: str) -> str:
    """The filter for the output of an execution."""
    _, _, _, region, _, job, _, execution = handle.split("/")
    return (
        f'resource.type="cloud_run_job" AND resource.labels.job_name="{job}" AND resource.labels.location="{region}" AND '
        f'labels."run.googleapis.com/execution_name"="{execution}"'
    )

"""Batches of Dataproc Serverless."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from starlake_core_google import Calls, Connection, ServiceClock

from starlake_core import Job, RunKey, RunnerError
from starlake_core.runtime import Verdict

from .jobs import caused_by
from .naming import OWNER_LABEL, TASK_LABEL, batch_id
from .requests import batch_request
from .told import Told, seconds, timeout_of

__all__ = ["Batches"]

_HANDLE = re.compile(r"projects/([^/]+)/locations/([^/]+)/batches/([^/?]+)")
_PAGE = 500
_LIVE = "(state = PENDING OR state = RUNNING OR state = CANCELLING)"
_ENDS = {"SUCCEEDED": Verdict.SUCCEEDED, "FAILED": Verdict.FAILED, "CANCELLED": Verdict.CANCELLED}


class Batches:
    """Batches of one region.

    Args:
        connection: to Dataproc.
        calls: how calls are made.
        project, region: where.
        clock: of Dataproc; it is told what time it is there.
    """

    def __init__(self, connection: Connection, calls: Calls, project: str, region: str, clock: ServiceClock) -> None:
        from google.cloud import dataproc_v1

        self._sdk = dataproc_v1
        self._client = connection.client(dataproc_v1.BatchControllerClient, f"{region}-dataproc.googleapis.com:443")
        self._calls = calls
        self._clock = clock
        self._parent = f"projects/{project}/locations/{region}"
        self._states = {int(state): name for name, state in dataproc_v1.Batch.State.__members__.items()}

    def brief(self, seconds: float) -> Batches:
        """The same, for calls of which another one comes soon.

        Args:
            seconds: for which a call is tried at most; 0 for one try.
        """
        made = copy.copy(self)
        made._calls = replace(self._calls, total_seconds=min(seconds, self._calls.total_seconds))
        return made

    def knows(self, handle: str) -> bool:
        """Whether a handle names a batch.

        Args:
            handle: of an attempt.
        """
        return _HANDLE.fullmatch(handle) is not None

    def handle_of(self, key: RunKey) -> str:
        """The handle of an attempt.

        Args:
            key: of the attempt.
        """
        return f"{self._parent}/batches/{batch_id(key)}"

    def submit(self, job: Job, key: RunKey) -> str:
        """Create a batch; one that exists already is the same one.

        Args:
            job: bound.
            key: of the attempt.
        """
        request = self._sdk.CreateBatchRequest(batch_request(job, key))
        try:
            self._calls(
                self._client.create_batch,
                request,
                f"creating batch {batch_id(key)} in {self._parent}",
                "Check the options dataproc_project_id, dataproc_region and dataproc_subnet",
            )
        except RunnerError as error:
            if not caused_by(error, "AlreadyExists"):
                raise
        return self.handle_of(key)

    def get(self, handle: str) -> Told | None:
        """A batch, None if there is none.

        Args:
            handle: of the batch.
        """
        batch = self._get(handle)
        return None if batch is None else self._told(batch)

    def of_task(self, task_hash: str) -> list[Told]:
        """The batches of a task, in any order.

        Args:
            task_hash: of the task.
        """
        # A list need not hold all that is known of a batch.
        return [told for told in map(self.get, sorted(self.listed(task_hash))) if told is not None]

    def listed(self, task_hash: str) -> set[str]:
        """Handles of the batches of a task that a list shows.

        Args:
            task_hash: of the task.
        """
        return {batch.name for batch in self._list(f'labels.{TASK_LABEL} = "{task_hash}"')}

    def live(self) -> dict[str, tuple[str, int | None, float]]:
        """Handles of the batches of this package that have not ended: state, time-out and time of creation."""
        found = {}
        for batch in self._list(f'{_LIVE} AND labels.{OWNER_LABEL} = "run"'):
            state = self._states.get(batch.state, "UNKNOWN")
            self._note(batch)
            if state not in _ENDS:
                found[batch.name] = (state, timeout_of(batch.labels), seconds(batch.create_time))
        return found

    def _note(self, batch: Any) -> None:
        self._clock.note(max(seconds(batch.create_time), seconds(batch.state_time)))

    def cancel(self, handle: str) -> None:
        """Ask for the end of a batch; one that has ended or does not exist stays as it is.

        Args:
            handle: of the batch.
        """
        batch = self._get(handle)
        if batch is None or self._states.get(batch.state) in _ENDS:
            return
        try:
            self._calls.run(
                lambda: self._client.cancel_operation(
                    {"name": batch.operation}, retry=None, timeout=self._calls.attempt_seconds
                ),
                f"cancelling {handle}",
                method=self._client.cancel_operation,
            )
        except RunnerError as error:
            if caused_by(error, "NotFound"):
                return
            told = self.get(handle)
            if told is not None and told.verdict is None:
                raise

    def _get(self, handle: str) -> Any:
        try:
            batch = self._calls(self._client.get_batch, {"name": handle}, f"looking at {handle}")
        except RunnerError as error:
            if caused_by(error, "NotFound"):
                return None
            raise
        return self._sdk.Batch.pb(batch)

    def _list(self, condition: str) -> Iterator[Any]:
        token = ""
        while True:
            request = {"parent": self._parent, "filter": condition, "page_size": _PAGE, "page_token": token}
            pager = self._calls(self._client.list_batches, request, f"listing batches in {self._parent}")
            page = next(iter(pager.pages))
            raw = type(page).pb(page)
            yield from raw.batches
            token = raw.next_page_token
            if not token:
                return

    def _told(self, batch: Any) -> Told:
        self._note(batch)
        state = self._states.get(batch.state, "UNKNOWN")
        return Told(
            handle=batch.name,
            state=state,
            verdict=_ENDS.get(state),
            details=batch.state_message,
            arguments=tuple(batch.spark_batch.args),
            properties=_plain_names(dict(batch.runtime_config.properties)),
            labels=dict(batch.labels),
            submitted=seconds(batch.create_time),
            ended=seconds(batch.state_time),
            output=batch.runtime_info.output_uri,
        )


def _plain_names(properties: dict[str, str]) -> dict[str, str]:
    """Properties as they were given: the service tells them with the component that they belong to (``spark:spark.executor.cores``)."""
    return {name.partition(":")[2] if name.startswith("spark:") else name: value for name, value in properties.items()}

"""The trigger waits for the end of attempts that run remotely. All triggers of a triggerer share one poll per tick and endpoint."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from starlake_core import Job, OutageError, RunKey, RunnerError, StarlakeError
from starlake_core.runtime import Outcome, Runner, Verdict, expire, runner_for, shared_poller, tell_end

from .connections import credentials_for
from .versions import still_waited_for, tells_of_kills

__all__ = ["StarlakeTrigger"]

_SHIELDED_SECONDS = 10.0
_CANCELS_AT_ONCE = 64


@functools.cache
def _cancelling() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_CANCELS_AT_ONCE, thread_name_prefix="starlake-cancel")


async def _in_thread(function: Callable[..., Any], *arguments: Any, executor: ThreadPoolExecutor | None = None) -> Any:
    """Call a function that may query Airflow. On 3.1 the answers come through the event loop of the triggerer, which a thread of asgiref
    knows and one of asyncio does not."""
    return await sync_to_async(function, thread_sensitive=False, executor=executor)(*arguments)


class StarlakeTrigger(BaseTrigger):
    """Fires when an attempt has ended, or was stopped because its time was over.

    Args:
        job: the JSON of the job, without arguments and variables: what is needed to reach the environment. The arguments are no longer needed,
            and the database stores the arguments of a trigger.
        handle: the handle of the attempt.
        attempt: the attempt part of its key.
        cursor: how far the worker has read the output.
        deadline: when to stop it, in seconds since the epoch; None for no limit.
        timeout: the seconds that it had, for the message.
        not_before: the time before which the trigger does not fire, in seconds since the epoch.
        connections: maps a kind of credentials to the Airflow connection that has them.
        key_task: the stable part of its key; empty for triggers of earlier versions.
    """

    def __init__(
        self,
        *,
        job: str,
        handle: str,
        attempt: str,
        cursor: str | None = None,
        deadline: float | None = None,
        timeout: float | None = None,
        not_before: float = 0.0,
        connections: Mapping[str, str] | None = None,
        key_task: str = "",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # not annotated in Airflow
        self.job = job
        self.handle = handle
        self.attempt = attempt
        self.cursor = cursor
        self.deadline = deadline
        self.timeout = timeout
        self.not_before = not_before
        self.connections = dict(connections or {})
        self.key_task = key_task

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The path of the class and its arguments."""
        names = ("job", "handle", "attempt", "cursor", "deadline", "timeout", "not_before", "connections", "key_task")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire once."""
        event: dict[str, Any] = {"handle": self.handle, "attempt": self.attempt, "cursor": self.cursor}
        try:
            try:
                event["outcome"] = (await self._outcome()).to_json()
            except StarlakeError as error:
                event["error"] = str(error)
                event["again"] = isinstance(error, (RunnerError, OutageError))
            await asyncio.sleep(max(0.0, self.not_before - time.time()))
        except asyncio.CancelledError:
            if not tells_of_kills() and not await self._is_restart():
                await self.on_kill()
            raise
        yield TriggerEvent(event)

    async def on_kill(self) -> None:
        """Cancel the attempt, because its task was cleared, failed, marked or killed."""
        # Shielded, and with their own threads: a triggerer gives all kills together half a minute, and drops those that wait for a thread.
        await asyncio.shield(_in_thread(self._cancel, executor=_cancelling()))

    def _cancel(self) -> None:
        runner = self._runner()
        runner.cancel(self.handle)
        if self.key_task:  # no worker comes back to it
            stopped = Outcome(Verdict.CANCELLED, reason="cancelled while it was running", stopped=True)
            tell_end(Job.from_json(self.job), runner, RunKey(self.key_task, self.attempt), stopped)

    def _runner(self) -> Runner:
        return runner_for(Job.from_json(self.job), credentials=credentials_for(self.connections))

    async def _outcome(self) -> Outcome:
        runner = await _in_thread(self._runner)
        future = asyncio.wrap_future(shared_poller(runner).watch(self.handle))
        left = None if self.deadline is None else max(0.0, self.deadline - time.time())
        try:
            return await asyncio.wait_for(future, left)
        except asyncio.TimeoutError:
            ended: Outcome = await _in_thread(expire, runner, self.handle, self.timeout or 0)
            return ended

    async def _is_restart(self) -> bool:
        """Whether the triggerer stops, rather than the task; a kill that looks like a restart is left to the next try."""
        try:
            asked = _in_thread(still_waited_for, self)
            return await asyncio.wait_for(asyncio.shield(asked), _SHIELDED_SECONDS)
        except Exception as error:
            self.log.warning("cannot tell whether the task was killed, so its attempt keeps running: %s", error)
            return True

"""One step for all tables of a domain, for domains so large that Dagster cannot keep track of a step for each of them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, ClassVar

from dagster import DagsterEventType, Failure, Output

from starlake_core.runtime import may_pass

from .context import RESUMED, op_context
from .executor import stopping
from .outputs import RESULT
from .steps import Step, shares_log
from .watching import DONE

__all__ = ["Together"]


@dataclass(frozen=True, eq=False)
class Together:
    """The body of the op of several tasks. Work that is done stays done: a retry runs only the tasks that failed.

    Attributes:
        steps: the bodies of the tasks.
        parallelism: how many tasks run at once.
    """

    steps: Sequence[Step]
    parallelism: int
    writes_log: ClassVar[bool] = True

    def __call__(self, step: Any, inputs: Mapping[str, Any]) -> Iterator[Any]:
        """The body, as Dagster calls it; an argument named ``context`` would have to be of one of Dagster's classes."""
        step = op_context(step)
        wanted = step.selected_output_names
        asked = [member for member in self.steps if not wanted.isdisjoint(member.outputs) or RESULT in wanted]
        done, before = _done(step)
        left = [
            member for member in asked if done.isdisjoint(member.outputs) and before.keys().isdisjoint(member.outputs)
        ]
        for member in asked:
            for output in member.outputs:
                if output in before and output in wanted:
                    yield Output(None, output, metadata=before[output])
        failures: dict[str, Failure] = {}
        yield from self._run(step, left, failures)
        if failures:
            again = any(failure.allow_retries for failure in failures.values())
            about = "\n".join(f"{path}: {failure.description}" for path, failure in failures.items())
            raise Failure(f"{len(failures)} of {len(asked)} failed:\n{about}", allow_retries=again)
        if RESULT in wanted:
            yield Output(None, RESULT)

    def _run(self, step: Any, members: Sequence[Step], failures: dict[str, Failure]) -> Iterator[Any]:
        """Run tasks side by side; this thread passes on what they produce, as it comes."""
        produced: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        stop = stopping.get() or threading.Event()

        def work(member: Step) -> None:
            stopping.set(stop)
            shares_log.set(True)
            try:
                if stop.is_set():  # while it waited
                    raise Failure("the run was stopped", allow_retries=False)
                for event in member(step, {}):
                    produced.put((member.path, event))
            except BaseException as error:
                produced.put((member.path, error))
            finally:
                produced.put((member.path, None))

        pool = ThreadPoolExecutor(self.parallelism, thread_name_prefix="starlake-load")
        try:
            for member in members:
                pool.submit(copy_context().run, work, member)
            going = len(members)
            while going:
                path, event = produced.get()
                if event is None:
                    going -= 1
                elif isinstance(event, Failure):
                    failures[path] = event
                elif isinstance(event, BaseException):
                    failures[path] = Failure(f"{type(event).__name__}: {event}", allow_retries=may_pass(event))
                else:
                    yield event
        except BaseException:
            # Dagster's executor interrupts this thread; it tells the threads of the tasks, which cancel their jobs.
            stop.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _done(step: Any) -> tuple[set[str], dict[str, dict[str, Any]]]:
    """What was produced before: the outputs of an earlier attempt of this run, and the metadata of those of the runs that it continues."""
    key, run = step.get_step_execution_context().step.key, step.run
    here = set(_outputs(step.instance, run.run_id, key)) if step.retry_number else set()
    before: dict[str, dict[str, Any]] = {}
    seen = {run.run_id}
    # A run of the chain may have died before this step started: what the one before it did is still done.
    while run is not None and run.tags.get(RESUMED) == "true" and run.parent_run_id not in {None, *seen}:
        seen.add(run.parent_run_id)
        for output, metadata in _outputs(step.instance, run.parent_run_id, key).items():
            if output not in here:
                before.setdefault(output, {DONE: run.parent_run_id, **metadata})
        run = step.instance.get_run_by_id(run.parent_run_id)
    return here, before


def _outputs(instance: Any, run_id: str, key: str) -> dict[str, Mapping[str, Any]]:
    events = [record.dagster_event for record in instance.all_logs(run_id, of_type=DagsterEventType.STEP_OUTPUT)]
    found = [event.step_output_data for event in events if event.step_key == key]
    return {data.output_name: data.metadata or {} for data in found}

"""Cloud Run jobs over gRPC: RunJob, GetJob, executions and tasks. Every execution really runs: one process for each attempt of each task.

What it knows: overrides of arguments, variables, task count and time-out; ``maxRetries`` and time-out of the job;
cancels with SIGTERM; lists
that lag behind (``lag``), and states that do (``slow``); faults; and Cloud Storage and Cloud Logging. It refuses
anything else.

    python tests/emulators/cloud_run.py --program "python -m starlake_core_duckdb" --env SL_ROOT=$PWD/starbake-cloud
    [--port N]

prints the words with which ``starlake-orchestrate run`` uses it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import random
import re
import shlex
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if not __package__:  # started as a script
    sys.path[0], __package__ = str(Path(__file__).resolve().parents[1]), "emulators"

import grpc
from google.cloud import run_v2
from google.longrunning import operations_pb2
from google.protobuf.any_pb2 import Any as AnyMessage

from .cloud_logging import Source, logging_service
from .containers import Container, Containers
from .faults import Faults
from .grpc_server import GrpcServer, Method, Refused
from .storage import Storage

__all__ = ["CloudRun", "JobDefinition"]

_STATE = run_v2.Condition.State
_REASON = run_v2.Condition.ExecutionReason
_TIMED_OUT = "The configured timeout was reached."

_MOST_VARIABLES, _LONGEST_VALUE, _MOST_TASKS, _LONGEST_SECONDS = 1000, 32768, 10_000, 604_800
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = re.compile(r"PORT|K_(SERVICE|REVISION|CONFIGURATION)|CLOUD_RUN_(JOB|EXECUTION|TASK_(INDEX|ATTEMPT|COUNT))")


def _check_override(override: Any) -> None:
    """What Cloud Run's documentation says that it refuses; its words are not known."""
    refused = ""
    if len(override.env) > _MOST_VARIABLES:
        refused = f"env: at most {_MOST_VARIABLES} variables"
    if override.clear_args and override.args:
        refused = "clear_args: there are args"
    for variable in override.env:
        if not _VARIABLE.fullmatch(variable.name):
            refused = f"env.name: {variable.name!r} must be a C_IDENTIFIER"
        if _RESERVED.fullmatch(variable.name):
            refused = f"env.name: {variable.name!r} is reserved"
        if len(variable.value.encode()) > _LONGEST_VALUE:
            refused = f"env.value: the value of {variable.name!r} is longer than {_LONGEST_VALUE} bytes"
    if refused:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"overrides.container_overrides.{refused}")


def _check_numbers(tasks: int, timeout: float) -> None:
    if not 0 <= tasks <= _MOST_TASKS:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"overrides.task_count: at most {_MOST_TASKS}")
    if not 0 < timeout <= _LONGEST_SECONDS:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"overrides.timeout: at most {_LONGEST_SECONDS} s")


@dataclass
class JobDefinition:
    """A job as it was deployed.

    Attributes:
        containers: their names; the first one runs the program.
        max_retries: of each task.
        timeout: seconds of each attempt of a task.
        tasks: how many there are.
    """

    containers: tuple[str, ...] = ("starlake",)
    max_retries: int = 0
    timeout: float = 600.0
    tasks: int = 1


@dataclass
class _Task:
    """One task of an execution."""

    index: int
    attempts: int = 0
    container: Container | None = None
    timed_out: bool = False
    end: str = ""
    exit_code: int = 0
    signal: int = 0
    message: str = ""


@dataclass
class _Execution:
    """An execution: what the service reports about it, and what really runs."""

    told: Any
    created: float
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    max_retries: int = 0
    timeout: float = 600.0
    tasks: list[_Task] = field(default_factory=list)
    cancelled: bool = False
    made: float = field(default_factory=time.monotonic)


class CloudRun:
    """The emulator. A context manager.

    Args:
        program: entry point of the image; the arguments of an execution follow it.
        env: variables of the job.
        buckets: folder with a folder for each bucket of Cloud Storage; without it there is no storage.
        port: 0 for any that is free.
        project, region, job: where the one job is that there is at first.

    Attributes:
        faults: what goes wrong, here, in storage and in logging.
        containers: what ran.
        jobs: name to :class:`JobDefinition`.
        options: of the environment ``cloud_run``, so that it uses this emulator.
        lag: seconds until a new execution shows up in lists.
        slow: seconds that an execution is pending, and for which its end is not told.
        log_lag: seconds until a line of output can be read.
        page: most executions in an answer.
        repeats: whether a page begins with the end of the one before.
        skew: seconds by which its clock is ahead of that of this machine.
        goes_back: share of the answers about an execution that tell of an earlier state.
    """

    def __init__(
        self,
        program: Sequence[str],
        env: Mapping[str, str] | None = None,
        buckets: Path | None = None,
        port: int = 0,
        project: str = "emulated-project",
        region: str = "europe-west1",
        job: str = "starlake",
    ) -> None:
        self.faults = Faults()
        self.containers = Containers(program, env, buckets)
        self.jobs = {job: JobDefinition()}
        self.lag = self.slow = self.log_lag = 0.0
        self.page = 100
        self.repeats = False
        self.skew = self.goes_back = 0.0
        self._random = random.Random(0)
        self._project, self._region = project, region
        # Newest last; a name is looked up here too.
        self._executions: dict[str, _Execution] = {}
        self._lock = threading.RLock()
        self._timers: list[threading.Timer] = []
        self._slowed: list[threading.Timer] = []
        self._moment = self._made = 0
        self._closed = False
        self._server = GrpcServer(
            {**self._services(), **logging_service(self.containers, self._source, lambda: self.log_lag)},
            self.faults,
            port,
        )
        self._storage = Storage(buckets, self.faults) if buckets is not None else None
        endpoint = f"http://{self._server.address}"
        self.options: dict[str, Any] = {
            "cloud_run_project_id": project,
            "cloud_run_job_region": region,
            "cloud_run_job_name": job,
            "cloud_run_endpoint": endpoint,
            "cloud_run_logging_endpoint": endpoint,
            **({"cloud_run_storage_endpoint": self._storage.endpoint} if self._storage is not None else {}),
            "cloud_run_async_poke_interval": 0.05,
            "cloud_run_list_lag": 0,
            "cloud_run_missing_grace": 0,
        }

    def __enter__(self) -> CloudRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving, and kill what still runs."""
        self._closed = True
        self._server.close()
        if self._storage is not None:
            self._storage.close()
        with self._lock:
            for timer in self._timers:
                timer.cancel()
        self.containers.close()

    def seed_history(self, count: int, age: float = 0.0) -> None:
        """Add executions that ran and succeeded, without processes.

        Args:
            count: how many.
            age: seconds since they were created. Older ones are to be added before younger ones.
        """
        for _ in range(count):
            execution = self._seeded("history")
            execution.created -= age
            execution.made -= age
            execution.told.create_time.FromNanoseconds(int(execution.created * 1e9))
            execution.tasks[0].end = "succeeded"
            self._complete(execution)

    def seed_running(self, count: int) -> list[str]:
        """Add executions that run, without processes.

        Args:
            count: how many.

        Returns:
            Their names.
        """
        return [self._seeded("running").told.name for _ in range(count)]

    def executions(self) -> list[Any]:
        """All executions as messages, the oldest first."""
        with self._lock:
            return [run_v2.Execution.wrap(_copied(execution.told)) for execution in self._executions.values()]

    def finish(self, name: str, exit_code: int = 0) -> None:
        """End an execution that has no process.

        Args:
            name: of the execution.
            exit_code: of its task.
        """
        with self._lock:
            task = self._executions[name].tasks[0]
            task.end, task.exit_code = ("succeeded" if exit_code == 0 else "failed"), exit_code
            self._complete(self._executions[name])

    def hurry(self) -> None:
        """Let happen now what ``slow`` has put off."""
        with self._lock:
            slowed, self._slowed = self._slowed, []
            for timer in slowed:
                if timer.is_alive():
                    timer.cancel()
                    timer.function()

    def delete(self, name: str) -> None:
        """Forget an execution.

        Args:
            name: of the execution.
        """
        with self._lock:
            del self._executions[name]

    def cancel_all(self) -> None:
        """Cancel everything that is running, as another process would."""
        for name in list(self._executions):
            with contextlib.suppress(Refused):
                self._cancel(run_v2.CancelExecutionRequest(name=name))

    def forget_ended(self) -> None:
        """Forget what has ended."""
        with self._lock:
            for name, execution in list(self._executions.items()):
                if execution.told.HasField("completion_time"):
                    del self._executions[name]

    def begin_deleting(self, name: str) -> None:
        """Begin to delete an execution: it is stopped, and known until it has ended.

        Args:
            name: of the execution.
        """
        with self._lock:
            execution = self._executions[name]
            execution.told.delete_time.FromNanoseconds(time.time_ns())
            execution.cancelled = True
            for task in execution.tasks:
                if task.container is not None:
                    task.container.stop()

    # -- methods of the service

    def _services(self) -> dict[str, dict[str, Method]]:
        operation = operations_pb2.Operation
        return {
            "google.cloud.run.v2.Jobs": {
                "RunJob": Method(self._run_job, run_v2.RunJobRequest, operation),
                "GetJob": Method(self._get_job, run_v2.GetJobRequest, run_v2.Job),
            },
            "google.cloud.run.v2.Executions": {
                "GetExecution": Method(self._get, run_v2.GetExecutionRequest, run_v2.Execution),
                "ListExecutions": Method(self._list, run_v2.ListExecutionsRequest, run_v2.ListExecutionsResponse),
                "CancelExecution": Method(self._cancel, run_v2.CancelExecutionRequest, operation),
            },
            "google.cloud.run.v2.Tasks": {
                "ListTasks": Method(self._tasks, run_v2.ListTasksRequest, run_v2.ListTasksResponse),
            },
        }

    def _permitted(self, name: str, permission: str) -> list[str]:
        parts = name.split("/")
        if len(parts) < 6 or parts[0::2][:3] != ["projects", "locations", "jobs"]:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Malformed name: {name!r}")
        if parts[1] != self._project:
            raise Refused(
                grpc.StatusCode.PERMISSION_DENIED,
                f"Permission '{permission}' denied on resource '{name}' (or resource may not exist).",
            )
        return parts

    def _definition(self, name: str, permission: str) -> JobDefinition:
        _, project, _, region, _, job = self._permitted(name, permission)[:6]
        if region != self._region or job not in self.jobs:
            raise Refused(
                grpc.StatusCode.NOT_FOUND,
                f"Resource '{job}' of kind 'JOB' in region '{region}' in project '{project}' does not exist.",
            )
        return self.jobs[job]

    def _get_job(self, request: Any) -> Any:
        definition = self._definition(request.name, "run.jobs.get")
        return run_v2.Job(name=request.name, template={"task_count": definition.tasks})

    def _run_job(self, request: Any) -> Any:
        overrides = request.overrides
        definition = self._definition(request.name, "run.jobs.runWithOverrides")
        arguments: list[str] = []
        env = dict(self.containers.env)
        sidecars: dict[str, Any] = {}
        for override in overrides.container_overrides:
            if override.name not in (*definition.containers, "") or (
                not override.name and len(definition.containers) > 1
            ):
                raise Refused(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"overrides.container_overrides: no container is named '{override.name}' in the job",
                )
            _check_override(override)
            if override.name in definition.containers[1:]:
                sidecars[override.name] = override
                continue
            arguments = list(override.args)
            env.update((variable.name, variable.value) for variable in override.env)
        timeout = overrides.timeout.total_seconds() if "timeout" in overrides else definition.timeout
        _check_numbers(overrides.task_count, timeout)
        with self._lock:
            execution = self._new(request.name, arguments, env, definition, overrides.task_count or definition.tasks)
            for container in execution.told.template.containers:
                if container.name in sidecars:
                    container.args.extend(sidecars[container.name].args)
                    container.env.extend(run_v2.EnvVar.pb(one) for one in sidecars[container.name].env)
            execution.timeout = timeout
            execution.told.template.timeout.FromMicroseconds(int(timeout * 1e6))
            self._later(self.slow, lambda: self._start(execution))
            metadata = AnyMessage()
            metadata.Pack(execution.told)
        return operations_pb2.Operation(
            name=f"{request.name.rpartition('/jobs/')[0]}/operations/{len(self._executions)}", metadata=metadata
        )

    def _get(self, request: Any) -> Any:
        with self._lock:
            told = _copied(self._known(request.name, "run.executions.get").told)
            if self._random.random() < self.goes_back:
                for name in ("start_time", "completion_time"):
                    told.ClearField(name)
                _condition(told, _STATE.CONDITION_RECONCILING)
            return run_v2.Execution.wrap(told)

    def _known(self, name: str, permission: str) -> _Execution:
        self._permitted(name, permission)
        if name not in self._executions:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Resource '{name.rpartition('/')[2]}' does not exist.")
        return self._executions[name]

    def _list(self, request: Any) -> Any:
        self._permitted(request.parent, "run.executions.list")
        size = min(request.page_size or self.page, self.page)
        with self._lock:
            shown = time.monotonic() - self.lag
            names = [
                name
                for name, execution in self._executions.items()
                if name.startswith(f"{request.parent}/executions/") and (not self.lag or execution.made <= shown)
            ]
            # A token is a place counted from the oldest end, so that new executions do not move it.
            end = int(request.page_token) if request.page_token else len(names)
            start = max(0, end - size)
            reply = run_v2.ListExecutionsResponse.pb()(next_page_token=str(start) if start else "")
            upto = end + 1 if self.repeats else end
            reply.executions.extend(self._executions[name].told for name in reversed(names[start:upto]))
        return run_v2.ListExecutionsResponse.wrap(reply)

    def _cancel(self, request: Any) -> Any:
        with self._lock:
            execution = self._known(request.name, "run.executions.cancel")
            if execution.told.HasField("completion_time"):
                raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "The execution is already completed.")
            execution.cancelled = True
            _condition(execution.told, _STATE.CONDITION_RECONCILING, _REASON.CANCELLING)
            for task in execution.tasks:
                if task.container is not None:
                    task.container.stop()
                elif not task.end:
                    task.end = "cancelled"
            self._complete_if_over(execution)
            metadata = AnyMessage()
            metadata.Pack(execution.told)
        return operations_pb2.Operation(name="operations/cancel", metadata=metadata)

    def _tasks(self, request: Any) -> Any:
        with self._lock:
            execution = self._known(request.parent, "run.tasks.list")
            size = min(request.page_size or self.page, self.page)
            start = int(request.page_token or 0)
            chosen = execution.tasks[start : start + size]
            return run_v2.ListTasksResponse(
                tasks=[self._task(execution, task) for task in chosen],
                next_page_token=str(start + size) if start + size < len(execution.tasks) else "",
            )

    def _task(self, execution: _Execution, task: _Task) -> Any:
        result: dict[str, Any] = {"exit_code": task.exit_code, "term_signal": task.signal}
        if task.end == "failed":
            result["status"] = {"code": grpc.StatusCode.UNKNOWN.value[0], "message": task.message}
        return run_v2.Task(
            name=f"{execution.told.name}/tasks/{execution.told.name.rpartition('/')[2]}-task{task.index}",
            index=task.index,
            max_retries=execution.max_retries,
            retried=max(0, task.attempts - 1),
            **({"last_attempt_result": result} if task.end in ("failed", "succeeded") else {}),
        )

    # -- what happens

    def _new(
        self, job: str, arguments: Sequence[str], env: Mapping[str, str], definition: JobDefinition, tasks: int
    ) -> _Execution:
        """A new execution; the lock is held."""
        # One moment belongs to one execution, so that there always is an oldest one.
        self._moment = max(time.time_ns() + int(self.skew * 1e9), self._moment + 1000)
        # A name is not given a second time, whatever was deleted.
        suffix = hashlib.sha256(str(self._made).encode()).hexdigest()[:5]
        short = f"{job.rpartition('/')[2]}-{suffix}{self._made:x}"
        self._made += 1
        told = run_v2.Execution.pb()(
            name=f"{job}/executions/{short}",
            job=job.rpartition("/")[2],
            task_count=tasks,
            log_uri=f"https://console.cloud.google.com/logs/viewer?project={self._project}&execution={short}",
        )
        told.create_time.FromNanoseconds(self._moment)
        told.template.max_retries = definition.max_retries
        container = told.template.containers.add(name=definition.containers[0], args=arguments)
        for name, value in env.items():
            container.env.add(name=name, value=value)
        for sidecar in definition.containers[1:]:
            told.template.containers.add(name=sidecar)
        _condition(told, _STATE.CONDITION_RECONCILING)
        execution = _Execution(told, self._moment / 1e9, tuple(arguments), dict(env), definition.max_retries)
        execution.tasks = [_Task(index) for index in range(tasks)]
        self._executions[told.name] = execution
        return execution

    def _seeded(self, kind: str) -> _Execution:
        with self._lock:
            job, definition = next(iter(self.jobs.items()))
            number = len(self._executions)
            env = {
                "SL_ROOT": "gs://bucket/project",
                "SL_RUN_KEY": f"{kind}/run-{number}/load.orders",
                "SL_RUN_TASK": f"{kind}/run-{number}/load.orders",
                "SL_RUN_ATTEMPT": "1",
            }
            arguments = ["load", "--scheduledDate", "2026-01-01T00:00:00.000+0000", "--domains", "sales", "--tables"]
            name = f"projects/{self._project}/locations/{self._region}/jobs/{job}"
            execution = self._new(name, [*arguments, "orders"], env, definition, 1)
            execution.told.running_count = 1
            execution.told.start_time.FromNanoseconds(self._moment)
            return execution

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        if seconds <= 0:
            action()
            return
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        self._timers.append(timer)
        self._slowed.append(timer)
        timer.start()

    def _start(self, execution: _Execution) -> None:
        with self._lock:
            if execution.told.HasField("completion_time") or self._closed:
                return
            execution.told.start_time.FromNanoseconds(time.time_ns())
            for task in execution.tasks:
                if not task.end:
                    self._attempt(execution, task)
            self._complete_if_over(execution)

    def _attempt(self, execution: _Execution, task: _Task) -> None:
        """Start an attempt of a task; the lock is held."""
        short = execution.told.name.rpartition("/")[2]
        env = {
            **execution.env,
            "CLOUD_RUN_JOB": execution.told.job,
            "CLOUD_RUN_EXECUTION": short,
            "CLOUD_RUN_TASK_INDEX": str(task.index),
            "CLOUD_RUN_TASK_COUNT": str(len(execution.tasks)),
            "CLOUD_RUN_TASK_ATTEMPT": str(task.attempts),
        }
        task.attempts += 1
        task.timed_out = False
        try:
            task.container = self.containers.start(
                short, execution.arguments, env, lambda container: self._ended(execution, task, container)
            )
        except OSError as error:
            self._failed(execution, task, f"Application failed to start: {error}")
            return
        self._counted(execution)
        container = task.container
        timer = threading.Timer(execution.timeout, self._expire, [task, container])
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _expire(self, task: _Task, container: Container) -> None:
        with self._lock:
            if task.container is container:
                task.timed_out = True
                container.stop()

    def _ended(self, execution: _Execution, task: _Task, container: Container) -> None:
        with self._lock:
            task.container = None
            code = container.exit_code or 0
            if code == 0 and not task.timed_out:
                task.end, task.exit_code, task.signal = "succeeded", 0, 0
            elif execution.cancelled:
                task.end = "cancelled"
            elif task.timed_out:
                self._failed(execution, task, _TIMED_OUT)
            else:
                self._failed(execution, task, "The container exited with an error.", code)
            self._complete_if_over(execution)

    def _failed(self, execution: _Execution, task: _Task, message: str, code: int = 0) -> None:
        task.exit_code, task.signal, task.message = code, 0, message
        if code > 128:
            task.exit_code, task.signal = 0, code - 128
        if task.attempts <= execution.max_retries and not execution.cancelled and not self._closed:
            self._attempt(execution, task)
        else:
            task.end = "failed"

    def _complete_if_over(self, execution: _Execution) -> None:
        self._counted(execution)
        if all(task.end for task in execution.tasks):
            self._later(self.slow, lambda: self._complete(execution))

    def _counted(self, execution: _Execution) -> None:
        told, ends = execution.told, [task.end for task in execution.tasks]
        told.running_count = sum(task.container is not None for task in execution.tasks)
        told.succeeded_count = ends.count("succeeded")
        told.failed_count = ends.count("failed")
        told.cancelled_count = ends.count("cancelled")
        told.retried_count = sum(max(0, task.attempts - 1) for task in execution.tasks)

    def _complete(self, execution: _Execution) -> None:
        with self._lock:
            told = execution.told
            if told.HasField("completion_time"):
                return
            self._counted(execution)
            told.running_count = 0
            told.completion_time.FromNanoseconds(time.time_ns())
            if told.succeeded_count == told.task_count:
                _condition(told, _STATE.CONDITION_SUCCEEDED)
            elif told.cancelled_count:
                _condition(told, _STATE.CONDITION_FAILED, _REASON.CANCELLED, "The execution was cancelled.")
            else:
                failed = next(task for task in execution.tasks if task.end == "failed")
                message = f"Task {failed.index} failed: {failed.message}"
                _condition(told, _STATE.CONDITION_FAILED, _REASON.NON_ZERO_EXIT_CODE, message)

    def _source(self, container: Container) -> Source:
        labels = {
            "run.googleapis.com/execution_name": container.name,
            "run.googleapis.com/task_index": container.env.get("CLOUD_RUN_TASK_INDEX", "0"),
        }
        resource = {"project_id": self._project, "location": self._region, "job_name": container.env["CLOUD_RUN_JOB"]}
        return Source(self._project, "run.googleapis.com/stdout", "cloud_run_job", resource, labels)


def _copied(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _condition(told: Any, state: Any, reason: Any = None, message: str = "") -> None:
    del told.conditions[:]
    condition = told.conditions.add(type_="Completed", state=int(state), message=message)
    if reason is not None:
        condition.execution_reason = int(reason)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="Cloud Run jobs on this machine.")
    parser.add_argument("--program", default="python -m starlake_core_duckdb", help="entry point of the image")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="a variable of the job")
    parser.add_argument("--buckets", type=Path, help="folder with a folder for each bucket; a temporary one by default")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    env = dict(pair.partition("=")[::2] for pair in given.env)
    with tempfile.TemporaryDirectory() as folder:
        buckets = given.buckets or Path(folder)
        with CloudRun(shlex.split(given.program), env, buckets, given.port) as emulator:
            words = [f"--option {name}={value}" for name, value in emulator.options.items()]
            sys.stdout.write(" ".join(["--environment cloud_run", *words]) + "\n")
            sys.stdout.flush()
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()


if __name__ == "__main__":
    main()

"""Amazon ECS on Fargate, with CloudWatch Logs and S3, for boto3: moto's server with a life cycle of tasks that really run.

moto serves what is only looked up: clusters and task definitions. As it is, its tasks run nothing and every failing job
looks
green, so what concerns tasks is done here (``RunTask``, ``DescribeTasks``, ``ListTasks``, ``StopTask``), and so are the
log streams of the
containers (``GetLogEvents``) and the objects of S3, which are the files in the folder of the buckets.

- A task runs the command of its override as a process (:mod:`emulators.containers`), goes from PROVISIONING over
RUNNING and DEPROVISIONING to
  STOPPED (each transition takes ``slow`` seconds), and has the exit code of its process. A sidecar stands before the
  named container, so that nobody
  takes the first container for the one that counts.
- ``clientToken`` makes ``RunTask`` idempotent (not with ``dedupe = False``); the same token with another request is a
``ConflictException``.
- What ``RunTask`` did is visible to ``DescribeTasks`` and ``StopTask`` after ``lag`` seconds, and to ``ListTasks``
after ``list_lag``.
- :attr:`Ecs.faults` lets calls go wrong; :meth:`Ecs.refuse`, :meth:`Ecs.fail_placement` and :meth:`Ecs.fail_start` say
how tasks do.

From the command line::

    python tests/emulators/ecs.py --program "python -m starlake_core_duckdb" --env SL_ROOT=$PWD/starbake-cloud --port
    5005
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shlex
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from emulators.containers import Container, Containers
from emulators.faults import Fault, Faults, Kind, When

__all__ = ["ACCOUNT", "BUCKET", "CREDENTIALS", "Ecs"]

ACCOUNT = "123456789012"
BUCKET = "starlake"
"""A bucket that is there from the start; every other folder in the folder of the buckets is one too."""
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "emulated", "AWS_SECRET_ACCESS_KEY": "emulated"}
"""Variables under which boto3 has credentials; any are right."""

_CLUSTER, _FAMILY, _CONTAINER, _SIDECAR = "starlake", "starlake", "starlake", "log-router"
_SUBNETS, _SECURITY_GROUPS = ("subnet-0a1b2c3d", "subnet-4e5f6a7b"), ("sg-0a1b2c3d",)
_GROUP, _PREFIX = "/ecs/starlake", "starlake"
_OVERRIDES = 8192
_LOST_SECONDS = 0.05
_TASK_CALLS = ("RunTask", "DescribeTasks", "ListTasks", "StopTask")

_TOLD = ("enableExecuteCommand", "platformVersion", "group")
"""What a task repeats of its request."""
_TOLD_OVERRIDES = ("cpu", "memory", "ephemeralStorage")
_SIZES = {
    "256": ["512", "1024", "2048"],
    "512": [str(memory * 1024) for memory in range(1, 5)],
    "1024": [str(memory * 1024) for memory in range(2, 9)],
    "2048": [str(memory * 1024) for memory in range(4, 17)],
    "4096": [str(memory * 1024) for memory in range(8, 31)],
    "8192": [str(memory * 1024) for memory in range(16, 61, 4)],
    "16384": [str(memory * 1024) for memory in range(32, 121, 8)],
}
"""CPU of a task on Fargate, and the memory that goes with it."""

Reply = tuple[int, Mapping[str, str], bytes]


class _Refused(Exception):
    """An answer that is an error of the service."""

    def __init__(self, code: str, message: str, status: int = 400, **more: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.more = code, message, status, more


def _check_sizes(asked: Mapping[str, Any]) -> None:
    """What ECS refuses by its documentation; its words are not known."""
    overrides, tags = asked.get("overrides", {}), asked.get("tags", ())
    strategy = asked.get("capacityProviderStrategy", ())
    cpu, memory = overrides.get("cpu", "4096"), overrides.get("memory", "8192")
    fargate = asked.get("launchType", "FARGATE") == "FARGATE"
    storage = overrides.get("ephemeralStorage", {}).get("sizeInGiB", 21)
    names = [
        one.get("name", "")
        for override in overrides.get("containerOverrides", ())
        for one in override.get("environment", ())
    ]
    wrong = {
        "No Fargate configuration exists for given values.": fargate and memory not in _SIZES.get(cpu, ()),
        "ephemeralStorage.sizeInGiB is 21 to 200.": not 21 <= storage <= 200,
        "A task has at most 50 tags.": len(tags) > 50,
        "A tag cannot begin with aws:": any(tag["key"].lower().startswith("aws:") for tag in tags),
        "A strategy has at most 20 capacity providers.": len(strategy) > 20,
        "No capacity provider has a weight.": bool(strategy) and not any(one.get("weight") for one in strategy),
        "propagateTags cannot be SERVICE.": asked.get("propagateTags") == "SERVICE",
        "Environment variable name cannot be null or blank.": not all(names),
    }
    for message, is_so in wrong.items():
        if is_so:
            raise _Refused("InvalidParameterException", message)


@dataclass
class _Task:
    """One task, in the words of DescribeTasks."""

    id: str
    arn: str
    started_by: str
    tags: list[dict[str, str]]
    overrides: dict[str, Any]
    definition: str
    launch: dict[str, Any]
    created: float
    visible: float
    listed: float
    last_status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    started: float | None = None
    stopped: float | None = None
    stop_code: str = ""
    stopped_reason: str = ""
    exit_code: int | None = None
    reason: str = ""
    container: Container | None = None
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def told(self, containers: Sequence[str], with_tags: bool) -> dict[str, Any]:
        """The task as JSON."""
        shown = []
        for name in containers:
            one = {
                "containerArn": f"{self.arn}/{name}".replace(":task/", ":container/"),
                "taskArn": self.arn,
                "name": name,
                "lastStatus": {"DEPROVISIONING": "STOPPED", "PROVISIONING": "PENDING"}.get(
                    self.last_status, self.last_status
                ),
            }
            if self.exit_code is not None:
                # The first container is a sidecar, which always ends well.
                one["exitCode"] = self.exit_code if name != _SIDECAR else 0
            if self.reason and name != _SIDECAR:
                one["reason"] = self.reason
            shown.append(one)
        told: dict[str, Any] = {
            "taskArn": self.arn,
            "clusterArn": f"{self.arn.partition(':task/')[0]}:cluster/{_CLUSTER}",
            "taskDefinitionArn": self.definition,
            "lastStatus": self.last_status,
            "desiredStatus": self.desired_status,
            "startedBy": self.started_by,
            "overrides": self.overrides,
            "containers": shown,
            "createdAt": self.created,
            "group": f"family:{_FAMILY}",
            **self.launch,
        }
        if with_tags:
            told["tags"] = self.tags
        if self.started is not None:
            told["startedAt"] = self.started
        if self.stopped is not None:
            told["stoppedAt"] = self.stopped
        if self.stop_code:
            told["stopCode"] = self.stop_code
            told["stoppedReason"] = self.stopped_reason
        return told


class _Once:
    """Does something the first time it is called."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._lock = threading.Lock()

    def __call__(self) -> None:
        if self._lock.acquire(blocking=False):
            self._work()


class Ecs:
    """The emulator, as a context manager.

    Args:
        program: that the image of the task definition runs; the command of a task follows it.
        env: variables in the task definition.
        buckets: folder of the buckets; a temporary one by default.
        port: 0 for any that is free.
        region: in which the cluster is.

    Attributes:
        faults: asked for every call.
        containers: that ran.
        options: of the plugin, that point at this emulator.
        url: of the server.
        dedupe: whether ``clientToken`` is heeded.
        lag: seconds until DescribeTasks and StopTask know a new task.
        list_lag: seconds until ListTasks does.
        slow: seconds that each transition of a task takes.
        stop_grace: seconds between SIGTERM and SIGKILL.
        page: most tasks in an answer of a list.
        repeats: whether a page begins with the end of the one before.
        skew: seconds by which its clock is ahead of that of this machine.
        goes_back: share of the answers about a task that tell of an earlier state.
    """

    def __init__(
        self,
        program: Sequence[str],
        env: Mapping[str, str] | None = None,
        buckets: Path | None = None,
        port: int = 0,
        region: str = "eu-west-3",
    ) -> None:
        self._folder = tempfile.TemporaryDirectory() if buckets is None else None
        self.buckets = Path(self._folder.name) if self._folder is not None else Path(buckets or "")
        (self.buckets / BUCKET).mkdir(parents=True, exist_ok=True)
        self.faults = Faults()
        self.containers = Containers(program, env, self.buckets)
        self.region = region
        self.dedupe = True
        self.lag = self.list_lag = self.slow = 0.0
        self.stop_grace = 30.0
        self.page = 100
        self.repeats = False
        self.skew = self.goes_back = 0.0
        self._random = random.Random(0)
        self.url = ""
        self.options: dict[str, Any] = {}
        self._port = port
        self._tasks: dict[str, _Task] = {}
        self._by_task: dict[str, list[_Task]] = {}
        self._tokens: dict[str, tuple[dict[str, Any], str]] = {}
        self._refusals: dict[str, list[_Refused]] = {}
        self._placements: list[str] = []
        self._starts: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._pending: list[threading.Timer] = []
        self._names = [_SIDECAR, _CONTAINER]

    # -- for tests

    def refuse(self, method: str, code: str, message: str, status: int = 400) -> None:
        """Answer the next call of a method with an error of the service.

        Args:
            method: such as ``RunTask``.
            code: such as ``ClusterNotFoundException``.
            message: of the service.
            status: of HTTP.
        """
        self._refusals.setdefault(method, []).append(_Refused(code, message, status))

    def fail_placement(self, *reasons: str) -> None:
        """Let the next calls of RunTask start nothing, and answer 200 with a failure.

        Args:
            reasons: such as ``RESOURCE:CPU``, one for each call.
        """
        self._placements.extend(reasons)

    def fail_start(self, stopped_reason: str, reason: str = "") -> None:
        """Let the next task stop before its container starts.

        Args:
            stopped_reason: of the task.
            reason: of the container.
        """
        self._starts.append((stopped_reason, reason))

    def end(self, handle: str, stop_code: str, stopped_reason: str, exit_code: int | None, reason: str = "") -> None:
        """Let a task be STOPPED, whatever its container does.

        Args:
            handle: of the task.
            stop_code: such as ``SpotInterruption``.
            stopped_reason: of the task.
            exit_code: of the container, None if it never started.
            reason: of the container.
        """
        task = self._tasks[handle]
        with task.lock:
            task.stop_code, task.stopped_reason, task.exit_code, task.reason = (
                stop_code,
                stopped_reason,
                exit_code,
                reason,
            )
            task.last_status = task.desired_status = "STOPPED"
            task.stopped = time.time()
        if task.container is not None:
            task.container.stop(0)

    def cancel_all(self) -> None:
        """Cancel everything that is running, as another process would."""
        for arn, task in list(self._tasks.items()):
            if task.desired_status != "STOPPED":
                self._stop_task({"cluster": _CLUSTER, "task": arn, "reason": "by hand"}, self.region)

    def forget_ended(self) -> None:
        """Know no longer what has ended; nor the tokens under which it was started."""
        for arn, task in list(self._tasks.items()):
            if task.last_status == "STOPPED":
                self.forget(arn)
                self._tokens = {token: kept for token, kept in self._tokens.items() if kept[1] != arn}

    def forget(self, handle: str) -> None:
        """Know a task no longer, as ECS does an hour after its end.

        Args:
            handle: of the task.
        """
        with self._lock:
            task = self._tasks.pop(handle)
            self._by_task[task.started_by].remove(task)

    def reveal(self, handle: str) -> None:
        """Let a task be seen by everybody now.

        Args:
            handle: of the task.
        """
        self._tasks[handle].visible = self._tasks[handle].listed = 0.0

    def hurry(self) -> None:
        """Make the transitions that are under way now."""
        with self._lock:
            pending, self._pending = self._pending, []
        for timer in pending:
            timer.function()
            timer.cancel()

    def seed_history(self, count: int) -> None:
        """Add ended tasks, without processes.

        Args:
            count: how many.
        """
        for number in range(count):
            task = self._seeded(f"history-{number % 97}")
            task.last_status = task.desired_status = "STOPPED"
            task.exit_code, task.stopped = 0, time.time()
            task.stop_code, task.stopped_reason = "EssentialContainerExited", "Essential container in task exited"

    def seed_running(self, count: int) -> list[str]:
        """Add running tasks, without processes.

        Args:
            count: how many.

        Returns:
            Their handles.
        """
        return [self._seeded(f"running-{number}").arn for number in range(count)]

    def _seeded(self, name: str) -> _Task:
        environment = {"SL_RUN_KEY": f"seed/run/{name}", "SL_RUN_TASK": f"seed/run/{name}", "SL_RUN_ATTEMPT": "1"}
        override = {
            "name": _CONTAINER,
            "command": ["load", "--domains", "sales", "--tables", name],
            "environment": [{"name": key, "value": value} for key, value in environment.items()],
        }
        task = self._new_task(f"seed-{name}", {"containerOverrides": [override]}, [], {"launchType": "FARGATE"})
        task.last_status, task.started = "RUNNING", time.time()
        return task

    # -- server

    def __enter__(self) -> Ecs:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log(self, type: str, message: str, *args: Any) -> None:
                """Say nothing."""

        self._moto: Any = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", self._port, self._serve, threaded=True, request_handler=Quiet)
        # By default a listening socket holds five connections that nobody has accepted yet.
        self._server.socket.listen(512)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="ecs").start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._set_up()
        return self

    def __exit__(self, *exception: object) -> None:
        for timer in self._pending:
            timer.cancel()
        self._server.shutdown()
        self._server.server_close()
        self.containers.close()
        if self._folder is not None:
            self._folder.cleanup()

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator, whose calls count as those of the plugin do.

        Args:
            service: such as ``ecs``.
        """
        import boto3

        return boto3.client(
            service,
            region_name=self.region,
            endpoint_url=self.url,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def _set_up(self) -> None:
        """The cluster and the task definition."""
        self.client("ecs").create_cluster(clusterName=_CLUSTER)
        log_options = {"awslogs-group": _GROUP, "awslogs-region": self.region, "awslogs-stream-prefix": _PREFIX}
        container = {"image": "starlake", "cpu": 256, "memory": 512, "essential": True}
        environment = [{"name": name, "value": value} for name, value in sorted(self.containers.env.items())]
        self.register(
            [
                {**container, "name": _SIDECAR, "essential": False},
                {
                    **container,
                    "name": _CONTAINER,
                    "environment": environment,
                    "logConfiguration": {"logDriver": "awslogs", "options": log_options},
                },
            ]
        )
        self.options = {
            "aws_endpoint_url": self.url,
            "aws_region": self.region,
            "aws_cluster_name": _CLUSTER,
            "aws_task_definition_name": _FAMILY,
            "aws_task_definition_container_name": _CONTAINER,
            "aws_task_private_subnets": list(_SUBNETS),
            "aws_task_security_groups": list(_SECURITY_GROUPS),
        }
        self.faults.calls.clear()

    def register(self, containers: list[dict[str, Any]]) -> str:
        """Register a revision of the task definition.

        Args:
            containers: their definitions.

        Returns:
            Its ARN.
        """
        self._names = [container["name"] for container in containers]
        made = self.client("ecs").register_task_definition(
            family=_FAMILY,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="4096",
            memory="8192",
            containerDefinitions=containers,
        )
        self._definition = str(made["taskDefinition"]["taskDefinitionArn"])
        return self._definition

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition(",")[0].split("/")
        region, service = (scope[2], scope[3]) if len(scope) > 4 else ("", "")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        method = target if service != "s3" else _s3_method(environ)
        if service not in ("ecs", "logs", "s3"):
            return self._by_moto(environ, body, start_response)
        fault = self.faults.take(method)
        if fault is not None and fault.kind is Kind.SLOW:
            # Before the work it is the work that is late, after it the reply.
            if fault.when is When.BEFORE:
                time.sleep(self.faults.slow_seconds)
        elif fault is not None and fault.when is When.BEFORE:
            return self._fail(fault, service, method, environ, start_response)
        refusals = self._refusals.get(method)
        try:
            if refusals:
                raise refusals.pop(0)
            if service == "s3":
                reply = self._s3(method, environ, body)
            elif method in _TASK_CALLS or (method == "GetLogEvents"):
                answer = getattr(self, f"_{_snake(method)}")(json.loads(body), region)
                reply = (200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode())
            elif fault is None:
                return self._by_moto(environ, body, start_response)
            else:
                list(self._by_moto(environ, body, lambda *_: None))
                reply = (500, {}, b"")
        except _Refused as refused:
            reply = _refusal(refused, service)
        if fault is not None and fault.kind is Kind.SLOW:
            if fault.when is When.AFTER:
                time.sleep(self.faults.slow_seconds)
        elif fault is not None:
            return self._fail(fault, service, method, environ, start_response)
        return _send(reply, start_response)

    def _by_moto(self, environ: dict[str, Any], body: bytes, start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer: Iterable[bytes] = self._moto({**environ, "wsgi.input": io.BytesIO(body)}, start_response)
        return answer

    def _fail(
        self, fault: Fault, service: str, method: str, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if fault.kind is Kind.KILL:
            self.faults.kill()
        if fault.kind in (Kind.LOST, Kind.KILL):
            # The client would wait for its time-out; the end of the connection means the same to it, and comes sooner.
            time.sleep(_LOST_SECONDS)
            with contextlib.suppress(OSError):
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return _send((500, {}, b""), start_response)
        action = f"{service}:{_ACTIONS.get(method, method)}"
        user = f"arn:aws:iam::{ACCOUNT}:user/worker"
        made = {
            Kind.UNAVAILABLE: ("ServiceUnavailable", "Service is unavailable. Try again.", 503),
            Kind.THROTTLED: ("SlowDown", "Please reduce your request rate.", 503)
            if service == "s3"
            else ("ThrottlingException", "Rate exceeded", 400),
            Kind.QUOTA: (
                "ClientException",
                "You've reached the limit on the number of vCPUs you can run concurrently",
                400,
            ),
            Kind.DENIED: (
                "AccessDenied" if service == "s3" else "AccessDeniedException",
                f"User: {user} is not authorized to perform: {action} because no identity-based policy allows the {action} action",
                403 if service == "s3" else 400,
            ),
            Kind.NOT_FOUND: ("ClusterNotFoundException", "Cluster not found.", 400),
        }[fault.kind]
        return _send(_refusal(_Refused(made[0], fault.message or made[1], made[2]), service), start_response)

    # -- ECS

    def _check_cluster(self, asked: dict[str, Any], region: str) -> None:
        name = str(asked.get("cluster", "default")).rpartition("/")[2]
        if name != _CLUSTER or region != self.region:
            raise _Refused("ClusterNotFoundException", "Cluster not found.")

    def _check_run(self, asked: dict[str, Any]) -> None:
        """What ECS refuses, in its words as far as they are known."""
        invalid = "InvalidParameterException"
        if asked.get("launchType") and asked.get("capacityProviderStrategy"):
            raise _Refused(invalid, "Specifying both a launch type and capacity provider strategy is not supported.")
        definition = str(asked["taskDefinition"]).rpartition("/")[2]
        if definition.partition(":")[0] != _FAMILY:
            raise _Refused("ClientException", "TaskDefinition not found.")
        if len(json.dumps(asked.get("overrides", {}), separators=(",", ":"))) > _OVERRIDES:
            raise _Refused(invalid, "Container Overrides length must be at most 8192")
        for override in asked.get("overrides", {}).get("containerOverrides", ()):
            if override["name"] not in self._names:
                raise _Refused(
                    invalid,
                    f"Override for container named {override['name']} is not a container in the TaskDefinition.",
                )
        _check_sizes(asked)
        network = asked.get("networkConfiguration", {}).get("awsvpcConfiguration")
        if network is None:
            raise _Refused(invalid, "Network Configuration must be provided when networkMode 'awsvpc' is specified.")
        if not network.get("subnets"):
            raise _Refused(invalid, "subnets can not be empty.")
        if len(network["subnets"]) > 16 or len(network.get("securityGroups", ())) > 5:
            raise _Refused(invalid, "subnets can have at most 16 items, securityGroups at most 5.")
        for subnet in network["subnets"]:
            if subnet not in _SUBNETS:
                raise _Refused(
                    invalid,
                    f"Error retrieving subnet information for [{subnet}]: The subnet ID '{subnet}' does not exist "
                    "(ErrorCode: InvalidSubnetID.NotFound)",
                )
        for group in network.get("securityGroups", ()):
            if group not in _SECURITY_GROUPS:
                raise _Refused(
                    invalid,
                    f"Error retrieving security group information for [{group}]: The security group '{group}' does not exist "
                    "(ErrorCode: InvalidGroup.NotFound)",
                )

    def _run_task(self, asked: dict[str, Any], region: str) -> dict[str, Any]:
        self._check_cluster(asked, region)
        self._check_run(asked)
        token = asked.get("clientToken", "")
        with self._lock:
            known = self._tokens.get(token) if token and self.dedupe else None
            if known is None:
                if self._placements:
                    resource = f"arn:aws:ecs:{self.region}:{ACCOUNT}:cluster/{_CLUSTER}"
                    return {"tasks": [], "failures": [{"arn": resource, "reason": self._placements.pop(0)}]}
                launch: dict[str, Any] = (
                    {"capacityProviderName": asked["capacityProviderStrategy"][0]["capacityProvider"]}
                    if asked.get("capacityProviderStrategy")
                    else {"launchType": asked.get("launchType", "EC2")}
                )
                launch.update((name, asked[name]) for name in _TOLD if name in asked)
                launch.update(
                    (name, asked["overrides"][name]) for name in _TOLD_OVERRIDES if name in asked.get("overrides", {})
                )
                made = self._new_task(
                    asked.get("startedBy", ""), asked.get("overrides", {}), asked.get("tags", []), launch, locked=True
                )
                self._tokens[token] = (asked, made.arn)
        if known is not None:
            if known[0] != asked:
                raise _Refused(
                    "ConflictException", "The client token is in use with another request.", resourceIds=[known[1]]
                )
            made = self._tasks.get(known[1]) or _Task("", known[1], "", [], {}, "", {}, 0, 0, 0, "STOPPED", "STOPPED")
            return {"tasks": [made.told(self._names, True)], "failures": []}
        if self.slow:
            self._after(self.slow, lambda: self._start(made))
        else:
            self._start(made)
        return {"tasks": [made.told(self._names, True)], "failures": []}

    def _new_task(
        self,
        started_by: str,
        overrides: dict[str, Any],
        tags: list[dict[str, str]],
        launch: dict[str, Any],
        locked: bool = False,
    ) -> _Task:
        id = uuid.uuid4().hex
        arn = f"arn:aws:ecs:{self.region}:{ACCOUNT}:task/{_CLUSTER}/{id}"
        now, clock = time.time() + self.skew, time.monotonic()
        task = _Task(
            id,
            arn,
            started_by,
            tags,
            overrides,
            self._definition,
            launch,
            now,
            clock + self.lag,
            clock + self.list_lag,
        )
        with contextlib.nullcontext() if locked else self._lock:
            self._tasks[arn] = task
            self._by_task.setdefault(started_by, []).append(task)
        return task

    def _after(self, seconds: float, work: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, _Once(work))
        timer.daemon = True
        self._pending.append(timer)
        timer.start()

    def _start(self, task: _Task) -> None:
        """Start the container of a task."""
        override = next((one for one in task.overrides.get("containerOverrides", ()) if one["name"] == _CONTAINER), {})
        env = {item["name"]: item["value"] for item in override.get("environment", ())}
        with task.lock:
            if task.desired_status == "STOPPED":
                return
            if self._starts:
                self._stop_before_start(task, *self._starts.pop(0))
                return
            try:
                task.container = self.containers.start(
                    task.arn, override.get("command", ()), env, lambda container: self._ended(task, container)
                )
            except OSError as error:
                self._stop_before_start(
                    task, "Task failed to start", f"CannotStartContainerError: failed to create container task: {error}"
                )
                return
            task.last_status, task.started = "RUNNING", time.time()

    def _stop_before_start(self, task: _Task, stopped_reason: str, reason: str) -> None:
        task.stop_code, task.stopped_reason, task.reason = "TaskFailedToStart", stopped_reason, reason
        task.last_status = task.desired_status = "STOPPED"
        task.stopped = time.time()

    def _ended(self, task: _Task, container: Container) -> None:
        with task.lock:
            if task.last_status == "STOPPED":
                return
            task.exit_code = container.exit_code
            task.desired_status = "STOPPED"
            if not task.stop_code:
                task.stop_code, task.stopped_reason = "EssentialContainerExited", "Essential container in task exited"
            task.last_status = "DEPROVISIONING"
        if self.slow:
            self._after(self.slow, lambda: self._stopped(task))
        else:
            self._stopped(task)

    def _stopped(self, task: _Task) -> None:
        with task.lock:
            task.last_status, task.stopped = "STOPPED", time.time()

    def _describe_tasks(self, asked: dict[str, Any], region: str) -> dict[str, Any]:
        self._check_cluster(asked, region)
        if not asked.get("tasks"):
            raise _Refused("InvalidParameterException", "Tasks cannot be empty.")
        if len(asked["tasks"]) > 100:
            raise _Refused("InvalidParameterException", "Tasks should contain at most 100 identifiers.")
        found, missing, now = [], [], time.monotonic()
        with_tags = "TAGS" in asked.get("include", ())
        for arn in asked["tasks"]:
            id = str(arn).rpartition("/")[2]
            if len(id) > 36:
                raise _Refused("InvalidParameterException", f"taskId longer than 36: {id}.")
            task = self._tasks.get(arn)
            if task is None or task.visible > now:
                missing.append({"arn": arn, "reason": "MISSING"})
            else:
                told = task.told(self._names, with_tags)
                if self._random.random() < self.goes_back:
                    told.update(lastStatus="PENDING", desiredStatus="RUNNING")
                    for name in ("stoppedAt", "stopCode", "stoppedReason"):
                        told.pop(name, None)
                    for container in told["containers"]:
                        container.pop("exitCode", None)
                found.append(told)
        return {"tasks": found, "failures": missing}

    def _list_tasks(self, asked: dict[str, Any], region: str) -> dict[str, Any]:
        self._check_cluster(asked, region)
        status, now = asked.get("desiredStatus", "RUNNING"), time.monotonic()
        with self._lock:
            tasks = list(self._by_task.get(asked["startedBy"], ()) if asked.get("startedBy") else self._tasks.values())
        arns = [task.arn for task in tasks if task.desired_status == status and task.listed <= now]
        first, size = int(asked.get("nextToken") or 0), min(self.page, int(asked.get("maxResults") or 100))
        begin = max(0, first - 1) if self.repeats else first
        answer: dict[str, Any] = {"taskArns": arns[begin : first + size]}
        if first + size < len(arns):
            answer["nextToken"] = str(first + size)
        return answer

    def _stop_task(self, asked: dict[str, Any], region: str) -> dict[str, Any]:
        self._check_cluster(asked, region)
        task = self._tasks.get(asked["task"])
        if task is None or task.visible > time.monotonic():
            raise _Refused("InvalidParameterException", "The referenced task was not found.")
        with task.lock:
            container = task.container
            if task.desired_status != "STOPPED":
                task.desired_status = "STOPPED"
                task.stop_code, task.stopped_reason = "UserInitiated", asked.get("reason", "")
                if container is None:
                    self._stopped(task)
                else:
                    container.stop(self.stop_grace)
        return {"task": task.told(self._names, False)}

    # -- CloudWatch Logs

    def _get_log_events(self, asked: dict[str, Any], region: str) -> dict[str, Any]:
        prefix, _, rest = asked["logStreamName"].partition("/")
        name, _, id = rest.partition("/")
        task = self._tasks.get(f"arn:aws:ecs:{self.region}:{ACCOUNT}:task/{_CLUSTER}/{id}")
        lines = list(task.container.lines) if task is not None and task.container is not None else []
        if (asked["logGroupName"], prefix, name, region) != (_GROUP, _PREFIX, _CONTAINER, self.region) or not lines:
            raise _Refused("ResourceNotFoundException", "The specified log stream does not exist.")
        limit = int(asked.get("limit") or 10_000)
        first = 0 if asked.get("startFromHead") else max(0, len(lines) - limit)
        if asked.get("nextToken"):
            first = int(asked["nextToken"].rpartition("/")[2])
        shown = lines[first : first + limit]
        events = [{"timestamp": int(at * 1000), "message": text, "ingestionTime": int(at * 1000)} for at, text in shown]
        return {
            "events": events,
            "nextForwardToken": f"f/{first + len(shown)}",
            "nextBackwardToken": f"b/{first}",
        }

    # -- S3

    def _s3(self, method: str, environ: dict[str, Any], body: bytes) -> Reply:
        bucket, _, key = unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
        folder = self.buckets / bucket
        if not bucket or not folder.is_dir():
            raise _Refused("NoSuchBucket", "The specified bucket does not exist", 404)
        if method == "ListObjectsV2":
            query = parse_qs(environ["QUERY_STRING"])
            return 200, {"Content-Type": "application/xml"}, self._listed(folder, query)
        if method == "DeleteObject":
            (folder / key).unlink(missing_ok=True)
            return 204, {}, b""
        if method == "DeleteObjects":
            for node in ElementTree.fromstring(body).iter():
                if node.tag.rpartition("}")[2] == "Key":
                    (folder / str(node.text)).unlink(missing_ok=True)
            return 200, {"Content-Type": "application/xml"}, b"<DeleteResult/>"
        if method == "GetObject":
            if not (folder / key).is_file():
                raise _Refused("NoSuchKey", "The specified key does not exist.", 404)
            return 200, {"Content-Type": "binary/octet-stream"}, (folder / key).read_bytes()
        if method == "PutObject":
            copied = unquote(environ.get("HTTP_X_AMZ_COPY_SOURCE", "")).lstrip("/")
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_bytes((self.buckets / copied).read_bytes() if copied else body)
            return 200, {"Content-Type": "application/xml"}, b"<CopyObjectResult/>" if copied else b""
        raise _Refused("NotImplemented", f"the emulator does not know {method}", 501)

    def _listed(self, folder: Path, query: Mapping[str, list[str]]) -> bytes:
        prefix = query.get("prefix", [""])[0]
        limit = int(query.get("max-keys", ["1000"])[0])
        files = sorted((str(path.relative_to(folder)), path) for path in folder.rglob("*") if path.is_file())
        found = [(key, path.stat()) for key, path in files if key.startswith(prefix)][:limit]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{stat.st_size}</Size><LastModified>"
            f"{time.strftime('%Y-%m-%dT%H:%M:%S.000Z', time.gmtime(stat.st_mtime))}</LastModified>"
            f"<ETag>{zlib.crc32((folder / key).read_bytes()):08x}</ETag></Contents>"
            for key, stat in found
        )
        return (
            f"<ListBucketResult><Name>{escape(folder.name)}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(found)}</KeyCount>"
            f"<MaxKeys>{limit}</MaxKeys><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        ).encode()


_ACTIONS = {"ListObjectsV2": "ListBucket", "DeleteObjects": "DeleteObject"}


def _s3_method(environ: Mapping[str, Any]) -> str:
    query, verb = environ.get("QUERY_STRING", ""), environ["REQUEST_METHOD"]
    if verb == "GET" and "list-type=2" in query:
        return "ListObjectsV2"
    if verb == "POST" and "delete" in query:
        return "DeleteObjects"
    return f"{verb.title()}Object"


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _refusal(refused: _Refused, service: str) -> Reply:
    if service == "s3":
        text = f"<Error><Code>{refused.code}</Code><Message>{escape(refused.message)}</Message></Error>"
        return refused.status, {"Content-Type": "application/xml"}, text.encode()
    answer = {"__type": refused.code, "message": refused.message, **refused.more}
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": refused.code}
    return refused.status, headers, json.dumps(answer).encode()


def _send(reply: Reply, start_response: Callable[..., Any]) -> Iterable[bytes]:
    status, headers, body = reply
    start_response(
        f"{status} {'OK' if status < 300 else 'Error'}", [*headers.items(), ("Content-Length", str(len(body)))]
    )
    return [body]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes. What is printed can be sourced by a shell: credentials, and the options of the plugin as variables.

    Args:
        arguments: of the command line.
    """
    parser = argparse.ArgumentParser(description="Emulates Amazon ECS on Fargate.")
    parser.add_argument("--program", required=True, help='what a container runs: "python -m starlake_core_duckdb"')
    parser.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="variable of the task definition"
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--buckets", type=Path, help="folder that stands for S3")
    given = parser.parse_args(arguments)
    env = dict(pair.split("=", 1) for pair in given.env)
    os.environ.update(CREDENTIALS)
    with Ecs(shlex.split(given.program), env, given.buckets, given.port) as emulator:
        for name, value in CREDENTIALS.items():
            sys.stdout.write(f"export {name}={value}\n")
        for name, value in emulator.options.items():
            text = ",".join(value) if isinstance(value, list) else value
            sys.stdout.write(f"export SL_{name.upper()}={text}\n")
        sys.stdout.flush()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())

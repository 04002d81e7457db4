"""Dataproc over gRPC: jobs and batches that really run as processes, and clusters that come and go.

A driver gets its arguments as they are, and the variables that a driver would get: those of its cluster
(``spark-env:``), in the deploy mode
``cluster`` also ``spark.yarn.appMasterEnv.*``, in a batch ``spark.dataproc.driverEnv.*``. The system properties of
``spark.driver.defaultJavaOptions`` are variables here too, because the program takes the place of Starlake, whose
configuration reads both. What a
driver writes becomes objects ``driveroutput.000000000`` ... of Cloud Storage.

    python tests/emulators/dataproc.py --program "python -m starlake_core_duckdb" --env SL_ROOT=/path/of/the/project
    [--port N]
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import re
import shlex
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if not __package__:  # started as a script
    sys.path[0], __package__ = str(Path(__file__).resolve().parents[1]), "emulators"

import grpc
from google.cloud import dataproc_v1
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2

from .cloud_logging import Source, logging_service
from .containers import Container, Containers
from .faults import Faults
from .grpc_server import GrpcServer, Method, Refused
from .storage import Storage

__all__ = ["Dataproc"]

_PAGE = 100
_CLAUSE = re.compile(r'(status\.state|clusterName|state|labels\.[\w-]+)\s*=\s*"?([\w*-]+)"?')
_REPORTS = (
    "Google Cloud Dataproc Agent reports job failure. If logs are available, they can be found at:\n"
    "https://console.cloud.google.com/dataproc/jobs/{name}?project={project}&region={region}\n{output}"
)
_State = dataproc_v1.JobStatus.State
_BatchState = dataproc_v1.Batch.State
_ClusterState = dataproc_v1.ClusterStatus.State
_BATCH_STATES = {
    "PENDING": _BatchState.PENDING,
    "RUNNING": _BatchState.RUNNING,
    "CANCEL_STARTED": _BatchState.CANCELLING,
    "CANCELLED": _BatchState.CANCELLED,
    "DONE": _BatchState.SUCCEEDED,
    "ERROR": _BatchState.FAILED,
}
_ENDED = ("CANCELLED", "DONE", "ERROR")


@dataclass
class _Run:
    """A job or a batch.

    Attributes:
        number: in the order of submission.
        message: as it was submitted: a protobuf ``Job`` or ``Batch``.
        state: in the words of jobs.
        details: of the state.
        history: states and when they began.
        container: its driver, once it has started.
        cancelled: somebody asked for its end.
    """

    number: int
    name: str
    message: Any
    labels: Mapping[str, str]
    cluster: str = ""
    state: str = "PENDING"
    details: str = ""
    history: list[tuple[str, float]] = field(default_factory=list)
    submitted: float = field(default_factory=time.monotonic)
    container: Container | None = None
    output: str = ""
    told: Any = None

    @property
    def ended(self) -> bool:
        return self.state in _ENDED


class Dataproc:
    """A region of Dataproc.

    Args:
        program: that a driver is.
        env: variables of every driver, as of an image.
        buckets: folder that replaces Cloud Storage; a temporary one by default.
        port: 0 for any that is free.
        project, region: that it serves; others are refused.

    Attributes:
        faults: what goes wrong.
        containers: the drivers.
        storage: Cloud Storage.
        options: of the plugin, that point here and at the cluster ``existing``.
        clusters: name to ``dataproc_v1.Cluster``; may be changed.
        dedupe: whether job ids, batch ids and request ids are honoured. If not, a second submission is a second run.
        lag: seconds until a list shows what was submitted or deleted.
        slow: seconds that a job or cluster stays in a state on its way.
        tells_exit_code: whether the details of a failure tell the exit code, as they sometimes do.
        keeps_output: whether the output of drivers is kept in Cloud Storage; otherwise it is in Cloud Logging alone.
        chunk: bytes of an object of output.
        breaks: details of the next clusters that end in the state ERROR instead of RUNNING.
        skew: seconds by which its clock is ahead of that of this machine.
        page: most jobs or batches in an answer.
        repeats: whether a page begins with the end of the one before.
        goes_back: share of the answers about a job or batch that tell of an earlier state.
    """

    def __init__(
        self,
        program: Sequence[str],
        env: Mapping[str, str] | None = None,
        buckets: Path | None = None,
        port: int = 0,
        *,
        project: str = "emulated",
        region: str = "europe-west1",
    ) -> None:
        self._folder = tempfile.TemporaryDirectory() if buckets is None else None
        self.buckets = Path(self._folder.name) if self._folder is not None else Path(buckets or "")
        self.project, self.region = project, region
        for bucket in ("emulated", f"dataproc-{project}"):
            (self.buckets / bucket).mkdir(parents=True, exist_ok=True)
        self.faults = Faults()
        self.containers = Containers(program, env, self.buckets)
        self.clusters: dict[str, Any] = {}
        self.dedupe = True
        self.lag = 0.0
        self.slow = 0.0
        self.tells_exit_code = True
        self.keeps_output = True
        self.chunk = 1_000_000
        self.breaks: list[str] = []
        self.skew = self.goes_back = 0.0
        self.page = _PAGE
        self.repeats = False
        self._random = random.Random(0)
        self._numbers = itertools.count()
        self._lock = threading.RLock()
        self._jobs: dict[str, _Run] = {}
        self._batches: dict[str, _Run] = {}
        self._operations: dict[str, Any] = {}
        self._dones: dict[str, Callable[[], bool]] = {}
        self._requests: dict[str, str] = {}
        self._sources: dict[int, Source] = {}
        self._timers: list[threading.Timer] = []
        self._closed = False
        self.clusters["existing"] = dataproc_v1.Cluster(
            project_id=project,
            cluster_name="existing",
            cluster_uuid=str(uuid.uuid4()),
            status={"state": _ClusterState.RUNNING},
        )
        self.storage = Storage(self.buckets, self.faults)
        services = {**self._services(), **logging_service(self.containers, self._source, lambda: self.lag)}
        self._server = GrpcServer(services, self.faults, port)
        self.endpoint = f"http://{self._server.address}"
        self.options: dict[str, Any] = {
            "dataproc_project_id": project,
            "dataproc_region": region,
            "dataproc_endpoint": self.endpoint,
            "dataproc_storage_endpoint": self.storage.endpoint,
            "dataproc_logging_endpoint": self.endpoint,
            "dataproc_cluster": "existing",
            "dataproc_poll_interval": 0.05,
            "dataproc_missing_grace": 0,
            "spark_jar_list": "gs://emulated/starlake-assembly.jar",
            "spark_bucket": "emulated",
        }

    def __enter__(self) -> Dataproc:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving, and kill what still runs."""
        self._closed = True
        for timer in self._timers:
            timer.cancel()
        self._server.close()
        self.storage.close()
        self.containers.close()
        if self._folder is not None:
            self._folder.cleanup()

    # -- for tests

    def seed_history(self, count: int) -> None:
        """Add jobs that have ended, without processes.

        Args:
            count: how many.
        """
        self._seed(count, "DONE")

    def seed_running(self, count: int) -> list[str]:
        """Add jobs that run, without processes.

        Args:
            count: how many.

        Returns:
            Their handles.
        """
        return [f"projects/{self.project}/regions/{self.region}/jobs/{name}" for name in self._seed(count, "RUNNING")]

    def _seed(self, count: int, state: str) -> list[str]:
        names = []
        with self._lock:
            for _ in range(count):
                number = len(self._jobs)
                name = f"starbake-load-orders-{number:012x}"
                task = f"starbake_load/scheduled__2026-11-02T00:00:00+00:00/starbake.load_orders_{number}"
                env = {
                    "SL_ROOT": "gs://emulated/starbake",
                    "SL_RUN_TASK": task,
                    "SL_RUN_KEY": task,
                    "SL_RUN_ATTEMPT": "1",
                }
                job = {
                    "reference": {"project_id": self.project, "job_id": name},
                    "placement": {"cluster_name": "existing"},
                    "labels": {"starlake_core": "run", "starlake_task": f"{number:012x}"},
                    "spark_job": {
                        "main_class": "ai.starlake.job.Main",
                        "jar_file_uris": ["gs://emulated/starlake-assembly.jar"],
                        "args": ["load", "--domains", "starbake", "--tables", f"orders_{number}"],
                        "properties": {
                            **{f"spark.executorEnv.{key}": value for key, value in env.items()},
                            **{
                                "spark.executor.memory": "11g",
                                "spark.executor.cores": "4",
                                "spark.executor.instances": "1",
                            },
                            "spark.driver.defaultJavaOptions": " ".join(
                                f"-D{key}={value}" for key, value in env.items()
                            ),
                        },
                    },
                }
                run = self._new(self._jobs, name, dataproc_v1.Job.pb(dataproc_v1.Job(job)), job["labels"], "existing")
                run.submitted -= 3600
                self._move(run, state)
                names.append(name)
        return names

    def _now(self) -> float:
        return time.time() + self.skew

    # -- services

    def _services(self) -> dict[str, dict[str, Method]]:
        v1, lro = dataproc_v1, operations_pb2
        return {
            "google.cloud.dataproc.v1.JobController": {
                "SubmitJob": Method(self._submit_job, v1.SubmitJobRequest, v1.Job),
                "GetJob": Method(self._get_job, v1.GetJobRequest, v1.Job),
                "ListJobs": Method(self._list_jobs, v1.ListJobsRequest, v1.ListJobsResponse),
                "CancelJob": Method(self._cancel_job, v1.CancelJobRequest, v1.Job),
                "DeleteJob": Method(self._delete_job, v1.DeleteJobRequest, empty_pb2.Empty),
            },
            "google.cloud.dataproc.v1.ClusterController": {
                "CreateCluster": Method(self._create_cluster, v1.CreateClusterRequest, lro.Operation),
                "GetCluster": Method(self._get_cluster, v1.GetClusterRequest, v1.Cluster),
                "ListClusters": Method(self._list_clusters, v1.ListClustersRequest, v1.ListClustersResponse),
                "DeleteCluster": Method(self._delete_cluster, v1.DeleteClusterRequest, lro.Operation),
            },
            "google.cloud.dataproc.v1.BatchController": {
                "CreateBatch": Method(self._create_batch, v1.CreateBatchRequest, lro.Operation),
                "GetBatch": Method(self._get_batch, v1.GetBatchRequest, v1.Batch),
                "ListBatches": Method(self._list_batches, v1.ListBatchesRequest, v1.ListBatchesResponse),
                "DeleteBatch": Method(self._delete_batch, v1.DeleteBatchRequest, empty_pb2.Empty),
            },
            "google.longrunning.Operations": {
                "GetOperation": Method(self._get_operation, lro.GetOperationRequest, lro.Operation),
                "ListOperations": Method(self._list_operations, lro.ListOperationsRequest, lro.ListOperationsResponse),
                "CancelOperation": Method(self._cancel_operation, lro.CancelOperationRequest, empty_pb2.Empty),
            },
        }

    def _here(self, project: str, region: str) -> None:
        if region != self.region:
            raise Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"Region '{region}' invalid or not supported by endpoint '{self._server.address}'. permitted regions: '[{self.region}]'",
            )
        if project != self.project:
            raise Refused(
                grpc.StatusCode.PERMISSION_DENIED,
                f"Permission denied on resource project {project} (or it may not exist).",
            )

    def _later(self, call: Callable[[], None]) -> None:
        """Do something when the state on the way is over."""

        def locked() -> None:
            with self._lock:
                if not self._closed:
                    call()

        if self.slow <= 0:
            locked()
            return
        timer = threading.Timer(self.slow, locked)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    # -- runs: jobs and batches

    def _new(self, runs: dict[str, _Run], name: str, message: Any, labels: Mapping[str, str], cluster: str) -> _Run:
        run = _Run(next(self._numbers), name, message, dict(labels), cluster)
        runs[name] = run
        self._move(run, "PENDING")
        return run

    def _move(self, run: _Run, state: str, details: str = "") -> None:
        run.state, run.details, run.told = state, details, None
        run.history.append((state, self._now()))

    def _start(
        self, run: _Run, arguments: Sequence[str], env: Mapping[str, str], source: Source, keeps: bool, folder: str
    ) -> None:
        if run.ended:
            return  # cancelled meanwhile
        writer = _Writer(self.buckets, folder, self.chunk) if self.keeps_output else None
        if writer is not None:
            run.output = writer.prefix
            if not keeps:
                writer.write("INFO Client: Application report for application_1 (state: RUNNING)\n")
        try:
            run.container = self.containers.start(
                run.name,
                arguments,
                env,
                lambda container: self._ended(run, container),
                writer.write if writer is not None and keeps else lambda line: None,
            )
        except OSError as error:
            self._move(run, "ERROR", f"Job failed with message [{error}].")
            return
        self._sources[id(run.container)] = source
        self._move(run, "RUNNING")

    def _ended(self, run: _Run, container: Container) -> None:
        with self._lock:
            if run.ended:
                return
            if container.exit_code == 0:
                self._move(run, "DONE")
            elif container.stopped:
                self._move(run, "CANCELLED")
            else:
                details = _REPORTS.format(name=run.name, project=self.project, region=self.region, output=run.output)
                code = f"\nDriver exited with {container.exit_code} code." if self.tells_exit_code else ""
                self._move(run, "ERROR", details + code)

    def _cancel(self, run: _Run) -> None:
        if run.ended:
            raise Refused(
                grpc.StatusCode.FAILED_PRECONDITION, f"Job {run.name} is already in the terminal state {run.state}"
            )
        if run.container is None:
            self._move(run, "CANCELLED")
            return
        if run.state != "CANCEL_STARTED":
            self._move(run, "CANCEL_STARTED")
        run.container.stop()

    def _source(self, container: Container) -> Source:
        return self._sources.get(id(container)) or Source(self.project, "unknown", "unknown")

    def _page(self, runs: Mapping[str, _Run], request: Any) -> tuple[list[_Run], str]:
        """A page of a list, the newest first. The token is a place in the order, so that what ends meanwhile shifts nothing."""
        wanted = _matching(request.filter)
        before = int(request.page_token) if request.page_token else sys.maxsize - 1
        size = min(request.page_size or self.page, self.page)
        seen = time.monotonic() - self.lag
        page: list[_Run] = []
        for run in reversed(list(runs.values())):
            # A token is the place of the last run of a page, which may be repeated on the next page.
            if (
                run.number < before + int(self.repeats and bool(request.page_token))
                and run.submitted <= seen
                and wanted(run)
            ):
                if len(page) == size + int(self.repeats and bool(request.page_token)):
                    return page, str(page[-1].number)
                page.append(run)
        return page, ""

    def _found(self, runs: Mapping[str, _Run], name: str, kind: str) -> _Run:
        if name not in runs:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Not found: {kind} {name}")
        return runs[name]

    def _remember(self, method: str, request: str, name: str) -> None:
        if request:
            self._requests[f"{method} {request}"] = name

    def _again(self, runs: Mapping[str, _Run], name: str, request: str) -> str | None:
        """Return the run that was already submitted, or an error."""
        if not self.dedupe:
            return None
        if request in self._requests:
            return self._requests[request]
        if name in runs:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"Already exists: {name}")
        return None

    def _goes_back(self) -> bool:
        return self._random.random() < self.goes_back

    def _earlier(self, run: _Run, tell: Callable[[_Run], Any]) -> Any:
        """Return what the service reports about a run that was just submitted."""
        kept = run.state, run.history, run.told
        run.state, run.history, run.told = "PENDING", run.history[:1], None
        try:
            return tell(run)
        finally:
            run.state, run.history, run.told = kept

    @property
    def batches(self) -> dict[str, Any]:
        """The batches as they were created, by name."""
        with self._lock:
            return {name: dataproc_v1.Batch.wrap(run.message) for name, run in self._batches.items()}

    def cancel_all(self) -> None:
        """Cancel everything that is running, as another process would."""
        with self._lock:
            for run in (*self._jobs.values(), *self._batches.values()):
                if not run.ended:
                    self._cancel(run)

    def forget_ended(self) -> None:
        """Forget what has ended, and the requests that started it."""
        with self._lock:
            for runs in (self._jobs, self._batches):
                for name, run in list(runs.items()):
                    if run.ended:
                        del runs[name]
                        self._requests = {asked: made for asked, made in self._requests.items() if made != name}

    # -- jobs

    def _submit_job(self, request: Any) -> Any:
        with self._lock:
            self._here(request.project_id, request.region)
            job = dataproc_v1.Job.pb(request.job)
            _refuse_labels(job.labels)
            name = job.reference.job_id or str(uuid.uuid4())
            known = self._again(self._jobs, name, "SubmitJob " + request.request_id)
            if known is not None:
                return self._tell_job(self._jobs[known])
            place = job.placement.cluster_name
            cluster = self.clusters.get(place)
            if cluster is None:
                path = f"projects/{self.project}/regions/{self.region}/clusters/{place}"
                raise Refused(grpc.StatusCode.NOT_FOUND, f"Not found: Cluster {path}")
            if cluster.status.state != _ClusterState.RUNNING:
                raise Refused(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"Cluster {place} is in state {cluster.status.state.name} and cannot accept jobs",
                )
            while name in self._jobs:
                name += "-again"
            job.reference.job_id = name
            job.reference.project_id = self.project
            run = self._new(self._jobs, name, job, job.labels, place)
            self._remember("SubmitJob", request.request_id, name)
            spark, uid = job.spark_job, cluster.cluster_uuid
            bucket = cluster.config.config_bucket or f"dataproc-{self.project}"
            labels = {"project_id": self.project, "region": self.region, "job_id": name, "cluster_name": place}
            source = Source(self.project, "dataproc.job.driver", "cloud_dataproc_job", labels)
            properties = dict(spark.properties)
            in_yarn = properties.get("spark.submit.deployMode") == "cluster"
            env = _driver_env(properties, dict(cluster.config.software_config.properties), in_yarn)
            folder = f"{bucket}/google-cloud-dataproc-metainfo/{uid}/jobs/{name}"
            self._later(lambda: self._start(run, list(spark.args), env, source, not in_yarn, folder))
            return self._tell_job(run)

    def _tell_job(self, run: _Run) -> Any:
        if run.told is None:
            job = dataproc_v1.Job.pb(dataproc_v1.Job())
            job.CopyFrom(run.message)
            *before, now = run.history
            for state, moment in before:
                _stamp(job.status_history.add(), int(_State[state]), moment)
            _stamp(job.status, int(_State[now[0]]), now[1])
            job.status.details = run.details
            job.driver_output_resource_uri = run.output
            job.done = run.ended
            run.told = job
        return dataproc_v1.Job.wrap(run.told)

    def _get_job(self, request: Any) -> Any:
        with self._lock:
            self._here(request.project_id, request.region)
            run = self._found(self._jobs, request.job_id, "Job")
            return self._earlier(run, self._tell_job) if self._goes_back() else self._tell_job(run)

    def _list_jobs(self, request: Any) -> Any:
        with self._lock:
            self._here(request.project_id, request.region)
            page, token = self._page(self._jobs, request)
            reply = dataproc_v1.ListJobsResponse.pb(dataproc_v1.ListJobsResponse(next_page_token=token))
            reply.jobs.extend(dataproc_v1.Job.pb(self._tell_job(run)) for run in page)
            return dataproc_v1.ListJobsResponse.wrap(reply)

    def _cancel_job(self, request: Any) -> Any:
        with self._lock:
            self._here(request.project_id, request.region)
            run = self._found(self._jobs, request.job_id, "Job")
            self._cancel(run)
            return self._tell_job(run)

    def _delete_job(self, request: Any) -> Any:
        with self._lock:
            run = self._found(self._jobs, request.job_id, "Job")
            if not run.ended:
                raise Refused(grpc.StatusCode.FAILED_PRECONDITION, f"Job {run.name} is not in a terminal state")
            del self._jobs[run.name]
            return empty_pb2.Empty()

    # -- batches

    def _create_batch(self, request: Any) -> Any:
        with self._lock:
            self._there(request.parent)
            name = request.batch_id
            if not re.fullmatch(r"[a-z0-9-]{4,63}", name):
                raise Refused(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"Batch ID '{name}' must conform to pattern '[a-z0-9][a-z0-9-]{{2,61}}[a-z0-9]'",
                )
            known = self._again(self._batches, name, "CreateBatch " + request.request_id)
            if known is not None:
                return self._operations[self._batches[known].message.operation]
            while name in self._batches:
                name += "-again"
            _refuse_batch(request.batch)
            batch = dataproc_v1.Batch.pb(request.batch)
            batch.name = f"{request.parent}/batches/{name}"
            batch.uuid = str(uuid.uuid4())
            batch.operation = self._operation(lambda: False)
            properties = dict(batch.runtime_config.properties)
            executors = properties.get("spark.executor.instances", "2")
            if int(executors) < 2:
                raise Refused(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"Batch's number of executors must be at least 2, found {executors}",
                )
            run = self._new(self._batches, name, batch, batch.labels, "")
            self._remember("CreateBatch", request.request_id, name)
            env = {
                **_system_properties(properties),
                **{
                    key.removeprefix("spark.dataproc.driverEnv."): value
                    for key, value in properties.items()
                    if key.startswith("spark.dataproc.driverEnv.")
                },
            }
            source = Source(
                self.project,
                "dataproc.batch.driver",
                "cloud_dataproc_batch",
                {"project_id": self.project, "batch_id": name},
            )
            folder = (
                f"dataproc-{self.project}/google-cloud-dataproc-metainfo/{batch.uuid}/jobs/srvls-batch-{batch.uuid}"
            )
            args = list(batch.spark_batch.args)
            self._later(lambda: self._start(run, args, env, source, True, folder))
            return self._operations[batch.operation]

    def _there(self, parent: str) -> None:
        _, project, _, region, *_ = [*parent.split("/"), *[""] * 4]
        self._here(project, region)

    def _tell_batch(self, run: _Run) -> Any:
        if run.told is None:
            batch = dataproc_v1.Batch.pb(dataproc_v1.Batch())
            batch.CopyFrom(run.message)
            batch.state = int(_BATCH_STATES[run.state])
            batch.state_message = run.details
            batch.create_time.FromNanoseconds(int(run.history[0][1] * 1e9))
            batch.state_time.FromNanoseconds(int(run.history[-1][1] * 1e9))
            batch.runtime_info.output_uri = run.output
            properties = {f"spark:{key}": value for key, value in batch.runtime_config.properties.items()}
            batch.runtime_config.properties.clear()
            batch.runtime_config.properties.update(properties)
            run.told = batch
        return dataproc_v1.Batch.wrap(run.told)

    def _batch(self, name: str) -> _Run:
        self._there(name)
        return self._found(self._batches, name.rpartition("/")[2], "Batch")

    def _get_batch(self, request: Any) -> Any:
        with self._lock:
            run = self._batch(request.name)
            return self._earlier(run, self._tell_batch) if self._goes_back() else self._tell_batch(run)

    def _list_batches(self, request: Any) -> Any:
        with self._lock:
            self._there(request.parent)
            page, token = self._page(self._batches, request)
            reply = dataproc_v1.ListBatchesResponse.pb(dataproc_v1.ListBatchesResponse(next_page_token=token))
            reply.batches.extend(dataproc_v1.Batch.pb(self._tell_batch(run)) for run in page)
            return dataproc_v1.ListBatchesResponse.wrap(reply)

    def _delete_batch(self, request: Any) -> Any:
        with self._lock:
            run = self._batch(request.name)
            if not run.ended:
                raise Refused(grpc.StatusCode.FAILED_PRECONDITION, f"Batch {run.name} is not in a terminal state")
            del self._batches[run.name]
            return empty_pb2.Empty()

    # -- clusters

    def _create_cluster(self, request: Any) -> Any:
        with self._lock:
            self._here(request.project_id, request.region)
            cluster = request.cluster
            name = cluster.cluster_name
            if not re.fullmatch(r"[a-z]([-a-z0-9]{0,49}[a-z0-9])?", name):
                raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Invalid cluster name '{name}'")
            if name in self.clusters:
                path = f"projects/{self.project}/regions/{self.region}/clusters/{name}"
                raise Refused(
                    grpc.StatusCode.ALREADY_EXISTS, f"Already exists: Failed to create cluster: Cluster {path}"
                )
            _refuse_cluster(cluster)
            cluster.cluster_uuid = str(uuid.uuid4())
            cluster.status = {"state": _ClusterState.CREATING, "state_start_time": _stamped(self._now())}
            self.clusters[name] = cluster
            (self.buckets / (cluster.config.config_bucket or f"dataproc-{self.project}")).mkdir(exist_ok=True)
            detail = self.breaks.pop(0) if self.breaks else ""

            def ready() -> None:
                if cluster.status.state == _ClusterState.CREATING:
                    cluster.status = {
                        "state": _ClusterState.ERROR if detail else _ClusterState.RUNNING,
                        "detail": detail,
                    }

            self._later(ready)
            made = self._operation(lambda: cluster.status.state != _ClusterState.CREATING)
            about = dataproc_v1.ClusterOperationMetadata(cluster_name=name, operation_type="CREATE")
            self._operations[made].metadata.Pack(dataproc_v1.ClusterOperationMetadata.pb(about))
            return self._operations[made]

    def _cluster(self, request: Any) -> Any:
        self._here(request.project_id, request.region)
        if request.cluster_name not in self.clusters:
            path = f"projects/{self.project}/regions/{self.region}/clusters/{request.cluster_name}"
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Not found: Cluster {path}")
        return self.clusters[request.cluster_name]

    def _get_cluster(self, request: Any) -> Any:
        with self._lock:
            return self._cluster(request)

    def _list_clusters(self, request: Any) -> Any:
        with self._lock:
            self._here(request.project_id, request.region)
            return dataproc_v1.ListClustersResponse(clusters=list(self.clusters.values()))

    def _delete_cluster(self, request: Any) -> Any:
        with self._lock:
            cluster = self._cluster(request)
            name = cluster.cluster_name
            if request.cluster_uuid and request.cluster_uuid != cluster.cluster_uuid:
                raise Refused(grpc.StatusCode.NOT_FOUND, f"Not found: Cluster {name} with UUID {request.cluster_uuid}")
            if cluster.status.state == _ClusterState.DELETING:
                raise Refused(grpc.StatusCode.FAILED_PRECONDITION, f"Cluster {name} is being deleted")
            cluster.status = {"state": _ClusterState.DELETING}
            for run in self._jobs.values():
                if run.cluster == name and not run.ended:
                    self._move(run, "ERROR", f"Cluster '{name}' was deleted.")
                    if run.container is not None:
                        run.container.stop()

            def gone() -> None:
                if self.clusters.get(name) is cluster:
                    del self.clusters[name]

            self._later(gone)
            return self._operations[self._operation(lambda: self.clusters.get(name) is not cluster)]

    # -- operations

    def _operation(self, done: Callable[[], bool]) -> str:
        name = f"projects/{self.project}/regions/{self.region}/operations/{uuid.uuid4()}"
        operation = operations_pb2.Operation(name=name)
        operation.metadata.Pack(empty_pb2.Empty())
        self._operations[name] = operation
        self._dones[name] = done
        return name

    def fail_operation(self, name: str, message: str) -> None:
        """Let an operation end in an error.

        Args:
            name: of the operation.
            message: of the error.
        """
        with self._lock:
            self._operations[name].done = True
            self._operations[name].error.CopyFrom(status_pb2.Status(code=13, message=message))

    def _get_operation(self, request: Any) -> Any:
        with self._lock:
            if request.name not in self._operations:
                raise Refused(grpc.StatusCode.NOT_FOUND, f"Operation {request.name} not found")
            operation = self._operations[request.name]
            if not operation.done and self._dones[request.name]():
                operation.done = True
                operation.response.Pack(empty_pb2.Empty())
            return operation

    def _list_operations(self, request: Any) -> Any:
        with self._lock:
            found = re.fullmatch(r"clusterName = (\S+) AND operationType = CREATE", request.filter)
            if found is None:
                raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Invalid list filter: {request.filter}")
            listed = []
            for operation in self._operations.values():
                about = dataproc_v1.ClusterOperationMetadata.pb()()
                if operation.metadata.Unpack(about) and about.cluster_name == found[1]:
                    listed.append(operation)
            return operations_pb2.ListOperationsResponse(operations=listed)

    def operation_of(self, cluster: str) -> str:
        """The name of the operation that makes a cluster.

        Args:
            cluster: its name.
        """
        asked = operations_pb2.ListOperationsRequest(filter=f"clusterName = {cluster} AND operationType = CREATE")
        return str(self._list_operations(asked).operations[-1].name)

    def _cancel_operation(self, request: Any) -> Any:
        with self._lock:
            for run in self._batches.values():
                if run.message.operation == request.name:
                    if not run.ended:
                        self._cancel(run)
                    return empty_pb2.Empty()
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Operation {request.name} not found")


def _refuse_labels(labels: Mapping[str, str]) -> None:
    wrong = [
        name
        for name, value in labels.items()
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}=[a-z0-9_-]{0,63}", f"{name}={value}")
    ]
    if len(labels) > 32 or wrong:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Invalid labels: {len(labels)} ({', '.join(wrong)})")


def _refuse_batch(batch: Any) -> None:
    """What Dataproc does not take, as its documentation has it."""
    _refuse_labels(batch.labels)
    runtime, execution = batch.runtime_config, batch.environment_config.execution_config
    if runtime.version and not re.fullmatch(r"\d+\.\d+(\.\d+)?", runtime.version):
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Runtime version '{runtime.version}' is not supported")
    for name in ("spark.executor.cores", "spark.driver.cores"):
        if runtime.properties.get(name, "4") not in ("4", "8", "16"):
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"{name} must be 4, 8 or 16")
    ttl = execution.ttl.total_seconds() if execution.ttl else 0
    if ttl and not 600 <= ttl <= 14 * 86400:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Invalid ttl {ttl}")


def _refuse_cluster(cluster: Any) -> None:
    """What Dataproc does not take, as its documentation has it."""
    _refuse_labels(cluster.labels)
    config, software = cluster.config, cluster.config.software_config
    single = software.properties.get("dataproc:dataproc.allow.zero.workers") == "true"
    if config.worker_config and not single and config.worker_config.num_instances < 2:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "Clusters require a minimum of 2 worker nodes")
    if single and (config.worker_config.num_instances or config.secondary_worker_config.num_instances):
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "A cluster of a single node has no workers")
    if software.image_version and not re.fullmatch(r"(preview|\d+\.\d+)([.-].+)?", software.image_version):
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Image version '{software.image_version}' not found")
    gce = config.gce_cluster_config
    if gce.network_uri and gce.subnetwork_uri:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "At most one of network and subnetwork can be specified")
    for role in ("master", "worker", "secondary_worker"):
        if getattr(config, f"{role}_config") and getattr(config, f"{role}_flexible_config", None):
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"At most one of {role} configurations can be specified")
    idle, age = config.lifecycle_config.idle_delete_ttl, config.lifecycle_config.auto_delete_ttl
    for ttl, least in ((idle, 300), (age, 600)):
        if ttl and not least <= ttl.total_seconds() <= 14 * 86400:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Invalid time to live {ttl}")
    for name in software.properties:
        if ":" not in name:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Invalid property {name}: it has no prefix")


class _Writer:
    """Appends the output of a driver to objects of a limited size."""

    def __init__(self, buckets: Path, folder: str, chunk: int) -> None:
        self.prefix = f"gs://{folder}/driveroutput"
        self._base = buckets / folder
        self._base.mkdir(parents=True, exist_ok=True)
        self._chunk = chunk
        self._number = 0
        self._size = 0

    def write(self, line: str) -> None:
        content = line.encode()
        while content:
            piece = content[: self._chunk - self._size]
            with (self._base / f"driveroutput.{self._number:09}").open("ab") as file:
                file.write(piece)
            content = content[len(piece) :]
            self._size += len(piece)
            if self._size >= self._chunk:
                self._number, self._size = self._number + 1, 0


def _stamped(moment: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromNanoseconds(int(moment * 1e9))
    return stamp


def _stamp(status: Any, state: int, moment: float) -> None:
    status.state = state
    status.state_start_time.FromNanoseconds(int(moment * 1e9))


def _system_properties(properties: Mapping[str, str]) -> dict[str, str]:
    words = [
        word
        for kind in ("default", "extra")
        for word in shlex.split(properties.get(f"spark.driver.{kind}JavaOptions", ""))
    ]
    pairs = (word[2:].partition("=") for word in words if word.startswith("-D"))
    return {name: value for name, _, value in pairs}


def _driver_env(properties: Mapping[str, str], of_cluster: Mapping[str, str], in_yarn: bool) -> dict[str, str]:
    """The variables of the driver of a job: see the module."""
    env = {
        name.removeprefix("spark-env:"): value for name, value in of_cluster.items() if name.startswith("spark-env:")
    }
    env.update(_system_properties(properties))
    prefix = "spark.yarn.appMasterEnv."
    if in_yarn:
        env.update({name.removeprefix(prefix): value for name, value in properties.items() if name.startswith(prefix)})
    return env


def _matching(text: str) -> Callable[[_Run], bool]:
    """The filter of a list: comparisons joined by AND, and in parentheses by OR."""
    tests = []
    for part in re.split(r"\s+AND\s+", text.strip()) if text.strip() else ():
        any_of = [_comparison(clause) for clause in re.split(r"\s+OR\s+", part.strip("() "))]
        tests.append(any_of)
    return lambda run: all(any(test(run) for test in any_of) for any_of in tests)


def _comparison(clause: str) -> Callable[[_Run], bool]:
    found = _CLAUSE.fullmatch(clause.strip())
    if found is None:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Invalid list filter: {clause}")
    name, value = found[1], found[2]
    if name == "status.state":
        if value not in ("ACTIVE", "NON_ACTIVE"):
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Invalid list filter: {clause}")
        return lambda run: run.ended is (value == "NON_ACTIVE")
    if name == "state":
        return lambda run: _BATCH_STATES[run.state].name == value
    if name == "clusterName":
        return lambda run: run.cluster == value
    label = name.removeprefix("labels.")
    return lambda run: label in run.labels and value in ("*", run.labels[label])


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="Dataproc on this machine; drivers are processes.")
    parser.add_argument("--program", default="python -m starlake_core_duckdb", help="what a driver is")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="a variable of every driver")
    parser.add_argument("--buckets", type=Path, help="folder with a folder for each bucket; a temporary one by default")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--existing", action="store_true", help="name the cluster that exists, instead of one for each run"
    )
    given = parser.parse_args()
    env = dict(pair.partition("=")[::2] for pair in given.env)
    with Dataproc(shlex.split(given.program), env, given.buckets, given.port) as emulator:
        options = {
            name: value for name, value in emulator.options.items() if given.existing or name != "dataproc_cluster"
        }
        words = [f"--option {name}={value}" for name, value in options.items()]
        sys.stdout.write(" \\\n  ".join(["--environment dataproc", *words]) + "\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()

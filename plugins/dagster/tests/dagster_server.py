"""A whole Dagster in processes of its own: ``dagster dev`` with its webserver, daemon, code servers and run workers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from dagster import DagsterInstance

PATIENCE = 300.0
PYTHON = (sys.executable, "-m")

# The queue of runs looks every five seconds otherwise.
INSTANCE = """\
telemetry:
  enabled: false
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config:
    dequeue_interval_seconds: 1
"""

LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries {
  name locationOrLoadError {
    ... on RepositoryLocation { repositories {
      name pipelines { name } schedules { name scheduleState { id status } } sensors { name sensorState { status } }
    } }
    ... on PythonError { message }
  }
} } } }
"""

LAUNCH = """
mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } }
} }
"""

AGAIN = """
mutation($params: ReexecutionParams!) { launchPipelineReexecution(reexecutionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
} }
"""

STOP = """
mutation($run: String!) { terminateRun(runId: $run, terminatePolicy: SAFE_TERMINATE) { __typename } }
"""

RUN = """
query($run: ID!) { runOrError(runId: $run) { ... on Run {
  runId status tags { key value } stepStats { stepKey status }
} } }
"""

RUNS = """
query($job: String!) { runsOrError(filter: {pipelineName: $job}) { ... on Runs { results { runId status } } } }
"""

NODES = """
{ assetNodes { assetKey { path } dependencyKeys { path } groupName isMaterializable isPartitioned jobNames } }
"""

MATERIALIZATIONS = """
query($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset { assetMaterializations {
  runId partition metadataEntries { label ... on TextMetadataEntry { text } }
} } } }
"""

PARTITIONS = """
query($job: PipelineSelector!) { pipelineOrError(params: $job) { ... on Pipeline {
  partitionKeysOrError(limit: 2, reverse: true) { partitionKeys }
} } }
"""

BACKFILL = """
mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
} }
"""

BACKFILLED = """
query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }
"""

START_SENSOR = """
mutation($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) { __typename ... on PythonError { message } } }
"""

RELOAD = """
mutation($location: String!) { reloadRepositoryLocation(repositoryLocationName: $location) {
  __typename ... on PythonError { message }
} }
"""

LOGS = """
query($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
  __typename ... on MessageEvent { message stepKey } ... on ErrorEvent { error { message } } %s
} } } }
"""

TYPES = """
{ __schema { types {
  name possibleTypes { name } fields { name args { name } type { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }
} } }
"""

UNANSWERED = {("AssetMaterializationPlannedEvent", "pipelineName")}
"""Fields that Dagster promises, and does not fill in."""


def all_fields(types: Mapping[str, Any], name: str, depth: int = 3) -> str:
    """The fields of a type of Dagster's API, as a query names them, and those of what they hold.

    Args:
        types: the types by their names.
        name: the name of the type.
        depth: how many objects may hold one another.
    """
    found = ["__typename"]
    for field_ in types[name]["fields"] or ():
        kind = field_["type"]
        while kind.get("ofType"):
            kind = kind["ofType"]
        # One name may have another type in another event.
        shown = f"{name}_{field_['name']}: {field_['name']}"
        if (name, field_["name"]) in UNANSWERED or field_["args"] or (kind["kind"] == "OBJECT" and depth == 1):
            continue
        if kind["kind"] in ("SCALAR", "ENUM"):
            found.append(shown)
        else:
            found.append(f"{shown} {{ {all_fields(types, kind['name'], depth - 1)} }}")
    return " ".join(found)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], Any], what: str, logs: Callable[[], str] = str) -> Any:
    """Wait until something is true, and return it; the time is only there so that no test hangs."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = true()
        if found:
            return found
        assert time.monotonic() < deadline, f"this never happened: {what}{logs()}"
        time.sleep(0.3)


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has buried yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def begin_of(partition: str) -> datetime:
    """When a partition begins."""
    return datetime.strptime(partition, "%Y-%m-%dT%H:%M:%S%z")


def family(variable: str, value: str) -> dict[int, str]:
    """The processes that run with an environment variable, each with its command: children of children, also in groups of their own."""
    wanted = f"{variable}={value}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0") and alive(int(folder.name)):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


@contextlib.contextmanager
def _environ(variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Variables with a folder for what Dagster leaves; its sockets are there, whose paths have to be short."""
    with tempfile.TemporaryDirectory(prefix="sl-", ignore_cleanup_errors=True) as folder:
        yield {**variables, "TMPDIR": folder}


@dataclass(frozen=True)
class Job:
    """A job, and the code location where it is."""

    name: str
    repository: str
    location: str

    @property
    def selector(self) -> dict[str, str]:
        """How GraphQL names it."""
        return {
            "repositoryName": self.repository,
            "repositoryLocationName": self.location,
            "pipelineName": self.name,
        }


@dataclass(frozen=True)
class Materialization:
    """What is kept of an asset that a run made.

    Attributes:
        run_id: of the run.
        partition: empty without one.
        metadata: the texts among its metadata.
    """

    run_id: str
    partition: str
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class LiveRun:
    """A run as GraphQL tells of it.

    Attributes:
        run_id: its id.
        status: as Dagster names it.
        tags: of the run.
        steps: name of a step, without those of its pipeline and of the graph around it, to its status.
    """

    run_id: str
    status: str
    tags: Mapping[str, str] = field(default_factory=dict)
    steps: Mapping[str, str] = field(default_factory=dict)


def _step_name(key: str) -> str:
    """The name of a step, without those of its pipeline and of the graph around it."""
    graph, _, name = key.rpartition(".")
    return name if graph else key.partition("__")[2] or key


class LiveDagster:
    """A Dagster whose instance is in a folder.

    Args:
        home: an empty folder.
        files: the pipeline files, each of which is a code location.
        environ: further variables for all of its processes.
    """

    def __init__(self, home: Path, files: Sequence[Path], environ: Mapping[str, str]) -> None:
        self.home = home
        self.files = files
        self.url = ""
        home.mkdir(parents=True)
        (home / "dagster.yaml").write_text(INSTANCE)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SL_", "DAGSTER"))}
        self.environ = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DAGSTER_HOME": str(home),
            "PYTHONWARNINGS": "ignore",
            **environ,
        }

    # -- its processes

    def sensor_looked(self, name: str) -> int:
        """How often a sensor has looked since the server began."""
        with DagsterInstance.from_config(str(self.home)) as instance:
            for state in instance.all_instigator_state():
                if state.instigator_name == name:
                    return len(instance.get_ticks(state.instigator_origin_id, state.selector_id))
        return 0

    @contextlib.contextmanager
    def running(
        self, *words: str, folder: Path | None = None, program: Sequence[str] = (*PYTHON, "dagster", "dev")
    ) -> Iterator[None]:
        """While this block is open, Dagster runs.

        Args:
            *words: what it loads; its files by default.
            folder: where it is started; its home by default.
            program: the command that starts it.
        """
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        files = words or self._files
        with self._process(*program, *files, "--host", "127.0.0.1", "--port", str(port), folder=folder) as process:
            until(lambda: process.poll() is not None or self._is_up(), "the webserver answers", self.logs)
            assert process.poll() is None, self.logs()
            yield

    @contextlib.contextmanager
    def only_daemon(self) -> Iterator[None]:
        """While this block is open, the daemon runs, without a webserver."""
        with self._process(*PYTHON, "dagster._daemon", "run", *self._files):
            yield

    @property
    def _files(self) -> list[str]:
        return [word for file in self.files for word in ("-f", str(file))]

    @contextlib.contextmanager
    def _process(self, *words: str, folder: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
        with _environ(self.environ) as environ:
            with (self.home / "dev.log").open("ab") as log:
                process = subprocess.Popen(
                    words,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=folder or self.home,
                    start_new_session=True,
                )
            try:
                yield process
            finally:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                self._bury()
                process.wait()

    def _bury(self) -> None:
        """Kill whatever of it is still there. The watchdog of a worker ends by itself, when it has killed the jobs of that worker."""

        def gone() -> bool:
            left = family("DAGSTER_HOME", str(self.home))
            for pid, command in left.items():
                if "watchdog" not in command:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            return not left

        until(gone, "all processes of Dagster are gone")

    def _is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/server_info", timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def validate(self, *files: Path, folder: Path) -> str:
        """Let Dagster check whether it can load files from a folder, and return what it says."""
        words = [word for file in files for word in ("-f", str(file))]
        with _environ(self.environ) as environ:
            done = subprocess.run(
                [sys.executable, "-m", "dagster", "definitions", "validate", *words],
                env=environ,
                text=True,
                capture_output=True,
                cwd=folder,
                check=False,
                timeout=PATIENCE,
            )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    # -- its API

    def ask(self, query: str, **variables: Any) -> Any:
        """Ask the webserver, and return the data of its answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:  # what is wrong with the question is in the body
            text = error.read()
        found = json.loads(text)
        assert not found.get("errors"), f"{found['errors']}{self.logs()}"
        return found["data"]

    def repositories(self) -> list[tuple[str, dict[str, Any]]]:
        """The code locations with what is in them."""
        found: list[tuple[str, dict[str, Any]]] = []
        for entry in self.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]:
            loaded = entry["locationOrLoadError"] or {}
            assert "message" not in loaded, f"{entry['name']}: {loaded['message']}"
            found.extend((entry["name"], repository) for repository in loaded.get("repositories", ()))
        return found

    def jobs(self) -> dict[str, Job]:
        """The jobs of all code locations by name; those that Dagster makes itself by their location as well."""
        found = {}
        for location, repository in self.repositories():
            for pipeline in repository["pipelines"]:
                name = pipeline["name"]
                known = f"{location}:{name}" if name.startswith("__") else name
                found[known] = Job(name, repository["name"], location)
        return found

    def stop_schedules(self) -> None:
        """Stop the schedules, so that the hour does not turn in the middle of a test."""
        for _, repository in self.repositories():
            for schedule in repository["schedules"]:
                state = schedule["scheduleState"]
                assert state["status"] == "RUNNING", schedule
                self.ask("mutation($id: String!) { stopRunningSchedule(id: $id) { __typename } }", id=state["id"])

    def last_partitions(self, job: Job) -> list[str]:
        """The keys of the last two partitions of a job that are over, the latest last."""
        found = self.ask(PARTITIONS, job=job.selector)["pipelineOrError"]
        return sorted(found["partitionKeysOrError"]["partitionKeys"], key=begin_of)

    def backfill(self, job: Job, partitions: Sequence[str]) -> str:
        """Have partitions of a job run, and return the id of the backfill."""
        repository = {"repositoryName": job.repository, "repositoryLocationName": job.location}
        selector = {"partitionSetName": f"{job.name}_partition_set", "repositorySelector": repository}
        params = {"selector": selector, "partitionNames": list(partitions)}
        answer = self.ask(BACKFILL, params=params)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    def backfill_assets(self, assets: Sequence[str], partitions: Sequence[str]) -> str:
        """Have partitions of assets made, and return the id of the backfill."""
        keys = [{"path": asset.split("/")} for asset in assets]
        answer = self.ask(BACKFILL, params={"assetSelection": keys, "partitionNames": list(partitions)})
        answer = answer["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    def start_sensor(self, name: str) -> None:
        """Switch a sensor on."""
        for location, repository in self.repositories():
            if name in {sensor["name"] for sensor in repository["sensors"]}:
                selector = {
                    "repositoryName": repository["name"],
                    "repositoryLocationName": location,
                    "sensorName": name,
                }
                answer = self.ask(START_SENSOR, sensor=selector)["startSensor"]
                assert answer["__typename"] == "Sensor", answer
                return
        raise AssertionError(f"no sensor {name}{self.logs()}")

    def reload(self) -> None:
        """Load the code locations anew."""
        for location in {location for location, _ in self.repositories()}:
            answer = self.ask(RELOAD, location=location)["reloadRepositoryLocation"]
            assert answer["__typename"] == "WorkspaceLocationEntry", answer

    def backfill_status(self, backfill_id: str) -> str:
        """How a backfill goes."""
        return str(self.ask(BACKFILLED, id=backfill_id)["partitionBackfillOrError"]["status"])

    def launch(self, job: Job, tags: Mapping[str, str] | None = None, assets: Sequence[str] = ()) -> str:
        """Start a run as the launchpad does.

        Args:
            job: what is run.
            tags: of the run.
            assets: the assets to make, ``domain/table``; all of the job without any.

        Returns:
            The id of the run.
        """
        selector: dict[str, Any] = dict(job.selector)
        if assets:
            selector["assetSelection"] = [{"path": asset.split("/")} for asset in assets]
        listed = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        params = {"selector": selector, "mode": "default", "executionMetadata": {"tags": listed}}
        answer = self.ask(LAUNCH, params=params)["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def again(self, run_id: str) -> str:
        """Start a run that does what another one failed to do, and return its id."""
        params = {"parentRunId": run_id, "strategy": "FROM_FAILURE"}
        answer = self.ask(AGAIN, params=params)["launchPipelineReexecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def stop(self, run_id: str) -> None:
        """Ask a run to stop."""
        answer = self.ask(STOP, run=run_id)["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer

    def run(self, run_id: str) -> LiveRun:
        """What is known of a run."""
        found = self.ask(RUN, run=run_id)["runOrError"]
        tags = {tag["key"]: tag["value"] for tag in found["tags"]}
        steps = {_step_name(step["stepKey"]): step["status"] for step in found["stepStats"]}
        return LiveRun(run_id, found["status"], tags, steps)

    def runs(self, job: str) -> list[str]:
        """The ids of the runs of a job, the latest first."""
        return [run["runId"] for run in self.ask(RUNS, job=job)["runsOrError"]["results"]]

    def ends(self, run_id: str, status: str) -> LiveRun:
        """Wait until a run has ended, see that it did so in a status, and return what is known of it."""
        over = {"SUCCESS", "FAILURE", "CANCELED"}
        until(lambda: self.run(run_id).status in over, f"the run {run_id} ends", self.logs)
        found = self.run(run_id)
        log = self.log(run_id)
        assert found.status == status, f"{found}\n{log}\n{self.logs()}"
        return found

    def log(self, run_id: str) -> str:
        """The events of a run, with everything that a page may show of them: a page without one of its fields stays empty."""
        types = {kind["name"]: kind for kind in self.ask(TYPES)["__schema"]["types"]}
        asked = [
            f"... on {kind['name']} {{ {all_fields(types, kind['name'])} }}"
            for kind in types["DagsterRunEvent"]["possibleTypes"]
        ]
        events = self.ask(LOGS % " ".join(asked), run=run_id)["logsForRun"]["events"]
        return "\n".join(
            f"{event.get('stepKey')}: {event.get('message')} {(event.get('error') or {}).get('message', '')}"
            for event in events
        )

    def assets(self) -> dict[str, dict[str, Any]]:
        """The assets of all code locations, ``domain/table``, each with the names of those that it is made from."""
        return {
            "/".join(node["assetKey"]["path"]): {
                **node,
                "from": sorted("/".join(key["path"]) for key in node["dependencyKeys"]),
            }
            for node in self.ask(NODES)["assetNodes"]
        }

    def materializations(self, asset: str) -> list[Materialization]:
        """How an asset ``domain/table`` was made, the latest first."""
        found = self.ask(MATERIALIZATIONS, key={"path": asset.split("/")})["assetOrError"]
        return [
            Materialization(
                made["runId"],
                made["partition"] or "",
                {entry["label"]: entry["text"] for entry in made["metadataEntries"] if "text" in entry},
            )
            for made in found["assetMaterializations"]
        ]

    def logs(self) -> str:
        """The end of what its processes wrote."""
        log = self.home / "dev.log"
        return "\n" + log.read_text(errors="replace")[-4000:] if log.exists() else ""


def shoot(dagster: LiveDagster, group: str, groups: Sequence[str], image: Path) -> None:
    """Take a picture of the lineage of assets.

    Args:
        dagster: whose page it is.
        group: of the assets.
        groups: theirs, and those of what they are made from.
        image: where the picture goes.
    """
    shown = urllib.parse.quote(f'+group:"{group}"')
    opened = ",".join(f"global@global:{name}" for name in groups)
    picture(dagster, f"asset-groups~{shown}?expanded={opened}", image)


def picture(dagster: LiveDagster, page: str, image: Path) -> None:
    """Take a picture of a page.

    Args:
        dagster: whose page it is.
        page: its address, without the host.
        image: where the picture goes.
    """
    dagster.ask("mutation { setNuxSeen }")  # else an invitation covers the page
    image.parent.mkdir(exist_ok=True)
    # Full screen: else the page is drawn for a window with a frame, and then grows.
    subprocess.run(
        [
            "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={dagster.home / 'browser'}", "--kiosk", "--screen-info={1400x860}", "--window-size=1400,860",
            "--virtual-time-budget=20000", f"--screenshot={image}",
            f"{dagster.url}/{page}",
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert image.stat().st_size > 10_000

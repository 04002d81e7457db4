"""A whole Airflow in processes of its own: scheduler, triggerer and, from 3 on, API server and DAG processor."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from airflow_parts import Parts, free_port
from starlake_core_airflow.versions import AIRFLOW_3

PATIENCE = 600.0


def until(true: Callable[[], Any], what: str, seconds: float = PATIENCE, logs: Callable[[], str] = str) -> Any:
    """Wait until something is true, and return it; the time is only there so that no test hangs."""
    deadline = time.monotonic() + seconds
    while True:
        found = true()
        if found:
            return found
        assert time.monotonic() < deadline, f"this never happened: {what}\n{logs()}"
        time.sleep(0.5)


class LiveAirflow:
    """An Airflow in a folder.

    Args:
        home: an empty folder.
        environ: further variables for all of its processes.
    """

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self.home = home
        self.dags = home / "dags"
        self.dags.mkdir(parents=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        secret = base64.urlsafe_b64encode(b"s" * 32).decode()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SL_", "AIRFLOW"))}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        self.environ = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor" if AIRFLOW_3 else "SequentialExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__FERNET_KEY": secret,
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secret,
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
            **environ,
        }
        self._parts: Parts | None = None

    # -- its processes

    @property
    def parts(self) -> Parts:
        """Its processes; they are watched from the first use on."""
        if self._parts is None:
            self._parts = Parts(self.home, self.environ)
        return self._parts

    def airflow(self, *arguments: str) -> str:
        """Run the command line of Airflow to its end."""
        return self.parts.call(*arguments).stdout

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """While this block is open, Airflow runs."""
        self.parts.make_database()
        try:
            for part in (
                ("api-server", "dag-processor", "scheduler", "triggerer") if AIRFLOW_3 else ("scheduler", "triggerer")
            ):
                self.parts.begin(part)
            if AIRFLOW_3:
                until(self.is_up, "the API server answers")
            yield
        finally:
            self.parts.stop()

    def is_up(self) -> bool:
        """Whether the API server answers; 2.11 runs tasks without one."""
        if not AIRFLOW_3:
            return True
        try:
            return bool(self.get("/api/v2/monitor/health")["metadatabase"]["status"] == "healthy")
        except OSError:
            return False

    # -- its API, from 3 on

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API with what a browser of an administrator would have."""
        headers = {"Content-Type": "application/json"}
        if not path.startswith(("/auth", "/api/v2/monitor")):
            headers["Authorization"] = f"Bearer {self.token()}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        for attempt in range(10):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    text = answer.read()
                return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                # The database of a test is sqlite: where it is locked for long, the server gives up.
                if error.code not in (500, 503) and not (attempt and error.code == 409):
                    raise
                if error.code == 409:
                    return None
            except OSError:
                # The server is busy, or is started again.
                if path.startswith("/api/v2/monitor"):
                    raise
            time.sleep(1)
        raise AssertionError(f"{method} {path} fails again and again{self.logs()}")

    def get(self, path: str) -> Any:
        """Read from the API."""
        return self.call("GET", path)

    def token(self) -> str:
        """A token of the administrator."""
        if not hasattr(self, "_token"):
            self._token = str(self.call("GET", "/auth/token")["access_token"])
        return self._token

    # -- what a user does, by the API from 3 on and by the command line on 2.11

    def trigger(self, dag_id: str, run_id: str) -> None:
        """Start a run."""
        if AIRFLOW_3:
            self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": None})
        else:
            self.airflow("dags", "trigger", dag_id, "--run-id", run_id)

    def fail(self, dag_id: str, run_id: str) -> None:
        """Mark a run as failed."""
        if AIRFLOW_3:
            self.call("PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", {"state": "failed"})
        else:
            self._python(
                "from airflow.models import DagBag\n"
                "from airflow.api.common.mark_tasks import set_dag_run_state_to_failed\n"
                f"dag = DagBag(read_dags_from_db=True).get_dag({dag_id!r})\n"
                f"set_dag_run_state_to_failed(dag=dag, run_id={run_id!r}, commit=True)\n"
            )

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear a task."""
        if AIRFLOW_3:
            body = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task_id], "only_failed": False}
            self.call("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body)
        else:
            self._python(
                "from airflow.models import DagBag, DagRun\n"
                f"dag = DagBag(read_dags_from_db=True).get_dag({dag_id!r})\n"
                f"date = DagRun.find(dag_id={dag_id!r}, run_id={run_id!r})[0].execution_date\n"
                f"dag.partial_subset({task_id!r}).clear(start_date=date, end_date=date)\n"
            )

    def load(self, file: Path, orchestrate: Callable[..., str]) -> None:
        """Run the pipelines of a file, and wait for their end."""
        if AIRFLOW_3:
            orchestrate(self, "run", file, "--option", f"airflow_api_base_url={self.url}")
            return
        for dag_id in ("starbake_load_daily", "starbake_load_hourly"):
            self.trigger(dag_id, "by-hand")
            until(lambda dag_id=dag_id: self.run_state(dag_id, "by-hand") == "success", f"{dag_id} succeeds")

    def _python(self, text: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", text], env=self.environ, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    def last_run(self, dag_id: str) -> str:
        """The id of the latest run of a DAG."""
        return str(self.query("SELECT run_id FROM dag_run WHERE dag_id = ? ORDER BY id DESC LIMIT 1", dag_id)[0][0])

    # -- its database, which both versions have

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read from the database."""
        try:
            with contextlib.closing(
                sqlite3.connect(f"file:{self.home}/airflow.db?mode=ro", uri=True, timeout=30)
            ) as connection:
                return connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError:
            return []

    def knows(self, *dag_ids: str) -> bool:
        """Whether DAGs were parsed and stored."""
        return set(dag_ids) <= {row[0] for row in self.query("SELECT dag_id FROM serialized_dag")}

    def run_state(self, dag_id: str, run_id: str) -> str:
        """The state of a run, empty if there is no such run."""
        rows = self.query("SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?", dag_id, run_id)
        return str(rows[0][0]) if rows else ""

    def task_state(self, dag_id: str, run_id: str, task_id: str) -> str:
        """The state of a task, empty if it has none yet."""
        rows = self.query(
            "SELECT state FROM task_instance WHERE dag_id = ? AND run_id = ? AND task_id = ?", dag_id, run_id, task_id
        )
        return str(rows[0][0] or "") if rows else ""

    def logs(self) -> str:
        """The end of what every part wrote."""
        return self.parts.logs()


def shoot(airflow: LiveAirflow, path: str, image: Path) -> None:
    """Take a picture of a page.

    Args:
        airflow: whose page it is.
        path: of the page.
        image: where the picture goes.
    """
    image.parent.mkdir(exist_ok=True)
    profile = airflow.home / "browser"
    subprocess.run(
        [
            "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}",
            "--window-size=1500,900", "--virtual-time-budget=20000", f"--screenshot={image}", airflow.url + path,
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert image.stat().st_size > 10_000


def orchestrate(airflow: LiveAirflow, *arguments: object) -> str:
    """Call the command line beside an Airflow; its output."""
    done = subprocess.run(
        [sys.executable, "-m", "starlake_core", *map(str, arguments), "--orchestrator", "airflow"],
        env={**airflow.environ, "NO_LIVE": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr + airflow.logs()
    return done.stdout

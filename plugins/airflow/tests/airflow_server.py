"""A real Airflow in a folder of its own: API server, scheduler and (3.x) DAG processor as processes of their own."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_parts import Parts, free_port
from starlake_core_airflow.rest_client import Api, ApiError

USER, PASSWORD = "tester", "sesame-open"


class Server:
    """An Airflow that runs until :meth:`stop`.

    Args:
        home: an empty folder.
        dags: name of a DAG file to its text.
        v3: whether it is Airflow 3.
    """

    def __init__(self, home: Path, dags: Mapping[str, str], v3: bool) -> None:
        self.home = home
        self.v3 = v3
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        (home / "dags").mkdir()
        for name, text in dags.items():
            (home / "dags" / name).write_text(text)
        (home / "passwords.json").write_text(json.dumps({USER: PASSWORD}))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        self._env = {
            **kept,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            # The sequential executor of 2.11 starts the command of this name.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "PYTHONWARNINGS": "ignore",
        }
        if v3:
            self._env |= {
                "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
                "AIRFLOW__API_AUTH__JWT_SECRET": "0123456789abcdef" * 4,
                "AIRFLOW__API__SECRET_KEY": "a secret of the test",
                "AIRFLOW__API__WORKERS": "1",
                "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            }
        else:
            self._env |= {
                "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor",
                "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.basic_auth",
                "AIRFLOW__WEBSERVER__SECRET_KEY": "a secret of the test",
            }
        self.parts = Parts(home, self._env)
        self.parts.make_database()
        if v3:
            self.parts.begin("api-server", "--port", str(port), "--host", "127.0.0.1")
            self.parts.begin("dag-processor")
        else:
            self.parts.begin("webserver", "-w", "1", "-p", str(port))
            names = ("-f", "T", "-l", "T", "-r", "Admin", "-e", "t@example.org")
            self.parts.call("users", "create", "-u", USER, "-p", PASSWORD, *names)
        self.parts.begin("scheduler")

    def wait(self, dag_ids: set[str], errors: int, patience: float = 120) -> Api:
        """Wait until it has loaded these DAGs, and found as many import errors."""
        gives_up = time.monotonic() + patience
        found: Any = None
        while time.monotonic() < gives_up:
            try:
                api = Api.connect(self.url, USER, PASSWORD)
                names = {row["dag_id"] for row in api.get("/dags", limit=100)["dags"]}
                found = (names, len(api.get("/importErrors")["import_errors"]))
                if dag_ids <= names and errors <= found[1]:
                    return api
                api.close()
            except ApiError as error:
                found = error
            time.sleep(0.5)
        raise AssertionError(f"not ready: {found}\n{self.parts.logs()}")

    def stop(self) -> None:
        """End all its processes."""
        self.parts.stop()

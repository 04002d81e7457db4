"""What the tests share: the example project with pipeline files in it, each orchestrator that is installed, and processes of their own.

Every process is a fresh one, as a scheduler's or a user's would be: nothing of Airflow or Dagster is imported where the tests run.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from starlake_core_project.bakery import expected_tables

EXAMPLES = Path(__file__).parents[1] / "examples"
NATIVE = Path(__file__).with_name("compat_native.py")

HOSTS = tuple(name for name in ("airflow", "dagster") if importlib.util.find_spec(f"starlake_core_{name}") is not None)
ORCHESTRATORS = HOSTS or ("local",)


def example(name: str, orchestrator: str = "local", **replaced: str) -> str:
    """The text of an example.

    Args:
        name: of the file, without its ending.
        orchestrator: that it names.
        **replaced: further words and what stands in their place.
    """
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    words = {"StarlakeOrchestrator.AIRFLOW": f"StarlakeOrchestrator.{orchestrator.upper()}", **replaced}
    for word, other in words.items():
        assert word in text, word
        text = text.replace(word, other)
    return text


def environment(**more: str) -> dict[str, str]:
    """The variables of a process that inherits no setting of Starlake's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SL_", "DAGSTER_"))}
    return {**kept, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore", **more}


def run(*words: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program: what follows ``python``."""
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment(**variables), text=True, capture_output=True, check=False
    )


def orchestrate(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``starlake-orchestrate``."""
    return run("-m", "starlake_core", *words, **variables)


def graph(file: Path, *words: str) -> Any:
    """The graph of the pipelines of a file, as JSON; several make a list."""
    done = orchestrate("graph", str(file), "--format", "json", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def native(host: str, action: str, *words: str, **variables: str) -> Any:
    """What an orchestrator finds in files, or how it runs something from them; see ``compat_native.py``."""
    done = run(str(NATIVE), host, action, *words, **variables)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def native_runs(host: str, runs: Iterable[tuple[Path, str, dict[str, Any]]], **variables: str) -> list[dict[str, str]]:
    """Run pipelines one after the other in one process, and say how their tasks ended.

    Args:
        host: the orchestrator.
        runs: file, name of the pipeline, and the configuration of the run (Dagster: its tags).
        **variables: of the process.
    """
    words = (word for file, name, conf in runs for word in (str(file), name, json.dumps(conf)))
    return native(host, "run", *words, **variables)  # type: ignore[no-any-return]


def rows(database: Path, table: str, columns: list[str]) -> list[list[str]]:
    """The rows of a table as text, sorted."""
    import duckdb

    with duckdb.connect(str(database), read_only=True) as connection:
        cast = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in columns)
        return sorted(map(list, connection.execute(f"SELECT {cast} FROM {table}").fetchall()), key=str)


def check_rows(root: Path) -> None:
    """Every table of the project holds what is expected of the example."""
    for table, content in expected_tables().items():
        found = rows(root / "datasets" / "duckdb.db", table, content["columns"])
        assert found == sorted(content["rows"], key=str), table

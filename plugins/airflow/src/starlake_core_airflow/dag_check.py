"""Parses a folder with a real DagBag in its own process: ``python -m starlake_core_airflow.dag_check FOLDER OTHER ANSWER``.

A pipeline file may do anything to the process that loads it, and this process takes the folder for its DAGs folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlake_core import RunError
from starlake_core.processes.runner import python_module

__all__ = ["Parsed", "parse"]


@dataclass(frozen=True)
class Parsed:
    """The result of parsing a folder with Airflow.

    Attributes:
        errors: maps the path of a file to the reason why it does not load.
        dags: maps the path of a file to the ids of its DAGs.
    """

    errors: Mapping[str, str]
    dags: Mapping[str, tuple[str, ...]]


def parse(folder: Path, other: Path) -> Parsed:
    """Parse a folder as Airflow would, with its configuration and the environment variables of this process.

    Args:
        folder: takes the place of the DAGs folder.
        other: the real DAGs folder, whose modules the files may import.

    Raises:
        RunError: Airflow itself does not start.
    """
    environment = {
        **os.environ,
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    with tempfile.TemporaryDirectory(prefix="starlake-parse-") as temporary:
        answer = Path(temporary) / "answer.json"
        done = subprocess.run(
            [*python_module(__name__), str(folder), str(other), str(answer)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if not answer.is_file():
            told = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
            raise RunError(
                f"nothing was deployed, because Airflow could not check whether the files load (exit code {done.returncode}):\n{told}"
            )
        found = json.loads(answer.read_text(encoding="utf-8"))
    return Parsed(found["errors"], {path: tuple(ids) for path, ids in found["dags"].items()})


def _main(folder: str, other: str, answer: str) -> None:
    from .versions import dag_bag

    sys.path += [path for path in (folder, other) if path not in sys.path]
    bag = dag_bag(dag_folder=folder)
    dags: dict[str, list[str]] = {}
    for dag_id, dag in sorted(bag.dags.items()):
        dags.setdefault(dag.fileloc, []).append(dag_id)
    errors = {os.path.join(folder, path): str(text) for path, text in bag.import_errors.items()}
    Path(answer).write_text(json.dumps({"errors": errors, "dags": dags}), encoding="utf-8")


if __name__ == "__main__":
    _main(*sys.argv[1:4])

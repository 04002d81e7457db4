"""Runs of DAGs in forked processes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from airflow import settings
from airflow_runs import AIRFLOW_3, draw, run_dag
from load_fault_runs import in_a_process


class Forks:
    """Forked processes that run DAGs, for what a run does to its process; they inherit what each would import, map and build, which takes longer.

    Args:
        root: a folder of the test, for a run of this process.
    """

    def __init__(self, root: Path) -> None:
        run_dag(draw(root, lambda p: p.start_task("start")).native)
        self._parents: list[object] = []

    def run(self, work: Callable[[], bool]) -> bool:
        """What a function answers in a process of its own; False where a fault kills it."""

        def apart() -> bool:
            # Connections to the database, and the thread that serves the API, are those of the parent.
            settings.engine.dispose(close=False)
            if AIRFLOW_3:
                api = importlib.import_module("airflow.sdk.execution_time.supervisor").in_process_api_server()
                # Its end would wait for that thread.
                self._parents.append(api.transport)
                del api.transport
            return work()

        return in_a_process(apart)

"""A program of the tests: what the replaced package makes of the files of ``generated.corpus``, as JSON.

It runs where starlake-orchestration and starlake-airflow or starlake-dagster are installed, and nothing of this repository is (``tox -m replaced``).

``record_replaced.py airflow OUT`` / ``dagster OUT`` writes the record, ``record_replaced.py airflow --compare RECORD`` says where a record is
no longer true. Each file is loaded in a process of its own, because one that fails leaves the replaced package in a state that spoils the next.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import json
import multiprocessing
import os
import pkgutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import compat_native
from generated import ENVIRONMENTS, corpus

PACKAGES = {
    "airflow": ("starlake-orchestration", "starlake-airflow", "apache-airflow"),
    "dagster": ("starlake-orchestration", "starlake-dagster", "dagster"),
}
RUN_DATE = "2026-11-03T00:00:00+0000"


def mend() -> None:
    """Give pipelines ``sl_dummy_op``, which generated files call where there are post-tasks; the replaced package has it as ``dummy_task``."""
    from ai.starlake.orchestration import AbstractPipeline

    AbstractPipeline.sl_dummy_op = AbstractPipeline.dummy_task


def mend_more() -> None:
    """Leave out set-up and tear-down, which the replaced package cannot draw on Dagster, so that the rest of a file can be compared."""
    from ai.starlake.orchestration import AbstractPipeline

    AbstractPipeline.pre_tasks = AbstractPipeline.post_tasks = lambda self, *words, **keywords: None


MENDS = {"sl_dummy_op": mend, "without set-up and tear-down": mend_more}
"""What is done to the replaced package where it cannot load a file, one after the other until it can: name to function."""


def airflow(file: Path) -> dict[str, Any]:
    """The DAGs of a file."""
    bag = importlib.import_module("airflow.dag_processing.dagbag").DagBag(dag_folder=str(file))
    if bag.import_errors:
        (trace,) = bag.import_errors.values()
        return {"error": trace.strip().splitlines()[-1]}
    return {dag_id: compat_native.comparable(compat_native.airflow_dag(dag)) for dag_id, dag in bag.dags.items()}


def dagster(file: Path) -> dict[str, Any]:
    """The jobs of a file, with what a dry run of each materialises."""
    try:
        module = compat_native.module_of(str(file))
    except Exception as error:
        cause: BaseException = error
        while cause.__context__:  # the end of the with block hides what stopped it
            cause = cause.__context__
        return {"error": f"{type(cause).__name__}: {cause}"}
    strategy = str(module.sl_job.dataset_triggering_strategy.value)
    return compat_native.dagster_jobs(
        module, materialised, lambda pipeline: (sorted(dataset.uri for dataset in pipeline.datasets), strategy)
    )


def materialised(job: Any) -> dict[str, list[str]]:
    """The asset keys that each step materialises, in a dry run."""
    from dagster import DagsterInstance, GraphDefinition

    def config(node: Any) -> dict[str, Any]:
        if isinstance(node, GraphDefinition):
            return {"ops": {one.name: config(one) for one in node.node_defs}}
        return {"config": {"logical_datetime": RUN_DATE, "dry_run": True}}

    with DagsterInstance.ephemeral() as instance:
        done = job.graph.to_job(name=job.name).execute_in_process(run_config=config(job.graph), instance=instance)
    found: dict[str, list[str]] = {}
    for event in done.get_asset_materialization_events():
        found.setdefault(event.step_key, []).append("/".join(event.asset_key.path))
    return found


def record_of(task: tuple[str, str, str, str]) -> dict[str, Any]:
    """What the replaced package makes of one file."""
    host, environment, name, mended = task
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        file = Path(folder) / f"{environment}_{name}.py"
        file.write_text(corpus(host, environment)[name], encoding="utf-8")
        if mended:
            MENDS[mended]()
        return {"airflow": airflow, "dagster": dagster}[host](file)


def record(host: str) -> dict[str, Any]:
    """What the replaced package makes of all files."""
    if host == "airflow":
        importlib.import_module("airflow.dag_processing.dagbag")  # once, before the processes fork
    found = importlib.import_module(f"ai.starlake.{host}")
    for module in pkgutil.walk_packages(found.__path__, f"{found.__name__}."):
        importlib.import_module(module.name)
    names = [(environment, name) for environment in ENVIRONMENTS for name in corpus(host, environment)]
    files: dict[str, Any] = {}
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        for mended in ("", *MENDS):
            found = pool.map(record_of, [(host, *one, mended) for one in names], chunksize=1)
            for one, made in zip(names, found, strict=True):
                file = files.setdefault("_".join(one), {})
                if "error" in made:
                    file.setdefault("errors", []).append(made["error"])
                else:
                    file.update({"dags": made, **({"mended": mended} if mended else {})})
            names = [one for one in names if "dags" not in files["_".join(one)]]
    return {"made with": {name: version(name) for name in PACKAGES[host]}, "files": files}


def as_text(found: Any) -> str:
    """JSON with one line for each field of a task, and for each list."""

    def write(value: Any, depth: int) -> str:
        if not isinstance(value, dict) or not value or depth == 6:
            return json.dumps(value, sort_keys=True, ensure_ascii=False)
        inner = ",\n".join(
            f"{' ' * (depth + 1)}{json.dumps(key)}: {write(value[key], depth + 1)}" for key in sorted(value)
        )
        return f"{{\n{inner}\n{' ' * depth}}}"

    return write(found, 0) + "\n"


def main(host: str, *words: str) -> int:
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(
            {
                "AIRFLOW_HOME": home,
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "0",
                "DAGSTER_DISABLE_TELEMETRY": "1",
            }
        )
        text = as_text(record(host))
    if words[0] != "--compare":
        Path(words[0]).write_text(text, encoding="utf-8")
        return 0
    return compare(json.loads(Path(words[1]).read_text(encoding="utf-8")), json.loads(text))


def compare(told: Any, found: Any) -> int:
    """Print what two records say otherwise, and how much they hold.

    Returns:
        An exit code.
    """
    old, new = (as_text(record["files"]).splitlines(keepends=True) for record in (told, found))
    sys.stdout.writelines(difflib.unified_diff(old, new, "record", "replaced package"))
    pipelines = sum(len(file.get("dags", ())) for file in found["files"].values())
    failed = sum("errors" in file for file in found["files"].values())
    sys.stdout.write(
        f"{len(found['files'])} files, {failed} of which it cannot load; {pipelines} pipelines "
        f"{'differ' if old != new else 'as recorded'} (with {found['made with']})\n"
    )
    return int(old != new)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

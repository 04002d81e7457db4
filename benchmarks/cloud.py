"""Measures the cost of polling 1 000 running and 5 000 ended jobs: one tick of the shared poll against one call per
job.

It needs an environment with starlake-core[testing], starlake-core-cloud-run, starlake-core-dataproc and
starlake-core-fargate, and the packages for their tests. The emulators run in another process. The figures are CPU times
of this process, measured in pairs in random order. The exit code is 1 if a target is missed. Usage: ``python
benchmarks/cloud.py [cloud_run] [dataproc] [fargate]``.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.measuring import Pairs, Row, shown_count  # noqa: E402
from starlake_core import Job, Orchestration  # noqa: E402
from starlake_core.model.command import load_command  # noqa: E402
from starlake_core.runtime import runner_for  # noqa: E402
from starlake_core.testing import RecordingOrchestrator  # noqa: E402

IN_FLIGHT, BEFORE, MEANWHILE = 1000, 4500, 500
PAIRS = 5
FEWER_CALLS = 10.0
EMULATORS = {"cloud_run": "CloudRun", "dataproc": "Dataproc", "fargate": "Ecs"}
MODULES = {"cloud_run": "cloud_run", "dataproc": "dataproc", "fargate": "ecs"}
LESS_CPU = {"cloud_run": 6.0, "dataproc": 6.0, "fargate": 4.0}


def serve(environment: str, pipe: Any) -> None:
    """Run the emulator in its own process until the pipe closes."""
    kind = getattr(importlib.import_module(f"emulators.{MODULES[environment]}"), EMULATORS[environment])
    with tempfile.TemporaryDirectory() as folder, kind(("/bin/true",), buckets=Path(folder)) as emulator:
        emulator.seed_history(BEFORE)
        handles = emulator.seed_running(IN_FLIGHT)
        emulator.seed_history(MEANWHILE)
        pipe.send((emulator.options, list(handles)))
        while pipe.recv() == "calls":
            pipe.send(emulator.faults.calls.total())


@contextmanager
def emulated(environment: str) -> Any:
    """Start an emulator with a history. Yield the options of the plugin, the handles of running jobs, and the number of
    calls so far."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.setdefault(name, "emulated")  # any are right, but boto3 wants some
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(environment, theirs), daemon=True)
    process.start()
    options, handles = ours.recv()

    def calls() -> int:
        ours.send("calls")
        return int(ours.recv())

    try:
        yield options, handles, calls
    finally:
        ours.send("stop")
        process.join(30)


def job_of(environment: str, options: dict[str, Any]) -> Job:
    """Return a job of the environment, of which only the endpoint matters."""
    orchestration = Orchestration(
        options, orchestrator=RecordingOrchestrator(), environment=environment, filename="benchmark.py", namespace={}
    )
    return orchestration.create_job(command=load_command("load", "sales", "orders"), options=orchestration.options)


def each(ask: Callable[[str], object]) -> Callable[[Sequence[str]], None]:
    """Polls the handles one by one."""

    def asked(handles: Sequence[str]) -> None:
        for handle in handles:
            ask(handle)

    return asked


def one_call_a_job(environment: str, options: dict[str, Any]) -> Callable[[Sequence[str]], None]:
    """The direct way: one call of the SDK per job."""
    if environment == "fargate":
        import boto3

        client = boto3.client("ecs", region_name=options["aws_region"], endpoint_url=options["aws_endpoint_url"])
        cluster = options["aws_cluster_name"]
        return each(lambda handle: client.describe_tasks(cluster=cluster, tasks=[handle]))
    from starlake_core_google import connect

    connection = connect(options[f"{environment}_endpoint"])
    if environment == "cloud_run":
        from google.cloud import run_v2

        executions = connection.client(run_v2.ExecutionsClient)
        return each(lambda handle: executions.get_execution(name=handle))
    from google.cloud import dataproc_v1

    jobs = connection.client(dataproc_v1.JobControllerClient)

    def get(handle: str) -> None:
        _, project, _, region, _, job_id = handle.split("/")
        jobs.get_job(project_id=project, region=region, job_id=job_id)

    return each(get)


def measure(environment: str) -> list[Row]:
    """Return the rows of the table of one environment."""
    with emulated(environment) as (options, handles, calls):
        runner = runner_for(job_of(environment, options))
        plain = one_call_a_job(environment, options)

        def counted(work: Callable[[], object]) -> int:
            before = calls()
            work()
            return int(calls() - before)

        first = counted(lambda: runner.poll(handles))
        found = runner.poll(handles)
        if len(found) != IN_FLIGHT or any(status.ended for status in found.values()):
            raise SystemExit(f"{environment}: the poll does not see all jobs in flight")
        batched, single = counted(lambda: runner.poll(handles)), counted(lambda: plain(handles))
        pairs = Pairs.of(lambda: runner.poll(handles), lambda: plain(handles), PAIRS)
        factor = 1 / pairs.ratio
        fewer, less = single / batched, LESS_CPU[environment]
        in_flight = f"{shown_count(IN_FLIGHT)} in flight"
        return [
            Row(f"{in_flight}: calls of a tick", f"{batched} (the first one {first}), one a job {single}"),
            Row("fewer calls", f"{fewer:.0f} x", f">= {FEWER_CALLS:.0f} x", fewer >= FEWER_CALLS),
            Row(
                "less CPU",
                f"{factor:.1f} x ({pairs.row('').measured})",
                f">= {less:.0f} x",
                factor >= less,
            ),
        ]


def main(names: Sequence[str]) -> int:
    """Measure and print."""
    from rich.console import Console
    from rich.table import Table

    unknown = sorted(set(names) - set(EMULATORS))
    if unknown:
        raise SystemExit(f"there is no {', '.join(unknown)}; there are {', '.join(EMULATORS)}")
    console = Console(width=None if sys.stdout.isatty() else 140)
    missed = 0
    for environment in names or EMULATORS:
        title = f"{environment}: a tick of the shared poll against one call a job, {shown_count(BEFORE + MEANWHILE)} ended jobs"
        table = Table("what", "measured", "target", "", title=title, title_justify="left", box=None)
        for row in measure(environment):
            missed += not row.good
            table.add_row(row.what, row.measured, row.target, "" if not row.target else "ok" if row.good else "MISSED")
        console.print(table, "", highlight=False, markup=False)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

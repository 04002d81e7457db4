"""DAGs whose tasks run in a cloud: no SDK while they are parsed, and a run on the emulator of Cloud Run."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow_runs import draw, run_dag, scheduled, state, states
from breadth import once_on_airflow

from starlake_core import StarlakeDomain, StarlakeSchedule
from starlake_core.testing import StandIn

pytest_plugins = ["starlake_core.testing.plugin"]

OPTIONS = {
    "cloud_run": {
        "cloud_run_project_id": "p",
        "cloud_run_job_region": "europe-west1",
        "cloud_run_job_name": "starlake",
    },
    "dataproc": {"dataproc_project_id": "p", "spark_jar_list": "gs://jars/starlake.jar", "spark_bucket": "data"},
    "fargate": {
        "aws_cluster_name": "c",
        "aws_task_definition_name": "d",
        "aws_task_definition_container_name": "starlake",
        "aws_task_private_subnets": "subnet-0a1b2c3d",
        "aws_task_security_groups": "sg-0a1b2c3d",
    },
}
SDKS = ("google", "grpc", "boto3", "botocore")

# What Airflow itself imports (it has protobuf for its telemetry) is there with any other environment too.
PARSED = """
import json, sys
from starlake_core import Orchestration, StarlakeDomain, StarlakeSchedule

def build(environment, tables, **options):
    domain = StarlakeDomain("sales", tables=[f"t{number}" for number in range(tables)])
    with Orchestration(options, orchestrator="airflow", environment=environment, filename="p.py", namespace={}) as orchestration:
        with orchestration.sl_create_pipeline(schedule=StarlakeSchedule("daily", "0 0 * * *", [domain])) as pipeline:
            pipeline.add_schedule()
    return len(pipeline.native.tasks)

build("shell", 1)
before = set(sys.modules)
tasks = {environment: build(environment, 1000, **options) for environment, options in json.loads(sys.argv[1]).items()}
print(json.dumps([tasks, sorted(set(sys.modules) - before)]))
"""


def has(environment: str) -> bool:
    return importlib.util.find_spec(f"starlake_core_{environment}") is not None


def needs(environment: str) -> None:
    if not has(environment):
        pytest.skip(f"starlake-core-{environment} is not installed")


@once_on_airflow
def test_a_parse_imports_no_sdk() -> None:
    there = {name: options for name, options in OPTIONS.items() if has(name)}
    env = {name: value for name, value in os.environ.items() if not name.startswith("SL_")}
    done = subprocess.run(
        [sys.executable, "-c", PARSED, json.dumps(there)],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    tasks, modules = json.loads(done.stdout.splitlines()[-1])
    assert tasks.keys() == there.keys()
    assert min(tasks.values()) >= 1000
    assert {f"starlake_core_{environment}.plugin" for environment in there} <= set(modules)
    assert [module for module in modules if module.partition(".")[0] in SDKS] == []


def test_a_run_on_cloud_run(tmp_path: Path, stand_in: StandIn) -> None:
    needs("cloud_run")
    from emulators.cloud_run import CloudRun

    sales = StarlakeDomain("sales", tables=["orders", "customers"])
    with CloudRun((str(stand_in.path),), buckets=tmp_path / "buckets") as service:
        options = {**service.options, "cloud_run_async_poke_interval": 0.05, "pre_load_strategy": "imported"}
        pipeline = draw(
            tmp_path / "project",
            scheduled,
            options,
            environment="cloud_run",
            schedule=StarlakeSchedule("daily", "0 0 * * *", [sales]),
        )
        run = run_dag(pipeline.native)
        assert state(run) == "success", states(run)
        assert set(states(run).values()) == {"success"}
    assert sorted(call.subject for call in stand_in.calls()) == [
        "load:sales.customers",
        "load:sales.orders",
        "preload:sales",
        "stage:sales",
    ]

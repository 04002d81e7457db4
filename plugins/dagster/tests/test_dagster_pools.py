"""One user at a time on Dagster: a pool of one step, whose limit is set; and the lock of the machine behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import one_writer
import pytest
from breadth import in_the_matrix
from dagster import in_process_executor
from dagster_runs import draw, instance_in, job, launch, run
from one_writer import OneWriter
from starlake_core_dagster.pools import limit

from starlake_core import StarlakeError, StarlakePipeline

POOL = "starlake_duckdb_shop_db"
PROGRAM = """
import json, sys
from pathlib import Path
from dagster import DagsterInstance
from dagster_runs import draw, job, launch
from one_writer import OneWriter
from test_dagster_pools import build

name, root, home, times, options = sys.argv[1:]
place = OneWriter(Path(root))
given = {"SL_STARLAKE_PATH": str(place.program), **json.loads(options)}
made = job(draw(build, given, environment="shell", root=place.root, name=name), name)
ends = []
with DagsterInstance.from_config(home) as instance:
    for _ in range(int(times)):
        result = launch(made, instance)
        ends.append(result.success)
        failures = [event for event in result.all_events if event.is_failure or event.is_step_failure]
        for event in failures:
            print("FAILED", event.message, event.event_specific_data)
print()
print(json.dumps(ends))
"""


def build(pipeline: StarlakePipeline) -> None:
    for table in ("orders", "customers"):
        pipeline.sl_load(domain="shop", table=table) >> pipeline.sl_transform(table, f"kpi.{table}")


def drawn(root: Path, **options: Any) -> StarlakePipeline:
    place = OneWriter(root)
    return draw(build, {"SL_STARLAKE_PATH": str(place.program), **options}, environment="shell", root=root)


def limits(instance: Any) -> dict[str, int]:
    return {found.name: found.limit for found in instance.event_log_storage.get_pool_limits()}


def test_what_the_project_says_becomes_a_pool(tmp_path: Path) -> None:
    pipeline = drawn(tmp_path / "project")
    assert {op.pool for op in pipeline.native.ops.values() if op.name.startswith("p__")} == {POOL}
    assert pipeline.native.pools == [POOL]
    assert drawn(tmp_path / "project", exclusive="none").native.pools == []
    assert drawn(tmp_path / "project", exclusive="the warehouse").native.pools == ["starlake_the_warehouse"]
    assert drawn(tmp_path / "project", default_pool="mine").native.pools == []


def test_check_names_the_pool_and_the_command_that_sets_its_limit(tmp_path: Path) -> None:
    pipeline = drawn(tmp_path / "project")
    findings = pipeline.orchestration.plugins.check_pipelines([pipeline])
    assert [found for found in findings if f"dagster instance concurrency set {POOL} 1" in found]


@pytest.mark.parametrize("executor", ["ours", "dagster's"])
def test_a_pool_without_a_limit_gets_one(tmp_path: Path, executor: str) -> None:
    made = job(drawn(tmp_path / "project"))
    with instance_in(tmp_path / "dagster") as instance:
        assert limits(instance) == {}
        result = (
            launch(made, instance) if executor == "ours" else run(made.with_executor_def(in_process_executor), instance)
        )
        assert result.success
        assert limits(instance) == {POOL: 1}


def test_a_limit_of_the_user_stays(tmp_path: Path) -> None:
    with instance_in(tmp_path / "dagster") as instance:
        instance.event_log_storage.set_concurrency_slots(POOL, 3)
        assert limit(instance, [POOL, "mine", None]) == []
        assert limits(instance) == {POOL: 3}
        assert limit(instance, ["starlake_other"]) == ["starlake_other"]


def test_an_instance_without_pools_is_left_alone(tmp_path: Path) -> None:
    from dagster import DagsterInstance

    with DagsterInstance.ephemeral() as instance:
        limit(instance, [POOL])
        assert run(job(drawn(tmp_path / "project")), instance).success


def two_at_once(tmp_path: Path, times: int, meet: bool = False, **options: Any) -> tuple[OneWriter, list[bool]]:
    """Two jobs in two processes, as run workers, on one instance; how their runs ended."""
    place, home = OneWriter(tmp_path / "project"), tmp_path / "dagster"
    if meet:
        place.meet()
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: { enabled: false }\n", encoding="utf-8")
    with instance_from(home):
        pass  # its tables are made before two processes want to make them
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(one_writer.__file__).parent)]),
        "DAGSTER_HOME": str(home),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, name, str(place.root), str(home), str(times), json.dumps(options)],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ("one", "two")
    ]
    ends = []
    for process in processes:
        told = process.communicate()[0]
        assert process.returncode == 0, told[-5000:]
        sys.stdout.write("\n".join(line for line in told.splitlines() if line.startswith("FAILED")))
        ends += json.loads(told.strip().splitlines()[-1])
    return place, ends


def instance_from(home: Path) -> Any:
    from dagster import DagsterInstance

    return DagsterInstance.from_config(str(home))


def test_two_jobs_at_once(tmp_path: Path) -> None:
    place, ends = two_at_once(tmp_path, 1)
    assert ends == [True] * 2
    assert (len(place.calls()), place.lock_errors()) == (8, 0)


@in_the_matrix
def test_two_jobs_at_once_where_a_pool_of_the_user_lets_them(tmp_path: Path) -> None:
    """The lock of the machine is the second line."""
    place, ends = two_at_once(tmp_path, 1, default_pool="mine")
    assert ends == [True] * 2
    assert (len(place.calls()), place.lock_errors()) == (8, 0)


@in_the_matrix
def test_without_it_they_are_in_each_others_way(tmp_path: Path) -> None:
    place, ends = two_at_once(tmp_path, 1, meet=True, exclusive="none", retries=0)
    assert place.lock_errors() > 0, "the program does fail as the real one does"
    assert False in ends


@pytest.mark.soak
def test_two_jobs_at_once_fifty_times(tmp_path: Path, record_property: Any) -> None:
    place, ends = two_at_once(tmp_path, 25)
    record_property(
        "summary",
        f"Dagster, two at once on one DuckDB file: {len(ends)} runs, {len(place.calls())} commands, {ends.count(False)} runs failed, "
        f"{place.lock_errors()} lock errors",
    )
    assert (len(ends), ends.count(False), place.lock_errors()) == (50, 0, 0)


def test_tables_that_share_a_step_share_a_pool() -> None:
    def build(*pools: str | None) -> Any:
        def tables(p: StarlakePipeline) -> None:
            with p.sl_create_task_group("g"):
                for number, pool in enumerate(pools):
                    p.sl_load(f"t{number}", "g", f"t{number}", **({"pool": pool} if pool else {}))

        return tables

    one = {"load_domain_in_one_step": True}
    assert {op.pool for op in draw(build("a", None, "a"), one).native.ops.values()} == {"a"}
    with pytest.raises(StarlakeError, match=r"the tables of g of pipeline p have the pools a, b, .* share a step"):
        draw(build("a", "b"), one)
    assert {op.pool for op in draw(build("a", "b")).native.ops.values()} == {"a", "b"}


def test_a_table_that_cannot_share_a_step_is_named(caplog: pytest.LogCaptureFixture) -> None:
    def build(p: StarlakePipeline) -> None:
        with p.sl_create_task_group("g"):
            p.sl_load("x", "g", "x", op_tags={"tier": "1"})
            p.sl_load("y", "g", "y")

    draw(build)
    assert not caplog.messages
    assert len(draw(build, {"load_domain_in_one_step": True}).native.ops) == 2
    (said,) = caplog.messages
    assert said.startswith(
        "the tables of g of pipeline p have a step each in spite of load_domain_in_one_step, because of x:"
    )

"""The examples, which have every documented form once, run on every orchestrator that is installed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from breadth import hostless, quickly
from compat_runs import EXAMPLES, HOSTS, ORCHESTRATORS, check_rows, example, graph, native_runs, orchestrate, run

AFTERWARDS = '''
from ai.starlake.job import IStarlakeJob


class Tidying(IStarlakeJob):
    """Something is left to do after the work, whatever happened."""

    orchestrator = StarlakeOrchestrator.@HOST@
    execution_environment = StarlakeExecutionEnvironment.DUCKDB

    def post_tasks(self, **kwargs):
        return self.sl_import("tidy_up", "starbake")


StarlakeJobFactory.register_job(Tidying)

sl_job = '''


SHOP = """                    StarlakeTable(name="products", final_name="Products"),
                ],
            ),
            StarlakeDomain("shop", "shop", [StarlakeTable("products", "Products")]),
            StarlakeDomain("closed", "closed", [StarlakeTable("products", "Products")])"""


def add_domain(project: Path, name: str, ready: bool) -> None:
    """A domain of one table, with or without files that come in."""
    load, incoming = project / "metadata" / "load", project / "datasets" / "incoming"
    (load / name).mkdir()
    for file in ("_config.sl.yml", "products.sl.yml"):
        text = (load / "starbake" / file).read_text(encoding="utf-8").replace("starbake", name)
        (load / name / file).write_text(text, encoding="utf-8")
    (incoming / name).mkdir()
    if ready:
        shutil.copy(incoming / "starbake" / "products-2026-11-01.json", incoming / name)


@pytest.mark.parametrize("orchestrator", ORCHESTRATORS)
def test_the_generated_files_run(project: Path, home: dict[str, str], orchestrator: str) -> None:
    """Several schedules and domains; one of them is not ready, which stops nothing but its own loads."""
    add_domain(project, "shop", ready=True)
    add_domain(project, "closed", ready=False)
    tables = (
        '                    StarlakeTable(name="products", final_name="Products"),\n                ],\n            )'
    )
    load = example("starbake_load", orchestrator, **{tables: SHOP})
    (project / "dags" / "starbake_load.py").write_text(load, encoding="utf-8")
    (project / "dags" / "starbake_kpi.py").write_text(example("starbake_kpi", orchestrator), encoding="utf-8")
    files = [word for name in ("load", "kpi") for word in ("--file", str(project / "dags" / f"starbake_{name}.py"))]
    done = run("-m", "ai.starlake.orchestration", "run", *files, "--options", "retries=0", **home)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "starbake_load_daily: success (10 success, 3 skipped)" in done.stdout
    assert "closed has no incoming files" in done.stdout
    assert "starbake_load_hourly: success (5 success)" in done.stdout
    assert "starbake_kpi: success (5 success)" in done.stdout
    check_rows(project)


@pytest.mark.parametrize("orchestrator", quickly(*ORCHESTRATORS))
def test_everything_upstream_and_what_is_left_to_do_afterwards(
    project: Path, home: dict[str, str], orchestrator: str
) -> None:
    """Loads before transforms in one pipeline, options of one transform, and a tear-down behind a transform that fails."""
    text = example("starbake_kpi", orchestrator, **{"sl_job = ": AFTERWARDS.replace("@HOST@", orchestrator.upper())})
    (project / "dags" / "starbake_kpi.py").write_text(text, encoding="utf-8")
    sql = project / "metadata" / "transform" / "kpi" / "overview.sql"
    sql.write_text("SELECT {{ currency }} FROM nowhere", encoding="utf-8")
    assert run("-m", "starlake_core_duckdb", "stage", "--domains", "starbake", SL_ROOT=str(project)).returncode == 0
    words = ["--option", "run_dependencies_first=true", "--option", "retries=0"]
    done = orchestrate("run", str(project / "dags" / "starbake_kpi.py"), *words, **home)
    assert done.returncode == 1, done.stdout[-4000:] + done.stderr[-4000:]
    for task in ("starbake_orders_table", "starbake_products_table", "kpi_product_sales_task", "all_done", "tidy_up"):
        assert f"{task} success" in done.stdout, done.stdout[-4000:]
    assert "kpi_overview_task failed" in done.stdout


@pytest.mark.parametrize("orchestrator", quickly(*ORCHESTRATORS))
def test_files_that_are_staged_and_a_file_that_says_so(project: Path, home: dict[str, str], orchestrator: str) -> None:
    """The strategies ``pending`` and ``ack`` where everything is ready, and ``ack`` where it is not."""
    file = project / "dags" / "starbake_load.py"
    file.write_text(example("starbake_load", orchestrator), encoding="utf-8")
    assert run("-m", "starlake_core_duckdb", "stage", "--domains", "starbake", SL_ROOT=str(project)).returncode == 0
    (project / "datasets" / "pending" / "starbake").mkdir(parents=True)
    date, hourly = "2026-11-03T00:00:00+01:00", "starbake_load_hourly: success"
    words = ["run", str(file), "--date", date, "--option", "retries=0", "--option", "ack_wait_timeout=0"]
    done = orchestrate(*words, "--option", "pre_load_strategy=pending", **home)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "starbake_load_daily: success (6 success)" in done.stdout
    assert f"{hourly} (4 success)" in done.stdout
    (project / "datasets" / "pending" / "starbake" / "2026-11-03.ack").touch()
    done = orchestrate(*words, "--option", "pre_load_strategy=ack", **home)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "starbake_load_daily: success (6 success)" in done.stdout
    # The check of the first pipeline took the file.
    assert f"{hourly} (1 success, 3 skipped)" in done.stdout
    assert "starbake has no acknowledgement file" in done.stdout


@hostless
def test_options_of_one_transform_reach_it_alone(project: Path) -> None:
    file = project / "dags" / "starbake_kpi.py"
    file.write_text(example("starbake_kpi"), encoding="utf-8")
    found = {node["id"]: node["job"] for node in graph(file)["nodes"]}
    assert "currency=EUR" in found["kpi_overview_task"]["arguments"][-1]
    assert "currency" not in json.dumps(found["kpi_product_sales_task"])


@hostless
@pytest.mark.parametrize(
    ("strategy", "check", "staged"),
    [("imported", "check_starbake_incoming_files", True), ("pending", "check_starbake_pending_files", False),
     ("ack", "check_starbake_ack_file", False), ("none", None, False)],
)  # fmt: skip
def test_every_pre_load_strategy(project: Path, strategy: str, check: str | None, staged: bool) -> None:
    file = project / "dags" / "starbake_load.py"
    file.write_text(example("starbake_load"), encoding="utf-8")
    daily, _ = graph(file, "--option", f"pre_load_strategy={strategy}")
    (group,) = [node for node in daily["nodes"] if node["id"] == "starbake_daily"]
    before = [node for node in group["nodes"] if node["id"] == "pre_load_starbake_daily"]
    found = [node["id"] for node in before[0]["nodes"]] if before else []
    assert found == [name for name in (check, "import_starbake_daily" if staged else None) if name]
    if strategy == "ack":
        arguments = before[0]["nodes"][0]["job"]["arguments"]
        assert arguments[arguments.index("--globalAckFilePath") + 1] == "datasets/pending/starbake/${sl_ds}.ack"


@pytest.mark.parametrize("host", quickly(*HOSTS))
def test_a_dag_that_is_written_by_hand_runs(project: Path, home: dict[str, str], host: str) -> None:
    file = project / "dags" / f"by_hand_{host}.py"
    shutil.copy(EXAMPLES / file.name, file)
    tasks = ["check_starbake_incoming_files", "import_starbake", "load_customers", "load_orders", "customer_value"]
    runs = 2 if host == "dagster" else 1
    found = native_runs(host, [(file, "bakery_by_hand", {})] * runs, SL_ROOT=str(project), **home)
    assert {name: found[0][name] for name in tasks} == dict.fromkeys(tasks, "success")
    if host == "dagster":
        assert found[1] == {tasks[0]: "success", **dict.fromkeys(tasks[1:], "skipped")}


@hostless
def test_an_orchestrator_of_ones_own_runs(project: Path) -> None:
    file = project / "dags" / "extending.py"
    shutil.copy(EXAMPLES / file.name, file)
    done = run(str(file), SL_ROOT=str(project))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "staged starbake: 2 file(s)",
        "loaded starbake.customers: 200 row(s) from 1 file(s), 4 rejected",
        "loaded starbake.products: 30 row(s) from 1 file(s), 0 rejected",
    ]


@hostless
@pytest.mark.parametrize("name", ["starbake_load", "starbake_kpi"])
def test_every_process_builds_the_same(project: Path, name: str) -> None:
    file = project / "dags" / f"{name}.py"
    file.write_text(example(name), encoding="utf-8")
    words = ["graph", str(file), "--format", "json", "--option", "run_dependencies_first=true"]
    one, other = (orchestrate(*words, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert one.returncode == 0, one.stderr
    assert one.stdout == other.stdout

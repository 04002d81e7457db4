"""What people see in Dagster: assets with lineage, each of which can be materialised by itself, and one job for each pipeline."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, Definitions, Out, RunConfig, asset, op, validate_run_config
from dagster_runs import draw, instance_in, job, repository, resolved, run, states
from starlake_core_dagster import definitions
from starlake_core_dagster.loading import shared_assets
from starlake_core_dagster.publishing import publish

from starlake_core import (
    DuplicateIdError,
    NothingFoundError,
    Orchestration,
    PipelineFileError,
    RunError,
    StarlakeDataset,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakeDomain,
    StarlakeError,
    StarlakePipeline,
    StarlakeSchedule,
    Task,
    hookimpl,
)
from starlake_core.runtime import Verdict
from starlake_core.testing import FakeEnvironment

SALES = StarlakeDomain("sales", tables=["orders", "customers"])
HR = StarlakeDomain("hr", tables=["people"])
DAILY = StarlakeSchedule("daily", "0 2 * * *", [SALES, HR])
PARTITION = "2026-11-03T02:00:00+0000"


def scheduled(pipeline: StarlakePipeline) -> None:
    pipeline.add_schedule()


def lineage(pipeline: StarlakePipeline) -> None:
    pipeline.add_lineage()


def kpis() -> StarlakeDependencies:
    orders = StarlakeDependency("sales.orders", "table", cron="0 * * * *")
    revenue = StarlakeDependency("kpi.revenue", dependencies=[orders])
    return StarlakeDependencies([revenue, StarlakeDependency("kpi.top", dependencies=[revenue])])


def fake(pipeline: StarlakePipeline) -> FakeEnvironment:
    """The environment that a pipeline was drawn with."""
    (found,) = (p for p in pipeline.orchestration.plugins._manager.get_plugins() if isinstance(p, FakeEnvironment))
    return found


def key(text: str) -> AssetKey:
    return AssetKey(text.split("/"))


def node(source: Any, text: str) -> Any:
    return repository(definitions(source)).asset_graph.get(key(text))


def parents(source: Any, text: str) -> set[str]:
    return {parent.to_user_string() for parent in node(source, text).parent_keys}


def materialised(result: Any) -> list[str]:
    return sorted(event.asset_key.to_user_string() for event in result.get_asset_materialization_events())


def materialise(pipelines: Any, instance: Any, *keys: str, **keywords: Any) -> Any:
    """What *Materialize selected* does in the user interface."""
    defs = definitions(pipelines)
    resolve = getattr(defs, "resolve_implicit_global_asset_job_def", None) or defs.get_implicit_global_asset_job_def
    return run(resolve(), instance, asset_selection=[key(text) for text in keys], **keywords)


# -- what there is


def test_tables_and_transforms_are_assets_with_lineage() -> None:
    load = draw(scheduled, {"tags": "nightly, core"}, schedule=DAILY, name="load")
    transform = draw(lineage, dependencies=kpis(), name="kpis")
    graph = repository(definitions([load, transform])).asset_graph
    assert {found.to_user_string() for found in graph.get_all_asset_keys()} == {
        "sales/orders",
        "sales/customers",
        "hr/people",
        "load",
        "kpi/revenue",
        "kpi/top",
        "kpis",
    }
    orders = graph.get(key("sales/orders"))
    assert orders.is_materializable
    assert orders.group_name == "sales"
    assert set(orders.kinds) == {"starlake", "table"}
    assert {"nightly", "core", "sales"} <= set(orders.tags)
    assert (
        orders.metadata["command"].value if hasattr(orders.metadata["command"], "value") else orders.metadata["command"]
    )
    assert "Loads the table `orders` of the domain `sales`" in orders.description
    revenue = graph.get(key("kpi/revenue"))
    assert (revenue.group_name, set(revenue.kinds)) == ("kpi", {"starlake", "sql"})
    assert revenue.parent_keys == {key("sales/orders")}
    assert graph.get(key("kpi/top")).parent_keys == {key("kpi/revenue")}
    assert graph.get(key("load")).parent_keys == {key("sales/orders"), key("sales/customers"), key("hr/people")}


def test_a_transform_after_a_load_of_its_pipeline_depends_on_it() -> None:
    def build(p: StarlakePipeline) -> None:
        with p.sl_create_task_group("loads") as loads:
            p.sl_load("orders", "sales", "orders")
            p.sl_load("customers", "sales", "customers")
        p.start_task() >> loads >> p.sl_dummy_op("between") >> p.sl_transform("revenue", "kpi.revenue") >> p.end_task()

    assert parents(draw(build), "kpi/revenue") == {"sales/orders", "sales/customers"}


def test_options_and_keywords_say_what_an_asset_looks_like() -> None:
    def build(p: StarlakePipeline) -> None:
        p.sl_load(
            "orders",
            "sales",
            "orders",
            kinds={"parquet"},
            group_name="bronze",
            owners=["team:data"],
            asset_tags={"tier": "1"},
            metadata={"url": "docs"},
            description="All orders.",
            code_version="7",
            op_tags={"dagster/priority": "3"},
            pool="warehouse",
        )
        p.sl_load("customers", "sales", "customers")

    options = {"asset_key_prefix": "dwh,prod", "asset_kinds": "snowflake", "asset_owners": "ann@example.org"}
    pipeline = draw(build, options)
    orders, customers = node(pipeline, "dwh/prod/sales/orders"), node(pipeline, "dwh/prod/sales/customers")
    assert (orders.group_name, set(orders.kinds), list(orders.owners)) == ("bronze", {"parquet"}, ["team:data"])
    assert (orders.tags["tier"], orders.description, orders.code_version) == ("1", "All orders.", "7")
    assert set(customers.kinds) == {"starlake", "table", "snowflake"}
    assert list(customers.owners) == ["ann@example.org"]
    step = pipeline.native.ops["orders"]
    assert (step.tags["dagster/priority"], step.pool) == ("3", "warehouse")
    assert pipeline.native.ops["customers"].pool is None


def test_datasets_of_other_kinds_have_keys_of_their_parts() -> None:
    def build(p: StarlakePipeline) -> None:
        p.sl_load("a", "sales", "orders", outlets=[StarlakeDataset("s3://lake/Raw/x"), StarlakeDataset("Plain")])

    found = repository(definitions(draw(build))).asset_graph.get_all_asset_keys()
    assert {k.to_user_string() for k in found} == {"sales/orders", "s3/lake/raw/x", "plain"}


def test_the_flat_style_has_the_keys_of_earlier_packages() -> None:
    pipeline = draw(scheduled, {"dataset_style": "flat"}, schedule=DAILY, name="load")
    found = repository(definitions(pipeline)).asset_graph.get_all_asset_keys()
    assert {k.to_user_string() for k in found} == {"sales_orders", "sales_customers", "hr_people", "load"}


def test_a_pipeline_without_assets_is_a_job_of_ops(tmp_path: Path) -> None:
    def build(p: StarlakePipeline) -> None:
        p.sl_job("fresh", ["freshness", "--tables", "sales.orders"]) >> p.sl_job(
            "sum", ["summarize", "--domain", "a", "--table", "b"]
        )

    pipeline = draw(build)
    assert repository(definitions(pipeline)).asset_graph.get_all_asset_keys() == set()
    with instance_in(tmp_path) as instance:
        result = run(job(pipeline), instance)
    assert result.success
    assert states(result) == {"fresh": "success", "sum": "success"}
    assert len(fake(pipeline).submissions) == 2


def test_a_last_task_without_a_dataset_runs_too(tmp_path: Path) -> None:
    """Dagster would leave out what leads to no asset: it is an asset of its own."""

    def build(p: StarlakePipeline) -> None:
        p.sl_load("orders", "sales", "orders") >> p.sl_job("fresh", ["freshness", "--tables", "sales.orders"])

    pipeline = draw(build)
    with instance_in(tmp_path) as instance:
        result = run(job(pipeline), instance)
    assert states(result) == {"orders": "success", "fresh": "success"}
    assert materialised(result) == ["p/fresh", "sales/orders"]


# -- one asset alone


@pytest.mark.parametrize("together", [False, True])
def test_one_table_is_materialised_through_its_gate(tmp_path: Path, together: bool) -> None:
    options = {"pre_load_strategy": "imported", "load_domain_in_one_step": together}
    pipeline = draw(scheduled, options, schedule=DAILY, name="load")
    with instance_in(tmp_path) as instance:
        result = materialise(pipeline, instance, "sales/orders", partition_key=PARTITION)
        assert result.success
        assert [s.subject for s in fake(pipeline).submissions] == ["preload:sales", "stage:sales", "load:sales.orders"]
        assert materialised(result) == ["sales/orders"]
        fake(pipeline).script("preload:sales", Verdict.NOT_READY)
        assert materialised(materialise(pipeline, instance, "sales/orders", partition_key=PARTITION)) == []


def test_one_transform_is_materialised_without_those_before_it(tmp_path: Path) -> None:
    pipeline = draw(lineage, dependencies=kpis(), name="kpis")
    with instance_in(tmp_path) as instance:
        assert materialise(pipeline, instance, "kpi/top").success
        assert [s.subject for s in fake(pipeline).submissions] == ["transform:kpi.top"]
        fake(pipeline).submissions.clear()
        assert materialise(pipeline, instance, "kpi/top", "kpi/revenue").success
    assert [s.subject for s in fake(pipeline).submissions] == ["transform:kpi.revenue", "transform:kpi.top"]


def test_all_assets_of_all_pipelines_are_materialised_in_the_order_of_their_lineage(tmp_path: Path) -> None:
    load = draw(scheduled, {"partitions": "false"}, schedule=DAILY, name="load")
    transform = draw(lineage, dependencies=kpis(), name="kpis", environment=fake(load))
    with instance_in(tmp_path) as instance:
        wanted = ["kpi/revenue", "kpi/top", "sales/orders"]
        assert materialised(materialise([transform, load], instance, *wanted)) == wanted
    subjects = [s.subject for s in fake(load).submissions]
    assert subjects == ["load:sales.orders", "transform:kpi.revenue", "transform:kpi.top"]


# -- several pipelines


def test_an_asset_of_two_pipelines_is_defined_by_the_first(tmp_path: Path) -> None:
    first = draw(scheduled, {"partitions": "false"}, schedule=DAILY, name="first")
    options = {"run_dependencies_first": True, "partitions": "false"}
    second = draw(lineage, options, dependencies=kpis(), name="second", environment=fake(first))
    assert shared_assets([first.native, second.native]) == [
        "the asset sales/orders of pipeline second is already defined by pipeline first: in Dagster it belongs to the first, and the "
        "other records its materialisations"
    ]
    defs = definitions([first, second])
    graph = repository(defs).asset_graph
    assert graph.get(key("kpi/revenue")).parent_keys == {key("sales/orders")}
    with instance_in(tmp_path) as instance:
        result = run(resolved(defs, "job", "second"), instance)
        assert result.success
        assert materialised(result) == ["kpi/revenue", "kpi/top", "sales/orders", "second"]
        record = instance.get_latest_materialization_event(key("sales/orders"))
        metadata = record.asset_materialization.metadata
        assert metadata["source"].value == "second"
        assert [s.subject for s in fake(first).submissions] == [
            "load:sales.orders",
            "transform:kpi.revenue",
            "transform:kpi.top",
        ]


def test_two_schedules_with_one_table_keep_their_jobs(tmp_path: Path) -> None:
    hourly = StarlakeSchedule("hourly", "0 * * * *", [StarlakeDomain("sales", tables=["orders"])])
    first = draw(scheduled, schedule=DAILY, name="first")
    second = draw(scheduled, schedule=hourly, name="second", environment=fake(first))
    defs = definitions([first, second])
    with instance_in(tmp_path) as instance:
        result = run(resolved(defs, "job", "second"), instance, partition_key="2026-11-03T02:00:00+0000")
        assert result.success
        assert materialised(result) == ["sales/orders", "second"]


def test_a_user_can_merge_with_definitions_of_their_own() -> None:
    @asset(deps=[AssetKey(["sales", "orders"])])
    def report() -> None: ...

    merged = Definitions.merge(Definitions(assets=[report]), definitions(draw(scheduled, schedule=DAILY)))
    assert repository(merged).asset_graph.get(key("report")).parent_keys == {key("sales/orders")}


def test_definitions_are_published_into_the_module_of_the_pipeline_file() -> None:
    @asset
    def mine() -> None: ...

    namespace: dict[str, Any] = {"defs": Definitions(assets=[mine])}
    for name in ("one", "two"):
        orchestration = Orchestration(
            {}, orchestrator="dagster", environment=FakeEnvironment(), filename="f.py", namespace=namespace
        )
        with orchestration, orchestration.sl_create_pipeline(name=name) as pipeline:
            pipeline.sl_transform(name, f"kpi.{name}")
    found = repository(namespace["defs"])
    assert {k.to_user_string() for k in found.asset_graph.get_all_asset_keys()} == {"mine", "kpi/one", "kpi/two"}
    assert {"one", "two"} <= {found_job.name for found_job in found.get_all_jobs()}


def test_definitions_from_files_say_every_problem(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from starlake_core import Orchestration\nOrchestration({'retries': 'x'})\n")
    (tmp_path / "b.py").write_text("from starlake_core import Orchestration\n1 / 0\n")
    with pytest.raises(PipelineFileError, match=r"(?s)retries.*ZeroDivisionError"):
        definitions(tmp_path, environment="shell")


def test_definitions_from_a_pipeline_of_another_orchestrator_are_refused() -> None:
    orchestration = Orchestration(
        {}, orchestrator="local", environment=FakeEnvironment(), filename="f.py", namespace={}
    )
    with orchestration, orchestration.sl_create_pipeline(name="p") as pipeline:
        pipeline.sl_transform("a", "kpi.a")
    with pytest.raises(PipelineFileError, match="was not built for Dagster"):
        definitions(pipeline)


# -- names, keywords, natives


def test_names_are_dagster_names() -> None:
    def build(p: StarlakePipeline) -> None:
        with p.sl_create_task_group("a-b"):
            p.sl_transform("x-1", "kpi.x")
        with p.sl_create_task_group("c"):
            p.sl_transform("x-1", "kpi.y")

    pipeline = draw(build, name="my-load")
    assert pipeline.native.name == "my_load"
    assert pipeline.native.flat.names == {"a-b.x-1": "a_b__x_1", "c.x-1": "c__x_1"}


def test_two_names_that_become_one_are_refused() -> None:
    def build(p: StarlakePipeline) -> None:
        p.sl_transform("x-1", "kpi.x")
        p.sl_transform("x_1", "kpi.y")

    with pytest.raises(DuplicateIdError, match=r"'x-1' and 'x_1' of pipeline 'p' would both be 'x_1' in Dagster"):
        draw(build)


def test_a_keyword_in_the_wrong_place_is_refused() -> None:
    with pytest.raises(StarlakeError, match="task a of pipeline p does not take the keyword 'executor_def'"):
        draw(lambda p: p.sl_transform("a", "kpi.a", executor_def=1))
    with pytest.raises(
        StarlakeError,
        match=r"sl_create_pipeline\(\) does not take the keyword 'kinds'; .* takes executor_def, hooks, metadata, run_tags",
    ):
        draw(lambda p: p.sl_transform("a", "kpi.a"), kinds={"x"})


def test_an_op_of_the_user_takes_its_place(tmp_path: Path) -> None:
    ran: list[str] = []

    @op(out={"first": Out(int)})
    def mine() -> int:
        ran.append("mine")
        return 1

    def build(p: StarlakePipeline) -> None:
        p.sl_transform("a", "kpi.a") >> p.add_native("mine", lambda: mine) >> p.sl_transform("b", "kpi.b")

    pipeline = draw(build)
    with instance_in(tmp_path) as instance:
        assert states(run(job(pipeline), instance)) == {"a": "success", "mine": "success", "b": "success"}
    assert ran == ["mine"]


def test_a_factory_has_to_return_an_op() -> None:
    with pytest.raises(
        StarlakeError, match=r"the factory of 'mine' in pipeline 'p' returned 7; for Dagster it must return an op"
    ):
        draw(lambda p: p.add_native("mine", lambda: 7))


# -- size and order


def test_wide_groups_are_joined_in_as_few_edges_as_there_are_tasks(tmp_path: Path) -> None:
    def build(p: StarlakePipeline) -> None:
        with p.sl_create_task_group("loads") as loads:
            for number in range(12):
                p.sl_load(f"load_{number}", "sales", f"t{number}")
        with p.sl_create_task_group("kpis") as after:
            for number in range(12):
                p.sl_transform(f"kpi_{number}", f"kpi.k{number}")
        p.start_task() >> loads >> after >> p.end_task()

    pipeline = draw(build)
    flat = pipeline.native.flat
    assert list(flat.joins) == ["loads..loads_done"]
    assert sum(len(befores) for befores in flat.befores.values()) == 12 + 12 + 12 + 12
    fake(pipeline).script("load:sales.t3", Verdict.FAILED)
    with instance_in(tmp_path) as instance:
        result = run(job(pipeline), instance)
    assert not [s.subject for s in fake(pipeline).submissions if s.subject.startswith("transform")]
    assert not result.success


@pytest.mark.parametrize("count", [3, 12])
def test_a_wide_group_is_skipped_when_one_of_its_domains_is(tmp_path: Path, count: int) -> None:
    """Whatever the number of tables is."""

    def build(p: StarlakePipeline) -> None:
        with p.sl_create_task_group("loads") as loads:
            for domain in ("x", "y"):
                check = p.sl_pre_load(domain, ["a"], "pending")
                assert check is not None
                for number in range(count):
                    check >> p.sl_load(f"load_{domain}_{number}", domain, f"t{number}")
        with p.sl_create_task_group("kpis") as kpis_group:
            for number in range(count):
                p.sl_transform(f"kpi_{number}", f"kpi.k{number}")
        p.start_task() >> loads >> kpis_group >> p.end_task()

    pipeline = draw(build)
    fake(pipeline).script("preload:x", Verdict.NOT_READY)
    with instance_in(tmp_path) as instance:
        result = run(job(pipeline), instance)
    assert result.success
    found = states(result)
    assert {found[f"kpi_{number}"] for number in range(count)} == {"skipped"}
    assert {found[f"load_y_{number}"] for number in range(count)} == {"success"}


def test_tasks_that_share_what_they_wait_for_keep_it_apart() -> None:
    def build(p: StarlakePipeline) -> None:
        groups = []
        for name in ("a", "b", "c"):
            with p.sl_create_task_group(name) as group:
                for number in range(12):
                    p.sl_load(f"{name}{number}", name, f"t{number}", trigger="all_done" if number == 11 else None)
            groups.append(group)
        first = p.start_task()
        first >> groups[0]
        groups[0] >> groups[2]
        groups[1] >> groups[2]

    befores = draw(build).native.flat.befores
    a, b = ([f"{name}.{name}{number}" for number in range(12)] for name in "ab")
    assert {tuple(befores[path]) for path in a} == {("start",)}
    assert {tuple(befores[path]) for path in b} == {()}
    assert [list(befores[join]) for join in ("a..a_done", "b..b_done")] == [a, b]
    assert {tuple(befores[f"c.c{number}"]) for number in range(11)} == {("a..a_done", "b..b_done")}
    assert list(befores["c.c11"]) == [*a, *b]


def test_what_ops_have_in_common_is_made_once() -> None:
    """A pipeline of thousands of tables is thousands of everything that each op has of its own."""

    def build(p: StarlakePipeline) -> None:
        start = p.start_task()
        start >> [p.sl_load(f"load_{number}", "sales", f"t{number}", retries=number // 2) for number in range(4)]

    native = draw(build).native
    ops = [native.ops[f"load_{number}"] for number in range(4)]
    assert len({id(op.config_schema) for op in ops}) == 1
    assert [op.retry_policy and op.retry_policy.max_retries for op in ops] == [None, None, 1, 1]
    assert ops[2].retry_policy is ops[3].retry_policy
    assert native.flat.befores["load_0"] is native.flat.befores["load_1"]


def test_a_body_tells_the_signature_that_it_has() -> None:
    """It is told, because Dagster asks for that of each op and Python would find it anew each time."""
    body = draw(lambda p: p.sl_load("load", "sales", "orders")).native.ops["load"].compute_fn
    assert [*inspect.signature(body).parameters] == [*inspect.signature(type(body).__call__).parameters][1:]


def test_a_chain_is_no_matter_of_recursion() -> None:
    """Where Dagster walks a graph in the order of a set it recurses along a chain, and a thousand is the limit of Python."""

    def build(p: StarlakePipeline) -> None:
        before = p.start_task()
        for number in range(1500):
            before = before >> p.sl_transform(f"t{number}", f"kpi.t{number}")

    assert job(draw(build)) is not None


def test_a_task_may_be_called_all_in_a_wide_group() -> None:
    def build(p: StarlakePipeline) -> None:
        with p.sl_create_task_group("loads") as loads:
            for name in (*map(str, range(11)), "all"):
                p.sl_load(f"load_{name}" if name != "all" else name, "sales", f"t{name}")
        with p.sl_create_task_group("kpis") as after:
            for number in range(12):
                p.sl_transform(f"kpi_{number}", f"kpi.k{number}")
        loads >> after

    assert job(draw(build)) is not None


# -- what surprises


def test_pipelines_that_read_from_each_other_run_in_the_order_of_their_tables(tmp_path: Path) -> None:
    """The tables wait for each other in no circle, the pipelines do."""
    a, c = StarlakeDependency("k.a"), StarlakeDependency("k.c", dependencies=[StarlakeDependency("k.b")])
    b = StarlakeDependency("k.b", dependencies=[StarlakeDependency("k.a")])
    one = draw(lineage, dependencies=StarlakeDependencies([a, c]), name="one")
    two = draw(lineage, dependencies=StarlakeDependencies([b]), name="two", environment=fake(one))
    assert parents([one, two], "k/b") == {"k/a"}
    assert parents([one, two], "k/c") == {"k/b"}
    assert shared_assets([one.native, two.native]) == []
    defs = definitions([one, two])
    # Nothing has a cron, and nothing was loaded.
    day = {"sl_data_interval_start": "2026-03-04T00:00:00Z", "sl_data_interval_end": "2026-03-05T00:00:00Z"}
    with instance_in(tmp_path) as instance:
        assert run(resolved(defs, "job", "one"), instance, tags=day).success
        assert [s.subject for s in fake(one).submissions] == ["transform:k.a", "transform:k.c"]
        assert run(resolved(defs, "job", "two"), instance, tags=day).success
        assert materialise([one, two], instance, "k/c", "k/b", "k/a", tags=day).success
    assert [s.subject for s in fake(one).submissions[3:]] == ["transform:k.a", "transform:k.b", "transform:k.c"]


def test_checks_of_one_name_in_two_pipelines_are_told_apart(tmp_path: Path) -> None:
    """In one run of everything."""

    def build(table: str) -> Any:
        def drawn(p: StarlakePipeline) -> None:
            check = p.sl_pre_load("sales", [table], "imported")
            assert check is not None
            p.start_task() >> check >> p.sl_load("load", "sales", table) >> p.end_task()

        return drawn

    tables = {"one": "orders", "two": "customers"}
    for ready in tables:
        drawn = {name: draw(build(table), name=name) for name, table in tables.items()}
        for name, pipeline in drawn.items():
            if name != ready:
                fake(pipeline).script("preload:sales", Verdict.NOT_READY)
        with instance_in(tmp_path / ready) as instance:
            result = materialise(list(drawn.values()), instance, "sales/orders", "sales/customers", "one", "two")
        assert materialised(result) == sorted([f"sales/{tables[ready]}", ready])


def test_an_end_in_a_part_of_a_pipeline_emits_only_when_work_was_done(tmp_path: Path) -> None:
    pipeline = draw(scheduled, {"pre_load_strategy": "imported", "partitions": "false"}, schedule=DAILY)
    fake(pipeline).script("preload:hr", Verdict.NOT_READY)
    with instance_in(tmp_path) as instance:
        assert materialised(materialise(pipeline, instance, "hr/people", "p")) == []
        assert "p" in materialised(materialise(pipeline, instance, "hr/people", "sales/orders", "p"))
    report = pipeline.run(select=["*hr*", "end*"])
    assert (report.task("end_daily").state, report.datasets) == ("skipped", ())


def test_a_table_that_is_loaded_twice_in_a_pipeline_is_one_asset(tmp_path: Path) -> None:
    def build(p: StarlakePipeline) -> None:
        p.sl_load("one", "sales", "orders") >> p.sl_load("two", "sales", "orders") >> p.end_task()

    pipeline = draw(build)
    with instance_in(tmp_path) as instance:
        result = run(job(pipeline), instance)
    assert result.success
    assert materialised(result) == ["p", "sales/orders", "sales/orders"]


def test_a_last_task_may_have_the_name_of_a_table(tmp_path: Path) -> None:
    def build(p: StarlakePipeline) -> None:
        p.sl_load("load", "p", "fin") >> p.sl_job("fin", ["freshness", "--tables", "p.fin"])

    pipeline = draw(build)
    with instance_in(tmp_path) as instance:
        assert materialised(run(job(pipeline), instance)) == ["p/fin", "p/fin/done"]


def test_names_that_fall_together_are_refused_by_name() -> None:
    build = lambda p: p.sl_transform(p.id, f"kpi.{p.id}")  # noqa: E731
    for one, two in (("a-b", "a_b"), ("x", "x_steps"), ("x", "x")):
        with pytest.raises(
            PipelineFileError,
            match=f"'{one}' of pipelines.py and '{two}' of pipelines.py have the same name in Dagster",
        ):
            definitions([draw(build, name=one), draw(build, name=two)])
    with pytest.raises(
        StarlakeError, match="pipeline 'config' would be 'config' in Dagster, where that name is reserved"
    ):
        draw(build, name="config")
    with pytest.raises(StarlakeError, match="task 'class' of pipeline 'p' would be 'class' in Dagster"):
        draw(lambda p: p.sl_transform("class", "kpi.a"))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        (
            {"kinds": "sql"},
            "'sql' is not a valid value for the keyword 'kinds' of task a of pipeline p; it takes several words",
        ),
        (
            {"owners": "team:a"},
            "'team:a' is not a valid value for the keyword 'owners' of task a of pipeline p; it takes a list",
        ),
        ({"asset_tags": ["a"]}, "is not a valid value for the keyword 'asset_tags' of task a of pipeline p"),
    ],
)
def test_a_word_where_several_are_meant_is_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(StarlakeError, match=message):
        draw(lambda p: p.sl_transform("a", "kpi.a", **keywords))


def test_an_op_with_two_outputs_is_refused() -> None:
    @op(out={"a": Out(int), "b": Out(int)})
    def mine(): ...

    with pytest.raises(StarlakeError, match="with 2 outputs; for Dagster it must return an op"):
        draw(lambda p: p.add_native("mine", lambda: mine))


def test_an_add_on_may_give_a_task_an_op_of_its_own(tmp_path: Path) -> None:
    ran: list[str] = []

    class AddOn:
        name = "own"

        @hookimpl(tryfirst=True)
        def sl_create_task(self, task: Task) -> Any:
            if task.id != "load":
                return None

            @op
            def own() -> None:
                ran.append(task.id)

            return own

    orchestration = Orchestration(
        {}, orchestrator="dagster", environment=FakeEnvironment(), filename="f.py", namespace={}, addons=[AddOn()]
    )
    with orchestration, orchestration.sl_create_pipeline(name="p") as pipeline:
        pipeline.start_task() >> pipeline.sl_load("load", "sales", "orders") >> pipeline.end_task()
    with instance_in(tmp_path) as instance:
        assert materialised(run(job(pipeline), instance)) == ["p", "sales/orders"]
    assert ran == ["load"]


@pytest.mark.parametrize("given", [42, None, {"a": 1}, [None], [42]])
def test_definitions_of_something_else_are_refused(given: Any) -> None:
    with pytest.raises(
        StarlakeError,
        match=r"definitions\(\) takes one or several pipelines, pipeline files or folders with pipeline files",
    ):
        definitions(given)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"translators": None}, r"does not take the keyword 'translators'\. Did you mean 'translator'\?"),
        ({"executor_def": None}, r"does not take the keyword 'executor_def'\. Did you mean 'executor'\?"),
        ({"options": {"parallelism": 3}}, r"takes options as keywords: definitions\(source, parallelism=4\)"),
        ({"resources": {}}, r"the keyword 'resources' of Definitions; merge yours: Definitions\.merge\("),
        ({"executor": "threads"}, r"'threads' is not a valid value for 'executor' of definitions\(\)"),
    ],
)
def test_a_keyword_of_definitions_that_is_no_option_is_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(StarlakeError, match=message):
        definitions("pipelines", **keywords)


def test_a_relative_path_that_does_not_exist_is_said_with_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NothingFoundError, match=r"no file or folder pipelines in .*; .* Path\(__file__\)\.parent / "):
        definitions("pipelines")


@pytest.mark.parametrize("written", ["nowhere", "run_coordinator: [", "storage: {}\nrun_storage: {}", "instances: 3"])
def test_an_instance_that_cannot_be_opened_is_no_fault_of_the_plugin(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    if written != "nowhere":
        home.mkdir()
        (home / "dagster.yaml").write_text(written, encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    watching = draw(lineage, dependencies=kpis())
    for start in (watching.run, draw(lambda p: p.sl_transform("a", "kpi.a"), name="b").run):
        with pytest.raises(
            RunError, match=r"(?s)the instance of DAGSTER_HOME \(.*home\) cannot be opened: .{20,700}\n.*dagster\.yaml"
        ):
            start()


def test_options_for_pipelines_that_are_drawn_are_refused() -> None:
    with pytest.raises(StarlakeError, match=r"definitions\(\) takes environment, parallelism for pipeline files only"):
        definitions(draw(scheduled, schedule=DAILY), environment="shell", parallelism=3)


def test_a_module_may_be_loaded_again() -> None:
    namespace: dict[str, Any] = {}
    for _again in range(2):
        orchestration = Orchestration(
            {}, orchestrator="dagster", environment=FakeEnvironment(), filename="f.py", namespace=namespace
        )
        with orchestration, orchestration.sl_create_pipeline(name="p") as pipeline:
            pipeline.sl_transform("a", "kpi.a")
    assert {j.name for j in repository(namespace["defs"]).get_all_jobs()} >= {"p"}


GRAPH = """
import json, sys
from starlake_core import Orchestration, StarlakeDomain, StarlakeSchedule
from starlake_core.testing import FakeEnvironment
from starlake_core_dagster import definitions
daily = StarlakeSchedule("daily", "0 2 * * *", [StarlakeDomain(d, tables={"c", "a", "b", "e"}) for d in ("x", "y")])
orchestration = Orchestration({"pre_load_strategy": "imported", "tags": "one two", "asset_kinds": "gold"},
                              orchestrator="dagster", environment=FakeEnvironment(), filename="f.py", namespace={})
with orchestration, orchestration.sl_create_pipeline(schedule=daily, name="p") as p:
    p.add_schedule()
native = p.native
made = native.assets()
print(json.dumps({
    "nodes": list(native.ops),
    "definitions": [one.node_def.name for one in made],
    "dependencies": [
        {str(k): {i: [str(x) for x in getattr(d, "dependencies", [d])] for i, d in v.items()} for k, v in one.node_def.dependencies.items()}
        for one in made if hasattr(one.node_def, "dependencies")
    ],
    "inputs": {name: list(op.ins) for name, op in native.ops.items()},
    "outputs": [list(one.keys_by_output_name) for one in made],
    "specs": [
        (s.key.to_user_string(), sorted(s.kinds), list(s.tags), [d.asset_key.to_user_string() for d in s.deps]) for one in made for s in one.specs
    ],
}))
"""


def test_two_processes_build_the_same() -> None:
    found = set()
    for seed in ("1", "2", "3"):
        done = subprocess.run(
            [sys.executable, "-c", GRAPH],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        found.add(done.stdout)
    assert len(found) == 1


def test_finding_the_plugin_imports_no_dagster() -> None:
    code = "import sys, starlake_core_dagster; sys.exit('dagster' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_defining_pipelines_imports_no_storage() -> None:
    """Every code server and every step of a process of its own would pay for it."""
    code = "import sys; from dagster_runs import *; draw(lambda p: p.sl_transform('a', 'kpi.a')).orchestration.namespace['defs']; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert not {"alembic", "sqlalchemy.engine", "grpc"} & set(done.stdout.split())


# Said where it is written.


def test_one_project_is_in_a_location_twice_under_two_prefixes() -> None:
    def deployed(prefix: str) -> StarlakePipeline:
        return draw(scheduled, {"asset_key_prefix": prefix, "cron": "0 2 * * *"}, schedule=DAILY, name="load")

    pipelines = [deployed("dev"), deployed("prod")]
    found = repository(definitions(pipelines))
    jobs = {made.name for made in found.get_all_jobs()} - {"__ASSET_JOB"}
    assert jobs == {"dev_load", "prod_load"}
    assert {made.name for made in found.schedule_defs} == {"dev_load_schedule", "prod_load_schedule"}
    assert [pipeline.native.form().node_names[-1] for pipeline in pipelines] == [
        "dev_load__end_daily",
        "prod_load__end_daily",
    ]


def test_two_prefixes_in_one_file_are_published_together() -> None:
    namespace: dict[str, Any] = {}
    for prefix in ("dev", "prod", "dev"):
        publish([draw(scheduled, {"asset_key_prefix": prefix}, schedule=DAILY, name="load").native], namespace)
    assert {made.name for made in repository(namespace["defs"]).get_all_jobs()} >= {"dev_load", "prod_load"}


def test_a_refusal_offers_what_is_taken_there() -> None:
    with pytest.raises(StarlakeError) as of_task:
        draw(lambda p: p.sl_load("a", "sales", "orders", executor=1))
    with pytest.raises(StarlakeError) as of_pipeline:
        draw(lambda p: p.sl_load("a", "sales", "orders"), asset_tags={})
    assert "retry_policy" in str(of_task.value)
    assert "run_tags" not in str(of_task.value)
    assert "run_tags" in str(of_pipeline.value)
    assert "asset_tags" not in str(of_pipeline.value).partition("takes")[2]


def test_the_configuration_of_a_native_op_is_where_its_step_is() -> None:
    """As the README says, in the launchpad and in Python."""

    @op(config_schema={"channel": str})
    def notify() -> None: ...

    def last(p: StarlakePipeline) -> None:
        p.sl_load("a", "sales", "orders") >> p.add_native("notify", lambda: notify)

    def between(p: StarlakePipeline) -> None:
        p.sl_load("a", "sales", "orders") >> p.add_native("notify", lambda: notify) >> p.sl_transform("b", "kpi.b")

    config = {"config": {"channel": "data"}}
    validate_run_config(job(draw(last)), {"ops": {"p__notify": config}})
    validate_run_config(job(draw(last)), RunConfig(ops={"p__notify": config}))
    inside = {"p__notify__steps": {"ops": {"notify": config}}}
    validate_run_config(job(draw(between)), {"ops": inside})
    validate_run_config(job(draw(between)), RunConfig(ops=inside))
    alone = job(draw(lambda p: p.add_native("notify", lambda: notify)))
    validate_run_config(alone, {"ops": {"notify": config}})


def test_a_table_of_two_files_that_are_not_loaded_together_is_said_with_the_way_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = (
        "from starlake_core import Orchestration\n"
        "with Orchestration({}, orchestrator='dagster', environment='shell') as orchestration:\n"
        "    with orchestration.sl_create_pipeline(name=NAME) as pipeline:\n"
        "        pipeline.sl_load('x', 'lonely', 'x')\n"
    )
    files = [tmp_path / f"{name}.py" for name in ("one", "two")]
    found = []
    for file in files:
        file.write_text(text.replace("NAME", repr(file.stem)), encoding="utf-8")
        for _reloaded in range(2):
            namespace: dict[str, Any] = {"__name__": file.stem, "__file__": str(file)}
            exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), namespace)
        found.append(namespace["defs"])
    with pytest.raises(Exception, match="Duplicate asset key"):
        repository(Definitions.merge(*found))
    notes = [line for line in caplog.messages if "is defined by pipeline one of" in line]
    assert notes
    assert all(str(file) in notes[0] for file in files)
    caplog.clear()
    assert repository(definitions(files)).get_job("two") is not None
    assert not [line for line in caplog.messages if "is defined by pipeline one of" in line]


@pytest.mark.parametrize("one", ["call", "module"])
def test_what_is_loaded_one_by_one_is_said_on_every_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, one: str
) -> None:
    """Of two calls, or of a module and a call, as of a file of ``defs`` and a component: one sentence for all assets, and one for the job."""
    text = (
        "from starlake_core import Orchestration\n"
        "with Orchestration({}, orchestrator='dagster', environment='shell') as orchestration:\n"
        "    with orchestration.sl_create_pipeline(name='NAME') as pipeline:\n"
        "        pipeline.sl_load('x', 'NAME', 'x')\n"
        "        pipeline.sl_load('y', 'NAME', 'y')\n"
    ).replace("NAME", f"{one}_twice")
    files = [tmp_path / f"{name}.py" for name in ("one", "two")]
    for file in files:
        file.write_text(text, encoding="utf-8")
    if one == "call":
        assert definitions(files[0]) is not None
    else:
        exec(compile(text, str(files[0]), "exec"), {"__name__": "one", "__file__": str(files[0])})
    assert not caplog.messages
    assert definitions(files[1]) is not None
    shared, job_twice = caplog.messages
    assert f"the asset {one}_twice/x (and 1 more) is defined by pipeline {one}_twice of {files[0]}" in shared
    assert f"definitions([{str(files[0])!r}, {str(files[1])!r}])" in shared
    assert f"have the same job {one}_twice" in job_twice
    assert "sl_create_pipeline(name=...)" in job_twice


def test_a_pipeline_cannot_replace_the_job_of_all_assets() -> None:
    with pytest.raises(StarlakeError, match="'__ASSET_JOB' in Dagster, where that name is reserved"):
        draw(lambda p: p.sl_load("x", "d", "x"), name="__ASSET_JOB")

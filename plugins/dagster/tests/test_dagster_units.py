"""A definition for each table: what Dagster can put between two tables, and what a run does with gates, failures and checks, on every route."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AllPartitionMapping,
    AssetCheckResult,
    AssetCheckSpec,
    AssetDep,
    AssetIn,
    AssetKey,
    AssetSpec,
    DailyPartitionsDefinition,
    Definitions,
    GraphDefinition,
    IOManager,
    MaterializeResult,
    StaticPartitionsDefinition,
    asset,
    asset_check,
    define_asset_job,
    in_process_executor,
    multi_asset,
    multi_asset_check,
    op,
)
from dagster import __version__ as dagster_version
from dagster_runs import draw, instance_in, job, launch, repository, resolved, run, states
from starlake_core_dagster import StarlakeTranslator, TranslatedAsset, definitions, forms
from starlake_core_dagster.forms import MOST_IN_A_ROW
from starlake_core_dagster.loading import shared_assets
from starlake_core_dagster.units import circles, longest_path

from starlake_core import StarlakeDataset, StarlakePipeline, TaskState
from starlake_core.runtime import Verdict
from starlake_core.testing import FakeEnvironment

pytest_plugins = ["starlake_core.testing.plugin"]

OLD = tuple(int(part) for part in dagster_version.split(".")[:2]) < (1, 13)
DAY = {"sl_data_interval_start": "2026-03-04T00:00:00Z", "sl_data_interval_end": "2026-03-05T00:00:00Z"}
ALL = ["x", "y", "z", "a", "b", "c", "d", "end"]
GATES = ["check_g1_incoming_files", "import_g1", "check_g2_incoming_files", "import_g2"]
SCORE = AssetKey(["ml", "score"])


def table(name: str) -> StarlakeDataset:
    return StarlakeDataset(f"starlake://{name}")


def drawn(p: StarlakePipeline) -> None:
    """Two domains behind gates, transforms on them, an end behind the last tables, and something that always runs."""
    made = {}
    for domain, names in (("g1", ["x", "y"]), ("g2", ["z"])):
        check = p.sl_pre_load(domain, names, "imported")
        assert check is not None
        move = p.sl_import(f"import_{domain}", domain, names)
        check >> move
        for name in names:
            made[name] = p.sl_load(name, domain, name)
            move >> made[name]
    for name, reads in (
        ("a", ["g1.x"]),
        ("b", ["mart.a"]),
        ("c", ["mart.b", "ml.score", "dbt.staged"]),
        ("d", ["g2.z"]),
    ):
        inlets = [table(read.replace(".", "/")) for read in reads]
        made[name] = p.sl_transform(name, f"mart.{name}", inlets=inlets)
    made["x"] >> made["a"] >> made["b"] >> made["c"]
    made["z"] >> made["d"]
    end = p.end_task("end")
    [made["y"], made["c"], made["d"]] >> end
    end >> p.sl_job("down", ["summarize", "--domain", "g1", "--table", "x"], trigger="all_done")


def fake(pipeline: StarlakePipeline) -> FakeEnvironment:
    (found,) = (p for p in pipeline.orchestration.plugins._manager.get_plugins() if isinstance(p, FakeEnvironment))
    return found


def key(text: str) -> AssetKey:
    return AssetKey(text.split("/"))


def global_job(defs: Definitions) -> Any:
    resolve = getattr(defs, "resolve_implicit_global_asset_job_def", None) or defs.get_implicit_global_asset_job_def
    return resolve()


def foreign(ran: list[str]) -> Any:
    @asset(key=SCORE, deps=[AssetKey(["mart", "a"])])
    def score() -> None:
        ran.append("score")

    return score


def models(ran: list[str]) -> Any:
    """A definition of which any part can be made, as that of dbt: its tables are between two of the pipeline, and after them."""
    specs = [AssetSpec(key("dbt/staged"), deps=[key("mart/a")]), AssetSpec(key("dbt/report"), deps=[key("mart/c")])]

    @multi_asset(specs=specs, can_subset=True, name="models")
    def dbt(context) -> Iterator[MaterializeResult]:
        for name in context.selected_asset_keys:
            ran.append(name.path[-1])
            yield MaterializeResult(asset_key=name)

    return dbt


def check_on(name: str, passes: list[bool]) -> Any:
    """A blocking check that passes as it is told, once for each run."""

    @asset_check(asset=key(name), blocking=True, name=f"good_{name.replace('/', '_')}")
    def good() -> AssetCheckResult:
        return AssetCheckResult(passed=passes.pop(0) if passes else True)

    return good


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Any]:
    with instance_in(tmp_path / "dagster") as found:
        yield found


@pytest.fixture(params=["job", "__ASSET_JOB", "in process"])
def route(request: pytest.FixtureRequest, instance: Any) -> Any:
    """Starts a whole pipeline: by its job, as *Materialize all* does, or with Dagster's own executor for tests."""

    def go(defs: Definitions, **again: Any) -> Any:
        found = resolved(defs, "job", "p") if request.param != "__ASSET_JOB" else global_job(defs)
        if request.param == "in process":
            return run(found, instance, tags=DAY)
        return launch(found, instance, DAY, **again)

    go.name = request.param  # type: ignore[attr-defined]
    return go


def ended(result: Any, how: str) -> list[str]:
    return sorted(name for name, state in states(result).items() if state == how)


def materialised(result: Any) -> set[str]:
    return {
        event.asset_key.to_user_string()
        for event in result.all_events
        if event.event_type_value == "ASSET_MATERIALIZATION"
    }


# -- what shares a definition


def test_each_table_has_a_definition_and_a_gate_shares_that_of_what_is_behind_it() -> None:
    native = draw(drawn).native
    members = [list(unit) for unit in native.form().units.members]
    assert members == [
        ["check_g1_incoming_files", "import_g1", "x", "y"],
        ["check_g2_incoming_files", "import_g2", "z"],
        ["a"],
        ["d"],
        ["b"],
        ["c"],
        ["end"],
        ["down"],
    ]
    assert native.step_key("b") == "p__b"
    assert native.step_key("x") == "p__check_g1_incoming_files__steps.x"


def test_what_is_before_and_after_another_unit_is_one_with_it() -> None:
    def circle(p: StarlakePipeline) -> None:
        first = p.sl_job("first", ["summarize", "--domain", "g", "--table", "x"])
        x, a, z = p.sl_load("x", "g", "x"), p.sl_transform("a", "mart.a"), p.sl_load("z", "g", "z")
        first >> x >> a >> z
        first >> z

    assert [list(unit) for unit in draw(circle).native.form().units.members] == [["first", "x", "a", "z"]]


def test_circles_and_the_longest_way_are_found_without_recursion() -> None:
    chain = {str(number): [str(number - 1)] for number in range(1, 5000)}
    assert longest_path(chain) == 5000
    assert circles(chain) == []
    assert [sorted(found) for found in circles({"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": [], "e": ["a"]})] == [
        ["a", "b", "c"]
    ]


# -- the whole pipeline


def test_everything_runs_in_order_with_assets_of_the_user_in_between(route: Any) -> None:
    ran: list[str] = []
    pipeline = draw(drawn)
    defs = Definitions.merge(Definitions(assets=[foreign(ran), models(ran)]), definitions(pipeline))
    result = route(defs)
    assert set(ended(result, "success")) >= {*ALL, "down", *GATES}
    order = [e.asset_key.to_user_string() for e in result.all_events if e.event_type_value == "ASSET_MATERIALIZATION"]
    for between in ("ml/score", "dbt/staged"):
        assert order.index("mart/a") < order.index(between) < order.index("mart/c")
    # The job of the pipeline leaves what comes after it to others.
    assert set(ran) == {"score", "staged", *(["report"] if route.name == "__ASSET_JOB" else [])}


def test_a_domain_that_is_not_ready_skips_what_depends_on_it_only(route: Any) -> None:
    pipeline = draw(drawn)
    fake(pipeline).script("preload:g2", Verdict.NOT_READY)
    result = route(definitions(pipeline))
    assert result.success
    assert ended(result, "skipped") == ["d", "import_g2", "z"]
    assert materialised(result) >= {"g1/x", "g1/y", "mart/c", "p"}


def test_an_end_runs_and_emits_nothing_if_no_domain_is_ready(route: Any) -> None:
    pipeline = draw(drawn)
    for domain in ("g1", "g2"):
        fake(pipeline).script(f"preload:{domain}", Verdict.NOT_READY)
    result = route(definitions(pipeline))
    assert result.success
    assert not materialised(result) & {"p", "g1/x", "mart/a"}
    (observed,) = (e for e in result.all_events if e.event_type_value == "ASSET_OBSERVATION")
    assert observed.asset_key == AssetKey("p")
    description = observed.event_specific_data.asset_observation.description
    assert description.startswith("nothing was loaded or transformed: g1 is not ready: scripted: not ready")


def test_a_failed_load_stops_what_is_behind_it_and_is_repeated_alone(route: Any) -> None:
    pipeline = draw(drawn)
    fake(pipeline).script("load:g1.y", Verdict.FAILED, Verdict.SUCCEEDED)
    defs = definitions(pipeline)
    result = route(defs)
    assert not result.success
    assert ended(result, "failure") == ["y"]
    # Dagster's own executor runs nothing after a failure: there it is left to the sensor.
    runs_on = {"x", "z", "a", "b", "c", "d"} | ({"down"} if route.name != "in process" else set())
    assert runs_on <= set(ended(result, "success"))
    assert "end" not in states(result)
    if route.name == "in process":
        return
    record = result.dagster_run
    again = route(defs, again=record, from_failure=True)
    assert again.success
    assert ended(again, "success") == ["down", "end", "y"]


def test_a_blocking_check_stops_the_next_transform_and_what_is_behind_it(route: Any) -> None:
    ran: list[str] = []
    pipeline = draw(drawn)
    mine = Definitions(assets=[foreign(ran)], asset_checks=[check_on("mart/a", [False])])
    defs = Definitions.merge(mine, definitions(pipeline))
    result = route(defs)
    assert not result.success
    assert {"a", "d", "x", "y", "z"} <= set(ended(result, "success"))
    assert not {"b", "c", "end"} & set(states(result))
    assert ran == []
    if route.name == "in process":
        return
    assert "down" in ended(result, "success")
    record = result.dagster_run
    again = route(defs, again=record, from_failure=True)
    assert again.success
    assert {"b", "c", "end", "down"} <= set(ended(again, "success"))
    assert "a" not in states(again)
    assert ran == ["score"]


@pytest.mark.parametrize("leaf", ["g1/y", "mart/d"])
def test_a_blocking_check_on_a_last_table_stops_the_end(leaf: str, instance: Any) -> None:
    pipeline = draw(drawn)
    defs = Definitions.merge(Definitions(asset_checks=[check_on(leaf, [False])]), definitions(pipeline))
    result = launch(resolved(defs, "job", "p"), instance, DAY)
    assert not result.success
    assert "end" not in states(result)
    assert {"c", "d", "down"} <= set(ended(result, "success"))


# -- a part of it


@pytest.mark.parametrize(
    ("asked", "steps"),
    [
        (["g1/x"], ["check_g1_incoming_files", "import_g1", "x"]),
        (["mart/b"], ["b"]),
        (["g1/x", "mart/a", "mart/c"], ["a", "c", "check_g1_incoming_files", "import_g1", "x"]),
    ],
)
def test_a_table_runs_through_its_gate_and_a_transform_alone(
    asked: Sequence[str], steps: Sequence[str], instance: Any
) -> None:
    result = run(global_job(definitions(draw(drawn))), instance, asset_selection=[key(one) for one in asked], tags=DAY)
    assert result.success
    assert ended(result, "success") == steps


def test_a_table_of_a_domain_that_is_not_ready_is_skipped_alone(instance: Any) -> None:
    pipeline = draw(drawn)
    fake(pipeline).script("preload:g1", Verdict.NOT_READY)
    result = run(global_job(definitions(pipeline)), instance, asset_selection=[key("g1/x"), key("p")], tags=DAY)
    assert result.success
    assert ended(result, "skipped") == ["import_g1", "x"]
    assert materialised(result) == set()


def test_a_job_of_the_user_runs_a_part_with_the_rules_of_the_pipeline(instance: Any) -> None:
    pipeline = draw(drawn)
    fake(pipeline).script("transform:mart.b", Verdict.FAILED)
    mine = define_asset_job("mine", selection=["mart/b*"])
    defs = Definitions.merge(Definitions(jobs=[mine]), definitions(pipeline))
    result = launch(resolved(defs, "job", "mine"), instance, DAY)
    assert ended(result, "failure") == ["b"]
    assert ended(result, "success") == ["down"]


# -- what others put between


def test_two_tables_of_two_pipelines_wait_for_each_other_in_one_run(instance: Any) -> None:
    def other(p: StarlakePipeline) -> None:
        p.sl_transform("score", "ml.score", inlets=[table("mart/a")])

    pipeline = draw(drawn)
    two = draw(other, name="two", environment=fake(pipeline))
    defs = definitions([pipeline, two])
    assert shared_assets([pipeline.native, two.native]) == []
    assert launch(global_job(defs), instance, DAY).success
    subjects = [s.subject for s in fake(pipeline).submissions if s.subject[-1] in "acb" or "ml" in s.subject]
    assert subjects.index("transform:mart.a") < subjects.index("transform:ml.score")
    assert subjects.index("transform:ml.score") < subjects.index("transform:mart.c")
    # The job of a pipeline leaves the assets of another one to the job of that one.
    fake(pipeline).submissions.clear()
    assert launch(resolved(defs, "job", "p"), instance, DAY).success
    assert "transform:ml.score" not in [s.subject for s in fake(pipeline).submissions]


def test_a_circle_through_one_domain_is_said_and_loads(instance: Any) -> None:
    """The tables of a domain share a definition, which cannot be before and after another one."""

    def loads(p: StarlakePipeline) -> None:
        check = p.sl_pre_load("g", ["x", "y"], "imported")
        assert check is not None
        check >> [p.sl_load("x", "g", "x"), p.sl_load("y", "g", "y", inlets=[table("mart/a")])]

    one = draw(loads, name="one")
    two = draw(lambda p: p.sl_transform("a", "mart.a", inlets=[table("g/x")]), name="two", environment=fake(one))
    (note,) = shared_assets([one.native, two.native])
    assert "does not order the two" in note
    defs = definitions([one, two])
    assert launch(global_job(defs), instance, DAY).success
    parents = repository(defs).asset_graph.get(key("g/y")).parent_keys
    assert parents == {key("mart/a")}


@pytest.mark.skipif(OLD, reason="Dagster 1.10 fails to copy an op with inputs; there the keyword deps remains")
def test_dependencies_and_mappings_of_the_user_reach_a_transform() -> None:
    pipeline = draw(drawn, cron="0 2 * * *")

    @asset(key=["ref", "rates"], partitions_def=StaticPartitionsDefinition(["eu", "us"]))
    def rates() -> None: ...

    def mapped(spec: AssetSpec) -> AssetSpec:
        dep = AssetDep(AssetKey(["ref", "rates"]), partition_mapping=AllPartitionMapping())
        return spec.replace_attributes(deps=[*spec.deps, dep]) if spec.key == key("mart/b") else spec

    made = [one.map_asset_specs(mapped) if key("mart/b") in one.keys else one for one in pipeline.native.assets()]
    graph = repository(Definitions(assets=[rates, *made])).asset_graph
    assert key("ref/rates") in graph.get(key("mart/b")).parent_keys


READS = {"y": "g/x", "a": "g/y", "w": "mart/a", "v": "ml/score"}
"""What tasks read in :func:`without_edges`: a table behind the same gate, of another definition, made in between, and of others."""


class Adds(StarlakeTranslator):
    """Lets tables depend on what :data:`READS` says."""

    def get_asset_spec(self, asset: TranslatedAsset) -> AssetSpec:
        spec = super().get_asset_spec(asset)
        reads = READS.get(asset.task.id) if asset.task is not None else None
        return spec if reads is None else spec.replace_attributes(deps=[*spec.deps, key(reads)])


def without_edges(says: str) -> Any:
    """Draws tasks that read from each other, and are not linked.

    Args:
        says: what tells it: ``inlets``, ``deps`` or a translator.
    """

    def build(p: StarlakePipeline) -> None:
        def reads(name: str) -> dict[str, Any]:
            of = {"inlets": [table(READS[name])], "deps": [READS[name]]}
            return {says: of[says]} if says in of else {}

        check = p.sl_pre_load("g", ["w", "x", "y", "v"], "imported")
        assert check is not None
        check >> [p.sl_load("w", "g", "w", **reads("w")), p.sl_load("v", "g", "v", **reads("v"))]
        check >> [p.sl_load("y", "g", "y", **reads("y")), p.sl_load("x", "g", "x")]
        p.sl_transform("a", "mart.a", **reads("a"))

    return build


@pytest.mark.parametrize("says", ["inlets", "deps", "translator"])
@pytest.mark.parametrize("most", [MOST_IN_A_ROW, 0], ids=["units", "one graph"])
def test_what_is_read_is_waited_for(says: str, most: int, instance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "MOST_IN_A_ROW", most)

    @asset(key=SCORE)
    def score() -> None:
        raise RuntimeError("no score")

    pipeline = draw(without_edges(says), translator=Adds() if says == "translator" else None)
    fake(pipeline).script("transform:mart.a", Verdict.FAILED)
    defs = Definitions.merge(Definitions(assets=[score]), definitions(pipeline))
    graph = repository(defs).asset_graph
    assert {name: graph.get(key(f"{'mart' if name == 'a' else 'g'}/{name}")).parent_keys for name in READS} == {
        name: {key(reads)} for name, reads in READS.items()
    }
    result = launch(global_job(defs), instance, DAY)
    assert ended(result, "success") == ["check_g_incoming_files", "x", "y"]
    assert ended(result, "failure") == ["a", "score"]


def test_a_run_in_this_process_says_why_a_task_that_reads_did_not_run() -> None:
    """As if the two were linked; what only was skipped is not resumed."""

    def build(p: StarlakePipeline) -> None:
        p.sl_transform("a", "mart.a", inlets=[table("g/x")])
        p.sl_load("x", "g", "x")

    pipeline = draw(build)
    fake(pipeline).script("load:g.x", Verdict.FAILED)
    assert {task.id: task.state for task in pipeline.run().tasks} == {
        "a": TaskState.UPSTREAM_FAILED,
        "x": TaskState.FAILED,
    }


def test_the_end_runs_behind_a_transform_that_only_reads_a_skipped_table(instance: Any) -> None:
    """In the executor of Dagster, which skips a step if anything that it waits for was skipped."""

    def build(p: StarlakePipeline) -> None:
        for domain in ("g1", "g2"):
            check = p.sl_pre_load(domain, ["x"], "imported")
            assert check is not None
            check >> p.sl_load(f"{domain}_x", domain, "x")
        reads = [
            p.sl_transform(f"a{domain}", f"mart.{domain}", inlets=[table(f"{domain}/x")]) for domain in ("g1", "g2")
        ]
        reads >> p.end_task("end")

    pipeline = draw(build, executor_def=in_process_executor)
    fake(pipeline).script("preload:g2", Verdict.NOT_READY)
    result = launch(job(pipeline), instance, DAY)
    assert ended(result, "success") == ["ag1", "check_g1_incoming_files", "check_g2_incoming_files", "end", "g1_x"]


def test_a_table_that_is_read_before_it_is_made_is_not_waited_for(instance: Any) -> None:
    """A copy of what was loaded the last time: the order that is drawn counts."""

    def build(p: StarlakePipeline) -> None:
        copy = p.sl_job("copy", ["summarize", "--domain", "g", "--table", "x"], inlets=[table("g/x")])
        copy >> p.sl_load("x", "g", "x")

    pipeline = draw(build)
    assert launch(job(pipeline), instance, DAY).success
    assert [s.subject for s in fake(pipeline).submissions][-1] == "load:g.x"


def test_a_job_has_what_one_run_of_it_can_make_between_its_tables(instance: Any) -> None:
    """Dagster refuses a job with a part of something that has no parts, and a job with two kinds of partitions."""

    @multi_asset(specs=[AssetSpec(SCORE, deps=[key("mart/a")]), AssetSpec(key("ml/report"), deps=[key("mart/a")])])
    def whole() -> Iterator[MaterializeResult]:
        yield MaterializeResult(asset_key=SCORE)
        yield MaterializeResult(asset_key=key("ml/report"))

    @asset(key=key("ref/rates"))
    def rates() -> None: ...

    about = [AssetCheckSpec("good", asset=key("mart/b")), AssetCheckSpec("fresh", asset=key("ref/rates"))]

    @multi_asset_check(specs=about)
    def both() -> Iterator[AssetCheckResult]:
        for spec in about:
            yield AssetCheckResult(passed=True, asset_key=spec.asset_key, check_name=spec.name)

    every, regions = AllPartitionMapping(), StaticPartitionsDefinition(["eu", "us"])

    @asset(key=key("ml/regions"), partitions_def=regions, deps=[AssetDep(key("mart/a"), partition_mapping=every)])
    def by_region() -> None: ...

    @asset(key=key("ml/after"), deps=[AssetDep(key("ml/regions"), partition_mapping=every)])
    def behind_them() -> None: ...

    def build(p: StarlakePipeline) -> None:
        mapped = AssetDep(key("ml/regions"), partition_mapping=every)
        p.sl_transform("a", "mart.a") >> p.sl_transform("b", "mart.b", deps=["ml/score", "ml/after", mapped])

    mine = Definitions(assets=[whole, rates, by_region, behind_them], asset_checks=[both])
    for cron, tags in (("0 2 * * *", {"dagster/partition": "2026-03-04T02:00:00+0000"}), (None, DAY)):
        defs = Definitions.merge(mine, definitions(draw(build, cron=cron)))
        result = launch(resolved(defs, "job", "p"), instance, tags)
        assert result.success
        assert materialised(result) == {"mart/a", "ml/score", "ml/report", "mart/b"}
        checked = {
            event.event_specific_data.check_name
            for event in result.all_events
            if event.event_type_value == "ASSET_CHECK_EVALUATION"
        }
        assert checked == {"good", "fresh"}


def test_a_job_of_a_pipeline_without_partitions_stays_without(instance: Any) -> None:
    days = DailyPartitionsDefinition("2026-01-01")

    @asset(key=SCORE, deps=[key("mart/a")], partitions_def=days)
    def score() -> None: ...

    pipeline = draw(lambda p: p.sl_transform("a", "mart.a") >> p.sl_transform("b", "mart.b", deps=["ml/score"]))
    made = resolved(Definitions.merge(Definitions(assets=[score]), definitions(pipeline)), "job", "p")
    assert made.partitions_def is None
    assert ended(launch(made, instance, DAY), "success") == ["a", "b"]


# -- what cannot be


def two_loads(reads: str) -> Any:
    def loads(p: StarlakePipeline) -> None:
        check = p.sl_pre_load("g", ["x", "y"], "imported")
        assert check is not None
        check >> [p.sl_load("x", "g", "x"), p.sl_load("y", "g", "y", inlets=[table(reads)])]
        p.sl_transform("a", "mart.a", inlets=[table("g/y")])

    return loads


def test_nothing_stands_between_two_tables_behind_one_gate_and_check_says_so() -> None:
    pipeline = draw(two_loads("ml/score"))
    (note,) = shared_assets([pipeline.native])
    assert note.startswith(
        "y of pipeline p reads ml/score, which no pipeline here makes, and shares a definition with g/x"
    )

    @asset(key=SCORE, deps=[key("g/x")])
    def score() -> None: ...

    defs = Definitions.merge(Definitions(assets=[score]), definitions(pipeline))
    with pytest.raises(Exception, match=r"does not have (output|input)"):
        global_job(defs)
    # As the note advises.
    pipeline = draw(lambda p: p.sl_load("x", "g", "x"))
    other = draw(
        lambda p: p.sl_load("y", "g2", "y", inlets=[table("ml/score")]), name="two", environment=fake(pipeline)
    )
    assert shared_assets([pipeline.native, other.native]) == []
    defs = Definitions.merge(Definitions(assets=[score]), definitions([pipeline, other]))
    assert global_job(defs) is not None


def test_a_blocking_check_behind_a_gate_stops_the_transforms_and_no_table_of_the_domain(instance: Any) -> None:
    pipeline = draw(two_loads("g/x"))
    (note,) = shared_assets([pipeline.native])
    assert note.startswith("y of pipeline p comes after g/x and shares its definition")
    for checked, behind in (("g/x", {"x", "y", "a"}), ("g/y", {"x", "y"})):
        defs = Definitions.merge(Definitions(asset_checks=[check_on(checked, [False])]), definitions(pipeline))
        result = launch(resolved(defs, "job", "p"), instance, DAY)
        assert not result.success
        assert set(ended(result, "success")) & {"x", "y", "a"} == behind


def test_other_dependencies_of_a_table_behind_a_gate_are_given_to_its_verb() -> None:
    """Dagster adds some to the definition of an op only."""
    more = AssetDep(AssetKey(["ref", "rates"]))
    domain = next(one for one in draw(two_loads("g/x")).native.assets() if key("g/x") in one.keys)
    with pytest.raises(Exception, match="additional deps to an op-backed asset"):
        domain.map_asset_specs(lambda spec: spec.replace_attributes(deps=[*spec.deps, more]))

    def build(p: StarlakePipeline) -> None:
        check = p.sl_pre_load("g", ["x", "y"], "imported")
        assert check is not None
        check >> [p.sl_load("x", "g", "x", deps=[more]), p.sl_load("y", "g", "y")]

    assert repository(definitions(draw(build))).asset_graph.get(key("g/x")).parent_keys == {more.asset_key}


def test_a_selection_without_the_tables_of_a_domain_asks_no_gate(instance: Any) -> None:
    pipeline = draw(drawn)
    fake(pipeline).script("preload:g2", Verdict.NOT_READY)
    mine = define_asset_job("mine", selection=["mart/d"])
    defs = Definitions.merge(Definitions(jobs=[mine]), definitions(pipeline))
    assert ended(launch(resolved(defs, "job", "mine"), instance, DAY), "success") == ["d"]


# -- too many in a row


def test_a_chain_that_dagster_cannot_load_is_one_definition_and_says_so() -> None:
    def chain(p: StarlakePipeline) -> None:
        before = p.start_task()
        for number in range(MOST_IN_A_ROW // 2 + 10):
            before = before >> p.sl_transform(f"t{number}", f"{p.id}.t{number}", inlets=inlets.get((p.id, number), []))

    inlets: dict[tuple[str, int], list[StarlakeDataset]] = {}
    one = draw(chain, name="one")
    assert shared_assets([one.native]) == []
    inlets["two", 0] = [table(f"one/t{MOST_IN_A_ROW // 2 + 9}")]
    two = draw(chain, name="two", environment=fake(one))
    (note,) = shared_assets([one.native, two.native])
    assert note.startswith("the assets of pipeline one are one definition, because more than 900 would wait")
    defs = definitions([one, two])
    assert len(defs.assets or ()) == 1 + MOST_IN_A_ROW // 2 + 10
    assert job(defs, "two") is not None


# -- without a partition


def in_a_row(p: StarlakePipeline) -> None:
    note = p.add_native("note", noted)
    p.start_task() >> p.sl_load("x", "g", "x") >> p.sl_transform("a", "mart.a") >> note >> p.end_task("end")


def partitions_of(result: Any) -> set[Any]:
    """The partitions that a run materialised."""
    return {event.partition for event in result.all_events if event.event_type_value == "ASSET_MATERIALIZATION"}


def noted() -> Any:
    @op(name="noted")
    def note() -> None: ...

    return note


@pytest.mark.parametrize("executor", [None, in_process_executor], ids=["ours", "in process"])
def test_a_run_without_a_partition_works_although_what_it_reads_has_some(executor: Any, instance: Any) -> None:
    """Twice, because Dagster only looks for the partitions of what was materialised before."""
    made = job(draw(in_a_row, cron="0 2 * * *", executor_def=executor))
    for _again in range(2):
        result = launch(made, instance)
        assert ended(result, "success") == ["a", "end", "note", "x"]
        assert partitions_of(result) == {None}
    partition = "2026-03-04T02:00:00+0000"
    assert partitions_of(launch(made, instance, {"dagster/partition": partition})) == {partition}


def test_what_others_read_in_a_run_without_a_partition_is_left_to_dagster(instance: Any) -> None:
    """An asset without partitions reads all of those of another one, whatever the run has."""
    asked: list[Any] = []

    class Store(IOManager):
        def load_input(self, context: Any) -> int:
            asked.append(context.has_asset_partitions)
            return 1

        def handle_output(self, context: Any, obj: object) -> None: ...

    @asset(ins={"a": AssetIn(key=["mart", "a"])}, io_manager_key="store")
    def reader(a: int) -> None: ...

    pipeline = draw(lambda p: p.sl_transform("a", "mart.a"), cron="0 2 * * *")
    mine = Definitions(assets=[reader], resources={"store": Store(), "io_manager": Store()})
    assert launch(global_job(Definitions.merge(mine, definitions(pipeline))), instance).success
    assert asked == [True]


def test_a_long_chain_is_found_and_sorted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster searches all outputs for each of them, and sorts a chain by removing a node at a time from all others."""

    def build(p: StarlakePipeline) -> None:
        before = None
        for number in range(MOST_IN_A_ROW + 2):
            made = p.sl_transform(f"t{number}", f"mart.t{number}")
            if before is not None:
                before >> made
            before = made

    def searched(*_: Any) -> Any:
        raise AssertionError("what is searched for takes quadratic time")

    monkeypatch.setattr(GraphDefinition, "get_output_mapping", searched)
    defs = definitions(draw(build))
    (graph,) = (made.node_def for made in defs.assets if isinstance(made.node_def, GraphDefinition))
    names = [node.name for node in graph.nodes_in_topological_order]
    assert names == [f"t{number}" for number in range(MOST_IN_A_ROW + 2)]
    assert resolved(defs, "job", "p").nodes_in_topological_order

"""What an asset looks like and when it is materialised, if the user wants it otherwise."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dagster import (
    AllPartitionMapping,
    AssetDep,
    AssetKey,
    AssetSelection,
    AssetSpec,
    AutomationCondition,
    BackfillPolicy,
    DagsterInstance,
    DailyPartitionsDefinition,
    Definitions,
    StaticPartitionsDefinition,
    TimeWindowPartitionsDefinition,
    WeeklyPartitionsDefinition,
    asset,
    define_asset_job,
    evaluate_automation_conditions,
)
from dagster_runs import draw, instance_in, job, launch, repository, resolved, run
from starlake_core_dagster import StarlakeTranslator, TranslatedAsset, definitions
from starlake_core_dagster.keywords import JOB_KEYWORDS, TASK_KEYWORDS
from starlake_core_dagster.loading import shared_assets

from starlake_core import (
    Check,
    Column,
    Pipeline,
    StarlakeDataset,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakeDomain,
    StarlakeError,
    StarlakePipeline,
    StarlakeSchedule,
    TableDetails,
)
from starlake_core.testing import FakeEnvironment

DAILY = StarlakeSchedule("daily", "0 2 * * *", [StarlakeDomain("sales", tables=["orders"])])


def scheduled(pipeline: StarlakePipeline) -> None:
    pipeline.add_schedule()


def lineage(pipeline: StarlakePipeline) -> None:
    pipeline.add_lineage()


def kpis() -> StarlakeDependencies:
    orders = StarlakeDependency("sales.orders", "table", cron="0 2 * * *")
    return StarlakeDependencies([StarlakeDependency("kpi.revenue", dependencies=[orders])])


def key(text: str) -> AssetKey:
    return AssetKey(text.split("/"))


def node(defs: Any, text: str) -> Any:
    return repository(defs if isinstance(defs, Definitions) else definitions(defs)).asset_graph.get(key(text))


class Warehouse(StarlakeTranslator):
    """Keys below the name of a warehouse, and more of everything."""

    def get_asset_key(self, dataset: StarlakeDataset, pipeline: Pipeline) -> AssetKey:
        return AssetKey(["dwh", *super().get_asset_key(dataset, pipeline).path])

    def get_asset_spec(self, asset: TranslatedAsset) -> AssetSpec:
        spec = super().get_asset_spec(asset)
        if asset.dataset is None or asset.task is None or asset.task.command is None:
            return spec
        return spec.replace_attributes(
            group_name="gold",
            owners=["team:bi"],
            tags={**spec.tags, "tier": "1"},
            kinds={*spec.kinds, "snowflake"},
            deps=[*spec.deps, AssetKey(["ref", "rates"])],
            automation_condition=AutomationCondition.eager(),
            metadata={**spec.metadata, "table": asset.dataset.sink, "by": asset.pipeline.id},
        )


def test_a_translator_describes_all_assets_and_names_them_everywhere() -> None:
    load = draw(scheduled, schedule=DAILY, name="load", translator=Warehouse())
    kpi = draw(lineage, dependencies=kpis(), name="kpis", translator=Warehouse())
    defs = definitions([load, kpi])
    revenue = node(defs, "dwh/kpi/revenue")
    assert revenue.parent_keys == {key("dwh/sales/orders"), key("ref/rates")}
    assert (revenue.group_name, list(revenue.owners)) == ("gold", ["team:bi"])
    assert "snowflake" in revenue.kinds
    assert (revenue.tags["tier"], revenue.metadata["table"], revenue.metadata["by"]) == ("1", "kpi.revenue", "kpis")
    assert revenue.automation_condition == AutomationCondition.eager()
    assert list(kpi.native.facts.watch.datasets) == [key("dwh/sales/orders")]


def test_what_a_translator_adds_is_waited_for(tmp_path: Path) -> None:
    ran: list[str] = []

    @asset(key=["ref", "rates"])
    def rates() -> None:
        ran.append("rates")

    environment = FakeEnvironment()
    pipeline = draw(lambda p: p.sl_transform("a", "kpi.a"), translator=Warehouse(), environment=environment)
    mine = Definitions(assets=[rates])
    defs = Definitions.merge(mine, definitions(pipeline))
    resolve = getattr(defs, "resolve_implicit_global_asset_job_def", None) or defs.get_implicit_global_asset_job_def
    with instance_in(tmp_path) as instance:
        result = launch(resolve(), instance)
    ended = [e.step_key for e in result.all_events if e.event_type_value == "STEP_SUCCESS"]
    assert ended == ["ref__rates", "p__a"]


FILE = """
from starlake_core import Orchestration
with Orchestration({}) as orchestration:
    with orchestration.sl_create_pipeline(name="p") as pipeline:
        pipeline.sl_transform("a", "kpi.a")
"""


def test_pipeline_files_take_a_translator_from_the_definitions(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(FILE, encoding="utf-8")
    defs = definitions(tmp_path, environment="shell", translator=Warehouse())
    assert node(defs, "dwh/kpi/a").group_name == "gold"
    with pytest.raises(StarlakeError, match=r"definitions\(\) takes translator for pipeline files only"):
        definitions(draw(lambda p: p.sl_transform("a", "kpi.a")), translator=Warehouse())


def test_a_translator_that_cannot_be_one_is_refused() -> None:
    class Keys(StarlakeTranslator):
        def get_asset_spec(self, asset: TranslatedAsset) -> AssetSpec:
            return asset.spec.replace_attributes(key="other")

    with pytest.raises(
        StarlakeError, match=r"get_asset_spec\(\) of Keys returned the key other for kpi/a; .* override get_asset_key"
    ):
        draw(lambda p: p.sl_transform("a", "kpi.a"), translator=Keys())
    with pytest.raises(StarlakeError, match="'mine' is not a valid value for the keyword 'translator' of pipeline p"):
        draw(lambda p: p.sl_transform("a", "kpi.a"), translator="mine")


def test_a_mistake_in_a_translator_is_said_with_its_line() -> None:
    class Attributes(StarlakeTranslator):
        def get_asset_spec(self, asset: TranslatedAsset) -> AssetSpec:
            return asset.spec.replace_attributes(owner="team:bi")  # type: ignore[call-arg]

    class Arguments(StarlakeTranslator):
        def get_asset_spec(self) -> AssetSpec:  # type: ignore[override]
            raise AssertionError

    class Text(StarlakeTranslator):
        def get_asset_key(self, dataset: StarlakeDataset, pipeline: Pipeline) -> Any:
            return "kpi/a"

    class Division(StarlakeTranslator):
        def get_asset_key(self, dataset: StarlakeDataset, pipeline: Pipeline) -> AssetKey:
            return AssetKey(dataset.sink * (1 // 0))

    class Checks(StarlakeTranslator):
        def get_asset_check_spec(self, check: Any) -> Any:
            return check.spec._replace(block=True)

    def build(pipeline: StarlakePipeline) -> None:
        pipeline.sl_load("a", "kpi", "a")
        pipeline.describe_tables(TableDetails("kpi.a", checks=(Check("is_unique(id)", "unique"),)))

    here = r"\(test_dagster_translator\.py, line \d+\)$"
    for translator, message in (
        (Attributes(), rf"get_asset_spec\(\) of Attributes failed for kpi/a: TypeError: .*'owner'.* {here}"),
        (Arguments(), rf"get_asset_spec\(\) of Arguments failed for kpi/a: TypeError: .* {here}"),
        (
            Text(),
            r"get_asset_key\(\) of Text returned 'kpi/a' for starlake://kpi/a; return an AssetKey, such as AssetKey\(\[",
        ),
        (Division(), rf"get_asset_key\(\) of Division failed for starlake://kpi/a: ZeroDivisionError: .* {here}"),
        (Checks(), rf"get_asset_check_spec\(\) of Checks failed for is_unique_id of kpi/a: .*block.* {here}"),
    ):
        with pytest.raises(StarlakeError, match=message):
            draw(build, translator=translator)


def test_an_asset_of_the_user_has_the_partitions_of_a_pipeline() -> None:
    mine = TimeWindowPartitionsDefinition(
        start=datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC")),
        cron_schedule="0 2 * * *",
        timezone="UTC",
        fmt="%Y-%m-%dT%H:%M:%S%z",
    )

    @asset(key=["mine", "report"], deps=[["sales", "orders"]], partitions_def=mine)
    def report() -> None: ...

    both = define_asset_job("both", selection=AssetSelection.assets(["sales", "orders"], ["mine", "report"]))
    ours = definitions(draw(scheduled, schedule=DAILY))
    defs = Definitions.merge(ours, Definitions(assets=[report], jobs=[both]))
    assert repository(defs).get_job("both").partitions_def == mine == node(defs, "sales/orders").partitions_def


class LastPart(StarlakeTranslator):
    def get_asset_key(self, dataset: StarlakeDataset, pipeline: Pipeline) -> AssetKey:
        return AssetKey(super().get_asset_key(dataset, pipeline).path[-1:])


class Words(StarlakeTranslator):
    def get_asset_key(self, dataset: StarlakeDataset, pipeline: Pipeline) -> Any:
        return ["dwh", "a"]


def test_a_translator_cannot_give_two_tables_one_key() -> None:
    """The second one would be no asset, without a word."""

    def loads(*domains: str) -> Any:
        return lambda p: [p.sl_load(f"{domain}_x", domain, "x") for domain in domains]

    with pytest.raises(StarlakeError, match=r"a\.x and b\.x of pipeline p have the same key x, and only one of them"):
        draw(loads("a", "b"), translator=LastPart())
    two = [draw(loads(name), translator=LastPart(), name=name) for name in ("a", "b")]
    with pytest.raises(StarlakeError, match=r"a\.x of pipeline a and b\.x of pipeline b have the same key x"):
        definitions(two)
    assert "have the same key x" in shared_assets(made.native for made in two)[0]
    with pytest.raises(
        StarlakeError, match=r"get_asset_key\(\) of Words returned \['dwh', 'a'\] for .*; return an AssetKey"
    ):
        draw(loads("a"), translator=Words())


def test_verbs_take_what_decides_when_an_asset_is_materialised(tmp_path: Path) -> None:
    regions = StaticPartitionsDefinition(["eu", "us"])
    days = DailyPartitionsDefinition("2026-01-01")

    @asset(key=["ref", "rates"], partitions_def=regions)
    def rates() -> None: ...

    environment = FakeEnvironment()

    def build(p: StarlakePipeline) -> None:
        p.sl_transform(
            "a",
            "kpi.a",
            deps=[AssetDep(["ref", "rates"], partition_mapping=AllPartitionMapping())],
            automation_condition=AutomationCondition.on_cron("0 5 * * *"),
            backfill_policy=BackfillPolicy.single_run(),
            partitions_def=days,
        )

    pipeline = draw(build, environment=environment)
    defs = Definitions.merge(Definitions(assets=[rates]), definitions(pipeline))
    a = node(defs, "kpi/a")
    assert a.parent_keys == {key("ref/rates")}
    assert a.automation_condition == AutomationCondition.on_cron("0 5 * * *")
    assert (a.backfill_policy, a.partitions_def) == (BackfillPolicy.single_run(), days)
    with instance_in(tmp_path) as instance:
        tags = {
            "dagster/asset_partition_range_start": "2026-03-01",
            "dagster/asset_partition_range_end": "2026-03-03",
        }
        result = run(resolved(defs, "job", "p"), instance, tags=tags)
        assert result.success
        made = {e.partition for e in result.get_asset_materialization_events()}
    assert made == {"2026-03-01", "2026-03-02", "2026-03-03"}
    (submission,) = environment.submissions
    words = " ".join(submission.job.arguments)
    assert "2026-03-01T00:00:00" in words
    assert "2026-03-04T00:00:00" in words


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        (
            {"partitions_def": StaticPartitionsDefinition(["eu"])},
            "it takes partitions of time, because a command has a data interval",
        ),
        ({"automation_condition": "eager"}, "it takes a condition"),
        ({"backfill_policy": "single_run"}, "it takes a policy"),
        ({"deps": "ref/rates"}, "it takes a list"),
        ({"group_name": 7}, "it takes a name"),
        ({"code_version": 7}, "it takes a string"),
        ({"description": 7}, "it takes a string"),
        ({"retry_policy": 3}, "it takes a policy"),
        ({"deps": [None]}, "it takes a list"),
        (
            {"deps": [AssetDep("ref/rates")]},
            r"The key ref/rates has one part, with a slash in it; write \['ref', 'rates'\]",
        ),
        ({"deps": [AssetKey("ref/rates")]}, "has one part, with a slash in it"),
        ({"deps": [StarlakeDataset("starlake://kpi/a")]}, "it takes a list"),
        ({"group_name": "a b"}, "it takes a name"),
        ({"kinds": [1]}, "it takes several words"),
        ({"owners": ["ann"]}, "it takes a list.*Owner must be an email address"),
        ({"owners": [None]}, "it takes a list"),
        ({"asset_tags": {"tier": 1}}, "it takes names and values"),
        ({"asset_tags": {"a tier": "1"}}, "it takes names and values"),
        ({"op_tags": {1: "a"}}, "it takes names and values"),
        ({"metadata": {1: 2}}, "it takes names and values"),
    ],
)
def test_another_value_is_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(StarlakeError, match=message):
        draw(lambda p: p.sl_transform("a", "kpi.a", **keywords))


def test_a_dependency_that_is_a_string_has_the_parts_that_it_shows() -> None:
    """For Dagster it is a key with one part, which no asset has."""
    pipeline = draw(lambda p: p.sl_transform("a", "kpi.a", deps=["ref/rates", "fx", AssetKey(["b", "c/d"])]))
    assert node(pipeline, "kpi/a").parent_keys == {key("ref/rates"), AssetKey("fx"), AssetKey(["b", "c/d"])}


@pytest.mark.parametrize(
    ("options", "keywords", "message"),
    [
        ({}, {"hooks": [1]}, "is not a valid value for the keyword 'hooks' of pipeline p; it takes several hooks"),
        ({}, {"run_tags": {1: "a"}}, "is not a valid value for the keyword 'run_tags' of pipeline p; it takes names"),
        (
            {"asset_owners": "ann"},
            {},
            "is not a valid value for the option 'asset_owners' of pipeline p; it takes a list",
        ),
        ({"default_pool": "a b"}, {}, "'a b' is not a valid pool for task a of pipeline p"),
    ],
)
def test_another_value_of_a_pipeline_is_refused(options: Any, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(StarlakeError, match=message):
        draw(lambda p: p.sl_transform("a", "kpi.a"), options, **keywords)


OF_A_VERB = {
    "hooks": "Give them to sl_create_pipeline",
    "io_manager_key": "Commands write the tables themselves",
    "key_prefix": "It is the option asset_key_prefix",
    "concurrency_key": 'Write pool="warehouse"',
    "partition_mapping": r"deps=\[AssetDep",
    "auto_materialize_policy": "automation_condition",
    "retires": "Did you mean 'retries'",
}
OF_A_PIPELINE = {
    "execution_timezone": "It is the option timezone",
    "run_config": "sl_options and sl_variables",
    "op_retry_policy": "options retries and retry_delay",
    "resource_defs": r"Definitions\(resources=",
    "kinds": "Give it to the verbs, such as sl_load, or with a translator",
    "default_status": r"It is an option: Orchestration\({'default_status': ...}\)",
    "max_active_runs": "It is an option",
    "backfill_policy": "It is an option, .* and a keyword of the verbs",
    "start_date": "It is an option",
}


@pytest.mark.parametrize(("name", "said"), OF_A_VERB.items(), ids=OF_A_VERB)
def test_a_name_of_dagster_that_a_verb_does_not_take_says_what_to_write(name: str, said: str) -> None:
    with pytest.raises(StarlakeError, match=f"does not take the keyword '{name}'.*{said}"):
        draw(lambda p: p.sl_transform("a", "kpi.a", **{name: 1}))


@pytest.mark.parametrize(("name", "said"), OF_A_PIPELINE.items(), ids=OF_A_PIPELINE)
def test_a_name_of_dagster_that_a_pipeline_does_not_take_says_what_to_write(name: str, said: str) -> None:
    with pytest.raises(StarlakeError, match=f"does not take the keyword '{name}'.*{said}"):
        draw(lambda p: p.sl_transform("a", "kpi.a"), **{name: 1})


@pytest.mark.skipif("freshness_policy" not in TASK_KEYWORDS, reason="Dagster 1.12 has freshness policies")
def test_a_task_has_a_freshness_of_its_own() -> None:
    from dagster import FreshnessPolicy

    policy = FreshnessPolicy.time_window(fail_window=timedelta(days=2))
    made = draw(lambda p: p.sl_transform("a", "kpi.a", freshness_policy=policy))
    assert [spec.freshness_policy for spec in made.native.assets()[0].specs] == [policy]
    with pytest.raises(StarlakeError, match=r"it takes a policy: FreshnessPolicy\.time_window"):
        draw(lambda p: p.sl_transform("a", "kpi.a", freshness_policy=2))


@pytest.mark.parametrize("verb", ["check", "import", "job", "start"])
def test_a_keyword_of_assets_is_refused_for_a_task_that_is_none(verb: str) -> None:
    """A gate with ``deps``, for example, would wait for nothing."""

    def build(p: StarlakePipeline) -> None:
        def own(name: str) -> dict[str, Any]:
            return {"deps": ["ref/rates"], "owners": ["team:bi"], "op_tags": {"a": "b"}} if name == verb else {}

        check = p.sl_pre_load("g", ["x"], "imported", **own("check"))
        assert check is not None
        move = p.sl_import("move", "g", ["x"], **own("import"))
        noted = p.sl_job("noted", ["summarize", "--domain", "g", "--table", "x"], **own("job"))
        (
            p.start_task(**own("start"))
            >> check
            >> move
            >> p.sl_load("x", "g", "x")
            >> noted
            >> p.sl_transform("a", "kpi.a")
        )

    with pytest.raises(
        StarlakeError, match=r"of pipeline p is not an asset in Dagster, so deps, owners would have no effect"
    ):
        draw(build)
    # The last task is one, because something has to lead to it.
    last = draw(
        lambda p: (
            p.sl_load("x", "g", "x")
            >> p.sl_job("end", ["summarize", "--domain", "g", "--table", "x"], owners=["team:bi"])
        )
    )
    assert list(node(last, "p/end").owners) == ["team:bi"]


def test_none_is_no_keyword() -> None:
    def build(**keywords: Any) -> Any:
        return lambda p: p.sl_transform("a", "kpi.a", **keywords)

    given = dict.fromkeys(TASK_KEYWORDS)
    mine, plain = (
        draw(build(**keywords), cron="0 2 * * *", **(job_keywords if keywords else {}))
        for keywords, job_keywords in ((given, dict.fromkeys(JOB_KEYWORDS)), ({}, {}))
    )
    assert node(mine, "kpi/a").partitions_def == node(plain, "kpi/a").partitions_def is not None
    ((one,), (other,)) = ([*made.native.assets()[0].specs] for made in (mine, plain))
    assert one == other
    with pytest.raises(StarlakeError, match="it takes an executor"):
        draw(build(), executor_def="multiprocess")


def test_a_backfill_is_one_run_if_that_is_wanted() -> None:
    pipeline = draw(scheduled, {"backfill_policy": "single_run", "pre_load_strategy": "imported"}, schedule=DAILY)
    assert {made.backfill_policy for made in pipeline.native.assets()} == {BackfillPolicy.single_run()}
    assert {made.backfill_policy for made in draw(scheduled, schedule=DAILY).native.assets()} == {None}

    def differs(p: StarlakePipeline) -> None:
        check = p.sl_pre_load("g", ["x", "y"], "imported")
        assert check is not None
        check >> [p.sl_load("x", "g", "x", backfill_policy=BackfillPolicy.single_run()), p.sl_load("y", "g", "y")]

    with pytest.raises(
        StarlakeError, match="x, y of pipeline p are one definition in Dagster, which has one backfill_policy"
    ):
        draw(differs).native.assets()


class Eager(StarlakeTranslator):
    def get_asset_spec(self, asset: TranslatedAsset) -> AssetSpec:
        return super().get_asset_spec(asset).replace_attributes(automation_condition=AutomationCondition.eager())


@pytest.mark.parametrize("by", ["keyword", "translator"])
@pytest.mark.parametrize("partitions", [True, False])
def test_eager_below_a_load_fires(partitions: bool, by: str) -> None:
    """Although the load has partitions from its first day on, of which most were never loaded."""
    load = draw(scheduled, {"partitions": partitions}, schedule=DAILY, name="load")

    def build(p: StarlakePipeline) -> None:
        inlets = [StarlakeDataset("starlake://sales/orders")]
        own = {"automation_condition": AutomationCondition.eager()} if by == "keyword" else {}
        p.sl_transform("a", "kpi.a", inlets=inlets, **own)

    kpi = draw(build, name="kpi", **({} if by == "keyword" else {"translator": Eager()}))
    defs = definitions([load, kpi])
    with DagsterInstance.ephemeral() as instance:
        asked = AssetSelection.assets(key("kpi/a"))
        cursor = evaluate_automation_conditions(defs, instance, asset_selection=asked).cursor
        window = load.native.partitions
        chosen = {"partition_key": window.get_last_partition_key()} if partitions else {}
        assert run(job(defs, "load"), instance, **chosen).success
        found = evaluate_automation_conditions(defs, instance, asset_selection=asked, cursor=cursor)
        assert found.total_requested == 1


WEEKS = WeeklyPartitionsDefinition("2026-01-01")


def weekly(p: StarlakePipeline, **keywords: Any) -> None:
    check = p.sl_pre_load("g", ["x"], "imported")
    assert check is not None
    check >> p.sl_load("x", "g", "x", partitions_def=WEEKS) >> p.sl_transform("a", "kpi.a", **keywords)


class Weekly(StarlakeTranslator):
    def get_asset_spec(self, asset: TranslatedAsset) -> AssetSpec:
        return super().get_asset_spec(asset).replace_attributes(partitions_def=WEEKS)


class Unpartitioned(StarlakeTranslator):
    def get_asset_spec(self, asset: TranslatedAsset) -> AssetSpec:
        return super().get_asset_spec(asset).replace_attributes(partitions_def=None)


@pytest.mark.parametrize("by", ["keyword", "translator"])
def test_all_steps_of_a_run_have_the_interval_of_its_partition(by: str, tmp_path: Path) -> None:
    """Whether or not their own assets have partitions."""
    environment, translator = FakeEnvironment(), Weekly() if by == "translator" else None
    pipeline = draw(weekly, environment=environment, translator=translator)
    with instance_in(tmp_path) as instance:
        assert launch(job(pipeline), instance, {"dagster/partition": "2026-01-11"}).success
    (words,) = (" ".join(s.job.arguments) for s in environment.submissions if s.subject == "transform:kpi.a")
    assert (
        "sl_data_interval_start='2026-01-11T00:00:00+00:00',sl_data_interval_end='2026-01-18T00:00:00+00:00'" in words
    )


def test_eager_below_a_load_with_partitions_of_its_own_fires() -> None:
    pipeline = draw(lambda p: weekly(p, automation_condition=AutomationCondition.eager()))
    defs = definitions(pipeline)
    with DagsterInstance.ephemeral() as instance:
        asked = AssetSelection.assets(key("kpi/a"))
        cursor = evaluate_automation_conditions(defs, instance, asset_selection=asked).cursor
        last = {"partition_key": WEEKS.get_last_partition_key()}
        load = Definitions(assets=[made for made in defs.assets or () if key("g/x") in made.keys])
        resolve = getattr(load, "resolve_implicit_global_asset_job_def", None) or load.get_implicit_global_asset_job_def
        assert run(resolve(), instance, **last).success
        assert evaluate_automation_conditions(defs, instance, asset_selection=asked, cursor=cursor).total_requested == 1


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        (
            {"cron": "0 2 * * *"},
            r"\(g/x\) and Daily.* \(kpi/a\), and a job of Dagster has one .*option partitions=False",
        ),
        ({"cron": "0 2 * * *", "translator": Weekly()}, "has one definition of them"),
        (
            {"cron": "0 2 * * *", "translator": Unpartitioned()},
            "no asset of pipeline p has partitions, although its runs",
        ),
    ],
)
def test_partitions_that_a_job_cannot_have_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(StarlakeError, match=message):
        draw(weekly, **keywords)


def test_groups_are_named_after_the_domain() -> None:
    load = draw(scheduled, schedule=DAILY, name="load")
    kpi = draw(lineage, dependencies=kpis(), name="kpis")
    groups = {name: node([load, kpi], name).group_name for name in ("sales/orders", "kpi/revenue", "load", "kpis")}
    assert groups == {"sales/orders": "sales", "kpi/revenue": "kpi", "load": "load", "kpis": "kpis"}


def test_what_the_project_says_about_a_table_is_shown() -> None:
    def described(pipeline: StarlakePipeline) -> None:
        pipeline.add_lineage()
        [task] = [task for task in pipeline.tasks() if task.is_work]
        task.details = TableDetails(
            "kpi.revenue",
            table="KPI.revenue",
            database="lake",
            description="What comes in.",
            columns=(
                Column("day", "date", "the day", required=True, key=True),
                Column("amount", "decimal"),
                Column("odd"),
            ),
            checks=(Check("positive", "amount > 0"),),
            owners=("data@example.com", "the team"),
            tags=("gold", "two words"),
            strategy="OVERWRITE",
            sql="SELECT '```' AS day, 1 AS amount -- password=hunter22",
        )

    spec = node(draw(described, dependencies=kpis()), "kpi/revenue")
    assert spec.owners == ["data@example.com", "team:the_team"]
    assert {"gold", "two_words"} <= set(spec.tags)
    assert "What comes in." in spec.description
    schema = spec.metadata["dagster/column_schema"]
    assert [(column.name, column.type, column.constraints.nullable) for column in schema.columns] == [
        ("day", "date", False),
        ("amount", "decimal", True),
        ("odd", "?", True),
    ]
    assert spec.metadata["dagster/table_name"] == "lake.KPI.revenue"
    assert spec.metadata["sql"].md_str.startswith("`````sql\n")
    assert "hunter22" not in spec.metadata["sql"].md_str

"""Classes of users: registered, found by entry points, called when a task is rendered, and used without a pipeline."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ai.starlake.airflow import AirflowOrchestration, StarlakeAirflowJob
from ai.starlake.airflow.bash import StarlakeAirflowBashJob
from ai.starlake.dagster.gcp import StarlakeDagsterDataprocJob
from ai.starlake.job import (
    IStarlakeJob,
    StarlakeExecutionEnvironment,
    StarlakeJobFactory,
    StarlakeOrchestrator,
    StarlakePreLoadStrategy,
)
from ai.starlake.orchestration import (
    AbstractDependency,
    AbstractOrchestration,
    AbstractPipeline,
    AbstractTask,
    AbstractTaskGroup,
    OrchestrationFactory,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakeDomain,
    StarlakeSchedule,
    TaskGroupContext,
)
from compat_runs import HOSTS, native, orchestrate, run
from starlake_core_compat.registry import JOBS, ORCHESTRATIONS

from starlake_core import (
    GraphError,
    PluginContractError,
    PluginLoadError,
    PluginNotFoundError,
    StarlakeError,
    TaskKind,
    TriggerRule,
)

DAILY = StarlakeSchedule("daily", "0 0 * * *", [StarlakeDomain("sales", tables=["items", "orders"])])


@dataclass
class Op:
    """A native task."""

    task_id: str
    words: list[str]
    given: dict[str, Any] = field(default_factory=dict)
    after: list[str] = field(default_factory=list)

    def __rshift__(self, other: Op) -> Op:
        other.after.append(self.task_id)
        return other


class OpsJob(IStarlakeJob):
    """As the documentation prints it, without ``@classmethod``."""

    def sl_orchestrator(cls) -> str:
        return "my_orchestrator"

    def sl_execution_environment(cls) -> str:
        return "shell"

    def sl_job(self, task_id: str, arguments: list, spark_config: Any = None, **kwargs: Any) -> Op:
        return Op(task_id, arguments, kwargs)


class OpsPipeline(AbstractPipeline): ...


class OpsGroup(AbstractTaskGroup): ...


class OpsOrchestration(AbstractOrchestration):
    def sl_orchestrator(cls) -> str:
        return "my_orchestrator"

    def sl_create_pipeline(self, schedule: Any = None, dependencies: Any = None, **kwargs: Any) -> AbstractPipeline:
        return OpsPipeline(self.job, schedule=schedule, dependencies=dependencies, orchestration=self, **kwargs)

    def sl_create_task_group(self, group_id: str, pipeline: Any, **kwargs: Any) -> AbstractTaskGroup[Any]:
        return OpsGroup(name=group_id, pipeline=pipeline, **kwargs)


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """What a test registers is forgotten after it."""
    kept = [(registry, dict(registry._known)) for registry in (JOBS, ORCHESTRATIONS)]
    yield
    for registry, known in kept:
        registry._known.clear()
        registry._known.update(known)


def create(orchestrator: Any = "my_orchestrator", environment: Any = "shell", **keywords: Any) -> IStarlakeJob:
    return StarlakeJobFactory.create_job(
        filename="sales.py",
        module_name="sales",
        orchestrator=orchestrator,
        execution_environment=environment,
        **keywords,
    )


def one_load(job: IStarlakeJob) -> AbstractPipeline:
    with (
        OrchestrationFactory.create_orchestration(job) as orchestration,
        orchestration.sl_create_pipeline(schedule=DAILY) as pipeline,
    ):
        pipeline.sl_load("load_a", "sales", "a")
    return pipeline


def with_classes(*classes: type) -> None:
    for made in classes:
        if issubclass(made, IStarlakeJob):
            StarlakeJobFactory.register_job(made)
        else:
            OrchestrationFactory.register_orchestration(made)


def test_the_documented_classes_create_a_pipeline() -> None:
    with_classes(OpsJob, OpsOrchestration)
    job = create()
    assert type(job) is OpsJob
    with OrchestrationFactory.create_orchestration(job=job) as orchestration:
        assert type(orchestration) is OpsOrchestration
        with orchestration.sl_create_pipeline(schedule=DAILY) as pipeline:
            start = pipeline.start_task()
            with orchestration.sl_create_task_group(group_id="sales", pipeline=pipeline) as group:
                with orchestration.sl_create_task_group(group_id="loads", pipeline=pipeline) as loads:
                    for table in ("items", "orders"):
                        pipeline.sl_load(f"load_{table}", "sales", table, params={"cron": "x"}, anything="goes")
                check = pipeline.sl_pre_load("sales", {"orders", "items"}, "pending")
                check >> loads
            end = pipeline.end_task()
            start >> group >> end
    assert isinstance(pipeline, OpsPipeline)
    assert isinstance(group, OpsGroup)
    assert isinstance(group, TaskGroupContext)
    assert isinstance(start, AbstractTask)
    assert isinstance(start, AbstractDependency)
    assert not isinstance(group, AbstractTask)
    tasks = pipeline.dag.tasks
    assert list(tasks) == [
        "start_daily", "sales.check_sales_pending_files", "sales.loads.load_items", "sales.loads.load_orders", "end_daily",
    ]  # fmt: skip
    load = tasks["sales.loads.load_orders"]
    assert load.words == [
        "load", "--scheduledDate", "${sl_scheduled_date}", "--domains", "sales", "--tables", "orders",
    ]  # fmt: skip
    assert load.given == {"params": {"cron": "x"}, "anything": "goes"}
    assert load.after == ["check_sales_pending_files"]
    assert tasks["sales.check_sales_pending_files"].words == [
        "preload", "--domain", "sales", "--tables", "items,orders", "--strategy", "pending",
    ]  # fmt: skip
    assert tasks["end_daily"].after == ["load_items", "load_orders"]
    assert tasks["start_daily"].words == []
    assert pipeline.dag.edges[-1] == ("sales.loads.load_orders", "end_daily")


def test_a_check_keeps_its_strategy_whatever_its_domain_is_called() -> None:
    with_classes(OpsJob, OpsOrchestration)
    with (
        OrchestrationFactory.create_orchestration(create()) as orchestration,
        orchestration.sl_create_pipeline(schedule=DAILY) as pipeline,
    ):
        pipeline.sl_pre_load("imported", {"none"}, "pending", task_id="check")
    assert pipeline.dag.tasks["check"].words == [
        "preload", "--domain", "imported", "--tables", "none", "--strategy", "pending",
    ]  # fmt: skip


def test_transforms_get_what_was_given_for_them() -> None:
    with_classes(OpsJob, OpsOrchestration)
    lineage = StarlakeDependencies([StarlakeDependency("kpi.sales")])
    job = create(options={"kpi.sales": {"options": "region=EU"}})
    with (
        OrchestrationFactory.create_orchestration(job) as orchestration,
        orchestration.sl_create_pipeline(dependencies=lineage) as pipeline,
    ):
        pipeline.dependency_to_task(lineage[0])
        pipeline.sl_job("fresh", ["freshness", "--tables", "sales.orders"])
    assert pipeline.dag.tasks["kpi_sales_task"].words[-1].startswith("region=EU,sl_data_interval_start=")
    assert pipeline.dag.tasks["fresh"].words == ["freshness", "--tables", "sales.orders"]


def test_a_native_pipeline_and_native_groups_of_ones_own() -> None:
    log: list[str] = []

    class Container:
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> None:
            log.append(f"open {self.name}")

        def __exit__(self, *error: object) -> None:
            log.append(f"close {self.name}")

    class Job(OpsJob):
        def dummy_op(self, task_id: str, **kwargs: Any) -> Op:
            log.append(task_id)
            return Op(task_id, ["nothing"])

    class Orchestration(OpsOrchestration):
        def sl_create_pipeline(self, schedule: Any = None, dependencies: Any = None, **kwargs: Any) -> AbstractPipeline:
            return AbstractPipeline(
                self.job,
                orchestration_cls=type(self),
                dag=Container("dag"),
                schedule=schedule,
                orchestration=self,
                add_dag_dependency=lambda before, after: log.append(f"{before.task_id} then {after.task_id}"),
            )

        def sl_create_task_group(self, group_id: str, pipeline: Any, **kwargs: Any) -> AbstractTaskGroup[Any]:
            return AbstractTaskGroup(group_id, type(self), Container(group_id), pipeline=pipeline)

    with_classes(Job, Orchestration)
    with (
        OrchestrationFactory.create_orchestration(create()) as orchestration,
        orchestration.sl_create_pipeline(schedule=DAILY) as pipeline,
    ):
        start = pipeline.start_task()
        with orchestration.sl_create_task_group("loads", pipeline) as group:
            pipeline.sl_load("a", "sales", "items")
        start >> group
    assert log == ["open dag", "start_daily", "open loads", "close loads", "close dag", "start_daily then a"]
    assert pipeline.dag.name == "dag"


def test_a_job_without_its_one_method_is_told_so() -> None:
    class Job(IStarlakeJob):
        orchestrator = "my_orchestrator"
        execution_environment = "shell"

    with_classes(Job, OpsOrchestration)
    with pytest.raises(StarlakeError, match=r"Job has no sl_job\(self, task_id, arguments.*'my_orchestrator'"):
        one_load(create())


# -- verbs of one's own for an orchestrator of this project


class Careful(IStarlakeJob):
    """More tries, another argument."""

    orchestrator = StarlakeOrchestrator.LOCAL
    execution_environment = StarlakeExecutionEnvironment.DUCKDB

    def sl_load(self, task_id: Any, domain: str, table: str, spark_config: Any = None, **kwargs: Any) -> Any:
        return super().sl_load(task_id, domain, table, spark_config, retries=5, **kwargs)

    def sl_job(self, task_id: str, arguments: list, spark_config: Any = None, **kwargs: Any) -> Any:
        if arguments[0] == "load":
            arguments = [*arguments, "--options", "careful=yes"]
        made = super().sl_job(task_id, arguments, spark_config, **kwargs)
        made.path = f"seen {made.path}"
        return made


def test_overridden_verbs_change_what_the_orchestrator_renders() -> None:
    with_classes(Careful)
    job = create("local", "duckdb", options={"retries": 2, "pre_load_strategy": "imported"})
    with (
        OrchestrationFactory.create_orchestration(job) as orchestration,
        orchestration.sl_create_pipeline(schedule=DAILY) as pipeline,
    ):
        pipeline.add_schedule()
    tasks = {task.id: task for task in pipeline.tasks()}
    load = tasks["load_sales_items"]
    assert load.job.arguments[-2:] == ("--options", "careful=yes")
    assert (load.retries, tasks["import_sales_daily"].retries) == (5, 2)
    assert [dataset.uri for dataset in load.outlets] == ["sales_items"]
    check = tasks["check_sales_incoming_files"]
    assert check.kind is TaskKind.CHECK
    assert check.job.check
    assert [step.path for step in pipeline.native.tasks if step.path.startswith("seen")] == [
        f"seen {task.path}" for task in pipeline.tasks() if task.job is not None
    ]


def test_an_overridden_verb_that_is_called_by_itself_runs_once() -> None:
    with_classes(Careful)
    load = create("local", "duckdb").sl_load("load_a", "sales", "a")
    assert load.path == "seen load_a"
    assert load.task.job.arguments.count("careful=yes") == 1
    assert create("local", "duckdb").sl_job("load_b", ["load", "--domains", "b"]).path == "seen load_b"


def test_a_verb_cannot_change_the_id_of_its_task() -> None:
    class Renaming(Careful):
        def sl_load(self, task_id: Any, domain: str, table: str, spark_config: Any = None, **kwargs: Any) -> Any:
            return IStarlakeJob.sl_load(self, f"my_{task_id}", domain, table)

    with_classes(Renaming)
    with pytest.raises(
        GraphError, match=r"changes the id of task 'load_a' to 'my_load_a'.*where the pipeline file adds the task"
    ):
        one_load(create("local", "duckdb"))


def test_tasks_around_the_work() -> None:
    class Around(IStarlakeJob):
        orchestrator = StarlakeOrchestrator.LOCAL
        execution_environment = StarlakeExecutionEnvironment.DUCKDB

        def pre_tasks(self, **kwargs: Any) -> Any:
            return self.sl_job("before", ["freshness", "--tables", "sales.orders"])

        def post_tasks(self, **kwargs: Any) -> Any:
            return self.dummy_op("after")

    with_classes(Around)
    with (
        OrchestrationFactory.create_orchestration(create("local", "duckdb")) as orchestration,
        orchestration.sl_create_pipeline(schedule=DAILY) as pipeline,
    ):
        pipeline.add_schedule()
    tasks = {task.id: task for task in pipeline.tasks()}
    assert tasks["before"].kind is TaskKind.SETUP
    assert tasks["after"].kind is TaskKind.TEARDOWN
    assert (
        pipeline.edges["start_daily"] == {"before": None, "end_daily": None}
        or "before" in pipeline.edges["start_daily"]
    )
    assert list(pipeline.edges["all_done"]) == ["after"]


def test_a_check_before_the_work_stays_a_check() -> None:
    class Around(IStarlakeJob):
        orchestrator = StarlakeOrchestrator.LOCAL
        execution_environment = StarlakeExecutionEnvironment.DUCKDB

        def pre_tasks(self, **kwargs: Any) -> Any:
            return self.sl_pre_load("sales", {"a"}, StarlakePreLoadStrategy.PENDING)

        def post_tasks(self, **kwargs: Any) -> Any:
            return self.sl_pre_load("hr", {"a"}, StarlakePreLoadStrategy.PENDING)

    with_classes(Around)
    with (
        OrchestrationFactory.create_orchestration(create("local", "duckdb")) as orchestration,
        orchestration.sl_create_pipeline(schedule=DAILY) as pipeline,
    ):
        before, after = pipeline.pre_tasks(), pipeline.post_tasks()
    assert (before.kind, after.kind) == (TaskKind.CHECK, TaskKind.CHECK)
    assert (before.job.check, after.trigger) == (True, TriggerRule.ALL_DONE)


def test_without_a_pipeline_a_verb_gives_a_native_task_at_once() -> None:
    job = create("local", "duckdb", options={"retries": 2})
    load = job.sl_load("load_a", "sales", "a", params={"cron": "0 0 * * *"})
    assert type(load).__name__ == "Step"
    assert load.task.job.arguments[-1] == "a"
    assert load.task.retries == 2
    assert load.task.pipeline.cron == "0 0 * * *"
    assert job.sl_transform("t", "kpi.t", "region=EU").task.job.arguments[-1].startswith("region=EU,")
    assert job.sl_import(None, "sales", ["b", "a"]).task.id == "sales_import"
    assert job.sl_job("j", ["freshness", "--tables", "sales.a"]).task.job.arguments[0] == "freshness"
    assert job.dummy_op("nothing").task.job is None
    check = job.sl_pre_load("sales", {"a"}, StarlakePreLoadStrategy.PENDING)
    assert check.task.kind is TaskKind.CHECK
    assert check.task.job.check
    assert job.sl_pre_load("sales", {"a"}) is None
    assert job.skip_or_start_op("skip", check) is None


@pytest.mark.skipif("airflow" not in HOSTS, reason="needs Airflow")
def test_a_verb_takes_the_dag_and_the_group_of_its_task_as_every_operator_does(
    tmp_path: Path, home: dict[str, str]
) -> None:
    file = tmp_path / "by_hand.py"
    file.write_text(
        """
import json
from datetime import datetime
try:
    from airflow.sdk import DAG, TaskGroup
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.utils.task_group import TaskGroup
from ai.starlake.airflow.bash import StarlakeAirflowBashJob

job = StarlakeAirflowBashJob(options={})
dag = DAG("by_hand", schedule="0 0 * * *", start_date=datetime(2024, 1, 1))
group = TaskGroup("loads", dag=dag)
check = job.sl_pre_load("sales", {"a"}, "ack", dag=dag)
check >> job.sl_load("a", "sales", "a", task_group=group) >> job.dummy_op("done", dag=dag, task_group=None)
job.sl_job("b", ["validate"], dag=dag, task_group=group)
with DAG("other", schedule="0 0 * * *", start_date=datetime(2024, 1, 1)) as other:
    job.sl_import("stage", "sales", dag=None)
    job.sl_transform("t", "kpi.t", dag=dag)
print("\\n" + json.dumps([sorted(dag.task_ids), sorted(other.task_ids)]))
""",
        encoding="utf-8",
    )
    done = run(str(file), **home)
    assert done.returncode == 0, done.stdout + done.stderr
    given, other = json.loads(done.stdout.splitlines()[-1])
    assert given == ["check_sales_ack_file", "done", "loads.a", "loads.b", "t"]
    assert other == ["stage"]


def test_in_a_pipeline_a_verb_takes_no_container() -> None:
    job = create("local", "duckdb")
    with (
        pytest.raises(StarlakeError, match="does not take the keyword 'dag'"),
        OrchestrationFactory.create_orchestration(job) as orchestration,
        orchestration.sl_create_pipeline(schedule=DAILY),
    ):
        job.sl_load("load_a", "sales", "a", dag=object())


def test_within_the_block_of_a_pipeline_a_verb_adds_to_it() -> None:
    job = create("local", "duckdb")
    with (
        OrchestrationFactory.create_orchestration(job) as orchestration,
        orchestration.sl_create_pipeline(schedule=DAILY) as pipeline,
    ):
        job.sl_load("load_a", "sales", "a") >> job.dummy_op("nothing") >> job.sl_job("f", ["freshness"])
    assert [task.id for task in pipeline.tasks()] == ["load_a", "nothing", "f"]


# -- registration


def test_a_keyword_that_nobody_knows_is_refused() -> None:
    with OrchestrationFactory.create_orchestration(create("local", "duckdb")) as orchestration:
        with pytest.raises(StarlakeError, match="does not take the keyword 'colour'"):
            orchestration.sl_create_pipeline(schedule=DAILY, colour="red")
        with pytest.raises(StarlakeError, match="not both; make two pipelines"):
            orchestration.sl_create_pipeline(DAILY, [StarlakeDependency("kpi.sales")])
    assert orchestration.pipelines == []


def test_what_cannot_be_registered() -> None:
    with pytest.raises(PluginContractError, match="must be a subclass of IStarlakeJob"):
        StarlakeJobFactory.register_job(dict)  # type: ignore[arg-type]
    with pytest.raises(PluginContractError, match=r"IStarlakeJob.sl_orchestrator\(\) returns no word"):
        StarlakeJobFactory.register_job(IStarlakeJob)
    with pytest.raises(PluginContractError, match="subclass of AbstractOrchestration"):
        OrchestrationFactory.register_orchestration(OpsJob)  # type: ignore[arg-type]


def test_classes_that_nobody_registered() -> None:
    with pytest.raises(PluginNotFoundError, match=r"no orchestrator 'my_orchestrator'.*register_job\(\.\.\.\)"):
        OrchestrationFactory.create_orchestration(create())


def test_one_package_is_imported_and_nothing_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("my_classes")
    package.OpsJob, package.OpsOrchestration = OpsJob, OpsOrchestration  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_classes", package)
    OrchestrationFactory.register_orchestrations_from_package("my_classes")
    StarlakeJobFactory.register_jobs_from_package("my_classes")
    assert type(OrchestrationFactory.create_orchestration(create())) is OpsOrchestration
    OrchestrationFactory.register_orchestrations_from_package()
    with pytest.raises(PluginLoadError, match="package 'not_there' cannot be imported"):
        OrchestrationFactory.register_orchestrations_from_package("not_there")


def test_classes_behind_entry_points(tmp_path: Path) -> None:
    """A distribution of one module, with its two entry points, and a file that uses it from the command line."""
    info = tmp_path / "site" / "acme_ops-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-ops\nVersion: 0.1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[starlake_core_compat.jobs]\nops = acme_ops:Job\n[starlake_core_compat.orchestrations]\nops = acme_ops:Orchestration\n",
        encoding="utf-8",
    )
    (tmp_path / "site" / "acme_ops.py").write_text(
        "from ai.starlake.job import IStarlakeJob\n"
        "from ai.starlake.orchestration import AbstractOrchestration\n"
        "class Job(IStarlakeJob):\n"
        "    orchestrator, execution_environment = 'ops', 'shell'\n"
        "    def sl_job(self, task_id, arguments, spark_config=None, **kwargs):\n"
        "        return ' '.join(arguments) or task_id\n"
        "class Orchestration(AbstractOrchestration):\n"
        "    def sl_orchestrator(cls): return 'ops'\n",
        encoding="utf-8",
    )
    file = tmp_path / "sales.py"
    file.write_text(
        "from ai.starlake.job import StarlakeJobFactory\n"
        "from ai.starlake.orchestration import OrchestrationFactory\n"
        "job = StarlakeJobFactory.create_job(orchestrator='ops', execution_environment='shell')\n"
        "with OrchestrationFactory.create_orchestration(job) as orchestration:\n"
        "    with orchestration.sl_create_pipeline(schedule=None) as pipeline:\n"
        "        pipeline.sl_load('a', 'sales', 'a')\n",
        encoding="utf-8",
    )
    done = orchestrate("graph", str(file), PYTHONPATH=str(tmp_path / "site"))
    assert done.returncode == 0, done.stderr
    assert "a  load sales.a" in done.stdout


# -- names


def test_jobs_and_orchestrations_by_their_own_names() -> None:
    job = StarlakeAirflowBashJob(filename="sales.py", pre_load_strategy="pending", options={"retries": "0"})
    assert isinstance(job, StarlakeAirflowJob)
    assert (job.sl_orchestrator(), job.sl_execution_environment()) == ("airflow", "shell")
    assert job.pre_load_strategy is StarlakePreLoadStrategy.PENDING
    assert job.caller_filename == "sales.py"
    assert (job.sl_env_vars, job.sl_root, job.sl_datasets) == ({}, ".", "./datasets")
    assert StarlakeDagsterDataprocJob.sl_execution_environment() == "dataproc"
    assert AirflowOrchestration.sl_orchestrator() == "airflow"


def test_a_job_knows_its_file() -> None:
    job = StarlakeJobFactory.create_job(filename=Path(__file__).name, module_name=__name__)
    assert (job.filename, job.caller_module_name) == (__file__, __name__)
    assert job.caller_globals is globals()
    assert IStarlakeJob().filename == __file__


def test_a_class_in_another_module_still_belongs_to_the_pipeline_file(tmp_path: Path) -> None:
    library = tmp_path / "my_library.py"
    library.write_text(
        "from ai.starlake.job import IStarlakeJob\n"
        "class Job(IStarlakeJob):\n"
        "    orchestrator, execution_environment = 'my_orchestrator', 'shell'\n"
        "    def __init__(self, filename, module_name, options, **kwargs):\n"
        "        super().__init__(filename, module_name, options=options, **kwargs)\n"
        "        self.more = 'state of its own'\n",
        encoding="utf-8",
    )
    sys.path.insert(0, str(tmp_path))
    try:
        import my_library  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(tmp_path))
    StarlakeJobFactory.register_job(my_library.Job)
    job: Any = StarlakeJobFactory.create_job(None, None, "my_orchestrator", "shell")
    assert (job.filename, job.more) == (__file__, "state of its own")
    assert job.caller_globals is globals()


def test_type_hints_of_old_files_evaluate() -> None:
    for name in (
        AbstractDependency,
        AbstractOrchestration,
        AbstractPipeline,
        AbstractTask,
        AbstractTaskGroup,
        IStarlakeJob,
    ):
        assert name[int].__origin__ is name

    class Typed(IStarlakeJob[int]):  # type: ignore[misc]
        pass

    assert issubclass(Typed, IStarlakeJob)


# -- verbs of one's own on Airflow and Dagster

OWN = {
    "airflow": """
from ai.starlake.airflow.bash import StarlakeAirflowBashJob as Base
from starlake_core_airflow.versions import EmptyOperator

def native(task_id):
    return EmptyOperator(task_id=task_id)
""",
    "dagster": """
from dagster import op
from ai.starlake.dagster.shell import StarlakeDagsterShellJob as Base

def native(task_id):
    @op(name=task_id)
    def own(): pass
    return own
""",
}
FILE = """# airflow dag
from ai.starlake.job import StarlakeJobFactory
from ai.starlake.orchestration import OrchestrationFactory, StarlakeDomain, StarlakeSchedule


class Mine(Base):
    def sl_load(self, task_id, domain, table, spark_config=None, **kwargs):
        if table == "items":
            return native(task_id)
        return super().sl_load(task_id, domain, table, spark_config, retries=7, **kwargs)


StarlakeJobFactory.register_job(Mine)
job = StarlakeJobFactory.create_job("sales.py", __name__, Base.orchestrator, Base.execution_environment, {})
daily = StarlakeSchedule("daily", "0 0 * * *", [StarlakeDomain("sales", tables=["items", "orders"])])
with OrchestrationFactory.create_orchestration(job) as orchestration:
    with orchestration.sl_create_pipeline(schedule=daily) as pipeline:
        pipeline.add_schedule()
"""


@pytest.mark.parametrize("host", HOSTS)
def test_native_tasks_of_ones_own_beside_those_of_the_orchestrator(tmp_path: Path, host: str) -> None:
    folder = tmp_path / "dags"
    folder.mkdir()
    file = folder / "sales.py"
    file.write_text(FILE.replace("\n\n\nclass", OWN[host] + "\n\nclass", 1), encoding="utf-8")
    variables = {"AIRFLOW_HOME": str(tmp_path / "home"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    shown = native(host, "show", str(folder if host == "airflow" else file), **variables)
    if host == "dagster":
        assert shown["jobs"] == {"sales_daily": ["end_daily", "load_sales_items", "load_sales_orders"]}
        return
    tasks = {task_id.rpartition(".")[2]: task for task_id, task in shown["sales_daily"]["tasks"].items()}
    assert {name: task["operator"] for name, task in tasks.items()} == {
        "start_daily": "EmptyOperator", "load_sales_items": "EmptyOperator", "load_sales_orders": "StarlakeOperator",
        "end_daily": "StarlakeEnd",
    }  # fmt: skip
    assert tasks["load_sales_orders"]["retries"] == 7
    assert tasks["load_sales_items"]["after"] == ["start_daily"]
    assert tasks["end_daily"]["after"] == [
        "sales_daily.load_sales_daily.load_sales_items", "sales_daily.load_sales_daily.load_sales_orders",
    ]  # fmt: skip

"""Orchestrations, pipelines and groups under their old names, to be used as they are or extended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import GenericAlias, TracebackType
from typing import Any

from starlake_core import (
    DatasetTrigger,
    DependencyType,
    GeneralOptions,
    Node,
    Options,
    Orchestration,
    PluginNotFoundError,
    StarlakeError,
    StarlakePipeline,
    StarlakePreLoadStrategy,
    StarlakeSchedule,
    StarlakeSparkConfig,
    StarlakeTaskGroup,
    Task,
    TaskKind,
    TriggerRule,
    sanitize_id,
)
from starlake_core import StarlakeDataset as CoreDataset
from starlake_core import StarlakeDependencies as CoreDependencies
from starlake_core.dsl.task_arguments import TaskArguments
from starlake_core.logs import get_logger

from .adapting import Classes, Verbs
from .datasets import StarlakeDataset
from .lineage import StarlakeDependencies, StarlakeDependency, TreeNodeMixin
from .logical_names import NO_PROJECT, names_of_project
from .module_globals import ModuleGlobals, read_globals
from .registry import ORCHESTRATIONS, is_installed, word_of
from .schedules import cron_or_none, is_none
from .swallowed import warn_of_keywords
from .verbs import StarlakeJob
from .zones import iana_name

__all__ = [
    "AbstractDependency",
    "AbstractOrchestration",
    "AbstractPipeline",
    "AbstractTask",
    "AbstractTaskGroup",
    "OrchestrationFactory",
]

logger = get_logger(__name__)


_PASSED_OVER = ("dataset", "task_type")
"""Keywords of the verbs of a pipeline whose values the replaced package overrode."""


class _StandsFor(type):
    """The metaclass of a name for a class of the core: instances of that class are instances of this one."""

    stands_for: type

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.stands_for)


class AbstractDependency(metaclass=_StandsFor):
    """Anything that ``>>`` and ``<<`` join: tasks and groups."""

    stands_for: type[Node] = Node

    def __class_getitem__(cls, item: Any) -> GenericAlias:
        return GenericAlias(cls, item)


class AbstractTask(AbstractDependency):
    """A task of a pipeline."""

    stands_for = Task


class AbstractTaskGroup(StarlakeTaskGroup):
    """A group of tasks, used as a context manager.

    Args:
        group_id: an id that is unique within the group that contains it.
        orchestration_cls: ignored; kept for subclasses that pass it on.
        group: the native group, for subclasses that bring their own orchestrator.
        name: the same as ``group_id``.
        pipeline: the pipeline that it belongs to.
        **kwargs: have no effect and cause a warning.

    Raises:
        StarlakeError: it has no name, or no pipeline.

    Attributes:
        group: the native group, if there is one.
    """

    def __init__(
        self,
        group_id: str | None = None,
        orchestration_cls: Any = None,
        group: Any = None,
        *,
        name: str | None = None,
        pipeline: StarlakePipeline | None = None,
        **kwargs: Any,
    ) -> None:
        title = group_id or name
        warn_of_keywords(f"{type(self).__name__}({title!r})", kwargs, ("group_id", "name", "pipeline", "group"))
        if not title or pipeline is None:
            raise StarlakeError(
                f"{type(self).__name__}() needs a name and its pipeline: {type(self).__name__}(group_id, pipeline=pipeline)"
            )
        super().__init__(title, pipeline.current_group)
        self.group = group

    def __class_getitem__(cls, item: Any) -> GenericAlias:
        return GenericAlias(cls, item)


class AbstractPipeline(StarlakePipeline):
    """A pipeline, used as a context manager.

    Args:
        job: the job that creates its tasks.
        orchestration_cls: ignored; kept for subclasses that pass it on.
        dag: the native pipeline, for subclasses that bring their own orchestrator.
        schedule: the domains that it loads.
        dependencies: the lineage that it transforms.
        orchestration: the orchestration that it belongs to.
        add_dag_dependency: joins two native nodes, for subclasses that bring their own orchestrator; ``>>`` by default.
        name: its id; derived from the names of the file and of the schedule by default.
        cron: when it starts; by default that of the schedule, of the module of the file, or one that follows from the lineage.
        tags: labels for display.
        description: the description for display; that of the module of the file by default.
        **native: keywords that the orchestrator declares.

    Raises:
        StarlakeError: it belongs to no orchestration, has both a schedule and dependencies, or a keyword that nothing declares.

    Attributes:
        job: the job that creates its tasks.
        own_dag: the native pipeline of a subclass.
        add_dag_dependency: joins two native nodes.
    """

    def __init__(
        self,
        job: StarlakeJob,
        orchestration_cls: Any = None,
        dag: Any = None,
        schedule: StarlakeSchedule | None = None,
        dependencies: StarlakeDependencies | Iterable[StarlakeDependency] | str | None = None,
        orchestration: AbstractOrchestration | None = None,
        add_dag_dependency: Callable[[Any, Any], object] | None = None,
        *,
        name: str | None = None,
        cron: str | None = None,
        tags: Iterable[str] = (),
        description: str | None = None,
        **native: Any,
    ) -> None:
        if orchestration is None:
            raise StarlakeError(f"{type(self).__name__}() needs its orchestration: orchestration=self")
        if dependencies is not None and not isinstance(dependencies, StarlakeDependencies):
            dependencies = StarlakeDependencies(dependencies)
        self.job = job
        self.own_dag = dag
        self.add_dag_dependency = add_dag_dependency
        found = orchestration.found
        if orchestration.plugins.orchestrator == "dagster":
            # Airflow itself checked the keywords of its DAGs; starlake-dagster ignored unknown ones.
            others = {word: value for word, value in native.items() if word not in orchestration.pipeline_keywords}
            warn_of_keywords(
                "sl_create_pipeline()", others, ("schedule", "dependencies", *orchestration.pipeline_keywords)
            )
            native = {word: value for word, value in native.items() if word not in others}
        known = orchestration.pipeline_keywords
        keywords = {
            word: value for word, value in found.keywords.items() if word in known or orchestration.allows_any_keyword
        }
        with orchestration.filtering(dependencies):
            super().__init__(
                orchestration,
                name or "_".join(part for part in (_stem(job.filename), _schedule_name(schedule)) if part),
                schedule=schedule,
                dependencies=dependencies,
                cron=cron_or_none(cron, "sl_create_pipeline()"),
                tags=tags,
                description=found.description if description is None else description,
                native_options={**keywords, **native},
            )
        self._tasks_of: dict[str, Task] = {}
        self._names = names_of_project(self.options[GeneralOptions].sl_env_var)
        self._loads: dict[tuple[str, str], str] = {}
        if dependencies is not None:
            self._warn_of_strategies(dependencies)
        if self.catchup and (schedule is not None or self.cron is None):
            # The replaced package caught up on missed intervals of transforms only; a migration must not start that for loads.
            self.catchup = False
            logger.warning(
                "pipeline %s: the option 'catchup' has no effect on %s", self.id, "loads" if schedule else "datasets"
            )
        if orchestration.plugins.orchestrator == "airflow":
            # Airflow's list of DAGs is filtered by tags, and their case matters.
            self.tags = tuple(dict.fromkeys(tag.upper() for tag in self.tags))

    def __class_getitem__(cls, item: Any) -> GenericAlias:
        return GenericAlias(cls, item)

    @property
    def dag(self) -> Any:
        """The native pipeline."""
        return self.native if self.own_dag is None else self.own_dag

    @dag.setter
    def dag(self, value: Any) -> None:
        self.own_dag = value

    @property
    def schedule_name(self) -> str | None:
        """The name of the schedule as a part of ids; None without one."""
        return _schedule_name(self.schedule)

    def _start_of(self, dependencies: CoreDependencies) -> tuple[str | None, DatasetTrigger | None]:
        """The cron of the file, or the upstream datasets; no cron is derived from those of the lineage."""
        return self.options[GeneralOptions].cron, super()._start_of(dependencies)[1]

    def _warn_of_strategies(self, lineage: StarlakeDependencies) -> None:
        strategy = self.options[GeneralOptions].dataset_triggering_strategy
        others = [node.name for node in lineage if str(node.generated_strategy or strategy).lower() != strategy]
        if others:
            logger.warning(
                "pipeline %s: the dataset_triggering_strategy in the lineage has no effect (%s); set the option of that name instead, which is '%s'",
                self.id,
                ", ".join(others),
                strategy,
            )

    @property
    def load_dependencies(self) -> bool:
        """Whether everything upstream also runs in the pipeline: the option ``run_dependencies_first``."""
        return self.options[GeneralOptions].run_dependencies_first

    run_dependencies_first = load_dependencies

    @property
    def graphs(self) -> Sequence[TreeNodeMixin]:
        """The nodes of the lineage whose tasks the pipeline has; see :meth:`StarlakeDependencies.graphs`."""
        if not isinstance(self.dependencies, StarlakeDependencies):
            return ()
        return self.dependencies.graphs(self.load_dependencies)

    # -- the block

    def __enter__(self) -> AbstractPipeline:
        super().__enter__()
        self.job.drawn.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.job.drawn.remove(self)
        super().__exit__(kind, error, trace)

    # -- adding nodes

    def dependency_to_task(self, dependency: StarlakeDependency) -> Task:
        """The task of a node of the lineage: its transform, or the load of its table. A node has one task.

        Args:
            dependency: the node.
        """
        task = self._tasks_of.get(dependency.name)
        if task is None:
            if dependency.dependency_type is DependencyType.TASK:
                task = self.sl_transform(dependency.task_id, dependency.name)
            else:
                domain, _, table = dependency.name.partition(".")
                table = table or domain
                final_domain, _, final_table = dependency.sink.partition(".")
                self.final_names.setdefault((domain, table), (final_domain, final_table))
                task = self.sl_load(dependency.task_id, domain, table)
            self._tasks_of[dependency.name] = task
        return task

    def end_task(
        self, task_id: str | None = None, output_datasets: Iterable[CoreDataset] | None = None, **keywords: Any
    ) -> Task:
        """Add the last task; see :meth:`StarlakePipeline.end_task`. The dataset of the pipeline has its id in lower case.

        Args:
            task_id: the id of the task.
            output_datasets: what the pipeline as a whole produces; a dataset with the pipeline's id by default.
            **keywords: keywords of every verb, or of the orchestrator.
        """
        if output_datasets is None:
            output_datasets = [StarlakeDataset(self.id, cron=self.cron)]
        return super().end_task(task_id, output_datasets, **keywords)

    def sl_transform(
        self,
        task_id: str | None = None,
        transform_name: str | None = None,
        transform_options: Mapping[str, Any] | str | None = None,
        spark_config: StarlakeSparkConfig | None = None,
        *,
        sink: str | None = None,
        **keywords: Any,
    ) -> Task:
        """Add one transform; see :meth:`StarlakePipeline.sl_transform`.

        Args:
            task_id: the id of the task.
            transform_name: ``domain.task``.
            transform_options: substitution variables; those of the options by default.
            spark_config: the sizing; the options by default.
            sink: the ``domain.table`` that it writes; that of the lineage, or its name, by default.
            **keywords: keywords of every verb, or of the orchestrator.
        """
        made = super().sl_transform(task_id, transform_name, transform_options, spark_config, **keywords)
        if not is_none(sink):
            domain, _, table = str(sink).rpartition(".")
            own, *others = made.outlets
            dataset = CoreDataset.table(
                domain, table, style=self.options[GeneralOptions].dataset_style, cron=own.cron, freshness=own.freshness
            )
            made.outlets = (replace(dataset, extra=own.extra), *others)
        return made

    def _arguments(self, verb: str, keywords: Mapping[str, Any], **own: object) -> TaskArguments:
        known = {word: value for word, value in keywords.items() if word not in _PASSED_OVER}
        warn_of_keywords(f"{verb}()", {word: value for word, value in keywords.items() if word not in known}, ())
        return super()._arguments(verb, known, **own)

    def sl_pre_load(
        self,
        domain: str,
        tables: Iterable[str] = (),
        pre_load_strategy: StarlakePreLoadStrategy | str | None = None,
        task_id: str | None = None,
        **keywords: Any,
    ) -> Task | None:
        """Add the check whether a domain is ready; see :meth:`StarlakePipeline.sl_pre_load`. On Dagster its id contains the name of the schedule.

        Args:
            domain: its logical name.
            tables: logical names; all tables of the domain if empty.
            pre_load_strategy: what must exist; the option by default.
            task_id: the id of the task.
            **keywords: keywords of every verb, or of the orchestrator.
        """
        if task_id is None and isinstance(domain, str):
            strategy = StarlakePreLoadStrategy.parse(pre_load_strategy or self.pre_load_strategy)
            on_dagster = self.schedule_name and self.plugins.orchestrator == "dagster"
            task_id = f"check_{domain}_{f'{self.schedule_name}_' if on_dagster else ''}{strategy.task_word}"
        domain, tables = self._logical(domain, tables)
        return super().sl_pre_load(domain, tables, pre_load_strategy, task_id, **keywords)

    def sl_import(
        self, task_id: str | None = None, domain: str | None = None, tables: Iterable[str] = (), **keywords: Any
    ) -> Task:
        """Add the move of a domain's incoming files; see :meth:`StarlakePipeline.sl_import`.

        Args:
            task_id: the id of the task.
            domain: its logical name.
            tables: logical names; all tables of the domain if empty.
            **keywords: keywords of every verb, or of the orchestrator.
        """
        task_id = task_id or (f"{domain}_import" if domain else None)
        domain, tables = self._logical(domain, tables)
        return super().sl_import(task_id, domain, tables, **keywords)

    def sl_load(
        self,
        task_id: str | None = None,
        domain: str | None = None,
        table: str | None = None,
        spark_config: StarlakeSparkConfig | None = None,
        **keywords: Any,
    ) -> Task:
        """Add the load of one table; see :meth:`StarlakePipeline.sl_load`. Its id and its dataset use the names in the file.

        Args:
            task_id: the id of the task.
            domain: the logical name of the domain.
            table: the logical name of the table.
            spark_config: the sizing; the options by default.
            **keywords: keywords of every verb, or of the orchestrator.
        """
        if not isinstance(domain, str) or not isinstance(table, str):
            return super().sl_load(task_id, domain, table, spark_config, **keywords)
        logical, (name,) = self._logical(domain, [table])
        if (logical, name) != (domain, table):
            task_id = task_id or f"{domain}_{table}_load"
            self.final_names.setdefault((logical, name), self.final_names.get((domain, table), (domain, table)))
            self._loads[logical, name] = f"{domain}.{table}"
            given = self.options.tasks.get(f"{domain}.{table}")
            if given is not None:
                options, problems = self.options, self.options.problems
                self.options = Options(options, {f"{logical}.{name}": given, **options.tasks}, problems)
        return super().sl_load(task_id, logical, name, spark_config, **keywords)

    def _logical(self, domain: Any, tables: Any) -> tuple[Any, Any]:
        """The names that the command line uses for a domain and tables of a file."""
        if self._names is NO_PROJECT or not isinstance(domain, str) or not domain:
            return domain, tables
        given = [tables] if isinstance(tables, str) else list(tables or ())
        if not all(isinstance(table, str) for table in given):
            return domain, tables
        logical, found = self._names.right(domain, given, f"pipeline {self.id}")
        return logical, [found[table] for table in given]

    def option_names(self) -> set[str]:
        """The names under which options of a single task may be given, including those that the file uses in place of logical ones."""
        return super().option_names() | set(self._loads.values())

    def sl_spark_config(self, spark_config_name: str) -> StarlakeSparkConfig:
        """The Spark sizing for a name: the result of the file's ``get_spark_config``, or else the options.

        Args:
            spark_config_name: ``domain.table``, a transform's name, or any other name under which options of a single task are given.
        """
        found: ModuleGlobals = self.orchestration.found  # type: ignore[attr-defined]
        if found.spark is None:
            return super().sl_spark_config(spark_config_name)
        return found.spark_config(self.options[GeneralOptions].spark_config_name or spark_config_name)

    def pre_tasks(self, **keywords: Any) -> Node | None:
        """Add the tasks that a subclass of the job creates before the work, or else those that the environment needs; None if there are none.

        Args:
            **keywords: keywords of every verb, or of the orchestrator.
        """
        return self._around("pre_tasks", keywords) or super().pre_tasks(**keywords)

    def post_tasks(self, **keywords: Any) -> Node | None:
        """Add the tasks that a subclass of the job creates after the work, or else those that the environment needs; None if there are none.

        Args:
            **keywords: keywords of every verb, or of the orchestrator.
        """
        return self._around("post_tasks", keywords) or super().post_tasks(**keywords)

    def _around(self, name: str, keywords: dict[str, Any]) -> Node | None:
        made = getattr(self.job, name)(**keywords)
        if made is None:
            return None
        node = made if isinstance(made, Node) else self.add_native(str(getattr(made, "task_id", name)), lambda: made)
        tasks: Iterator[Task] = iter(()) if not isinstance(node, StarlakeTaskGroup) else node.tasks()
        for task in (node,) if isinstance(node, Task) else tasks:
            if name == "post_tasks":
                task.trigger = TriggerRule.ALL_DONE
            if (
                task.kind is not TaskKind.CHECK
            ):  # a check stays a check wherever it is: what depends on it may be skipped
                task.kind = TaskKind.SETUP if name == "pre_tasks" else TaskKind.TEARDOWN
        return node


def _stem(filename: str) -> str:
    return Path(filename).stem.lower() if filename else "pipeline"


def _schedule_name(schedule: StarlakeSchedule | None) -> str | None:
    return None if schedule is None or is_none(schedule.name) else sanitize_id(schedule.name)


def _one_zone(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the time zone that generators add, in a known spelling; without it, if the user names one or it is not a time zone."""
    kept = dict(options)
    zone = kept.pop("SL_TIMEZONE", None)
    if "timezone" not in kept and zone is not None and str(zone).strip() not in ("", "None"):
        kept["SL_TIMEZONE"] = iana_name(str(zone))
    return kept


class AbstractOrchestration(Orchestration):
    """An orchestration, used as a context manager.

    Args:
        job: the result of :meth:`StarlakeJobFactory.create_job`.

    Raises:
        PluginError: a plugin cannot be used.
        OptionsError: with one line for every wrong option.

    Attributes:
        job: the job.
        found: what the module of the pipeline file defines.
    """

    def __init__(self, job: StarlakeJob) -> None:
        self.job = job
        self.found = read_globals(job.caller_globals, job.options, word_of(job, "sl_execution_environment"))
        orchestrator, environment = job.sl_orchestrator(), job.sl_execution_environment()
        word = word_of(job, "sl_orchestrator")
        own = job.brings_orchestrator
        if own:
            orchestrator = environment = Classes(word, job)
        style = {} if "SL_DATASET_STYLE" in os.environ else {"dataset_style": "flat"}
        try:
            super().__init__(
                {**style, **self.found.options, **_one_zone(job.options)},
                orchestrator=orchestrator,
                environment=environment,
                filename=job.filename,
                namespace=job.caller_globals,
                addons=(Verbs(job),) if job.overridden and not own else (),
            )
        except PluginNotFoundError as error:
            if is_installed(word):
                raise
            raise PluginNotFoundError(
                f"{error} To use your own classes for '{word}', register them before the job is created: "
                "StarlakeJobFactory.register_job(...) and OrchestrationFactory.register_orchestration(...)"
            ) from None
        if own:
            self.allows_any_keyword = True  # users with their own orchestrator know its keywords

    def __class_getitem__(cls, item: Any) -> GenericAlias:
        return GenericAlias(cls, item)

    @classmethod
    def sl_orchestrator(cls) -> Any:
        """The orchestrator of a subclass; None if the job names it."""
        return None

    @contextmanager
    def filtering(self, dependencies: StarlakeDependencies | None) -> Iterator[None]:
        """While this block is active, the option ``filtered_datasets`` also contains the datasets that a lineage filters out,
        and may name datasets in the style ``flat``.

        Args:
            dependencies: the lineage of a pipeline; None for none.
        """
        before = self.options
        if dependencies is not None:
            given = before[GeneralOptions].filtered_datasets
            named = dependencies.filtered_names([name.lower() for name in given])
            self.options = before.overlaid({"filtered_datasets": tuple(dict.fromkeys((*given, *named)))})
        try:
            yield
        finally:
            self.options = before

    def sl_create_pipeline(  # type: ignore[override]
        self,
        schedule: StarlakeSchedule | None = None,
        dependencies: StarlakeDependencies | Iterable[StarlakeDependency] | str | None = None,
        **kwargs: Any,
    ) -> AbstractPipeline:
        """Start a pipeline.

        Args:
            schedule: the domains that it loads.
            dependencies: the lineage that it transforms.
            **kwargs: see :class:`AbstractPipeline`.
        """
        return AbstractPipeline(self.job, schedule=schedule, dependencies=dependencies, orchestration=self, **kwargs)

    def sl_create_task_group(self, group_id: str, pipeline: StarlakePipeline, **kwargs: Any) -> AbstractTaskGroup:
        """Start a group in the current group of a pipeline whose block is open.

        Args:
            group_id: an id that is unique within the group that contains it.
            pipeline: the pipeline.
            **kwargs: see :class:`AbstractTaskGroup`.
        """
        return AbstractTaskGroup(group_id, pipeline=pipeline, **kwargs)


class OrchestrationFactory:
    """The documented factory of orchestrations. Plugins of this project are found by their entry points; users register their classes."""

    @classmethod
    def register_orchestrations_from_package(cls, package_name: str = "ai.starlake") -> None:
        """Import one package and register the orchestrations in it. Subpackages are not searched.

        Args:
            package_name: the name of the package.

        Raises:
            PluginLoadError: it cannot be imported.
        """
        ORCHESTRATIONS.register_module(package_name, AbstractOrchestration)

    @classmethod
    def register_orchestration(cls, orchestration_class: type[AbstractOrchestration]) -> None:
        """Use a class for the orchestrator that it names.

        Args:
            orchestration_class: a subclass of :class:`AbstractOrchestration`.

        Raises:
            PluginContractError: it is not such a class, or names nothing.
        """
        ORCHESTRATIONS.register(orchestration_class, AbstractOrchestration)

    @classmethod
    def create_orchestration(cls, job: StarlakeJob, **kwargs: Any) -> AbstractOrchestration:
        """Open an orchestration.

        Args:
            job: the result of :meth:`StarlakeJobFactory.create_job`.
            **kwargs: for a user's class.

        Raises:
            PluginError: a plugin cannot be used.
            OptionsError: with one line for every wrong option.
        """
        word = word_of(job, "sl_orchestrator")
        known = ORCHESTRATIONS.find(word)
        if known is None and not is_installed(word):
            known = ORCHESTRATIONS.load(AbstractOrchestration, word)
        made: AbstractOrchestration = (known or AbstractOrchestration)(job, **kwargs)
        return made

"""The verbs that add tasks to a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..contract import parse_arguments
from ..errors import CommandError, ContractError
from ..logs import get_logger
from ..model.command import (
    Command,
    Preload,
    StarlakePreLoadStrategy,
    StarlakeSparkConfig,
    command_options,
    load_command,
    stage_command,
    transform_command,
)
from ..model.dataset import StarlakeDataset, sanitize_id
from ..model.graph import Node, Pipeline, Task, TaskGroup
from ..model.job import Job
from ..model.kinds import TaskKind, Wait
from ..model.lineage import StarlakeDependencies, StarlakeDependency
from ..model.schedule import StarlakeSchedule
from ..options import GeneralOptions, Options
from ..plugins import Plugins
from ..plugins.hookspecs import Lifecycle
from .datasets import node_dataset
from .groups import CURRENT_GROUP, StarlakeTaskGroup
from .placeholders import fill, known_names, warn_of_template
from .task_arguments import (
    NO_ARGUMENTS,
    TaskArguments,
    check_factory,
    check_own_arguments,
    read_datasets,
    read_task_arguments,
)

__all__ = ["Verbs"]

logger = get_logger(__name__)

_OF_WORK = ("retries", "retry_delay", "timeout")
"""Keywords that control how a job runs."""


class Verbs(Pipeline):
    """The verbs of a pipeline under construction. They add tasks to the group whose ``with`` block is open.

    Attributes:
        plugins: the selected plugins.
        task_keywords: the orchestrator's keyword arguments for verbs; None if it accepts all.
        schedule: the schedule to load, if there is one.
        dependencies: the lineage to transform, if there is one.
        final_names: the names in the warehouse, by logical names of domain and table, if they differ.
    """

    __slots__ = ("_lifecycle", "_spark", "dependencies", "final_names", "schedule", "task_keywords")

    plugins: Plugins
    task_keywords: frozenset[str] | None
    schedule: StarlakeSchedule | None
    dependencies: StarlakeDependencies | None
    final_names: dict[tuple[str, str], tuple[str, str]]
    _lifecycle: Lifecycle | None
    _spark: dict[str, StarlakeSparkConfig]

    # -- what it is

    @property
    def pipeline_id(self) -> str:
        """The id of the pipeline."""
        return self.id

    @property
    def schedule_name(self) -> str | None:
        """The name of the schedule; None without one."""
        return (self.schedule.name or None) if self.schedule else None

    @property
    def pre_load_strategy(self) -> StarlakePreLoadStrategy:
        """What must be present before a domain is loaded, unless a call says otherwise."""
        return StarlakePreLoadStrategy(self.options[GeneralOptions].pre_load_strategy)

    def option_names(self) -> set[str]:
        """The names that per-task options may use as keys: tasks, transforms, ``domain.table`` and domains."""
        names: set[str] = set()
        for task in self.tasks():
            names.update(self._option_names(task.id, task.command))
            names.add(task.domain)
        return names

    def _option_names(self, task_id: str, command: Command | None) -> tuple[str, ...]:
        subject = command.subject if command is not None else ""
        return (subject, task_id) if subject else (task_id,)

    # -- adding nodes

    @property
    def current_group(self) -> TaskGroup:
        """The group to which verbs add: the one whose block is open, or the pipeline itself."""
        current = CURRENT_GROUP.get()
        return current if current is not None and current.pipeline is self else self

    def _arguments(self, verb: str, keywords: Mapping[str, Any], **own: object) -> TaskArguments:
        """Read the common arguments of a call of a verb, and check its own."""
        task_id = own.get("task_id")
        where = f"{verb}() of {f'task {task_id} of ' if task_id and isinstance(task_id, str) else ''}pipeline {self.id}"
        check_own_arguments(where, **own)
        if not keywords:
            return NO_ARGUMENTS
        return read_task_arguments(
            where, keywords, self.task_keywords, self.plugins.label("orchestrator"), self.plugins.advice_on
        )

    def _add(
        self,
        task_id: str,
        settings: TaskArguments,
        *,
        options: Options | None = None,
        job: Job | None = None,
        command: Command | None = None,
        kind: TaskKind | None = None,
        wait: Wait | None = None,
        inlets: Iterable[StarlakeDataset] = (),
        outlets: Iterable[StarlakeDataset] = (),
    ) -> Task:
        general = (options or self.options)[GeneralOptions]
        work = job is not None
        idle = [] if work else [name for name in _OF_WORK if getattr(settings, name) is not None]
        if idle:
            logger.warning(
                "%s has no effect on task %s of pipeline %s, which runs nothing", " and ".join(idle), task_id, self.id
            )
        produced = (*outlets, *settings.outlets)
        if settings.extra:
            self._check_extra(task_id, settings.extra, produced)
            produced = tuple(replace(one, extra={**one.extra, **settings.extra}) for one in produced)
        return Task(
            task_id,
            self.current_group,
            job=job,
            command=command,
            kind=kind,
            trigger=settings.trigger,
            wait=wait,
            inlets=(*inlets, *settings.inlets),
            outlets=produced,
            retries=(general.retries if settings.retries is None else settings.retries) if work else 0,
            retry_delay=general.retry_delay if settings.retry_delay is None else settings.retry_delay,
            timeout=general.task_timeout if settings.timeout is None else settings.timeout,
            pool=settings.pool or general.default_pool,
            params=dict(settings.params) if command is None else command.params,
            native=settings.native,
        )

    def _check_extra(self, task_id: str, extra: Mapping[str, Any], outlets: Iterable[StarlakeDataset]) -> None:
        warn_of_template(extra, f"extra= of task {task_id} in pipeline {self.id}")
        if not outlets:
            logger.warning("extra has no effect on task %s of pipeline %s, which produces no dataset", task_id, self.id)

    def _job(self, command: Command, options: Options) -> Job:
        made = self.plugins.create_job(command, options)
        word = options[GeneralOptions].retry_unsafe
        return self._with_addons(made if word == "no" else replace(made, retry_unsafe=word))

    def _with_addons(self, job: Job) -> Job:
        """Return the job with the add-ons that its worker must load."""
        addons = self.plugins.loadable_addons
        return replace(job, plugins=tuple(dict.fromkeys((*job.plugins, *addons)))) if addons else job

    def _command_task(
        self,
        command: Command,
        settings: TaskArguments,
        outlets: tuple[StarlakeDataset, ...] = (),
        inlets: tuple[StarlakeDataset, ...] = (),
    ) -> Task:
        options = self.options
        if options.has_tasks:
            options = options.for_task(*self._option_names(command.task_id, command))
        return self._add(
            command.task_id,
            settings,
            options=options,
            job=self._job(command, options),
            command=command,
            inlets=inlets,
            outlets=outlets,
        )

    def sl_create_task_group(self, group_id: str) -> StarlakeTaskGroup:
        """Open a group of tasks in the current one: ``with pipeline.sl_create_task_group("loads") as group:``.

        Args:
            group_id: the id of the group, unique within the group that holds it.
        """
        self._arguments("sl_create_task_group", {}, group_id=group_id)
        return StarlakeTaskGroup(group_id, self.current_group)

    def start_task(self, task_id: str | None = None, **keywords: Any) -> Task:
        """Add the first task, which does nothing by itself.

        Args:
            task_id: ``start_<schedule>`` or ``start`` by default.
            **keywords: keyword arguments of every verb, or of the orchestrator.
        """
        settings = self._arguments("start_task", keywords, task_id=task_id)
        name = task_id or (f"start_{self.schedule_name}" if self.schedule_name else "start")
        return self._add(name, settings, kind=TaskKind.START)

    def end_task(
        self, task_id: str | None = None, output_datasets: Iterable[StarlakeDataset] | None = None, **keywords: Any
    ) -> Task:
        """Add the last task. It runs if nothing before it failed, and is skipped if all work was skipped.

        Args:
            task_id: ``end_<schedule>`` or ``end`` by default.
            output_datasets: the datasets that the pipeline as a whole produces; by default one with the pipeline's id.
            **keywords: keyword arguments of every verb, or of the orchestrator.
        """
        settings = self._arguments("end_task", keywords, task_id=task_id)
        name = task_id or (f"end_{self.schedule_name}" if self.schedule_name else "end")
        outlets: tuple[StarlakeDataset, ...] = (StarlakeDataset(self.id, self.cron),)
        if output_datasets is not None:
            outlets = read_datasets(output_datasets, f"end_task() of pipeline {self.id}: output_datasets")
        return self._add(name, settings, kind=TaskKind.END, outlets=outlets)

    def sl_dummy_op(self, task_id: str, **keywords: Any) -> Task:
        """Add a task that does nothing. A task with the id ``all_done`` runs in whatever state its upstream tasks
        ended.

        Args:
            task_id: its id.
            **keywords: keyword arguments of every verb, or of the orchestrator.
        """
        settings = self._arguments("sl_dummy_op", keywords, task_id=task_id)
        kind = TaskKind.GATHER if task_id and sanitize_id(task_id) == "all_done" else TaskKind.EMPTY
        return self._add(task_id, settings, kind=kind)

    dummy_task = sl_dummy_op

    def pre_tasks(self, **keywords: Any) -> Node | None:
        """Add the tasks that the environment needs before the work. Return None if it needs none.

        Args:
            **keywords: keyword arguments of every verb, or of the orchestrator.
        """
        return self._lifecycle_tasks("pre_tasks", self._get_lifecycle().setup, keywords, TaskKind.SETUP)

    def post_tasks(self, **keywords: Any) -> Node | None:
        """Add the tasks that the environment needs after the work, even if it failed. Return None if it needs none.

        Args:
            **keywords: keyword arguments of every verb, or of the orchestrator.
        """
        return self._lifecycle_tasks("post_tasks", self._get_lifecycle().teardown, keywords, TaskKind.TEARDOWN)

    def _get_lifecycle(self) -> Lifecycle:
        if self._lifecycle is None:
            self._lifecycle = self.plugins.create_lifecycle(self, self.options)
        return self._lifecycle

    def _lifecycle_tasks(
        self,
        name: str,
        steps: Iterable[tuple[str, Job]],
        keywords: Mapping[str, Any],
        kind: TaskKind,
    ) -> Node | None:
        settings = self._arguments(name, keywords)
        steps = [(task_id, self._with_addons(job)) for task_id, job in steps]
        if not steps:
            return None
        if len(steps) == 1:
            return self._add(steps[0][0], settings, job=steps[0][1], kind=kind)
        with self.sl_create_task_group(name) as group:
            before: Task | None = None
            for task_id, job in steps:
                task = self._add(task_id, settings, job=job, kind=kind)
                if before is not None:
                    before >> task
                before = task
        return group

    def sl_pre_load(
        self,
        domain: str,
        tables: Iterable[str] = (),
        pre_load_strategy: StarlakePreLoadStrategy | str | None = None,
        task_id: str | None = None,
        **keywords: Any,
    ) -> Task | None:
        """Add the check whether a domain is ready. It is a gate: if the domain is not ready, downstream tasks are
        skipped.

        Args:
            domain: the logical name of the domain.
            tables: logical names; empty for all tables of the domain.
            pre_load_strategy: what must be present; the option by default.
            task_id: ``check_<domain>_incoming_files``, ``_pending_files`` or ``_ack_file`` by default.
            **keywords: keyword arguments of every verb, or of the orchestrator.

        Returns:
            The task, or None if the strategy is ``none``.
        """
        strategy = (
            self.pre_load_strategy if pre_load_strategy is None else StarlakePreLoadStrategy.parse(pre_load_strategy)
        )
        if strategy is StarlakePreLoadStrategy.NONE:
            return None
        domain = self._needed("sl_pre_load", "domain", domain)
        settings = self._arguments("sl_pre_load", keywords, task_id=task_id, tables=tables)
        name = task_id or f"check_{domain}_{strategy.task_word}"
        options = self.options.for_task(domain, sanitize_id(name))
        general = options[GeneralOptions]
        prefix = fill(general.pre_load_not_ready_sentinel_path or "", known_names(general.sl_env_var, domain))
        preload = Preload(
            name,
            domain,
            tuple(sorted({tables} if isinstance(tables, str) else set(tables or ()))),
            strategy,
            ack_file=self._ack_file(domain, options) if strategy is StarlakePreLoadStrategy.ACK else "",
            sentinel=f"{prefix.rstrip('/')}/{sanitize_id(domain)}/${{sl_attempt_hash}}.notready" if prefix else "",
            params=settings.params,
            options=self._variables(None, domain),
        )
        command = preload.command()
        job = self.plugins.create_preload(preload, options)
        job = self._job(command, options) if job is None else self._with_addons(job)
        return self._add(
            name,
            settings,
            options=options,
            job=job if job.check else replace(job, check=True),
            command=command,
            kind=TaskKind.CHECK,
            wait=self._wait(strategy, options),
        )

    def _variables(self, given: Mapping[str, Any] | str | None, name: str) -> Mapping[str, Any] | str | None:
        """Return the substitution variables of a command: those of ``sl_options`` for all commands and for this one,
        overridden by those of the call."""
        warn_of_template(given, f"the variables of {name} in pipeline {self.id}")
        sections = self.options[GeneralOptions].sl_options
        if not sections:
            return given
        merged: dict[str, str] = {}
        for section in ("all", name):
            merged.update(command_options(sections.get(section), f"the section {section} of sl_options"))
        return {**merged, **command_options(given, name)}

    def _ack_file(self, domain: str, options: Options) -> str:
        general = options[GeneralOptions]
        path = general.global_ack_file_path
        known = known_names(general.sl_env_var, domain)
        return fill("{SL_DATASETS}/pending/{domain}/{ds}.ack" if path is None else str(path), known)

    def _wait(self, strategy: StarlakePreLoadStrategy, options: Options) -> Wait | None:
        general = options[GeneralOptions]
        interval, sensor, soft = (
            general.pre_load_poke_interval,
            general.pre_load_sensor,
            general.pre_load_sensor_soft_fail,
        )
        if strategy is StarlakePreLoadStrategy.ACK:
            limit = general.ack_wait_timeout
            return Wait(min(interval, limit), limit, not sensor or soft) if limit else None
        return Wait(interval, general.pre_load_timeout, soft) if sensor else None

    def skip_or_start(self, task_id: str | None = None, upstream_task: Node | None = None, **keywords: Any) -> None:
        """Do nothing, because the check of a domain is already the gate. Existing pipeline files call it, and expect
        None.

        Args:
            task_id: ignored.
            upstream_task: ignored.
            **keywords: checked, then ignored.
        """
        self._arguments("skip_or_start", keywords, task_id=task_id)

    def sl_import(
        self, task_id: str | None = None, domain: str | None = None, tables: Iterable[str] = (), **keywords: Any
    ) -> Task:
        """Add the task that moves the incoming files of a domain to its stage folder (the command ``stage``).

        Args:
            task_id: ``<domain>_import`` by default.
            domain: the logical name of the domain.
            tables: logical names; empty for all tables of the domain.
            **keywords: keyword arguments of every verb, or of the orchestrator.
        """
        domain = self._needed("sl_import", "domain", domain)
        settings = self._arguments("sl_import", keywords, task_id=task_id, tables=tables)
        command = stage_command(
            task_id or f"{domain}_import",
            domain,
            tables or (),
            options=self._variables(None, domain),
            params=settings.params,
        )
        return self._command_task(command, settings)

    def sl_load(
        self,
        task_id: str | None = None,
        domain: str | None = None,
        table: str | None = None,
        spark_config: StarlakeSparkConfig | None = None,
        **keywords: Any,
    ) -> Task:
        """Add the task that loads a table. It produces the dataset of the table.

        Args:
            task_id: ``<domain>_<table>_load`` by default.
            domain: the logical name of the domain.
            table: the logical name of the table.
            spark_config: the size of the Spark job; the options by default.
            **keywords: keyword arguments of every verb, or of the orchestrator.
        """
        domain = self._needed("sl_load", "domain", domain)
        table = self._needed("sl_load", "table", table)
        settings = self._arguments("sl_load", keywords, task_id=task_id, spark_config=spark_config)
        name = task_id or f"{domain}_{table}_load"
        about = f"{domain}.{table}"
        options = self.options.command_options(about, name) if self.options.has_tasks else None
        spark = spark_config or self.sl_spark_config(about.lower())
        variables = self._variables(options, about)
        command = load_command(name, domain, table, options=variables, spark=spark, params=settings.params)
        final_domain, final_table = self.final_names.get((domain, table), (domain, table))
        outlet = StarlakeDataset.table(
            final_domain, final_table, style=self.options[GeneralOptions].dataset_style, cron=self.cron
        )
        return self._command_task(command, settings, (outlet,))

    def sl_transform(
        self,
        task_id: str | None = None,
        transform_name: str | None = None,
        transform_options: Mapping[str, Any] | str | None = None,
        spark_config: StarlakeSparkConfig | None = None,
        **keywords: Any,
    ) -> Task:
        """Add the task that runs a transform. It produces the dataset of its table, and reads those of the lineage.

        Args:
            task_id: the transform's name by default.
            transform_name: ``domain.task``.
            transform_options: substitution variables, ``"k=v,k2=v2"`` or a mapping; those of the options by default.
            spark_config: the size of the Spark job; the options by default.
            **keywords: keyword arguments of every verb, or of the orchestrator.
        """
        transform = self._needed("sl_transform", "transform_name", transform_name)
        settings = self._arguments(
            "sl_transform", keywords, task_id=task_id, transform_options=transform_options, spark_config=spark_config
        )
        name = task_id or transform
        if transform_options is None and self.options.has_tasks:
            transform_options = self.options.command_options(transform, name)
        spark = spark_config or self.sl_spark_config(transform.lower())
        variables = self._variables(transform_options, transform)
        command = transform_command(name, transform, options=variables, spark=spark, params=settings.params)
        node = self.dependencies.get_dependency(transform) if self.dependencies else None
        if node is None or self.dependencies is None:
            return self._command_task(command, settings, (node_dataset(StarlakeDependency(transform), self.options),))
        upstream = [self.dependencies.nodes[name] for name in self.dependencies.upstream[transform]]
        inlets = tuple(node_dataset(parent, self.options) for parent in upstream)
        return self._command_task(command, settings, (node_dataset(node, self.options),), inlets)

    def sl_job(
        self, task_id: str, arguments: Iterable[str], spark_config: StarlakeSparkConfig | None = None, **keywords: Any
    ) -> Task:
        """Add a task that runs any Starlake command.

        Args:
            task_id: its id.
            arguments: the command and its arguments: ``["freshness", "--tables", "sales.orders"]``.
            spark_config: the size of the Spark job; the options by default.
            **keywords: keyword arguments of every verb, or of the orchestrator.

        Raises:
            ContractError: the Starlake command line would refuse the arguments.
        """
        task_id = self._needed("sl_job", "task_id", task_id)
        settings = self._arguments("sl_job", keywords, task_id=task_id, arguments=arguments, spark_config=spark_config)
        vector = tuple(str(argument) for argument in arguments or ())
        try:
            parse_arguments(vector)
        except ContractError as error:
            where = f"sl_job() of task {task_id} of pipeline {self.id}"
            raise ContractError([f"{where}: {problem}" for problem in error.problems]) from None
        spark = spark_config or self.sl_spark_config(task_id.lower())
        return self._command_task(
            Command(vector[0], vector[1:], task_id, spark=spark, params=dict(settings.params)), settings
        )

    def add_native(self, task_id: str, factory: Callable[[], Any]) -> Task:
        """Add a native node of the orchestrator.

        Args:
            task_id: its id in the pipeline, where edges can link it like any other node.
            factory: returns the native node; called without arguments while the native container is open.
        """
        self._arguments("add_native", {}, task_id=task_id)
        check_factory(factory, f"add_native() of task {task_id} of pipeline {self.id}")
        return Task(task_id, self.current_group, factory=factory)

    def sl_spark_config(self, spark_config_name: str) -> StarlakeSparkConfig:
        """Return the size of the Spark job of a task.

        Args:
            spark_config_name: ``domain.table``, the name of a transform, or any other key of per-task options.
        """
        name = self.options[GeneralOptions].spark_config_name or spark_config_name
        key = name if self.options.has_tasks and name in self.options.tasks else ""
        if key not in self._spark:
            general = self.options.for_task(key)[GeneralOptions]
            self._spark[key] = StarlakeSparkConfig(
                general.spark_executor_memory,
                general.spark_executor_cores,
                general.spark_executor_instances,
                general.spark_properties,
            )
        return self._spark[key]

    def _needed(self, verb: str, name: str, value: str | None) -> str:
        if not value or not isinstance(value, str):
            code = getattr(type(self), verb).__code__
            before = code.co_varnames[1 : code.co_varnames.index(name) + 1]
            order = f"; its first arguments are {', '.join(before)}" if len(before) > 1 else ""
            found = f", found {value!r}" if value else order
            raise CommandError(f"{verb}() of pipeline {self.id} needs {name}=, one name{found}")
        return value

"""The verbs with which a user draws a pipeline."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, Token
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .command import (
    Command,
    Preload,
    StarlakePreLoadStrategy,
    StarlakeSparkConfig,
    command_options,
    load_command,
    stage_command,
    transform_command,
)
from .contract import parse_arguments
from .dataset import StarlakeDataset, sanitize_id
from .dependencies import StarlakeDependencies, StarlakeDependency
from .errors import CommandError, StarlakeError
from .graph import Node, Pipeline, Task, TaskGroup, TaskKind, TriggerPolicy, TriggerRule, Wait
from .hookspecs import Lifecycle
from .job import Job
from .options import GeneralOptions, Options
from .render import render
from .run import Report, RunRequest
from .schedule import StarlakeSchedule, aware_date, fire_times, time_zone
from .settings import DEFAULT_SETTINGS, Settings, read_settings, seconds
from .shapes import add_lineage, add_schedule, node_dataset, start_of

if TYPE_CHECKING:
    from .orchestration import Orchestration

__all__ = ["StarlakePipeline", "StarlakeTaskGroup"]

logger = logging.getLogger(__name__)

_current: ContextVar[TaskGroup | None] = ContextVar("starlake_core_current_group", default=None)

_DS = re.compile(r"\{+\s*ds\s*\}+")


class StarlakeTaskGroup(TaskGroup):
    """A group that tasks join while its ``with`` block is open."""

    __slots__ = ("_token",)

    def __init__(self, name: str, parent: TaskGroup) -> None:
        super().__init__(name, parent)
        self._token: Token[TaskGroup | None] | None = None

    def __enter__(self) -> StarlakeTaskGroup:
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)


class StarlakePipeline(Pipeline):
    """A pipeline that is being drawn: its verbs add tasks to the group whose ``with`` block is open.

    Made by :meth:`Orchestration.sl_create_pipeline`. When its own ``with`` block ends without an exception, the graph is
    checked and rendered; ``native`` (and its documented name ``dag``) is then the orchestrator's object.

    Raises:
        StarlakeError: a keyword that nobody declares, or both a schedule and dependencies.

    Attributes:
        orchestration: the orchestration that made it.
        options: typed options.
        schedule: the schedule that it loads, if it does.
        dependencies: the lineage that it transforms, if it does.
        native: the orchestrator's object, None until rendered.
        final_names: logical names of domain and table to those in the warehouse, where they differ.
    """

    __slots__ = (
        "_lifecycle",
        "_spark",
        "_token",
        "dependencies",
        "final_names",
        "native",
        "options",
        "orchestration",
        "schedule",
    )

    start_date: datetime

    def __init__(
        self,
        orchestration: Orchestration,
        name: str,
        *,
        schedule: StarlakeSchedule | None = None,
        dependencies: StarlakeDependencies | None = None,
        cron: str | None = None,
        tags: Iterable[str] = (),
        description: str = "",
        native_options: Mapping[str, Any] | None = None,
    ) -> None:
        for keyword in native_options or ():
            if keyword not in orchestration.task_keywords:
                raise StarlakeError(
                    f"sl_create_pipeline() does not take the keyword '{keyword}'; {orchestration.plugins.label('orchestrator')} "
                    f"takes {', '.join(sorted(orchestration.task_keywords)) or 'none'}"
                )
        if schedule is not None and dependencies is not None:
            raise StarlakeError(
                "sl_create_pipeline() takes a schedule of loads or the dependencies of transforms, not both; make two pipelines"
            )
        self.orchestration = orchestration
        self.options: Options = orchestration.options
        self.schedule = schedule
        self.dependencies = dependencies
        self.native: Any = None
        self._token: Token[TaskGroup | None] | None = None
        self.final_names = {
            (domain.name, table.name): (domain.final_name, table.final_name)
            for domain in (schedule.domains if schedule else ())
            for table in domain.tables
            if (domain.name, table.name) != (domain.final_name, table.final_name)
        }
        self._spark: dict[str, StarlakeSparkConfig] = {}
        self._lifecycle: Lifecycle | None = None
        options = self.options
        cron = cron or (schedule.cron if schedule else None)
        trigger = None
        if dependencies is not None and cron is None:
            cron, trigger = start_of(dependencies, options)
        general = options[GeneralOptions]
        zone = time_zone(general.timezone)
        end_date = general.end_date
        most = general.max_active_runs
        super().__init__(
            name,
            cron=cron,
            trigger=trigger,
            zone=zone,
            zone_name=general.timezone,
            start_date=aware_date(general.start_date, zone),
            end_date=None if end_date is None else aware_date(end_date, zone),
            catchup=general.catchup,
            max_active_runs=most if most is not None else 1 if trigger else 3,
            tags=self._tags(tags),
            description=description,
            policy=TriggerPolicy(
                optional_datasets=general.optional_dataset_enabled,
                cycle=general.data_cycle if general.data_cycle_enabled else None,
                beyond_cycle=general.beyond_data_cycle_enabled,
                min_seconds=general.min_timedelta_between_runs,
            ),
            source=orchestration.filename,
            native_options=native_options,
            deployment=general.deployment or "",
            starlake_environment=general.sl_env_var.get("SL_ENV", ""),
        )

    # -- what it is

    @property
    def pipeline_id(self) -> str:
        """The id of the pipeline."""
        return self.id

    @property
    def schedule_name(self) -> str | None:
        """The name of the schedule, None without one."""
        return (self.schedule.name or None) if self.schedule else None

    @property
    def pre_load_strategy(self) -> StarlakePreLoadStrategy:
        """What has to be there before a domain is loaded, unless a call says otherwise."""
        return StarlakePreLoadStrategy(self.options[GeneralOptions].pre_load_strategy)

    @property
    def dag(self) -> Any:
        """The native object: the documented name of ``native``."""
        return self.native

    # -- the block

    def __enter__(self) -> StarlakePipeline:
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
        if error is not None:
            return
        self.check()
        self.native = render(self, self.orchestration.plugins)
        self.orchestration.add(self)

    def option_names(self) -> set[str]:
        """The names under which per-task options may stand: tasks, transforms, ``domain.table`` and domains."""
        names: set[str] = set()
        for task in self.tasks():
            names.update(self._option_names(task.id, task.command))
            names.add(task.domain)
        return names

    def _option_names(self, task_id: str, command: Command | None) -> tuple[str, ...]:
        about: tuple[str, ...] = ()
        if command is not None and command.transform:
            about = (command.transform,)
        elif command is not None and command.name == "load":
            about = (f"{command.domain}.{command.tables[0]}",)
        return (*about, task_id)

    # -- adding nodes

    @property
    def current_group(self) -> TaskGroup:
        """The group whose block is open, which the verbs add to; the pipeline itself where none is."""
        current = _current.get()
        return current if current is not None and current.pipeline is self else self

    def _settings(self, verb: str, keywords: Mapping[str, Any]) -> Settings:
        if not keywords:
            return DEFAULT_SETTINGS
        label = self.orchestration.plugins.label("orchestrator")
        return read_settings(f"{verb}() of pipeline {self.id}", keywords, self.orchestration.task_keywords, label)

    def _add(
        self,
        task_id: str,
        settings: Settings,
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
        return Task(
            task_id,
            self.current_group,
            job=job,
            command=command,
            kind=kind,
            trigger=TriggerRule(settings.trigger) if settings.trigger else None,
            wait=wait,
            inlets=(*inlets, *settings.inlets),
            outlets=(*outlets, *settings.outlets),
            retries=(general.retries if settings.retries is None else settings.retries) if work else 0,
            retry_delay=seconds(settings.retry_delay, general.retry_delay, "retry_delay") or 0,
            timeout=seconds(settings.timeout, general.task_timeout, "timeout"),
            pool=settings.pool or general.default_pool,
            params=dict(settings.params) if command is None else command.params,
            native=settings.native,
        )

    def _job(self, command: Command, options: Options) -> Job:
        made = self.orchestration.plugins.create_job(command, options)
        word = options[GeneralOptions].retry_unsafe
        return self._with_addons(made if word == "no" else replace(made, retry_unsafe=word))

    def _with_addons(self, job: Job) -> Job:
        """The job with the add-ons that its worker has to load."""
        addons = self.orchestration.plugins.loadable_addons
        return replace(job, plugins=tuple(dict.fromkeys((*job.plugins, *addons)))) if addons else job

    def _command_task(
        self,
        command: Command,
        settings: Settings,
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
        """Open a group of tasks in the current one; used as ``with pipeline.sl_create_task_group("loads") as group:``.

        Args:
            group_id: unique within the group that holds it.
        """
        return StarlakeTaskGroup(group_id, self.current_group)

    def start_task(self, task_id: str | None = None, **keywords: Any) -> Task:
        """Add the first task, which does nothing by itself.

        Args:
            task_id: ``start_<schedule>`` or ``start`` by default.
            **keywords: of every verb, or of the orchestrator.
        """
        name = task_id or (f"start_{self.schedule_name}" if self.schedule_name else "start")
        return self._add(name, self._settings("start_task", keywords), kind=TaskKind.START)

    def end_task(
        self, task_id: str | None = None, output_datasets: Iterable[StarlakeDataset] | None = None, **keywords: Any
    ) -> Task:
        """Add the last task. It runs if nothing before it failed, and is skipped when all that could be done was skipped.

        Args:
            task_id: ``end_<schedule>`` or ``end`` by default.
            output_datasets: what the pipeline as a whole produces; a dataset with the pipeline's id by default.
            **keywords: of every verb, or of the orchestrator.
        """
        name = task_id or (f"end_{self.schedule_name}" if self.schedule_name else "end")
        outlets = [StarlakeDataset(self.id, self.cron)] if output_datasets is None else list(output_datasets)
        return self._add(name, self._settings("end_task", keywords), kind=TaskKind.END, outlets=outlets)

    def sl_dummy_op(self, task_id: str, **keywords: Any) -> Task:
        """Add a task that does nothing. One with the id ``all_done`` runs however the tasks before it ended.

        Args:
            task_id: its id.
            **keywords: of every verb, or of the orchestrator.
        """
        kind = TaskKind.GATHER if sanitize_id(task_id) == "all_done" else TaskKind.EMPTY
        return self._add(task_id, self._settings("sl_dummy_op", keywords), kind=kind)

    dummy_task = sl_dummy_op

    def pre_tasks(self, **keywords: Any) -> Node | None:
        """Add the tasks that the environment needs before the work, None if it needs none.

        Args:
            **keywords: of every verb, or of the orchestrator.
        """
        return self._lifecycle_tasks("pre_tasks", self._get_lifecycle().setup, keywords, TaskKind.SETUP)

    def post_tasks(self, **keywords: Any) -> Node | None:
        """Add the tasks that the environment needs after the work, whatever happened; None if it needs none.

        Args:
            **keywords: of every verb, or of the orchestrator.
        """
        return self._lifecycle_tasks("post_tasks", self._get_lifecycle().teardown, keywords, TaskKind.TEARDOWN)

    def _get_lifecycle(self) -> Lifecycle:
        if self._lifecycle is None:
            self._lifecycle = self.orchestration.plugins.create_lifecycle(self, self.options)
        return self._lifecycle

    def _lifecycle_tasks(
        self,
        name: str,
        steps: Iterable[tuple[str, Job]],
        keywords: Mapping[str, Any],
        kind: TaskKind,
    ) -> Node | None:
        settings = self._settings(name, keywords)
        steps = list(steps)
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
        """Add the check whether a domain is ready. It is a gate: when it is not, what depends on it is skipped.

        Args:
            domain: logical name.
            tables: logical names; all of the domain when empty.
            pre_load_strategy: what has to be there; the option by default.
            task_id: ``check_<domain>_incoming_files``, ``_pending_files`` or ``_ack_file`` by default.
            **keywords: of every verb, or of the orchestrator.

        Returns:
            The task, or None if the strategy is none.
        """
        strategy = (
            self.pre_load_strategy if pre_load_strategy is None else StarlakePreLoadStrategy.parse(pre_load_strategy)
        )
        if strategy is StarlakePreLoadStrategy.NONE:
            return None
        settings = self._settings("sl_pre_load", keywords)
        what = {"imported": "incoming_files", "pending": "pending_files", "ack": "ack_file"}[strategy.value]
        name = task_id or f"check_{domain}_{what}"
        options = self.options.for_task(domain, sanitize_id(name))
        prefix = options[GeneralOptions].pre_load_not_ready_sentinel_path
        preload = Preload(
            name,
            domain,
            tuple(sorted({tables} if isinstance(tables, str) else set(tables))),
            strategy,
            ack_file=self._ack_file(domain, options) if strategy is StarlakePreLoadStrategy.ACK else "",
            sentinel=f"{prefix.rstrip('/')}/{sanitize_id(domain)}/${{sl_attempt_hash}}.notready" if prefix else "",
            params=settings.params,
            options=self._variables(None, domain),
        )
        command = preload.command()
        job = self.orchestration.plugins.create_preload(preload, options)
        if job is None:
            job = self._job(command, options)
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
        """The substitution variables of a command: those of ``sl_options`` for all and for it, then those given for it."""
        sections = self.options[GeneralOptions].sl_options
        if not sections:
            return given
        merged: dict[str, str] = {}
        for section in ("all", name):
            merged.update(command_options(sections.get(section), f"the section {section} of sl_options"))
        return {**merged, **command_options(given, name)}

    def _ack_file(self, domain: str, options: Options) -> str:
        path = options[GeneralOptions].global_ack_file_path
        if path is None:
            env = options[GeneralOptions].sl_env_var
            root = env.get("SL_ROOT", "").rstrip("/")
            # Without a known root the path is relative: the working directory of the command is the root.
            datasets = env.get("SL_DATASETS", f"{root}/datasets" if root else "datasets").rstrip("/")
            path = f"{datasets}/pending/{domain}/${{sl_ds}}.ack"
        return _DS.sub("${sl_ds}", str(path)).replace("{domain}", domain)

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
        """Do nothing: the check of a domain is the gate by itself. Kept for pipeline files that call it; returns None, which they expect.

        Args:
            task_id: ignored.
            upstream_task: ignored.
            **keywords: checked, then ignored.
        """
        self._settings("skip_or_start", keywords)

    def sl_import(
        self, task_id: str | None = None, domain: str | None = None, tables: Iterable[str] = (), **keywords: Any
    ) -> Task:
        """Add the move of a domain's incoming files to its stage directory (the command ``stage``).

        Args:
            task_id: ``<domain>_import`` by default.
            domain: logical name.
            tables: logical names; all of the domain when empty.
            **keywords: of every verb, or of the orchestrator.
        """
        domain = self._needed("sl_import", "domain", domain)
        settings = self._settings("sl_import", keywords)
        command = stage_command(
            task_id or f"{domain}_import",
            domain,
            tables,
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
        """Add the load of one table. It produces the dataset of the table.

        Args:
            task_id: ``<domain>_<table>_load`` by default.
            domain: logical name.
            table: logical name.
            spark_config: sizing; the options by default.
            **keywords: of every verb, or of the orchestrator.
        """
        domain = self._needed("sl_load", "domain", domain)
        table = self._needed("sl_load", "table", table)
        settings = self._settings("sl_load", keywords)
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
        """Add one transform. It produces the dataset of its table, and reads those of the lineage.

        Args:
            task_id: the transform's name by default.
            transform_name: ``domain.task``.
            transform_options: substitution variables, ``"k=v,k2=v2"`` or a mapping; those of the options by default.
            spark_config: sizing; the options by default.
            **keywords: of every verb, or of the orchestrator.
        """
        transform = self._needed("sl_transform", "transform_name", transform_name)
        settings = self._settings("sl_transform", keywords)
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
        """Add any Starlake command.

        Args:
            task_id: its id.
            arguments: the command and what follows it: ``["freshness", "--tables", "sales.orders"]``.
            spark_config: sizing; the options by default.
            **keywords: of every verb, or of the orchestrator.

        Raises:
            ContractError: the Starlake command line would refuse the arguments.
        """
        vector = tuple(str(argument) for argument in arguments)
        parse_arguments(vector)
        settings = self._settings("sl_job", keywords)
        spark = spark_config or self.sl_spark_config(task_id.lower())
        return self._command_task(
            Command(vector[0], vector[1:], task_id, spark=spark, params=dict(settings.params)), settings
        )

    def add_native(self, task_id: str, factory: Callable[[], Any]) -> Task:
        """Add a node of the orchestrator's own.

        Args:
            task_id: its id here; edges join it like any other node.
            factory: called without arguments while the native container is open; returns the native node.
        """
        return Task(task_id, self.current_group, factory=factory)

    def sl_spark_config(self, spark_config_name: str) -> StarlakeSparkConfig:
        """The Spark sizing of a name.

        Args:
            spark_config_name: ``domain.table``, a transform's name, or any name under which per-task options stand.
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
            found = f", found {value!r}" if value else ""
            raise CommandError(f"{verb}() of pipeline {self.id} needs {name}=, one name{found}")
        return value

    def _tags(self, tags: Iterable[str]) -> tuple[str, ...]:
        words = re.split(r"[\s,]+", self.options[GeneralOptions].tags)
        domains = [domain.name for domain in self.schedule.domains] if self.schedule else []
        return tuple(dict.fromkeys(word for word in (*words, *tags, *domains) if word))

    # -- the standard shapes

    def add_schedule(self) -> None:
        """Add everything that a schedule of loads needs: start, one gated group per domain, one load per table, end.

        Raises:
            GraphError: the pipeline has no schedule.
        """
        add_schedule(self)

    def add_lineage(self) -> None:
        """Add everything that a lineage needs: start, one task per transform with the edges of the lineage, end.

        With the option ``run_dependencies_first`` the upstream transforms and loads are tasks too; without it they are datasets that start
        the pipeline.

        Raises:
            GraphError: the pipeline has no dependencies.
        """
        add_lineage(self)

    # -- running

    def run(
        self,
        scheduled_date: datetime | None = None,
        *,
        run_id: str | None = None,
        dry_run: bool = False,
        variables: Mapping[str, str] | None = None,
        select: Iterable[str] = (),
        exclude: Iterable[str] = (),
        parallelism: int | None = None,
        listener: Callable[..., None] | None = None,
    ) -> Report:
        """Run the pipeline now and wait for its end.

        Args:
            scheduled_date: end of the data interval; the last time at which the schedule fired by default.
            run_id: a name for the run; made up by default.
            dry_run: show what would be done.
            variables: values for ``${var:NAME}``.
            select, exclude: patterns of task ids, paths or domains.
            parallelism: tasks at once, where the orchestrator lets the caller decide.
            listener: called with every :class:`TaskEvent`.

        Raises:
            RunError: the orchestrator cannot run it from here.
        """
        from .runs import request_run

        request = request_run(
            self,
            scheduled_date,
            run_id=run_id,
            dry_run=dry_run,
            variables=variables,
            select=tuple(select),
            exclude=tuple(exclude),
            parallelism=parallelism,
            listener=listener,
        )
        return self.start_run(request)

    def start_run(self, request: RunRequest) -> Report:
        """Run the pipeline as a :class:`RunRequest` says; see :meth:`run`."""
        from .errors import RunError

        if self.native is None:
            raise RunError(f"pipeline {self.id} is not finished: run it after its 'with' block")
        report = self.orchestration.plugins.run_pipeline(self, request)
        if report is None:
            label = self.orchestration.plugins.label("orchestrator")
            raise RunError(f"{label} cannot run pipeline {self.id} from here; use its own user interface or scheduler")
        return report

    def dry_run(self, scheduled_date: datetime | None = None) -> Report:
        """Show what a run would do; see :meth:`run`."""
        return self.run(scheduled_date, dry_run=True)

    def backfill(self, start: datetime, end: datetime, **keywords: Any) -> list[Report]:
        """Run every interval of the schedule whose scheduled date is between two dates, both included.

        They run one after the other, up to the first that does not succeed, unless the orchestrator has its own way to backfill.

        Args:
            start, end: aware, or in the zone of the schedule.
            **keywords: of :meth:`run`.

        Raises:
            RunError: the pipeline has no cron schedule.
        """
        from .errors import RunError

        if self.cron is None:
            raise RunError(f"pipeline {self.id} has no cron schedule, so there are no intervals to backfill")
        from .runs import request_run

        for name in ("select", "exclude"):
            keywords[name] = tuple(keywords.get(name, ()))
        dates = fire_times(self.cron, aware_date(start, self.zone), aware_date(end, self.zone), self.zone)
        requests = [request_run(self, moment, **keywords) for moment in dates]
        native = self.orchestration.plugins.backfill(self, requests)
        if native is not None:
            return list(native)
        reports = []
        for request in requests:
            reports.append(self.start_run(request))
            if not reports[-1].succeeded:
                break
        return reports

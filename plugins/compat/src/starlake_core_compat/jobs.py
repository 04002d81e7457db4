"""Jobs under their old name, which say what runs commands, and their verbs, to be called directly or overridden."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from types import GenericAlias
from typing import Any

from starlake_core import StarlakeError, StarlakePipeline, StarlakePreLoadStrategy, StarlakeSparkConfig, Task
from starlake_core.dsl.caller import calling_module

from .orchestrations import AbstractOrchestration, OrchestrationFactory
from .registry import JOBS, is_installed, word, word_of
from .swallowed import warn_of_keywords
from .values import StarlakeOptions
from .verbs import asked_task, asking, changed

__all__ = ["VERBS", "IStarlakeJob", "PlainJob", "StarlakeJobFactory"]

VERBS = ("dummy_op", "sl_import", "sl_job", "sl_load", "sl_pre_load", "sl_transform")

_CONTAINERS = ("dag", "task_group")
"""Keywords that name the native container of a task, the outer one first."""


class IStarlakeJob(StarlakeOptions):
    """Creates tasks for Starlake commands: the documented interface, to be used as it is or extended.

    A pipeline calls an overridden verb when its task is rendered. Called by itself, a verb returns a native task at once, as part of a hand-written
    DAG; within the block of a pipeline of this job, it adds a task to the pipeline.

    Args:
        filename: the pipeline file; that of the caller by default.
        module_name: the module of the pipeline file.
        pre_load_strategy: what must exist before a domain is loaded; the option by default.
        options: the options of the file.
        timezone: the time zone of the schedules; the option by default.
        **kwargs: have no effect and cause a warning.

    Attributes:
        filename: the whole path of the pipeline file.
        module_name: the name of its module.
        options: the options as given, with the strategy.
        caller_globals: the names and values of its module.
        orchestrator, execution_environment: words of the class; None to decide when the file is loaded.
        drawn: its pipelines whose block is open.
    """

    orchestrator: Any = None
    execution_environment: Any = None

    def __init__(
        self,
        filename: str | None = None,
        module_name: str | None = None,
        pre_load_strategy: StarlakePreLoadStrategy | str | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        timezone: str | None = None,
        **kwargs: Any,
    ) -> None:
        known = ("filename", "module_name", "pre_load_strategy", "options", "timezone")
        warn_of_keywords(f"{type(self).__name__}()", kwargs, known)
        self.options: dict[str, Any] = dict(options or {})
        if pre_load_strategy is not None:
            self.options["pre_load_strategy"] = str(pre_load_strategy)
        if timezone is not None:
            self.options["timezone"] = timezone
        self.caller_globals: dict[str, Any] = {}
        self.filename, self.module_name = filename or "", module_name or ""
        self._alone: AbstractOrchestration | None = None
        self.drawn: list[StarlakePipeline] = []
        self._belongs_to(calling_module())

    def __class_getitem__(cls, item: Any) -> GenericAlias:
        return GenericAlias(cls, item)

    def _belongs_to(self, module: dict[str, Any]) -> None:
        file = str(module.get("__file__") or "")
        # The documented call passes only the last part of the path; the folder is that of the module.
        if file and os.path.basename(file) == os.path.basename(self.filename or file):
            self.filename = file
        self.module_name = self.module_name or str(module.get("__name__", ""))
        self.caller_globals = module

    # -- what it is for

    @classmethod
    def sl_orchestrator(cls) -> Any:
        """The orchestrator: a word, or None to decide when the file is loaded."""
        return cls.orchestrator

    @classmethod
    def sl_execution_environment(cls) -> Any:
        """The environment: a word, or None to decide when the file is loaded."""
        return cls.execution_environment

    @property
    def caller_filename(self) -> str:
        """The last part of the path of the pipeline file."""
        return os.path.basename(self.filename)

    @property
    def caller_module_name(self) -> str:
        """The name of the module of the pipeline file."""
        return self.module_name

    @property
    def pre_load_strategy(self) -> StarlakePreLoadStrategy:
        """What must exist before a domain is loaded."""
        return StarlakePreLoadStrategy.parse(self.get_context_var("pre_load_strategy", "none", self.options))

    @property
    def overridden(self) -> frozenset[str]:
        """The verbs that a subclass overrides."""
        return frozenset(name for name in VERBS if getattr(type(self), name) is not getattr(IStarlakeJob, name))

    @property
    def brings_orchestrator(self) -> bool:
        """Whether it is a user's class for an orchestrator that is not a plugin."""
        return not is_installed(word_of(self, "sl_orchestrator"))

    @property
    def sl_env_vars(self) -> dict[str, str]:
        """The Starlake variables in its options."""
        return self.get_sl_env_vars(self.options)

    @property
    def sl_root(self) -> str:
        """The root of the project."""
        return self.get_sl_root(self.options)

    @property
    def sl_datasets(self) -> str:
        """The folder of incoming and pending files."""
        return self.get_sl_datasets(self.options)

    # -- the verbs

    def sl_pre_load(
        self,
        domain: str,
        tables: Iterable[str] = (),
        pre_load_strategy: StarlakePreLoadStrategy | str | None = None,
        **kwargs: Any,
    ) -> Any:
        """The check whether a domain is ready.

        Args:
            domain: its logical name.
            tables: logical names; all tables of the domain if empty.
            pre_load_strategy: what must exist; the option by default.
            **kwargs: the keywords of the verb of a pipeline.

        Returns:
            A task; None if the strategy is none.
        """
        return self._make("sl_pre_load", domain, tables, pre_load_strategy, **kwargs)

    def sl_import(self, task_id: str | None, domain: str, tables: Iterable[str] = (), **kwargs: Any) -> Any:
        """The move of a domain's incoming files to its stage folder.

        Args:
            task_id: ``<domain>_import`` by default.
            domain: its logical name.
            tables: logical names; all tables of the domain if empty.
            **kwargs: the keywords of the verb of a pipeline.
        """
        return self._make("sl_import", task_id, domain, tables, **kwargs)

    def sl_load(
        self,
        task_id: str | None,
        domain: str,
        table: str,
        spark_config: StarlakeSparkConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """The load of one table.

        Args:
            task_id: ``<domain>_<table>_load`` by default.
            domain: the logical name of the domain.
            table: the logical name of the table.
            spark_config: the sizing; the options by default.
            **kwargs: the keywords of the verb of a pipeline.
        """
        return self._make("sl_load", task_id, domain, table, spark_config, **kwargs)

    def sl_transform(
        self,
        task_id: str | None,
        transform_name: str,
        transform_options: str | None = None,
        spark_config: StarlakeSparkConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """One transform.

        Args:
            task_id: the transform's name by default.
            transform_name: ``domain.task``.
            transform_options: substitution variables, ``"k=v,k2=v2"``; those of the options by default.
            spark_config: the sizing; the options by default.
            **kwargs: the keywords of the verb of a pipeline.
        """
        return self._make("sl_transform", task_id, transform_name, transform_options, spark_config, **kwargs)

    def sl_job(
        self,
        task_id: str,
        arguments: list[str],
        spark_config: StarlakeSparkConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Any command: the one method with which all others create their tasks.

        Args:
            task_id: the id of the task.
            arguments: the arguments of the command line, the command first.
            spark_config: the sizing; the options by default.
            **kwargs: the keywords of the verb of a pipeline.

        Raises:
            StarlakeError: the orchestrator is the user's own, and this method is not overridden.
        """
        if self.drawn and asked_task() is None:
            return self.drawn[-1].sl_job(task_id, arguments, spark_config, **kwargs)
        if self.brings_orchestrator:
            raise StarlakeError(
                f"{type(self).__name__} has no sl_job(self, task_id, arguments, spark_config=None, **kwargs): only that method can create the "
                f"tasks of the orchestrator '{word_of(self, 'sl_orchestrator')}'"
            )
        task = asked_task()
        keywords, containers = self._split(task, kwargs)
        made = self._scratch(task, kwargs).sl_job(task_id, arguments, spark_config, **keywords)
        return _native(changed(task, made, spark_config), containers)

    def dummy_op(self, task_id: str, **kwargs: Any) -> Any:
        """A task that does nothing.

        Args:
            task_id: the id of the task.
            **kwargs: the keywords of the verb of a pipeline.
        """
        if self.drawn and asked_task() is None:
            return self.drawn[-1].sl_dummy_op(task_id, **kwargs)
        if self.brings_orchestrator:
            return self.sl_job(task_id, [], None, **kwargs)
        task = asked_task()
        keywords, containers = self._split(task, kwargs)
        made = self._scratch(task, kwargs).sl_dummy_op(task_id, **keywords)
        return _native(changed(task, made, None), containers)

    def skip_or_start_op(self, task_id: str, upstream_task: Any = None, **kwargs: Any) -> None:
        """Nothing: the check of a domain is itself the gate.

        Args:
            task_id: ignored.
            upstream_task: ignored.
            **kwargs: ignored.
        """

    def pre_tasks(self, **kwargs: Any) -> Any:
        """Tasks before the work; override it. Tasks that the environment needs are added anyway.

        Args:
            **kwargs: the keywords that the pipeline received.

        Returns:
            A task, or None for none.
        """
        return None

    def post_tasks(self, **kwargs: Any) -> Any:
        """Tasks after the work, whatever happened; override it. Tasks that the environment needs are added anyway.

        Args:
            **kwargs: the keywords that the pipeline received.

        Returns:
            A task, or None for none.
        """
        return None

    # -- how tasks are created

    def _make(self, verb: str, *arguments: Any, **kwargs: Any) -> Any:
        task = asked_task()
        if task is None and self.drawn:
            return getattr(self.drawn[-1], verb)(*arguments, **kwargs)
        keywords, _ = self._split(task, kwargs)
        drawn: Task | None = getattr(self._scratch(task, kwargs), verb)(*arguments, **keywords)
        if drawn is None:
            return None
        assert drawn.command is not None
        task = changed(task, drawn, drawn.command.spark)
        command = task.command
        assert command is not None
        kwargs.pop("task_id", None)
        with asking(task):
            return self.sl_job(task.id, list(command.vector), command.spark, **kwargs)

    def _split(self, task: Task | None, kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        """The keywords of a verb, and, if it is called by itself, the native containers of its task: ``dag=`` and ``task_group=``."""
        pipeline: Any = task.pipeline if task is not None else None
        if pipeline is not None and pipeline.orchestration is not self._alone:
            return dict(kwargs), []  # the pipeline decides where its tasks are
        named = {name: kwargs[name] for name in _CONTAINERS if hasattr(kwargs.get(name), "__enter__")}
        if "task_group" in named:
            named = {"dag": getattr(named["task_group"], "dag", None), **named}
        keywords = {
            name: value
            for name, value in kwargs.items()
            if name not in named and not (name in _CONTAINERS and value is None)
        }
        return keywords, [named[name] for name in _CONTAINERS if named.get(name) is not None]

    def _scratch(self, task: Task | None, kwargs: Mapping[str, Any]) -> StarlakePipeline:
        """A pipeline that is never rendered, in which a verb defines its task."""
        of: Any = task.pipeline if task is not None else None
        if of is not None:
            made = StarlakePipeline(of.orchestration, of.name, dependencies=of.dependencies, cron=of.cron)
            made.final_names.update(of.final_names)
            return made
        if self._alone is None:
            self._alone = OrchestrationFactory.create_orchestration(self)
        # Nothing says when a hand-written DAG starts, unless the call does.
        cron = (kwargs.get("params") or {}).get("cron")
        return StarlakePipeline(self._alone, os.path.splitext(self.caller_filename)[0] or "pipeline", cron=cron)


def _native(task: Task, containers: Iterable[Any]) -> Any:
    pipeline: Any = task.pipeline
    with ExitStack() as within, asking(task):
        for container in containers:
            within.enter_context(container)
        return pipeline.orchestration.plugins.create_task(task)


class PlainJob(IStarlakeJob):
    """A job of an orchestrator and an environment that are plugins, or will be; it overrides nothing."""

    brings_orchestrator = False

    def sl_orchestrator(self) -> Any:  # type: ignore[override]
        """The orchestrator, as it was given."""
        return self.orchestrator

    def sl_execution_environment(self) -> Any:  # type: ignore[override]
        """The environment, as it was given."""
        return self.execution_environment


class StarlakeJobFactory:
    """The documented factory of jobs. Plugins of this project are found by their entry points; users register their classes."""

    @classmethod
    def create_job(
        cls,
        filename: str | None = None,
        module_name: str | None = None,
        orchestrator: Any = None,
        execution_environment: Any = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> IStarlakeJob:
        """Say where and when commands run.

        Args:
            filename: the pipeline file; that of the caller by default.
            module_name: the module of the pipeline file.
            orchestrator: a word or :class:`StarlakeOrchestrator`.
            execution_environment: a word or :class:`StarlakeExecutionEnvironment`.
            options: the options of the file.
            **kwargs: for a user's class; ``pre_load_strategy`` for every job.

        Raises:
            PluginLoadError: a job that an installed distribution offers does not load.
        """
        words = word(orchestrator), word(execution_environment)
        known = JOBS.find(*words)
        if known is None and not is_installed(words[0]):
            known = JOBS.load(IStarlakeJob, *words)
        module = calling_module()
        filename = filename or os.path.basename(str(module.get("__file__") or ""))
        if known is not None:
            job: IStarlakeJob = known(filename=filename, module_name=module_name, options=options, **kwargs)
            # A class with its own constructor in another module was called from there.
            job._belongs_to(module)
            return job
        made = PlainJob(filename, module_name, options=options, **kwargs)
        made.orchestrator, made.execution_environment = orchestrator, execution_environment
        return made

    @classmethod
    def register_job(cls, job_class: type[IStarlakeJob]) -> None:
        """Use a class for the orchestrator and the environment that it names, in place of the plugins with these names.

        Args:
            job_class: a subclass of :class:`IStarlakeJob`.

        Raises:
            PluginContractError: it is not such a class, or names nothing.
        """
        JOBS.register(job_class, IStarlakeJob)

    @classmethod
    def register_jobs_from_package(cls, package_name: str = "ai.starlake") -> None:
        """Import one package and register the jobs in it. Subpackages are not searched.

        Args:
            package_name: the name of the package.

        Raises:
            PluginLoadError: it cannot be imported.
        """
        JOBS.register_module(package_name, IStarlakeJob)

"""The verbs of a job, as pipelines and plugins use them: the task whose native form they create, and the result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Protocol

from starlake_core import (
    GraphError,
    StarlakePipeline,
    StarlakeSparkConfig,
    Task,
    TaskKind,
)

__all__ = ["StarlakeJob", "asked_task", "asking", "changed", "is_asked", "rendered"]


class StarlakeJob(Protocol):
    """What orchestrations and pipelines need from a job; :class:`IStarlakeJob`, which opens orchestrations itself, is one.

    Attributes:
        filename: the whole path of the pipeline file.
        options: the options of the file.
        caller_globals: the names and values of the module of the file.
        drawn: its pipelines whose block is open.
    """

    filename: str
    options: dict[str, Any]
    caller_globals: dict[str, Any]
    drawn: list[StarlakePipeline]

    @property
    def overridden(self) -> frozenset[str]:
        """The verbs that a subclass overrides."""

    @property
    def brings_orchestrator(self) -> bool:
        """Whether it is a user's class for an orchestrator that is not a plugin."""

    def sl_orchestrator(self) -> Any:
        """The orchestrator."""

    def sl_execution_environment(self) -> Any:
        """The environment."""

    def sl_pre_load(self, domain: str, tables: Any, pre_load_strategy: Any, **kwargs: Any) -> Any:
        """The check whether a domain is ready."""

    def sl_import(self, task_id: str | None, domain: str, tables: Any, **kwargs: Any) -> Any:
        """The move of a domain's incoming files."""

    def sl_load(self, task_id: str | None, domain: str, table: str, spark_config: Any, **kwargs: Any) -> Any:
        """The load of one table."""

    def sl_transform(
        self, task_id: str | None, transform_name: str, transform_options: Any, spark_config: Any, **kwargs: Any
    ) -> Any:
        """One transform."""

    def sl_job(self, task_id: str, arguments: list[str], spark_config: Any, **kwargs: Any) -> Any:
        """Any command."""

    def dummy_op(self, task_id: str, **kwargs: Any) -> Any:
        """A task that does nothing."""

    def pre_tasks(self, **kwargs: Any) -> Any:
        """Tasks before the work."""

    def post_tasks(self, **kwargs: Any) -> Any:
        """Tasks after the work."""


_asked: ContextVar[Task | None] = ContextVar("starlake_core_compat_asked", default=None)
"""The task whose native form the verbs of a job are creating."""


def asked_task() -> Task | None:
    """The task whose native form the verbs of a job are creating; None if there is none."""
    return _asked.get()


@contextmanager
def asking(task: Task) -> Iterator[None]:
    """While this block is active, the verbs of a job create the native form of a task.

    Args:
        task: a task of a pipeline, or by itself.
    """
    token = _asked.set(task)
    try:
        yield
    finally:
        _asked.reset(token)


def is_asked(task: Task) -> bool:
    """Whether a verb is creating the native form of a task right now, and needs that of the orchestrator.

    Args:
        task: a task of a pipeline, or by itself.
    """
    return _asked.get() is task


def changed(task: Task | None, made: Task, spark: StarlakeSparkConfig | None) -> Task:
    """Change a task of a pipeline as an overridden verb requires; its place in the graph and its datasets stay.

    The task itself changes, although its graph is checked: orchestrators know tasks by identity, and a reader of the graph after the
    rendering must see what runs.

    Args:
        task: the task of the pipeline; None if there is none.
        made: the task that the verb created.
        spark: the sizing; None to keep it.

    Raises:
        GraphError: the verb gives it another id.
    """
    if task is None:
        return made
    if made.id != task.id:
        raise GraphError(
            f"an overridden verb changes the id of task '{task.path}' to '{made.id}'; edges name a task by its id, so set the id where "
            "the pipeline file adds the task"
        )
    command, now = task.command, made.command
    if command is not None and now is not None:
        spark = spark or command.spark
        if now.vector != command.vector or spark != command.spark:
            pipeline: Any = task.pipeline
            task.command = replace(command, name=now.name, arguments=now.arguments, spark=spark)
            about = command.transform or ".".join((command.domain, *command.tables[:1]))
            job = pipeline.orchestration.plugins.create_job(task.command, pipeline.options.for_task(about, task.id))
            task.job = replace(
                job,
                check=task.kind is TaskKind.CHECK,
                plugins=task.job.plugins if task.job is not None else job.plugins,
            )
        task.retries, task.retry_delay, task.timeout = made.retries, made.retry_delay, made.timeout
    task.params, task.native, task.pool = made.params, made.native, made.pool
    return task


def rendered(job: StarlakeJob, task: Task) -> Any:
    """The native form of a task of a pipeline, created by the verb of a job.

    Args:
        job: a job that overrides verbs.
        task: the task of the pipeline.
    """
    pipeline: Any = task.pipeline
    keywords: dict[str, Any] = {**task.native}
    if task.params:
        keywords["params"] = task.params
    usual = pipeline.options
    for name, value, default in (
        ("retries", task.retries, usual["retries"]),
        ("retry_delay", task.retry_delay, usual["retry_delay"]),
        ("timeout", task.timeout, usual["task_timeout"]),
        ("pool", task.pool, usual["default_pool"]),
    ):
        if task.job is not None and value != default:
            keywords[name] = value
    command = task.command
    with asking(task):
        if command is None:
            return job.dummy_op(task.id, **keywords)
        about: dict[str, tuple[Any, ...]] = {
            "sl_import": (task.id, command.domain, set(command.tables)),
            "sl_load": (task.id, command.domain, next(iter(command.tables), ""), command.spark),
            "sl_transform": (task.id, command.transform, _variables(command.arguments), command.spark),
            "sl_job": (task.id, list(command.vector), command.spark),
        }
        if command.verb == "sl_pre_load":
            tables = set(command.tables)
            return job.sl_pre_load(command.domain, tables, command.strategy, task_id=task.id, **keywords)
        return getattr(job, command.verb)(*about[command.verb], **keywords)


def _variables(arguments: tuple[str, ...]) -> str | None:
    """The substitution variables of a transform that a user gave: without the interval, which every transform gets."""
    if "--options" not in arguments:
        return None
    pairs = arguments[arguments.index("--options") + 1].split(",")
    own = [pair for pair in pairs if "=${sl_data_interval" not in pair.replace("'", "")]
    return ",".join(own) or None

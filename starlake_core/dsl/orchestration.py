"""An orchestration: the plugins and options that pipelines are built with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import OptionsError, StarlakeError, did_you_mean
from ..logs import get_logger
from ..masking import is_secret_name
from ..model.dataset import StarlakeDataset, check_datasets
from ..model.facts import PipelineFault
from ..model.lineage import StarlakeDependencies, StarlakeDependency
from ..model.run_options import read_policies
from ..model.schedule import StarlakeSchedule, read_cron
from ..options import GeneralOptions, Options, resolve_options
from ..options.documents import relative_to
from ..plugins import Plugins, choose, select
from .caller import calling_module, ids_of_execution
from .groups import StarlakeTaskGroup
from .pipeline import StarlakePipeline
from .placeholders import FILLED, fill, known_names, warn_of_template

__all__ = ["Orchestration", "Overrides", "current_overrides", "overriding"]

logger = get_logger(__name__)


@dataclass(frozen=True)
class Overrides:
    """The settings of the command line for every orchestration that a pipeline file opens.

    Attributes:
        orchestrator, environment: names that override those in the file.
        options: options that override those in the file.
        strict: whether to refuse options that no selected plugin declares.
        collected: every orchestration that the file opened.
        faults: receives the pipelines that cannot be built; None to report them through the orchestrator.
    """

    orchestrator: str | None = None
    environment: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    collected: list[Orchestration] | None = None
    faults: list[PipelineFault] | None = None


_NONE = Overrides()
_overrides: ContextVar[Overrides] = ContextVar("starlake_core_overrides")


@contextmanager
def overriding(overrides: Overrides) -> Iterator[Overrides]:
    """Apply overrides to the orchestrations opened in this block, and collect them in ``collected``.

    Args:
        overrides: see :class:`Overrides`.
    """
    token = _overrides.set(overrides)
    try:
        yield overrides
    finally:
        _overrides.reset(token)


def current_overrides() -> Overrides:
    """Return the active overrides."""
    return _overrides.get(_NONE)


class Orchestration:
    """The plugins and options that pipelines are built with. Use it as a context manager.

    Args:
        options: explicit options; see ``starlake-orchestrate options``. A mapping under the name of a transform or task
            holds options for it alone.
        orchestrator: the entry-point name or plugin object. If omitted, it depends on what loads the file.
        environment: the entry-point name or plugin object. If omitted, ``SL_EXECUTION_ENVIRONMENT`` or the only
            installed one.
        filename: the path of the pipeline file; that of the caller by default.
        namespace: the globals of the pipeline file, where the orchestrator publishes; those of the caller by default.
        addons: add-ons in addition to the option ``plugins``, as names or plugin objects.

    Raises:
        PluginError: a plugin cannot be used.
        OptionsError: options are wrong; the message has a line for each.

    Attributes:
        plugins: the selected plugins.
        options: the typed options of all of them.
        task_keywords: the orchestrator's keyword arguments for verbs.
        pipeline_keywords: the orchestrator's keyword arguments for pipelines.
        allows_any_keyword: whether to pass every keyword to the orchestrator, because only it knows which it accepts.
        pipelines: the pipelines whose block has ended.
    """

    def __init__(
        self,
        options: Mapping[str, Any] | None = None,
        *,
        orchestrator: Any = None,
        environment: Any = None,
        filename: str | None = None,
        namespace: dict[str, Any] | None = None,
        addons: Sequence[Any] = (),
    ) -> None:
        overrides = _overrides.get(_NONE)
        module = calling_module() if filename is None or namespace is None else {}
        self.namespace = module if namespace is None else namespace
        self.filename = filename if filename is not None else str(module.get("__file__", ""))
        given: Mapping[str, Any] = {**(options or {}), **overrides.options}
        self.plugins: Plugins = select(
            choose("orchestrator", overrides.orchestrator, orchestrator),
            choose("environment", overrides.environment, environment),
            (*addons, *_addons(given)),
        )
        where = os.path.basename(self.filename)
        given = self.plugins.find_options(given)
        with relative_to(os.path.dirname(os.path.abspath(self.filename)) if self.filename else ""):
            self.options: Options = resolve_options(
                self.plugins.declared_options(),
                given,
                own=self.plugins.own_names(),
                strict=overrides.strict,
                where=where,
            )
        _check_together(self.options, where)
        _warn_of_templates(self.options, where)
        self.task_keywords = self.plugins.task_keywords()
        self.pipeline_keywords = self.plugins.pipeline_keywords()
        self.allows_any_keyword = False
        self.pipelines: list[StarlakePipeline] = []
        self._strict = overrides.strict
        self._produced: dict[str, StarlakeDataset] = {}
        if overrides.collected is not None:
            overrides.collected.append(self)

    def __enter__(self) -> Orchestration:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            return
        self._check_task_options()
        if self.pipelines:
            self.plugins.publish_pipelines(tuple(self.pipelines), self.namespace)

    def _check_task_options(self) -> None:
        """Warn about per-task options that no task uses. They are a typo, or belong to another file that shares the
        options."""
        if not self.options.has_tasks:
            return
        known = {name for pipeline in self.pipelines for name in pipeline.option_names()}
        problems = [
            f"{os.path.basename(self.filename)}: no task uses the options of '{name}', and none of the selected plugins has an option of that name."
            f"{did_you_mean(name, known)}"
            for name in self.options.tasks
            if name not in known
        ]
        if problems and self._strict:
            raise OptionsError(problems)
        for problem in problems:
            logger.warning("%s", problem)

    def check(self, pipeline: StarlakePipeline) -> None:
        """Check a pipeline whose block has ended, before the orchestrator renders it.

        Raises:
            OptionsError: a per-task option of one of its tasks is wrong.
            StarlakeError: another pipeline of this orchestration, or of this file, has the same id.
            DatasetError: another pipeline produces a dataset whose name differs only by case.
        """
        if self.options.problems:
            names = pipeline.option_names()
            problems = [one for name, found in self.options.problems.items() if name in names for one in found]
            if problems:
                raise OptionsError(problems)
        ids = ids_of_execution(self.namespace)
        if pipeline.id in (ids or ()) or any(other.id == pipeline.id for other in self.pipelines):
            raise StarlakeError(
                f"two pipelines of {self.filename or 'this orchestration'} have the id '{pipeline.id}'; give one of them another "
                f"name: sl_create_pipeline(name=...), or publish(..., names={{'{pipeline.id}': ...}}) for that of a project"
            )
        check_datasets(pipeline.outlets, pipeline.id, self._produced)
        if ids is not None:
            ids.add(pipeline.id)

    def add(self, pipeline: StarlakePipeline) -> None:
        """Add a finished pipeline."""
        self.pipelines.append(pipeline)

    def sl_create_pipeline(
        self,
        schedule: StarlakeSchedule | None = None,
        dependencies: StarlakeDependencies | Iterable[StarlakeDependency] | str | None = None,
        *,
        name: str | None = None,
        cron: str | None = None,
        tags: Iterable[str] = (),
        description: str = "",
        **native: Any,
    ) -> StarlakePipeline:
        """Open a pipeline: ``with orchestration.sl_create_pipeline(...) as pipeline:``.

        Args:
            schedule: the domains to load.
            dependencies: the lineage to transform, as nodes or the JSON of ``dag-generate``.
            name: its id; the names of the file and of the schedule by default.
            cron: the cron expression that starts it; by default that of the schedule, or the one derived from the
                lineage.
            tags: tags that orchestrators show.
            description: a description that orchestrators show.
            **native: keyword arguments that the orchestrator declares.

        Raises:
            StarlakeError: the orchestrator does not declare a keyword, or both a schedule and dependencies are given.
        """
        _check_own_arguments(schedule, name, cron, description)
        if dependencies is not None and not isinstance(dependencies, StarlakeDependencies):
            dependencies = StarlakeDependencies(dependencies)
        stem = Path(self.filename).stem if self.filename else "pipeline"
        suffix = f"_{schedule.name}" if schedule is not None and schedule.name else ""
        return StarlakePipeline(
            self,
            name or f"{stem}{suffix}",
            schedule=schedule,
            dependencies=dependencies,
            cron=read_cron(cron),
            tags=[tags] if isinstance(tags, str) else tags or (),
            description=description,
            native_options=native,
        )

    def sl_create_task_group(self, group_id: str, pipeline: StarlakePipeline) -> StarlakeTaskGroup:
        """Open a group in the current group of a pipeline; see :meth:`StarlakePipeline.sl_create_task_group`.

        Args:
            group_id: unique within the group that holds it.
            pipeline: the pipeline.
        """
        return pipeline.sl_create_task_group(group_id)


_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}


def _check_own_arguments(schedule: object, name: object, cron: object, description: object) -> None:
    """Check the types of the arguments of a pipeline."""
    if schedule is not None and not isinstance(schedule, StarlakeSchedule):
        how = "cron='0 2 * * *'"
        if isinstance(schedule, str):
            how = f"cron={_PRESETS.get(schedule.strip().lower(), schedule)!r}"
        raise StarlakeError(
            f"sl_create_pipeline(schedule={schedule!r}) is not allowed: schedule must be a StarlakeSchedule with the domains and tables to load. "
            f"Use cron to say when the pipeline starts: sl_create_pipeline({how})"
        )
    for keyword, value in (("name", name), ("cron", cron), ("description", description)):
        if value is not None and not isinstance(value, str):
            raise StarlakeError(f"sl_create_pipeline({keyword}={value!r}) is not allowed; use a string")


def _addons(given: Mapping[str, Any]) -> tuple[str, ...]:
    value = given.get("plugins", os.environ.get("SL_PLUGINS", ""))
    words = value.split(",") if isinstance(value, str) else list(value)
    return tuple(word.strip() for word in words if word.strip())


def _warn_of_templates(options: Options, where: str) -> None:
    """Warn about double braces, which are passed on as they are, except for the names that the paths of checks may have."""
    known = dict.fromkeys(known_names(options[GeneralOptions].sl_env_var, ""), "")
    for name, value in options.items():
        if not is_secret_name(name):
            shown = fill(str(value), known) if name in FILLED else value
            warn_of_template(shown, f"option '{name}' of {where or 'the options'}")


def _check_together(options: Options, where: str) -> None:
    """Check options that depend on each other."""
    prefix = f"{where}: " if where else ""
    problems = []
    general = options[GeneralOptions]
    poke, limit = general.pre_load_poke_interval, general.pre_load_timeout
    if poke < 1:
        problems.append(
            f"{prefix}{poke} is not a valid value for option 'pre_load_poke_interval'; use a duration greater than 0"
        )
    elif general.pre_load_sensor and limit < poke:
        problems.append(
            f"{prefix}option 'pre_load_timeout' ({limit} s) is less than 'pre_load_poke_interval' ({poke} s); a waiting pre-load "
            "needs at least two attempts"
        )
    try:
        read_policies(general.sl_options_merge, f"{prefix}option 'sl_options_merge'")
    except StarlakeError as error:
        problems.append(str(error))
    if general.data_cycle not in ("none", "hourly", "daily", "weekly", "monthly", "yearly"):
        try:
            read_cron(general.data_cycle)
        except StarlakeError as error:
            problems.append(f"{prefix}option 'data_cycle': {error}")
    if problems:
        raise OptionsError(problems)

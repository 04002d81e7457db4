"""A pipeline as users write it: its ``with`` block, the standard shapes, and its runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import Token
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol

from ..errors import RunError, StarlakeError, did_you_mean
from ..freshness import FreshnessPolicy
from ..model.dataset import DatasetTrigger
from ..model.details import TableDetails
from ..model.graph import TaskGroup
from ..model.kinds import TriggerPolicy
from ..model.lineage import StarlakeDependencies
from ..model.run import Report, RunRequest
from ..model.run_options import read_policies
from ..model.schedule import StarlakeSchedule, aware_date, fire_times, time_zone
from ..options import GeneralOptions, Options
from ..orchestrators.listening import with_careful_listener
from ..orchestrators.requests import request_run
from ..plugins import Plugins
from ..plugins.render import render
from .datasets import start_of
from .groups import CURRENT_GROUP
from .templates import add_lineage, add_schedule, describe
from .verbs import Verbs

__all__ = ["Opened", "StarlakePipeline"]


_OWN_KEYWORDS = ("schedule", "dependencies", "name", "cron", "tags", "description")


class Opened(Protocol):
    """What a pipeline knows about its orchestration.

    Attributes:
        plugins: the selected plugins.
        options: the typed options of all of them.
        task_keywords: the orchestrator's keyword arguments for verbs.
        pipeline_keywords: the orchestrator's keyword arguments for pipelines.
        allows_any_keyword: whether every keyword is passed to the orchestrator.
        filename: the path of the pipeline file.
    """

    plugins: Plugins
    options: Options
    task_keywords: frozenset[str]
    pipeline_keywords: frozenset[str]
    allows_any_keyword: bool
    filename: str

    def check(self, pipeline: StarlakePipeline) -> None:
        """Check a pipeline before it is rendered."""
        ...

    def add(self, pipeline: StarlakePipeline) -> None:
        """Add a finished pipeline."""
        ...


class StarlakePipeline(Verbs):
    """A pipeline under construction. Its verbs add tasks to the group whose ``with`` block is open.

    Create it with :meth:`Orchestration.sl_create_pipeline`. When its own ``with`` block ends without an exception, the
    graph is checked and rendered. Then ``native``, documented as ``dag``, is the orchestrator's object.

    Raises:
        StarlakeError: the orchestrator does not declare a keyword, or both a schedule and dependencies are given.

    Attributes:
        orchestration: its orchestration.
    """

    __slots__ = ("_token", "orchestration")

    def __init__(
        self,
        orchestration: Opened,
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
            if keyword not in orchestration.pipeline_keywords and not orchestration.allows_any_keyword:
                known = sorted(orchestration.pipeline_keywords)
                hint = orchestration.plugins.advice_on(keyword) or did_you_mean(keyword, [*known, *_OWN_KEYWORDS])
                raise StarlakeError(
                    f"sl_create_pipeline() does not take the keyword '{keyword}'; {orchestration.plugins.label('orchestrator')} "
                    f"takes {', '.join(known) or 'none'}.{hint}"
                )
        if schedule is not None and dependencies is not None:
            raise StarlakeError(
                "sl_create_pipeline() takes a schedule of loads or the dependencies of transforms, not both; make two pipelines"
            )
        self.orchestration = orchestration
        self.plugins, self.options = orchestration.plugins, orchestration.options
        self.task_keywords = None if orchestration.allows_any_keyword else orchestration.task_keywords
        self.schedule = schedule
        self.dependencies = dependencies
        self._token: Token[TaskGroup | None] | None = None
        self.final_names = {
            (domain.name, table.name): (domain.final_name, table.final_name)
            for domain in (schedule.domains if schedule else ())
            for table in domain.tables
            if (domain.name, table.name) != (domain.final_name, table.final_name)
        }
        self._spark = {}
        self._lifecycle = None
        cron = cron or (schedule.cron if schedule else None)
        trigger = None
        if dependencies is not None and cron is None:
            cron, trigger = self._start_of(dependencies)
        general = self.options[GeneralOptions]
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
            policy=TriggerPolicy(read_policies(general.sl_options_merge, "option 'sl_options_merge'")),
            source=orchestration.filename,
            native_options=native_options,
            deployment=general.deployment or "",
            starlake_environment=general.sl_env_var.get("SL_ENV", ""),
            fires=self.plugins.fires(),
        )
        if trigger is not None:
            FreshnessPolicy.of(self)  # so that a condition that cannot be read is refused now

    def _start_of(self, dependencies: StarlakeDependencies) -> tuple[str | None, DatasetTrigger | None]:
        """Return what starts a lineage without a cron expression; see :func:`start_of`."""
        return start_of(dependencies, self.options)

    @property
    def dag(self) -> Any:
        """The native object; the documented name of ``native``."""
        return self.native

    # -- the block

    def __enter__(self) -> StarlakePipeline:
        self._token = CURRENT_GROUP.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            CURRENT_GROUP.reset(self._token)
        if error is not None:
            return
        self.check()
        self.orchestration.check(self)
        self.native = render(self, self.plugins)
        self.orchestration.add(self)

    def _tags(self, tags: Iterable[str]) -> tuple[str, ...]:
        words = re.split(r"[\s,]+", self.options[GeneralOptions].tags)
        domains = [domain.name for domain in self.schedule.domains] if self.schedule else []
        given = tuple(tags)
        for tag in given:
            if not isinstance(tag, str):
                raise StarlakeError(f"{tag!r} is not a valid tag of sl_create_pipeline(); use strings: tags=['daily']")
        return tuple(dict.fromkeys(word for word in (*words, *given, *domains) if word))

    # -- the standard shapes

    def add_schedule(self) -> None:
        """Add all tasks of a schedule: start, a gated group for each domain, a load for each table, and end.

        Raises:
            GraphError: the pipeline has no schedule.
        """
        add_schedule(self)

    def add_lineage(self, *, checks: bool = False) -> None:
        """Add all tasks of a lineage: start, a task for each transform with the edges of the lineage, and end.

        With the option ``run_dependencies_first``, the upstream transforms and loads are tasks too. Without it, their
        datasets start the pipeline.

        Args:
            checks: add the check of ``pre_load_strategy`` for each domain before its loads.

        Raises:
            GraphError: the pipeline has no dependencies.
        """
        add_lineage(self, checks)

    def describe_tables(self, *tables: TableDetails) -> None:
        """Say what the tables are that the tasks so far load or compute, for user interfaces and catalogues.

        Args:
            tables: the details; ``name`` is that of the command, ``domain.table``.

        Raises:
            GraphError: no task is about a table of that name.
        """
        describe(self, tables)

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
        """Run the pipeline now, and wait until it ends.

        Args:
            scheduled_date: the end of the data interval; by default the last time at which the schedule fired.
            run_id: the id of the run; generated if omitted.
            dry_run: show what would be done, but do nothing.
            variables: values for ``${var:NAME}``.
            select: patterns of task ids, paths or domains; all tasks by default.
            exclude: patterns of tasks to leave out.
            parallelism: how many tasks may run at once, if the orchestrator lets the caller decide.
            listener: called with every :class:`TaskEvent`. Its first error is logged, and changes nothing else.

        Raises:
            RunError: the orchestrator cannot run it from here.
        """

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
        """Run the pipeline as described by a :class:`RunRequest`; see :meth:`run`."""

        if self.native is None:
            raise RunError(f"pipeline {self.id} is not finished: run it after its 'with' block")
        report = self.plugins.run_pipeline(self, with_careful_listener(request))
        if report is None:
            label = self.plugins.label("orchestrator")
            raise RunError(f"{label} cannot run pipeline {self.id} from here; use its own user interface or scheduler")
        return report

    def dry_run(self, scheduled_date: datetime | None = None) -> Report:
        """Show what a run would do; see :meth:`run`."""
        return self.run(scheduled_date, dry_run=True)

    def backfill(self, start: datetime, end: datetime, **keywords: Any) -> list[Report]:
        """Run every interval of the schedule whose scheduled date is between two dates, both included.

        They run one after the other, and stop at the first that does not succeed, unless the orchestrator has its own
        way to backfill.

        Args:
            start: the first scheduled date; aware, or in the zone of the schedule.
            end: the last scheduled date.
            **keywords: arguments of :meth:`run`.

        Raises:
            RunError: the pipeline has no cron schedule.
        """

        if self.cron is None:
            raise RunError(f"pipeline {self.id} has no cron schedule, so there are no intervals to backfill")

        for name in ("select", "exclude"):
            keywords[name] = tuple(keywords.get(name, ()))
        dates = fire_times(self.cron, aware_date(start, self.zone), aware_date(end, self.zone), self.zone, self.fires)
        requests = [request_run(self, moment, **keywords) for moment in dates]
        native = self.plugins.backfill(self, [with_careful_listener(request) for request in requests])
        if native is not None:
            return list(native)
        reports = []
        for request in requests:
            reports.append(self.start_run(request))
            if not reports[-1].succeeded:
                break
        return reports

"""Draws the pipelines of a project with the verbs that a pipeline file uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from starlake_core import (
    GeneralOptions,
    Orchestration,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakeDomain,
    StarlakePipeline,
    StarlakeSchedule,
    StarlakeTable,
    Task,
)
from starlake_core.dsl.templates import subject_of

from .catalogue import Item
from .errors import ProjectError
from .grouping import Draft
from .lineage import Lineage
from .project import Project
from .scheduling import Schedules

__all__ = ["Drawing"]


@dataclass
class Drawing:
    """Draws the pipelines of one project.

    Attributes:
        project: the project.
        lineage: what its transforms read.
        environment: ``SL_ENV`` of the commands; None for that of the process.
    """

    project: Project
    lineage: Lineage
    environment: str | None = None
    _schedules: Schedules = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._schedules = Schedules(self.project.application.schedule_presets)

    def draw(self, orchestration: Orchestration, draft: Draft) -> StarlakePipeline:
        """Draw a pipeline in an orchestration, and return it.

        Args:
            orchestration: the open orchestration.
            draft: the pipeline.

        Raises:
            StarlakeError: it cannot be built.
        """
        tags = _tags(draft.items)
        if draft.kind == "load":
            schedule = StarlakeSchedule(
                draft.schedule.name if draft.named else "", draft.schedule.cron, _domains(draft.items)
            )
            with orchestration.sl_create_pipeline(
                schedule, name=draft.id, tags=tags, description=draft.dag.comment
            ) as pipeline:
                pipeline.add_schedule()
                self._finish(pipeline, draft)
            return pipeline
        whole = orchestration.options[GeneralOptions].run_dependencies_first
        dependencies = StarlakeDependencies(self._roots(draft, whole))
        with orchestration.sl_create_pipeline(
            dependencies=dependencies, name=draft.id, cron=draft.schedule.cron, tags=tags, description=draft.dag.comment
        ) as pipeline:
            pipeline.add_lineage(checks=draft.kind == "together")
            self._finish(pipeline, draft)
        return pipeline

    def _roots(self, draft: Draft, whole: bool) -> list[StarlakeDependency]:
        """Return the nodes of a pipeline. Those of other pipelines know what they read only if they run here as well."""
        if whole:
            made = {item.full_name: self._node(item) for item in self.lineage.closure(draft.items)}
            for name, node in made.items():
                if node.is_task:
                    node.dependencies = [made[parent.full_name] for parent in self.lineage.parents.get(name, ())]
            return [made[item.full_name] for item in draft.items]
        roots = {item.full_name: self._node(item) for item in draft.items}
        for item in draft.items:
            if item.is_task:
                node = roots[item.full_name]
                parents = self.lineage.parents.get(item.full_name, ())
                node.dependencies = [roots.get(parent.full_name) or self._node(parent) for parent in parents]
        return list(roots.values())

    def _node(self, item: Item) -> StarlakeDependency:
        return StarlakeDependency(
            item.full_name,
            "task" if item.is_task else "table",
            self._cron(item),
            sink=item.sink,
            freshness=item.facts.error,
            dataset_triggering_strategy=item.facts.any_or_all,
            write_strategy=item.facts.strategy or None,
        )

    def _cron(self, item: Item) -> str | None:
        try:
            return self._schedules.of(item.schedule).cron
        except ProjectError:  # a fault of the pipeline that loads it
            return None

    def _finish(self, pipeline: StarlakePipeline, draft: Draft) -> None:
        """Add what is not in the graph: what the project says about each table, and where the project is."""
        items = {item.full_name: item for item in draft.items}
        if draft.kind != "load" and pipeline.options[GeneralOptions].run_dependencies_first:
            items = {**{item.full_name: item for item in self.lineage.closure(draft.items)}, **items}
        own: dict[str, str] = {"SL_ROOT": str(self.project.root)}
        if self.environment is not None:
            own["SL_ENV"] = self.environment
            pipeline.starlake_environment = pipeline.starlake_environment or self.environment
        for task in pipeline.tasks():
            _place(task, own)
            item = items.get(subject_of(task))
            if item is not None:
                task.describe(item.facts.details)


def _place(task: Task, own: Mapping[str, str]) -> None:
    """Tell a job on this machine where the project is. In a service, a folder of this machine means nothing."""
    job = task.job
    if job is None:
        return
    values = {
        name: value for name, value in own.items() if name != "SL_ROOT" or not (job.endpoint or job.env.get("SL_ROOT"))
    }
    if values:
        task.job = job.with_env(values)


def _domains(items: Iterable[Item]) -> list[StarlakeDomain]:
    by_domain: dict[tuple[str, str], list[StarlakeTable]] = {}
    for item in items:
        by_domain.setdefault((item.domain, item.final_domain), []).append(StarlakeTable(item.name, item.final_name))
    return [StarlakeDomain(name, final, tables) for (name, final), tables in by_domain.items()]


def _tags(items: Iterable[Item]) -> list[str]:
    return sorted({item.domain for item in items})

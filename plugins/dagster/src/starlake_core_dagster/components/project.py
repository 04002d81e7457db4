"""A Starlake project as a component."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from dagster import (
    Component,
    ComponentLoadContext,
    Definitions,
    Model,
    Resolvable,
    Scaffolder,
    ScaffoldRequest,
    scaffold_with,
)
from dagster.components.component_scaffolding import scaffold_component
from pydantic import ConfigDict, Field, model_validator

from starlake_core import PipelineFault, PipelineFileError, StarlakeError
from starlake_core.dsl.orchestration import current_overrides, overriding
from starlake_core.logs import get_logger
from starlake_core.plugins import Plugins, installed

from ..loading import definitions, location_executor
from ..translator import translated_by
from .translation import AttributeTranslator, TranslatorResolver

__all__ = ["StarlakeProjectComponent"]

logger = get_logger(__name__)

_APPLICATION = Path("metadata") / "application.sl.yml"
_INSTALL = "install the reader of projects with: pip install starlake-core-project"


class _Parameters(Model):
    """The parameters of ``dg scaffold defs``."""

    project_path: str | None = Field(None, description="The folder of the Starlake project. The default is SL_ROOT.")
    environment: str | None = Field(None, description="Where commands run: shell, duckdb, cloud_run, ...")
    by: str | None = Field(None, description="A pipeline for each: dag, domain, tag or project.")
    select: str | None = Field(None, description="Words that select tables and transforms.")
    init: bool = Field(False, description="Write a new project to the folder: a table and a transform that reads it.")

    @model_validator(mode="after")
    def _check(self) -> _Parameters:
        path = self.folder()
        if path is None:
            raise ValueError(
                "no project: name its folder with --project-path FOLDER, and write a new one with --init true in addition"
            )
        if not self.init and not (path / _APPLICATION).is_file():
            raise ValueError(
                f"{path} is not the folder of a Starlake project: there is no {_APPLICATION}; write a new project there with --init true"
            )
        return self

    def folder(self) -> Path | None:
        """The folder of the project; None if nothing names one."""
        given = self.project_path or os.environ.get("SL_ROOT")
        return Path(os.path.abspath(Path(given).expanduser())) if given else None


class _Scaffolder(Scaffolder[_Parameters]):
    """Writes the ``defs.yaml`` of the component, and a new project with ``--init true``."""

    @classmethod
    def get_scaffold_params(cls) -> type[_Parameters]:
        """See :class:`dagster.Scaffolder`."""
        return _Parameters

    def scaffold(self, request: ScaffoldRequest[_Parameters]) -> None:
        """See :class:`dagster.Scaffolder`."""
        given = request.params
        folder = given.folder()
        assert folder is not None
        if given.init:
            _write_project(folder)
        named = {"environment": given.environment, "by": given.by, "select": given.select}
        scaffold_component(
            request,
            {
                "project": Path(os.path.relpath(folder, Path(request.target_path).absolute())).as_posix(),
                **{name: value for name, value in named.items() if value},
            },
        )


def _write_project(folder: Path) -> None:
    plugins = Plugins()
    for plugin in installed("project"):
        plugins.add("project", plugin.name)
    if plugins.write_project(folder, []) is None:
        raise StarlakeError(f"no project was written to {folder}; {_INSTALL}")


@scaffold_with(_Scaffolder)
class StarlakeProjectComponent(Component, Model, Resolvable):
    """The pipelines of a Starlake project, as assets, jobs, schedules and sensors. No code is generated.

    What the project says is read whenever the code location is loaded, and kept in a cache while no file of it changes.

    Attributes:
        project: the folder of the project, relative to the folder of the component.
        environment: where commands run; by default as the dags of the project say, or else ``duckdb`` or ``shell``.
        options: options of all pipelines: of the orchestrator, the environment and the core.
        by: a pipeline for each ``dag`` and schedule, ``domain`` or ``tag``, or one for the whole ``project``.
        names: ids to use instead of the derived ones.
        cron: the schedule of every pipeline, instead of those of the project.
        env: the environment of the project, ``SL_ENV``.
        select: words for the tables and transforms of the pipelines, such as ``tag:nightly`` or ``+report.sales``.
        exclude: words for what to leave out.
        lineage: ``sql``, or ``compat`` for the rule of the command line of Starlake.
        columns: whether to find the columns of transforms in their SQL.
        cache: whether to keep what was read.
        strict: whether a broken file stops the code location; otherwise its pipelines are left out with a warning.
        translation: attributes of the assets, with ``task``, ``dataset``, ``pipeline`` and ``spec`` in templates.
        executor: whether the definitions bring the executor of starlake_core; false leaves it to the code location.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    project: str
    environment: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    by: str = "dag"
    names: dict[str, str] = Field(default_factory=dict)
    cron: str | None = None
    env: str | None = None
    select: str | Sequence[str] = ()
    exclude: str | Sequence[str] = ()
    lineage: str = "sql"
    columns: bool = False
    cache: bool = True
    strict: bool = False
    executor: bool = True
    translation: Annotated[AttributeTranslator | None, TranslatorResolver()] = None

    def build_defs(self, context: ComponentLoadContext) -> Definitions:
        """See :class:`dagster.Component`.

        Raises:
            StarlakeError: there is no reader of projects or no project, an attribute is wrong, or no pipeline can be built; with ``strict``, also
                if any pipeline cannot be built.
        """
        try:
            from starlake_core_project import publish
        except ImportError as error:
            raise StarlakeError(f"StarlakeProjectComponent cannot read {self.project}; {_INSTALL}") from error
        folder = Path(os.path.abspath(Path(context.path) / Path(self.project).expanduser()))
        faults: list[PipelineFault] = []
        with translated_by(self.translation), overriding(replace(current_overrides(), faults=faults)):
            pipelines = publish(
                folder,
                orchestrator="dagster",
                environment=self.environment,
                options=self.options,
                by=self.by,
                names=self.names,
                cron=self.cron,
                lineage=self.lineage,
                env=self.env,
                select=self.select,
                exclude=self.exclude,
                cache=self.cache,
                columns=self.columns,
                strict=self.strict,
                filename=str(folder / _APPLICATION),
                namespace={},
            )
        if self.translation is not None and self.translation.failure is not None:
            raise self.translation.failure
        said = [f"{fault.pipeline} cannot be built: {fault.message}" for fault in faults]
        if said and not pipelines:  # what is wrong is wrong for all of them, such as an attribute of the component
            raise PipelineFileError("\n".join(said))
        for line in said:
            logger.warning("%s", line)
        return definitions(pipelines, executor=location_executor() if self.executor else None)

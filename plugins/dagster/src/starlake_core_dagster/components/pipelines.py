"""Pipeline files as a component."""

from __future__ import annotations

from collections.abc import Sequence
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
from pydantic import ConfigDict, Field

from ..loading import definitions
from .translation import AttributeTranslator, TranslatorResolver

__all__ = ["StarlakePipelinesComponent"]

_EXAMPLE = '''"""A pipeline of starlake_core. Any number of such files may be in this folder."""

from starlake_core import Orchestration, StarlakeDomain, StarlakeSchedule

daily = StarlakeSchedule("daily", cron="0 0 * * *", domains=[StarlakeDomain("starbake", tables=["customers", "orders"])])

with Orchestration() as orchestration:
    with orchestration.sl_create_pipeline(schedule=daily, name="starbake_load") as pipeline:
        pipeline.add_schedule()
'''


class _Scaffolder(Scaffolder):
    """Writes the ``defs.yaml`` of the component, and a first pipeline file."""

    def scaffold(self, request: ScaffoldRequest[Any]) -> None:
        """See :class:`dagster.Scaffolder`."""
        scaffold_component(request, {"path": "pipelines", "environment": "shell"})
        folder = Path(request.target_path) / "pipelines"
        folder.mkdir(exist_ok=True)
        (folder / "starbake_load.py").write_text(_EXAMPLE, encoding="utf-8")


@scaffold_with(_Scaffolder)
class StarlakePipelinesComponent(Component, Model, Resolvable):
    """Pipeline files of starlake_core, rendered as assets, jobs, schedules and sensors.

    Attributes:
        path: a pipeline file or a folder with pipeline files, relative to the folder of the component; or several.
        environment: where commands run, if a file names none: shell, duckdb, cloud_run, dataproc, fargate.
        options: options that override those in the files.
        translation: attributes of the assets, with ``task``, ``dataset``, ``pipeline`` and ``spec`` in templates.
        executor: whether the definitions bring the executor of starlake_core; false leaves it to the project.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    path: str | Sequence[str] = "pipelines"
    environment: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    executor: bool = True
    translation: Annotated[AttributeTranslator | None, TranslatorResolver()] = None

    def build_defs(self, context: ComponentLoadContext) -> Definitions:
        """See :class:`dagster.Component`."""
        paths = [self.path] if isinstance(self.path, str) else self.path
        own: dict[str, Any] = {} if self.executor else {"executor": None}
        return definitions(
            [Path(context.path) / path for path in paths],
            environment=self.environment,
            translator=self.translation,
            **own,
            **self.options,
        )

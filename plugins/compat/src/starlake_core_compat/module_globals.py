"""Names that generated files leave in their module for the package to find. They are read once, here, when an orchestration opens."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from starlake_core import StarlakeError, StarlakeSparkConfig

from .schedules import is_none

__all__ = ["DEFAULT_DAG_ARGS", "ModuleGlobals", "read_globals"]

DEFAULT_DAG_ARGS: dict[str, Any] = {
    "depends_on_past": False,
    "start_date": datetime(2023, 1, 1),
    "email_on_failure": False,
    "email_on_retry": False,
    "retries": 1,
    "retry_delay": timedelta(minutes=5),
    "max_active_runs": 1,
}
"""Default arguments with which generated files override those of the user."""

_OPTIONS = (
    "cron", "filtered_datasets", "spark_config_name", "spark_executor_cores", "spark_executor_instances", "spark_executor_memory",
    "spark_properties",
)  # fmt: skip
_OF_ENVIRONMENTS = {"dataproc": ("cluster_", "dataproc_"), "fargate": ("aws_",)}
"""Prefixes of names that are options of an environment."""
_FOR_DAGS = ("access_control", "user_defined_filters", "user_defined_macros")


@dataclass(frozen=True)
class ModuleGlobals:
    """What the module of a pipeline file defines.

    Attributes:
        description: the description of its pipelines.
        options: values that its options override.
        keywords: keywords of the pipeline, for orchestrators that know them.
        spark: returns the Spark sizing for a name.
    """

    description: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    keywords: Mapping[str, Any] = field(default_factory=dict)
    spark: Callable[..., Any] | None = None

    def spark_config(self, name: str) -> StarlakeSparkConfig:
        """The result of the file's own ``get_spark_config``.

        Args:
            name: the name of the sizing.

        Raises:
            StarlakeError: it does not return a sizing.
        """
        assert self.spark is not None
        made = self.spark(name, **self.options.get("spark_properties", {}))
        if not isinstance(made, StarlakeSparkConfig):
            raise StarlakeError(
                f"get_spark_config({name!r}) of the pipeline file returned {made!r}; it must return a StarlakeSparkConfig"
            )
        return made


def read_globals(module: Mapping[str, Any], options: Mapping[str, Any], environment: str) -> ModuleGlobals:
    """Read the module of a pipeline file.

    Args:
        module: the names and values of the module.
        options: the options that the file passed on, which win.
        environment: the word for the environment.
    """
    prefixes = _OF_ENVIRONMENTS.get(environment, ())
    found = {
        name: value
        for name, value in module.items()
        if value is not None and (name in _OPTIONS or name.startswith(prefixes)) and not callable(value)
    }
    if is_none(found.get("cron")):
        found.pop("cron", None)
    jobs = module.get("jobs")
    if isinstance(jobs, Mapping):
        found.update({name: value for name, value in jobs.items() if name not in options})
    keywords = {name: module[name] for name in _FOR_DAGS if module.get(name) is not None}
    arguments = module.get("default_dag_args")
    if isinstance(arguments, Mapping):
        keywords["default_dag_args"] = _without_constants(arguments, options.get("default_dag_args"))
    spark, description = module.get("get_spark_config"), module.get("description")
    return ModuleGlobals(
        description if isinstance(description, str) else "", found, keywords, spark if callable(spark) else None
    )


def _without_constants(arguments: Mapping[str, Any], option: Any) -> dict[str, Any]:
    """The default arguments of a file, without the constants with which it overrides the option, and without their start date: that of a
    pipeline is an option.
    """
    try:
        given = json.loads(option) if isinstance(option, str) else option or {}
    except ValueError:
        given = {}  # checking the options reports the problem
    return {
        name: value
        for name, value in arguments.items()
        if not (
            (name in given or name == "start_date") and name in DEFAULT_DAG_ARGS and value == DEFAULT_DAG_ARGS[name]
        )
    }

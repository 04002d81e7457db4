"""Names of the replaced package that are not there, each with what to use: an import of one fails with that sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["hints_of", "refuse_module"]

_PAGE = "See 'What differs, and why' in docs/migrating.md"
_OPERATOR = "the orchestrator has one operator for all environments; override sl_job() of IStarlakeJob for another one"
_EVENTS = "give datasets as they are: outlets=[StarlakeDataset(...)], and extra={...} for the metadata of their events"
_CLUSTER = (
    "the environment dataproc creates and deletes the cluster of a pipeline by itself, in pre_tasks() and post_tasks(); say its sizes by "
    "options: StarlakeDataprocClusterConfig(...).to_options()"
)
_REST = "the command line talks to Airflow's REST API: starlake-orchestrate run --option airflow_url=..."
_RUNS = "the core computes the data interval of a run; a command has it as ${sl_data_interval_start} and ${sl_data_interval_end}"
_FARGATE = "the environment fargate starts and follows ECS tasks; say what it needs by the options aws_*"
_MARKERS = "the environments read the marker of a pre-load by themselves; say its folder by the option pre_load_not_ready_sentinel_path"
_SQL = "no environment 'sql' and no orchestrator 'snowflake' or 'starlake' is in this project; use shell, duckdb or a cloud environment"

_HINTS: Mapping[str, Mapping[str, str]] = {
    "airflow": {
        "AirflowDataset": _EVENTS,
        "DotDict": _REST,
        "PreLoadWait": "a pre-load waits by the options pre_load_sensor, pre_load_poke_interval, pre_load_timeout and pre_load_sensor_soft_fail",
        "StarlakeAirflowApiClient": _REST,
        "StarlakeCloudPreloadSensor": _OPERATOR,
        "StarlakeDatasetMixin": _EVENTS,
        "StarlakeEmptyOperator": _OPERATOR,
        "sl_options_from_events": "the sl_options of the events and of the run's configuration reach the commands without a macro",
        "to_dotdict": _REST,
        "triggering_datasets_from_events": _RUNS,
    },
    "airflow.aws": {"FargateTaskOperator": _OPERATOR, "FargateTaskStateSensor": _OPERATOR},
    "airflow.bash": {
        "StarlakeBashOperator": _OPERATOR,
        "StarlakePreloadBashSensor": _OPERATOR,
        "StarlakePythonOperator": _OPERATOR,
    },
    "airflow.gcp": {
        "CloudRunJobCompletionSensor": _OPERATOR,
        "CloudRunJobOperator": _OPERATOR,
        "DataprocJobOperator": _OPERATOR,
        "GCloudRunJobCompletionSensor": _OPERATOR,
        "StarlakeAirflowDataprocCluster": _CLUSTER,
        "StarlakeAirflowDataprocClusterConfig": _CLUSTER,
        "StarlakeAirflowDataprocMasterConfig": _CLUSTER,
        "StarlakeAirflowDataprocWorkerConfig": _CLUSTER,
    },
    "aws": {"StarlakeFargateHelper": _FARGATE, "s3_sentinel_handlers": _MARKERS},
    "common": {
        "TODAY": "a date that is taken when a file is read changes its pipelines from day to day; a command has the day of its run as ${sl_ds}",
    },
    "dagster": {
        "DagsterDataset": _EVENTS,
        "DagsterLogicalDatetimeConfig": f"{_RUNS}; a run is asked for another one by the tags sl_data_interval_start and sl_data_interval_end",
        "PreLoadPoke": "a pre-load waits by the options pre_load_sensor, pre_load_poke_interval, pre_load_timeout and pre_load_sensor_soft_fail",
        "StarlakeDagsterUtils": _RUNS,
    },
    "gcp": {
        "StarlakeDataprocMasterConfig": _CLUSTER,
        "StarlakeDataprocWorkerConfig": _CLUSTER,
        "gcs_sentinel_handlers": _MARKERS,
    },
    "job": {"StarlakeSparkExecutorConfig": "use StarlakeSparkConfig, which has memory, cores and instances"},
    "orchestration": {
        "DependencyMixin": "use StarlakeDependency(name, dependencies=[...]), which has name, dependencies and node",
    },
}

_MODULES = {
    "airflow.compat": "it told versions of Airflow apart, which the plugin airflow does by itself",
    "airflow.starlake_airflow_api": _REST,
    "aws.starlake_fargate_helper": _FARGATE,
    "aws.starlake_s3_sentinel": _MARKERS,
    "gcp.starlake_gcs_sentinel": _MARKERS,
    "odbc": _SQL,
    "sentinel": _MARKERS,
    "snowflake": _SQL,
}


def _short(module: str) -> str:
    return module.removeprefix("ai.starlake.")


def hints_of(module: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module of names: what was removed is an error that says what to use.

    Args:
        module: its name.
    """

    def find(name: str) -> Any:
        hint = _HINTS.get(_short(module), {}).get(name)
        if hint is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        raise ImportError(f"{module}.{name} is not in starlake-core-compat: {hint}. {_PAGE}", name=name)

    return find


def refuse_module(module: str) -> None:
    """Refuse the import of a module that was removed.

    Args:
        module: its name.

    Raises:
        ImportError: always, with what to use.
    """
    raise ImportError(f"{module} is not in starlake-core-compat: {_MODULES[_short(module)]}. {_PAGE}", name=module)

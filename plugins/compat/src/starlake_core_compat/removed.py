"""Names of the replaced package that no longer exist, each with what to use: importing one fails with that sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["hints_of", "refuse_module"]

_PAGE = "See 'What differs, and why' in docs/migrating.md"
_OPERATOR = (
    "the orchestrator has one operator for all environments; to use another operator, override sl_job() of IStarlakeJob"
)
_EVENTS = "pass datasets as they are, outlets=[StarlakeDataset(...)], and the metadata of their events in extra={...}"
_CLUSTER = (
    "the environment dataproc itself creates and deletes the cluster of a pipeline, in pre_tasks() and post_tasks(); set its size with the "
    "options: StarlakeDataprocClusterConfig(...).to_options()"
)
_REST = "the command line uses Airflow's REST API: starlake-orchestrate run --option airflow_api_base_url=..."
_RUNS = "the core computes the data interval of a run; commands receive it as ${sl_data_interval_start} and ${sl_data_interval_end}"
_FARGATE = "the environment fargate starts and follows ECS tasks; configure it with the options aws_*"
_MARKERS = "the environments themselves read the marker of a pre-load; set its folder with the option pre_load_not_ready_sentinel_path"
_SQL = "this project has no environment 'sql' and no orchestrator 'snowflake' or 'starlake'; use shell, duckdb or a cloud environment"

_HINTS: Mapping[str, Mapping[str, str]] = {
    "airflow": {
        "AirflowDataset": _EVENTS,
        "DotDict": _REST,
        "PreLoadWait": "set the options pre_load_sensor, pre_load_poke_interval, pre_load_timeout and pre_load_sensor_soft_fail to wait",
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
        "TODAY": "a date taken when a file is read would change its pipelines every day; commands receive the day of their run as ${sl_ds}",
    },
    "dagster": {
        "DagsterDataset": _EVENTS,
        "DagsterLogicalDatetimeConfig": f"{_RUNS}; to set another interval for a run, use the tags sl_data_interval_start and sl_data_interval_end",
        "PreLoadPoke": "set the options pre_load_sensor, pre_load_poke_interval, pre_load_timeout and pre_load_sensor_soft_fail to wait",
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
    "airflow.compat": "it handled the versions of Airflow, which the plugin airflow now does",
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
    """The ``__getattr__`` of a module of names: a removed name raises an error that says what to use.

    Args:
        module: the name of the module.
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
        module: the name of the module.

    Raises:
        ImportError: always, with what to use.
    """
    raise ImportError(f"{module} is not in starlake-core-compat: {_MODULES[_short(module)]}. {_PAGE}", name=module)

"""The options of the orchestrator ``airflow``."""

from __future__ import annotations

from typing import Any

from starlake_core import BOOL, CSV, DURATION, JSON_MAP, STR, OptionGroup, option

__all__ = ["AirflowOptions"]


class AirflowOptions(OptionGroup):
    """How DAGs are created, where they are deployed, and the API that starts runs."""

    default_dag_args: dict[str, Any] = option(
        JSON_MAP, {}, doc="Default arguments of the operators; options override them."
    )
    options_from_variables: tuple[str, ...] = option(
        CSV,
        (),
        doc="Names of options to read from the Airflow Variables of the same names. This happens whenever the file is parsed, and takes time.",
    )
    deferrable: bool | None = option(
        BOOL, doc="Wait for remote jobs in the triggerer. The default is Airflow's operators.default_deferrable."
    )
    pre_load_deferrable: bool | None = option(
        BOOL, doc="The same for pre-loads. The default is the value of deferrable."
    )
    defer_after: int = option(DURATION, 10, doc="How long a worker waits for a remote job before it releases its slot.")
    gcp_conn_id: str | None = option(
        STR, env="", doc="The Airflow connection with the Google credentials of remote jobs."
    )
    aws_conn_id: str | None = option(STR, env="", doc="The Airflow connection with the AWS credentials of remote jobs.")
    dags_folder: str | None = option(
        STR, env="", doc="The folder to deploy files to. The default is Airflow's core.dags_folder."
    )
    airflow_api_base_url: str | None = option(
        STR,
        env="AIRFLOW_BASE_URL",
        aliases=("AIRFLOW_BASE_URL",),
        doc="The address of an Airflow server that runs start on, instead of in this process.",
    )
    airflow_username: str | None = option(
        STR, env="AIRFLOW_USERNAME", aliases=("AIRFLOW_USERNAME",), doc="The user of the API."
    )
    airflow_password: str | None = option(
        STR, env="AIRFLOW_PASSWORD", aliases=("AIRFLOW_PASSWORD",), doc="The password of the user."
    )
    airflow_token: str | None = option(
        STR, env="AIRFLOW_TOKEN", aliases=("AIRFLOW_TOKEN",), doc="The token of the API."
    )

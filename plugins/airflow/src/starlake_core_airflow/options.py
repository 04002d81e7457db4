"""The options of the orchestrator ``airflow``."""

from __future__ import annotations

from typing import Any

from starlake_core import BOOL, CSV, DURATION, JSON_MAP, STR, OptionGroup, option

__all__ = ["AirflowOptions"]


class AirflowOptions(OptionGroup):
    """How DAGs are made, where they are deployed, and the API by which runs are started."""

    default_dag_args: dict[str, Any] = option(
        JSON_MAP, {}, doc="Default arguments of the operators; those of the options win."
    )
    options_from_variables: tuple[str, ...] = option(
        CSV,
        (),
        doc="Options that are read from the Airflow Variables of these names whenever the file is parsed, which costs time.",
    )
    deferrable: bool | None = option(
        BOOL, doc="Wait for remote jobs in the triggerer; Airflow's operators.default_deferrable by default."
    )
    pre_load_deferrable: bool | None = option(BOOL, doc="The same for pre-loads; as deferrable by default.")
    defer_after: int = option(
        DURATION, 10, doc="How long a worker waits for a remote job before it gives its slot away."
    )
    gcp_conn_id: str | None = option(STR, env="", doc="Airflow connection with the Google credentials of remote jobs.")
    aws_conn_id: str | None = option(STR, env="", doc="Airflow connection with the AWS credentials of remote jobs.")
    dags_folder: str | None = option(
        STR, env="", doc="Where files are deployed; Airflow's core.dags_folder by default."
    )
    airflow_api_base_url: str | None = option(
        STR,
        env="AIRFLOW_BASE_URL",
        aliases=("AIRFLOW_BASE_URL",),
        doc="Airflow's address: runs are started there instead of in this process.",
    )
    airflow_username: str | None = option(
        STR, env="AIRFLOW_USERNAME", aliases=("AIRFLOW_USERNAME",), doc="User of the API."
    )
    airflow_password: str | None = option(
        STR, env="AIRFLOW_PASSWORD", aliases=("AIRFLOW_PASSWORD",), doc="Password of the user."
    )
    airflow_token: str | None = option(STR, env="AIRFLOW_TOKEN", aliases=("AIRFLOW_TOKEN",), doc="Token of the API.")

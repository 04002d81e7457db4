"""The options of the orchestrator ``dagster``."""

from __future__ import annotations

from starlake_core import BOOL, CSV, DURATION, STR, Integer, OneOf, OptionGroup, option

__all__ = ["DagsterOptions"]


class DagsterOptions(OptionGroup):
    """How jobs and assets are made, and what is deployed."""

    parallelism: int = option(Integer(1), 8, doc="Steps of a run at once, in threads of one process.")
    partitions: bool = option(BOOL, True, doc="Partition the assets of a pipeline with a cron by its data intervals.")
    load_domain_in_one_step: bool = option(
        BOOL,
        False,
        doc="Load the tables of a domain in one step, side by side: for domains of many hundreds of tables.",
    )
    asset_key_prefix: tuple[str, ...] = option(
        CSV,
        (),
        doc="Parts before domain and table in the keys of assets, and before the names of jobs, schedules and sensors.",
    )
    asset_kinds: tuple[str, ...] = option(CSV, (), doc="Further kinds of the assets: snowflake, bigquery ...")
    asset_owners: tuple[str, ...] = option(CSV, (), doc="Owners of the assets: e-mail addresses, or team:NAME.")
    default_status: str = option(
        OneOf("running", "stopped"),
        "running",
        doc="Whether schedules and sensors are on as soon as they are deployed; the sensor that tears down always is.",
    )
    sensor_interval: int = option(DURATION, 30, doc="Least time between two looks of a sensor.")
    workspace: str | None = option(
        STR, doc="The workspace.yaml that deploy changes; in the working directory by default."
    )

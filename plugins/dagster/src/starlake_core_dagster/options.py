"""The options of the orchestrator ``dagster``."""

from __future__ import annotations

from starlake_core import BOOL, CSV, DURATION, STR, Integer, OneOf, OptionGroup, option

__all__ = ["DagsterOptions"]


class DagsterOptions(OptionGroup):
    """How jobs and assets are created, and what is deployed."""

    parallelism: int = option(Integer(1), 8, doc="How many steps of a run run at once, in threads of one process.")
    partitions: bool = option(BOOL, True, doc="Partition the assets of a pipeline with a cron by its data intervals.")
    load_domain_in_one_step: bool = option(
        BOOL,
        False,
        doc="Load the tables of a domain in one step, side by side. Use it for domains with many hundreds of tables.",
    )
    asset_key_prefix: tuple[str, ...] = option(
        CSV,
        (),
        doc="A prefix for the keys of assets, before domain and table, and for the names of jobs, schedules and sensors.",
    )
    asset_kinds: tuple[str, ...] = option(CSV, (), doc="Further kinds of the assets: snowflake, bigquery ...")
    asset_owners: tuple[str, ...] = option(CSV, (), doc="Owners of the assets: e-mail addresses, or team:NAME.")
    backfill_policy: str = option(
        OneOf("multi_run", "single_run"),
        "multi_run",
        doc="Whether a backfill of several partitions is a run for each, or one run in which each command has the whole interval.",
    )
    default_status: str = option(
        OneOf("running", "stopped"),
        "running",
        doc="Whether schedules and sensors are on as soon as they are deployed; the tear-down sensor always is.",
    )
    sensor_interval: int = option(DURATION, 30, doc="The least time between two evaluations of a sensor.")
    workspace: str | None = option(
        STR,
        doc="The workspace.yaml that deploy changes. The default is the project of dg that the working directory is in, or else the one there.",
    )

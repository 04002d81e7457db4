"""The options for every orchestrator and every environment."""

from __future__ import annotations

from datetime import date
from typing import Any

from .types import (
    BOOL,
    CRON,
    CSV,
    DATE,
    DURATION,
    ENV_MAP,
    JSON_MAP,
    STR,
    STRATEGY,
    TEXT_MAP,
    TIMEZONE,
    Integer,
    OneOf,
)
from .values import OptionGroup, option

__all__ = ["GeneralOptions"]

START_DATE = date(2024, 1, 1)
"""The default start date of a pipeline. It is fixed, because a pipeline must not depend on a clock."""


class GeneralOptions(OptionGroup):
    """The options of the core."""

    sl_env_var: dict[str, str] = option(
        ENV_MAP, {}, doc="Environment variables for every Starlake command, such as SL_ROOT, SL_ENV and SL_DATASETS."
    )
    deployment: str | None = option(
        STR,
        doc="Name of this deployment, which is part of the names of jobs, so that two deployments can share a cloud project; SL_ENV and the host of "
        "the orchestrator, if there is one, by default.",
    )
    plugins: tuple[str, ...] = option(CSV, (), doc="Add-ons to load, by entry-point name.")
    pre_load_strategy: str = option(
        OneOf("none", "imported", "pending", "ack"), "none", doc="What must be present before a domain is loaded."
    )
    global_ack_file_path: str | None = option(
        STR,
        doc="Acknowledgement file for the strategy ack; {SL_DATASETS}/pending/{domain}/{{ds}}.ack by default. "
        "It may contain domain, ds and the names of sl_env_var in braces.",
    )
    ack_wait_timeout: int = option(DURATION, 3600, doc="How long the strategy ack waits for its file.")
    pre_load_sensor: bool = option(BOOL, False, doc="Wait until a domain is ready, instead of skipping it.")
    pre_load_poke_interval: int = option(
        DURATION, 300, doc="Time between two attempts of a waiting pre-load; greater than 0."
    )
    pre_load_timeout: int = option(DURATION, 3600, doc="How long a pre-load may wait; at least pre_load_poke_interval.")
    pre_load_sensor_soft_fail: bool = option(
        BOOL, False, doc="Skip a domain that is not ready in time, instead of failing."
    )
    pre_load_not_ready_sentinel_path: str | None = option(
        STR, doc="Folder (path or URI) for the marker by which Starlake distinguishes 'not ready' from a failure."
    )
    retries: int = option(Integer(0), 1, doc="How often a failed task is retried.")
    retry_delay: int = option(DURATION, 300, doc="Time between two attempts.")
    retry_unsafe: str = option(
        OneOf("no", "doubtful", "blind"),
        "no",
        doc="Repeat a load, an append or an acknowledgement check even if that is not safe: doubtful, if its rows may already be written; blind, "
        "also if its files cannot be put back.",
    )
    task_timeout: int | None = option(DURATION, doc="How long one attempt of a task may take; unlimited by default.")
    default_pool: str = option(STR, "default_pool", doc="Pool of slots for the tasks, if the orchestrator has pools.")
    tags: str = option(STR, "", env="", doc="Tags of the pipelines, separated by spaces or commas; domains are added.")
    start_date: date = option(DATE, START_DATE, doc="First date of the schedule, in its time zone.")
    end_date: date | None = option(DATE, doc="Last date of the schedule.")
    catchup: bool = option(BOOL, False, doc="Run the intervals missed since the start date.")
    max_active_runs: int | None = option(
        Integer(1), doc="How many runs of a pipeline may be active at once; 3 by default, 1 if datasets start it."
    )
    timezone: str = option(
        TIMEZONE, "UTC", env="SL_TIMEZONE", aliases=("SL_TIMEZONE",), doc="Time zone of the schedules and dates."
    )
    cron: str | None = option(CRON, env="", doc="Cron expression of a pipeline with dependencies.")
    cron_period_frequency: str = option(
        OneOf("day", "week", "month", "year"),
        "week",
        doc="Period over which cron expressions are compared to find the most frequent one.",
    )
    dataset_triggering_strategy: str = option(
        STRATEGY,
        "any",
        doc="Whether any or all of its upstream datasets must be updated to start a pipeline, or a condition on them: "
        "sales.orders & (sales.customers | sales.sellers).",
    )
    run_dependencies_first: bool = option(
        BOOL, False, doc="Run upstream transforms and loads inside the pipeline instead of waiting for their datasets."
    )
    filtered_datasets: tuple[str, ...] = option(CSV, (), doc="Datasets (domain.table) that do not start the pipeline.")
    dataset_style: str = option(
        OneOf("qualified", "flat"),
        "qualified",
        doc="How datasets are named: starlake://domain/table, or domain_table as in earlier packages.",
    )
    freshness_check: bool = option(
        BOOL,
        True,
        doc="Whether a pipeline that datasets start waits until all of them have their data; off runs with what is there.",
    )
    optional_dataset_enabled: bool = option(
        BOOL, False, doc="Do not wait for a dataset that is produced less often than the data cycle."
    )
    data_cycle_enabled: bool = option(
        BOOL, False, doc="Whether data_cycle is the schedule of datasets that have no cron expression."
    )
    data_cycle: str = option(
        STR, "none", doc="Data cycle: none, hourly, daily, weekly, monthly, yearly or a cron expression."
    )
    beyond_data_cycle_enabled: bool = option(
        BOOL, True, doc="Accept older data within the freshness of a dataset, if there is a data cycle."
    )
    min_timedelta_between_runs: int = option(
        DURATION, 900, doc="Minimum time from a run to one that repeats an interval because data was loaded again."
    )
    sl_schedule_parameter_name: str = option(
        STR,
        "sl_schedule",
        effective=False,
        doc="Name of the schedule parameter of a dataset, for orchestrators that react to events.",
    )
    sl_schedule_format: str = option(
        STR, "%Y%m%dT%H%M", effective=False, doc="strftime format of the schedule parameter of a dataset."
    )
    sl_options: dict[str, Any] = option(
        JSON_MAP,
        {},
        doc="Substitution variables of commands by section: all, or the name of a transform or domain.table.",
    )
    sl_options_merge: dict[str, Any] = option(
        JSON_MAP,
        {},
        doc="How variables from several events are merged, by section and name: strict, the default, or the union of their values.",
    )
    spark_config_name: str | None = option(
        STR, doc="Name of the Spark configuration; domain.table or the name of the transform by default."
    )
    spark_executor_memory: str = option(STR, "11g", doc="Memory of a Spark executor.")
    spark_executor_cores: int = option(Integer(1), 4, doc="Cores of a Spark executor.")
    spark_executor_instances: int = option(Integer(1), 1, doc="Number of Spark executors.")
    spark_properties: dict[str, str] = option(TEXT_MAP, {}, doc="Further Spark properties.")

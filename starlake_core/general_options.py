"""The options that hold for every orchestrator and every environment."""

from __future__ import annotations

from datetime import date

from .options import BOOL, CRON, CSV, DATE, DURATION, ENV_MAP, JSON_MAP, STR, TEXT_MAP, TIMEZONE, Integer, OneOf, Option

__all__ = ["GENERAL_OPTIONS"]

START_DATE = date(2024, 1, 1)
"""The fixed start date of a pipeline that names none."""

GENERAL_OPTIONS = (
    Option("sl_env_var", ENV_MAP, {}, doc="Variables for every Starlake command: SL_ROOT, SL_ENV, SL_DATASETS ..."),
    Option(
        "deployment",
        STR,
        None,
        doc="Name of this deployment, in the names of jobs, so that two that share a cloud project never take each other's; SL_ENV, and the host of "
        "the orchestrator where it has one, by default.",
    ),
    Option("plugins", CSV, (), doc="Add-ons to load, by entry-point name."),
    Option(
        "pre_load_strategy",
        OneOf("none", "imported", "pending", "ack"),
        "none",
        doc="What must be there before a domain is loaded.",
    ),
    Option(
        "global_ack_file_path",
        STR,
        None,
        doc="Acknowledgement file of the strategy ack; {SL_DATASETS}/pending/{domain}/{{ds}}.ack by default.",
    ),
    Option("ack_wait_timeout", DURATION, 3600, doc="How long the strategy ack waits for its file."),
    Option("pre_load_sensor", BOOL, False, doc="Wait until a domain is ready instead of skipping it."),
    Option(
        "pre_load_poke_interval", DURATION, 300, doc="Time between two looks of a pre-load that waits; greater than 0."
    ),
    Option("pre_load_timeout", DURATION, 3600, doc="How long a pre-load waits; at least pre_load_poke_interval."),
    Option("pre_load_sensor_soft_fail", BOOL, False, doc="Skip, instead of fail, a domain that is not ready in time."),
    Option(
        "pre_load_not_ready_sentinel_path",
        STR,
        None,
        doc="Folder (path or URI) for the marker with which Starlake tells 'not ready' from 'crashed'.",
    ),
    Option("retries", Integer(0), 1, doc="How often a failed task is tried again."),
    Option("retry_delay", DURATION, 300, doc="Time between two tries."),
    Option(
        "retry_unsafe",
        OneOf("no", "doubtful", "blind"),
        "no",
        doc="Do a load, an append or an acknowledgement check again where that is not safe: doubtful, if its rows may be in already; blind, also "
        "if its files cannot be put back.",
    ),
    Option("task_timeout", DURATION, None, doc="How long one try of a task may take; unlimited by default."),
    Option("default_pool", STR, "default_pool", doc="Pool of slots of the tasks, where the orchestrator has pools."),
    Option("tags", STR, "", env="", doc="Tags of the pipelines, separated by spaces or commas; domains are added."),
    Option("start_date", DATE, START_DATE, doc="First date of the schedule, in its time zone."),
    Option("end_date", DATE, None, doc="Last date of the schedule."),
    Option("catchup", BOOL, False, doc="Run the intervals that were missed since the start date."),
    Option(
        "max_active_runs",
        Integer(1),
        None,
        doc="Runs of one pipeline at once; 3 by default, 1 when datasets trigger it.",
    ),
    Option(
        "timezone",
        TIMEZONE,
        "UTC",
        env="SL_TIMEZONE",
        aliases=("SL_TIMEZONE",),
        doc="Time zone of the schedules and dates.",
    ),
    Option("cron", CRON, None, env="", doc="Schedule of a pipeline that is built from dependencies."),
    Option(
        "cron_period_frequency",
        OneOf("day", "week", "month", "year"),
        "week",
        doc="Period over which crons are compared when the most frequent one is looked for.",
    ),
    Option(
        "dataset_triggering_strategy",
        OneOf("any", "all"),
        "any",
        doc="Whether any or all of its upstream datasets start a pipeline.",
    ),
    Option(
        "run_dependencies_first",
        BOOL,
        False,
        doc="Run upstream transforms and loads inside the pipeline instead of waiting for their datasets.",
    ),
    Option("filtered_datasets", CSV, (), doc="Datasets (domain.table) that do not start the pipeline."),
    Option(
        "dataset_style",
        OneOf("qualified", "flat"),
        "qualified",
        doc="How datasets are named: starlake://domain/table, or domain_table as earlier packages did.",
    ),
    Option(
        "optional_dataset_enabled",
        BOOL,
        False,
        doc="A dataset slower than the data cycle may be missing; for orchestrators that start on events.",
    ),
    Option("data_cycle_enabled", BOOL, False, doc="Start once per data cycle; for orchestrators that start on events."),
    Option("data_cycle", STR, "none", doc="none, hourly, daily, weekly, monthly, yearly or a cron expression."),
    Option("beyond_data_cycle_enabled", BOOL, True, doc="Widen the cycle by the freshness of a dataset."),
    Option("min_timedelta_between_runs", DURATION, 900, doc="Least time between two event-driven runs."),
    Option(
        "sl_schedule_parameter_name",
        STR,
        "sl_schedule",
        doc="Name of the schedule parameter of a dataset, for orchestrators that start on events.",
    ),
    Option("sl_schedule_format", STR, "%Y%m%dT%H%M", doc="strftime format of the schedule parameter of a dataset."),
    Option(
        "sl_options",
        JSON_MAP,
        {},
        doc="Variables of commands by section: all, or the name of a transform or domain.table.",
    ),
    Option(
        "spark_config_name", STR, None, doc="Name of the Spark sizing; domain.table or the transform's name by default."
    ),
    Option("spark_executor_memory", STR, "11g", doc="Memory of a Spark executor."),
    Option("spark_executor_cores", Integer(1), 4, doc="Cores of a Spark executor."),
    Option("spark_executor_instances", Integer(1), 1, doc="Number of Spark executors."),
    Option("spark_properties", TEXT_MAP, {}, doc="Further Spark properties."),
)

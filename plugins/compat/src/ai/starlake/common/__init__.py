"""``ai.starlake.common``, as documented."""

from starlake_core_compat.crons import (
    StarlakeCronPeriod,
    StarlakeParameters,
    as_query_parameters,
    cron_start_time,
    get_cron_frequency,
    is_valid_cron,
    keep_ascii_only,
    sl_cron_start_end_dates,
    sl_schedule,
    sl_schedule_format,
    sl_scheduled_dataset,
    sl_scheduled_date,
    sl_timestamp_format,
    sort_crons_by_frequency,
)
from starlake_core_compat.values import MissingEnvironmentVariable

from starlake_core import sanitize_id

asQueryParameters = as_query_parameters

__all__ = [
    "MissingEnvironmentVariable",
    "StarlakeCronPeriod",
    "StarlakeParameters",
    "asQueryParameters",
    "cron_start_time",
    "get_cron_frequency",
    "is_valid_cron",
    "keep_ascii_only",
    "sanitize_id",
    "sl_cron_start_end_dates",
    "sl_schedule",
    "sl_schedule_format",
    "sl_scheduled_dataset",
    "sl_scheduled_date",
    "sl_timestamp_format",
    "sort_crons_by_frequency",
]

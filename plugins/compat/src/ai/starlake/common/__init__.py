"""``ai.starlake.common``, as documented."""

from typing import TYPE_CHECKING

from starlake_core_compat.crons import (
    StarlakeCronPeriod,
    StarlakeParameters,
    as_query_parameters,
    cron_start_time,
    get_cron_frequency,
    is_valid_cron,
    keep_ascii_only,
    most_frequent_crons,
    scheduled_dates_range,
    sl_cron_start_end_dates,
    sl_schedule,
    sl_schedule_format,
    sl_scheduled_dataset,
    sl_scheduled_date,
    sl_timestamp_format,
    sort_crons_by_frequency,
)
from starlake_core_compat.removed import hints_of
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
    "most_frequent_crons",
    "sanitize_id",
    "scheduled_dates_range",
    "sl_cron_start_end_dates",
    "sl_schedule",
    "sl_schedule_format",
    "sl_scheduled_dataset",
    "sl_scheduled_date",
    "sl_timestamp_format",
    "sort_crons_by_frequency",
]

if not TYPE_CHECKING:
    __getattr__ = hints_of(__name__)

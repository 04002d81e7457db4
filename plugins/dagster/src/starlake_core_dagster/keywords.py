"""The Dagster keywords that the verbs of a pipeline accept, and the values that they can have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dagster import (
    AssetDep,
    AssetKey,
    AssetSpec,
    AutomationCondition,
    BackfillPolicy,
    ExecutorDefinition,
    GraphDefinition,
    HookDefinition,
    RetryPolicy,
    RunRequest,
    TimeWindowPartitionsDefinition,
)

from starlake_core import StarlakeError

try:
    from dagster import FreshnessPolicy
except ImportError:  # Dagster 1.11 has no policy of this name, and 1.10 another one
    FreshnessPolicy = None  # type: ignore[assignment,misc]

__all__ = [
    "ASSET_KEYWORDS",
    "JOB_KEYWORDS",
    "TASK_KEYWORDS",
    "check_keywords",
    "check_owners",
    "dep_of",
    "explain_keyword",
]

_HAS_FRESHNESS = hasattr(FreshnessPolicy, "time_window")
TASK_KEYWORDS = (
    "asset_tags", "automation_condition", "backfill_policy", "code_version", "deps", "description",
    *(("freshness_policy",) if _HAS_FRESHNESS else ()),
    "group_name", "kinds", "metadata", "op_tags", "owners", "partitions_def", "retry_policy",
)  # fmt: skip
"""Dagster keywords that the verbs of a pipeline accept."""

ASSET_KEYWORDS = frozenset(TASK_KEYWORDS) - {"code_version", "description", "op_tags", "retry_policy"}
"""Those that say something about the asset of a task, and not about its step."""

JOB_KEYWORDS = ("executor_def", "hooks", "metadata", "run_tags", "translator")
"""Keywords of Dagster's jobs that ``sl_create_pipeline`` accepts."""

_SHAPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "automation_condition": ((AutomationCondition,), "a condition: AutomationCondition.eager()"),
    "backfill_policy": ((BackfillPolicy,), "a policy: BackfillPolicy.single_run()"),
    "partitions_def": (
        (TimeWindowPartitionsDefinition,),
        'partitions of time, because a command has a data interval: DailyPartitionsDefinition("2026-01-01")',
    ),
    "retry_policy": ((RetryPolicy,), "a policy: RetryPolicy(max_retries=3)"),
    "executor_def": ((ExecutorDefinition,), "an executor: multiprocess_executor"),
    "freshness_policy": (
        (FreshnessPolicy,) if _HAS_FRESHNESS else (),
        "a policy: FreshnessPolicy.time_window(fail_window=timedelta(days=2))",
    ),
    "group_name": ((str,), 'a name: "sales"'),
    "description": ((str,), 'a string: "what it is for"'),
    "code_version": ((str,), 'a string: "2"'),
    "deps": ((list, tuple), 'a list: ["ref/rates", AssetDep(["ref", "fx"], partition_mapping=...)]'),
    "kinds": ((list, tuple, set, frozenset), 'several words: {"parquet"}'),
    "owners": ((list, tuple), 'a list: ["ann@example.org", "team:data"]'),
    "hooks": ((list, tuple, set, frozenset), "several hooks: {hook}"),
    "asset_tags": ((Mapping,), 'names and values: {"tier": "1"}'),
    "op_tags": ((Mapping,), 'names and values: {"dagster/priority": "3"}'),
    "run_tags": ((Mapping,), 'names and values: {"team": "data"}'),
    "metadata": ((Mapping,), 'names and values: {"url": "..."}'),
}


class _Refused(TypeError):
    """What Dagster would take, with another effect than the one meant."""


def dep_of(given: Any) -> AssetDep:
    """A dependency as it is given to a verb. Dagster takes the string ``"ref/rates"`` for a key with one part; here it has two, as it is shown.

    Args:
        given: a string, or what Dagster takes in a list ``deps``.
    """
    return AssetDep.from_coercible(AssetKey.from_user_string(given) if isinstance(given, str) else given)


def _check_deps(given: Iterable[Any]) -> None:
    for dep in given:
        parts = dep_of(dep).asset_key.path
        if len(parts) == 1 and "/" in parts[0]:
            raise _Refused(f"The key {parts[0]} has one part, with a slash in it; write {parts[0].split('/')}.")


def _check_kinds(given: Iterable[Any]) -> None:
    if not all(isinstance(word, str) for word in given):
        raise _Refused("A kind is a string.")


def _check_hooks(given: Iterable[Any]) -> None:
    if not all(isinstance(hook, HookDefinition) for hook in given):
        raise _Refused("A hook is what @success_hook or @failure_hook returns.")


_PLACE = AssetKey("asset")
_DAGSTER: Mapping[str, Callable[[Any], object]] = {
    "asset_tags": lambda given: AssetSpec(_PLACE, tags=given),
    "deps": _check_deps,
    "group_name": lambda given: AssetSpec(_PLACE, group_name=given),
    "hooks": _check_hooks,
    "kinds": _check_kinds,
    "metadata": lambda given: AssetSpec(_PLACE, metadata=given),
    "op_tags": lambda given: GraphDefinition("op", tags=given),
    "owners": lambda given: AssetSpec(_PLACE, owners=given),
    "run_tags": lambda given: RunRequest(tags=given),
}
"""What Dagster says of a value, by itself: where it is used, its error names neither the task nor the keyword."""


def check_owners(what: str, owners: Sequence[str]) -> None:
    """Refuse an owner that Dagster does not take.

    Args:
        what: what has them.
        owners: e-mail addresses and teams.
    """
    _check(f"a valid value for {what}", "owners", owners)


def _check(role: str, name: str, value: Any) -> None:
    try:
        _DAGSTER[name](value)
    except Exception as error:
        said = " ".join(str(error).split())
        who = "" if isinstance(error, _Refused) else "Dagster says: "
        raise StarlakeError(f"{value!r} is not {role}; it takes {_SHAPES[name][1]}. {who}{said}") from error


def check_keywords(what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse an unknown keyword, and a value that Dagster does not take there. None counts as not given."""
    for name in given:
        if name not in known:
            raise StarlakeError(f"{what} does not take the keyword '{name}'; it takes {', '.join(known)}")
    for name, value in given.items():
        types, takes = _SHAPES.get(name, ((object,), ""))
        if value is not None and not isinstance(value, types):
            raise StarlakeError(f"{value!r} is not a valid value for the keyword '{name}' of {what}; it takes {takes}")
        if value is not None and name in _DAGSTER:
            _check(f"a valid value for the keyword '{name}' of {what}", name, value)


_PASSES_NOTHING = "Commands write the tables themselves, and steps pass no data on; an asset of your own may load a table with its I/O manager."
_TASKS = "Give it to the verbs, such as sl_load, or with a translator to all."
_CONFIGURED = (
    "Variables of a run are its tags sl_options and sl_variables; the configuration of native ops is in that of the run, or in "
    "define_asset_job(config=...)."
)
_RETRIES = "It is the options retries and retry_delay, and for a task also retry_policy."
_PARTS = (
    "Dagster takes it with the definitions that are merged: Definitions.merge(definitions(...), Definitions({0}=...))."
)
_MAPPED = 'Give it with a dependency: deps=[AssetDep(["ref", "fx"], partition_mapping=...)].'
_INSTEAD: Mapping[str, str] = {
    "auto_materialize_policy": "Write automation_condition=AutomationCondition.eager().",
    "backfill_policy": 'It is an option, Orchestration({"backfill_policy": "single_run"}), and a keyword of the verbs.',
    "check_specs": "Checks are those of the project; merge your own @asset_check with Definitions.merge.",
    "compute_kind": 'Write kinds={"parquet"}, or the option asset_kinds for all.',
    "concurrency_key": 'Write pool="warehouse".',
    "config": _CONFIGURED,
    "config_schema": _CONFIGURED,
    "cron_schedule": 'Write cron="0 2 * * *".',
    "execution_timezone": 'It is the option timezone: Orchestration({"timezone": "Europe/Paris"}).',
    "executor": "Write executor_def=multiprocess_executor for a pipeline, or definitions(..., executor=...) for all.",
    "executor_def": "Give it to sl_create_pipeline.",
    **({} if _HAS_FRESHNESS else {"freshness_policy": "Dagster takes it from 1.12 on."}),
    "group": 'Write group_name="sales".',
    "hooks": "Give them to sl_create_pipeline: they are called for each of its steps, and a hook can look at context.op.",
    "ins": _PASSES_NOTHING,
    "io_manager_def": _PASSES_NOTHING,
    "io_manager_key": _PASSES_NOTHING,
    "key": "A translator changes keys: get_asset_key.",
    "key_prefix": "It is the option asset_key_prefix, and for single assets get_asset_key of a translator.",
    "legacy_freshness_policy": "Write freshness_policy, or give the table a freshness in the project.",
    "logger_defs": _PARTS.format("loggers"),
    "max_concurrent": "It is the option parallelism.",
    "max_concurrent_runs": "Limit the runs with the tag starlake/pipeline in the run queue of the instance.",
    "minimum_interval_seconds": "It is the option sensor_interval.",
    "non_argument_deps": 'Write deps=["ref/rates"].',
    "op_retry_policy": _RETRIES,
    "partition_mapping": _MAPPED,
    "partition_mappings": _MAPPED,
    "required_resource_keys": _PARTS.format("resources"),
    "resource_defs": _PARTS.format("resources"),
    "run_config": _CONFIGURED,
    "run_tags": "Give them to sl_create_pipeline; a step has op_tags.",
    "skippable": "A step is skipped if what it waits for is: trigger=TriggerRule.NONE_FAILED lets it run after skips.",
    "translator": "Give it to sl_create_pipeline.",
}
"""What to write instead of names of Dagster that a verb or a pipeline does not take."""


def explain_keyword(keyword: str) -> str | None:
    """What to write instead of a keyword that is refused; None for a name that Dagster does not have.

    Args:
        keyword: its name.
    """
    said = _INSTEAD.get(keyword)
    return _TASKS if said is None and keyword in TASK_KEYWORDS else said

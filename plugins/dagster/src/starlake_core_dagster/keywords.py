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

__all__ = ["JOB_KEYWORDS", "TASK_KEYWORDS", "check_keywords", "check_owners"]

TASK_KEYWORDS = (
    "asset_tags", "automation_condition", "backfill_policy", "code_version", "deps", "description", "group_name", "kinds", "metadata", "op_tags",
    "owners", "partitions_def", "retry_policy",
)  # fmt: skip
"""Dagster keywords that the verbs of a pipeline accept."""

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
    "group_name": ((str,), 'a name: "sales"'),
    "description": ((str,), 'a string: "what it is for"'),
    "code_version": ((str,), 'a string: "2"'),
    "deps": ((list, tuple), 'a list: ["ref/rates", AssetDep("ref/fx", partition_mapping=...)]'),
    "kinds": ((list, tuple, set, frozenset), 'several words: {"parquet"}'),
    "owners": ((list, tuple), 'a list: ["ann@example.org", "team:data"]'),
    "hooks": ((list, tuple, set, frozenset), "several hooks: {hook}"),
    "asset_tags": ((Mapping,), 'names and values: {"tier": "1"}'),
    "op_tags": ((Mapping,), 'names and values: {"dagster/priority": "3"}'),
    "run_tags": ((Mapping,), 'names and values: {"team": "data"}'),
    "metadata": ((Mapping,), 'names and values: {"url": "..."}'),
}


def _check_deps(given: Iterable[Any]) -> None:
    for dep in given:
        AssetDep.from_coercible(dep)


def _check_kinds(given: Iterable[Any]) -> None:
    if not all(isinstance(word, str) for word in given):
        raise TypeError("a kind is a string")


def _check_hooks(given: Iterable[Any]) -> None:
    if not all(isinstance(hook, HookDefinition) for hook in given):
        raise TypeError("a hook is what @success_hook or @failure_hook returns")


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
        raise StarlakeError(f"{value!r} is not {role}; it takes {_SHAPES[name][1]}. Dagster says: {said}") from error


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

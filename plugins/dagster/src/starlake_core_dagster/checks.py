"""Asset checks: the conditions that a project sets on the rows of a table, and whether rows were rejected."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec

from starlake_core import Check, CheckResult, Pipeline, StarlakeError, Task, Written
from starlake_core.plain_text import plain

from .outputs import AssetOutput
from .project_details import plain_lines
from .translator import StarlakeTranslator, TranslatedCheck, asked

__all__ = ["REJECTED", "TableCheck", "checks_of", "results_of"]

REJECTED = "rejected_rows"
"""The name of the check whether rows were rejected."""

_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]+")


@dataclass(frozen=True)
class TableCheck:
    """A check on what a task writes.

    Attributes:
        output: the name of its output of the op.
        spec: its description.
        check: the condition; None for the check whether rows were rejected.
    """

    output: str
    spec: AssetCheckSpec
    check: Check | None


def checks_of(
    path: str, task: Task, produced: AssetOutput, pipeline: Pipeline, translator: StarlakeTranslator
) -> tuple[TableCheck, ...]:
    """The checks of a task; none if the project says nothing about its table.

    Args:
        path: the path of the task.
        task: the task.
        produced: the asset of its table.
        pipeline: its pipeline.
        translator: turns them into descriptions.
    """
    details = task.details
    if details is None or produced.dataset is None:
        return ()
    found: list[TableCheck] = []
    taken: set[str] = set()
    conditions: list[Check | None] = list(details.checks)
    if task.command is not None and task.command.type.per_table:
        conditions.append(None)
    # Dagster 1.10 looks up a module of its own among the variables of who first creates a description: none may be called "check" here.
    for condition in conditions:
        name = _name(REJECTED if condition is None else condition.name, taken)
        taken.add(name)
        about = "No row is rejected." if condition is None else plain_lines(condition.text)
        default = AssetCheckSpec(name, asset=produced.key, description=about)
        about = f"{name} of {produced.key.to_user_string()}"
        asks = TranslatedCheck(pipeline, task, condition, default)
        spec = asked(translator, "get_asset_check_spec", about, asks)
        if spec is None:
            continue
        if not isinstance(spec, AssetCheckSpec) or spec.asset_key != produced.key:
            raise StarlakeError(
                f"get_asset_check_spec() of {type(translator).__name__} returned {spec!r} for {about}; return an "
                "AssetCheckSpec for the same asset, or None"
            )
        wrong = [given for given in ("additional_deps", "automation_condition") if getattr(spec, given, None)]
        if wrong:
            raise StarlakeError(
                f"get_asset_check_spec() of {type(translator).__name__} sets {', '.join(wrong)} for {name} of {produced.key.to_user_string()}; "
                "this check is made with its table, so give them to the table (get_asset_spec), or write an @asset_check of your own"
            )
        found.append(TableCheck(f"{produced.output}__check_{len(found) + 1}", spec, condition))
    return tuple(found)


def _name(text: str, taken: set[str]) -> str:
    name = wanted = _NOT_IN_NAME.sub("_", text).strip("_") or "check"
    number = 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def results_of(
    checks: Sequence[TableCheck], written: Written | None, succeeded: bool, wanted: Collection[str]
) -> Iterator[AssetCheckResult]:
    """The results of checks, as far as they are known. A check about which nothing is known has none.

    Args:
        checks: the checks.
        written: what the environment says about the table; None if it says nothing.
        succeeded: whether the task succeeded.
        wanted: the names of the outputs that the run asks for.
    """
    told = {result.text.strip(): result for result in written.checks} if written is not None else {}
    for one in checks:
        if one.output not in wanted:
            continue
        if one.check is None:
            if written is not None and written.rejected is not None:
                counted = {"rejected": written.rejected, "accepted": written.accepted}
                yield _result(one, written.rejected == 0, False, counted)
            continue
        result = told.get(one.check.text.strip())
        if result is not None:
            yield _told(one, result)
        elif succeeded and one.check.fails and not told:
            # The command does not succeed if the condition does not hold.
            yield _result(one, True, True, {"known because": "the command fails if it does not hold"})


def _told(one: TableCheck, result: CheckResult) -> AssetCheckResult:
    return _result(one, result.passed, result.fails, {"found": plain(result.found) or None})


def _result(one: TableCheck, passed: bool, fails: bool, metadata: Mapping[str, Any]) -> AssetCheckResult:
    # Dagster lets a check block only if it is an error.
    severity = AssetCheckSeverity.ERROR if fails or one.spec.blocking else AssetCheckSeverity.WARN
    known = {name: value for name, value in metadata.items() if value is not None}
    return AssetCheckResult(
        passed=passed, asset_key=one.spec.asset_key, check_name=one.spec.name, severity=severity, metadata=known
    )

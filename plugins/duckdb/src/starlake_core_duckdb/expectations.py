"""Expectations: queries on the rows of a table, and what has to be true of their results.

An expectation is ``query`` or ``query => condition``. The query is a call of a macro, or a SELECT, and ``SL_THIS`` is the table. Without a
condition, the query has to return a single number that is 0, as in Starlake.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starlake_core_project import Expectation, ProjectError
from starlake_core_project.settings import switch

from starlake_core.errors import did_you_mean

from .conditions import Condition, ConditionError, Rows, condition
from .context import Context
from .database import transaction
from .driver import duckdb
from .errors import EngineError, ProjectFault
from .expectation_macros import MACROS
from .sql import qualified
from .work import Work, utc_now

__all__ = ["Checks", "ExpectationError", "Report", "planned_checks", "record_failure"]

_log = logging.getLogger(__name__)

_CALL = re.compile(r"(?:\w+\s*\.\s*)?(?P<call>(?P<name>\w+)\s*\(.*\))", re.DOTALL)
_QUERY = re.compile(r"\(*\s*(?:select|with|from|values)\b", re.IGNORECASE)
_THIS = re.compile(r"(?P<text>'(?:[^']|'')*')|\"sl_this\"|\bsl_this\b", re.IGNORECASE)
_DEFINED = re.compile(r"\{%-?\s*macro\s+(\w+)\s*\(")
_KEPT = 1000
"""How many rows of a result a condition can see."""

_TABLE = """
CREATE TABLE IF NOT EXISTS starlake_core.expectations (
    run_key VARCHAR, domain VARCHAR NOT NULL, "table" VARCHAR NOT NULL, expectation VARCHAR NOT NULL, sql VARCHAR,
    success BOOLEAN NOT NULL, fails BOOLEAN NOT NULL, count BIGINT, result VARCHAR, message VARCHAR, checked_at TIMESTAMP NOT NULL)
"""


@dataclass(frozen=True)
class Check:
    """An expectation that is ready to run.

    Attributes:
        text: the expectation as written.
        sql: its query; empty if there is an error.
        condition: what has to be true; None if the query has to return 0.
        fails: whether the command fails if it is not true.
        error: why it cannot be run.
    """

    text: str
    sql: str
    condition: Condition | None
    fails: bool
    error: str = ""


@dataclass(frozen=True)
class Report:
    """The result of a check."""

    check: Check
    success: bool
    rows: Rows | None = None
    message: str = ""

    @property
    def shown(self) -> str:
        """The first row as JSON."""
        return json.dumps([None if value is None else str(value) for value in self.rows.result]) if self.rows else ""

    def __str__(self) -> str:
        found = self.message or f"{self.rows.count if self.rows else 0} row(s), the first one {self.shown}"
        return f"{self.check.text!r} does not hold: {found}"


class ExpectationError(EngineError):
    """Expectations of a table do not hold, and the command fails for it.

    Attributes:
        target: schema and table.
        reports: the results of its checks.
    """

    def __init__(self, message: str, target: tuple[str, str], reports: Sequence[Report]) -> None:
        super().__init__(message)
        self.target = target
        self.reports = tuple(reports)


def planned_checks(
    context: Context, expectations: Sequence[Expectation], target: tuple[str, str], source: Path
) -> Checks:
    """The checks of a table, ready to run.

    Args:
        target: schema and table.
        source: the file of the expectations.

    Raises:
        ProjectFault: a macro is unknown, a query or a condition cannot be read. Starlake finds this when the rows are written, and so does
            this engine if it is asked to be like Starlake.
    """
    if not expectations or not _setting(context, "active", True):
        return Checks(target)
    always = _setting(context, "failOnError", False)
    checks: list[Check] = []
    for expectation in expectations:
        text = (expectation.expect or "").strip()
        fails = always if expectation.fail_on_error is None else expectation.fail_on_error
        try:
            checks.append(_planned(context, text, fails, target, source))
        except (ConditionError, ProjectError, ProjectFault) as error:
            message = f"{source}: the expectation {text!r} cannot be checked: {error}"
            if not context.compat:
                raise ProjectFault(message) from error
            checks.append(Check(text, "", None, True, message))
    before = tuple(check for check in checks if check.fails and not context.compat)
    return Checks(target, before, tuple(check for check in checks if check not in before))


def _setting(context: Context, name: str, default: bool) -> bool:
    """A setting of the application: its file takes precedence over the variable."""
    application = context.project.application
    found = switch(application.keys, application.variables, f"expectations.{name}")
    return default if found is None else found


def _planned(context: Context, text: str, fails: bool, target: tuple[str, str], source: Path) -> Check:
    query, wanted = _split(text)
    default = ""
    if _QUERY.match(query):
        template = query
    else:
        found = _CALL.fullmatch(query)
        if found is None:
            raise ProjectFault(
                "write a call of a macro, such as is_col_value_not_unique('id'), or a SELECT from SL_THIS"
            )
        name = found["name"]
        own = _own_macros(context)
        if name not in own and name not in MACROS:
            known = sorted({*own, *MACROS})
            hint = did_you_mean(name, known)
            raise ProjectFault(
                f"there is no macro {name!r} (known: {', '.join(known)}).{hint} Macros are in metadata/expectations/*.j2"
            )
        template = f"{{{{ {found['call']} }}}}"
        if name not in own:
            template, default = MACROS[name].text + template, MACROS[name].condition
    sql = context.project.render(template, source, {"SL_THIS": "SL_THIS", "sl_this": "SL_THIS"}).strip()
    return Check(text, _with_table(sql, target), condition(wanted or default) if wanted or default else None, fails)


def _split(text: str) -> tuple[str, str]:
    """The query and the condition: what is before and after the last ``=>`` that is in no string and in no parentheses."""
    depth, quote, found = 0, "", -1
    for position, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif depth == 0 and text.startswith("=>", position):
            found = position
    return (text.strip(), "") if found < 0 else (text[:found].strip(), text[found + 2 :].strip())


def _own_macros(context: Context) -> set[str]:
    found: set[str] = set()
    for folder in ("expectations", "macros"):
        below = context.project.metadata / folder
        for path in sorted(below.rglob("*")) if below.is_dir() else ():
            if path.name.endswith((".j2", ".sql")) and path.is_file():
                found.update(_DEFINED.findall(path.read_text(encoding="utf-8", errors="replace")))
    return found


def _with_table(sql: str, target: tuple[str, str]) -> str:
    name = ".".join(target)

    def replaced(found: re.Match[str]) -> str:
        if found["text"]:
            return re.sub(r"(?i)\bsl_this\b", lambda _: name.replace("'", "''"), found["text"])
        return qualified(*target)

    return _THIS.sub(replaced, sql)


@dataclass(frozen=True)
class Checks:
    """The checks of one table, and when they run.

    Checks that may fail the command run before the rows are committed, so that no other command sees rows that do not fit. The others run
    afterwards, because a query that fails ends its transaction. Starlake runs all of them afterwards.

    Attributes:
        target: schema and table.
        before, after: the checks that run before and after the rows are committed.
    """

    target: tuple[str, str]
    before: tuple[Check, ...] = ()
    after: tuple[Check, ...] = ()

    @property
    def may_fail_late(self) -> bool:
        """Whether the command may fail although its rows are committed."""
        return any(check.fails for check in self.after)

    def inside(self, connection: duckdb.DuckDBPyConnection, work: Work) -> None:
        """Run the checks that decide whether the current transaction may be committed, and record them in it.

        Raises:
            ExpectationError: one of them does not hold; the caller records it with :func:`record_failure`.
        """
        reports: list[Report] = []
        for check in self.before:
            reports.append(_report(connection, check))
            if reports[-1].rows is None:
                break  # the transaction is aborted
        _require(self.target, reports, "so nothing is written")
        _record(connection, work, self.target, reports)

    def outside(self, connection: duckdb.DuckDBPyConnection, work: Work) -> None:
        """Run the other checks, record them, and warn about those that do not hold.

        Raises:
            ExpectationError: one of them fails the command; its rows stay.
        """
        if not self.after:
            return  # a transaction for nothing would be as long as a small transform
        reports = [_report(connection, check) for check in self.after]
        _record_alone(connection, work, self.target, reports)
        for report in reports:
            if not report.success and not report.check.fails:
                _log.warning("%s: the expectation %s", ".".join(self.target), report)
        _require(self.target, reports, "and the rows stay")


def record_failure(connection: duckdb.DuckDBPyConnection, work: Work, error: Exception) -> None:
    """Write the checks of an error to ``starlake_core.expectations``, after its transaction was rolled back. Other errors have none."""
    if isinstance(error, ExpectationError):
        _record_alone(connection, work, error.target, error.reports)


def _record_alone(
    connection: duckdb.DuckDBPyConnection, work: Work, target: tuple[str, str], reports: Sequence[Report]
) -> None:
    try:
        with transaction(connection):
            _record(connection, work, target, reports)
    except duckdb.Error as other:
        # The failure itself is what has to be reported, not that it could not be written down.
        _log.warning("cannot write to starlake_core.expectations: %s", other)


def _report(connection: duckdb.DuckDBPyConnection, check: Check) -> Report:
    if check.error:
        return Report(check, False, message=check.error)
    try:
        return _run(connection, check)
    except duckdb.Error as error:
        return Report(check, False, message=str(error))


def _run(connection: duckdb.DuckDBPyConnection, check: Check) -> Report:
    statements = connection.extract_statements(check.sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        return Report(check, False, message="the expectation has to be one SELECT")
    cursor = connection.execute(statements[0])
    results = cursor.fetchmany(_KEPT)
    count = found = len(results)
    while found == _KEPT:
        found = len(cursor.fetchmany(_KEPT))
        count += found
    rows = Rows(count, results)
    if check.condition is None:
        return Report(check, _is_zero(rows), rows)
    try:
        return Report(check, check.condition.holds(rows), rows)
    except ConditionError as error:
        return Report(check, False, rows, str(error))


def _is_zero(rows: Rows) -> bool:
    """Whether a result is a single 0. NULL counts as 0, as in Starlake."""
    if rows.count != 1:
        return False
    value = rows.result[0]
    return value is None or (isinstance(value, (int, float)) and value == 0) or str(value).strip("0") in ("", ".")


def _require(target: tuple[str, str], reports: Sequence[Report], consequence: str) -> None:
    failed = [report for report in reports if not report.success and report.check.fails]
    if failed:
        lines = [
            f"{'.'.join(target)}: {len(failed)} expectation(s) fail, {consequence}",
            *(f"  {report}" for report in failed),
        ]
        raise ExpectationError("\n".join(lines), target, reports)


def _record(
    connection: duckdb.DuckDBPyConnection, work: Work, target: tuple[str, str], reports: Sequence[Report]
) -> None:
    if not reports:
        return
    connection.execute(_TABLE)
    for report in reports:
        connection.execute(
            "INSERT INTO starlake_core.expectations VALUES ($key, $domain, $table, $expectation, $sql, $success, $fails, $count, $result, "
            "$message, $now)",
            {
                "key": work.run_key,
                "domain": target[0],
                "table": target[1],
                "expectation": report.check.text,
                "sql": report.check.sql or None,
                "success": report.success,
                "fails": report.check.fails,
                "count": report.rows.count if report.rows else None,
                "result": report.shown or None,
                "message": report.message or None,
                "now": utc_now(),
            },
        )

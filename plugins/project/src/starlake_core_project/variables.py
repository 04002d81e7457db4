"""The variables that the project's Jinja expressions may use."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import datetime, timezone, tzinfo
from pathlib import Path

from .documents import document_of
from .errors import ProjectError
from .schema import EnvFile
from .text import parse_yaml, read_text, render

__all__ = ["active_variables", "date_variables", "parse_scheduled_date"]

_log = logging.getLogger(__name__)
_DATE = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<time>\d{2}:\d{2}(?::\d{2})?)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?"
)


def parse_scheduled_date(text: str, zone: tzinfo = timezone.utc) -> datetime:
    """Read the value of ``--scheduledDate``.

    Args:
        text: an ISO date with or without time, fraction and offset, with a ``T`` or a space.
        zone: the time zone of a text that has none.

    Raises:
        ProjectError: the text is no date.

    >>> parse_scheduled_date("2026-11-03 00:00:00.000+0000").isoformat()
    '2026-11-03T00:00:00+00:00'
    """
    found = _DATE.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        day, time, fraction, offset = found.group("day", "time", "fraction", "zone")
        parsed = datetime.fromisoformat(f"{day} {time or '00:00:00'}")
        parsed = parsed.replace(microsecond=int((fraction or "0")[:6].ljust(6, "0")))
        if offset is None:
            return parsed.replace(tzinfo=zone)
        known = datetime.strptime("+0000" if offset == "Z" else offset.replace(":", ""), "%z").tzinfo
        return parsed.replace(tzinfo=known)
    except ValueError:
        raise ProjectError(f"--scheduledDate {text!r} is not a date; write it as 2026-11-03T00:00:00+00:00") from None


def date_variables(moment: datetime) -> dict[str, str]:
    """``sl_date``, ``sl_datetime``, ``sl_year`` ... of a moment, in the moment's own time zone."""
    epoch_milli = int(moment.timestamp() * 1000)
    return {
        "sl_date": moment.strftime("%Y%m%d"),
        "sl_datetime": moment.strftime("%Y%m%d%H%M%S"),
        "sl_year": moment.strftime("%Y"),
        "sl_month": moment.strftime("%m"),
        "sl_day": moment.strftime("%d"),
        "sl_hour": moment.strftime("%H"),
        "sl_minute": moment.strftime("%M"),
        "sl_second": moment.strftime("%S"),
        "sl_milli": f"{moment.microsecond // 1000:03d}",
        "sl_epoch_second": str(epoch_milli // 1000),
        "sl_epoch_milli": str(epoch_milli),
    }


def _merge_file(path: Path, variables: dict[str, str]) -> None:
    # Parsed before it is rendered, unlike every other file: a value may use the variables above it.
    values = document_of(parse_yaml(read_text(path), path), path, EnvFile, lambda: read_text(path)).env
    for name, text in (values or {}).items():
        variables[name] = "" if text is None else render(text, variables, path)


def active_variables(
    metadata: Path, base: Mapping[str, str], env: str | None, overrides: Mapping[str, str]
) -> dict[str, str]:
    """Merge the sources of variables, the weakest first.

    Args:
        metadata: the folder that holds ``env.sl.yml`` and ``env.<env>.sl.yml``.
        base: the process environment and the date variables.
        env: the value of ``SL_ENV``; ``None``, an empty text and ``"None"`` name no environment.
        overrides: the values of ``--options``.

    Raises:
        ProjectError: an env file is broken.
    """
    variables = dict(base)
    names = ["env.sl.yml"]
    if env and env.lower() != "none":
        names.append(f"env.{env}.sl.yml")
    for name in names:
        path = metadata / name
        if path.is_file():
            # An override is visible to the values that refer to it, not only at the end.
            variables.update(overrides)
            _merge_file(path, variables)
        elif name != "env.sl.yml":
            _log.warning("SL_ENV is %r but %s does not exist; only env.sl.yml is used", env, path)
    variables.update(overrides)
    return variables

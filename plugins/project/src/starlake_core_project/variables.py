"""The variables that Jinja expressions of a project may use."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from typing import Any

from .documents import document_of
from .errors import ProjectError
from .resolution import Source, resolved
from .schema import EnvFile
from .templates import Names, Rendering, Templates
from .undefined import APPLICATION, Reports, Use
from .yaml_text import read_text
from .yaml_values import parse_yaml

__all__ = ["Variables", "active_variables", "date_variables", "parse_scheduled_date", "with_interval"]

_log = logging.getLogger(__name__)
_ENV_KEY = re.compile(r"""^\s*["']?env["']?\s*:|[{,]\s*["']?env["']?\s*:""", re.MULTILINE)
_DATE = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<time>\d{2}:\d{2}(?::\d{2})?)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?"
)


def parse_scheduled_date(text: str, zone: tzinfo = timezone.utc) -> datetime:
    """Read the value of ``--scheduledDate``.

    Args:
        text: an ISO date with or without time, fraction and offset, with a ``T`` or a space.
        zone: the time zone of a date without offset.

    Raises:
        ProjectError: ``text`` is not a date.

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
        raise ProjectError(f"--scheduledDate {text!r} is not a date; write it like 2026-11-03T00:00:00+00:00") from None


def date_variables(moment: datetime) -> dict[str, str]:
    """Return ``sl_date``, ``sl_datetime``, ``sl_year`` ... of a point in time, in its own time zone."""
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


def with_interval(options: Mapping[str, str]) -> dict[str, str]:
    """Return the values of ``--options`` with both names of the data interval, if they have one of the names.

    ``sl_data_interval_start`` is an SQL literal including its quotes, ``sl_start_date`` is the same date without quotes. The names for the end follow
    the same rule.
    """
    values = dict(options)
    for quoted, plain in (("sl_data_interval_start", "sl_start_date"), ("sl_data_interval_end", "sl_end_date")):
        if quoted in options:
            values.setdefault(plain, options[quoted].strip("'"))
        elif plain in options:
            values[quoted] = f"'{options[plain]}'"
    return values


def active_variables(
    metadata: Path,
    base: Mapping[str, str],
    env: str | None,
    overrides: Mapping[str, str],
    reports: Reports | None = None,
) -> Variables:
    """Merge the sources of variables, lowest priority first. A value may use every variable, regardless of where that is defined.

    Args:
        metadata: the folder that contains ``env.sl.yml`` and ``env.<env>.sl.yml``.
        base: the environment variables and the date variables.
        env: the value of ``SL_ENV``. ``None`` means the value in ``env.sl.yml``, or else that of the application file. An empty string and
            ``"None"`` mean no environment.
        overrides: the values of ``--options``.
        reports: reports undefined variables.

    Raises:
        ProjectError: an env file is invalid, or variables need each other in a circle.
    """
    templates = Templates(metadata)
    common = Source(metadata / "env.sl.yml", _env_values(metadata / "env.sl.yml"))
    sources = [Source(None, base), common]
    if env is None:
        env = resolved([*sources, Source(None, overrides)], templates, only="SL_ENV")[0].get("SL_ENV") or None
    if env is None:
        env = _env_of_application(metadata, resolved([*sources, Source(None, overrides)], templates)[0], templates)
    env = "" if env is None or env.lower() == "none" else env
    if env:
        path = metadata / f"env.{env}.sl.yml"
        if path.parent != metadata or not path.is_file():
            _log.warning("SL_ENV is %r but %s does not exist; only env.sl.yml is used", env, path)
        else:
            sources.append(Source(path, _env_values(path), own_first=True))
    values, incomplete = resolved([*sources, Source(None, overrides)], templates)
    values.setdefault("SL_ENV", env)
    return Variables(values, metadata, templates, reports or Reports(), incomplete)


def _env_values(path: Path, silent: bool = False) -> dict[str, str]:
    """Return the variables of an env file as written. Unlike other files, it is parsed before it is rendered."""
    if not path.is_file():
        return {}
    text = read_text(path)
    found = document_of(parse_yaml(text, path), path, EnvFile, lambda: text, silent).env
    return {name: value or "" for name, value in (found or {}).items()}


def _env_of_application(metadata: Path, values: Mapping[str, str], templates: Templates) -> str | None:
    path = metadata / APPLICATION
    text = read_text(path) if path.is_file() else ""
    if _ENV_KEY.search(text) is None:
        return None
    document = _mapping(parse_yaml(templates.render(text, Names(values), path).plain, path), path, "the file")
    section = _mapping(document["application"], path, "application") if "application" in document else document
    env = section.get("env")
    if env is not None and not isinstance(env, str):
        raise ProjectError(f"{path}: env must be a string, the name of an environment")
    return env


def _mapping(value: Any, path: Path, where: str) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise ProjectError(f"{path}: {where} must be a mapping of names to values")
    return value or {}


class Variables(Mapping[str, str]):
    """The variables of a project with their final values. Also reports undefined variables.

    Args:
        values: the values, by name.
        metadata: the folder of the env files.
        templates: renders the strings of the project.
        reports: reports undefined variables.
        incomplete: the undefined variables, by the name of the variable that needs them.
    """

    def __init__(
        self,
        values: Mapping[str, str],
        metadata: Path | None = None,
        templates: Templates | None = None,
        reports: Reports | None = None,
        incomplete: Mapping[str, tuple[Use, ...]] | None = None,
    ) -> None:
        self._values = dict(values)
        self._metadata = metadata
        self._incomplete = dict(incomplete or {})
        self.templates = templates or Templates(metadata)
        self.reports = reports or Reports()

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Variables:
        """Return a mapping as variables."""
        return values if isinstance(values, Variables) else cls(values)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<{len(self)} variables>"  # they hold secrets

    def overlaid(self, values: Mapping[str, str]) -> Variables:
        """Return these variables, overridden by others."""
        incomplete = {name: uses for name, uses in self._incomplete.items() if name not in values}
        return Variables({**self._values, **values}, self._metadata, self.templates, self.reports, incomplete)

    def silent(self) -> Variables:
        """Return the same variables for reading files that are not used, without reports."""
        return Variables(self._values, self._metadata, self.templates, Reports(silent=True), self._incomplete)

    @functools.cached_property
    def _elsewhere(self) -> frozenset[str]:
        paths = sorted(self._metadata.glob("env.*.sl.yml")) if self._metadata is not None else ()
        return frozenset(name for path in paths for name in _env_values(path, silent=True))

    def fill(self, text: str, source: Path) -> Rendering:
        """Render a string, without reporting undefined variables yet.

        Raises:
            ProjectError: the template is invalid, or fails.
        """
        names = Names(self._values, lambda name: name in self._elsewhere, self._incomplete, self.reports.strict)
        return self.templates.render(text, names, source)

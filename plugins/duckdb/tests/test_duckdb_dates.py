"""Dates and timestamps: the texts that are read as one, and as which one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox

COMPAT = {"SL_DUCKDB_COMPAT": "starlake"}


def read(sandbox: Sandbox, kind: str, text: str, pattern: str | None = None, **environ: str) -> str | None:
    """What a text becomes in a column of a type; None if its row is rejected."""
    if pattern:
        quoted = pattern.replace("'", "''")
        sandbox.write(
            "metadata/types/types.sl.yml", f"types: [{{name: own, primitiveType: {kind}, pattern: '{quoted}'}}]"
        )
    sandbox.table(
        "typed", f"table: {{pattern: typed.*, attributes: [{{name: a, type: {'own' if pattern else kind}}}]}}"
    )
    sandbox.staged("typed1.csv", f'a\n"{text}"\n')
    result = sandbox.run("load", **environ)
    assert result.code == 0, result.err
    rows = sandbox.query("SET TimeZone = 'UTC'; SELECT CAST(a AS VARCHAR) FROM shop.typed")
    assert len(rows) + len(sandbox.query("FROM starlake_core.rejected")) == 1
    return rows[0][0] if rows else None


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("iso_local_date", "2024-01-31", "2024-01-31 00:00:00+00"),
        ("iso_local_date", "2024-01-31T10:11:12", None),
        ("iso_local_date_time", "2024-01-31T10:11:12Z", None),
        ("iso_local_date_time", "2024-01-31", None),
        ("iso_offset_date_time", "2024-01-31T10:11:12", None),
        ("iso_instant", "2024-01-31T10:11:12", None),
        ("iso_instant", "2024-01-31T10:11:12.5Z", "2024-01-31 10:11:12.5+00"),
        ("iso_date_time", "2024-01-31 10:11:12+01:00", None),
        ("iso_date_time", "2024-1-31T10:11:12", None),
        ("iso_date_time", "2024-01-31T10:11:12+02:00[Europe/Paris]", "2024-01-31 08:11:12+00"),
        ("iso_date", "2024-01-31+02:00", "2024-01-30 22:00:00+00"),
        ("iso_date", "2024-01-31T10:11", None),
        ("rfc_1123_date_time", "Wed, 31 Jan 2024 10:11:12 GMT", "2024-01-31 10:11:12+00"),
        ("date", " 2024-01-31 ", "2024-01-31"),
    ],
)
def test_a_built_in_type_takes_its_own_format_only(sandbox: Sandbox, kind: str, text: str, wanted: str | None) -> None:
    assert read(sandbox, kind, text) == wanted


@pytest.mark.parametrize("text", ["infinity", "-infinity", "epoch"])
@pytest.mark.parametrize("pattern", ["ISO_DATE_TIME", "BASIC_ISO_DATE", "yyyyMMdd", "MM/yy", "yyyy-M-dd"])
def test_words_are_no_dates(sandbox: Sandbox, pattern: str, text: str) -> None:
    assert read(sandbox, "timestamp", text, pattern) is None


@pytest.mark.parametrize(
    ("kind", "pattern", "text", "wanted"),
    [
        ("date", "dd/MM/yyyy", "31/04/2023", "2023-04-30"),
        ("date", "d MMM yyyy", "30 Feb 2024", "2024-02-29"),
        ("date", "dd/MM/yyyy", "32/01/2024", None),
        ("date", "dd/MM/yyyy", "1/2/2024", None),
        ("timestamp", "yyyy-MM-dd HH:mm:ss", "2024-02-30 10:00:00", "2024-02-29 10:00:00"),
        ("timestamp", "yyyy-MM-dd HH:mm:ss", "2024-13-01 25:00:00", "2025-01-02 01:00:00"),
        ("timestamp", "yyyy-MM-dd HH:mm:ss", "2024-1-3 1:2:3", "2024-01-03 01:02:03"),
        ("timestamp", "yyyy-MM-dd HH:mm:ss", "2024-01-03 01:02:03.5", "2024-01-03 01:02:03"),
        ("timestamp", "yyyyMMdd'T'HHmm", "20240103T1", None),
    ],
)
def test_dates_that_do_not_exist_are_what_java_makes_of_them_if_that_is_wanted(
    sandbox: Sandbox, kind: str, pattern: str, text: str, wanted: str | None
) -> None:
    assert read(sandbox, kind, text, pattern, **COMPAT) == wanted


@pytest.mark.parametrize("text", ["2024-02-30", "2024-13-01"])
def test_dates_that_do_not_exist_are_rejected(sandbox: Sandbox, text: str) -> None:
    assert read(sandbox, "date", text) is None

"""Limits of services, said while a pipeline is drawn."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

import pytest

from starlake_core import Limit, OptionsError, check_limits, limits_table


def too_long(names: Mapping[str, str]) -> Iterator[Mapping[str, object]]:
    for name, value in names.items():
        if len(value) > 3:
            yield {"name": name, "length": len(value)}


DOCUMENTED = Limit(
    "value of a variable",
    "at most 3 characters",
    "variable {name} has {length}",
    "https://acme.example/limits",
    too_long,
)
REMEMBERED = Limit("value of a variable", "at most 3 characters", "variable {name} has {length} | {{x}}", "", too_long)


def test_what_is_beyond_a_documented_limit_is_refused_with_its_source() -> None:
    with pytest.raises(OptionsError) as caught:
        check_limits([DOCUMENTED], {"a": "1234", "b": "12345", "c": "1"}, "task x")
    assert caught.value.problems == (
        "task x: variable a has 4 (value of a variable: at most 3 characters; https://acme.example/limits)",
        "task x: variable b has 5 (value of a variable: at most 3 characters; https://acme.example/limits)",
    )


def test_a_limit_that_is_only_remembered_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_limits([REMEMBERED], {"a": "1234"}, "task x")
    assert (
        "task x: variable a has 4 | {x} (value of a variable: at most 3 characters); this limit is not documented"
        in caplog.text
    )


def test_what_is_within_the_limits_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    check_limits([DOCUMENTED, REMEMBERED], {"a": "123"}, "task x")
    assert not caplog.records


def test_the_table_of_the_documents() -> None:
    assert limits_table([DOCUMENTED, REMEMBERED]).splitlines() == [
        "| limit | source | message |",
        "|---|---|---|",
        "| value of a variable: at most 3 characters | [documented](https://acme.example/limits) | variable {name} has {length} |",
        "| value of a variable: at most 3 characters | experience: a warning | variable {name} has {length} \\| {{x}} |",
    ]

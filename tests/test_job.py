"""Jobs: frozen values that travel as JSON, bound at run time, shown without secrets."""

from __future__ import annotations

import json
import string
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from starlake_core import Attempt, BindError, DataInterval, Job, Run, StarlakeError
from starlake_core.model.command import load_command
from starlake_core.model.run import PLACEHOLDERS

RUN = Run(
    "p",
    "manual",
    DataInterval(datetime(2024, 7, 1, tzinfo=timezone.utc), datetime(2024, 7, 2, tzinfo=timezone.utc)),
    variables={"who": "me", "tricky": "${sl_ds} $ \\1 \\g<0>", "a b": "blank"},
).attempt("t")


def with_variables(**variables: str) -> Attempt:
    return replace(RUN, run=replace(RUN.run, variables=variables))


TEXTS = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
JOBS = st.builds(
    Job,
    TEXTS,
    st.lists(TEXTS, max_size=4).map(tuple),
    st.dictionaries(TEXTS, TEXTS, max_size=3),
    st.dictionaries(TEXTS, JSON, max_size=3),
    TEXTS,
    st.booleans(),
    st.lists(TEXTS, max_size=2).map(tuple),
)


@given(JOBS)
def test_a_job_survives_its_json(job: Job) -> None:
    text = job.to_json()
    assert "\n" not in text
    again = Job.from_json(text)
    assert again == job
    assert hash(again) == hash(job)
    assert again.to_json() == text


def test_the_json_does_not_depend_on_the_order_of_mappings() -> None:
    one = Job("x", env={"a": "1", "b": "2"}, spec={"c": 1, "d": {"e": 1, "f": 2}})
    other = Job("x", env={"b": "2", "a": "1"}, spec={"d": {"f": 2, "e": 1}, "c": 1})
    assert one.to_json() == other.to_json()


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "5", "{}", '{"environment": "x", "unknown": 1}', '{"environment": "x", "arguments": [1]}'],
)
def test_what_is_no_job_is_refused(text: str) -> None:
    with pytest.raises(StarlakeError):
        Job.from_json(text)


def test_a_job_whose_env_is_no_mapping_is_refused() -> None:
    with pytest.raises(StarlakeError):
        Job.from_json('{"environment": "x", "env": [1]}')


def test_lists_become_tuples() -> None:
    job = Job("x", ["a", "b"], plugins=["c"])  # type: ignore[arg-type]
    assert (job.arguments, job.plugins) == (("a", "b"), ("c",))


@pytest.mark.parametrize(
    "keywords", [{"arguments": ("a", 1)}, {"env": {"A": 1}}, {"env": {1: "a"}}, {"arguments": (None,)}]
)
def test_arguments_and_variables_are_texts(keywords: Any) -> None:
    with pytest.raises(StarlakeError, match="of a job is not a string"):
        Job("x", **keywords)


def test_a_text_is_no_vector() -> None:
    with pytest.raises(StarlakeError):
        Job("x", "load --domains d")  # type: ignore[arg-type]


def test_a_job_does_not_change_with_what_it_was_made_from() -> None:
    env, spec = {"A": "1"}, {"n": 1}
    job = Job("x", env=env, spec=spec)
    env["A"], spec["n"] = "2", 2
    assert (job.env, job.spec) == ({"A": "1"}, {"n": 1})


def test_a_job_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Job("x").environment = "y"  # type: ignore[misc]


# binding


@given(st.text(st.sampled_from("${}slvar:_dx \\1")))
@example("$")
@example("${}")
@example("${sl_dss}")
@example("${ sl_ds }")
@example("$sl_ds {{ds}} ${HOME} $(x) `y` ${var:}")
@example("${SL_DS}")
def test_a_foreign_dollar_or_brace_stays(text: str) -> None:
    assume(not any(f"${{{name}}}" in text for name in PLACEHOLDERS))
    assume("${var:" not in text or "${var:}" in text)
    job = Job("x", (text,), {"A": text}, {"b": [text, {"c": text}]})
    assert job.bind(RUN) == job


@given(
    st.lists(
        st.one_of(
            st.sampled_from(PLACEHOLDERS),
            st.text(string.ascii_letters + " $%#", max_size=5).map(lambda text: f"={text}"),
        ),
        max_size=6,
    )
)
@example(["=$", "sl_ds", "=}", "sl_run_id"])
def test_placeholders_are_filled_wherever_they_stand(parts: list[str]) -> None:
    text = "".join(part[1:] if part.startswith("=") else f"${{{part}}}" for part in parts)
    expected = "".join(part[1:] if part.startswith("=") else RUN.value(part) for part in parts)
    bound = Job("x", (text,), {"A": text}, {"b": [text, {"c": text}], "n": 1}).bind(RUN)
    assert bound == Job("x", (expected,), {"A": expected}, {"b": [expected, {"c": expected}], "n": 1})


def test_a_value_is_not_looked_through_again() -> None:
    assert Job("x", ("${var:tricky}|${var:a b}",)).bind(RUN).arguments == ("${sl_ds} $ \\1 \\g<0>|blank",)


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(BindError) as caught:
        Job("x", ("${var:nobody}",)).bind(RUN)
    for part in ("variable 'nobody' is not set", "task t", "${var:nobody}", "--var nobody=VALUE"):
        assert part in str(caught.value)


def test_a_variable_with_a_comma_does_not_become_another_option() -> None:
    job = Job("x", load_command("t", "d", "t", options={"k": "${var:list}"}).vector)
    with pytest.raises(StarlakeError):
        job.bind(with_variables(list="a,other=b"))
    assert job.bind(with_variables(list="a=b")).arguments[-1] == "k=a=b"


def test_names_are_not_bound() -> None:
    job = Job("${sl_ds}", (), {"${sl_ds}": "x"}, {"${sl_ds}": 1}, "${sl_ds}")
    assert job.bind(RUN) == job


@given(JOBS)
def test_binding_keeps_everything_else(job: Job) -> None:
    assume("${" not in job.to_json())
    assert job.bind(RUN) == job


# showing


def test_a_repr_shows_no_secret_and_what_is_there() -> None:
    job = Job(
        "x",
        ("load", "--accessToken", "hunter22", "--options", "db_password=hunter22"),
        {"DB_PASSWORD": "hunter22", "URL": "ftp://u:hunter22@h"},
        {"a": [{"secret": "hunter22"}]},
        check=True,
    )
    text = repr(job)
    assert "hunter22" not in text
    assert "hunter22" not in job.masked().to_json()
    for part in ("environment='x'", "load", "DB_PASSWORD", "check=True"):
        assert part in text
    assert job.env["DB_PASSWORD"] == "hunter22"
    assert json.loads(job.to_json())["env"]["DB_PASSWORD"] == "hunter22"
    assert repr(Job("x")) == "Job(environment='x', arguments=[])"


def test_labels_travel_with_the_job_and_are_no_part_of_its_work() -> None:
    job = Job("acme", ("load",), labels={"cost": "sales", "run": "${sl_run_hash}"})
    assert Job.from_json(job.to_json()) == job
    assert "labels" not in Job("acme").to_dict()
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    attempt = Run("p", "r", DataInterval(now, now)).attempt("t")
    bound = job.bind(attempt)
    assert bound.labels["cost"] == "sales"
    assert "$" not in bound.labels["run"]
    assert bound.digest == replace(job, labels={}).bind(attempt).digest
    with pytest.raises(StarlakeError, match="the label 'cost' of a job is not a string: 1"):
        Job("acme", labels={"cost": 1})  # type: ignore[dict-item]


def test_what_addons_need_in_the_worker_travels_with_the_job() -> None:
    given = {"notify": {"on": ["failed"], "secret_url": "${var:hook}", "day": "${sl_ds}"}}
    job = Job("acme", ("load",), addon_specs=given)
    assert Job.from_json(job.to_json()) == job
    assert "addon_specs" not in Job("acme").to_dict()
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    run = Run("p", "r", DataInterval(now, now))
    unset = job.bind(run.attempt("t"))
    assert unset.addon_specs["notify"] == {"on": ["failed"], "secret_url": "${var:hook}", "day": "2026-01-01"}
    bound = job.bind(replace(run, variables={"hook": "https://h/hunter22"}).attempt("t"))
    assert bound.addon_specs["notify"]["secret_url"] == "https://h/hunter22"
    assert "hunter22" not in repr(bound) + bound.masked().to_json()
    assert bound.digest == replace(job, addon_specs={}).bind(run.attempt("t")).digest
    with pytest.raises(StarlakeError, match="the values of add-on 'notify' in a job are not a mapping: 1"):
        Job("acme", addon_specs={"notify": 1})  # type: ignore[dict-item]

"""What a step knows of its run: dates, variables, and names that stay the same where they have to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dagster import DagsterRun, DagsterRunStatus
from dagster_runs import draw, instance_in, job, launch, run, states
from hypothesis import given
from hypothesis import strategies as st
from starlake_core_dagster.context import Variables, attempt_of

from starlake_core import RunError, StarlakeError, StarlakePipeline
from starlake_core.runtime import Verdict
from starlake_core.testing import FakeEnvironment

UTC = timezone.utc
DAY = "2025-10-26T00:00:00+0200"
LOAD = "load:sales.orders"
START, END = "sl_data_interval_start", "sl_data_interval_end"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Any]:
    with instance_in(tmp_path / "dagster") as made:
        yield made


@pytest.fixture
def environment() -> FakeEnvironment:
    return FakeEnvironment()


def drawn(environment: Any = None, options: Mapping[str, Any] | None = None, **keywords: Any) -> StarlakePipeline:
    given_ = {"timezone": "Europe/Paris", **(options or {})}
    cron = keywords.pop("cron", "0 0 * * *")
    return draw(
        lambda p: p.sl_load("orders", "sales", "orders"), given_, environment=environment, cron=cron, **keywords
    )


DAILY, WITHOUT = drawn(), drawn(cron=None)


def seen(pipeline: StarlakePipeline, tags: Mapping[str, str], instance: Any = None, **about: Any) -> Any:
    """The run of a step, without the step being run."""
    made = DagsterRun("p", tags=dict(tags), **about)
    return attempt_of(
        SimpleNamespace(run=made, instance=instance, retry_number=0, op_config=None), pipeline.native.facts, "orders"
    )


# -- the data interval


def test_a_run_may_be_asked_for_another_interval_than_that_of_its_partition() -> None:
    tags = {START: "2025-01-31T00:00:00+01:00", END: "2025-02-28T12:00:00Z", "dagster/partition": DAY}
    run = seen(DAILY, tags)
    assert run.value(START) == "2025-01-31T00:00:00+01:00"
    assert run.value(END) == "2025-02-28T13:00:00+01:00"
    assert run.value("sl_ds") == "2025-02-28"


def test_the_end_alone_stands_for_the_interval_before_it() -> None:
    tags = {END: "2025-10-27T00:00:00+01:00"}
    assert seen(DAILY, tags).value(START) == "2025-10-26T00:00:00+02:00"
    assert seen(WITHOUT, tags).value(START) == "2025-10-26T00:00:00+02:00"  # no command gets an empty interval


BAD: list[tuple[dict[str, str], str]] = [
    (
        {END: "today"},
        "'today' is not a valid date for the tag sl_data_interval_end of the run; write it with an offset, such as 2026-01-31T",
    ),
    ({END: "2025-10-27T00:00:00"}, "write it with an offset"),
    ({END: ""}, "write it with an offset"),
    ({END: "0001-01-01T00:00:00+14:00"}, "write it with an offset"),
    (
        {START: "2025-10-27", END: "2025-10-27T00:00:00Z"},
        "'2025-10-27' is not a valid date for the tag sl_data_interval_start of the run",
    ),
    ({START: "2025-10-27T00:00:00Z"}, "has the tag sl_data_interval_start but no tag sl_data_interval_end"),
    ({START: "2025-10-28T00:00:00Z", END: "2025-10-27T00:00:00Z"}, "cannot end"),
    ({"starlake/scheduled_date": "soon"}, "'soon' is not a valid date for the tag starlake/scheduled_date of the run"),
    (
        {"dagster/partition": "2025-10-26"},
        "partition '2025-10-26' of run .* is not a time at which the schedule '0 0",
    ),
    ({"dagster/partition": "2025-10-26T06:00:00+0100"}, "launch a run of a partition that Dagster lists"),
    ({"dagster/partition": "eu|2025-10-26T00:00:00+0200"}, "launch a run of a partition that Dagster lists"),
    (
        {"dagster/asset_partition_range_start": DAY, "dagster/asset_partition_range_end": "end"},
        "partition 'end' of run",
    ),
    ({"sl_variables": "region=EU"}, "the tag sl_variables of the run must be a JSON object"),
    ({"sl_variables": '["EU"]'}, "must be a JSON object"),
]


@pytest.mark.parametrize(("tags", "said"), BAD, ids=lambda value: str(value)[:60])
def test_what_cannot_be_read_is_refused_by_its_name(tags: dict[str, str], said: str) -> None:
    if "sl_variables" in tags:
        tags = {**tags, "dagster/partition": DAY}
    with pytest.raises(RunError, match=said):
        seen(DAILY, tags)


@given(text=st.text(max_size=30))
def test_no_text_of_a_tag_makes_another_error(text: str) -> None:
    for name in (END, "starlake/scheduled_date", "dagster/partition", "sl_variables"):
        tags = {name: text} if name != "sl_variables" else {name: text, "dagster/partition": DAY}
        with suppress(StarlakeError):
            seen(DAILY, tags)


def test_a_bad_tag_fails_the_step_at_once(instance: Any, environment: FakeEnvironment) -> None:
    pipeline = drawn(environment, {"retries": 3})
    result = run(job(pipeline), instance, partition_key=DAY, tags={END: "today"})
    assert states(result) == {"orders": "failure"}
    assert [event.event_type_value for event in result.all_events if "RETRY" in event.event_type_value] == []
    (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    text = str(failure.event_specific_data)
    assert "'today' is not a valid date for the tag sl_data_interval_end of the run; write it with an offset" in text
    assert environment.submissions == []


# -- variables


def test_variables_come_from_the_run_and_else_from_the_environment(
    instance: Any, environment: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_REGION", "US")
    monkeypatch.setenv("TEST_ZONE", "west")
    given_ = {"sl_env_var": {"REGION": "${var:TEST_REGION}", "ZONE": "${var:TEST_ZONE}", "MISSING": "$HOME {x}"}}
    pipeline = drawn(environment, given_)
    # What is not there when the file is read may be there when it runs.
    monkeypatch.setenv("TEST_ZONE", "east")
    tags = {"sl_variables": json.dumps({"TEST_REGION": "EU, 'quoted'=$x"})}
    assert run(job(pipeline), instance, partition_key=DAY, tags=tags).success
    assert run(job(pipeline), instance, partition_key=DAY).success
    first, second = (submission.job.env for submission in environment.submissions)
    assert (first["REGION"], first["ZONE"], first["MISSING"]) == ("EU, 'quoted'=$x", "east", "$HOME {x}")
    assert (second["REGION"], second["ZONE"]) == ("US", "east")


def test_a_variable_that_nobody_set_fails_the_step_at_once(instance: Any, environment: FakeEnvironment) -> None:
    pipeline = drawn(environment, {"sl_env_var": {"REGION": "${var:TEST_NOWHERE}"}, "retries": 2})
    result = run(job(pipeline), instance, partition_key=DAY)
    (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "variable 'TEST_NOWHERE' is not set; the task orders uses ${var:TEST_NOWHERE}" in str(
        failure.event_specific_data
    )
    assert environment.submissions == []


def test_values_of_variables_are_text_as_json_writes_it() -> None:
    tags = {"dagster/partition": DAY, "sl_variables": '{"n": 5, "on": true, "none": null, "list": [1, "a"], "t": "é"}'}
    found = seen(DAILY, tags).run.variables
    assert [found[name] for name in ("n", "on", "none", "list", "t")] == ["5", "true", "null", '[1, "a"]', "é"]


def test_variables_are_a_mapping_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_REGION", "US")
    found = Variables({"TEST_REGION": "EU", "x": "1"})
    assert (found["TEST_REGION"], found["x"], found["HOME"]) == ("EU", "1", os.environ["HOME"])
    assert "x" in found
    assert "HOME" in found
    assert "TEST_NOWHERE" not in found
    assert set(found) == {*os.environ, "x"}
    assert len(found) == len(set(found))


# -- names over re-executions


def test_the_name_of_a_task_is_that_of_the_first_run_and_attempts_are_unique(
    instance: Any, environment: FakeEnvironment
) -> None:
    environment.script(LOAD, Verdict.FAILED, Verdict.SUCCEEDED)
    pipeline = drawn(environment, {"retries": 1})
    defined = job(pipeline)
    first = launch(defined, instance, {"dagster/partition": DAY})
    assert first.success
    second = launch(defined, instance, again=first.dagster_run)
    launch(defined, instance, again=second.dagster_run)
    other = launch(defined, instance, {"dagster/partition": DAY})
    keys = [submission.key for submission in environment.submissions]
    root = f"p/{first.run_id}/orders"
    assert [key.task for key in keys] == [*[root] * 4, f"p/{other.run_id}/orders"]
    assert [key.attempt for key in keys[:3]] == [f"{first.run_id}:0", f"{first.run_id}:1", f"1~{second.run_id}:0"]
    assert len({key.attempt for key in keys}) == 5
    assert [key.generation for key in keys] == [0, 0, 1, 2, 0]


def test_what_goes_on_after_a_failure_is_of_the_same_generation(instance: Any, environment: FakeEnvironment) -> None:
    environment.script(LOAD, Verdict.FAILED)
    defined = job(drawn(environment))
    made = launch(defined, instance, {"dagster/partition": DAY})
    wanted = []
    for tags, from_failure, generation in [
        ({}, True, 0),  # from failure
        ({"dagster/retry_number": "1"}, False, 0),  # Dagster itself, all steps
        ({"dagster/retry_number": "2"}, True, 0),  # Dagster itself, from failure
        ({}, False, 1),  # somebody wants all of it again: what Dagster wrote on the parent is not inherited
        ({}, True, 1),
        ({}, False, 2),
    ]:
        parent = instance.get_run_by_id(made.run_id)
        made = launch(defined, instance, tags, again=parent, from_failure=from_failure)
        wanted.append(generation)
    assert [submission.key.generation for submission in environment.submissions] == [0, *wanted]
    assert len({submission.key.task for submission in environment.submissions}) == 1


RESUMED = {"dagster/is_asset_resume_retry": "true"}


@pytest.mark.parametrize(
    ("tags", "parent", "generation"),
    [
        ({}, DagsterRunStatus.FAILURE, 1),
        ({}, DagsterRunStatus.SUCCESS, 1),
        (RESUMED, DagsterRunStatus.FAILURE, 0),
        (RESUMED, DagsterRunStatus.CANCELED, 0),
        # Dagster lets a run inherit this tag: what succeeded is not gone on with.
        (RESUMED, DagsterRunStatus.SUCCESS, 1),
        ({"dagster/is_resume_retry": "true"}, DagsterRunStatus.FAILURE, 0),
        ({"dagster/is_resume_retry": "false"}, DagsterRunStatus.FAILURE, 1),
    ],
)
def test_from_asset_failure_goes_on_too(
    instance: Any, tags: dict[str, str], parent: DagsterRunStatus, generation: int
) -> None:
    first = instance.create_run_for_job(job(DAILY), status=parent)
    about = {"root_run_id": first.run_id, "parent_run_id": first.run_id}
    assert seen(DAILY, {**tags, "dagster/partition": DAY}, instance, **about).key.generation == generation


def test_a_parent_that_was_deleted_counts_as_asked_for(instance: Any) -> None:
    about = {"root_run_id": "gone", "parent_run_id": "gone"}
    found = seen(DAILY, {"dagster/partition": DAY}, instance, **about)
    assert (found.key.task, found.key.generation) == ("p/gone/orders", 1)
    assert seen(DAILY, {"dagster/partition": DAY, **RESUMED}, instance, **about).key.generation == 0


def test_a_run_hash_is_stable_over_re_executions(instance: Any, environment: FakeEnvironment) -> None:
    pipeline = drawn(environment, {"sl_env_var": {"RUN": "${sl_run_hash}", "ATTEMPT": "${sl_attempt_hash}"}})
    first = launch(job(pipeline), instance, {"dagster/partition": DAY})
    launch(job(pipeline), instance, again=first.dagster_run)
    one, two = (submission.job.env for submission in environment.submissions)
    assert one["RUN"] == two["RUN"]
    assert one["ATTEMPT"] != two["ATTEMPT"]


def test_a_tick_is_that_of_the_time_zone_of_the_schedule() -> None:
    pipeline = drawn(options={"partitions": False})
    run = seen(pipeline, {"starlake/scheduled_date": datetime(2025, 10, 26, 23, tzinfo=UTC).isoformat()})
    assert run.value(START) == "2025-10-26T00:00:00+02:00"
    assert run.value("sl_scheduled_date") == "2025-10-27T00:00:00.000+0100"

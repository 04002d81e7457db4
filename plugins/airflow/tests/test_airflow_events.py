"""What a run takes from events, of ours and of starlake-airflow, and from its configuration, if no start of ours decides."""

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from starlake_core_airflow import context as context_of
from starlake_core_airflow.context import Facts, attempt_of

from starlake_core import Job, RunError, StarlakeDataset, TriggerPolicy
from starlake_core.freshness import FreshnessPolicy

NOW = datetime(2026, 11, 5, 13, 37, tzinfo=timezone.utc)
THEIRS = {
    "sl_uri": "raw_sale",
    "sl_sink": "raw.sale",
    "sl_cron": "0 0 * * *",
    "sl_freshness": 0,
    "source": "load",
    "ts": "2026-11-05T13:37:00+0000",
    "sl_scheduled_date": "2026-11-02 00:00:00+00:00",
}
OURS = {
    **THEIRS,
    "sl_data_interval_start": "2026-11-01T00:00:00+00:00",
    "sl_data_interval_end": "2026-11-02T00:00:00+00:00",
    "sl_scheduled_date": "2026-11-02T00:00:00.000+0000",
}
TRANSFORM = Job("shell", ("transform", "--name", "shop.total"))


def attempt(monkeypatch: pytest.MonkeyPatch, *extras: Any, conf: Any = None) -> Any:
    """The attempt of a task of ours in somebody else's DAG, of a run that some events started."""
    events = [(f"raw_{number}", SimpleNamespace(extra=extra, timestamp=NOW)) for number, extra in enumerate(extras, 1)]
    monkeypatch.setattr(context_of, "triggering_events", lambda context: iter(events))
    run = SimpleNamespace(
        conf=conf, dag_id="dag", run_id="r", run_after=NOW, logical_date=NOW, execution_date=NOW, start_date=None, clear_number=0
    )  # fmt: skip
    ti = SimpleNamespace(map_index=-1, try_number=1, max_tries=1, task_id="shop_total_task")
    facts = Facts("", None, timezone.utc, TriggerPolicy(), FreshnessPolicy((StarlakeDataset("raw_1"),)))
    given = {"ti": ti, "task": SimpleNamespace(retries=0), "dag_run": run, "logical_date": NOW}
    return attempt_of(given, facts, "shop_total_task")


@pytest.mark.parametrize("extra", [THEIRS, OURS], ids=["starlake-airflow", "ours"])
def test_a_run_has_the_date_and_the_interval_of_its_event(monkeypatch: pytest.MonkeyPatch, extra: Any) -> None:
    found = attempt(monkeypatch, extra)
    assert found.value("sl_scheduled_date") == "2026-11-02T00:00:00.000+0000"
    assert found.value("sl_data_interval_start") == "2026-11-01T00:00:00+00:00"
    assert found.value("sl_data_interval_end") == "2026-11-02T00:00:00+00:00"


def test_events_of_both_give_one_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    later = {**THEIRS, "sl_scheduled_date": "2026-11-03 00:00:00+00:00"}
    found = attempt(monkeypatch, OURS, later)
    assert found.value("sl_data_interval_start") == "2026-11-01T00:00:00+00:00"
    assert found.value("sl_data_interval_end") == "2026-11-03T00:00:00+00:00"


def test_a_date_that_cannot_be_read_counts_as_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    found = attempt(monkeypatch, {**THEIRS, "sl_scheduled_date": "soon"})
    assert found.value("sl_data_interval_end") == "2026-11-05T13:37:00+00:00"


def options_of(found: Any) -> list[str]:
    return TRANSFORM.bind(found).arguments[-1].split(",")


def test_variables_of_the_configuration_reach_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    conf = {"sl_options": {"all": {"batch": "b7"}, "shop.total": {"year": "2026"}}}
    assert options_of(attempt(monkeypatch, conf=conf)) == ["batch=b7", "year=2026"]
    assert TRANSFORM.bind(attempt(monkeypatch, THEIRS)).arguments == TRANSFORM.arguments


@pytest.mark.parametrize("conf", [{"sl_options": "batch=b7"}, {"sl_options": {"batch": "b7"}}, {"sl_options": ["b7"]}])
def test_variables_without_sections_are_refused(monkeypatch: pytest.MonkeyPatch, conf: Any) -> None:
    with pytest.raises(RunError, match=r"sl_options of the run's configuration is .*\"all\""):
        attempt(monkeypatch, conf=conf)

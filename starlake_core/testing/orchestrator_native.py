"""Checks of what the orchestrator's own scheduler sees and does, without ``sl_run_pipeline``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import zip_longest
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ..dsl.pipeline import StarlakePipeline
from ..model.schedule import fire_times
from ..runtime import Verdict
from . import corpus
from .corpus import Graph
from .fake import FakeEnvironment, serving
from .native import NativeRun
from .orchestrator_base import NATIVE, OrchestratorBase
from .orchestrator_runs import PLACEHOLDERS, draw_values
from .promises import level

__all__ = ["ORCHESTRATORS", "NativeChecks"]

_PARIS = ZoneInfo("Europe/Paris")
_MOMENT = datetime(2026, 3, 30, tzinfo=_PARIS)
"""The end of the day on which the clock is set forward."""
_CHANGES = (datetime(2026, 3, 29, tzinfo=_PARIS), datetime(2026, 10, 25, tzinfo=_PARIS))
"""The days on which the clock is set forward and back."""
_OPTIONS: Mapping[str, Any] = {
    "timezone": "Europe/Paris",
    "start_date": "2026-03-01",
    "catchup": True,
    "max_active_runs": 2,
    "tags": "kit nightly",
    "default_pool": "kit_pool",
    "retries": 3,
    "retry_delay": 120,
}


_FILE = """\
# dag of airflow: words that a loader may look for
from starlake_core import Orchestration
from starlake_core.testing import FakeEnvironment
from starlake_core.testing.orchestrator_native import ORCHESTRATORS

for names in (("kit_one", "kit_two"), ("kit_three",)):
    with Orchestration({options!r}, orchestrator=ORCHESTRATORS[-1], environment=FakeEnvironment()) as orchestration:
        for name in names:
            with orchestration.sl_create_pipeline(name=name, cron="0 0 * * *") as pipeline:
                pipeline.sl_transform("only", "kpi." + name)
"""
ORCHESTRATORS: list[Any] = []
"""The orchestrator of the pipeline file that is being loaded, which may be an object of this process."""


class NativeChecks(OrchestratorBase):
    """What the scheduler starts by itself is what the pipeline says."""

    def _fire(self, pipeline: StarlakePipeline, moment: datetime = _MOMENT) -> NativeRun:
        with serving(pipeline.orchestration.plugins):
            return self.fire(pipeline, moment)

    @level(NATIVE)
    def test_pipelines_are_published(self) -> None:
        """The scheduler's loader finds every pipeline of a file, those of a second orchestration in it too."""
        file = self.root / "pipelines.py"
        options = {**self.orchestrator_options(self.root), "sl_env_var": {"SL_ROOT": str(self.root)}}
        file.write_text(_FILE.format(options=dict(options)), encoding="utf-8")
        ORCHESTRATORS.append(self.orchestrator)
        try:
            found = set(self.published(file))
        finally:
            ORCHESTRATORS.pop()
        missing = {"kit_one", "kit_two", "kit_three"} - found
        assert not missing, f"the scheduler does not find {', '.join(sorted(missing))}"

    @level(NATIVE)
    @pytest.mark.parametrize(
        "name", ["cron", "zone", "start_date", "catchup", "max_active_runs", "tags", "pools", "retries", "retry_delays"]
    )
    def test_the_schedule_is_native(self, name: str) -> None:
        """The scheduler sees the cron expression, its time zone, the start date, catchup, the active runs, the tags, and
        the pool, retries and retry delay of every task."""
        pipeline = self.draw(corpus.chain, None, **_OPTIONS)
        found = getattr(self.settings(pipeline), name)
        if found is None:
            pytest.skip(f"settings() has no {name}: the orchestrator does not have it")
        jobs = [task.path for task in pipeline.tasks() if task.job is not None]
        wanted = {
            "cron": corpus.CRON,
            "zone": "Europe/Paris",
            "start_date": datetime(2026, 3, 1, tzinfo=_PARIS),
            "catchup": True,
            "max_active_runs": 2,
            "tags": ("kit", "nightly"),
            "pools": dict.fromkeys(jobs, "kit_pool"),
            "retries": dict.fromkeys(jobs, 3),
            "retry_delays": dict.fromkeys(jobs, 120.0),
        }[name]
        if isinstance(wanted, dict):
            found = {path: value for path, value in found.items() if path in jobs}
        if name == "tags":
            found = tuple(sorted(set(found) & set(pipeline.tags)))
            wanted = tuple(sorted(pipeline.tags))
        assert found == wanted, f"{name} is {found!r} for the scheduler, not {wanted!r}"

    @level(NATIVE)
    @pytest.mark.parametrize("cron", ["30 2 * * *", "0 3 * * *", "30 2,3 * * *", "20 */2 * * *", "*/20 * * * *"])
    def test_the_schedule_follows_the_scheduler_where_the_clock_changes(self, cron: str) -> None:
        """Around a change of the clock, a pipeline takes its runs to start when the scheduler starts them (``sl_fires``),
        so that no data interval is lost or done twice."""
        pipeline = self.draw(replace(corpus.single_task, cron=cron), None, timezone="Europe/Paris")
        following = self.settings(pipeline).next_fire
        if following is None:
            pytest.skip("settings() has no next_fire: the orchestrator does not have it")
        for change in _CHANGES:
            # In UTC: Python compares and shifts times of one zone by the wall clock, which shows an hour twice.
            start, end = ((change + timedelta(days=days)).astimezone(timezone.utc) for days in (-1, 2))
            expected = fire_times(cron, start, end, pipeline.zone, pipeline.fires)
            wanted = [moment.astimezone(timezone.utc) for moment in expected]
            found: list[datetime] = []
            moment = following(start - timedelta(seconds=1)).astimezone(timezone.utc)
            while moment <= end and len(found) <= len(wanted):
                found.append(moment)
                moment = following(moment).astimezone(timezone.utc)
            for own, native in zip_longest(wanted, found):
                assert own == native, (
                    f"the schedule {cron!r} of Paris fires at {native and native.isoformat()} for the scheduler, and at "
                    f"{own and own.isoformat()} for the pipeline; sl_fires says what the scheduler does"
                )

    @level(NATIVE)
    def test_keywords_of_the_orchestrator_reach_it(self) -> None:
        """A keyword of the orchestrator on a task is on its native form."""
        keyword = self.native_keyword()
        if keyword is None:
            pytest.skip("native_keyword() returns None: the orchestrator has no keywords for tasks")
        name, value = keyword

        def draw(p: StarlakePipeline) -> None:
            p.sl_transform("only", "kpi.only", **{name: value})

        keywords = self.settings(self.draw(Graph("keywords", draw))).keywords or {}
        assert keywords.get("only", {}).get(name) == value, f"the keyword {name} does not reach the native task"

    @level(NATIVE)
    def test_a_scheduled_run_has_the_interval_of_its_schedule(self, fake: FakeEnvironment) -> None:
        """The commands of a run that the scheduler starts get the interval of the schedule, in its zone, and not the time
        at which they run."""
        values = [name for name in PLACEHOLDERS if name not in ("sl_run_id", "sl_run_hash", "var:region")]
        pipeline = self.draw(Graph("native_values", lambda p: draw_values(p, values)), fake, timezone="Europe/Paris")
        assert self._fire(pipeline).succeeded
        (submission,) = fake.started("transform:kpi.values")
        found = dict(zip(values, _query(submission.job.arguments).split("|"), strict=True))
        assert found == {
            "sl_scheduled_date": "2026-03-30T00:00:00.000+0200",
            "sl_ds": "2026-03-30",
            "sl_data_interval_start": "2026-03-29T00:00:00+01:00",
            "sl_data_interval_end": "2026-03-30T00:00:00+02:00",
        }

    @level(NATIVE)
    def test_a_scheduled_run_that_fails_is_red(self, fake: FakeEnvironment) -> None:
        """If a task fails, the run is red for the scheduler, what depends on it does not run, and only successful tasks
        emit events."""
        fake.script("transform:kpi.left", Verdict.FAILED)
        run = self._fire(self.draw(corpus.diamond, fake))
        assert not run.succeeded, "a task failed, but the run is green for the scheduler"
        assert not fake.started("transform:kpi.bottom"), "a task ran although an upstream task had failed"
        if run.datasets is not None:
            assert set(run.datasets) == {"starlake://kpi/top", "starlake://kpi/right"}, (
                "a run must emit the events of successful tasks, and no others"
            )

    @level(NATIVE)
    def test_a_scheduled_run_that_succeeds_emits_its_events(self, fake: FakeEnvironment) -> None:
        """If everything succeeds, the run is green for the scheduler, every task ran once, and every dataset has its
        event."""
        pipeline = self.draw(corpus.diamond, fake)
        run = self._fire(pipeline, _MOMENT + timedelta(days=7))  # a store of the scheduler may know the run that failed
        assert run.succeeded
        started = sorted(one.subject for one in fake.submissions)
        assert started == sorted(self.subjects(pipeline).values()), f"the scheduler ran {started}"
        if run.datasets is not None:
            assert set(run.datasets) >= {f"starlake://kpi/{name}" for name in ("top", "left", "right", "bottom")}

    @level(NATIVE)
    def test_a_scheduled_run_skips_what_is_not_ready(self, fake: FakeEnvironment) -> None:
        """A check that is not ready skips its domain in a run of the scheduler too, and emits nothing for it."""
        fake.script("preload:sales", Verdict.NOT_READY)
        run = self._fire(self.draw(corpus.two_domains, fake))
        assert run.succeeded, "a domain that is not ready is a failure for the scheduler"
        assert not fake.started("load:sales.orders"), "a domain was loaded although its check was not ready"
        assert fake.started("load:hr.people")
        if run.datasets is not None:
            assert not [uri for uri in run.datasets if uri.startswith("starlake://sales/")]

    @level(NATIVE)
    def test_a_scheduled_run_tries_again(self, fake: FakeEnvironment) -> None:
        """A task that fails is tried again by the scheduler, under the same name and with another attempt."""
        fake.script("transform:kpi.work", Verdict.FAILED, Verdict.SUCCEEDED)

        def draw(p: StarlakePipeline) -> None:
            p.sl_transform("work", "kpi.work", retries=1, retry_delay=0)

        run = self._fire(self.draw(Graph("native_retried", draw), fake))
        assert run.succeeded
        keys = [one.key for one in fake.started("transform:kpi.work")]
        assert len(keys) == 2, f"{len(keys)} attempts, not 2"
        assert keys[0].task == keys[1].task, "the task key is not the same for both attempts"
        assert keys[0].attempt != keys[1].attempt, "two attempts share a key"

    @level(NATIVE)
    def test_two_scheduled_runs_are_two_pieces_of_work(self, fake: FakeEnvironment) -> None:
        """Runs of two dates have different keys, and each names the run of the scheduler."""
        pipeline = self.draw(corpus.single_task, fake)
        runs = [self._fire(pipeline, _MOMENT + timedelta(days=day)) for day in (0, 1)]
        keys = [one.key.task for one in fake.started("transform:kpi.only")]
        assert len(set(keys)) == 2, "two scheduled runs share a key"
        for run, key in zip(runs, keys, strict=True):
            assert run.run_id in key, f"the key {key!r} does not name the run {run.run_id!r} of the scheduler"

    @level(NATIVE)
    def test_a_repeated_task_is_new_work(self, fake: FakeEnvironment) -> None:
        """If a person repeats a task of a run, its key has the next generation or another run, so that the work is done
        again."""
        pipeline = self.draw(corpus.single_task, fake)
        run = self._fire(pipeline)
        with serving(pipeline.orchestration.plugins):
            again = self.fire_again(pipeline, run)
        if again is None:
            pytest.skip("fire_again() returns None: nobody can repeat a task of a run")
        works = [one.key.work for one in fake.started("transform:kpi.only")]
        assert len(works) > 1, (
            "the repetition was never submitted: an attempt with the number and the generation of its key had been started "
            f"before, and its result was used. The only work is named {works}"
        )
        assert len(works) == len(set(works)) == 2, f"the work that was repeated on purpose is named {works}"


def _query(arguments: tuple[str, ...]) -> str:
    return arguments[arguments.index("--query") + 1]

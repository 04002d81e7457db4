"""The suite that every add-on must pass."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ..dsl.orchestration import Orchestration
from ..dsl.pipeline import StarlakePipeline
from ..model.graph_json import graph_json
from ..model.job import Job
from ..model.run import RunKey
from ..plugins.hookspecs import hookimpl
from ..runtime import LocalStorage, Runner, Status, Storage, Verdict, runner_for
from . import corpus
from .corpus import CORPUS, Graph
from .fake import FakeEnvironment, FakeRunner
from .graphs import differences
from .lab import SECRET, SECRET_NAME, an_attempt, plain, settle, with_env
from .option_effects import EVERYTHING, options_of, rendered, without_effect
from .promises import BASIC, check_levels, level, level_of
from .recording import RecordingOrchestrator, Watcher, describe_records
from .subjects import subject

__all__ = ["LEVELS", "AddonSuite"]

JOBS = "jobs"
LEVELS = {
    BASIC: "pipelines, jobs and runs stay what they are, except for what the add-on adds",
    JOBS: "it does something to every job; `reached` says whether it did",
}
"""The levels of an add-on, and what each means."""

_every_small_graph = pytest.mark.parametrize(
    "graph", [graph for graph in CORPUS.values() if not graph.large], ids=[n for n, g in CORPUS.items() if not g.large]
)


class _Probe(FakeEnvironment):
    """An environment whose runner has a value of its own for everything that a wrapper can lose."""

    def __init__(self, *, lifecycle: bool = False) -> None:
        super().__init__(lifecycle=lifecycle)
        self.called: set[str] = set()

    @hookimpl
    def sl_create_runner(self, job: Job) -> Runner:
        """Return a runner that says what is called."""
        return _ProbeRunner(self)


class _ProbeRunner(FakeRunner):
    detached = True
    follows = False
    keyed = True
    labelled = True

    def __init__(self, probe: _Probe) -> None:
        super().__init__(probe)
        self._called = probe.called

    def submit(self, job: Job, key: RunKey) -> str:
        self._called.add("submit")
        return super().submit(job, key)

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        self._called.add("poll")
        return super().poll(handles)

    def cancel(self, handle: str) -> None:
        self._called.add("cancel")
        super().cancel(handle)

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        return ["a line of output"], "1"

    def tail(self, handle: str, count: int) -> Sequence[str]:
        return ["the last line of output"]

    def console_url(self, handle: str) -> str:
        return f"https://probe/{handle}"

    def wait(self, handles: Sequence[str], timeout: float) -> None:
        self._called.add("wait")

    def rest(self) -> None:
        self._called.add("rest")

    def storage(self, root: str) -> Storage | None:
        return _STORAGE


_STORAGE = LocalStorage()
_ANSWERS: Mapping[str, tuple[Any, ...]] = {"logs": (None,), "tail": (5,), "console_url": ()}
"""The arguments after the handle."""


class AddonSuite:
    """Inherit from this class, name the add-on, and run pytest.

    Attributes:
        addon: the entry-point name, the module or the plugin object.
        levels: what it can do; see :data:`LEVELS`.
        option_sets: the ways to use it, each with the options that it needs, if some options only matter in some of them.
        option_values: values by name, for options whose type is not enough to make one up.
        check_seconds: the seconds that a check may take.

    Example::

        pytest_plugins = ["starlake_core.testing.plugin"]

        class TestLabels(AddonSuite):
            addon = "labels"
            levels = ("basic", "jobs")

            def addon_options(self, root):
                return {"labels_team": "sales"}

            def reached(self, job):
                return job.spec.get("labels") == {"team": "sales"}
    """

    addon: Any = None
    levels: tuple[str, ...] = (BASIC,)
    option_sets: tuple[Mapping[str, Any], ...] = ({},)
    option_values: Mapping[str, Any] = {}
    check_seconds = 20.0

    root: Path

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        check_levels(cls.__qualname__, cls.levels, LEVELS)

    def addon_options(self, root: Path) -> Mapping[str, Any]:
        """Return options that the add-on needs.

        Args:
            root: an empty folder for the test.
        """
        return {}

    def reached(self, job: Job) -> bool:
        """Return whether the add-on has done its work on a job. For the level *jobs*.

        Args:
            job: the unbound job.
        """
        raise NotImplementedError("reached(job) must say whether the add-on has done its work on a job")

    # -- for the checks

    @pytest.fixture(autouse=True)
    def _level(self, request: pytest.FixtureRequest) -> None:
        if level_of(request.function) not in self.levels:
            pytest.skip(f"levels: {level_of(request.function)!r} is not declared")

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in os.environ if name.startswith("SL_")]:
            monkeypatch.delenv(name)
        self.root = tmp_path / "project"
        self.root.mkdir()

    def clean_up(self) -> None:
        """Stop what a check has started: nothing."""

    def draw(
        self, graph: Graph, fake: FakeEnvironment | None = None, *others: Any, without: bool = False, **options: Any
    ) -> StarlakePipeline:
        """Return the pipeline of a canonical graph, in memory.

        Args:
            graph: the graph.
            fake: the environment.
            *others: further add-ons.
            without: leave the add-on out.
            **options: further options.
        """
        addons = () if without else (self.addon,)
        given: dict[str, Any] = {**graph.options, **({} if without else self.addon_options(self.root)), **options}
        named = [name for name in addons if isinstance(name, str)]
        if named:
            given["plugins"] = ",".join(named)
        with Orchestration(
            with_env(given, {"SL_ROOT": str(self.root), SECRET_NAME: SECRET}),
            orchestrator=RecordingOrchestrator(),
            environment=fake or FakeEnvironment(lifecycle=True),
            filename=str(self.root / "corpus.py"),
            namespace={},
            addons=[*(one for one in addons if not isinstance(one, str)), *others],
        ) as orchestration:
            return graph(orchestration)

    def jobs(self, pipeline: StarlakePipeline) -> dict[str, Job]:
        """Return the jobs of all tasks, by path."""
        return {task.path: task.job for task in pipeline.tasks() if task.job is not None}

    # -- checks

    @_every_small_graph
    def test_the_graph_stays_as_it_is(self, graph: Graph) -> None:
        """With the add-on, a pipeline has the same tasks in the same order, each created once."""
        watcher = Watcher()
        plain_one, made = self.draw(graph, without=True), self.draw(graph, None, watcher)
        problems = differences(describe_records(plain_one.native), describe_records(made.native), nested_groups=True)
        assert not problems, "\n".join(problems)
        assert sorted(watcher.tasks) == sorted(task.path for task in made.tasks())

    @_every_small_graph
    def test_jobs_are_pure(self, graph: Graph) -> None:
        """Building a pipeline twice gives equal jobs."""
        first, second = self.jobs(self.draw(graph)), self.jobs(self.draw(graph))
        wrong = [path for path, job in first.items() if job.to_json() != second[path].to_json()]
        assert not wrong, f"built twice, the jobs of {', '.join(wrong)} differ"

    @_every_small_graph
    def test_jobs_survive_json(self, graph: Graph) -> None:
        """A job converted to JSON and back is equal, before and after binding."""
        for path, job in self.jobs(self.draw(graph)).items():
            for one in (job, job.bind(an_attempt(path))):
                assert Job.from_json(one.to_json()) == one, f"the job of '{path}' does not survive JSON"

    @_every_small_graph
    def test_arguments_and_variables_are_kept(self, graph: Graph) -> None:
        """A job that stays in its environment keeps its arguments, its variables, and whether it is a check."""
        before = self.jobs(self.draw(graph, without=True))
        for path, job in self.jobs(self.draw(graph)).items():
            kept = before[path]
            if job.environment != kept.environment:
                continue
            assert job.arguments == kept.arguments, f"the arguments of '{path}' changed"
            assert job.env.items() >= kept.env.items(), f"variables of '{path}' were lost or changed"
            assert job.check is kept.check, f"'{path}' is no longer what it was: a check, or other work"

    def test_options_are_left_alone(self) -> None:
        """The options of the user are not changed."""
        seen = [
            plain(self.draw(CORPUS["two_domains"], without=without).options["sl_env_var"]) for without in (True, False)
        ]
        assert seen[0] == seen[1], "the variables of the user were changed"

    def test_every_option_has_an_effect(self) -> None:
        """Every option changes a job or the pipeline, or is declared with ``effective=False`` and changes nothing."""
        plugins = self.draw(EVERYTHING).orchestration.plugins
        declared = options_of(plugins, plugins.addons[0])
        problems = without_effect(
            declared, lambda options: rendered(self.draw(EVERYTHING, **options)), self.option_sets, self.option_values
        )
        assert not problems, "\n".join(problems)

    def test_secrets_are_masked(self) -> None:
        """Neither the repr of a job, nor its masked form, nor the graph shows a secret."""
        pipeline = self.draw(CORPUS["two_domains"])
        assert SECRET not in graph_json(pipeline), "the graph shows a secret"
        for path, job in self.jobs(pipeline).items():
            assert SECRET not in repr(job), f"the repr of the job of '{path}' shows a secret"
            assert SECRET not in job.masked().to_json(), f"the masked job of '{path}' shows a secret"

    @pytest.mark.parametrize("verdict", [Verdict.SUCCEEDED, Verdict.FAILED, Verdict.NOT_READY], ids=lambda v: v.name)
    def test_ends_stay_as_they_are(self, verdict: Verdict) -> None:
        """Every job runs once and ends as it ends without the add-on: nothing green becomes red, or red green."""
        fake = FakeEnvironment(lifecycle=True)
        pipeline = self.draw(corpus.two_domains, fake)
        for path, job in self.jobs(pipeline).items():
            if job.environment != "fake" or (verdict is Verdict.NOT_READY and not job.check):
                continue
            about = subject(job.arguments) or f"job:{job.spec.get('task', '')}"
            fake.script(about, verdict)
            bound = job.bind(an_attempt(path))
            runner = runner_for(bound, pipeline.orchestration.plugins)
            handle = runner.submit(bound, replace(an_attempt(path).key, task=path))
            assert settle(runner, handle).verdict is verdict, f"with the add-on, '{path}' ends otherwise"
            assert len(fake.started(about)) == 1, f"with the add-on, '{path}' ran {len(fake.started(about))} times"

    def test_a_worker_knows_where_a_job_runs(self) -> None:
        """A job that the add-on sends to an environment of its own names the add-on, so that a worker loads it."""
        name = self.addon if isinstance(self.addon, str) else getattr(self.addon, "name", None)
        for path, job in self.jobs(self.draw(CORPUS["two_domains"])).items():
            if job.environment == name:
                assert name in job.plugins, f"a worker finds no runner for '{path}': its job does not name {name!r}"

    def test_runners_stay_what_they_are(self) -> None:
        """An add-on that wraps a runner loses nothing of it: whether it is detached, its attempts, its output, its
        pages. ``DelegatingRunner`` leaves everything to the other runner."""
        probe = _Probe(lifecycle=True)
        pipeline = self.draw(CORPUS["two_domains"], probe)
        for path, job in self.jobs(pipeline).items():
            if job.environment != "fake" or job.check:  # an add-on may answer checks itself
                continue
            bound, inner = job.bind(an_attempt(path)), _ProbeRunner(probe)
            made = pipeline.orchestration.plugins.create_runner(bound)
            for name in ("detached", "follows", "keyed", "labelled"):
                found, kept = getattr(made, name), getattr(inner, name)
                assert found == kept, f"with the add-on, the runner of '{path}' has {name} = {found}, not {kept}"
            handle = made.submit(bound, replace(an_attempt(path).key, task=path))
            assert [one.handle for one in made.find(bound, path)] == [handle], (
                f"with the add-on, find() no longer finds the attempts of '{path}'"
            )
            made.poll([handle])
            made.cancel(handle)
            for name, arguments in _ANSWERS.items():
                found, kept = (getattr(one, name)(handle, *arguments) for one in (made, inner))
                assert found == kept, (
                    f"with the add-on, {name}() of the runner of '{path}' returns {found!r}, not {kept!r}"
                )
            assert made.storage("probe://root") == inner.storage("probe://root"), (
                f"with the add-on, storage() of the runner of '{path}' is another one"
            )
            made.wait([handle], 0)
            made.rest()
            missed = {"submit", "poll", "cancel", "wait", "rest"} - probe.called
            assert not missed, f"with the add-on, {', '.join(sorted(missed))} of the runner of '{path}' is not called"
            probe.called.clear()

    @level(JOBS)
    @_every_small_graph
    def test_every_job_is_reached(self, graph: Graph) -> None:
        """The add-on does its work on every job: loads, transforms, checks, set-up and tear-down."""
        missed = [path for path, job in self.jobs(self.draw(graph)).items() if not self.reached(job)]
        assert not missed, f"the add-on misses {', '.join(missed)}"

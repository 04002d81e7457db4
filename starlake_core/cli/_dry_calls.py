"""Calls everything of an installed plugin that needs no service, and says what fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime, timezone
from sys import stderr
from typing import TYPE_CHECKING, Any

from ..dsl.orchestration import Orchestration
from ..dsl.pipeline import StarlakePipeline
from ..errors import PluginContractError, PluginError, StarlakeError
from ..masking import is_secret_name
from ..model.job import Job
from ..model.run import DataInterval, Run
from ..options import Option
from ..options.types import Kind
from ..plugins import PluginInfo, Plugins
from ..plugins.doubts import unmet_requirements

if TYPE_CHECKING:
    from ..testing import Graph

__all__ = ["DryCalls", "call_everything"]

_OF_TASK = re.compile(r"^task '[^']*': ")
_MOMENT = datetime(2026, 1, 31, tzinfo=timezone.utc)
_SAMPLES = (
    "sample",
    "1",
    "10",
    "true",
    "2026-01-31",
    "UTC",
    "0 2 * * *",
    "{}",
    "https://example.com/x",
    "gs://sample/x",
)


@dataclass
class DryCalls:
    """What was called, and what failed.

    Attributes:
        called: what was called, to be shown.
        problems: what failed, one sentence each.
        notes: what could not be called from here, one sentence each.
    """

    called: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Note that something was called in this block, or why it failed."""
        try:
            with redirect_stdout(stderr):
                yield
        except PluginError as error:
            self._add(self.problems, [str(error)])
        except StarlakeError as error:
            # What the plugin has to say to users: samples are not what it needs, or credentials are missing.
            lines = str(error).splitlines()
            self._add(self.notes, [f"it asks for more than a sample: {_OF_TASK.sub('', line)}" for line in lines])
        except Exception as error:
            self._add(self.problems, [f"{what}: {type(error).__name__}: {error}"])
        else:
            self.called.append(what)

    @staticmethod
    def _add(place: list[str], found: Any) -> None:
        place.extend(one for one in found if one not in place)


def call_everything(plugin: PluginInfo, given: Mapping[str, str]) -> DryCalls:
    """Make a dry call of each hook of a plugin that needs no service: its options, a job for each command, a runner,
    and the graphs of the conformance kit.

    Args:
        plugin: an installed plugin.
        given: values of options; required options that are missing get a sample.
    """
    calls = DryCalls(problems=[f"{plugin}: {problem}" for problem in unmet_requirements(plugin.distribution)])
    selected = Plugins()
    own: list[Option] = []
    with calls.trying("import"):
        selected.add(plugin.role, plugin.name)
    if "import" not in calls.called:
        return calls
    with calls.trying("options"):
        own = [item.option for item in selected.declared_options() if item.plugin == plugin.name]
    _say_masked("options", [option.name for option in own], calls)
    options = {**_samples(own, calls, plugin), **given}
    if plugin.role in ("orchestrator", "environment", "add-on") and "options" in calls.called:
        with calls.trying("pipelines"):
            _build(plugin, selected, options, calls)
    return calls


def _say_masked(what: str, names: Sequence[str], calls: DryCalls) -> None:
    """Note which names are secret. Their values are masked also where another process needs them."""
    secret = sorted({name for name in names if is_secret_name(name)})
    if secret:
        calls.notes.append(
            f"these {what} count as secret, so they are masked in every copy that is shown or stored: {', '.join(secret)}. "
            "If one is a path, let its name end in _file, _path or _dir"
        )


def _samples(own: list[Option], calls: DryCalls, plugin: PluginInfo) -> dict[str, Any]:
    """Return a value for each required option, and check that defaults are values that the option would accept."""
    found: dict[str, Any] = {}
    for option in own:
        if option.default is not None and not _accepts(option.type, option.default):
            calls.problems.append(
                f"{plugin}: the default {option.default!r} of option '{option.name}' is not a valid value; use {option.type.allowed}"
            )
        if option.required:
            words = option.type.allowed.removeprefix("one of ").split(", ")
            value = next((one for one in (*_SAMPLES, *words) if _accepts(option.type, one)), None)
            if value is None:
                calls.notes.append(f"option '{option.name}' is required; give it with --option {option.name}=VALUE")
            else:
                found[option.name] = value
    return found


def _accepts(kind: Kind[Any], value: Any) -> bool:
    try:
        kind.read(value)
    except Exception:  # whatever a type of a plugin raises
        return False
    return True


def _build(plugin: PluginInfo, selected: Plugins, options: Mapping[str, Any], calls: DryCalls) -> None:
    """Build the graphs of the kit with a plugin, and those of its jobs that the graphs lack."""
    from ..testing import CORPUS, FakeEnvironment, RecordingOrchestrator

    plugins: dict[str, Any] = {"orchestrator": RecordingOrchestrator(), "environment": FakeEnvironment(lifecycle=True)}
    addons = [plugin.name] if plugin.role == "add-on" else []
    if not addons:
        plugins[plugin.role] = plugin.name

    def opened(more: Mapping[str, Any]) -> Orchestration:
        return Orchestration({**options, **more}, **plugins, addons=addons, filename="plugins_check.py", namespace={})

    jobs: dict[str, Job] = {}
    for name, graph in CORPUS.items():
        if not graph.large:
            with calls.trying(f"pipeline {name}"), opened(graph.options) as orchestration:
                _collect(graph(orchestration), jobs)
    with calls.trying("pipeline of every command"), opened({"pre_load_strategy": "imported"}) as orchestration:
        with orchestration.sl_create_pipeline(name="every_command") as pipeline:
            pipeline.sl_job("freshness", ["freshness", "--tables", "sales.orders"])
        _collect(pipeline, jobs)
    if plugin.role == "environment":
        _compare(plugin, CORPUS["two_domains"], opened, jobs, calls)
        _use(jobs, selected, calls, plugin)


def _compare(
    plugin: PluginInfo,
    graph: Graph,
    opened: Callable[[Mapping[str, Any]], Orchestration],
    jobs: Mapping[str, Job],
    calls: DryCalls,
) -> None:
    """Build a graph twice, and compare the jobs."""
    again: dict[str, Job] = {}
    with calls.trying("equal jobs for equal commands"), opened(graph.options) as orchestration:
        _collect(graph(orchestration), again)
        for name in sorted({*jobs} & {*again}):
            if again[name].spec != jobs[name].spec:
                raise PluginContractError(f"{plugin}: sl_create_job returned another job for the same command {name}")


def _collect(pipeline: StarlakePipeline, jobs: dict[str, Job]) -> None:
    """Collect one job for each command."""
    for task in pipeline.tasks():
        if task.job is not None:
            jobs.setdefault(task.command.name if task.command is not None else task.id, task.job)


def _use(jobs: Mapping[str, Job], selected: Plugins, calls: DryCalls, plugin: PluginInfo) -> None:
    """Bind, store and read each job, and create a runner for it."""
    _say_masked("values of the spec", [name for job in jobs.values() for name in job.spec], calls)
    run = Run("every_command", "check", DataInterval(_MOMENT, _MOMENT), root_run_id="check")
    for name, job in jobs.items():
        with calls.trying(f"job of {name}"):
            try:
                text = job.to_json()
            except (TypeError, ValueError) as error:
                raise PluginContractError(f"{plugin}: the job of {name} does not survive JSON: {error}") from error
            if Job.from_json(text) != job:
                raise PluginContractError(f"{plugin}: the job of {name} is another one after it was stored as JSON")
            runner = selected.create_runner(job.bind(run.attempt(name)))
            runner.describe(job.bind(run.attempt(name)))

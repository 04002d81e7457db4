"""An add-on that keeps every promise, and others that break one each."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlake_core import (
    STR,
    Command,
    CreateChildren,
    Job,
    Lifecycle,
    OptionGroup,
    Options,
    Pipeline,
    Preload,
    RunKey,
    TaskGroup,
    hookimpl,
    option,
)
from starlake_core.runtime import AttemptInfo, DelegatingRunner, Outcome, Runner, Status, Verdict
from starlake_core.testing import AddonSuite, Record


class LabelsOptions(OptionGroup):
    labels_team: str = option(STR, "nobody", doc="Who pays.")


class Labels:
    """Labels every job, those of the set-up included."""

    name = "labels"

    @hookimpl
    def sl_options(self) -> Sequence[type[OptionGroup]]:
        return [LabelsOptions]

    def labelled(self, job: Job, options: Options) -> Job:
        return replace(job, spec={**job.spec, "labels": {"team": options[LabelsOptions].labels_team}})

    @hookimpl(wrapper=True)
    def sl_create_job(self, command: Command, options: Options) -> Generator[None, Job, Job]:
        return self.labelled((yield), options)

    @hookimpl(wrapper=True)
    def sl_create_lifecycle(
        self, pipeline: Pipeline, options: Options
    ) -> Generator[None, Lifecycle | None, Lifecycle | None]:
        made = yield
        return made and made.map_jobs(lambda job: self.labelled(job, options))


class IgnoresItsOption(Labels):
    def labelled(self, job: Job, options: Options) -> Job:
        return replace(job, spec={**job.spec, "labels": {"team": "sales"}})


class ForgetsTheSetUp(Labels):
    @hookimpl(wrapper=True)
    def sl_create_lifecycle(self, pipeline: Pipeline, options: Options) -> Generator[None, Any, Any]:
        return (yield)


class ForgetsTheTearDown(Labels):
    @hookimpl(wrapper=True)
    def sl_create_lifecycle(self, pipeline: Pipeline, options: Options) -> Generator[None, Any, Any]:
        made = yield
        return made and replace(made, setup=made.map_jobs(lambda job: self.labelled(job, options)).setup)


class _Changes(Labels):
    def labelled(self, job: Job, options: Options) -> Job:
        return self.changed(super().labelled(job, options))

    def changed(self, job: Job) -> Job:
        raise NotImplementedError


class AddsAnArgument(_Changes):
    def changed(self, job: Job) -> Job:
        return replace(job, arguments=(*job.arguments, "--reportFormat", "json")) if job.arguments else job


class DropsEnv(_Changes):
    def changed(self, job: Job) -> Job:
        return replace(job, env={})


class CountsItsJobs(_Changes):
    numbers = itertools.count()

    def changed(self, job: Job) -> Job:
        return replace(job, spec={**job.spec, "number": next(self.numbers)})


class HasTuples(_Changes):
    def changed(self, job: Job) -> Job:
        return replace(job, spec={**job.spec, "pair": ("a", "b")})


class ShowsSecrets(_Changes):
    def changed(self, job: Job) -> Job:
        return replace(job, spec={**job.spec, "told": " ".join(job.env.values())})


class ChecksNothing(Labels):
    @hookimpl(wrapper=True)
    def sl_create_preload(self, preload: Preload, options: Options) -> Generator[None, Any, Any]:
        yield
        return self.labelled(Job("fake", ("load", "--domains", preload.domain)), options)


class WritesVariables(Labels):
    def labelled(self, job: Job, options: Options) -> Job:
        options._values["sl_env_var"]["TEAM"] = "sales"
        return super().labelled(job, options)


class _Answers(Labels):
    verdict: tuple[Verdict, Verdict]

    @hookimpl(wrapper=True)
    def sl_create_runner(self, job: Job) -> Generator[None, Runner, Runner]:
        runner, (wrong, told) = (yield), self.verdict

        class Changed(type(runner)):  # type: ignore[misc]
            def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
                found = super().poll(handles)
                return {
                    handle: Status(Outcome(told))
                    if status.outcome is not None and status.outcome.verdict is wrong
                    else status
                    for handle, status in found.items()
                }

        return Changed(runner._environment)  # type: ignore[no-any-return]


class FailureIsGreen(_Answers):
    verdict = (Verdict.FAILED, Verdict.SUCCEEDED)


class NotReadyIsRed(_Answers):
    verdict = (Verdict.NOT_READY, Verdict.FAILED)


class CreatesTasksTwice(Labels):
    @hookimpl(wrapper=True)
    def sl_create_task_group(self, group: TaskGroup, create_children: CreateChildren) -> Generator[None, Any, Any]:
        made = yield
        return replace(made, children={**made.children, "again": Record(next(iter(group.tasks())))})


class DropsEdges(Labels):
    @hookimpl(wrapper=True)
    def sl_create_pipeline(self, pipeline: Pipeline, create_children: CreateChildren) -> Generator[None, Any, Any]:
        return replace((yield), edges=())


class ForgetsItsName(Labels):
    @hookimpl(tryfirst=True)
    def sl_create_preload(self, preload: Preload, options: Options) -> Job:
        return self.labelled(Job("labels", spec={"domain": preload.domain}), options)


class _Wraps(Labels):
    @hookimpl(wrapper=True)
    def sl_create_runner(self, job: Job) -> Generator[None, Runner, Runner]:
        return self.wrapped((yield))

    def wrapped(self, runner: Runner) -> Runner:
        raise NotImplementedError


class _Wrapper(Runner):
    """What an author writes who implements what is abstract, and nothing else."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        return self._runner.find(job, task)

    def submit(self, job: Job, key: RunKey) -> str:
        return self._runner.submit(job, key)

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        return self._runner.poll(handles)

    def cancel(self, handle: str) -> None:
        self._runner.cancel(handle)

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        return self._runner.logs(handle, cursor)


class LosesAttributes(_Wraps):
    def wrapped(self, runner: Runner) -> Runner:
        return _Wrapper(runner)


class LosesTheTail(_Wraps):
    def wrapped(self, runner: Runner) -> Runner:
        class NoTail(DelegatingRunner):
            tail = Runner.tail

        return NoTail(runner)


class LosesAttempts(_Wraps):
    def wrapped(self, runner: Runner) -> Runner:
        class FindsNothing(DelegatingRunner):
            def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
                return ()

        return FindsNothing(runner)


class LosesOutput(_Wraps):
    def wrapped(self, runner: Runner) -> Runner:
        class Silent(DelegatingRunner):
            def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
                return (), cursor

        return Silent(runner)


class CancelsNothing(_Wraps):
    def wrapped(self, runner: Runner) -> Runner:
        class NeverStops(DelegatingRunner):
            def cancel(self, handle: str) -> None:
                pass

        return NeverStops(runner)


class LabelsSuite(AddonSuite):
    addon: Any = Labels()
    levels = ("basic", "jobs")

    def addon_options(self, root: Path) -> Mapping[str, Any]:
        return {"labels_team": "sales"}

    def reached(self, job: Job) -> bool:
        return bool(job.spec.get("labels") == {"team": "sales"})

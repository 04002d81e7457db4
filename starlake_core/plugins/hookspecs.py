"""The contract between the core and its plugins: every hook, when it is called, and what None means.

A plugin is a module of functions marked with :data:`hookimpl`. It has one role: *orchestrator* (when tasks run),
*environment* (where their commands run), *project* (what a Starlake project says) or *add-on* (a cross-cutting concern).
``sl_create_*`` hooks stop at the first answer that is not None; None always means "not mine, ask on".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from ..model.command import Command, Preload
    from ..model.demo import Demo, DemoTables
    from ..model.facts import ProjectCheck, ProjectFacts
    from ..model.graph import Pipeline, Task, TaskGroup
    from ..model.job import Job
    from ..model.run import Report, RunRequest
    from ..options import Option, OptionGroup, Options
    from .runner import Runner

__all__ = ["CreateChildren", "HookSpecs", "Lifecycle", "hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("starlake_core")
hookimpl = pluggy.HookimplMarker("starlake_core")
"""Marks a function of a plugin as the implementation of a hook: ``@hookimpl``."""

CreateChildren = Callable[[], "Mapping[str, Any]"]
"""Makes the native children of a group: id to native object, in topological order. To be called exactly once."""


@dataclass(frozen=True)
class Lifecycle:
    """Jobs around a pipeline, such as the creation and deletion of a cluster.

    Attributes:
        setup: task id and job of each step before the work, in order.
        teardown: task id and job of each step after the work, in order; they run whatever happened.
    """

    setup: tuple[tuple[str, Job], ...] = ()
    teardown: tuple[tuple[str, Job], ...] = ()


class HookSpecs:
    """The hooks. A plugin implements those of its role and leaves out the rest."""

    @hookspec
    def sl_options(self) -> Sequence[Option | type[OptionGroup]]:
        """Declare the options that the plugin understands.

        Called once when an orchestration opens, for every selected plugin, and by ``starlake-orchestrate options``. Optional for
        every role; leaving it out means that the plugin has no options of its own. A plugin declares its options as a group, whose
        attributes have types; single ones are taken too.

        Example::

            class ShellOptions(OptionGroup):
                starlake_path: str = option(STR, "starlake", name="SL_STARLAKE_PATH", doc="The executable.")

            @hookimpl
            def sl_options():
                return [ShellOptions]
        """
        raise NotImplementedError

    @hookspec
    def sl_find_options(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Find option values elsewhere: in a store of the orchestrator's own, or under a name of earlier days. Optional for every role.

        Called when an orchestration opens, before the options are checked. ``given`` are the explicit options; what is found is weaker
        than they are, and stronger than environment variables and defaults. Only look where the user asked for it: a pipeline file is
        read again and again.

        Example::

            @hookimpl
            def sl_find_options(given):
                return {"retries": "3"} if given.get("careful") else {}
        """
        raise NotImplementedError

    @hookspec
    def sl_task_keywords(self) -> Sequence[str]:
        """Name the orchestrator's own keywords that the verbs of a pipeline accept (``trigger_rule``, a callback ...).

        Called once when an orchestration opens. Optional, for orchestrators and add-ons; a keyword that nobody names is refused.
        What was given arrives in ``task.native`` (``pipeline.native_options`` for ``sl_create_pipeline``).

        Example::

            @hookimpl
            def sl_task_keywords():
                return ["trigger_rule", "on_failure_callback"]
        """
        raise NotImplementedError

    @hookspec
    def sl_pipeline_keywords(self) -> Sequence[str]:
        """Name the orchestrator's own keywords that ``sl_create_pipeline`` accepts.

        Called once when an orchestration opens. Optional, for orchestrators and add-ons; where no plugin implements it, those of
        ``sl_task_keywords`` are accepted. A refusal names these and no others. What was given arrives in ``pipeline.native_options``.

        Example::

            @hookimpl
            def sl_pipeline_keywords():
                return ["on_success_callback", "doc_md"]
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def sl_create_job(self, command: Command, options: Options) -> Job | None:
        """Say where and how a Starlake command runs. Required of an environment.

        Called by the verbs of a pipeline, while the pipeline file is read. Pure: no SDK import, no I/O, no clock; the same
        input gives an equal job. ``options`` are typed, checked and overlaid with those of the task. None from an add-on: the
        environment answers.

        Example::

            @hookimpl
            def sl_create_job(command, options):
                spec = {"executable": options[ShellOptions].starlake_path}
                return Job("shell", command.vector, options[GeneralOptions].sl_env_var, spec)
        """

    @hookspec(firstresult=True)
    def sl_create_runner(self, job: Job) -> Runner | None:
        """Make the object that submits, polls and cancels jobs like this one. Required of an environment.

        Called in the worker at run time, once per endpoint and process. SDKs are imported here and not before. All it needs
        is in the job and in the worker's own credentials: the pipeline file is not read again.

        Example::

            @hookimpl
            def sl_create_runner(job):
                return ProcessRunner(lambda job: (job.spec["executable"], *job.arguments))
        """

    @hookspec(firstresult=True)
    def sl_read_facts(self, job: Job, environ: Mapping[str, str]) -> ProjectFacts | None:
        """Say what the Starlake project says about the work of a command. Optional, for readers of projects.

        Called by the runtime in the worker, before a command is started whose repetition depends on the project. ``job`` is bound;
        ``environ`` is what the command sees, ``SL_ROOT`` among it. None: the project is not on this machine, or says nothing about
        such a command. A reader may raise: the runtime warns, and goes on with what is safe for any project.

        Example::

            @hookimpl
            def sl_read_facts(job, environ):
                return ProjectFacts(strategy="OVERWRITE") if job.arguments[:1] == ("transform",) else None
        """

    @hookspec(firstresult=True)
    def sl_check_project(self, folder: Path, strict: bool) -> ProjectCheck | None:
        """Say what is wrong with the files of a Starlake project, all of it at once. Optional, for readers of projects.

        Called by ``starlake-orchestrate check`` for a folder with ``metadata/application.sl.yml``. ``strict`` makes errors of what Starlake
        forgives, as an undefined variable. None: the plugin does not read such a project.

        Example::

            @hookimpl
            def sl_check_project(folder, strict):
                return ProjectCheck(files=1, warnings=("metadata/application.sl.yml:3: audit has no effect",))
        """

    @hookspec(firstresult=True)
    def sl_write_demo(self, folder: Path, again: bool) -> Demo | None:
        """Write a small project that runs at once, with its files and pipelines, to a folder. Optional, for readers of projects.

        Called by ``starlake-orchestrate demo``. A folder that is not empty is touched only if an earlier call wrote it: what that left
        unfinished is finished, and what is there stays as it is. ``again`` lets further files come in, and changes nothing else. None: the
        plugin has no demo. It raises NothingFoundError where the folder is somebody else's, and RunError where it cannot be written.

        Example::

            @hookimpl
            def sl_write_demo(folder, again):
                (folder / "pipelines").mkdir(parents=True, exist_ok=True)
                return Demo("a shop", folder / "pipelines", made=True)
        """

    @hookspec(firstresult=True)
    def sl_show_demo(self, folder: Path) -> DemoTables | None:
        """Say what is in the tables of the demo in a folder. Optional, for readers of projects.

        Called by ``starlake-orchestrate demo``, before it runs the pipelines and after. None: there are no tables, or they cannot be read
        from here.

        Example::

            @hookimpl
            def sl_show_demo(folder):
                return DemoTables((("shop.orders", 3),)) if (folder / "shop.db").exists() else None
        """

    @hookspec(firstresult=True)
    def sl_create_preload(self, preload: Preload, options: Options) -> Job | None:
        """Make the check of a domain, in place of ``starlake preload``. Optional, for environments and add-ons.

        Called by ``sl_pre_load`` unless the strategy is none. None from all: the command ``preload`` is built and given to
        ``sl_create_job``. The job is marked as a check in any case.

        Example::

            @hookimpl(tryfirst=True)
            def sl_create_preload(preload, options):
                return Job("shell", preload.command().vector) if preload.domain == "sales" else None
        """

    @hookspec(firstresult=True)
    def sl_create_lifecycle(self, pipeline: Pipeline, options: Options) -> Lifecycle | None:
        """Give the jobs that prepare a pipeline and clean up after it. Optional, for environments.

        Called by ``pre_tasks`` and ``post_tasks``. None: there is nothing to prepare, and both return None.

        Example::

            @hookimpl
            def sl_create_lifecycle(pipeline, options):
                return Lifecycle(setup=(("create_cluster", Job("dataproc", spec={"create": "c-${sl_run_hash}"})),))
        """

    @hookspec(firstresult=True)
    def sl_create_task(self, task: Task) -> Any:
        """Make the native form of a task: operator, op, step. Required of an orchestrator.

        Called by the rendering, once per task, while the native container of the task is open (if the container made its
        children inside of itself). Called, too, for a task that is wanted by itself, as a part of something that the user writes by hand:
        then nothing of its pipeline is being rendered. None from an add-on: the orchestrator answers.

        Example::

            @hookimpl
            def sl_create_task(task):
                return Step(task.id, task.job)
        """

    @hookspec(firstresult=True)
    def sl_create_task_group(self, group: TaskGroup, create_children: CreateChildren) -> Any:
        """Make the native form of a group that is not empty. Required of an orchestrator.

        Called by the rendering. The plugin calls ``create_children`` exactly once, whenever its children have to come to life, and
        applies ``group.edges`` to what it returns.

        Example::

            @hookimpl
            def sl_create_task_group(group, create_children):
                return Steps(group.id, create_children(), group.edges)
        """

    @hookspec(firstresult=True)
    def sl_create_pipeline(self, pipeline: Pipeline, create_children: CreateChildren) -> Any:
        """Make the native form of the whole pipeline: DAG, job, plan. Required of an orchestrator.

        Called once, when the ``with`` block of the pipeline ends without an exception; otherwise as ``sl_create_task_group``.

        Example::

            @hookimpl
            def sl_create_pipeline(pipeline, create_children):
                return Plan(pipeline.id, create_children(), pipeline.edges)
        """

    @hookspec
    def sl_publish_pipelines(self, pipelines: Sequence[Pipeline], namespace: dict[str, Any]) -> None:
        """Put what the orchestrator's loader looks for into the module of the pipeline file. Optional, for orchestrators.

        Called when the ``with`` block of the orchestration ends without an exception. ``namespace`` is the dictionary of that module;
        each pipeline carries its native form in ``native``. A file may open several orchestrations: add to what is there.

        Example::

            @hookimpl
            def sl_publish_pipelines(pipelines, namespace):
                namespace.setdefault("jobs", []).extend(pipeline.native for pipeline in pipelines)
        """

    @hookspec(firstresult=True)
    def sl_run_pipeline(self, pipeline: Pipeline, request: RunRequest) -> Report | None:
        """Run a pipeline now, and wait for its end. Optional, for orchestrators.

        Called by ``pipeline.run()``, ``dry_run()`` and ``backfill()`` and by the command line. None: the orchestrator cannot do this from here.

        Example::

            @hookimpl
            def sl_run_pipeline(pipeline, request):
                return Report(pipeline.id, request.run.run_id, TaskState.SUCCEEDED)
        """

    @hookspec
    def sl_check_file(self, file: Path) -> Sequence[str]:
        """Say what the orchestrator's own loader would have against a pipeline file. Optional, for orchestrators.

        Called by ``starlake-orchestrate check`` for every file that opened an orchestration. One sentence for every problem.

        Example::

            @hookimpl
            def sl_check_file(file):
                return [] if file.suffix == ".py" else ["the name of a pipeline file ends in .py"]
        """
        raise NotImplementedError

    @hookspec
    def sl_check_pipelines(self, pipelines: Sequence[Pipeline]) -> Sequence[str]:
        """Say what becomes of several pipelines together that nobody may expect. Optional, for orchestrators.

        Called by ``starlake-orchestrate check`` once, with the pipelines of all files. One sentence for every finding.

        Example::

            @hookimpl
            def sl_check_pipelines(pipelines):
                return ["there are more than a thousand pipelines"] if len(pipelines) > 1000 else []
        """
        raise NotImplementedError

    @hookspec
    def sl_check_site(self, pipelines: Sequence[Pipeline]) -> Sequence[str]:
        """Say what has to be made where the orchestrator runs before pipelines can run there. Optional, for orchestrators.

        Called by ``starlake-orchestrate check`` and ``deploy`` once, with the pipelines of all files. One sentence for everything that is missing,
        with the command that makes it; each is an error. What cannot be known from here is left out.

        Example::

            @hookimpl
            def sl_check_site(pipelines):
                return [] if shutil.which("acme-daemon") else ["there is no daemon; start it with: acme-daemon &"]
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def sl_backfill(self, pipeline: Pipeline, requests: Sequence[RunRequest]) -> Iterable[Report] | None:
        """Run several intervals of a pipeline by the orchestrator's own means. Optional, for orchestrators.

        Called by ``pipeline.backfill()`` and ``starlake-orchestrate backfill`` with what is asked for, in the order of the dates. The reports come in
        the order in which the runs end. None: they are run one after the other with ``sl_run_pipeline``.

        Example::

            @hookimpl
            def sl_backfill(pipeline, requests):
                return [Report(pipeline.id, r.run.run_id, TaskState.SUCCEEDED, interval=r.run.interval) for r in requests]
        """

    @hookspec
    def sl_plan_runs(self, pipelines: Sequence[Pipeline], requests: Sequence[RunRequest]) -> None:
        """Take note of runs that are about to be started one after the other. Optional, for orchestrators.

        Called before the first of several runs that were asked for together, so that those that never started can be resumed too.

        Example::

            @hookimpl
            def sl_plan_runs(pipelines, requests):
                for pipeline, request in zip(pipelines, requests):
                    remember(pipeline.id, request.run.run_id, request.group)
        """

    @hookspec(firstresult=True)
    def sl_list_runs(self, options: Options, folder: Path, limit: int | None) -> Sequence[Report] | None:
        """List the runs that the orchestrator remembers, the newest first. Optional, for orchestrators.

        Called by ``starlake-orchestrate runs`` and ``resume``. ``folder`` is where the pipeline files are, ``limit`` how many runs at most
        (None for all). None: it keeps no record that can be read from here.

        Example::

            @hookimpl
            def sl_list_runs(options, folder, limit):
                return []
        """

    @hookspec(firstresult=True)
    def sl_forget_run(self, options: Options, folder: Path, run_id: str) -> bool | None:
        """Forget a run that is recorded. Optional, for orchestrators.

        Called by ``starlake-orchestrate runs --forget``. ``folder`` is where the pipeline files are. Returns whether there was such a run.
        None: it keeps no record that can be changed from here.

        Example::

            @hookimpl
            def sl_forget_run(options, folder, run_id):
                return False
        """

    @hookspec(firstresult=True)
    def sl_deploy(self, files: Sequence[Path], options: Options) -> Sequence[Path] | None:
        """Bring pipeline files to where the orchestrator loads them. Optional, for orchestrators.

        Called by ``starlake-orchestrate deploy``. Returns the files written. None: the orchestrator has no such place.

        Example::

            @hookimpl
            def sl_deploy(files, options):
                return [Path(shutil.copy(file, "dags")) for file in files]
        """

    @hookspec(firstresult=True)
    def sl_delete(self, files: Sequence[Path], options: Options) -> Sequence[Path] | None:
        """Take deployed pipeline files away again. Optional, for orchestrators.

        Called by ``starlake-orchestrate delete``. Returns the files removed. None: the orchestrator has no such place.

        Example::

            @hookimpl
            def sl_delete(files, options):
                return []
        """

"""The contract between the core and its plugins: every hook, when it is called, and what None means.

A plugin is a module of functions marked with :data:`hookimpl`. It has one role: *orchestrator* (when tasks run),
*environment* (where their commands run), *project* (what a Starlake project says), *page* (how people see them) or *add-on* (a cross-cutting
concern). ``sl_create_*`` hooks stop at the first answer that is not None. None means "not mine, ask the next plugin".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from ..freshness import Event, Recorded
    from ..model.command import Command, Preload
    from ..model.demo import Demo, DemoTables
    from ..model.facts import PipelineFault, ProjectCheck, ProjectFacts
    from ..model.graph import Pipeline, Task, TaskGroup
    from ..model.job import Job
    from ..model.outcome import Outcome
    from ..model.page import LivePage, Page
    from ..model.run import Report, RunKey, RunRequest
    from ..model.schedule import Fires
    from ..options import Option, OptionGroup, Options
    from .runner import Runner

__all__ = ["HOOKS_VERSION", "CreateChildren", "HookSpecs", "Lifecycle", "hookimpl", "hookspec"]

HOOKS_VERSION = "1.0"
"""The version of the hooks and of the public names of plugins. The second number grows when something is added or
deprecated, the first when something is removed. A plugin may declare the version that it needs: ``needs_hooks =
"1.0"``."""

hookspec = pluggy.HookspecMarker("starlake_core")
hookimpl = pluggy.HookimplMarker("starlake_core")
"""Marks a function of a plugin as the implementation of a hook: ``@hookimpl``."""

CreateChildren = Callable[[], "Mapping[str, Any]"]
"""Creates the native children of a group and returns them by id, in topological order. Call it exactly once.

A child is what ``sl_create_task`` or ``sl_create_task_group`` returned, or what the factory of ``add_native`` returned,
which is any object of the orchestrator. The neutral nodes, with paths and triggers, are in ``group.nodes`` by the same
ids."""


@dataclass(frozen=True)
class Lifecycle:
    """Jobs around a pipeline, such as the creation and deletion of a cluster.

    Attributes:
        setup: the task id and job of each step before the work, in order.
        teardown: the task id and job of each step after the work, in order; they run even if the work failed.
    """

    setup: tuple[tuple[str, Job], ...] = ()
    teardown: tuple[tuple[str, Job], ...] = ()

    def map_jobs(self, change: Callable[[Job], Job]) -> Lifecycle:
        """Return a lifecycle with the same steps, each with a changed job.

        Args:
            change: takes the job of a step, before or after the work, and returns the one to run instead.
        """
        setup, teardown = (tuple((name, change(job)) for name, job in steps) for steps in (self.setup, self.teardown))
        return Lifecycle(setup, teardown)


class HookSpecs:
    """The hooks. A plugin implements those of its role and omits the others."""

    @hookspec
    def sl_options(self) -> Sequence[Option | type[OptionGroup]]:
        """Declare the options that the plugin understands.

        Called once when an orchestration opens, for every selected plugin, and by ``starlake-orchestrate options``.
        Optional for every role; a plugin without it has no options. Declare the options as a group, whose attributes
        have types, or as single options.

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
        """Find option values in other places: in a store of the orchestrator, or under an earlier name. Optional for
        every role.

        Called when an orchestration opens, before the options are checked. ``given`` are the explicit options. They
        override the values found, which override environment variables and defaults. Look only where the user wants it,
        because a pipeline file is read again and again.

        Example::

            @hookimpl
            def sl_find_options(given):
                return {"retries": "3"} if given.get("careful") else {}
        """
        raise NotImplementedError

    @hookspec
    def sl_task_keywords(self) -> Sequence[str]:
        """Name the orchestrator's own keywords that the verbs of a pipeline accept (``trigger_rule``, a callback ...).

        Called once when an orchestration opens. Optional, for orchestrators and add-ons; any other keyword is refused.
        The values arrive in ``task.native`` (``pipeline.native_options`` for ``sl_create_pipeline``).

        Example::

            @hookimpl
            def sl_task_keywords():
                return ["trigger_rule", "on_failure_callback"]
        """
        raise NotImplementedError

    @hookspec
    def sl_pipeline_keywords(self) -> Sequence[str]:
        """Name the orchestrator's own keywords that ``sl_create_pipeline`` accepts.

        Called once when an orchestration opens. Optional, for orchestrators and add-ons; if no plugin implements it,
        those of ``sl_task_keywords`` are accepted. An error message lists only these keywords. The values arrive in
        ``pipeline.native_options``.

        Example::

            @hookimpl
            def sl_pipeline_keywords():
                return ["on_success_callback", "doc_md"]
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def sl_create_job(self, command: Command, options: Options) -> Job | None:
        """Return where and how a Starlake command runs. Required for environments.

        Called by the verbs of a pipeline, while the pipeline file is read. It must be pure: no SDK import, no I/O, no
        clock, and equal jobs for equal input. ``options`` are typed, checked and overlaid with those of the task. If an
        add-on returns None, the environment answers. An add-on that changes the job of the environment is a wrapper
        (``@hookimpl(wrapper=True)``, with ``job = yield``).

        Example::

            @hookimpl
            def sl_create_job(command, options):
                spec = {"executable": options[ShellOptions].starlake_path}
                return Job("shell", command.vector, options[GeneralOptions].sl_env_var, spec)
        """

    @hookspec(firstresult=True)
    def sl_create_runner(self, job: Job) -> Runner | None:
        """Create the runner that submits, polls and cancels jobs like this one. Required for environments.

        Called in the worker at run time, once per endpoint and process. Import SDKs here and not before. The job and
        the worker's own credentials hold everything it needs, because the pipeline file is not read again.

        Example::

            @hookimpl
            def sl_create_runner(job):
                return ProcessRunner(lambda job: (job.spec["executable"], *job.arguments))
        """

    @hookspec(firstresult=True)
    def sl_read_facts(self, job: Job, environ: Mapping[str, str]) -> ProjectFacts | None:
        """Return what the Starlake project says about the work of a command. Optional, for readers of projects.

        Called by the runtime in the worker, before it starts a command whose repetition depends on the project. ``job``
        is bound; ``environ`` holds the environment variables of the command, including ``SL_ROOT``. Return None if the
        project is not on this machine, or says nothing about such a command. If a reader raises, the runtime warns and
        does what is safe for any project.

        Example::

            @hookimpl
            def sl_read_facts(job, environ):
                return ProjectFacts(strategy="OVERWRITE") if job.arguments[:1] == ("transform",) else None
        """

    @hookspec
    def sl_check_jobs(self, jobs: Sequence[Job]) -> Sequence[str]:
        """Return why some jobs cannot succeed, however often they run. Optional, for environments that read the project
        on this machine.

        Called by an orchestrator before a run (:func:`starlake_core.explain_hopeless`), which then starts nothing. Return
        only what stops every attempt (a file of the project that cannot be read); anything else belongs to the attempts.
        ``jobs`` are bound; they may include jobs of other environments.

        Example::

            @hookimpl
            def sl_check_jobs(jobs):
                roots = {job.env["SL_ROOT"] for job in jobs if job.environment == "shell"}
                return [f"{root} is not a folder" for root in sorted(roots) if not Path(root).is_dir()]
        """
        raise NotImplementedError

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
    def sl_build_project(self, folder: Path, columns: bool) -> bool | None:
        """Build the pipelines of a Starlake project. Optional, for readers of projects.

        Called by every command that gets the folder of a project instead of pipeline files. Open orchestrations as a
        pipeline file does; the command collects their pipelines. ``columns`` says whether somebody looks at the columns
        of transforms and at what they are computed from, which may take longer. Return True, or None if the plugin does
        not build pipelines.

        Example::

            @hookimpl
            def sl_build_project(folder, columns):
                with Orchestration(filename=str(folder), namespace={}) as orchestration:
                    with orchestration.sl_create_pipeline(name=folder.name) as pipeline:
                        pipeline.start_task() >> pipeline.end_task()
                return True
        """

    @hookspec(firstresult=True)
    def sl_select_tables(
        self, folder: Path, select: Sequence[str], exclude: Sequence[str], state: Path | None
    ) -> Sequence[str] | None:
        """Return the tables and transforms of a Starlake project that words select. Optional, for readers of projects.

        Called by the commands that run a part of a project. ``state`` is a file that ``graph --format json`` wrote
        earlier, for words that compare with it. Return names, ``domain.table``, or None if the plugin has no words of
        its own; then the words are patterns. Raise NothingFoundError for a word that selects nothing.

        Example::

            @hookimpl
            def sl_select_tables(folder, select, exclude, state):
                return [name for name in tables_of(folder) if name in select and name not in exclude]
        """

    @hookspec(firstresult=True)
    def sl_export_project(
        self,
        folder: Path,
        orchestrator: str,
        environment: str | None,
        options: Mapping[str, str],
        output: Path,
        by: str,
        name: str,
    ) -> Mapping[Path, str | None] | None:
        """Return the pipelines of a Starlake project as pipeline files. Optional, for readers of projects.

        Called by ``starlake-orchestrate export``. ``by`` says how tables and transforms are grouped into pipelines, in
        the words of the plugin, and ``name`` what the project is called in the files. Return the text of each file below
        ``output``, and None for a file of an earlier export of the same project that is not needed any more. Return None
        if the plugin does not export pipelines.

        Example::

            @hookimpl
            def sl_export_project(folder, orchestrator, environment, options, output, by, name):
                return {output / f"{name}.py": f"publish({str(folder)!r}, orchestrator={orchestrator!r}, by={by!r})"}
        """

    @hookspec(firstresult=True)
    def sl_write_project(self, folder: Path, files: Sequence[Path]) -> Sequence[Path] | None:
        """Write a new Starlake project, and return its files. Optional, for readers of projects.

        Called by ``starlake-orchestrate init``. The project has a table for each of the data files, and an example
        without files. Return None if the plugin does not write projects. Raise NothingFoundError if the folder is not
        empty.

        Example::

            @hookimpl
            def sl_write_project(folder, files):
                return [write_application(folder), *(write_table(folder, file) for file in files)]
        """

    @hookspec(firstresult=True)
    def sl_write_demo(self, folder: Path, again: bool) -> Demo | None:
        """Write a small project that is ready to run to a folder. Optional, for readers of projects.

        Called by ``starlake-orchestrate demo``. A folder that is not empty is changed only if an earlier call wrote it:
        the hook finishes what that call left unfinished, and keeps existing files. ``again`` only delivers further
        files. Return None if the plugin has no demo. Raise NothingFoundError if the folder holds anything else, and
        RunError if it cannot be written.

        Example::

            @hookimpl
            def sl_write_demo(folder, again):
                (folder / "pipelines").mkdir(parents=True, exist_ok=True)
                return Demo("a shop", folder / "pipelines", made=True)
        """

    @hookspec(firstresult=True)
    def sl_show_demo(self, folder: Path) -> DemoTables | None:
        """Return what is in the tables of the demo in a folder. Optional, for readers of projects.

        Called by ``starlake-orchestrate demo``, before and after it runs the pipelines. Return None if there are no
        tables, or they cannot be read from here.

        Example::

            @hookimpl
            def sl_show_demo(folder):
                return DemoTables((("shop.orders", 3),)) if (folder / "shop.db").exists() else None
        """

    @hookspec(firstresult=True)
    def sl_create_page(self, page: Page) -> str | None:
        """Return a page about pipelines and their runs, as one HTML document that loads nothing else. Required for pages.

        Called by ``starlake-orchestrate graph --format html``, ``runs --format html``, and ``run`` and ``resume`` with
        ``--report``. Texts and logs may hold anything: mask secrets, and escape what is shown.
        Return None only if another plugin makes the page.

        Example::

            @hookimpl
            def sl_create_page(page):
                return "<!doctype html><title>pipelines</title>" + "".join(f"<p>{p.id}" for p in page.pipelines)
        """

    @hookspec(firstresult=True)
    def sl_serve_page(self, page: LivePage) -> bool | None:
        """Show a page that follows runs as they go, until the user stops it with Ctrl-C. Required for pages.

        Called by ``starlake-orchestrate ui``. The server listens on this machine alone, and answers only who has the
        address that it gave to ``page.opened``. Return True when it has ended, or None if there is no live page.

        Example::

            @hookimpl
            def sl_serve_page(page):
                return None  # only files
        """

    @hookspec(firstresult=True)
    def sl_create_preload(self, preload: Preload, options: Options, create_job: Callable[[Command], Job]) -> Job | None:
        """Create the check of a domain, instead of ``starlake preload``. Optional, for environments and add-ons.

        Called by ``sl_pre_load`` unless the strategy is ``none``. If all plugins return None, the command ``preload``
        is built and passed to ``sl_create_job``. The job is marked as a check in any case. ``create_job`` returns the job
        that the selected environment makes of a command, because only that environment knows what its jobs need.

        Example::

            @hookimpl(tryfirst=True)
            def sl_create_preload(preload, options, create_job):
                if preload.domain != "sales":
                    return None
                return create_job(Command("preload", ("--domain", "hub", "--strategy", "pending"), preload.task_id))
        """

    @hookspec(firstresult=True)
    def sl_create_lifecycle(self, pipeline: Pipeline, options: Options) -> Lifecycle | None:
        """Return the jobs that prepare a pipeline and clean up after it. Optional, for environments.

        Called by ``pre_tasks`` and ``post_tasks``. If it returns None, there is nothing to prepare, and both return
        None. These jobs do not pass through ``sl_create_job``: an add-on that changes every job wraps this hook too, and
        uses :meth:`Lifecycle.map_jobs`.

        Example::

            @hookimpl
            def sl_create_lifecycle(pipeline, options):
                return Lifecycle(setup=(("create_cluster", Job("dataproc", spec={"create": "c-${sl_run_hash}"})),))
        """

    @hookspec(firstresult=True)
    def sl_explain_keyword(self, keyword: str) -> str | None:
        """Say what to write instead of a keyword that is refused. Optional, for orchestrators and add-ons.

        Called for the error message about an unknown keyword of a verb or of ``sl_create_pipeline``. Return a sentence,
        or None. The name of an option is explained without this hook.

        Example::

            @hookimpl
            def sl_explain_keyword(keyword):
                return "Give the time zone as the option timezone." if keyword == "execution_timezone" else None
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def sl_fires(self) -> Fires | None:
        """Return the function that says when the orchestrator fires a schedule around a change of the clock. Optional,
        for orchestrators.

        Called once for each pipeline. Implement it if the orchestrator treats times that the clock skips, or that come
        twice, otherwise than :func:`starlake_core.next_fire`: the data intervals of its runs then follow one another. The
        function gets a cron expression, the name of a time zone, and two aware times; it returns the times from the first
        up to before the second at which the orchestrator fires, in order. It is a function of a module, and is asked only
        about some days around a change. None means the rules of :func:`starlake_core.next_fire`.

        Example::

            @hookimpl
            def sl_fires():
                return scheduler_times
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def sl_create_task(self, task: Task) -> Any:
        """Create the native form of a task: an operator, op or step. Required for orchestrators.

        Called once per task while the pipeline is rendered, with the native container of the task open (if the
        container creates its children inside itself); but not for the native nodes of ``add_native``, whose factory the
        core calls itself. Also called for a single task that the user puts into something
        written by hand; then its pipeline is not being rendered. If an add-on returns None, the orchestrator answers.

        Example::

            @hookimpl
            def sl_create_task(task):
                return Step(task.id, task.job)
        """

    @hookspec(firstresult=True)
    def sl_create_task_group(self, group: TaskGroup, create_children: CreateChildren) -> Any:
        """Create the native form of a group that is not empty. Required for orchestrators.

        Called while the pipeline is rendered. The plugin calls ``create_children`` exactly once, at the time at which
        its children must be created, and applies ``group.edges`` to the result.

        Example::

            @hookimpl
            def sl_create_task_group(group, create_children):
                return Steps(group.id, create_children(), group.edges)
        """

    @hookspec(firstresult=True)
    def sl_create_pipeline(self, pipeline: Pipeline, create_children: CreateChildren) -> Any:
        """Create the native form of the whole pipeline: a DAG, job or plan. Required for orchestrators.

        Called once, when the ``with`` block of the pipeline ends without an exception. Otherwise it works like
        ``sl_create_task_group``.

        Example::

            @hookimpl
            def sl_create_pipeline(pipeline, create_children):
                return Plan(pipeline.id, create_children(), pipeline.edges)
        """

    @hookspec
    def sl_publish_pipelines(self, pipelines: Sequence[Pipeline], namespace: dict[str, Any]) -> None:
        """Publish the native pipelines in the module of the pipeline file, where the orchestrator's loader finds them.
        Optional, for orchestrators.

        Called when the ``with`` block of the orchestration ends without an exception. ``namespace`` is the dictionary
        of that module; the native form of each pipeline is in ``native``. A file may open several orchestrations, so
        add to existing entries.

        Example::

            @hookimpl
            def sl_publish_pipelines(pipelines, namespace):
                namespace.setdefault("jobs", []).extend(pipeline.native for pipeline in pipelines)
        """

    @hookspec(firstresult=True)
    def sl_publish_faults(
        self, faults: Sequence[PipelineFault], filename: str, namespace: dict[str, Any]
    ) -> bool | None:
        """Report pipelines that cannot be built, while the others of the file load. Optional, for orchestrators.

        Called when a project is published that has broken files. ``filename`` is the pipeline file, and ``namespace``
        are its globals. Return True, or None if the orchestrator cannot report them; then each becomes a warning.

        Example::

            @hookimpl
            def sl_publish_faults(faults, filename, namespace):
                for fault in faults:
                    show_error(f"{filename}: {fault.pipeline}", fault.message)
                return True
        """

    @hookspec(firstresult=True)
    def sl_run_pipeline(self, pipeline: Pipeline, request: RunRequest) -> Report | None:
        """Run a pipeline now, and wait until it ends. Optional, for orchestrators.

        Called by ``pipeline.run()``, ``dry_run()`` and ``backfill()`` and by the command line. Return None if the
        orchestrator cannot do this from here.

        Example::

            @hookimpl
            def sl_run_pipeline(pipeline, request):
                return Report(pipeline.id, request.run.run_id, TaskState.SUCCEEDED)
        """

    @hookspec
    def sl_check_file(self, file: Path) -> Sequence[str]:
        """Report why the orchestrator's own loader would reject a pipeline file. Optional, for orchestrators.

        Called by ``starlake-orchestrate check`` for every file that opened an orchestration. Return one sentence for
        each problem.

        Example::

            @hookimpl
            def sl_check_file(file):
                return [] if file.suffix == ".py" else ["the name of a pipeline file ends in .py"]
        """
        raise NotImplementedError

    @hookspec
    def sl_check_pipelines(self, pipelines: Sequence[Pipeline]) -> Sequence[str]:
        """Report surprising interactions between pipelines, and what they do in vain. Optional, for orchestrators and
        readers of projects.

        Called by ``starlake-orchestrate check`` once, with the pipelines of all files. Return one sentence for each
        finding.

        Example::

            @hookimpl
            def sl_check_pipelines(pipelines):
                return ["there are more than a thousand pipelines"] if len(pipelines) > 1000 else []
        """
        raise NotImplementedError

    @hookspec
    def sl_check_site(self, pipelines: Sequence[Pipeline]) -> Sequence[str]:
        """Report what is missing where the orchestrator runs before pipelines can run there. Optional, for
        orchestrators.

        Called by ``starlake-orchestrate check`` and ``deploy`` once, with the pipelines of all files. Return one
        sentence for each missing thing, with the command that creates it; each is an error. Leave out what cannot be
        known from here.

        Example::

            @hookimpl
            def sl_check_site(pipelines):
                return [] if shutil.which("acme-daemon") else ["there is no daemon; start it with: acme-daemon &"]
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def sl_backfill(self, pipeline: Pipeline, requests: Sequence[RunRequest]) -> Iterable[Report] | None:
        """Run several intervals of a pipeline with the orchestrator's own backfill. Optional, for orchestrators.

        Called by ``pipeline.backfill()`` and ``starlake-orchestrate backfill`` with a request for each interval, in the
        order of the dates. Yield the reports in the order in which the runs end. If it returns None,
        ``sl_run_pipeline`` runs them one after the other.

        Example::

            @hookimpl
            def sl_backfill(pipeline, requests):
                return [Report(pipeline.id, r.run.run_id, TaskState.SUCCEEDED, interval=r.run.interval) for r in
                requests]
        """

    @hookspec
    def sl_plan_runs(self, pipelines: Sequence[Pipeline], requests: Sequence[RunRequest]) -> None:
        """Record runs that are about to be started one after the other. Optional, for orchestrators.

        Called before the first of several runs that were requested together, so that runs that never start can be
        resumed too.

        Example::

            @hookimpl
            def sl_plan_runs(pipelines, requests):
                for pipeline, request in zip(pipelines, requests):
                    remember(pipeline.id, request.run.run_id, request.group)
        """

    @hookspec
    def sl_hold_runs(self, pipelines: Sequence[Pipeline], requests: Sequence[RunRequest], reason: str) -> None:
        """Record why runs that were planned do not start now. Optional, for orchestrators.

        Called after ``sl_plan_runs``, for example when a pipeline that feeds these has failed. The runs stay planned,
        so that they can be resumed. ``reason`` is a sentence that explains it.

        Example::

            @hookimpl
            def sl_hold_runs(pipelines, requests, reason):
                for request in requests:
                    remember(request.run.run_id, reason)
        """

    @hookspec(firstresult=True)
    def sl_list_runs(self, options: Options, folder: Path, limit: int | None) -> Sequence[Report] | None:
        """List the recorded runs, newest first. Optional, for orchestrators.

        Called by ``starlake-orchestrate runs`` and ``resume``. ``folder`` holds the pipeline files, and ``limit`` is
        the maximum number of runs (None for all). Return None if no record can be read from here.

        Example::

            @hookimpl
            def sl_list_runs(options, folder, limit):
                return []
        """

    @hookspec(firstresult=True)
    def sl_forget_run(self, options: Options, folder: Path, run_id: str) -> bool | None:
        """Delete the record of a run. Optional, for orchestrators.

        Called by ``starlake-orchestrate runs --forget``. ``folder`` holds the pipeline files. Return whether there was
        such a run, or None if no record can be changed from here.

        Example::

            @hookimpl
            def sl_forget_run(options, folder, run_id):
                return False
        """

    @hookspec(firstresult=True)
    def sl_read_recorded(self, pipeline: Pipeline) -> Recorded | None:
        """Read what decides whether a pipeline that datasets start runs. Optional, for orchestrators.

        Called by ``starlake-orchestrate explain``, ``run`` and ``watch``. An orchestrator that answers also starts a
        request with ``triggered`` by the rules of :mod:`starlake_core.freshness`. Return None if nothing can be read
        from here.

        Example::

            @hookimpl
            def sl_read_recorded(pipeline):
                return Recorded(my_events(pipeline), my_last_run(pipeline))
        """

    @hookspec(firstresult=True)
    def sl_read_server(self, pipeline: Pipeline) -> Recorded | None:
        """Read what a running server has recorded for a pipeline that datasets start. Optional, for orchestrators whose
        server starts such runs itself.

        Called by ``starlake-orchestrate explain``. Return None if the options name no server.

        Example::

            @hookimpl
            def sl_read_server(pipeline):
                return Recorded(events_of_my_server(pipeline), last_run_of_my_server(pipeline))
        """

    @hookspec(firstresult=True)
    def sl_record_events(self, pipeline: Pipeline, events: Sequence[Event], group: str) -> bool | None:
        """Record events that the user gives by hand. Optional, for orchestrators.

        Called by ``starlake-orchestrate run --events``. The events may be about any dataset, and their ids are only
        their order. Events of one ``group`` are recorded once, whatever the pipeline. Return True, or None if events cannot be recorded from here.

        Example::

            @hookimpl
            def sl_record_events(pipeline, events, group):
                remember(group, events)
                return True
        """

    @hookspec(firstresult=True)
    def sl_deploy(self, files: Sequence[Path], options: Options) -> Sequence[Path] | None:
        """Copy pipeline files to where the orchestrator loads them. Optional, for orchestrators.

        Called by ``starlake-orchestrate deploy``. Return the files written, or None if the orchestrator has no such
        place.

        Example::

            @hookimpl
            def sl_deploy(files, options):
                return [Path(shutil.copy(file, "dags")) for file in files]
        """

    @hookspec(firstresult=True)
    def sl_deploy_project(self, folder: Path, pipelines: Sequence[Pipeline]) -> Sequence[Path] | None:
        """Let the orchestrator load a project from its files, without a pipeline file. Optional, for orchestrators.

        Called by ``starlake-orchestrate deploy`` for a project that has no pipeline files, with the pipelines that were
        built from it. Return the files written, or None if pipeline files are needed there.

        Example::

            @hookimpl
            def sl_deploy_project(folder, pipelines):
                return [Path(shutil.copytree(folder, "projects"))]
        """

    @hookspec(firstresult=True)
    def sl_delete(self, files: Sequence[Path], options: Options) -> Sequence[Path] | None:
        """Remove deployed pipeline files. Optional, for orchestrators.

        Called by ``starlake-orchestrate delete``. Return the files removed, or None if the orchestrator has no such
        place.

        Example::

            @hookimpl
            def sl_delete(files, options):
                return []
        """

    @hookspec(firstresult=True)
    def sl_delete_project(self, folder: Path, options: Options) -> Sequence[Path] | None:
        """Take out a project that ``sl_deploy_project`` has deployed. Optional, for orchestrators.

        Called by ``starlake-orchestrate delete`` for a project that has no pipeline files, with the options of one of
        its pipelines. Return the files removed, or None if only pipeline files are deployed there.

        Example::

            @hookimpl
            def sl_delete_project(folder, options):
                shutil.rmtree(Path("projects", folder.name))
                return [Path("projects", folder.name)]
        """

    @hookspec(firstresult=True)
    def sl_write_plugin(self, role: str, name: str, folder: Path) -> Sequence[Path] | None:
        """Write the project of a new plugin to a folder that is new or empty. Optional, for add-ons that hold templates.

        Called by ``starlake-orchestrate new-plugin``. ``role`` is ``environment``, ``service`` (an
        environment that calls one), ``orchestrator`` or ``add-on``, and ``name`` what users will type, in lower case.
        Return the files written, or None if there is no template for the role.

        Example::

            @hookimpl
            def sl_write_plugin(role, name, folder):
                (folder / "plugin.py").write_text("from starlake_core import hookimpl")
                return [folder / "plugin.py"]
        """

    @hookspec
    def sl_task_ended(self, job: Job, key: RunKey, outcome: Outcome) -> None:
        """Hear that an attempt of a task has ended. Optional for every role; made for add-ons that notify or count.

        Called by the runtime in the worker, under every orchestrator, once for each attempt of a task with a job: after
        a success, a failure (``outcome.final`` if no other attempt may follow), a cancellation or an interrupt, and each
        time that a check is not ready; also if the attempt could not be started. It is not called for a task that is
        skipped, for an attempt of another owner that was taken over, and if there is no runner.

        ``key.task`` names deployment, pipeline, run and task. ``job`` is bound and has its secrets; show
        ``job.masked()``. If an attempt is cancelled while it waits in the triggerer of Airflow, the hook is called there,
        and ``job`` has neither arguments nor variables. An exception is logged and changes nothing.

        Example::

            @hookimpl
            def sl_task_ended(job, key, outcome):
                if not outcome.succeeded:
                    logging.getLogger("acme").warning("%s: %s %s", key.task, outcome.verdict, outcome.reason)
        """

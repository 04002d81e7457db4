"""The plugins of one orchestration, with a typed method that calls each hook."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from ..errors import PluginContractError, PluginFailedError, PluginLoadError
from ..freshness import Event, Recorded
from ..logs import get_logger
from ..model.command import Command, Preload
from ..model.demo import Demo, DemoTables
from ..model.facts import PipelineFault, ProjectCheck, ProjectFacts
from ..model.graph import Pipeline, Task, TaskGroup
from ..model.job import Job
from ..model.outcome import Outcome
from ..model.page import LivePage, Page
from ..model.run import Report, RunKey, RunRequest
from ..model.schedule import Fires
from ..options import DeclaredOption, GeneralOptions, Option, OptionGroup, Options, OwnNames
from . import registry
from .blame import failed, is_own_message, label_runner
from .checking import check_job, check_plugin, hooks_of
from .hookspecs import CreateChildren, HookSpecs, Lifecycle
from .registry import find
from .tracing import is_tracing, trace

if TYPE_CHECKING:
    from .runner import Runner

__all__ = ["Plugins", "rescan", "select"]

logger = get_logger(__name__)

T = TypeVar("T")

_IN_WORKERS = ("sl_create_runner", "sl_read_facts")


class Plugins:
    """The plugins of one orchestration. Each hook has a method that calls it and checks the result.

    These methods raise a :class:`PluginFailedError` if a plugin raises anything but a :class:`StarlakeError`, a
    :class:`PluginLoadError` if something that it needs is not installed, and a :class:`PluginContractError` if it
    returns what the hook does not allow. Each message names the plugin, its distribution and the hook.

    Attributes:
        orchestrator: the name of the orchestrator; empty if only an environment is selected (in a worker).
        environment: the name of the environment.
        addons: the names of the add-ons.
        loadable_addons: the add-ons that another process can load by name.
    """

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager("starlake_core")
        self._manager.add_hookspecs(HookSpecs)
        self._labels: dict[str, str] = {}
        self._labels_by_key: dict[str, str] = {}
        self._direct: dict[str, Callable[..., Any]] = {}
        self.orchestrator = ""
        self.environment = ""
        self.addons: tuple[str, ...] = ()
        self.loadable_addons: tuple[str, ...] = ()
        self._environments: set[str] = set()
        self._loaded_by_name = False
        self._file = ""
        self._declared: tuple[Sequence[DeclaredOption], Sequence[OwnNames]] | None = None
        self._keywords: frozenset[str] | None = None

    # -- which plugins they are

    def add(self, role: str, plugin: Any) -> None:
        """Load, register and check one plugin.

        Args:
            role: its role.
            plugin: its entry-point name, or the plugin object itself.

        Raises:
            PluginError: it is not installed, does not load, lacks a hook, or has a hook with a misspelt name.
        """
        self._declared = self._keywords = None
        self._direct.clear()
        if isinstance(plugin, str):
            found = find(role, plugin)
            name, label, module = found.name, str(found), found.load()
        else:
            name = str(getattr(plugin, "name", None) or getattr(plugin, "__name__", type(plugin).__name__)).rpartition(
                "."
            )[2]
            label, module = f"{role} '{name}'", plugin
        self._file = getattr(module, "__file__", None) or ""
        # One object may have two roles, but pluggy accepts it only once.
        key = self._manager.get_name(module) or f"{role}:{name}"
        try:
            if not self._manager.is_registered(module):
                self._manager.register(module, key)
            check_plugin(self._manager, key, role, label)
        except (ValueError, pluggy.PluginValidationError) as error:
            # pluggy leaves a plugin that fails its validation half registered.
            if self._manager.get_plugin(key) is not None:
                self._manager.unregister(name=key)
            raise PluginContractError(f"{label} breaks the contract of a hook: {error}") from error
        except PluginContractError:
            self._manager.unregister(name=key)
            raise
        if is_tracing():
            trace(self._implementations(module), label)
        self._labels[role] = label
        self._labels_by_key.setdefault(key, label)
        if role == "orchestrator":
            self.orchestrator = name
        elif role == "environment":
            self.environment = name
            self._environments.add(name)
            self._loaded_by_name = isinstance(plugin, str)
        elif role == "add-on":
            self.addons = (*self.addons, name)
            if isinstance(plugin, str):
                self.loadable_addons = (*self.loadable_addons, name)

    def label(self, role: str) -> str:
        """Return the name, distribution and version of the plugin in a role, for messages."""
        return self._labels.get(role, role)

    def hooks(self) -> list[str]:
        """Return the names of the hooks that the selected plugins implement."""
        found = {name for _, plugin in self._manager.list_name_plugin() for name in hooks_of(self._manager, plugin)}
        return sorted(found)

    @property
    def file(self) -> str:
        """The file of the module of the plugin that was added last; empty for an object."""
        return self._file

    def implements(self, hook: str) -> bool:
        """Return whether one of the plugins implements a hook.

        Args:
            hook: its name, such as ``sl_deploy``.
        """
        return bool(self._caller(hook).get_hookimpls())

    # -- what they declare

    def declared_options(self) -> Sequence[DeclaredOption]:
        """Return the options of the core and all selected plugins, in the order core, orchestrator, environment,
        add-ons."""
        return self._declarations()[0]

    def own_names(self) -> Sequence[OwnNames]:
        """Return the names reserved for each selected plugin."""
        return self._declarations()[1]

    def _declarations(self) -> tuple[Sequence[DeclaredOption], Sequence[OwnNames]]:
        if self._declared is None:
            declared = [DeclaredOption(option, "core") for option in GeneralOptions.declared]
            own = []
            for key, plugin in self._manager.list_name_plugin():
                name = key.partition(":")[2]
                found = self._caller("sl_options").get_hookimpls()
                implementation = next((one.function for one in found if one.plugin is plugin), None)
                given = self._run("sl_options", implementation, {}, self._labels_by_key[key]) if implementation else ()
                groups: list[type[OptionGroup]] = []
                for item in given if isinstance(given, Iterable) else [given]:
                    is_group = isinstance(item, type) and issubclass(item, OptionGroup)
                    groups += [item] if is_group else []
                    for option in self._each(
                        "sl_options", item.declared if is_group else (item,), Option, self._labels_by_key[key]
                    ):
                        declared.append(DeclaredOption(option, name))
                prefixes = (f"{name}_", *(prefix for group in groups for prefix in group.prefixes))
                own.append(OwnNames(name, prefixes, {k: v for group in groups for k, v in group.elsewhere.items()}))
            self._declared = tuple(declared), tuple(own)
        return self._declared

    def task_keywords(self) -> frozenset[str]:
        """Return the orchestrator's own keywords that the verbs of a pipeline accept."""
        if self._keywords is None:
            self._keywords = frozenset(self._collected("sl_task_keywords", str))
        return self._keywords

    def pipeline_keywords(self) -> frozenset[str]:
        """Return the orchestrator's own keywords that ``sl_create_pipeline`` accepts."""
        if not self.implements("sl_pipeline_keywords"):
            return self.task_keywords()
        return frozenset(self._collected("sl_pipeline_keywords", str))

    def advice_on(self, keyword: str) -> str:
        """Return what to write instead of a keyword that is refused, as the end of a message; empty if nobody knows.

        Args:
            keyword: the name of the keyword.
        """
        said = self._call("sl_explain_keyword", keyword=keyword)
        if said is not None:
            return f" {self._checked('sl_explain_keyword', said, str)}"
        if any(keyword == declared.option.name for declared in self.declared_options()):
            return f" It is an option: Orchestration({{{keyword!r}: ...}})"
        return ""

    def fires(self) -> Fires | None:
        """Return the function that says when the orchestrator fires around a change of the clock; None for the rules of
        :func:`starlake_core.next_fire`."""
        found: Fires | None = self._call("sl_fires")
        if found is not None and not callable(found):
            raise self._returned("sl_fires", found, "instead of a function")
        return found

    def find_options(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the explicit options and the values that plugins find in other places.

        Args:
            given: the explicit options, which override the values found.

        Returns:
            Both.
        """
        for found in self._call("sl_find_options", given=given):
            if not isinstance(found, Mapping):
                raise self._returned("sl_find_options", found, "instead of a mapping")
            given = {**found, **given}
        return given

    # -- while a pipeline is built

    def create_job(self, command: Command, options: Options) -> Job:
        """Return where and how a Starlake command runs.

        Args:
            command: the command of a task.
            options: the options that apply to the task.
        """
        made = self._call_direct("sl_create_job", command=command, options=options)
        if not isinstance(made, Job):
            what = f"the command {command.name}"
            raise self._returned("sl_create_job", made, f"for {what}; it must return a Job")
        return self._check_environment("sl_create_job", made)

    def create_preload(self, preload: Preload, options: Options) -> Job | None:
        """Return the check of a domain, if a plugin has its own.

        Args:
            preload: the check.
            options: the options that apply to the task.
        """
        made = self._call(
            "sl_create_preload",
            preload=preload,
            options=options,
            create_job=lambda command: self.create_job(command, options),
        )
        if made is not None and not isinstance(made, Job):
            raise self._returned(
                "sl_create_preload", made, f"for the domain {preload.domain}; it must return a Job or None"
            )
        return None if made is None else self._check_environment("sl_create_preload", made)

    def create_lifecycle(self, pipeline: Pipeline, options: Options) -> Lifecycle:
        """Return the jobs that prepare a pipeline and clean up after it.

        Args:
            pipeline: the pipeline under construction.
            options: its options.
        """
        made = self._call("sl_create_lifecycle", pipeline=pipeline, options=options)
        if made is None:
            return Lifecycle()
        lifecycle = self._checked("sl_create_lifecycle", made, Lifecycle)
        for _, job in (*lifecycle.setup, *lifecycle.teardown):
            self._check_environment("sl_create_lifecycle", job)
        return lifecycle

    def create_task(self, task: Task) -> Any:
        """Return the native form of a task.

        Args:
            task: a task of the pipeline, or a single task.
        """
        return self._call_direct("sl_create_task", task=task)

    def create_task_group(self, group: TaskGroup, create_children: CreateChildren) -> Any:
        """Return the native form of a group.

        Args:
            group: a group that is not empty.
            create_children: creates the native forms of its nodes.
        """
        return self._create("sl_create_task_group", create_children, group=group)

    def create_pipeline(self, pipeline: Pipeline, create_children: CreateChildren) -> Any:
        """Return the native form of a whole pipeline.

        Args:
            pipeline: the checked pipeline.
            create_children: creates the native forms of its nodes.
        """
        return self._create("sl_create_pipeline", create_children, pipeline=pipeline)

    def publish_pipelines(self, pipelines: Sequence[Pipeline], namespace: dict[str, Any]) -> None:
        """Publish native pipelines in the module of the pipeline file.

        Args:
            pipelines: the pipelines of an orchestration that has ended.
            namespace: the globals of the module.
        """
        self._call("sl_publish_pipelines", pipelines=pipelines, namespace=namespace)

    def publish_faults(self, faults: Sequence[PipelineFault], filename: str, namespace: dict[str, Any]) -> bool:
        """Report pipelines that cannot be built. Return whether the orchestrator has reported them.

        Args:
            faults: the pipelines, and what is wrong.
            filename: the path of the pipeline file.
            namespace: the globals of the pipeline file.
        """
        return bool(self._call("sl_publish_faults", faults=faults, filename=filename, namespace=namespace))

    # -- in the worker

    def create_runner(self, job: Job) -> Runner:
        """Return a runner for jobs like this one.

        Args:
            job: a job, bound or not.
        """
        from .runner import check_runner

        label = self._label_of("sl_create_runner")
        runner = check_runner(self._call("sl_create_runner", job=job), label)
        label_runner(runner, label, self.task_ended)
        return runner

    def task_ended(self, job: Job, key: RunKey, outcome: Outcome) -> None:
        """Tell the plugins that an attempt has ended. Whatever they raise is logged, and changes nothing.

        Args:
            job: the bound job.
            key: the key of the attempt.
            outcome: how it ended.
        """
        try:
            self._call("sl_task_ended", job=job, key=key, outcome=outcome)
        except Exception as error:
            logger.warning("%s: %s", key.task, error)

    def read_facts(self, job: Job, environ: Mapping[str, str]) -> ProjectFacts | None:
        """Return what the Starlake project says about the work of a command.

        Args:
            job: the bound job.
            environ: the environment variables of the command.
        """
        found = self._call("sl_read_facts", job=job, environ=environ)
        return None if found is None else self._checked("sl_read_facts", found, ProjectFacts)

    def check_jobs(self, jobs: Sequence[Job]) -> list[str]:
        """Return why some jobs cannot succeed, however often they run.

        Args:
            jobs: bound jobs.
        """
        return self._collected("sl_check_jobs", str, jobs=jobs)

    # -- on the command line

    def check_file(self, file: Path) -> list[str]:
        """Return why the orchestrator's own loader would reject a pipeline file.

        Args:
            file: a file that opened an orchestration.
        """
        return self._collected("sl_check_file", str, file=file)

    def check_pipelines(self, pipelines: Sequence[Pipeline]) -> list[str]:
        """Return surprising interactions between pipelines.

        Args:
            pipelines: the pipelines of all files.
        """
        return self._collected("sl_check_pipelines", str, pipelines=pipelines)

    def check_site(self, pipelines: Sequence[Pipeline]) -> list[str]:
        """Return what is missing where the orchestrator runs.

        Args:
            pipelines: the pipelines of all files.
        """
        return self._collected("sl_check_site", str, pipelines=pipelines)

    def run_pipeline(self, pipeline: Pipeline, request: RunRequest) -> Report | None:
        """Run a pipeline now. Return None if the orchestrator cannot do this from here.

        Args:
            pipeline: the rendered pipeline.
            request: the run.
        """
        made = self._call("sl_run_pipeline", pipeline=pipeline, request=request)
        return None if made is None else self._checked("sl_run_pipeline", made, Report)

    def backfill(self, pipeline: Pipeline, requests: Sequence[RunRequest]) -> Iterable[Report] | None:
        """Run several intervals with the orchestrator's own backfill. Return None if it has none.

        Args:
            pipeline: the rendered pipeline.
            requests: the runs, in the order of their dates.
        """
        made = self._call("sl_backfill", pipeline=pipeline, requests=requests)
        if made is None:
            return None
        if not isinstance(made, Iterable):
            raise self._returned("sl_backfill", made, "instead of reports")
        return self._reports(made)

    def _reports(self, made: Iterable[object]) -> Iterator[Report]:
        """Yield the reports as they arrive. Closing this generator closes the plugin's generator."""
        reports = iter(made)
        try:
            while (report := self._run("sl_backfill", lambda: next(reports, None), {})) is not None:
                yield self._checked("sl_backfill", report, Report)
        finally:
            if isinstance(reports, Generator):
                reports.close()

    def plan_runs(self, pipelines: Sequence[Pipeline], requests: Sequence[RunRequest]) -> None:
        """Record runs that are about to be started one after the other.

        Args:
            pipelines: one for each request.
            requests: the runs, in order.
        """
        self._call("sl_plan_runs", pipelines=pipelines, requests=requests)

    def hold_runs(self, pipelines: Sequence[Pipeline], requests: Sequence[RunRequest], reason: str) -> None:
        """Record why planned runs do not start now.

        Args:
            pipelines: one for each request.
            requests: the runs.
            reason: a sentence that explains it.
        """
        self._call("sl_hold_runs", pipelines=pipelines, requests=requests, reason=reason)

    def list_runs(self, options: Options, folder: Path, limit: int | None) -> Sequence[Report] | None:
        """Return the recorded runs, or None if the orchestrator keeps no record.

        Args:
            options: the options of a pipeline.
            folder: the folder of the pipeline files.
            limit: the maximum number of runs; None for all.
        """
        made = self._call("sl_list_runs", options=options, folder=folder, limit=limit)
        return None if made is None else self._each("sl_list_runs", made, Report)

    def forget_run(self, options: Options, folder: Path, run_id: str) -> bool | None:
        """Delete the record of a run. Return whether there was one, or None if the orchestrator keeps no record.

        Args:
            options: the options of a pipeline.
            folder: the folder of the pipeline files.
            run_id: the id of the run.
        """
        made = self._call("sl_forget_run", options=options, folder=folder, run_id=run_id)
        return None if made is None else self._checked("sl_forget_run", made, bool)

    def read_recorded(self, pipeline: Pipeline) -> Recorded | None:
        """Return the events and the last run of a pipeline that datasets start, or None if they cannot be read.

        Args:
            pipeline: the rendered pipeline.
        """
        made = self._call("sl_read_recorded", pipeline=pipeline)
        return None if made is None else self._checked("sl_read_recorded", made, Recorded)

    def read_server(self, pipeline: Pipeline) -> Recorded | None:
        """Return what the server of an orchestrator has recorded for a pipeline that datasets start, or None if no server
        is named.

        Args:
            pipeline: the rendered pipeline.
        """
        made = self._call("sl_read_server", pipeline=pipeline)
        return None if made is None else self._checked("sl_read_server", made, Recorded)

    def record_events(self, pipeline: Pipeline, events: Sequence[Event], group: str) -> bool:
        """Record events that the user gives by hand. Return whether that was possible.

        Args:
            pipeline: the rendered pipeline.
            events: the events.
            group: a name for these events; those of one group are recorded once.
        """
        made = self._call("sl_record_events", pipeline=pipeline, events=events, group=group)
        return False if made is None else self._checked("sl_record_events", made, bool)

    def deploy(self, files: Sequence[Path], options: Options) -> Sequence[Path] | None:
        """Copy pipeline files to where the orchestrator loads them. Return the files written, or None if there is no such place.

        Args:
            files: the pipeline files.
            options: the options of a pipeline.
        """
        made = self._call("sl_deploy", files=files, options=options)
        return None if made is None else self._each("sl_deploy", made, Path)

    def deploy_project(self, folder: Path, pipelines: Sequence[Pipeline]) -> Sequence[Path] | None:
        """Let the orchestrator load a project from its files. Return the files written, or None if it needs pipeline files.

        Args:
            folder: the folder of the project.
            pipelines: the pipelines that were built from it.
        """
        made = self._call("sl_deploy_project", folder=folder, pipelines=pipelines)
        return None if made is None else self._each("sl_deploy_project", made, Path)

    def delete(self, files: Sequence[Path], options: Options) -> Sequence[Path] | None:
        """Remove deployed pipeline files. Return the files removed, or None if there is no such place.

        Args:
            files: the pipeline files.
            options: the options of a pipeline.
        """
        made = self._call("sl_delete", files=files, options=options)
        return None if made is None else self._each("sl_delete", made, Path)

    def delete_project(self, folder: Path, options: Options) -> Sequence[Path] | None:
        """Take out a project that was deployed. Return the files removed, or None if only pipeline files are deployed there.

        Args:
            folder: the folder of the project.
            options: the options of a pipeline of it.
        """
        made = self._call("sl_delete_project", folder=folder, options=options)
        return None if made is None else self._each("sl_delete_project", made, Path)

    def check_project(self, folder: Path, strict: bool) -> ProjectCheck | None:
        """What is wrong with the files of a project; None where no plugin reads it.

        Args:
            folder: with ``metadata``.
            strict: make errors of what Starlake forgives.
        """
        made = self._call("sl_check_project", folder=folder, strict=strict)
        return None if made is None else self._checked("sl_check_project", made, ProjectCheck)

    def build_project(self, folder: Path, columns: bool) -> bool:
        """Build the pipelines of a project. Return whether a plugin has done it.

        Args:
            folder: the folder of the project.
            columns: whether somebody looks at the columns of transforms.
        """
        return bool(self._call("sl_build_project", folder=folder, columns=columns))

    def select_tables(
        self, folder: Path, select: Sequence[str], exclude: Sequence[str], state: Path | None
    ) -> Sequence[str] | None:
        """Return the tables and transforms that words select; None if no plugin has words of its own.

        Args:
            folder: the folder of the project.
            select, exclude: the words.
            state: a file that ``graph --format json`` wrote earlier.
        """
        made = self._call("sl_select_tables", folder=folder, select=select, exclude=exclude, state=state)
        return None if made is None else self._each("sl_select_tables", made, str)

    def export_project(
        self,
        folder: Path,
        orchestrator: str,
        environment: str | None,
        options: Mapping[str, str],
        output: Path,
        by: str,
        name: str,
    ) -> Mapping[Path, str | None] | None:
        """Return the pipelines of a project as pipeline files, with None for those to remove. None: no plugin exports.

        Args:
            folder: the folder of the project.
            orchestrator, environment: the plugins of the files.
            options: options for all pipelines.
            output: the folder for the files.
            by: how tables and transforms are grouped.
            name: what the project is called in the files.
        """
        made = self._call(
            "sl_export_project",
            folder=folder,
            orchestrator=orchestrator,
            environment=environment,
            options=options,
            output=output,
            by=by,
            name=name,
        )
        return None if made is None else self._checked("sl_export_project", made, dict)

    def write_project(self, folder: Path, files: Sequence[Path]) -> Sequence[Path] | None:
        """Write a new project, and return its files. None: no plugin writes projects.

        Args:
            folder: a new or empty folder.
            files: data files whose tables are inferred.
        """
        made = self._call("sl_write_project", folder=folder, files=files)
        return None if made is None else self._each("sl_write_project", made, Path)

    def write_demo(self, folder: Path, again: bool) -> Demo | None:
        """Write a small project that is ready to run. Return None if no plugin has one.

        Args:
            folder: a folder that is new, empty or written by an earlier call.
            again: only deliver further files.
        """
        made = self._call("sl_write_demo", folder=folder, again=again)
        return None if made is None else self._checked("sl_write_demo", made, Demo)

    def write_plugin(self, role: str, name: str, folder: Path) -> Sequence[Path] | None:
        """Write the project of a new plugin. Return the files written, or None if there is no template.

        Args:
            role: its role.
            name: its name.
            folder: a folder that is new or empty.
        """
        made = self._call("sl_write_plugin", role=role, name=name, folder=folder)
        return None if made is None else self._each("sl_write_plugin", made, Path)

    def show_demo(self, folder: Path) -> DemoTables | None:
        """Return what is in the tables of the demo, or None if that cannot be read.

        Args:
            folder: the folder of the demo.
        """
        made = self._call("sl_show_demo", folder=folder)
        return None if made is None else self._checked("sl_show_demo", made, DemoTables)

    def create_page(self, page: Page) -> str | None:
        """Return a page as one HTML document, or None if no plugin makes pages.

        Args:
            page: what it shows.
        """
        made = self._call("sl_create_page", page=page)
        return None if made is None else self._checked("sl_create_page", made, str)

    def serve_page(self, page: LivePage) -> bool:
        """Show a live page until the user stops it. Return False if no plugin has one.

        Args:
            page: what it shows.
        """
        made = self._call("sl_serve_page", page=page)
        return made is not None and self._checked("sl_serve_page", made, bool)

    def _check_environment(self, hook: str, job: Job) -> Job:
        """Return a job, if a worker can find its environment by its name."""
        if job.environment not in self._environments:
            serving = [one.plugin_name for one in self._caller("sl_create_runner").get_hookimpls()]
            by_addon = any(name.startswith("add-on:") for name in serving) or bool(job.plugins)
            if self._loaded_by_name and not by_addon:
                check_job(job, self.environment, hook, self._label_of(hook))
            self._environments.add(job.environment)
        return job

    # -- how hooks are called

    def _implementations(self, plugin: Any) -> list[tuple[str, pluggy.HookImpl]]:
        callers = self._manager.get_hookcallers(plugin) or []
        return [(caller.name, one) for caller in callers for one in caller.get_hookimpls() if one.plugin is plugin]

    def _caller(self, name: str) -> Any:
        return getattr(self._manager.hook, name)

    def _call(self, name: str, /, **arguments: Any) -> Any:
        return self._run(name, self._caller(name), arguments)

    def _call_direct(self, name: str, /, **arguments: Any) -> Any:
        """Like :meth:`_call`, for hooks that are called for every task: skips pluggy if only one plugin implements the
        hook."""
        called = self._direct.get(name)
        if called is None:
            called = caller = self._caller(name)
            found = caller.get_hookimpls()
            alone = len(found) == 1 and not (found[0].wrapper or found[0].hookwrapper)
            if alone and set(found[0].argnames) == set(caller.spec.argnames):
                called = found[0].function
            self._direct[name] = called
        return self._run(name, called, arguments)

    def _create(self, name: str, create_children: CreateChildren, **arguments: Any) -> Any:
        """Call a hook that calls back. An error raised by the callback is not blamed on the hook."""
        passing: list[BaseException] = []

        def children() -> Mapping[str, Any]:
            try:
                return create_children()
            except Exception as error:
                passing.append(error)
                raise

        try:
            return self._call(name, **arguments, create_children=children)
        except (PluginFailedError, PluginLoadError) as error:
            if passing and error.__cause__ is passing[-1]:
                raise passing[-1] from None
            raise

    def _run(self, name: str, called: Callable[..., Any], arguments: Mapping[str, Any], label: str = "") -> Any:
        try:
            return called(**arguments)
        except ImportError as error:
            where = "where tasks run" if name in _IN_WORKERS else "here"
            raise PluginLoadError(
                f"{label or self._label_of(name, error)} cannot run {name}: {type(error).__name__}: {error}. Its dependencies must be "
                f"installed {where}"
            ) from error
        except Exception as error:
            if is_own_message(error):
                raise
            raise failed(label or self._label_of(name, error), name, error) from error

    def _label_of(self, name: str, error: BaseException | None = None) -> str:
        """Return the label of the plugins that implement a hook, or of the one that raised an error, if known."""
        found = self._caller(name).get_hookimpls()
        codes = set()
        trace = error.__traceback__ if error is not None else None
        while trace is not None:
            codes.add(trace.tb_frame.f_code)
            trace = trace.tb_next
        raised = [one for one in found if getattr(inspect.unwrap(one.function), "__code__", None) in codes]
        return " or ".join(self._labels_by_key.get(one.plugin_name, one.plugin_name) for one in raised or found)

    def _returned(self, name: str, value: object, wanted: str, label: str = "") -> PluginContractError:
        return PluginContractError(f"{label or self._label_of(name)} returned {value!r} from {name} {wanted}")

    def _checked(self, name: str, value: object, kind: type[T], label: str = "") -> T:
        if not isinstance(value, kind):
            raise self._returned(name, value, f"instead of {_a(kind)}", label)
        return value

    def _each(self, name: str, values: object, kind: type[T], label: str = "") -> list[T]:
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise self._returned(name, values, f"instead of a list of {kind.__name__}", label)
        return [self._checked(name, value, kind, label) for value in values]

    def _collected(self, name: str, kind: type[T], **arguments: Any) -> list[T]:
        """Return the answers of all plugins in one list."""
        return [value for values in self._call(name, **arguments) for value in self._each(name, values, kind)]


def _a(kind: type) -> str:
    return f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}"


def rescan() -> None:
    """Scan again, after distributions were installed while this process runs."""
    registry.rescan()
    _selected.cache_clear()


def select(orchestrator: Any = None, environment: Any = None, addons: Sequence[Any] = ()) -> Plugins:
    """Load the plugins of one orchestration.

    Args:
        orchestrator: a name or plugin object; None in a worker that only runs jobs.
        environment: a name or plugin object.
        addons: names or plugin objects.

    Raises:
        PluginError: one of them cannot be used.
    """
    wanted = (orchestrator, environment, *addons)
    if all(one is None or isinstance(one, str) for one in wanted):
        return _selected(orchestrator, environment, tuple(addons))
    return _make(orchestrator, environment, addons)


@functools.cache
def _selected(orchestrator: str | None, environment: str | None, addons: tuple[str, ...]) -> Plugins:
    """Load a selection of names. It does not change, so each process loads it once."""
    return _make(orchestrator, environment, addons)


def _make(orchestrator: Any, environment: Any, addons: Sequence[Any]) -> Plugins:
    plugins = Plugins()
    if orchestrator is not None:
        plugins.add("orchestrator", orchestrator)
    if environment is not None:
        plugins.add("environment", environment)
    for index, addon in enumerate(addons):
        if addon not in addons[:index]:
            plugins.add("add-on", addon)
    return plugins

"""Pages about pipelines and their runs, which a plugin makes: where they are written, and how a run keeps one."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
import webbrowser
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import NoReturn

import click

from ..dsl.pipeline import StarlakePipeline
from ..errors import RunError
from ..file_transaction import swap
from ..model.graph import Pipeline
from ..model.page import Page
from ..model.run import Report, Run, TaskEvent, TaskReport, TaskState
from ..plugins import Plugins, find
from ._command import CommandFunction
from ._progress import Progress

logger = logging.getLogger(__name__)

__all__ = [
    "PAGE",
    "ReportedProgress",
    "made_now",
    "output_options",
    "page_plugin",
    "page_title",
    "report_option",
    "reported",
    "write_page",
]

PAGE = "page"
"""The name of the plugin that makes pages."""

_REST = 10.0
"""A page is written again after this many times as long as it took to write."""
_SHORTEST_REST = 0.2


def made_now() -> datetime:
    """Return the date of a page: now, or the variable ``SOURCE_DATE_EPOCH``, by which the same input gives the same bytes.

    See https://reproducible-builds.org/specs/source-date-epoch/.

    Raises:
        RunError: the variable is not a number of seconds.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if not given:
        return datetime.now(timezone.utc)
    try:
        return datetime.fromtimestamp(int(given), timezone.utc)
    except (ValueError, OverflowError, OSError):
        raise RunError(f"SOURCE_DATE_EPOCH is {given!r}; it must be a number of seconds since 1970") from None


def page_plugin() -> Plugins:
    """Return the plugin that makes pages.

    Raises:
        PluginNotFoundError: it is not installed; the message says how to install it.
    """
    find("page", PAGE)
    plugins = Plugins()
    plugins.add("page", PAGE)
    return plugins


def output_options(callback: CommandFunction) -> CommandFunction:
    """Add the options that say where a page goes, as ``output`` and ``open_page``.

    Args:
        callback: takes ``output``, a path or None, and ``open_page``.
    """
    callback = click.option("--open", "open_page", is_flag=True, help="Show the page of --format html in a browser.")(
        callback
    )
    return click.option(
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="File for --format html, instead of the standard output.",
    )(callback)


report_option = click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a page about the run (HTML), while it runs and when it has ended in whatever state.",
)


def write_page(page: Page, output: Path | None, open_page: bool) -> None:
    """Write a page to a file or to the standard output, or show it in a browser.

    Args:
        page: what the page shows.
        output: the file; None for the standard output or, with ``open_page``, for a temporary file.
        open_page: whether to show it in a browser.

    Raises:
        PluginNotFoundError: nothing that makes pages is installed.
        RunError: the file cannot be written.
    """
    text = _text(page_plugin(), page)
    if output is None and not open_page:
        click.echo(text, nl=False)
        return
    if output is None:
        output = Path(tempfile.mkdtemp(prefix="starlake-page-")) / "page.html"
    _write(output, text)
    click.echo(f"wrote {output}", err=True)
    if open_page and not webbrowser.open(output.resolve().as_uri()):
        click.echo(f"no browser was found; open {output.resolve().as_uri()}", err=True)


def _text(plugins: Plugins, page: Page) -> str:
    made = plugins.create_page(page)
    assert made is not None  # every plugin of this role answers
    return made


def _write(output: Path, text: str) -> None:
    try:
        output = output.resolve()  # a link stays one
        if output.exists() and not output.is_file():
            raise RunError(f"the page {output} cannot be written: this is not a file. Choose another file")
        swap({output: text.encode("utf-8", "replace")})
    except OSError as error:
        raise RunError(
            f"the page {output} cannot be written: {error.strerror or error}. Choose another file"
        ) from error


class ReportedProgress(Progress):
    """Passes all events on, and keeps a page about the runs.

    The page is first written before the first run starts, so that also a run that is killed leaves one.

    Args:
        progress: receives all events.
        output: the file of the page.
        pipelines: the pipelines of the runs.
        earlier: runs that ended before, newest first.

    Raises:
        PluginNotFoundError: nothing that makes pages is installed.
        RunError: the file cannot be written.
    """

    def __init__(
        self, progress: Progress, output: Path, pipelines: Sequence[Pipeline], earlier: Sequence[Report] = ()
    ) -> None:
        super().__init__(progress.console)
        self._progress = progress
        self._output = output
        self._pipelines = pipelines
        self._plugins = page_plugin()
        self._runs: dict[str, Report] = {report.run_id: report for report in reversed(earlier)}
        self._current = ""
        self._tasks: dict[str, TaskReport] = {}
        self._begun: dict[str, float] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._news = threading.Event()
        self._save()
        threading.Thread(target=self._keep, name="starlake-report", daemon=True).start()

    def begin(self, pipeline: Pipeline, run: Run) -> None:
        with self._lock:
            self._current = run.run_id
            known = self._runs.pop(run.run_id, None)  # it moves to the newest
            before = {task.id: task for task in known.tasks} if known is not None else {}
            self._tasks = {
                task.path: before.get(task.path, TaskReport(task.path, TaskState.WAITING)) for task in pipeline.tasks()
            }
            started = known.started if known is not None else datetime.now(timezone.utc)
            self._runs[run.run_id] = Report(
                pipeline.id,
                run.run_id,
                TaskState.RUNNING,
                (*self._tasks.values(),),
                started=started,
                interval=run.covered,
            )
        self._news.set()
        self._progress.begin(pipeline, run)

    def __call__(self, event: TaskEvent) -> None:
        if event.line is None:
            with self._lock:
                self._tasks[event.task] = self._after(event)
            self._news.set()
        self._progress(event)

    def _after(self, event: TaskEvent) -> TaskReport:
        known = self._tasks.get(event.task) or TaskReport(event.task, event.state)
        if event.state == TaskState.RUNNING:
            self._begun[event.task] = time.monotonic()
            return replace(
                known,
                state=event.state,
                reason=event.reason,
                attempts=event.attempt,
                log=event.log,
                started=datetime.now(timezone.utc),
            )
        begun = self._begun.pop(event.task, None)
        seconds = known.duration if begun is None else time.monotonic() - begun
        return replace(
            known,
            state=event.state,
            reason=event.reason,
            attempts=event.attempt,
            log=event.log or known.log,
            duration=seconds,
        )

    def end(self, report: Report) -> None:
        with self._lock:
            known = self._runs.pop(report.run_id, report)
            tasks = report.tasks or known.tasks
            self._tasks = {}
            ended = report.ended or datetime.now(timezone.utc)
            self._runs[report.run_id] = replace(
                report,
                tasks=tasks,
                started=report.started or known.started,
                ended=ended,
                interval=report.interval or known.interval,
            )
        self._try_to_save()
        self._progress.end(report)

    def held(self, report: Report) -> None:
        with self._lock:
            self._runs[report.run_id] = report
        self._try_to_save()
        self._progress.held(report)

    def left_out(self, reports: Sequence[Report]) -> None:
        with self._lock:
            self._runs.update((report.run_id, report) for report in reports)
        self._try_to_save()
        self._progress.left_out(reports)

    def note(self, text: str) -> None:
        self._progress.note(text)

    def _save(self, only_news: bool = False) -> None:
        with self._writing:
            if only_news and not self._news.is_set():
                return
            self._news.clear()
            with self._lock:
                if self._current in self._runs and self._tasks:
                    running = self._runs[self._current]
                    self._runs[self._current] = replace(running, tasks=(*self._tasks.values(),))
                runs = tuple(reversed(self._runs.values()))
            page = Page(self._pipelines, runs, title=page_title(self._pipelines), made=made_now())
            _write(self._output, _text(self._plugins, page))

    def _keep(self) -> NoReturn:
        """Write the page when something has changed, without holding up the run."""
        while True:
            self._news.wait()
            begun = time.monotonic()
            self._try_to_save(only_news=True)
            time.sleep(max(_SHORTEST_REST, _REST * (time.monotonic() - begun)))

    def _try_to_save(self, only_news: bool = False) -> None:
        """Write the page. A page that cannot be written does not stop a run."""
        try:
            self._save(only_news)
        except RunError as error:
            logger.warning("%s", error)
        except Exception as error:
            logger.warning("the page cannot be made: %s: %s", type(error).__name__, error)


def page_title(pipelines: Sequence[Pipeline]) -> str:
    """Return the heading of a page.

    Args:
        pipelines: the pipelines that it shows.
    """
    return pipelines[0].id if len(pipelines) == 1 else f"{len(pipelines)} pipelines"


def reported(
    progress: Progress, report: Path | None, pipelines: Sequence[StarlakePipeline], earlier: Sequence[Report] = ()
) -> Progress:
    """Return progress that also keeps a page, if one is requested.

    Args:
        progress: receives all events.
        report: the file of the page, or None.
        pipelines: the pipelines of the runs.
        earlier: runs that ended before.
    """
    return progress if report is None else ReportedProgress(progress, report, pipelines, earlier)

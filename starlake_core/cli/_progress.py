"""Shows the progress of pipelines: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..model.graph import Pipeline
from ..model.run import Report, Run, TaskEvent, TaskState
from ..plain_text import plain, plain_line

__all__ = [
    "STYLES",
    "LastLines",
    "LiveProgress",
    "PlainProgress",
    "Progress",
    "choose_progress",
    "count_states",
    "distinct_names",
    "summary",
]

STYLES = {
    TaskState.RUNNING: "cyan",
    TaskState.POKING: "yellow",
    TaskState.RETRYING: "yellow",
    TaskState.SUCCEEDED: "green",
    TaskState.SKIPPED: "magenta",
    TaskState.FAILED: "bold red",
    TaskState.UPSTREAM_FAILED: "red",
    TaskState.CANCELLED: "red",
    TaskState.INTERRUPTED: "yellow",
}
_ENDED = (
    TaskState.SUCCEEDED,
    TaskState.SKIPPED,
    TaskState.FAILED,
    TaskState.UPSTREAM_FAILED,
    TaskState.CANCELLED,
    TaskState.EXCLUDED,
)
_NARROWEST = 50
"""The minimum number of columns for a table; below it, plain lines are shown."""
_WIDE = 80
"""The minimum number of columns for the last line of output in the table."""
_TAIL_LINES = 15
"""How many lines of output of a failed task are shown."""
_LONGEST_LINE = 2000
_ACTIVE = (TaskState.RUNNING, TaskState.RETRYING, TaskState.POKING)


class Progress:
    """Receives all events of runs. It is called from several threads."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def begin(self, pipeline: Pipeline, run: Run) -> None:
        """A run is about to start."""

    def __call__(self, event: TaskEvent) -> None:
        """A task changed its state, or wrote a line."""

    def end(self, report: Report) -> None:
        """A run has ended."""

    def held(self, report: Report) -> None:
        """A run does not start, for the reason in its report."""
        self.note(f"{report.pipeline_id}: {report.reason}")

    def left_out(self, reports: Sequence[Report]) -> None:
        """Runs do not start, because one before them was stopped or failed; their reports say so."""

    def note(self, text: str) -> None:
        """Show a message that does not belong to a task."""
        self.console.print(Text(plain(text)), soft_wrap=True)


class LastLines:
    """Keeps the last lines of output of the tasks of a run, except of those that have succeeded: an orchestrator may
    keep no output.

    Args:
        listener: receives all events too.
    """

    def __init__(self, listener: Callable[[TaskEvent], object]) -> None:
        self._listener = listener
        self._lines: dict[str, deque[str]] = {}

    def __call__(self, event: TaskEvent) -> None:
        """Receive an event."""
        if event.line is not None:
            self._lines.setdefault(event.task, deque(maxlen=_TAIL_LINES)).append(event.line[:_LONGEST_LINE])
        elif event.state == TaskState.SUCCEEDED:
            self._lines.pop(event.task, None)
        self._listener(event)

    def of(self, task: str) -> list[str]:
        """Return the last lines of a task.

        Args:
            task: the path of the task.
        """
        return list(self._lines.get(task, ()))


class PlainProgress(Progress):
    """Prints a line for every change of state."""

    def begin(self, pipeline: Pipeline, run: Run) -> None:
        self.console.print(
            f"{pipeline.id}: run {run.run_id}, {_interval(run)}", highlight=False, markup=False, soft_wrap=True
        )

    def __call__(self, event: TaskEvent) -> None:
        if event.line is None:
            reason = f": {event.reason}" if event.reason else ""
            attempt = f" (try {event.attempt})" if event.attempt > 1 else ""
            line = f"{time.strftime('%H:%M:%S')} {event.task} {event.state}{attempt}{reason}"
            self.console.print(plain_line(line), highlight=False, markup=False, soft_wrap=True)


@dataclass
class _Row:
    state: TaskState = TaskState.WAITING
    attempt: int = 0
    started: float = 0.0
    seconds: float = 0.0
    line: str = ""


class LiveProgress(Progress):
    """Shows a live table with the task, state, duration and last line of output, and a progress bar for the whole run.

    Args:
        console: the console to draw on.
        transient: whether it disappears when the run has ended; then other output is not shown above it either.
    """

    def __init__(self, console: Console, transient: bool = False) -> None:
        super().__init__(console)
        self._transient = transient
        self._lock = threading.Lock()
        self._rows: dict[str, _Row] = {}
        self._title = Text("")
        self._live: Live | None = None

    def begin(self, pipeline: Pipeline, run: Run) -> None:
        with self._lock:
            self._rows = {task.path: _Row() for task in pipeline.tasks()}
            self._title = Text(pipeline.id).append(f"  run {run.run_id}, {_interval(run)}", style="dim")
        self._live = Live(
            get_renderable=self._draw, console=self.console, refresh_per_second=8, transient=self._transient
        )
        self._live.start()

    def __call__(self, event: TaskEvent) -> None:
        with self._lock:
            row = self._rows.setdefault(event.task, _Row())
            if event.line is not None:
                row.line = plain_line(event.line)
                return
            if event.state == TaskState.RUNNING:
                row.started = time.monotonic()
            elif row.started:
                row.seconds = time.monotonic() - row.started
            row.state, row.attempt = event.state, event.attempt
            row.line = plain_line(event.reason) or row.line

    def end(self, report: Report) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self) -> RenderableType:
        with self._lock:
            rows = list(self._rows.items())
        ended = sum(row.state in _ENDED for _, row in rows)
        room = max(5, self.console.height - 6)
        table = Table(title=self._title, title_justify="left", expand=True, box=None, padding=(0, 1))
        table.add_column("task", no_wrap=True, ratio=3, overflow="ellipsis")
        table.add_column("state", no_wrap=True, width=16)
        table.add_column("time", no_wrap=True, justify="right", width=8)
        wide = self.console.width >= _WIDE
        if wide:
            table.add_column("last line", no_wrap=True, ratio=4, overflow="ellipsis")
        chosen = _most_interesting(rows, room)
        # The width left for names next to the other columns and their padding.
        space = self.console.width - 16 - 8 - 6
        names = distinct_names(
            [path.rpartition(".")[2] for path, _ in chosen], max(8, space * 3 // 7 if wide else space)
        )
        for name, (_, row) in zip(names, chosen, strict=True):
            seconds = time.monotonic() - row.started if row.state == TaskState.RUNNING else row.seconds
            state = row.state + (f" ({row.attempt})" if row.attempt > 1 else "")
            style = STYLES.get(row.state, "dim")
            shown = f"{seconds:.1f} s" if row.started else ""
            cells: list[RenderableType] = [
                Text(name),
                Text(state, style=style),
                Text(shown),
                Text(row.line, style="dim"),
            ]
            table.add_row(*(cells if wide else cells[:3]))
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True)
        bar.add_row(ProgressBar(total=max(1, len(rows)), completed=ended), f"{ended}/{len(rows)} tasks")
        return Group(table, bar)


def choose_progress(console: Console) -> Progress:
    """Return the live table if the console supports it, and plain lines otherwise.

    Args:
        console: the console to use.
    """
    # A live table needs a terminal that can move its cursor, and enough columns.
    lively = console.is_terminal and not console.is_dumb_terminal and console.width >= _NARROWEST
    return LiveProgress(console) if lively and not os.environ.get("NO_LIVE") else PlainProgress(console)


def distinct_names(names: Sequence[str], width: int) -> list[str]:
    """Shorten names to fit into a column: first by their common prefix, then in the middle.

    Args:
        names: the names of tasks.
        width: the width of the column.

    >>> distinct_names(["starbake_orders_load", "starbake_customers_load"], 16)
    ['…orders_load', '…customers_load']
    """
    if all(len(name) <= width for name in names):
        return list(names)
    first, last = min(names), max(names)
    same = next((index for index, letter in enumerate(first) if letter != last[index : index + 1]), len(first))
    common = first[:same].rfind("_") + 1 if len(names) > 1 else 0
    result = []
    for name in names:
        short = "…" + name[common:] if common > 1 else name
        head = (width - 1) // 2
        result.append(short if len(short) <= width else short[:head] + "…" + short[len(short) - (width - 1 - head) :])
    return result


def _most_interesting(rows: list[tuple[str, _Row]], room: int) -> list[tuple[str, _Row]]:
    """Return the tasks that fit on the screen, in the order of the pipeline. Running tasks have priority, then failed
    ones, then the latest."""
    if len(rows) <= room:
        return rows

    def rank(index: int) -> tuple[int, float]:
        row = rows[index][1]
        if row.state in _ACTIVE:
            return 0, 0.0
        if row.state == TaskState.FAILED:
            return 1, 0.0
        return (2, -row.started) if row.started else (3, index)

    chosen = sorted(sorted(range(len(rows)), key=rank)[:room])
    return [rows[index] for index in chosen]


def _interval(run: Run) -> str:
    start, end = (
        moment.astimezone(run.zone).isoformat(timespec="minutes") for moment in (run.covered.start, run.covered.end)
    )
    return f"data interval {start} to {end}"


def _tail(path: str, lines: int = _TAIL_LINES) -> list[str]:
    try:
        with open(path, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 8192))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return []


def count_states(report: Report) -> str:
    """Return how many tasks of a run are in each state.

    Args:
        report: the report of the run.
    """
    counts = Counter(task.state for task in report.tasks)
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def summary(console: Console, report: Report, heard: LastLines | None = None) -> None:
    """Print how a run ended: counts, skipped tasks and why, and failed tasks with the end of their output; if no task
    failed, why the run did.

    Args:
        console: the console to use.
        report: the report of the run.
        heard: what was heard of the output, for tasks without a log.
    """
    shown = count_states(report)
    style = "green" if report.succeeded else "bold red"
    line = Text(report.pipeline_id, style="bold").append(": ").append(report.state, style=style).append(f" ({shown})")
    console.print(line, soft_wrap=True)
    if report.state == TaskState.FAILED and not any(task.state == TaskState.FAILED for task in report.tasks):
        console.print(Text(plain(f"  {report.reason}"), style="red"), soft_wrap=True)
    skipped = dict.fromkeys(task.reason for task in report.tasks if task.state == TaskState.SKIPPED and task.reason)
    for reason in skipped:
        console.print(Text(plain(f"  skipped: {reason}"), style="magenta"), soft_wrap=True)
    for task in report.tasks:
        if task.state == TaskState.FAILED:
            console.print(Text(plain(f"  {task.id} failed: {task.reason}"), style="red"), soft_wrap=True)
            tail = _tail(task.log)
            last = heard.of(task.id) if heard is not None and not tail else []
            for text in tail or last:
                console.print(Text(plain_line(f"    | {text}"), style="dim"), soft_wrap=True)
            if tail or (task.log and not os.path.exists(task.log)):  # where else it is, such as an address
                console.print(plain_line(f"    log: {task.log}"), highlight=False, markup=False, soft_wrap=True)
            elif task.attempts and not task.log and not last:
                console.print(Text("    no log: the orchestrator does not say where its output is", style="dim"))

"""What the commands share: errors, options of the command line, loading."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console
from rich.text import Text

from ..errors import NothingFoundError, PluginNotFoundError, ScheduleError, StarlakeError
from ..loading import load_files, pipelines_of
from ..orchestration import Overrides
from ..pipeline import StarlakePipeline
from ..plain import plain
from ..plugins import find
from ..schedule import in_range
from .output import Output
from .running import sort_pipelines

__all__ = [
    "INTERRUPTED",
    "Command",
    "Group",
    "back_ends",
    "choice",
    "date",
    "fail",
    "load",
    "output_lost",
    "pairs",
    "selection",
    "stderr",
    "stdout",
]

F = TypeVar("F", bound=Callable[..., Any])

INTERRUPTED = 130
USAGE = 2


class Command(click.Command):
    """A command whose errors are one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
        except (NothingFoundError, PluginNotFoundError) as error:
            fail(str(error), USAGE)
        except StarlakeError as error:
            fail(str(error))
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        # What comes here was asked for its output; running pipelines ends with an exit code of its own.
        lost = output_lost()
        if lost:
            fail(f"the output cannot be written: {lost}")
        return result


class Group(click.Group):
    command_class = Command


def fail(message: str, code: int = 1) -> NoReturn:
    """Print a message and end."""
    console = stderr()
    for line in plain(message).splitlines():
        console.print(Text("error: ", style="bold red").append(line, style="default not bold"), soft_wrap=True)
    sys.exit(code)


def output_lost() -> str:
    """Why something of the output that somebody wants is lost; empty where nothing is."""
    if isinstance(sys.stdout, Output):
        sys.stdout.flush()
        return sys.stdout.lost
    return ""


def stdout() -> Console:
    """The console of results."""
    return _console(stderr=False)


def stderr() -> Console:
    """The console of messages."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # A pipe has no width: what is written to it must not be wrapped at the 80 columns of nobody's terminal.
    # Emoji codes are part of what users write: a:key:b is no key.
    if stream is not None and stream.isatty():
        return Console(emoji=False, stderr=stderr)
    return Console(width=200, emoji=False, stderr=stderr)


def pairs(ctx: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """Read ``NAME=VALUE`` words."""
    result = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not of the form NAME=VALUE")
        result[name] = text
    return result


def date(ctx: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """Read a date."""
    if value is None:
        return None
    try:
        return in_range(datetime.fromisoformat(value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date; write 2026-01-31 or 2026-01-31T06:00:00+01:00") from None
    except ScheduleError as error:
        raise click.BadParameter(str(error)) from None


def selection(function: F) -> F:
    """The arguments and options of every command that loads pipeline files."""
    return click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))(back_ends(function))


def back_ends(function: F) -> F:
    """The options that say with which plugins and options pipeline files are loaded."""
    decorators = [
        click.option("--orchestrator", metavar="NAME", help="Which orchestrator; wins over the file."),
        click.option("--environment", metavar="NAME", help="Which environment; wins over the file."),
        click.option(
            "--option",
            "-o",
            "options",
            multiple=True,
            callback=pairs,
            metavar="NAME=VALUE",
            help="An option; wins over the file.",
        ),
    ]
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def choice(function: F) -> F:
    """The options of every command that runs tasks."""
    decorators = [
        click.option(
            "--select",
            multiple=True,
            metavar="PATTERN",
            help="Only these tasks: id, path, transform, domain or domain.table; * and ?.",
        ),
        click.option("--exclude", multiple=True, metavar="PATTERN", help="All but these tasks."),
        click.option(
            "--var", "variables", multiple=True, callback=pairs, metavar="NAME=VALUE", help="A value for ${var:NAME}."
        ),
    ]
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def load(paths: Sequence[Path], overrides: Overrides) -> list[StarlakePipeline]:
    """Load pipelines, print warnings, and sort them so that each comes after those that feed it."""
    # A name on the command line that leads nowhere is wrong usage, not a problem of a file.
    for role, name in (("orchestrator", overrides.orchestrator), ("environment", overrides.environment)):
        if name:
            find(role, name)
    files = load_files(paths, overrides)
    for file in files:
        for warning in file.warnings:
            stderr().print(Text("warning: ", style="yellow").append(plain(warning)), soft_wrap=True)
    return sort_pipelines(pipelines_of(files))

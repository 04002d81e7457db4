"""Turns a function into a command, and its errors into a message and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click
from rich.text import Text

from ..errors import NothingFoundError, PluginNotFoundError, StarlakeError
from ..plain_text import plain
from ._console import stderr
from ._output import output_lost

__all__ = ["INTERRUPTED", "CommandFunction", "command"]

CommandFunction = Callable[..., None]
"""The function of a command, to which click passes arguments and options by name."""

INTERRUPTED = 130
_WRONG_USAGE = 2


class _ReportingCommand(click.Command):
    """A command that reports an error as one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
        except (NothingFoundError, PluginNotFoundError) as error:
            _fail(str(error), _WRONG_USAGE)
        except StarlakeError as error:
            _fail(str(error))
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        # Commands that end here exist for their output. Those that run pipelines exit before.
        lost = output_lost()
        if lost:
            _fail(f"the output cannot be written: {lost}")
        return result


def command(callback: CommandFunction) -> click.Command:
    """Turn a function into a command with its name, with dashes for underscores.

    Args:
        callback: the function, with the parameters declared by click's decorators; its docstring is the help text.
    """
    return click.command(cls=_ReportingCommand)(callback)


def _fail(message: str, code: int = 1) -> NoReturn:
    console = stderr()
    for line in plain(message).splitlines():
        console.print(Text("error: ", style="bold red").append(line, style="default not bold"), soft_wrap=True)
    sys.exit(code)

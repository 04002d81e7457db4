"""Options shared by several commands, and how to read their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import click

from ..errors import ScheduleError
from ..model.schedule import in_range, read_moment
from ._command import CommandFunction

__all__ = [
    "json_format",
    "parallelism_option",
    "read_date",
    "read_pairs",
    "retry_unsafe_option",
    "scheduled_date_option",
    "variables_option",
]


def read_pairs(ctx: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """Read arguments of the form ``NAME=VALUE``.

    Raises:
        click.BadParameter: an argument does not have that form.
    """
    result = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} does not have the form NAME=VALUE")
        result[name] = text
    return result


def read_date(ctx: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """Read a date.

    Raises:
        click.BadParameter: it is not a date, or is out of range.
    """
    if value is None:
        return None
    try:
        return in_range(read_moment(value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date; use 2026-01-31 or 2026-01-31T06:00:00+01:00") from None
    except ScheduleError as error:
        raise click.BadParameter(str(error)) from None


json_format = click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Text, or one JSON document for programs (docs/reference/json.md).",
)

scheduled_date_option = click.option(
    "--date",
    "scheduled_date",
    callback=read_date,
    metavar="DATE",
    help="Scheduled date (end of the data interval); now by default.",
)

retry_unsafe_option = click.option(
    "--retry-unsafe",
    type=click.Choice(["doubtful", "blind"]),
    default=None,
    help="Repeat a load, an append or an acknowledgement check even if that is not safe: doubtful, if its rows may already be written; blind, "
    "also if its files cannot be put back.",
)


def parallelism_option(help_text: str) -> Callable[[CommandFunction], CommandFunction]:
    """Return the option ``--parallelism``.

    Args:
        help_text: the help text for the command.
    """
    return click.option("--parallelism", type=click.IntRange(1), help=help_text)


def variables_option(help_text: str) -> Callable[[CommandFunction], CommandFunction]:
    """Return the option ``--var``, which a command receives as ``variables``.

    Args:
        help_text: the help text for the command.
    """
    return click.option("--var", "variables", multiple=True, callback=read_pairs, metavar="NAME=VALUE", help=help_text)

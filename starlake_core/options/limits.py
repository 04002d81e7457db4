"""The limits of services, checked when a pipeline is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ..errors import OptionsError
from ..logs import get_logger

__all__ = ["Limit", "check_limits", "limits_table"]

logger = get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Limit(Generic[T]):
    """One limit of a service.

    Attributes:
        about: what is limited, such as ``variables of an execution``.
        allowed: what the service accepts, such as ``at most 1000``.
        message: the message for a value over the limit, with fields in braces; what was given comes first, what to do
            last.
        source: the address of the page that documents it; empty for a limit known from experience, which only causes a
            warning.
        find: returns the values of the fields for each violation.
    """

    about: str
    allowed: str
    message: str
    source: str
    find: Callable[[T], Iterable[Mapping[str, object]]] = field(repr=False, compare=False)

    def problems(self, subject: T) -> list[str]:
        """Return a sentence for each violation of the limit.

        Args:
            subject: the value to check.
        """
        told = f"; {self.source}" if self.source else ""
        return [
            f"{self.message.format_map(dict(values))} ({self.about}: {self.allowed}{told})"
            for values in self.find(subject)
        ]


def check_limits(limits: Iterable[Limit[T]], subject: T, where: str) -> None:
    """Raise an error for what a service would refuse, and warn about what it may refuse.

    Args:
        limits: the limits of the service.
        subject: what will be sent to it.
        where: which task and plugin, for messages.

    Raises:
        OptionsError: documented limits are violated; the message has a line for each.
    """
    problems: list[str] = []
    for limit in limits:
        for problem in limit.problems(subject):
            if limit.source:
                problems.append(f"{where}: {problem}")
            else:
                logger.warning("%s: %s; this limit is not documented, so the service decides", where, problem)
    if problems:
        raise OptionsError(problems)


def limits_table(limits: Iterable[Limit[Any]]) -> str:
    """Return the limits as a Markdown table, for the documentation of a plugin.

    Args:
        limits: of the service.
    """

    def cell(text: str) -> str:
        return text.replace("|", "\\|")

    rows = [
        " | ".join(
            (
                f"| {cell(limit.about)}: {cell(limit.allowed)}",
                f"[documented]({limit.source})" if limit.source else "experience: a warning",
                f"{cell(limit.message)} |",
            )
        )
        for limit in limits
    ]
    return "\n".join(["| limit | source | message |", "|---|---|---|", *rows])

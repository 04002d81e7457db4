"""What a service refuses, said while a pipeline is drawn."""

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
        about: what is limited, ``variables of an execution``.
        allowed: what the service takes, ``at most 1000``.
        message: what is said of a value that it does not take, with fields in braces; what was given comes first, what to do last.
        source: address of the page that documents it. Empty for a limit that is only known from experience: it is warned about, and the service
            decides.
        find: the values of the fields for each thing that is not within the limit.
    """

    about: str
    allowed: str
    message: str
    source: str
    find: Callable[[T], Iterable[Mapping[str, object]]] = field(repr=False, compare=False)

    def problems(self, subject: T) -> list[str]:
        """What is not within the limit, a sentence each.

        Args:
            subject: what the limit is about.
        """
        told = f"; {self.source}" if self.source else ""
        return [
            f"{self.message.format_map(dict(values))} ({self.about}: {self.allowed}{told})"
            for values in self.find(subject)
        ]


def check_limits(limits: Iterable[Limit[T]], subject: T, where: str) -> None:
    """Refuse what a service would refuse, and warn about what it may refuse.

    Args:
        limits: of the service.
        subject: what is to be sent to it.
        where: which task and plugin, for messages.

    Raises:
        OptionsError: with a line for everything that is not within a documented limit.
    """
    problems: list[str] = []
    for limit in limits:
        for problem in limit.problems(subject):
            if limit.source:
                problems.append(f"{where}: {problem}")
            else:
                logger.warning("%s: %s; this limit is not documented, so that the service decides", where, problem)
    if problems:
        raise OptionsError(problems)


def limits_table(limits: Iterable[Limit[Any]]) -> str:
    """The limits as a table of Markdown, for the documents of a plugin.

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

"""The exceptions of this package, and the problems of files that they tell of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starlake_core.errors import StarlakeError

__all__ = ["JavaPatternError", "Problem", "ProjectError"]


@dataclass(frozen=True)
class Problem:
    """Something that is wrong in a file.

    Attributes:
        path: the file.
        message: what is wrong, and what to write instead.
        line: where, from 1; None where no line is to blame.
    """

    path: Path
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{where}: {self.message}"


class ProjectError(StarlakeError):
    """A file of the project cannot be read as what it should be; the message names the file.

    Attributes:
        problems: all of them; empty where the message is not about a file.
    """

    def __init__(self, message: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(message or "\n".join(map(str, problems)))
        self.problems = tuple(problems)


class JavaPatternError(ProjectError):
    """A regular expression that Java refuses, or that cannot be translated; the message quotes the construct and its position."""

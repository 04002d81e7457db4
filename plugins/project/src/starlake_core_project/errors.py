"""The exceptions of this package, and the problems in files that they report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starlake_core.errors import StarlakeError

__all__ = ["JavaPatternError", "Problem", "ProjectError"]


@dataclass(frozen=True)
class Problem:
    """A problem in a file.

    Attributes:
        path: the file.
        message: what is wrong, and what to write instead.
        line: the line, counted from 1; None if the problem is not in one line.
    """

    path: Path
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{where}: {self.message}"


class ProjectError(StarlakeError):
    """A file of the project is invalid or cannot be read; the message names the file.

    Attributes:
        problems: every problem that was found; empty if the message is not about the content of a file.
    """

    def __init__(self, message: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(message or "\n".join(map(str, problems)))
        self.problems = tuple(problems)


class JavaPatternError(ProjectError):
    """A regular expression that Java rejects or that cannot be translated; the message quotes the construct and its position."""

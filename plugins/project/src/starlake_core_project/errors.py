"""The exceptions of this package."""

from __future__ import annotations

from starlake_core.errors import StarlakeError

__all__ = ["JavaPatternError", "ProjectError"]


class ProjectError(StarlakeError):
    """A file of the project cannot be read as what it should be; the message names the file."""


class JavaPatternError(ProjectError):
    """A regular expression that Java refuses, or that cannot be translated; the message quotes the construct and its position."""

"""The one exception of this package."""

from __future__ import annotations

from starlake_core.errors import StarlakeError

__all__ = ["ProjectError"]


class ProjectError(StarlakeError):
    """A file of the project cannot be read as what it should be; the message names the file."""

"""The errors that this engine raises."""

from __future__ import annotations

from starlake_core.errors import StarlakeError

__all__ = ["EngineError", "ProjectFault", "unsupported"]


class EngineError(StarlakeError):
    """A command cannot be carried out; the message says why and what to do."""


class ProjectFault(EngineError):
    """The project or the request is wrong, or needs more than this engine supports: another attempt would fail in the same way."""


def unsupported(what: str) -> ProjectFault:
    """The error for something that only the Starlake command line itself supports.

    Args:
        what: a noun phrase, ``"the strategy SCD2 of starbake.orders"``.
    """
    return ProjectFault(
        f"{what} is not supported by the embedded DuckDB engine; "
        "run this with the Starlake command line (environment 'shell', executable 'starlake')"
    )

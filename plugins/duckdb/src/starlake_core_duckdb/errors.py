"""What this engine raises on purpose."""

from __future__ import annotations

from starlake_core.errors import StarlakeError

__all__ = ["EngineError", "ProjectFault", "unsupported"]


class EngineError(StarlakeError):
    """A command cannot be carried out; the message says why and what to do."""


class ProjectFault(EngineError):
    """The project, or what is asked of it, is wrong or more than this engine can do: another attempt would find it so again."""


def unsupported(what: str) -> ProjectFault:
    """The error about something that only the real Starlake command line does.

    Args:
        what: a noun phrase, ``"the strategy SCD2 of starbake.orders"``.
    """
    return ProjectFault(
        f"{what} is not supported by the embedded DuckDB engine; "
        "run this with the Starlake command line (environment 'shell', executable 'starlake')"
    )

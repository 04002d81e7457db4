"""What this engine raises on purpose."""

from __future__ import annotations

from starlake_core.errors import StarlakeError

__all__ = ["EngineError", "unsupported"]


class EngineError(StarlakeError):
    """A command cannot be carried out; the message says why and what to do."""


def unsupported(what: str) -> EngineError:
    """The error about something that only the real Starlake command line does.

    Args:
        what: a noun phrase, ``"the strategy SCD2 of starbake.orders"``.
    """
    return EngineError(
        f"{what} is not supported by the embedded DuckDB engine; "
        "run this with the Starlake command line (environment 'shell', executable 'starlake')"
    )

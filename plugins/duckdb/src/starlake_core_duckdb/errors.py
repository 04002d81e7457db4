"""The errors that this engine raises."""

from __future__ import annotations

from collections.abc import Sequence

from starlake_core.errors import StarlakeError

__all__ = [
    "EngineError",
    "NothingThere",
    "ProjectFault",
    "TooLarge",
    "caused_by",
    "combined",
    "is_lasting",
    "unsupported",
]

_SETTLED = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


class EngineError(StarlakeError):
    """A command cannot be carried out; the message says why and what to do."""


class ProjectFault(EngineError):
    """The project or the request is wrong, or needs more than this engine supports: another attempt would fail in the same way."""


class NothingThere(EngineError):
    """A data file holds nothing from which a table could be inferred."""


class TooLarge(EngineError):
    """A value has the type of its attribute, but not that of the column; such a load fails where the engine does as Starlake."""


def unsupported(what: str) -> ProjectFault:
    """The error for something that only the Starlake command line itself supports.

    Args:
        what: a noun phrase, ``"the strategy SCD2 of starbake.orders"``.
    """
    return ProjectFault(
        f"{what} is not supported by the embedded DuckDB engine; "
        "run this with the Starlake command line (environment 'shell', executable 'starlake')"
    )


def caused_by(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    """Whether an error, its cause, or the cause of that is of one of these kinds."""
    while error is not None:
        if isinstance(error, kinds):
            return True
        error = error.__cause__
    return False


def is_lasting(error: Exception) -> bool:
    """Whether another attempt would fail in the same way, because the failure is not about the data, the database or the machine."""
    if isinstance(error, EngineError):
        return isinstance(error, ProjectFault)
    cause = error.__cause__ if isinstance(error, StarlakeError) else error
    if isinstance(cause, OSError):  # about a file of the project, or another file
        return isinstance(error, StarlakeError) and isinstance(cause, _SETTLED)
    return True


def combined(errors: Sequence[StarlakeError]) -> StarlakeError:
    """One error for several: it lasts only if all of them do.

    Args:
        errors: at least one.
    """
    if len(errors) == 1:
        return errors[0]
    message = "\n".join(str(error) for error in errors)
    return ProjectFault(message) if all(is_lasting(error) for error in errors) else EngineError(message)

"""In which order the files of a table are loaded, and which of them together."""

from __future__ import annotations

from collections.abc import Sequence

from .context import Context
from .errors import ProjectFault
from .ingesting import Claimed

__all__ = ["batches_of"]

_BY_NAME = "ai.starlake.job.load.ingestionnamestrategy"


def batches_of(context: Context, claimed: Sequence[Claimed]) -> list[list[Claimed]]:
    """The files of a table in the order in which Starlake loads them: each for itself, or together if the project groups them.

    The oldest file comes first; of files of the same second, and with ``IngestionNameStrategy``, the one whose name comes first.

    Raises:
        ProjectFault: ``groupedMax`` is not a number.
    """
    application = context.project.application
    by_name = (application.load_strategy or "").lower() == _BY_NAME

    def place(item: Claimed) -> tuple[int, str, str]:
        return (0 if by_name else int(item.path.stat().st_mtime), item.name, str(item.path))

    ordered = sorted(claimed, key=place)
    size = _largest(application.grouped_max, len(ordered)) if application.grouped else 1
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def _largest(given: str | None, otherwise: int) -> int:
    """How many files are one batch at most."""
    if given is None:
        return max(otherwise, 1)
    if not (given.isascii() and given.isdigit() and int(given)):
        raise ProjectFault(f"groupedMax or SL_GROUPED_MAX is {given!r}; it must be a whole number above 0")
    return int(given)

"""In which order the files of a table are loaded, and which of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .context import Context
from .errors import ProjectFault
from .ingesting import Claimed

__all__ = ["Batches"]

_BY_NAME = "ai.starlake.job.load.ingestionnamestrategy"


@dataclass(frozen=True)
class Batches:
    """How a project wants its files to be loaded.

    Attributes:
        by_name: whether the name alone decides the order, as with ``IngestionNameStrategy``. Otherwise the oldest file comes first, and of
            files of the same second, the one whose name comes first.
        size: how many files are loaded together; None for all of a table.
    """

    by_name: bool
    size: int | None

    @classmethod
    def of(cls, context: Context) -> Batches:
        """The rule of a project. Starlake loads each file for itself, unless ``grouped`` or ``SL_GROUPED`` is true.

        Raises:
            ProjectFault: ``groupedMax`` is not a number.
        """
        application = context.project.application
        by_name = (application.load_strategy or "").lower() == _BY_NAME
        given = application.grouped_max
        if not application.grouped or given is None:
            return cls(by_name, None if application.grouped else 1)
        if not (given.isascii() and given.isdigit() and int(given)):
            raise ProjectFault(f"groupedMax or SL_GROUPED_MAX is {given!r}; it must be a whole number above 0")
        return cls(by_name, int(given))

    def split(self, claimed: Sequence[Claimed]) -> list[list[Claimed]]:
        """The files of a table in the order in which they are loaded, as batches."""

        def place(item: Claimed) -> tuple[int, str, str]:
            return (0 if self.by_name else int(item.path.stat().st_mtime), item.name, str(item.path))

        ordered = sorted(claimed, key=place)
        size = self.size or len(ordered) or 1
        return [ordered[start : start + size] for start in range(0, len(ordered), size)]

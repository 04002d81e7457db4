"""Finds the table of a project that a query means by a name: the tables of transforms first, and then those that are loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .catalogue import Item
from .sql_tables import TableName
from .table_names import Reference

__all__ = ["Resolver"]


class Resolver:
    """The tables of a project by name, regardless of case.

    A name with a domain means the transform of that name or table, or else the loaded table. A bare name means the only transform that writes a
    table of that name, or else the only loaded table.

    Args:
        items: the tables and transforms.
        references: the entries of ``refs.sl.yml``, which complete names first.
    """

    def __init__(self, items: Iterable[Item], references: Sequence[Reference] = ()) -> None:
        self._references = references
        self._whole: dict[str, Item] = {}
        self._bare_tasks: dict[str, list[Item]] = {}
        self._bare_tables: dict[str, list[Item]] = {}
        self._writers: dict[str, list[Item]] = {}
        members = list(items)
        for item in members:
            if item.is_task:
                self._whole.setdefault(item.full_name.lower(), item)
                self._writers.setdefault(item.sink.lower(), []).append(item)
        for item in sorted(members, key=lambda item: not item.is_task):
            self._whole.setdefault(item.sink.lower(), item)
            bare = self._bare_tasks if item.is_task else self._bare_tables
            bare.setdefault(item.final_name.lower(), []).append(item)

    def find(self, name: TableName) -> Item | None:
        """Return the table that a name means; None if the project has none, or several for a bare name.

        Args:
            name: the name as the query has it.
        """
        parts = name.parts
        if not name.quoted:
            parts = next(
                (whole for reference in self._references if (whole := reference.named(parts)) is not None), parts
            )
        if len(parts) > 1:
            return self._whole.get(".".join(parts[-2:]).lower())
        word = parts[0].lower() if parts else ""
        found = self._bare_tasks.get(word) or self._bare_tables.get(word) or []
        return found[0] if len(found) == 1 else None

    def writers(self, item: Item) -> Sequence[Item]:
        """Return all transforms that write the table of a transform, or the loaded table itself.

        Args:
            item: a transform or a loaded table.
        """
        return self._writers[item.sink.lower()] if item.is_task else (item,)

"""Typed access to the keys of a YAML mapping; unknown keys are nobody's business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import ProjectError

__all__ = ["Fields"]


@dataclass(frozen=True)
class Fields:
    """A mapping of a file.

    Attributes:
        source: the file, for messages.
        where: the way to the mapping inside the file, ``table.metadata``.
        values: what the file says.
    """

    source: Path
    where: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def document(cls, values: Any, source: Path) -> Fields:
        """The top of a file.

        Raises:
            ProjectError: it is no mapping.
        """
        return cls(source, "", cls._checked(values, source, "the file"))

    @staticmethod
    def _checked(value: Any, source: Path, where: str) -> Mapping[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise ProjectError(f"{source}: {where} has to be a mapping of names to values, found {_shown(value)}")
        return value

    def _name(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def _wrong(self, key: str, wanted: str) -> ProjectError:
        return ProjectError(
            f"{self.source}: {self._name(key)} has to be {wanted}, found {_shown(self.values.get(key))}"
        )

    def child(self, key: str) -> Fields:
        """A mapping inside this one; empty when it is absent."""
        name = self._name(key)
        return Fields(self.source, name, self._checked(self.values.get(key), self.source, name))

    def children(self, key: str) -> tuple[Fields, ...]:
        """A list of mappings; empty when it is absent."""
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self._wrong(key, "a list")
        names = [f"{self._name(key)}[{index}]" for index in range(len(value))]
        return tuple(
            Fields(self.source, name, self._checked(item, self.source, name))
            for name, item in zip(names, value, strict=True)
        )

    def text(self, key: str) -> str | None:
        """A text, or None when it is absent."""
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self._wrong(key, "a text")

    def flag(self, key: str) -> bool | None:
        """True or false, or None when it is absent."""
        value = self.text(key)
        if value is None:
            return None
        if value.lower() not in ("true", "false"):
            raise self._wrong(key, "true or false")
        return value.lower() == "true"

    def number(self, key: str) -> int | None:
        """A whole number, or None when it is absent."""
        value = self.text(key)
        try:
            return None if value is None else int(value)
        except ValueError:
            raise self._wrong(key, "a whole number") from None

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; one text stands for a list of one."""
        value = self.values.get(key)
        if value is None:
            return ()
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "a list of texts")
        return tuple(value)

    def mapping(self, key: str) -> dict[str, str]:
        """A mapping of texts; entries without a value are left out."""
        fields = self.child(key)
        return {name: text for name in fields.values if (text := fields.text(name)) is not None}


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)

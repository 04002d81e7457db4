"""The values of options, typed and read-only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, overload

from ..errors import UnknownOptionError, did_you_mean
from ..masking import mask_mapping
from .declare import OptionGroup

__all__ = ["Options"]

G = TypeVar("G", bound=OptionGroup)


class Options(Mapping[str, Any]):
    """Typed, read-only values of all options of all selected plugins.

    Args:
        values: option name to typed value; every declared option has one.
        tasks: per-task values: the name of a transform or task to what is overlaid for it. The key
            ``options`` there holds substitution variables of its command.
    """

    __slots__ = ("_groups", "_tasks", "_values")

    def __init__(self, values: Mapping[str, Any], tasks: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._values: dict[str, Any] = _copy(dict(values))
        self._groups: dict[type[OptionGroup], OptionGroup] = {}
        self._tasks: dict[str, dict[str, Any]] = _copy({name: dict(values) for name, values in (tasks or {}).items()})

    @overload
    def __getitem__(self, name: str) -> Any: ...

    @overload
    def __getitem__(self, name: type[G]) -> G: ...

    def __getitem__(self, name: str | type[G]) -> Any:
        """The value of an option, or a group of options with typed attributes.

        Args:
            name: of the option, or the class of the group.

        Raises:
            UnknownOptionError: no selected plugin declares it; a :class:`KeyError` too.
        """
        if not isinstance(name, str):
            group = self._groups.get(name)
            if group is None:
                group = self._groups[name] = name(self)
            return group
        try:
            # A copy of what could be changed: the values belong to every task.
            value = self._values[name]
        except KeyError:
            raise UnknownOptionError(
                f"no option '{name}': neither the core nor a selected plugin declares it.{did_you_mean(name, self._values)}"
            ) from None
        return _copy(value) if isinstance(value, (dict, list)) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Options({mask_mapping(self._values)!r})"

    @property
    def tasks(self) -> Mapping[str, Mapping[str, Any]]:
        """The per-task values, by name."""
        tasks: dict[str, dict[str, Any]] = _copy(self._tasks)
        return tasks

    @property
    def has_tasks(self) -> bool:
        """Whether there are per-task values."""
        return bool(self._tasks)

    def overlaid(self, values: Mapping[str, Any]) -> Options:
        """A copy in which some values are replaced; the names must be declared ones."""
        return Options({**self._values, **values}, self._tasks) if values else self

    def for_task(self, *names: str) -> Options:
        """The options as one task sees them.

        Args:
            names: names under which per-task values may stand, the last one wins.
        """
        if not self._tasks:
            return self
        overlay: dict[str, Any] = {}
        for name in names:
            overlay.update({k: v for k, v in self._tasks.get(name, {}).items() if k != "options"})
        return self.overlaid(overlay)

    def command_options(self, *names: str) -> Mapping[str, object] | str | None:
        """The substitution variables that stand under the name of a task, or None."""
        for name in reversed(names):
            if "options" in self._tasks.get(name, {}):
                found: Mapping[str, object] | str = self._tasks[name]["options"]
                return found
        return None


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value

"""The typed, read-only values of options, by name or as groups of typed attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar, overload

from ..errors import PluginContractError, UnknownOptionError, did_you_mean
from ..masking import mask_mapping
from .declare import Option
from .types import Kind

__all__ = ["OptionGroup", "Options", "option"]

T = TypeVar("T")
G = TypeVar("G", bound="OptionGroup")


_OF_GROUPS = ("declared", "prefixes", "elsewhere")
"""Attributes of the group itself, which are not options."""


class OptionGroup:
    """The options of a plugin, each an attribute with its type::

        class AcmeOptions(OptionGroup):
            acme_region: str = option(STR, required=True, doc="Region of the jobs.")
            acme_tries: int = option(Integer(1), 3, doc="How often a call is tried.")


        @hookimpl
        def sl_options():
            return [AcmeOptions]


        @hookimpl
        def sl_create_job(command, options):
            region = options[AcmeOptions].acme_region  # a str, for a type checker too

    A group is a view of :class:`Options`; it is read-only.

    Attributes:
        declared: its options, in the order of the attributes.
        prefixes: further prefixes reserved for this plugin, in addition to its name and ``_``. An option with such a
            prefix that it does not declare is refused.
        elsewhere: names that users may expect among its options but that belong somewhere else, each with a sentence
            that says what to type.
    """

    _options: Options
    _fixed: ClassVar[tuple[tuple[str, str], ...]] = ()
    declared: ClassVar[tuple[Option, ...]] = ()
    prefixes: ClassVar[tuple[str, ...]] = ()
    elsewhere: ClassVar[Mapping[str, str]] = {}

    def __init__(self, options: Options) -> None:
        found = vars(self)
        found["_options"] = options
        # Read once, because a plugin uses them for every task. For mutable values, the field returns a copy each time.
        for attribute, name in self._fixed:
            value = options._values.get(name)
            if value is not None and not isinstance(value, (dict, list)):
                found[attribute] = value

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set: options are read-only")

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        fields = {name: value for name, value in vars(cls).items() if isinstance(value, _Field)}
        for name in vars(cls).get("__annotations__", ()):
            if not name.startswith("_") and name not in fields and name not in _OF_GROUPS:
                raise PluginContractError(
                    f"{cls.__qualname__}.{name} is not an option; write {name}: ... = option(...)"
                )
        for name in _OF_GROUPS:
            if name in fields:
                raise PluginContractError(
                    f"{cls.__qualname__}.{name} is an attribute of every group; rename the attribute, and keep the name of the option: "
                    f"option(..., name='{name}')"
                )
        cls.declared = (*cls.declared, *(field.option for field in fields.values()))
        cls._fixed = (*cls._fixed, *((name, field.option.name) for name, field in fields.items()))

    def __repr__(self) -> str:
        values = {option.name: self._options[option.name] for option in self.declared}
        return f"{type(self).__name__}({mask_mapping(values)!r})"


class _Field:
    """An attribute of a group."""

    def __init__(self, keywords: Mapping[str, Any]) -> None:
        self._keywords = keywords

    def __set_name__(self, owner: type, name: str) -> None:
        self.option = Option(**{"name": name, **self._keywords})

    def __get__(self, group: OptionGroup | None, owner: type) -> Any:
        if group is None:
            return self.option
        return group._options[self.option.name]


@overload
def option(
    type: Kind[T],
    default: T,
    *,
    name: str = ...,
    doc: str = ...,
    env: str = ...,
    aliases: tuple[str, ...] = ...,
    effective: bool = ...,
) -> T: ...


@overload
def option(
    type: Kind[T],
    *,
    required: Literal[True],
    name: str = ...,
    doc: str = ...,
    env: str = ...,
    aliases: tuple[str, ...] = ...,
) -> T: ...


@overload
def option(
    type: Kind[T],
    default: None = None,
    *,
    name: str = ...,
    doc: str = ...,
    env: str = ...,
    aliases: tuple[str, ...] = ...,
    effective: bool = ...,
) -> T | None: ...


def option(type: Kind[Any], default: Any = None, **keywords: Any) -> Any:
    """An option of a group, as the value of an attribute.

    Args:
        type: the type of its value.
        default: the typed value if none is given.
        **keywords: ``required``: whether a value must be given. ``name``: the key in the options; the name of the
            attribute by default. ``doc``, ``env``, ``aliases`` and ``effective``: see :class:`Option`.
    """
    return _Field({"type": type, "default": default, **keywords})


class Options(Mapping[str, Any]):
    """The typed, read-only values of all options of all selected plugins.

    Args:
        values: the typed value of every declared option, by name.
        tasks: per-task values, by the name of a transform or task. The key ``options`` holds substitution variables of
            its command.
        problems: messages about per-task values, by name. They matter only if a task has that name; otherwise it may be
            an option of another plugin.
    """

    __slots__ = ("_groups", "_tasks", "_values", "problems")

    def __init__(
        self,
        values: Mapping[str, Any],
        tasks: Mapping[str, Mapping[str, Any]] | None = None,
        problems: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.problems = dict(problems or {})
        self._values: dict[str, Any] = _copy(dict(values))
        self._groups: dict[type[OptionGroup], OptionGroup] = {}
        self._tasks: dict[str, dict[str, Any]] = _copy({name: dict(values) for name, values in (tasks or {}).items()})

    @overload
    def __getitem__(self, name: str) -> Any: ...

    @overload
    def __getitem__(self, name: type[G]) -> G: ...

    def __getitem__(self, name: str | type[G]) -> Any:
        """Return the value of an option, or a group of options with typed attributes.

        Args:
            name: the name of the option, or the class of the group.

        Raises:
            UnknownOptionError: no selected plugin declares it. The error is also a :class:`KeyError`.
        """
        if not isinstance(name, str):
            group = self._groups.get(name)
            if group is None:
                group = self._groups[name] = name(self)
            return group
        try:
            # A copy of mutable values, because all tasks share them.
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
        """Whether any task has its own values."""
        return bool(self._tasks)

    def overlaid(self, values: Mapping[str, Any]) -> Options:
        """Return a copy with some values replaced. The names must be declared."""
        return Options({**self._values, **values}, self._tasks) if values else self

    def for_task(self, *names: str) -> Options:
        """Return the options that apply to one task.

        Args:
            names: the keys of its per-task values; later ones win.
        """
        if not self._tasks:
            return self
        overlay: dict[str, Any] = {}
        for name in names:
            overlay.update({k: v for k, v in self._tasks.get(name, {}).items() if k != "options"})
        return self.overlaid(overlay)

    def command_options(self, *names: str) -> Mapping[str, object] | str | None:
        """Return the substitution variables given under the name of a task, or None."""
        for name in reversed(names):
            if "options" in self._tasks.get(name, {}):
                found: Mapping[str, object] | str = self._tasks[name]["options"]
                return found
        return None


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value

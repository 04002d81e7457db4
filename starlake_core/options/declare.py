"""Declaring options: one by one, or as a group of typed attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, overload

from ..errors import PluginContractError
from ..masking import mask_mapping
from .types import Kind

if TYPE_CHECKING:
    from .values import Options

__all__ = ["Declared", "Option", "OptionGroup", "option"]

T = TypeVar("T")
_FROM_NAME = "<from the name>"


@dataclass(frozen=True)
class Option:
    """One option that a plugin understands.

    Attributes:
        name: the key in the options.
        type: how its value is read.
        default: the typed value when nothing is given; None where there is none.
        required: whether a value must be given.
        doc: one sentence for tables and messages.
        env: the environment variable that may give it. By default ``SL_<NAME>`` (a name that begins with
            ``sl_`` keeps its own prefix); the empty string means that no variable is read.
        aliases: other keys for the same option, from earlier generators.
        effective: whether it changes anything. False for one that is accepted only because existing files give it.
    """

    name: str
    type: Kind[Any]
    default: Any = None
    required: bool = False
    doc: str = ""
    env: str = _FROM_NAME
    aliases: tuple[str, ...] = ()
    effective: bool = True

    def __post_init__(self) -> None:
        if self.env == _FROM_NAME:
            upper = self.name.upper()
            object.__setattr__(self, "env", upper if upper.startswith("SL_") else f"SL_{upper}")


@dataclass(frozen=True)
class Declared:
    """An option with the plugin that declares it, ``core`` for the general ones."""

    option: Option
    plugin: str


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
    """

    _options: Options
    _fixed: ClassVar[tuple[tuple[str, str], ...]] = ()
    declared: ClassVar[tuple[Option, ...]] = ()

    def __init__(self, options: Options) -> None:
        found = vars(self)
        found["_options"] = options
        # Read once: a plugin asks for them for every task. What could be changed is a copy each time, which the field makes.
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
            if not name.startswith("_") and name not in fields:
                raise PluginContractError(
                    f"{cls.__qualname__}.{name} is not an option; write {name}: ... = option(...)"
                )
        if "declared" in fields:
            raise PluginContractError(
                f"{cls.__qualname__}.declared is a name of the group itself; give the attribute another one, and the option this one: "
                "option(..., name='declared')"
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
        type: how its value is read.
        default: the typed value when nothing is given.
        required: whether a value must be given.
        name: the key in the options; the name of the attribute by default.
        doc, env, aliases, effective: as those of :class:`Option`.
    """
    return _Field({"type": type, "default": default, **keywords})

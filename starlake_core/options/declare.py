"""What an option is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .types import Kind

__all__ = ["DeclaredOption", "Option"]

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
class DeclaredOption:
    """An option with the plugin that declares it, ``core`` for the general ones."""

    option: Option
    plugin: str

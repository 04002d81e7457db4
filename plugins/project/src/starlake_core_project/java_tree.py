"""What a regular expression of Java consists of, as a tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .java_sets import CharSet

__all__ = [
    "Assertion",
    "Atomic",
    "Choice",
    "Grapheme",
    "Group",
    "LineBreak",
    "Look",
    "Node",
    "One",
    "Reference",
    "Repeat",
    "Sequence",
    "children",
    "walk",
    "width",
]


@dataclass(frozen=True)
class One:
    """One character of a set."""

    chars: CharSet


@dataclass(frozen=True)
class Assertion:
    """A place: a name of :data:`~starlake_core_project.java_writer.PLACES`."""

    name: str


@dataclass(frozen=True)
class LineBreak:
    r"""``\R``."""


@dataclass(frozen=True)
class Grapheme:
    r"""``\X``."""


@dataclass(frozen=True)
class Reference:
    """What a group has matched, once more."""

    number: int
    ignore_case: bool


@dataclass(frozen=True)
class Sequence:
    """One after the other."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    """The first that fits."""

    branches: tuple[Node, ...]


@dataclass(frozen=True)
class Group:
    """Parentheses; number 0 captures nothing."""

    node: Node
    number: int = 0
    name: str = ""


@dataclass(frozen=True)
class Atomic:
    """``(?>X)``."""

    node: Node


@dataclass(frozen=True)
class Look:
    """Look-ahead and look-behind."""

    node: Node
    behind: bool
    negative: bool


@dataclass(frozen=True)
class Repeat:
    """A node several times; ``most`` is None without a limit."""

    node: Node
    least: int
    most: int | None
    mode: Literal["", "?", "+"]


Node: TypeAlias = (
    One | Assertion | LineBreak | Grapheme | Reference | Sequence | Choice | Group | Atomic | Look | Repeat
)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes that a node is made of."""
    if isinstance(node, Sequence):
        return node.items
    if isinstance(node, Choice):
        return node.branches
    return (node.node,) if isinstance(node, Group | Atomic | Look | Repeat) else ()


def walk(node: Node) -> Iterator[Node]:
    """A node and all that is in it."""
    yield node
    for child in children(node):
        yield from walk(child)


def width(node: Node) -> tuple[int, int | None]:
    """How many characters a node takes at least and at most; None without a limit."""
    if isinstance(node, One):
        return 1, 1
    if isinstance(node, LineBreak):
        return 1, 2
    if isinstance(node, Assertion | Look):
        return 0, 0
    if isinstance(node, Reference | Grapheme):
        return 0, None
    widths = [width(child) for child in children(node)]
    leasts, mosts = [least for least, _ in widths], [most for _, most in widths]
    if isinstance(node, Choice):
        return min(leasts), None if None in mosts else max(most or 0 for most in mosts)
    least, most = sum(leasts), None if None in mosts else sum(most or 0 for most in mosts)
    if isinstance(node, Repeat):
        return least * node.least, 0 if most == 0 else None if most is None or node.most is None else most * node.most
    return least, most

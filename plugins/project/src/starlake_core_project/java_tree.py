"""The syntax tree of a regular expression of Java."""

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
    """One character from a set."""

    chars: CharSet


@dataclass(frozen=True)
class Assertion:
    """A position: a name of :data:`~starlake_core_project.java_writer.PLACES`."""

    name: str


@dataclass(frozen=True)
class LineBreak:
    r"""``\R``."""


@dataclass(frozen=True)
class Grapheme:
    r"""``\X``."""


@dataclass(frozen=True)
class Reference:
    """A back reference: the text that a group has matched."""

    number: int
    ignore_case: bool


@dataclass(frozen=True)
class Sequence:
    """Nodes that match one after the other."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    """Alternatives, of which the first that matches is used."""

    branches: tuple[Node, ...]


@dataclass(frozen=True)
class Group:
    """A group in parentheses; the number 0 means that it does not capture."""

    node: Node
    number: int = 0
    name: str = ""


@dataclass(frozen=True)
class Atomic:
    """``(?>X)``."""

    node: Node


@dataclass(frozen=True)
class Look:
    """A look-ahead or look-behind."""

    node: Node
    behind: bool
    negative: bool


@dataclass(frozen=True)
class Repeat:
    """A repeated node; ``most`` is None if there is no limit."""

    node: Node
    least: int
    most: int | None
    mode: Literal["", "?", "+"]


Node: TypeAlias = (
    One | Assertion | LineBreak | Grapheme | Reference | Sequence | Choice | Group | Atomic | Look | Repeat
)


def children(node: Node) -> tuple[Node, ...]:
    """Return the direct children of a node."""
    if isinstance(node, Sequence):
        return node.items
    if isinstance(node, Choice):
        return node.branches
    return (node.node,) if isinstance(node, Group | Atomic | Look | Repeat) else ()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all of its descendants."""
    yield node
    for child in children(node):
        yield from walk(child)


def width(node: Node) -> tuple[int, int | None]:
    """Return the minimum and maximum number of characters that a node matches; None if there is no maximum."""
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

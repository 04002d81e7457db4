"""The conditions of an adaptive write strategy, such as ``group("mode") == "FULL" && dayOfWeek != 7``.

Starlake compiles them as Scala. Here they are parsed: names, numbers, strings in double quotes, ``null``, ``group(...)``, comparisons, ``&&``,
``||``, ``!``, arithmetic and parentheses; nothing else is run. Their types are checked when they are parsed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ProjectFault

__all__ = ["Condition", "FileFacts", "parse_condition"]

_TOKEN = re.compile(r'\s*(?:(\d+)[lL]?(?!\w)|"((?:[^"\\]|\\.)*)"|(\w+)|(&&|\|\||==|!=|<=|>=|[<>!()+\-*/%]))')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_KIND = {int: "a number", str: "a text", bool: "true or false"}
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}
_ARITHMETIC: Mapping[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: _divided(a, b),
    "%": lambda a, b: a - _divided(a, b) * b,
}
_DEPTH = 50


def _divided(left: int, right: int) -> int:
    """Divide as Scala does: towards zero."""
    if right == 0:
        raise ProjectFault("a condition divides by zero")
    return abs(left) // abs(right) * (1 if (left < 0) is (right < 0) else -1)


@dataclass(frozen=True)
class FileFacts:
    """What a condition may ask of a file, besides the groups of its name.

    Attributes:
        groups: the texts of the groups of the pattern, by number and by name.
        values: the values of the other names, such as ``fileSize``.
    """

    groups: Mapping[int | str, str | None]
    values: Mapping[str, int | bool]


Evaluate = Callable[[FileFacts], Any]


@dataclass(frozen=True)
class Condition:
    """A condition that was checked.

    Attributes:
        text: how it was written.
        holds: whether it is true of a file.
    """

    text: str
    holds: Callable[[FileFacts], bool]


@dataclass(frozen=True)
class _Part:
    kind: type
    value: Evaluate


class _Parser:
    def __init__(self, text: str, names: Mapping[str, type], groups: frozenset[int | str]) -> None:
        self.text, self.names, self.groups = text, names, groups
        self.tokens = list(self._tokens())
        self.place = 0
        self.depth = 0

    def _tokens(self) -> Any:
        at, end = 0, len(self.text.rstrip())
        while at < end:
            found = _TOKEN.match(self.text, at)
            if found is None:
                raise ProjectFault(f"{self.text[at:].strip()[:20]!r} cannot be read")
            number, text, name, sign = found.groups()
            if number is not None:
                yield "number", int(number)
            elif text is not None:
                yield "text", re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), text)
            else:
                yield ("name", name) if name else ("sign", sign)
            at = found.end()

    def peek(self, *signs: str) -> bool:
        return self.place < len(self.tokens) and self.tokens[self.place] in [("sign", sign) for sign in signs]

    def next(self) -> tuple[str, Any]:
        if self.place == len(self.tokens):
            raise ProjectFault("it ends too early")
        self.place += 1
        token: tuple[str, Any] = self.tokens[self.place - 1]
        return token

    def expect(self, sign: str) -> None:
        kind, value = self.next()
        if (kind, value) != ("sign", sign):
            raise ProjectFault(f"{sign!r} is expected before {value!r}")

    def whole(self) -> Evaluate:
        part = self.either()
        if self.place < len(self.tokens):
            raise ProjectFault(f"nothing may follow before {self.tokens[self.place][1]!r}")
        return _of(part, bool)

    def either(self) -> _Part:
        self.depth += 1
        if self.depth > _DEPTH:
            raise ProjectFault("it has too many parentheses")
        part = self.both()
        while self.peek("||"):
            self.next()
            part = _Part(bool, _one_of(_of(part, bool), _of(self.both(), bool)))
        self.depth -= 1
        return part

    def both(self) -> _Part:
        part = self.compared()
        while self.peek("&&"):
            self.next()
            part = _Part(bool, _both_of(_of(part, bool), _of(self.compared(), bool)))
        return part

    def compared(self) -> _Part:
        left = self.sum()
        if not self.peek(*_COMPARE):
            return left
        sign = self.next()[1]
        right = self.sum()
        if left.kind is not right.kind:
            raise ProjectFault(f"{sign!r} compares {_KIND[left.kind]} with {_KIND[right.kind]}")
        if sign not in ("==", "!=") and left.kind is not int:
            raise ProjectFault(f"{sign!r} compares numbers, not {_KIND[left.kind]}")
        return _Part(bool, _computed(_COMPARE[sign], left.value, right.value))

    def sum(self) -> _Part:
        part = self.product()
        while self.peek("+", "-"):
            sign = self.next()[1]
            part = _Part(int, _computed(_ARITHMETIC[sign], _of(part, int), _of(self.product(), int)))
        return part

    def product(self) -> _Part:
        part = self.one()
        while self.peek("*", "/", "%"):
            sign = self.next()[1]
            part = _Part(int, _computed(_ARITHMETIC[sign], _of(part, int), _of(self.one(), int)))
        return part

    def one(self) -> _Part:
        kind, value = self.next()
        if kind == "number":
            return _Part(int, lambda facts: value)
        if kind == "text":
            return _Part(str, lambda facts: value)
        if (kind, value) == ("sign", "("):
            part = self.either()
            self.expect(")")
            return part
        if (kind, value) in (("sign", "!"), ("sign", "-")):
            wanted = bool if value == "!" else int
            self.depth += 1
            if self.depth > _DEPTH:
                raise ProjectFault("it has too many signs")
            inner = _of(self.one(), wanted)
            self.depth -= 1
            return _Part(wanted, lambda facts: not inner(facts) if wanted is bool else -inner(facts))
        if kind == "name":
            return self.named(value)
        raise ProjectFault(f"{value!r} is not expected")

    def named(self, name: str) -> _Part:
        if name in ("true", "false"):
            return _Part(bool, lambda facts: name == "true")
        if name == "null":
            return _Part(str, lambda facts: None)
        if name == "group":
            self.expect("(")
            kind, group = self.next()
            self.expect(")")
            if kind not in ("number", "text"):
                raise ProjectFault("group takes the number of a group, or its name in double quotes")
            if group not in self.groups:
                raise ProjectFault(f"the pattern has no group {group!r} (it has {_listed(self.groups)})")
            return _Part(str, lambda facts: facts.groups[group])
        if name not in self.names:
            raise ProjectFault(f"{name!r} is unknown; use group, {', '.join(sorted(self.names))}")
        return _Part(self.names[name], lambda facts: facts.values[name])


def _one_of(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda facts: left(facts) or right(facts)


def _both_of(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda facts: left(facts) and right(facts)


def _computed(compute: Callable[[Any, Any], Any], left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda facts: compute(left(facts), right(facts))


def _of(part: _Part, kind: type) -> Evaluate:
    if part.kind is not kind:
        raise ProjectFault(f"{_KIND[kind]} is expected, not {_KIND[part.kind]}")
    return part.value


def _listed(groups: frozenset[int | str]) -> str:
    return ", ".join(sorted(repr(group) for group in groups)) or "none"


def parse_condition(text: str, names: Mapping[str, type], groups: frozenset[int | str], where: str) -> Condition:
    """Check a condition.

    Args:
        text: the condition.
        names: the types of the names that it may use.
        groups: the numbers and names of the groups that it may use.
        where: what it is for, for messages.

    Raises:
        ProjectFault: it cannot be understood.
    """
    try:
        return Condition(text, _Parser(text, names, groups).whole())
    except ProjectFault as error:
        raise ProjectFault(f"{where}: the condition {text!r} is wrong: {error}") from None

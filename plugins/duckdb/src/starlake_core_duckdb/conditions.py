"""The conditions of expectations: ``result(0) == 1 && count > 0``.

A condition is read by this module alone; nothing of it is run as code or as SQL.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["Condition", "ConditionError", "Rows", "condition"]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>==|!=|<>|<=|>=|&&|\|\||[<>=!()\[\]+\-*/%.,]))"
)
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ADD = ("+", "-")
_MULTIPLY = ("*", "/", "%")
_CONSTANTS = {"true": True, "false": False, "null": None}
_SIZES = ("size", "length")


class ConditionError(ValueError):
    """A condition cannot be read or evaluated; the message says why."""


@dataclass(frozen=True)
class Rows:
    """What the query of an expectation returned.

    Attributes:
        count: the number of rows.
        results: the first rows.
    """

    count: int
    results: Sequence[Sequence[Any]] = ()

    @property
    def result(self) -> Sequence[Any]:
        """The first row; empty if there is none."""
        return self.results[0] if self.results else ()


_Value = Callable[[Rows], Any]


@dataclass(frozen=True)
class Condition:
    """A condition that was read."""

    text: str
    _value: _Value = field(repr=False, compare=False)

    def holds(self, rows: Rows) -> bool:
        """Whether the condition is true.

        Raises:
            ConditionError: it is not a truth value, or compares what cannot be compared.
        """
        try:
            value = self._value(rows)
        except (ArithmeticError, InvalidOperation, TypeError) as error:
            raise ConditionError(f"the condition {self.text!r} cannot be evaluated: {error}") from error
        if not isinstance(value, bool):
            raise ConditionError(f"the condition {self.text!r} is {value!r}, and has to be true or false")
        return value


def condition(text: str) -> Condition:
    """Read a condition.

    It knows ``count``, ``result(0)``, ``results(0)(1)`` and ``results.size``, numbers, strings, ``true``, ``false`` and ``null``; it
    compares, calculates, and joins with ``&&``, ``||`` and ``!``.

    >>> condition("result(0) == 1 && count > 0").holds(Rows(1, [(1,)]))
    True

    Raises:
        ConditionError: it is something else.
    """
    try:
        return Condition(text, _Reader(text).whole())
    except RecursionError:
        raise ConditionError(f"the condition is nested too deeply; {_EXAMPLE}") from None


class _Reader:
    """Reads a condition by recursive descent."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        self._next = 0
        position = 0
        while text[position:].strip():
            found = _TOKEN.match(text, position)
            if found is None:
                raise ConditionError(f"{text!r} is not a condition, at {text[position:].strip()[:20]!r}; {_EXAMPLE}")
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind]))
            position = found.end()

    def whole(self) -> _Value:
        value = self._any()
        if self._next < len(self._tokens):
            raise self._wrong()
        return value

    def _wrong(self) -> ConditionError:
        rest = " ".join(text for _, text in self._tokens[self._next :]) or "its end"
        return ConditionError(f"{self._text!r} is not a condition, at {rest!r}; {_EXAMPLE}")

    def _sign(self, *signs: str) -> str | None:
        if self._next < len(self._tokens):
            kind, text = self._tokens[self._next]
            if (kind == "sign" and text in signs) or (kind == "name" and text.lower() in signs):
                self._next += 1
                return text.lower()
        return None

    def _demand(self, sign: str) -> None:
        if self._sign(sign) is None:
            raise self._wrong()

    def _any(self) -> _Value:
        value = self._all()
        while self._sign("||", "or"):
            value = _either(value, self._all())
        return value

    def _all(self) -> _Value:
        value = self._not()
        while self._sign("&&", "and"):
            value = _both(value, self._not())
        return value

    def _not(self) -> _Value:
        if self._sign("!", "not"):
            inner = self._not()
            return lambda rows: not _truth(inner(rows))
        return self._comparison()

    def _comparison(self) -> _Value:
        left = self._sum()
        sign = self._sign(*_COMPARE)
        if sign is None:
            return left
        return _compared(_COMPARE[sign], sign, left, self._sum())

    def _sum(self) -> _Value:
        value = self._product()
        while sign := self._sign(*_ADD):
            value = _calculated(sign, value, self._product())
        return value

    def _product(self) -> _Value:
        value = self._unary()
        while sign := self._sign(*_MULTIPLY):
            value = _calculated(sign, value, self._unary())
        return value

    def _unary(self) -> _Value:
        if self._sign("-"):
            inner = self._unary()
            return lambda rows: -_number(inner(rows))
        return self._primary()

    def _primary(self) -> _Value:
        if self._sign("("):
            value = self._any()
            self._demand(")")
            return value
        if self._next >= len(self._tokens):
            raise self._wrong()
        kind, text = self._tokens[self._next]
        self._next += 1
        if kind == "number":
            number = Decimal(text)
            return lambda rows: number
        if kind == "text":
            plain = re.sub(r"\\(.)", r"\1", text[1:-1])
            return lambda rows: plain
        if kind == "name" and text.lower() in _CONSTANTS:
            constant = _CONSTANTS[text.lower()]
            return lambda rows: constant
        if kind == "name" and text == "count":
            return lambda rows: rows.count
        if kind == "name" and text in ("result", "results"):
            return self._of_rows(text)
        self._next -= 1
        raise self._wrong()

    def _of_rows(self, name: str) -> _Value:
        if self._sign("."):
            if self._sign(*_SIZES) is None:
                raise self._wrong()
            return (lambda rows: len(rows.result)) if name == "result" else (lambda rows: rows.count)
        value: _Value = (lambda rows: rows.result) if name == "result" else (lambda rows: rows.results)
        depth = 1 if name == "result" else 2
        for _ in range(depth):
            close = {"(": ")", "[": "]"}.get(self._sign("(", "[") or "")
            if close is None:
                raise self._wrong()
            value = _indexed(value, self._sum())
            self._demand(close)
        return value


_EXAMPLE = "write one such as result(0) == 1, count > 0 or results(0)(1) != 'x'"


def _indexed(values: _Value, index: _Value) -> _Value:
    def found(rows: Rows) -> Any:
        entries, number = values(rows), _number(index(rows))
        if entries is None or number != int(number) or not 0 <= number < len(entries):
            return None  # a row or column that is not there
        return entries[int(number)]

    return found


def _either(left: _Value, right: _Value) -> _Value:
    return lambda rows: _truth(left(rows)) or _truth(right(rows))


def _both(left: _Value, right: _Value) -> _Value:
    return lambda rows: _truth(left(rows)) and _truth(right(rows))


def _compared(compare: Callable[[Any, Any], bool], sign: str, left: _Value, right: _Value) -> _Value:
    def found(rows: Rows) -> bool:
        one, other = _plain(left(rows)), _plain(right(rows))
        if one is None or other is None:
            return compare(one, other) if sign in ("==", "=", "!=", "<>") else False
        if isinstance(one, Decimal) != isinstance(other, Decimal):
            one, other = str(one), str(other)
        return compare(one, other)

    return found


def _calculated(sign: str, left: _Value, right: _Value) -> _Value:
    work: Callable[[Any, Any], Any] = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
        "%": operator.mod,
    }[sign]
    return lambda rows: work(_number(left(rows)), _number(right(rows)))


def _plain(value: Any) -> Any:
    """A value that can be compared: truth values as they are, numbers as exact decimals, everything else as text."""
    if value is None or isinstance(value, bool):
        return value
    return Decimal(str(value)) if isinstance(value, (int, float, Decimal)) else str(value)


def _number(value: Any) -> Decimal:
    plain = _plain(value)
    if not isinstance(plain, Decimal):
        raise TypeError(f"{value!r} is not a number")
    return plain


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value

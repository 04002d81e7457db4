"""The syntax of Java's regular expressions (``java.util.regex.Pattern`` of Java 17), read into a tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from .java_escapes import Escapes
from .java_sets import ANY, CharSet, either_case
from .java_tree import (
    Assertion,
    Atomic,
    Choice,
    Grapheme,
    Group,
    Look,
    Node,
    One,
    Reference,
    Repeat,
    Sequence,
    children,
    walk,
    width,
)

__all__ = ["Parser"]

_FLAGS = "imsduxU"
_BLANK = " \t\n\x0b\f\r"
_MANY = 0x7FFFFFFF
_TERMINATORS = CharSet.chars("\n\r\u0085\u2028\u2029")


def _has_one_way(node: Node) -> bool:
    # What Java calls deterministic: it then repeats a group without a stack.
    if isinstance(node, Choice):
        return False
    if isinstance(node, Repeat):
        return node.least == node.most and node.least != 1 and _has_one_way(node.node)
    return isinstance(node, Look) or all(_has_one_way(child) for child in children(node))


def _vague_groups(node: Node, reason: str) -> Iterator[tuple[int, str]]:
    # Groups in positions where Java keeps the captures of a failed match, each with the reason.
    if isinstance(node, Group) and node.number and reason:
        yield node.number, reason
    if isinstance(node, Look | Atomic) or (isinstance(node, Repeat) and node.mode == "+"):
        reason = "in a look-around, an atomic group or a possessive repetition"
    elif isinstance(node, Repeat) and width(node.node)[0] == 0:
        reason = "in a repetition of something that can be empty"
    for child in children(node):
        yield from _vague_groups(child, reason)


class Parser(Escapes):
    """Reads one pattern."""

    def parse(self) -> Node:
        """Return the tree of the pattern.

        Raises:
            JavaPatternError: the pattern is not valid in Java, or cannot be translated.
        """
        node = self._expression()
        if self._at < len(self._tokens):
            self._fail(self._place(), "a closing parenthesis without an opening one")
        for number, reason in _vague_groups(node, ""):
            if number in self.names.values() or number in self.referred:
                self._refuse(
                    self._begins[number],
                    f"a group whose text is used {reason}",
                    "the group outside of it",
                    len(self._pattern),
                )
        return node

    def leave_re(self) -> None:
        """Check that the pattern also works outside of ``re``; called if ``re`` is not enough for it.

        Raises:
            JavaPatternError: the pattern needs something that only ``re`` does in the same way as Java.
        """
        if self._folded is not None:
            self._refuse(
                self._folded,
                "a reference that ignores case in a pattern with properties or possessive repetitions",
                "the reference without (?i)",
            )

    # Structure

    def _expression(self) -> Node:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def _sequence(self) -> Node:
        items: list[Node] = []
        row: list[str] = []

        def finish() -> None:
            items.extend(self._literal(char, alone=len(row) == 1) for char in row)
            row.clear()

        while not self._ended() and self._peek() not in ("|", ")"):
            if self._peek() == "(":
                finish()  # before the flags of the group apply
            found = self._item()
            if isinstance(found, str):
                row.append(found)
                if self._peek() not in ("?", "*", "+", "{"):
                    continue
                row.pop()
                finish()
                found = self._literal(found, alone=True)
            finish()
            if found is not None:
                items.append(self._repeated(found))
        finish()
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def _literal(self, char: str, *, alone: bool) -> One:
        if "i" in self._flags:
            return One(either_case(char, char, "u" in self._flags, alone=alone))
        return One(CharSet.chars(char))

    def _item(self) -> Node | str | None:
        place = self._place()
        char = self._peek()
        if not char:  # quoted
            self._at += 1
            return self._tokens[self._at - 1][0]
        if char in "?*+":
            self._at += 1
            self._fail(place, "there is nothing before it to repeat")
        if char == "{":
            return Sequence(())  # Java then repeats the empty string
        self._at += 1
        if char == "(":
            return self._group(place)
        if char == "[":
            return One(self._class(place))
        if char == "\\":
            found = self._escape(place)
            return One(found) if isinstance(found, CharSet) else found
        if char in "^$":
            return Assertion(self._line_place(char))
        if char == ".":
            return One(ANY if "s" in self._flags else ~CharSet.chars("\n") if "d" in self._flags else ~_TERMINATORS)
        return char

    def _line_place(self, char: str) -> str:
        lines = "m" in self._flags
        if char == "^":
            return "start" if not lines else "unix line start" if "d" in self._flags else "line start"
        name = "line end" if lines else "last line end"
        return f"unix {name}" if "d" in self._flags else name

    def _repeated(self, node: Node) -> Node:
        place = self._place() if not self._ended() else 0
        char = self._peek()
        if not char or char not in "?*+{":
            return node
        self._at += 1
        least, most = {"?": (0, 1), "*": (0, None), "+": (1, None)}.get(char) or self._counted(place)
        mode: Literal["", "?", "+"] = "?" if self._take("?") else "+" if self._take("+") else ""
        return Repeat(node, least, most, mode)

    def _counted(self, place: int) -> tuple[int, int | None]:
        if not self._is_digit(self._raw()):
            self._fail(place, r"a repetition is {2}, {2,} or {2,5}; write a literal brace as \{")
        least = self._number(place)
        most: int | None = least
        if self._take(","):
            most = None if self._peek() == "}" else self._number(place)
        if not self._take("}"):
            self._fail(
                place, r"the repetition is not closed; a repetition is {2}, {2,} or {2,5}; write a literal brace as \{"
            )
        if most is not None and most < least:
            self._fail(place, "the second number of a repetition must not be less than the first")
        return least, None if most == _MANY else most

    def _number(self, place: int) -> int:
        number = 0
        while self._is_digit(self._peek()):
            number = number * 10 + int(self._read())
        if number > _MANY:
            self._fail(place, f"a repetition count is at most {_MANY}")
        return number

    # Groups

    def _group(self, place: int) -> Node | None:
        flags = set(self._flags)
        if self._peek() != "?":
            return self._capturing(place, flags)
        self._at += 1
        char = self._raw()
        if char and char in ":=!>":
            self._at += 1
            if char == ":":
                return Group(self._closed(place, flags))
            if char == ">":
                return Atomic(self._closed(place, flags))
            return self._look(place, flags, behind=False, negative=char == "!")
        if char == "<":
            self._at += 1
            if self._take("="):
                return self._look(place, flags, behind=True, negative=False)
            if self._take("!"):
                return self._look(place, flags, behind=True, negative=True)
            return self._capturing(place, flags, self._group_name(place))
        self._read_flags(place)
        if self._take(")"):
            return None
        if not self._take(":"):
            self._at += 1
            self._fail(
                place,
                f"no group starts like this; the flags are {', '.join(_FLAGS)}, and a named group is (?<name>...)",
            )
        return Group(self._closed(place, flags))

    def _closed(self, place: int, flags: set[str]) -> Node:
        node = self._expression()
        if not self._take(")"):
            self._fail(place, "the group is not closed", place + 1)
        self._flags = flags
        return node

    def _capturing(self, place: int, flags: set[str], name: str = "") -> Node:
        if name in self.names:
            self._fail(place, f"a second group with the name {name}")
        self.groups += 1
        number = self.groups
        self._begins[number] = place
        if name:
            self.names[name] = number
        node = self._closed(place, flags)
        self._ended_groups.add(number)
        return Group(node, number, name)

    def _read_flags(self, place: int) -> None:
        change = self._flags.add
        negative = False
        while (char := self._peek()) and char in _FLAGS + "-c":
            if char == "-" and negative:
                return
            self._at += 1
            if char == "c":
                self._refuse(
                    place, "the flag c (canonical equivalence)", "both forms of the character, such as (?:é|e\\u0301)"
                )
            if char == "-":
                negative, change = True, self._flags.discard
                continue
            change(char)
            if char == "U":
                change("u")

    def _look(self, place: int, flags: set[str], *, behind: bool, negative: bool) -> Node:
        node = self._closed(place, flags)
        if behind:
            self._check_behind(place, node)
        return Look(node, behind, negative)

    def _check_behind(self, place: int, node: Node) -> None:
        for item in walk(node):
            if isinstance(item, Grapheme):
                self._refuse(place, r"\X in a look-behind", "the characters themselves")
            if isinstance(item, Atomic) or (isinstance(item, Repeat) and item.mode == "+"):
                self._refuse(
                    place,
                    "an atomic group or possessive repetition in a look-behind",
                    "an ordinary group or repetition",
                )
            repeated = item.node if isinstance(item, Repeat) and (item.least, item.most) != (0, 1) else None
            if isinstance(item, Reference) or (isinstance(repeated, Group) and not _has_one_way(repeated)):
                self._fail(
                    place,
                    "a look-behind must have an obvious maximum length: no back references, no repeated groups with alternatives",
                )
        if width(node)[1] is None:
            self._refuse(place, "a look-behind without a maximum length", "{1,100} instead of +, {0,100} instead of *")

    # Classes

    def _class(self, place: int) -> CharSet:
        negative = self._raw() == "^"
        if negative:
            self._at += 1
        found = self._members(place)
        self._at += 1
        return ~found if negative else found

    def _members(self, place: int) -> CharSet:
        found: CharSet | None = None
        while True:
            if self._ended():
                self._fail(place, r"the class is not closed; write a literal bracket as \[", place + 1)
            char = self._peek()
            if char == "]" and found is not None:
                return found
            if char == "&" and self._and_follows():
                found = self._intersected(place, found)
                continue
            if char == "[":
                start = self._place()
                self._at += 1
                item = self._class(start)
            else:
                item = self._range(place)
            found = item if found is None else found | item

    def _and_follows(self) -> bool:
        if "x" in self._flags and self._raw(1) and self._raw(1) in _BLANK + "#":
            self._refuse(self._place(), "& before white space under the flag x", r"\&", self._place() + 1)
        return self._raw(1) == "&"

    def _intersected(self, place: int, left: CharSet | None) -> CharSet:
        start = self._place()
        self._at += 2
        right: CharSet | None = None
        while not self._ended() and self._peek() not in ("]", "&"):
            if self._peek() == "[":
                inner = self._place()
                self._at += 1
                item = self._class(inner)
            else:
                item = self._members(place)
            right = item if right is None else right | item
        if right is None or (self._peek() == "&" and self._raw(1) != "&"):
            self._refuse(
                start, "an intersection without a second set, or & after it", r"[a&&[b]], and \& for the character"
            )
        return right if left is None else left & right

    def _range(self, place: int) -> CharSet:
        start = self._place()
        first = self._member(ends_range=False)
        if isinstance(first, CharSet):
            return first
        if self._peek() != "-" or self._raw(1) in ("[", "]"):
            return either_case(first, first, "u" in self._flags) if "i" in self._flags else CharSet.chars(first)
        self._at += 1
        if self._ended():
            self._fail(place, r"the class is not closed; write a literal bracket as \[", place + 1)
        last = self._member(ends_range=True)
        if isinstance(last, CharSet) or last < first:
            self._fail(start, r"the end of the range is not a character after its start; write a literal hyphen as \-")
        if "i" in self._flags:
            return either_case(first, last, "u" in self._flags)
        return CharSet.of((ord(first), ord(last)))

    def _member(self, *, ends_range: bool) -> str | CharSet:
        place = self._place()
        if self._peek() != "\\":
            self._at += 1
            return self._tokens[self._at - 1][0]
        self._at += 1
        found = self._escape(place, in_class=True, ends_range=ends_range)
        assert isinstance(found, str | CharSet)
        return found

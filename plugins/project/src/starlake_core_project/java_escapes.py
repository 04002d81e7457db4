"""The characters of a regular expression of Java, and what follows a backslash."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import NoReturn

from .errors import JavaPatternError
from .java_sets import CharSet, posix_set, property_set, unicode_posix_set
from .java_tree import Assertion, Grapheme, LineBreak, Node, Reference

__all__ = ["Escapes"]

_BLANK = " \t\n\x0b\f\r"
_LAST_REFERENCE = 99
_HORIZONTAL = CharSet.chars(" \t\u00a0\u1680\u180e\u202f\u205f\u3000") | CharSet.of((0x2000, 0x200A))
_VERTICAL = CharSet.chars("\n\x0b\f\r\u0085\u2028\u2029")
_CONTROLS = {"a": "\x07", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_PREDEFINED = {"d": ("Digit", "DIGIT"), "s": ("Space", "WHITE_SPACE"), "w": ("", "WORD")}
_WORD = posix_set("Alnum") | CharSet.chars("_")


_NAME_HINT = "a name is an ASCII letter followed by ASCII letters and digits"


class Escapes:
    """Reads a pattern from left to right.

    Attributes:
        names: the named groups and their numbers.
        groups: the number of capturing groups.
        referred: the groups that back references refer to.
    """

    def __init__(self, pattern: str, flags: str = "") -> None:
        self.names: dict[str, int] = {}
        self.groups = 0
        self.referred: set[int] = set()
        self._pattern = pattern
        self._flags = set(flags)
        self._begins: dict[int, int] = {}
        self._ended_groups: set[int] = set()
        self._folded: int | None = None
        self._at = 0
        for place, char in enumerate(pattern):
            if char == "\0" or "\ud800" <= char <= "\udfff":
                self._refuse(place, "a raw NUL or half of a surrogate pair", r"\x00 or the whole character", place + 1)
        self._tokens = list(self._unquoted())

    # Characters

    def _unquoted(self) -> Iterator[tuple[str, bool, int]]:
        pattern, place, quoted = self._pattern, 0, False
        while place < len(pattern):
            if quoted:
                if pattern.startswith(r"\E", place):
                    quoted = False
                    place += 2
                    continue
                yield pattern[place], True, place
            elif pattern.startswith(r"\Q", place):
                quoted = True
                place += 1
            else:
                yield pattern[place], False, place
                if pattern[place] == "\\" and place + 1 < len(pattern):
                    place += 1
                    yield pattern[place], False, place
            place += 1

    def _skip(self) -> None:
        if "x" not in self._flags:
            return
        while self._at < len(self._tokens):
            char, quoted, _ = self._tokens[self._at]
            if quoted or char not in _BLANK + "#":
                return
            self._at += 1
            if char == "#":
                ends = "\n" if "d" in self._flags else "\n\r\u0085\u2028\u2029"
                while self._at < len(self._tokens) and self._tokens[self._at][0] not in ends:
                    self._at += 1
                self._at += 1

    def _peek(self) -> str:
        """Return the next syntax character; empty at the end and before a quoted character."""
        self._skip()
        return self._raw()

    def _raw(self, ahead: int = 0) -> str:
        if self._at + ahead >= len(self._tokens):
            return ""
        char, quoted, _ = self._tokens[self._at + ahead]
        return "" if quoted else char

    def _read(self) -> str:
        char = self._peek()
        if char:
            self._at += 1
        return char

    def _take(self, chars: str) -> bool:
        found = self._peek()
        if found and found in chars:
            self._at += 1
            return True
        return False

    def _place(self, at: int | None = None) -> int:
        at = self._at if at is None else at
        return self._tokens[at][2] if at < len(self._tokens) else len(self._pattern)

    def _ended(self) -> bool:
        self._skip()
        return self._at >= len(self._tokens)

    def _quote(self, place: int, end: int | None) -> str:
        end = self._place() if end is None else end
        return (
            f"{self._pattern[place : max(end, place + 1)]!r} at character {place + 1}"
            if place < len(self._pattern)
            else "at its end"
        )

    def _fail(self, place: int, reason: str, end: int | None = None) -> NoReturn:
        raise JavaPatternError(
            f"{self._pattern!r} is not a regular expression of Java: {self._quote(place, end)}: {reason}"
        )

    def _refuse(self, place: int, what: str, advice: str, end: int | None = None) -> NoReturn:
        raise JavaPatternError(
            f"the regular expression {self._pattern!r} cannot be translated: {self._quote(place, end)}: {what} is not supported; write {advice}"
        )

    # Escapes

    def _escape(self, place: int, *, in_class: bool = False, ends_range: bool = False) -> str | CharSet | Node:
        char = self._raw()
        if not char:
            self._fail(place, r"nothing follows the backslash; write a literal backslash as \\")
        self._at += 1
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char in "0xucN":
            return self._numeric(place, char)
        if char == "v" and in_class and (ends_range or self._raw() == "-"):
            return "\x0b"
        if char.lower() in "dswhv":
            found = self._predefined(char.lower())
            return ~found if char.isupper() else found
        if char in "pP" and not ends_range:
            return self._property(place, negative=char == "P")
        if char.isascii() and char.isalnum():
            node = None if in_class else self._special(place, char)
            if node is None:
                self._fail(place, f"Java has no escape \\{char} {'in a class' if in_class else 'here'}")
            return node
        return char

    def _predefined(self, char: str) -> CharSet:
        if char in "hv":
            return _HORIZONTAL if char == "h" else _VERTICAL
        ascii_name, unicode_name = _PREDEFINED[char]
        if "U" in self._flags:
            return unicode_posix_set(unicode_name)
        return posix_set(ascii_name) if ascii_name else _WORD

    def _special(self, place: int, char: str) -> Node | None:
        if char in "123456789":
            return self._reference(place, int(char))
        if char == "k":
            if self._read() != "<":
                self._fail(place, r"a reference to a named group is \k<name>")
            name = self._group_name(place)
            if name not in self.names:
                self._fail(place, f"there is no group {name} before it")
            return self._refer(place, self.names[name])
        if char in "bB":
            if char == "b" and [self._raw(ahead) for ahead in range(3)] == ["{", "g", "}"]:
                self._at += 3
                self._refuse(place, r"\b{g}", r"\X for a whole grapheme")
            return Assertion(
                ("not " if char == "B" else "") + ("unicode word edge" if "U" in self._flags else "word edge")
            )
        if char == "Z":
            return Assertion("unix last line end" if "d" in self._flags else "last line end")
        if char in "AGz":
            return Assertion("end" if char == "z" else "start")
        return LineBreak() if char == "R" else Grapheme() if char == "X" else None

    def _group_name(self, place: int) -> str:
        name = ""
        while (char := self._read()) != ">":
            if not (char.isascii() and char.isalnum()) or (not name and char.isdigit()):
                self._fail(place, f"this is not the name of a group; {_NAME_HINT}")
            name += char
        if not name:
            self._fail(place, f"the name of the group is missing; {_NAME_HINT}")
        return name

    @staticmethod
    def _is_digit(char: str) -> bool:
        return char != "" and char in "0123456789"

    def _reference(self, place: int, number: int) -> Reference:
        while self._is_digit(self._peek()) and number * 10 + int(self._peek()) <= self.groups:
            number = number * 10 + int(self._read())
        return self._refer(place, number)

    def _refer(self, place: int, number: int) -> Reference:
        if number not in self._ended_groups:
            self._refuse(
                place, f"a reference to group {number}, which does not end before it,", "the group before its reference"
            )
        if number > _LAST_REFERENCE:
            self._refuse(
                place,
                f"a reference to a group beyond the {_LAST_REFERENCE}th",
                "groups that nothing refers to as (?:...)",
            )
        if {"i", "u"} <= self._flags:
            self._refuse(
                place,
                "a reference that ignores the case of letters beyond ASCII",
                "both cases of the text, such as (?:é|É)",
            )
        self.referred.add(number)
        if "i" in self._flags:
            self._folded = place
        return Reference(number, "i" in self._flags)

    def _numeric(self, place: int, char: str) -> str:
        if char == "0":
            return self._octal(place)
        if char == "c":
            if not (control := self._read()):
                self._fail(place, r"a control character is \cA to \cZ")
            return chr(ord(control) ^ 64)
        if char == "N":
            return self._by_name(place)
        if char == "x" and self._take("{"):
            digits = ""
            while (digit := self._read()) and digit in "0123456789abcdefABCDEF":
                digits += digit
            if digit != "}" or not digits or int(digits, 16) > 0x10FFFF:
                self._fail(place, r"a code point is \x{0} to \x{10FFFF}")
            return self._whole(place, int(digits, 16))
        code = self._hexadecimal(place, 2 if char == "x" else 4)
        if char == "u" and 0xD800 <= code < 0xDC00 and self._raw() == "\\" and self._raw(1) == "u":
            self._at += 2
            low = self._hexadecimal(place, 4)
            if 0xDC00 <= low < 0xE000:
                return chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00))
        return self._whole(place, code)

    def _whole(self, place: int, code: int) -> str:
        if 0xD800 <= code < 0xE000:
            self._refuse(place, "half of a surrogate pair", r"the whole character, such as \x{1F600}")
        return chr(code)

    def _hexadecimal(self, place: int, count: int) -> int:
        digits = ""
        for _ in range(count):
            digit = self._read()
            if not digit or digit not in "0123456789abcdefABCDEF":
                self._fail(place, f"{count} hexadecimal digits must follow")
            digits += digit
        return int(digits, 16)

    def _octal(self, place: int) -> str:
        digits = ""
        while len(digits) < (3 if digits[:1] <= "3" else 2) and (digit := self._peek()) and digit in "01234567":
            digits += self._read()
        if not digits:
            self._fail(place, r"an octal number has one to three digits, at most \0377")
        return chr(int(digits, 8))

    def _braced(self, place: int) -> str:
        start = self._at
        while self._read() != "}":
            if self._ended() or not self._raw():
                self._fail(place, "the closing brace is missing")
        return "".join(char for char, _, _ in self._tokens[start : self._at - 1])

    def _by_name(self, place: int) -> str:
        if not self._take("{"):
            self._fail(place, r"write the name of a character like \N{DIGIT ONE}")
        name = self._braced(place).strip().upper()
        try:
            char = unicodedata.lookup(name)
            known = unicodedata.name(char, "") == name
        except KeyError:
            known = False
        if not known:
            self._refuse(place, f"the character name {name}", r"the character or its number, such as \x{1F600}")
        return char

    def _property(self, place: int, *, negative: bool) -> CharSet:
        if self._take("{"):
            name = self._braced(place)
        elif not (name := self._read()):
            self._fail(place, r"a property is \p{L} or \pL")
        found = property_set(name, ignore_case="i" in self._flags, unicode="U" in self._flags)
        if found is None:
            self._fail(place, f"Java has no property {name!r}; names of properties are case-sensitive")
        return ~found if negative else found

"""Character sets of Java's regular expressions: ranges, properties, and the characters that ignoring case adds to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["ANY", "CharSet", "either_case", "fold", "posix_set", "property_set", "unicode_posix_set"]

_LAST = 0x10FFFF
_CASED = 0x1EFFF  # no character above it has a case


def _escape(code: int) -> str:
    if code < 0x80 and chr(code).isalnum():
        return chr(code)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@dataclass(frozen=True)
class CharSet:
    """A set of code points.

    Attributes:
        ranges: its first and last code points, sorted and apart; None when it depends on Unicode properties.
        source: for a set with properties, the set in the syntax of the library ``regex``.
    """

    ranges: tuple[tuple[int, int], ...] | None
    source: str = ""

    @classmethod
    def of(cls, *ranges: tuple[int, int]) -> CharSet:
        """Create a set from ranges in any order."""
        merged: list[tuple[int, int]] = []
        for first, last in sorted(ranges):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        return cls(tuple(merged))

    @classmethod
    def chars(cls, text: Iterable[str]) -> CharSet:
        """Create a set from characters."""
        return cls.of(*((ord(char), ord(char)) for char in text))

    @classmethod
    def properties(cls, *names: str) -> CharSet:
        """Create the set of the characters with any of the Unicode properties."""
        return cls(None, "[" + "".join(rf"\p{{{name}}}" for name in names) + "]")

    @property
    def pattern(self) -> str:
        """A pattern that matches one character of the set."""
        if self.ranges is None:
            return self.source
        if not self.ranges:
            return "(?!)"
        if len(self.ranges) == 1 and self.ranges[0][0] == self.ranges[0][1]:
            return _escape(self.ranges[0][0])
        return self._listed

    @property
    def _listed(self) -> str:
        if self.ranges is None:
            return self.source
        return "[" + "".join(_escape(a) if a == b else f"{_escape(a)}-{_escape(b)}" for a, b in self.ranges) + "]"

    def __invert__(self) -> CharSet:
        if self.ranges is None:
            return CharSet(None, f"[^{self.source}]")
        starts = (0, *(last + 1 for _, last in self.ranges))
        ends = (*(first - 1 for first, _ in self.ranges), _LAST)
        return CharSet(tuple((a, b) for a, b in zip(starts, ends, strict=True) if a <= b))

    def __or__(self, other: CharSet) -> CharSet:
        if self.ranges is not None and other.ranges is not None:
            return CharSet.of(*self.ranges, *other.ranges)
        if self.ranges == () or other.ranges == ():
            return other if self.ranges == () else self
        return CharSet(None, f"[{self._listed}||{other._listed}]")

    def __and__(self, other: CharSet) -> CharSet:
        if self.ranges is not None and other.ranges is not None:
            return ~(~self | ~other)
        if self.ranges == () or other.ranges == ():
            return CharSet(())
        return CharSet(None, f"[{self._listed}&&{other._listed}]")


ANY = CharSet.of((0, _LAST))


def _upper(char: str) -> str:
    # Java maps one character to one; for the few whose upper case is longer, this is the title case or the character itself.
    return next((text for text in (char.upper(), char.title()) if len(text) == 1), char)


@lru_cache(maxsize=4096)
def fold(char: str) -> str:
    """Return the form that Java compares when it ignores case with the flag ``u``: the lower case of the upper case."""
    upper = _upper(char)
    return "i" if upper == "\u0130" else upper.lower()


@lru_cache(maxsize=1)
def _folded() -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = {}
    for code in range(0x80, _CASED):
        char = chr(code)
        folded = fold(char)
        if folded != char:
            found.setdefault(folded, []).append(code)
    return found


def _ascii_cases(code: int) -> tuple[int, ...]:
    char = chr(code)
    return (ord(char.lower()), ord(char.upper())) if code < 0x80 and char.isalpha() else (code,)


def either_case(first: str, last: str, unicode: bool, *, alone: bool = True) -> CharSet:
    """Return a range of characters, and the characters that Java treats as equal when it ignores case.

    Args:
        unicode: whether the flag ``u`` is set; without it, only ASCII letters have a case.
        alone: whether the character is not part of a longer literal, for which Java compares differently.
    """
    start, end = ord(first), ord(last)
    if not unicode:
        more = [case for code in range(start, min(end, 0x7F) + 1) for case in _ascii_cases(code)]
        return CharSet.of((start, end), *((code, code) for code in more))
    if start == end:
        if alone and _upper(first) == fold(first):
            return CharSet.chars(first)
        folded = fold(first)
        same = [ord(folded), *_folded().get(folded, ()), *(code for code in range(0x80) if fold(chr(code)) == folded)]
        return (
            CharSet.of((start, start), *((code, code) for code in same))
            if alone
            else CharSet.of(*((c, c) for c in same))
        )
    more = [
        code
        for code in (*range(0x80), *(code for codes in _folded().values() for code in codes))
        if start <= ord(_upper(chr(code))) <= end or start <= ord(fold(chr(code))) <= end
    ]
    more += [code for code in range(0x80, _CASED) if start <= ord(_upper(chr(code))) <= end]
    return CharSet.of((start, end), *((code, code) for code in more))


_LOWER = CharSet.of((0x61, 0x7A))
_UPPER = CharSet.of((0x41, 0x5A))
_DIGIT = CharSet.of((0x30, 0x39))
_ALPHA = _LOWER | _UPPER
_SPACE = CharSet.of((9, 13), (32, 32))
_GRAPH = CharSet.of((0x21, 0x7E))
_CONTROL = CharSet.of((0, 0x1F), (0x7F, 0x7F))
_ASCII: Mapping[str, CharSet] = {
    "Lower": _LOWER,
    "Upper": _UPPER,
    "Alpha": _ALPHA,
    "Digit": _DIGIT,
    "Alnum": _ALPHA | _DIGIT,
    "Punct": _GRAPH & ~(_ALPHA | _DIGIT),
    "Graph": _GRAPH,
    "Print": CharSet.of((0x20, 0x7E)),
    "Blank": CharSet.chars(" \t"),
    "Cntrl": _CONTROL,
    "XDigit": _DIGIT | CharSet.of((0x41, 0x46), (0x61, 0x66)),
    "Space": _SPACE,
    "ASCII": CharSet.of((0, 0x7F)),
    "L1": CharSet.of((0, 0xFF)),
    "all": ANY,
}
_CATEGORIES = frozenset("LMNZCPS") | {
    major + minor
    for major, minors in {
        "C": "ncfos",
        "L": "ultmo",
        "M": "nec",
        "N": "dlo",
        "Z": "slp",
        "P": "dsecoif",
        "S": "mcko",
    }.items()
    for minor in minors
}
_CASE = CharSet.properties("Lu", "Ll", "Lt")
_ANY_CASE = CharSet.properties("Uppercase", "Lowercase", "Lt")
_IGNORABLE = CharSet.of((0, 8), (14, 27), (0x7F, 0x9F)) | CharSet.properties("Cf")
_SEPARATOR = CharSet.properties("Zs", "Zl", "Zp")
_JAVA: Mapping[str, Callable[[], CharSet]] = {
    "javaLowerCase": lambda: CharSet.properties("Lowercase"),
    "javaUpperCase": lambda: CharSet.properties("Uppercase"),
    "javaTitleCase": lambda: CharSet.properties("Lt"),
    "javaAlphabetic": lambda: CharSet.properties("Alphabetic"),
    "javaIdeographic": lambda: CharSet.properties("Ideographic"),
    "javaDigit": lambda: CharSet.properties("Nd"),
    "javaDefined": lambda: ~CharSet.properties("Cn"),
    "javaLetter": lambda: CharSet.properties("L"),
    "javaLetterOrDigit": lambda: CharSet.properties("L", "Nd"),
    "javaJavaIdentifierStart": lambda: CharSet.properties("L", "Nl", "Sc", "Pc"),
    "javaJavaIdentifierPart": lambda: CharSet.properties("L", "Nl", "Sc", "Pc", "Nd", "Mn", "Mc") | _IGNORABLE,
    "javaUnicodeIdentifierStart": lambda: CharSet.properties("ID_Start") | CharSet.chars("\u2e2f"),
    "javaUnicodeIdentifierPart": lambda: (
        (CharSet.properties("ID_Continue") & ~CharSet.chars("\u30fb\uff65")) | CharSet.chars("\u2e2f") | _IGNORABLE
    ),
    "javaIdentifierIgnorable": lambda: _IGNORABLE,
    "javaSpaceChar": lambda: _SEPARATOR,
    "javaWhitespace": lambda: (_SEPARATOR & ~CharSet.chars("\u00a0\u2007\u202f")) | CharSet.of((9, 13), (28, 31)),
    "javaISOControl": lambda: CharSet.of((0, 0x1F), (0x7F, 0x9F)),
    "javaMirrored": lambda: CharSet.properties("Bidi_Mirrored"),
}
_GRAPHIC = ~CharSet.properties("Zs", "Zl", "Zp", "Cc", "Cs", "Cn")
_BLANK = CharSet.properties("Zs") | CharSet.chars("\t")
_UNICODE: Mapping[str, CharSet] = {
    "ALPHABETIC": CharSet.properties("Alphabetic"),
    "LETTER": CharSet.properties("L"),
    "IDEOGRAPHIC": CharSet.properties("Ideographic"),
    "LOWERCASE": CharSet.properties("Lowercase"),
    "UPPERCASE": CharSet.properties("Uppercase"),
    "TITLECASE": CharSet.properties("Lt"),
    "WHITE_SPACE": _SEPARATOR | CharSet.of((9, 13), (0x85, 0x85)),
    "CONTROL": CharSet.properties("Cc"),
    "PUNCTUATION": CharSet.properties("P"),
    "HEX_DIGIT": CharSet.properties("Nd") | CharSet.of((0x41, 0x46), (0x61, 0x66), (0xFF21, 0xFF26), (0xFF41, 0xFF46)),
    "ASSIGNED": ~CharSet.properties("Cn"),
    "NONCHARACTER_CODE_POINT": CharSet.of(
        (0xFDD0, 0xFDEF), *((plane * 0x10000 + 0xFFFE, plane * 0x10000 + 0xFFFF) for plane in range(17))
    ),
    "DIGIT": CharSet.properties("Nd"),
    "ALNUM": CharSet.properties("Alphabetic", "Nd"),
    "BLANK": _BLANK,
    "GRAPH": _GRAPHIC,
    "PRINT": (_GRAPHIC | _BLANK) & ~CharSet.properties("Cc"),
    "WORD": CharSet.properties("Alphabetic", "M", "Nd", "Pc") | CharSet.chars("\u200c\u200d"),
    "JOIN_CONTROL": CharSet.chars("\u200c\u200d"),
}
_ALIASES = {
    "WHITESPACE": "WHITE_SPACE",
    "HEXDIGIT": "HEX_DIGIT",
    "NONCHARACTERCODEPOINT": "NONCHARACTER_CODE_POINT",
    "JOINCONTROL": "JOIN_CONTROL",
}
_UNICODE_POSIX = {
    "ALPHA": "ALPHABETIC",
    "LOWER": "LOWERCASE",
    "UPPER": "UPPERCASE",
    "SPACE": "WHITE_SPACE",
    "PUNCT": "PUNCTUATION",
    "XDIGIT": "HEX_DIGIT",
    "ALNUM": "ALNUM",
    "CNTRL": "CONTROL",
    "DIGIT": "DIGIT",
    "BLANK": "BLANK",
    "GRAPH": "GRAPH",
    "PRINT": "PRINT",
}


def posix_set(name: str) -> CharSet:
    """An ASCII class: ``Digit``, ``Space``, ``Alpha`` ..."""
    return _ASCII[name]


def unicode_posix_set(name: str) -> CharSet:
    """A Unicode property by Java's name: ``DIGIT``, ``WHITE_SPACE``, ``WORD`` ..."""
    return _UNICODE[name]


@lru_cache(maxsize=1)
def _names() -> Mapping[str, Mapping[str, tuple[int, int] | str]]:
    import json
    from importlib.resources import files

    found: Mapping[str, Mapping[str, tuple[int, int] | str]] = json.loads(
        (files(__package__) / "java_names.json").read_text(encoding="utf-8")
    )
    return found


def _script(name: str) -> CharSet | None:
    code = _names()["scripts"].get(name.upper())
    return CharSet.properties(f"Script={code}") if code else None


def _block(name: str) -> CharSet | None:
    block = _names()["blocks"].get(name.upper())
    return CharSet.of((int(block[0]), int(block[1]))) if block else None


def _general(name: str, ignore_case: bool) -> CharSet | None:
    if ignore_case and name in ("Lu", "Ll", "Lt"):
        return _CASE
    if name in _CATEGORIES:
        return CharSet.properties(name)
    if name in ("LC", "LD"):
        return _CASE if name == "LC" else CharSet.properties("L", "Nd")
    if name in _ASCII:
        return _ALPHA if ignore_case and name in ("Lower", "Upper") else _ASCII[name]
    if name in _JAVA:
        return (
            _ANY_CASE if ignore_case and name in ("javaLowerCase", "javaUpperCase", "javaTitleCase") else _JAVA[name]()
        )
    return None


def _by_unicode_name(name: str, ignore_case: bool) -> CharSet | None:
    if ignore_case and name in ("LOWERCASE", "UPPERCASE", "TITLECASE"):
        return _ANY_CASE
    return _UNICODE.get(name)


def property_set(name: str, *, ignore_case: bool, unicode: bool) -> CharSet | None:
    r"""Return the set for ``\p{name}``, or None if Java has no such property.

    Args:
        ignore_case: whether the flag ``i`` is set.
        unicode: whether the flag ``U`` is set.
    """
    key, equals, value = name.partition("=")
    if equals:
        key = key.lower()
        if key in ("sc", "script"):
            return _script(value)
        if key in ("blk", "block"):
            return _block(value)
        return _general(value, ignore_case) if key in ("gc", "general_category") else None
    if name.startswith("In"):
        return _block(name[2:])
    if name.startswith("Is"):
        upper = name[2:].upper()
        found = _by_unicode_name(_ALIASES.get(upper, upper), ignore_case) or _by_unicode_name(
            _UNICODE_POSIX.get(upper, ""), ignore_case
        )
        return found or _general(name[2:], ignore_case) or _script(name[2:])
    found = _by_unicode_name(_UNICODE_POSIX.get(name.upper(), ""), ignore_case) if unicode else None
    return found or _general(name, ignore_case)

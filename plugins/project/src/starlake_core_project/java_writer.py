"""Writes the tree of a regular expression of Java for Python and for RE2."""

from __future__ import annotations

from collections.abc import Mapping

from .java_sets import CharSet
from .java_tree import (
    Assertion,
    Atomic,
    Choice,
    Group,
    LineBreak,
    Look,
    Node,
    One,
    Reference,
    Repeat,
    Sequence,
    walk,
    width,
)

__all__ = ["PLACES", "RE2_SIZE", "Writer", "re2_size", "re2_source"]

_LETTER = r"[\p{L}\p{Nd}]"
_LEFT = rf"(?<=[\p{{L}}\p{{Nd}}_]|{_LETTER}\p{{Mn}}+)"
_RIGHT = rf"(?:(?=[\p{{L}}\p{{Nd}}_])|(?=\p{{Mn}})(?<={_LETTER}\p{{Mn}}*))"
_WORD = r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]"
# Each position with its pattern, and whether Python's `re` supports that pattern.
PLACES: Mapping[str, tuple[str, bool]] = {
    "start": (r"\A", True),
    "end": (r"\Z", True),
    "line start": (r"(?:(?!\Z)(?:\A|(?<=[\n\x85\u2028\u2029])|(?<=\r)(?!\n)))", True),
    "unix line start": (r"(?:(?!\Z)(?:\A|(?<=\n)))", True),
    "line end": (r"(?:(?=[\r\x85\u2028\u2029])|\Z|(?<!\r)(?=\n))", True),
    "unix line end": (r"(?:(?=\n)|\Z)", True),
    "last line end": (r"(?:(?=(?:\r\n|[\r\x85\u2028\u2029])?\Z)|(?<!\r)(?=\n\Z))", True),
    "unix last line end": (r"(?=\n?\Z)", True),
    "word edge": (f"(?:{_LEFT}(?!{_RIGHT})|(?!{_LEFT}){_RIGHT})", False),
    "not word edge": (f"(?:{_LEFT}{_RIGHT}|(?!{_LEFT})(?!{_RIGHT}))", False),
    "unicode word edge": (f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))", False),
    "not unicode word edge": (f"(?:(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD}))", False),
}
_LINE_BREAK = r"(?:\r\n|[\n-\r\x85\u2028\u2029])"
# In a repetition, Java does not split a line break when it backtracks.
_WHOLE_LINE_BREAK = r"(?:\r\n|\r(?!\n)|[\n\x0b\x0c\x85\u2028\u2029])"
_RE2_REPEATS = 1000
RE2_SIZE = 2000


class Writer:
    """Writes a tree as a pattern for ``re``, or for ``regex`` if ``re`` is not enough."""

    def __init__(self) -> None:
        self.plain = True

    def write(self, node: Node, repeated: bool = False) -> str:
        if isinstance(node, One):
            self.plain = self.plain and node.chars.ranges is not None
            return node.chars.pattern
        if isinstance(node, Sequence):
            return "".join(self.write(item, repeated) for item in node.items)
        if isinstance(node, Choice):
            return "(?:" + "|".join(self.write(branch, repeated) for branch in node.branches) + ")"
        if isinstance(node, Group):
            inner = self.write(node.node, repeated)
            return f"(?P<{node.name}>{inner})" if node.name else f"({inner})" if node.number else f"(?:{inner})"
        if isinstance(node, Repeat):
            return self._repeat(node)
        if isinstance(node, Assertion):
            source, plain = PLACES[node.name]
            self.plain = self.plain and plain
            return source
        if isinstance(node, LineBreak):
            return _WHOLE_LINE_BREAK if repeated else _LINE_BREAK
        return self._rare(node)

    def _repeat(self, node: Repeat) -> str:
        inner = self.write(node.node, repeated=True)
        if not inner:
            return ""
        if not isinstance(node.node, One | Group) or (not inner.startswith(("(", "[")) and len(inner) > 1):
            inner = f"(?:{inner})"
        if node.mode == "+":
            self.plain = False
            # Java does not backtrack into earlier repetitions, not even to reach the minimum.
            inner = f"(?>{inner})"
        short = {(0, 1): "?", (0, None): "*", (1, None): "+"}.get((node.least, node.most))
        times = str(node.least) if node.least == node.most else f"{node.least},{'' if node.most is None else node.most}"
        return f"{inner}{short or '{' + times + '}'}{node.mode}"

    def _rare(self, node: Node) -> str:
        if isinstance(node, Look):
            least, most = width(node.node)
            self.plain = self.plain and (not node.behind or least == most)
            return f"(?{'<' if node.behind else ''}{'!' if node.negative else '='}{self.write(node.node)})"
        if isinstance(node, Reference):
            return f"(?{'ai' if node.ignore_case else ''}:\\{node.number})"
        self.plain = False
        return f"(?>{self.write(node.node)})" if isinstance(node, Atomic) else r"\X"


def _re2_chars(chars: CharSet) -> str | None:
    if not chars.ranges:
        return None
    return "[" + "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in chars.ranges) + "]"


def re2_source(node: Node, last: bool = True) -> str | None:
    """Write a node for RE2. ``last`` says that only the end of the text can follow, so every end of a line is that end."""
    if isinstance(node, One):
        return _re2_chars(node.chars)
    if isinstance(node, Assertion):
        return (
            r"\z"
            if (last and node.name.endswith(" end")) or node.name == "end"
            else r"\A"
            if node.name == "start"
            else None
        )
    if isinstance(node, Sequence):
        parts = [re2_source(item, last and number == len(node.items)) for number, item in enumerate(node.items, 1)]
        return None if None in parts else "".join(part or "" for part in parts)
    if isinstance(node, Choice):
        parts = [re2_source(branch, last) for branch in node.branches]
        return None if None in parts else f"(?:{'|'.join(part or '' for part in parts)})"
    if isinstance(node, Group):
        inner = re2_source(node.node, last)
        return None if inner is None else f"(?:{inner})"
    if isinstance(node, Repeat) and node.mode != "+" and not any(isinstance(item, Assertion) for item in walk(node)):
        inner = re2_source(node.node, last=False)
        if not inner:
            return inner
        most = "" if node.most is None else node.most
        return (
            None
            if inner is None or max(node.least, node.most or 0) > _RE2_REPEATS
            else f"(?:{inner}){{{node.least},{most}}}"
        )
    return None


def re2_size(node: Node) -> int:
    # The total number of repeated parts: RE2 expands repetitions and has a limit.
    if isinstance(node, One):
        return len(node.chars.ranges or ())
    parts = node.items if isinstance(node, Sequence) else node.branches if isinstance(node, Choice) else ()
    if isinstance(node, Group | Repeat):
        times = max(node.most or 0, node.least, 1) if isinstance(node, Repeat) else 1
        return times * re2_size(node.node)
    return 1 + sum(re2_size(part) for part in parts)

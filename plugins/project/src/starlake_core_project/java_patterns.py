"""Regular expressions of Java (``java.util.regex``): what they match, for Python and for RE2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from .errors import JavaPatternError

if TYPE_CHECKING:
    from .java_tree import Node

__all__ = ["JavaMatch", "JavaPattern", "java_pattern"]

# The constructs in nearly all patterns mean the same in Python, except the dot, so the common case needs no parser.
_SIMPLE = re.compile(r"(?:(?:[A-Za-z0-9_-]|\\[.-]|\.|\[(?:[A-Za-z0-9_.]|a-z|A-Z|0-9)\])(?:[*+?]|\{[0-9]{1,3}\})?)+")
_DOT = re.compile(r"\\.|\[.*?\]|(\.)")
_NO_LINE_END = r"[^\n\r\x85\u2028\u2029]"


@dataclass(frozen=True)
class JavaMatch:
    """A match of a pattern.

    Attributes:
        text: the matched text.
        start: the start of the match, in characters.
        end: the end of the match, in characters.
        groups: the texts of the named groups; None for a group that did not take part in the match.
        numbered: the texts of all groups, from the first one.
    """

    text: str
    start: int
    end: int
    groups: Mapping[str, str | None] = field(default_factory=dict)
    numbered: tuple[str | None, ...] = ()


class _Compiled(Protocol):
    @property
    def groups(self) -> int: ...

    def fullmatch(self, string: str) -> Any: ...

    def search(self, string: str) -> Any: ...


class JavaPattern:
    r"""One regular expression of Java.

    Args:
        pattern: the pattern, as for Java's ``Pattern.compile``.
        flags: flags that apply from the start, as in ``(?im)``.

    Raises:
        JavaPatternError: Java rejects the pattern, or it cannot be translated.

    >>> JavaPattern(r"(?<kind>\w+)-\d++[.]csv").matches("orders-1.csv").groups
    {'kind': 'orders'}
    """

    def __init__(self, pattern: str, flags: str = "") -> None:
        self.pattern = pattern
        self._flags = flags
        self.group_names: tuple[str, ...] = ()
        self._source, self._plain = "", True
        if flags in ("", "m") and _SIMPLE.fullmatch(pattern):
            self._source = _DOT.sub(lambda found: _NO_LINE_END if found[1] else found[0], pattern)
            return
        try:
            self._source, self._plain = self._written()
            self._compiled  # noqa: B018 - compile now, to find what the library rejects
        except RecursionError as error:
            raise JavaPatternError(
                f"the regular expression {pattern!r} is nested too deeply; write it with fewer groups"
            ) from error

    @cached_property
    def _tree(self) -> Node:
        from .java_syntax import Parser

        return Parser(self.pattern, self._flags).parse()

    def _written(self) -> tuple[str, bool]:
        from .java_syntax import Parser
        from .java_writer import Writer

        parser, writer = Parser(self.pattern, self._flags), Writer()
        self._tree = parser.parse()
        self.group_names = tuple(parser.names)
        source = writer.write(self._tree)
        if not writer.plain:
            parser.leave_re()
        return source, writer.plain

    @cached_property
    def _compiled(self) -> _Compiled:
        if self._plain:
            return re.compile(self._source)
        import regex

        compiled: _Compiled = regex.compile(self._source, regex.VERSION1)
        return compiled

    def matches(self, text: str) -> JavaMatch | None:
        """Match the whole text, like Java's ``Matcher.matches``; None if it does not match."""
        return self._match(self._compiled.fullmatch(text))

    def find(self, text: str) -> JavaMatch | None:
        """Find the first match in the text, like Java's ``Matcher.find``; None if nothing matches."""
        return self._match(self._compiled.search(text))

    @staticmethod
    def _match(found: Any) -> JavaMatch | None:
        if found is None:
            return None
        return JavaMatch(found[0], found.start(), found.end(), found.groupdict(), found.groups())

    @property
    def group_count(self) -> int:
        """How many groups the pattern has, with and without names."""
        return int(self._compiled.groups)

    @property
    def re2(self) -> str | None:
        """A pattern of RE2 with the same full matches as :meth:`matches`; None if RE2 has no equivalent."""
        from .java_writer import RE2_SIZE, re2_size, re2_source

        source = re2_source(self._tree)
        return source if source is not None and re2_size(self._tree) <= RE2_SIZE else None


@lru_cache(maxsize=1024)
def java_pattern(pattern: str, flags: str = "") -> JavaPattern:
    """Return a :class:`JavaPattern`, which is cached."""
    return JavaPattern(pattern, flags)

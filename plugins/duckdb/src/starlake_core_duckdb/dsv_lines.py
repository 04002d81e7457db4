"""The physical lines of a DSV file, and the records that they make."""

from __future__ import annotations

import codecs
import gzip
import re
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from .dialect import Dialect
from .dsv_fields import splitter
from .errors import EngineError

__all__ = ["Broken", "Lines", "Record", "Records", "open_utf8"]

_BLOCK = 1024 * 1024
_LONGEST = 64 * 1024 * 1024
# Where the project does not say that values contain line breaks, a quote without an end costs no more than this.
_AHEAD_LINES, _AHEAD_BYTES = 10_000, 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class Broken(bytes):
    """A line that is not valid UTF-8."""


def _recoded(path: Path, encoding: str, opened: BinaryIO) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while block := opened.read(_BLOCK):
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise EngineError(f"{path.name} is not written in {encoding}: {error}") from error


def open_utf8(path: Path, encoding: str) -> Iterator[bytes]:
    """Yield the content of a file, compressed or not, as blocks of UTF-8 without a byte order mark.

    Raises:
        EngineError: the file is not written in the encoding (UTF-8 is not checked here).
    """
    with cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb") as opened:
        blocks = iter(lambda: opened.read(_BLOCK), b"") if encoding == "utf-8" else _recoded(path, encoding, opened)
        first = next(blocks, b"")
        yield first.removeprefix(_BOM)
        yield from blocks


class Lines:
    """The lines of a file with their line ends. Lines that were taken can be put back.

    Args:
        path: the file.
        encoding: the name of its codec.
        lenient: whether to replace what is not valid UTF-8, instead of yielding a :class:`Broken` line.
    """

    def __init__(self, path: Path, encoding: str, lenient: bool) -> None:
        self._name = path.name
        self._lenient = lenient
        self._ready: deque[bytes] = deque()
        self._blocks = self._split(open_utf8(path, encoding))

    def skip(self, line: bytes, comment: bytes) -> bool:
        """Whether a line is blank, or a comment."""
        return not line.strip() or bool(comment and line.startswith(comment))

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> bytes:
        while not self._ready:
            self._ready.extend(next(self._blocks))
        return self._ready.popleft()

    def close(self) -> None:
        """Close the file."""
        self._blocks.close()

    def put_back(self, lines: list[bytes]) -> None:
        """Make these lines the next ones."""
        self._ready.extendleft(reversed(lines))

    def _split(self, blocks: Iterator[bytes]) -> Generator[list[bytes], None, None]:
        rest = b""
        for block in blocks:
            lines = (rest + block).splitlines(keepends=True)
            # A carriage return at the end of a block may have its line feed in the next one.
            rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
            if len(rest) > _LONGEST:
                raise EngineError(f"{self._name} has a line of more than {_LONGEST} bytes; are its line ends right?")
            yield self._checked(lines)
        yield self._checked(rest.splitlines(keepends=True))

    def _checked(self, lines: list[bytes]) -> list[bytes]:
        try:
            b"".join(lines).decode()
        except UnicodeDecodeError:
            return [self._check(line) for line in lines]
        return lines

    def _check(self, line: bytes) -> bytes:
        try:
            line.decode()
        except UnicodeDecodeError:
            return line.decode(errors="replace").encode() if self._lenient else Broken(line)
        return line


class Record(NamedTuple):
    """One record: its text without the last line end, and its fields."""

    text: str
    fields: list[str | None]


class Records:
    """Makes records of lines.

    A quoted value may contain line breaks if the project says so. If the project does not say it, a record takes more lines only if they make
    it a well-formed record of the right width, so that a quote without an end spoils its own line and no other.

    Args:
        lines: the lines of the file.
        dialect: how the file is written.
        width: how many fields a record has.
        compat: whether to do what Starlake does: nothing is well-formed or not, and without ``multiline`` a record is a line.
    """

    def __init__(self, lines: Lines, dialect: Dialect, width: int | None, compat: bool) -> None:
        self._lines = lines
        self._split = splitter(dialect)
        self._width = width
        self._single = dialect.multiline is False or (compat and not dialect.multiline) or not dialect.quote
        self._bounded = not dialect.multiline
        self._any = compat
        quote, escape, separator = (re.escape(part) for part in (dialect.quote, dialect.escape, dialect.separator))
        self._quote = dialect.quote
        self._escaped = re.compile(f"{escape}[{quote}{escape}]") if dialect.escape else None
        inside = f"{escape}.|[^{quote}{escape}]" if dialect.escape != dialect.quote else f"{quote}{quote}|[^{quote}]"
        text = f"[^{quote}]*"
        self._regular = (
            re.compile(
                f"(?:{text}{separator})?{quote}(?:{inside})*{quote}"
                f"(?:{separator}(?:{text}{separator})?{quote}(?:{inside})*{quote})*(?:{separator}{text})?",
                re.DOTALL,
            )
            if dialect.quote
            else re.compile("")
        )

    def record(self, line: bytes) -> Record:
        """The record that begins with a line; it may take more lines from the file."""
        text = _without_end(line).decode()
        fields, unclosed = self._split(text)
        if not unclosed or self._single:
            return Record(text, fields)
        return self._longer(line) or Record(text, fields)

    def _longer(self, first: bytes) -> Record | None:
        taken: list[bytes] = []
        size, limit = len(first), _AHEAD_BYTES if self._bounded else _LONGEST
        for line in self._lines:
            taken.append(line)
            size += len(line)
            if size > limit or isinstance(line, Broken) or (self._bounded and len(taken) > _AHEAD_LINES):
                break
            if not self._closes(line):
                continue
            text = _without_end(first + b"".join(taken)).decode()
            fields, unclosed = self._split(text)
            if unclosed and (self._any or self._width is None or len(fields) <= self._width):
                continue
            if self._any or (self._width in (None, len(fields)) and self._regular.fullmatch(text)):
                return Record(text, fields)
            break
        else:
            if self._any:  # the last record of the file takes what is left of it
                text = _without_end(first + b"".join(taken)).decode()
                return Record(text, self._split(text)[0])
        self._lines.put_back(taken)
        return None

    def _closes(self, line: bytes) -> bool:
        text = line.decode()
        return self._quote in (self._escaped.sub("", text) if self._escaped else text)


def _without_end(line: bytes) -> bytes:
    if line.endswith(b"\r\n"):
        return line[:-2]
    return line[:-1] if line.endswith((b"\n", b"\r")) else line

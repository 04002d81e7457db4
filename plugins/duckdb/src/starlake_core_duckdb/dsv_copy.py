"""Copies of DSV files that DuckDB would not read as Starlake does. In a copy, every record is well-formed.

A file is copied record by record, which takes long and always the same memory. :mod:`.dsv_regular` finds the files that need no copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple

from .dialect import Dialect
from .dsv_lines import Broken, Lines, Record, Records

__all__ = ["Copy", "Mask", "copied", "header_of"]

Mask = Callable[[str], "tuple[str | None, str | None]"]
"""Makes of a value one that may be seen, or says what is wrong with it."""

_LINES = 20_000
_NOT_UTF8 = "the record is not valid UTF-8"


class Copy(NamedTuple):
    """A copy in which every record is well-formed.

    Before the fields of the file, each record has what is wrong with it, and its text if it is not that of the copy. Empty fields without
    quotes are NULL. Quotes are doubled to escape them.

    Attributes:
        quote: the quote of the copy.
        records: how many records it has.
        longest: the length of its longest record, in bytes.
        line_breaks: whether a value has a line break.
    """

    path: Path
    quote: str
    records: int
    longest: int
    line_breaks: bool


def header_of(path: Path, dialect: Dialect, compat: bool) -> list[str] | None:
    """The names in the first record of a file, or None if it has no record.

    Raises:
        EngineError: the file is not written in the encoding of the dialect.
    """
    with closing(Lines(path, dialect.encoding, lenient=True)) as lines:
        records = Records(lines, dialect, None, compat)
        comment = dialect.comment.encode()
        first = next((line for line in lines if not lines.skip(line, comment)), None)
        return None if first is None else [field or "" for field in records.record(first).fields]


@contextmanager
def copied(
    path: Path, dialect: Dialect, width: int, masks: Mapping[int, Mask], compat: bool, directory: Path
) -> Iterator[Copy]:
    """A context with a copy of a file that DuckDB can read; the header is left out.

    Args:
        width: how many fields a record has: a longer one is cut, and a shorter one is filled with NULL.
        masks: how values that must not be seen are masked, by their place.
        compat: whether to do what Starlake does where another way is better.
        directory: where the copy may be.

    Raises:
        EngineError: the file cannot be decoded or decompressed, or has a line that is too long.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=directory) as own:
        place = Path(own) / "records.csv"
        with place.open("wb") as target:
            writer = _Writer(dialect, width, masks, compat)
            writer.write(path, target)
        yield Copy(place, dialect.quote or '"', writer.records, writer.longest, writer.line_breaks)


class _Writer:
    def __init__(self, dialect: Dialect, width: int, masks: Mapping[int, Mask], compat: bool) -> None:
        self._dialect = dialect
        self._width = width
        self._masks = masks
        self._compat = compat
        self._quote = dialect.quote or '"'
        # Without emptyIsNull, an empty field is a value and a missing one is NULL. Starlake knows that of quoted ones only.
        self._keep_empty = not dialect.empty_is_null and not compat
        self.records = 0
        self.longest = 0
        self.line_breaks = False

    def write(self, path: Path, target: BinaryIO) -> None:
        separator, quote = self._dialect.separator.encode(), self._quote.encode()
        lines = Lines(path, self._dialect.encoding, lenient=self._compat)
        records = Records(lines, self._dialect, self._width, self._compat)
        prefix, separators = separator * 2, self._width - 1
        edges = (separator, separator * 2)
        skip, comment = self._dialect.with_header, self._dialect.comment.encode()
        rewritten = bool(self._masks) or self._dialect.trims
        ready: list[bytes] = []
        for line in lines:
            if lines.skip(line, comment):
                continue
            if skip:
                skip = False
                if not isinstance(line, Broken):
                    records.record(line)
                continue
            if (
                not rewritten
                and quote not in line
                and line.count(separator) == separators
                and line.endswith(b"\n")
                and not isinstance(line, Broken)
                and not (self._keep_empty and _has_empty(line, *edges))
            ):
                written = prefix + (line[:-2] + b"\n" if line.endswith(b"\r\n") else line)
            elif isinstance(line, Broken):
                written = self._broken(line)
            else:
                written = self._rewritten(records.record(line))
            ready.append(written)
            if len(ready) >= _LINES:
                self._flush(ready, target)
        self._flush(ready, target)

    def _flush(self, ready: list[bytes], target: BinaryIO) -> None:
        self.records += len(ready)
        self.longest = max(self.longest, *map(len, ready), 0)
        target.write(b"".join(ready))
        ready.clear()

    def _field(self, value: str | None) -> str:
        if value is None and not self._keep_empty:
            return ""
        return f"{self._quote}{(value or '').replace(self._quote, self._quote * 2)}{self._quote}"

    def _rewritten(self, record: Record) -> bytes:
        found = record.fields[: self._width]
        fault = self._masked(found) if self._masks else ""
        text = "" if self._masks else self._shown(record.text)
        self.line_breaks = self.line_breaks or "\n" in record.text
        fields = [self._field(value) for value in found] + [""] * (self._width - len(found))
        return (self._dialect.separator.join([fault, text, *fields]) + "\n").encode()

    def _masked(self, fields: list[str | None]) -> str:
        faults = []
        for place, mask in self._masks.items():
            value = fields[place] if place < len(fields) else None
            if value is None and not (self._keep_empty and place < len(fields)):
                continue
            fields[place], fault = mask(value or "")
            faults += [fault] if fault else []
        return self._shown("; ".join(faults)) if faults else ""

    def _broken(self, line: bytes) -> bytes:
        text = "" if self._masks else self._shown(line.decode(errors="replace").rstrip("\r\n"))
        return (self._dialect.separator.join([self._shown(_NOT_UTF8), text, *[""] * self._width]) + "\n").encode()

    def _shown(self, text: str) -> str:
        return f"{self._quote}{text.replace(self._quote, self._quote * 2)}{self._quote}"


def _has_empty(line: bytes, separator: bytes, twice: bytes) -> bool:
    return twice in line or line.startswith(separator) or line.rstrip(b"\r\n").endswith(separator)

"""DSV files that DuckDB reads as Starlake does: as they are, without a copy.

DuckDB and Starlake agree about files whose records have the right width and whose quotes enclose whole fields. That is checked with a scan
that costs little.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .dialect import Dialect
from .driver import duckdb
from .dsv_lines import open_utf8
from .sql import Parameters

__all__ = ["count_records"]

_LONGEST = 64 * 1024 * 1024


def count_records(connection: duckdb.DuckDBPyConnection, path: Path, dialect: Dialect, width: int) -> int | None:
    """How many records a file has, with the header, if DuckDB can read it as it is; else None.

    Their width is not checked in every case, and neither are blank lines in the middle of the file: DuckDB rejects records with another
    width, and skips the lines.
    """
    if dialect.encoding != "utf-8" or dialect.trims:
        return None
    separator, quote = dialect.separator.encode(), dialect.quote.encode()
    # Blank lines are skipped, but DuckDB reads them where they can be values.
    blank = [b"\n" + dialect.comment.encode()] if dialect.comment else []
    if width == 1 or separator.isspace():
        blank += [b"\n\n", b"\n ", b"\n\t"]
    lines = separators = returns = 0
    quotes: _Quotes | None = None
    last = b"\n"
    for text in _whole_lines(path):
        if (last == b"\n" and any(text.startswith(part[1:]) for part in blank)) or any(part in text for part in blank):
            return None
        if b"\1" in text or text[:1] in (b"\n", b"\r") or text.endswith((b"\n\n", b"\n\r", b"\n\r\n")):
            return None
        if b"\r" in text:
            found = text.count(b"\r")
            returns += found
            if text.count(b"\r\n") != found or b"\n\r" in text:
                return None
        lines += text.count(b"\n")
        if quotes is None and quote and quote in text:
            quotes = _Quotes(dialect, is_first=last == b"\n")
        if quotes is None:
            separators += text.count(separator)
        else:
            quotes.look(text)
        last = text[-2:]
    if returns not in (0, lines):
        return None
    lines += not last.endswith(b"\n")
    if quotes is not None:
        return lines if quotes.enclose_all or _quotes_enclose_fields(connection, path, dialect, lines) else None
    return lines if separators == lines * (width - 1) else None


def _whole_lines(path: Path) -> Iterator[bytes]:
    """The content of a file, in blocks that end where a line ends."""
    rest = b""
    for block in open_utf8(path, "utf-8"):
        end = block.rfind(b"\n") + 1
        if not end and len(rest) < _LONGEST:
            rest += block
            continue
        yield rest + block[:end] if rest else block[:end]
        rest = block[end:]
    if rest:
        yield rest


class _Quotes:
    """Whether every field of a file is quoted, and none has a quote, an escape or a line break in it.

    Then each quote but the first and the last of some lines belongs to a pair, with only a separator or the end of a line between them.

    Args:
        is_first: whether the first block of the file comes first, whose header may be without quotes.
    """

    def __init__(self, dialect: Dialect, is_first: bool) -> None:
        self._quote = dialect.quote.encode()
        self._escape = dialect.escape.encode() if dialect.escape != dialect.quote else b""
        self._between = self._quote + dialect.separator.encode() + self._quote
        self._is_first = is_first
        self.enclose_all = is_first

    def look(self, text: bytes) -> None:
        """Look at the next lines of the file."""
        if not self.enclose_all:
            return
        if self._is_first:
            self._is_first = False
            header = text[: text.find(b"\n") + 1]
            if self._quote not in header:
                text = text[len(header) :]
        end = b"\r\n" if text.endswith(b"\r\n") else b"\n"
        text = text.removesuffix(end)
        quote = self._quote
        ends = text.count(quote + end + quote)
        self.enclose_all = (
            text.startswith(quote)
            and text.endswith(quote)
            and not (self._escape and self._escape in text)
            and ends == text.count(b"\n")
            and text.count(quote) == 2 * (text.count(self._between) + ends + 1)
        )


def _quotes_enclose_fields(connection: duckdb.DuckDBPyConnection, path: Path, dialect: Dialect, lines: int) -> bool:
    quote, separator, escape = (_literal(part) for part in (dialect.quote, dialect.separator, dialect.escape))
    text = f"[^{quote}]*"
    inside = f"[^{quote}]" if not escape else f"[^{quote}{escape}]"
    if dialect.escape == dialect.quote:
        inside = f"(?:[^{quote}]|{quote}{quote})"
    field = f"{quote}{inside}*{quote}"
    regular = f"(?:{text}{separator})?{field}(?:{separator}(?:{text}{separator})?{field})*(?:{separator}{text})?"
    parameters = Parameters()
    read = (
        f"read_csv({parameters.add(str(path))}, auto_detect = false, header = false, delim = {parameters.add(chr(1))}, quote = '', "
        f"escape = '', columns = {{'line': 'VARCHAR'}}, compression = '{'gzip' if path.suffix == '.gz' else 'uncompressed'}', "
        "ignore_errors = true)"
    )
    found = connection.execute(
        f"SELECT count(*), count(*) FILTER (contains(line, {parameters.add(dialect.quote)}) "
        f"AND NOT regexp_full_match(line, {parameters.add(regular)})) FROM {read}",
        parameters.values,
    ).fetchone()
    return found == (lines, 0)


def _literal(text: str) -> str:
    return "".join(f"\\x{{{ord(character):x}}}" for character in text)

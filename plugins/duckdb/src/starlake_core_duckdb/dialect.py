"""How files of delimiter-separated values are written, and how to open them."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from starlake_core_project import Table

from .errors import EngineError, ProjectFault

__all__ = ["Dialect", "as_utf8", "dialect_of", "header_of", "open_text"]


@dataclass(frozen=True)
class Dialect:
    """How a file is written, with Starlake's defaults filled in."""

    separator: str
    quote: str
    escape: str
    with_header: bool
    null_value: str | None
    empty_is_null: bool


def dialect_of(table: Table) -> Dialect:
    """The dialect of a table's files.

    Raises:
        EngineError: a part of it is longer than DuckDB supports.
    """
    file_format = table.metadata.format
    separator = ";" if file_format.separator is None else file_format.separator
    separator = {"\\t": "\t", "tab": "\t"}.get(separator.lower(), separator)
    quote = '"' if file_format.quote is None else file_format.quote
    escape = "\\" if file_format.escape is None else file_format.escape
    if not 1 <= len(separator.encode()) <= 4:
        raise ProjectFault(f"{table.path}: metadata.separator has to be one to four bytes, found {separator!r}")
    for name, value in (("quote", quote), ("escape", escape)):
        if len(value.encode()) > 1:
            raise ProjectFault(f"{table.path}: metadata.{name} has to be one ASCII character or empty, found {value!r}")
    return Dialect(
        separator=separator,
        quote=quote,
        escape=escape,
        with_header=file_format.with_header is not False,
        null_value=file_format.null_value,
        empty_is_null=file_format.empty_is_null is not False,
    )


def open_text(path: Path, encoding: str) -> io.TextIOBase:
    """Open a data file, compressed or not, with its line ends as they are."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open("r", encoding=encoding, newline="")


@contextmanager
def as_utf8(table: Table, path: Path, directory: Path) -> Iterator[Path]:
    """A file that DuckDB can read: the file itself, or a temporary copy in UTF-8.

    Args:
        directory: where the copy may be.

    Raises:
        EngineError: the encoding is unknown, or the file is not written in it.
    """
    wanted = table.metadata.format.encoding or "UTF-8"
    try:
        encoding = codecs.lookup(wanted).name
    except LookupError:
        raise ProjectFault(
            f"{table.path}: metadata.encoding {wanted!r} is unknown; write it as UTF-8 or ISO-8859-1"
        ) from None
    if encoding in ("utf-8", "utf-8-sig", "ascii"):
        yield path
        return
    directory.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=directory) as own:
        copy = Path(own) / "data"
        try:
            with open_text(path, encoding) as source, copy.open("w", encoding="utf-8", newline="") as target:
                shutil.copyfileobj(source, target)
        except UnicodeError as error:
            raise EngineError(f"{path.name} is not written in {wanted}: {error}") from error
        yield copy


def header_of(path: Path, dialect: Dialect) -> list[str] | None:
    """The names in the first record of a UTF-8 file, or None when the file is empty."""
    with open_text(path, "utf-8-sig") as source:
        if len(dialect.separator) > 1:
            line = source.readline().rstrip("\r\n")
            names = [name.strip(dialect.quote) for name in line.split(dialect.separator)] if line else None
        else:
            escaped = dialect.escape if dialect.escape != dialect.quote else None
            reader = csv.reader(
                source,
                delimiter=dialect.separator,
                quotechar=dialect.quote or None,
                quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
                escapechar=escaped or None,
            )
            names = next(reader, None)
    return None if names is None else [name.strip() for name in names]

"""How files of delimiter-separated values are written, and how to open text files."""

from __future__ import annotations

import codecs
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

__all__ = ["Dialect", "as_utf8", "codec_of", "dialect_of", "open_text"]


@dataclass(frozen=True)
class Dialect:
    """How a file is written, with Starlake's defaults filled in.

    Attributes:
        encoding: the name of the codec of Python.
        multiline: whether a quoted value may contain line breaks; None if the project does not say.
    """

    separator: str = ";"
    quote: str = '"'
    escape: str = "\\"
    with_header: bool = True
    null_value: str | None = None
    empty_is_null: bool = True
    encoding: str = "utf-8"
    multiline: bool | None = None


def codec_of(table: Table) -> str:
    """The name of the codec of Python for the files of a table.

    Raises:
        ProjectFault: the encoding is unknown.
    """
    wanted = table.metadata.format.encoding or "UTF-8"
    try:
        encoding = codecs.lookup(wanted).name
    except LookupError:
        raise ProjectFault(
            f"{table.path}: metadata.encoding {wanted!r} is unknown; write it as UTF-8 or ISO-8859-1"
        ) from None
    return "utf-8" if encoding in ("utf-8-sig", "ascii") else encoding


def dialect_of(table: Table) -> Dialect:
    """The dialect of a table's files.

    Raises:
        ProjectFault: a part of it is longer than DuckDB supports, or the encoding is unknown.
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
        escape=escape if quote else "",
        with_header=file_format.with_header is not False,
        null_value=file_format.null_value,
        empty_is_null=file_format.empty_is_null is not False,
        encoding=codec_of(table),
        multiline=file_format.multiline,
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
    encoding = codec_of(table)
    if encoding == "utf-8":
        yield path
        return
    directory.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=directory) as own:
        copy = Path(own) / "data"
        try:
            with open_text(path, encoding) as source, copy.open("w", encoding="utf-8", newline="") as target:
                shutil.copyfileobj(source, target)
        except UnicodeError as error:
            raise EngineError(f"{path.name} is not written in {table.metadata.format.encoding}: {error}") from error
        yield copy

"""How files of delimiter-separated values are written, and how to open text files."""

from __future__ import annotations

import codecs
import gzip
import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from starlake_core_project import Table

from .errors import EngineError, ProjectFault, unsupported

__all__ = ["DSV_OPTIONS", "Dialect", "as_utf8", "codec_of", "dialect_of", "header_names", "open_text", "spare_name"]


@dataclass(frozen=True)
class Dialect:
    """How a file is written, with Starlake's defaults filled in.

    Attributes:
        encoding: the name of the codec of Python.
        multiline: whether a quoted value may contain line breaks; None if the project does not say.
        comment: the character that begins a comment; empty if there are no comments.
        trim_leading, trim_trailing: whether spaces before and after a value are dropped; spaces in quotes stay.
    """

    separator: str = ";"
    quote: str = '"'
    escape: str = "\\"
    with_header: bool = True
    null_value: str | None = None
    empty_is_null: bool = True
    encoding: str = "utf-8"
    multiline: bool | None = None
    comment: str = ""
    trim_leading: bool = False
    trim_trailing: bool = False

    @property
    def trims(self) -> bool:
        """Whether spaces around values are dropped."""
        return self.trim_leading or self.trim_trailing


_WITH_EFFECT = (
    "comment", "delimiter", "sep", "quote", "escape", "nullValue", "encoding", "charset", "multiLine", "header", "ignoreLeadingWhiteSpace",
    "ignoreTrailingWhiteSpace",
)  # fmt: skip
# The columns are declared, nothing limits a record, and only one mode is supported.
_WITHOUT_EFFECT = (
    "mode", "inferSchema", "enforceSchema", "samplingRatio", "parserLib", "maxColumns", "maxCharsPerColumn", "inputBufferSize"
)  # fmt: skip
DSV_OPTIONS = frozenset((*_WITH_EFFECT, *_WITHOUT_EFFECT))
"""The options of Spark's reader of DSV files that are supported."""


def codec_of(table: Table, encoding: str | None = None) -> str:
    """The name of the codec of Python for the files of a table.

    Args:
        encoding: the encoding, if it is not that of the table's metadata.

    Raises:
        ProjectFault: the encoding is unknown.
    """
    wanted = encoding or table.metadata.format.encoding or "UTF-8"
    try:
        encoding = codecs.lookup(wanted).name
    except LookupError:
        raise ProjectFault(
            f"{table.path}: metadata.encoding {wanted!r} is unknown; write it as UTF-8 or ISO-8859-1"
        ) from None
    return "utf-8" if encoding in ("utf-8-sig", "ascii") else encoding


def dialect_of(table: Table, options: Mapping[str, str] | None = None) -> Dialect:
    """The dialect of a table's files.

    Args:
        options: the options of all files of the application; they are stronger than those of the table, which are stronger than its keys.

    Raises:
        ProjectFault: a part of it is longer than DuckDB supports, or the encoding or an option is unknown.
    """
    file_format = table.metadata.format
    given = {**_options(table.metadata.options, table), **_options(options or {}, table)}
    separator = given.get("sep", given.get("delimiter", file_format.separator))
    separator = ";" if separator is None else separator
    separator = {"\\t": "\t", "tab": "\t"}.get(separator.lower(), separator)
    quote = given.get("quote", file_format.quote)
    quote = '"' if quote is None else quote
    escape = given.get("escape", file_format.escape)
    escape = "\\" if escape is None else escape
    comment = given.get("comment", "")
    if not 1 <= len(separator.encode()) <= 4:
        raise ProjectFault(f"{table.path}: metadata.separator has to be one to four bytes, found {separator!r}")
    for name, value in (("quote", quote), ("escape", escape), ("options.comment", comment)):
        if len(value.encode()) > 1:
            raise ProjectFault(f"{table.path}: metadata.{name} has to be one ASCII character or empty, found {value!r}")
    return Dialect(
        separator=separator,
        quote=quote,
        escape=escape if quote else "",
        with_header=_truth(given, "header", file_format.with_header) is not False,
        null_value=given.get("nullvalue", file_format.null_value),
        empty_is_null=file_format.empty_is_null is not False,
        encoding=codec_of(table, given.get("encoding", given.get("charset"))),
        multiline=_truth(given, "multiline", file_format.multiline),
        comment=comment,
        trim_leading=_truth(given, "ignoreleadingwhitespace", False) is True,
        trim_trailing=_truth(given, "ignoretrailingwhitespace", False) is True,
    )


def _options(options: Mapping[str, str], table: Table) -> dict[str, str]:
    """Options by their names in lower case: Spark does not distinguish cases."""
    known = {name.lower() for name in DSV_OPTIONS}
    for name, value in options.items():
        if name.lower() not in known:
            raise unsupported(
                f"{table.path}: the option {name!r} of DSV files (supported: {', '.join(sorted(DSV_OPTIONS))})"
            )
        if name.lower() == "mode" and str(value).upper() != "PERMISSIVE":
            raise unsupported(f"{table.path}: the option mode {value!r} of DSV files")
    return {name.lower(): str(value) for name, value in options.items()}


def _truth(options: Mapping[str, str], name: str, otherwise: bool | None) -> bool | None:
    return options[name].lower() == "true" if name in options else otherwise


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


def spare_name(index: int) -> str:
    """The name of a column that has none; Spark gives the same one."""
    return f"_c{index}"


def header_names(header: Sequence[str]) -> list[str]:
    """The names in a header, with one for each column whose name is empty.

    >>> header_names(["", " name "])
    ['_c0', 'name']
    """
    return [field.strip() or spare_name(index) for index, field in enumerate(header)]

"""Infers the YAML file of a table from its data files, and writes it if a load of these files rejects nothing."""

from __future__ import annotations

import logging
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from starlake_core_project import Domain, Table
from starlake_core_project.reader import Reader
from starlake_core_project.tables import is_plain_name, read_table

from .archives import opened
from .batch import read_batch
from .casting import columns_of
from .compressed import open_bytes
from .context import Context
from .database import connect
from .driver import duckdb
from .errors import EngineError, NothingThere, ProjectFault
from .infer_dsv import infer_dsv
from .infer_json import infer_json
from .infer_parquet import infer_parquet
from .infer_xml import infer_xml
from .inferred import TEXT, Field, Inferred, merged, plain_file
from .plain_names import reserved_words
from .reading import ReadingRules
from .work import Work

__all__ = ["Wanted", "infer_table", "naming"]

_log = logging.getLogger(__name__)
_SUFFIX = ".sl.yml"
_CHUNK = 1024 * 1024
_DELTA = re.compile(r"[._-][0-9]")
_KINDS = {
    **dict.fromkeys((".csv", ".dsv", ".psv", ".tsv"), "DSV"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "JSON"),
    ".xml": "XML",
    ".parquet": "PARQUET",
}
_TEXTS: Mapping[str, Callable[[duckdb.DuckDBPyConnection, Path, str], Inferred]] = {
    "DSV": infer_dsv,
    "JSON": infer_json,
    "JSON_FLAT": infer_json,
}
_SPECIAL = re.compile(r"([\\.^$|?*+()\[\]{}])")
_NAME = re.compile(r"[^\W\d]\w*", re.ASCII)


@dataclass(frozen=True)
class Wanted:
    """What the command says about a table.

    Attributes:
        domain, table: their names.
        files: the data files.
        write: the write strategy.
        format: the format, or None to find out.
        encoding: the encoding, or None to find out.
        row_tag: the name of the elements of XML that are rows, or None to find out.
    """

    domain: str
    table: str
    files: tuple[Path, ...]
    write: str
    format: str | None = None
    encoding: str | None = None
    row_tag: str | None = None


@dataclass(frozen=True)
class _Style:
    """How the file of a table is written: the encoding of the data files, and the words that cannot be names of columns."""

    encoding: str
    reserved: frozenset[str]


def naming(path: Path) -> tuple[str, str]:
    """The table that a file is for, and its write strategy, by Starlake's rules.

    >>> naming(Path("order_20240228.csv"))
    ('order', 'APPEND')
    >>> naming(Path("product.xml"))
    ('product', 'OVERWRITE')
    """
    stem = _stem(path.name)
    found = _DELTA.search(stem)
    name, _, delta = stem.rpartition(found[0][0]) if found is not None else ("", "", "")
    if not name or not delta[:1].isdigit():
        return stem.replace(".", "_"), "OVERWRITE"
    return name.replace(".", "_").replace("-", "_"), "APPEND"


def _stem(name: str) -> str:
    """The name of a file without its extensions; a date such as ``.2024`` is not one."""
    while True:
        rest, dot, extension = name.rpartition(".")
        if not dot or not rest or extension[:1].isdigit():
            return name
        name = rest


def _pattern(path: Path, append: bool) -> str:
    """The pattern of the files of a table: its own name, with or without a part that begins with a digit."""
    stem = _stem(path.name)
    found = _DELTA.search(stem)
    name = stem.rpartition(found[0][0])[0] if append and found is not None else stem
    extension = path.name[len(stem) :].removesuffix(".gz")
    return f"{_literal(name)}(?:[._-][0-9].*)?{_literal(extension)}(?:[.]gz)?"


def _literal(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"[{found[0]}]" if found[0] not in "\\^[]" else f"\\{found[0]}", text)


def infer_table(context: Context, wanted: Wanted, target: Path, overwrite: bool) -> int:
    """Infer a table, and write its file.

    Args:
        target: the file to write.
        overwrite: replace the file if it exists.

    Returns:
        The number of its columns.

    Raises:
        NothingThere: all files are empty.
        EngineError: a file cannot be read, or its format is not supported.
        FileExistsError: the file exists.
    """
    if not is_plain_name(wanted.table) or wanted.table[0] in "._" or not is_plain_name(wanted.domain):
        raise ProjectFault(f"{wanted.domain}.{wanted.table} cannot be the name of a table; give --domain and --table")
    for folder in (context.project.application.datasets, target.parent):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        fields = _write(context, wanted, target, overwrite)
    finally:
        with suppress(OSError):
            target.parent.rmdir()  # only if nothing is in it
    return len(fields)


def _write(context: Context, wanted: Wanted, target: Path, overwrite: bool) -> tuple[Field, ...]:
    datasets = context.project.application.datasets
    with (
        TemporaryDirectory(dir=datasets, prefix=".") as data,
        TemporaryDirectory(dir=target.parent, prefix=".") as near,
    ):
        inferred, encoding, reserved = _read(context, wanted, Path(data))
        aside = Path(near) / f"{wanted.table}{_SUFFIX}"
        fields = _fitting(context, wanted, inferred, _Style(encoding, reserved), aside, Path(data))
        if overwrite:
            os.replace(aside, target)
        else:
            os.link(aside, target)  # fails if somebody else wrote it in the meantime
    return fields


def _read(context: Context, wanted: Wanted, directory: Path) -> tuple[Inferred, str, frozenset[str]]:
    """What the files say, their encoding, and the words that cannot be names of columns."""
    parts: list[Inferred] = []
    names: list[str] = []
    empty: list[NothingThere] = []
    encodings: dict[str, str] = {}
    rules = ReadingRules(context.max_decompressed, context.compat, directory)
    with duckdb.connect(
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    ) as connection:
        for path, name in opened([(path, path.name) for path in wanted.files], rules, wanted.format):
            try:
                found, encoding = _read_file(connection, wanted, path, name, directory)
            except NothingThere as error:
                empty.append(error)
                continue
            except (EOFError, zlib.error) as error:
                raise EngineError(f"{name} cannot be decompressed: {error}") from error
            parts.append(found)
            names.append(name)
            encodings.setdefault(encoding, name)
        reserved = reserved_words(connection)
    if not parts and empty:
        raise empty[0]
    if not parts:
        raise NothingThere(f"there is no file in {', '.join(path.name for path in wanted.files)}")
    if len(encodings) > 1:
        raise EngineError(
            f"the files of {wanted.domain}.{wanted.table} are written in {' and '.join(f'{code} ({name})' for code, name in encodings.items())}; "
            "give the one with --encoding"
        )
    return merged(parts, names), next(iter(encodings)), reserved


def _read_file(
    connection: duckdb.DuckDBPyConnection, wanted: Wanted, path: Path, name: str, directory: Path
) -> tuple[Inferred, str]:
    """What one file says, and its encoding."""
    if _is_blank(path):
        raise NothingThere(f"{name} is empty, so nothing can be inferred from it")
    kind = wanted.format or _kind(path, name)
    if kind == "PARQUET":
        with _decompressed(path, directory) as plain:
            return infer_parquet(connection, plain, name), ""
    if kind == "XML":
        return infer_xml(connection, path, name, wanted.row_tag, directory), wanted.encoding or "UTF-8"
    with plain_file(path, wanted.encoding, directory) as (plain, encoding):
        found = _TEXTS[kind](connection, plain, name)
    return (
        found if wanted.format is None else replace(found, metadata={**found.metadata, "format": wanted.format})
    ), encoding


def _is_blank(path: Path) -> bool:
    with open_bytes(path) as source:
        while data := source.read(_CHUNK):
            if data.strip(b"\xef\xbb\xbf \t\r\n"):
                return False
    return True


@contextmanager
def _decompressed(path: Path, directory: Path) -> Iterator[Path]:
    if path.suffix != ".gz":
        yield path
        return
    with TemporaryDirectory(dir=directory) as own:
        copy = Path(own) / "data"
        with open_bytes(path) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield copy


def _kind(path: Path, name: str) -> str:
    extension = Path(name.lower().removesuffix(".gz")).suffix
    if extension in _KINDS:
        return _KINDS[extension]
    with open_bytes(path) as source:
        beginning = source.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if beginning.startswith(b"PAR1"):
        return "PARQUET"
    return {b"{": "JSON", b"[": "JSON", b"<": "XML"}.get(beginning[:1], "DSV")


def _fitting(
    context: Context, wanted: Wanted, inferred: Inferred, style: _Style, aside: Path, directory: Path
) -> tuple[Field, ...]:
    """Write the file of the table with types that this engine loads without rejecting a row."""
    fields = tuple(_complete(found) for found in inferred.fields)
    domain = context.project.domain(wanted.domain) or Domain(wanted.domain, wanted.domain, aside.parent)
    domain = _in_folder(domain, aside.parent)

    def rejected(candidates: Sequence[Field]) -> int:
        text = _yaml(wanted, inferred, style, candidates)
        aside.write_text(text, encoding="utf-8")
        table = read_table(domain, wanted.table, Reader(context.project.variables))
        assert table is not None
        return _rejected(context, table, wanted.files, directory)

    while count := rejected(fields):
        better = next(
            (
                (*fields[:index], replace(found, types=found.types[1:]), *fields[index + 1 :])
                for index, found in enumerate(fields)
                if len(found.types) > 1 and rejected([_alone(other, other is found) for other in fields])
            ),
            None,
        )
        if better is None:
            _log.warning(
                "%d row(s) of %s will be rejected, whatever the types are",
                count,
                ", ".join(path.name for path in wanted.files),
            )
            rejected(fields)
            break
        fields = better
    return fields


def _complete(found: Field) -> Field:
    """The same field, of text where no file has a value."""
    return replace(found, types=found.types or (TEXT,), fields=tuple(_complete(part) for part in found.fields))


def _alone(found: Field, keep: bool) -> Field:
    return found if keep or found.array or found.fields else replace(found, types=(TEXT,))


def _in_folder(domain: Domain, folder: Path) -> Domain:
    from msgspec.structs import replace as replaced

    return replaced(domain, path=folder)


def _rejected(context: Context, table: Table, files: Sequence[Path], directory: Path) -> int:
    """How many rows of the files this engine rejects, in a database of its own."""
    columns = columns_of(table, context.project.types)
    rules = ReadingRules(context.max_decompressed, context.compat, directory)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(dir=directory)))
        connection = stack.enter_context(connect(context, folder / "rows.db"))
        try:
            counts = read_batch(
                connection, table, columns, [(path, path.name) for path in files], Work.of(context), rules
            )
        except EngineError as error:
            raise EngineError(f"what is inferred cannot be loaded: {error}") from error
    return counts.rejected


def _yaml(wanted: Wanted, inferred: Inferred, style: _Style, fields: Sequence[Field]) -> str:
    import yaml

    names: set[str] = set()
    path = wanted.files[0]
    table = {
        "name": wanted.table,
        "pattern": _pattern(path, naming(path)[1] == "APPEND"),
        "attributes": [_attribute(found, names, style.reserved) for found in fields],
        "metadata": {
            **inferred.metadata,
            **({"encoding": style.encoding} if style.encoding else {}),
            "writeStrategy": {"type": wanted.write},
        },
    }
    text: str = yaml.safe_dump({"version": 1, "table": table}, sort_keys=False, allow_unicode=True, width=1000)
    return text


def _attribute(found: Field, names: set[str], reserved: frozenset[str]) -> dict[str, Any]:
    if any(mark in found.name for mark in ("{{", "{%", "{#", "${")):
        raise ProjectFault(
            f"the name {found.name!r} holds what the project would take for a variable; rename the column in the file"
        )
    column = (
        found.name
        if _NAME.fullmatch(found.name)
        else re.sub(r"\W+", "_", found.name, flags=re.ASCII).strip("_") or "column"
    )
    column = f"_{column}" if column[0].isdigit() or column.lower() in reserved else column
    free, number = column, 1
    while free.lower() in names:
        free, number = f"{column}_{number}", number + 1
    names.add(free.lower())
    inner: set[str] = set()
    return {
        "name": found.name,
        **({} if free == found.name else {"rename": free}),
        "type": found.types[0],
        **({"array": True} if found.array else {}),
        **({"attributes": [_attribute(part, inner, reserved) for part in found.fields]} if found.fields else {}),
    }

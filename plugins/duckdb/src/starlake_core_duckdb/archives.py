"""Data files as they came: plain, compressed with gzip, or several of them in a ``.zip``.

The files of an archive are read one after the other, each from a copy that has a name of its own: the names in an archive decide nothing.
"""

from __future__ import annotations

import logging
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from .compressed import check_size, end_of_gzip, too_large
from .errors import EngineError
from .foreign_files import foreign_files
from .reading import ReadingRules

__all__ = ["opened"]

_log = logging.getLogger(__name__)
_CHUNK = 1024 * 1024
_LINK = 0o120000
_KIND = 0o170000
_ENCRYPTED = 1
_OTHERS = (".tgz", ".tar.gz", ".tar", ".7z", ".rar", ".bz2", ".xz", ".zst", ".lz4", ".z")
_MOST_FILES = 10_000
_Member = tuple[str, IO[bytes]]


def opened(
    files: Iterable[tuple[Path, str]], rules: ReadingRules, form: str | None = None
) -> Iterator[tuple[Path, str]]:
    """Yield the files to read, with their names in messages; a file of an archive exists until the next one is wanted.

    Args:
        files: the files and the names that they came with.
        form: the format of the table, or None if it is not known yet.

    Raises:
        EngineError: one is a link, is broken, or becomes too large.
    """
    for path, name in files:
        if path.is_symlink():  # somebody changed it after it was looked at
            raise EngineError(f"{name} is a link; put the file itself into the directory of the domain")
        if name.lower().endswith(_OTHERS):
            raise EngineError(f"{name} is compressed in a way that this engine does not read; use .gz or .zip")
        if name.lower().endswith(".zip"):
            yield from _members(path, name, rules, form)
        elif path.suffix.lower() != ".gz":
            yield path, name
        else:
            check_size(path, name, rules.max_decompressed)
            end = end_of_gzip(path)
            if path.suffix == ".gz" and end is None:
                yield path, name
            else:
                yield from _copied(path, name, rules, end)


def _copied(path: Path, name: str, rules: ReadingRules, end: int | None) -> Iterator[tuple[Path, str]]:
    """A copy for DuckDB: with the ending that says how it is compressed, and without what follows the end."""
    rules.directory.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=rules.directory) as own:
        copy = Path(own) / "0.gz"
        shutil.copyfile(path, copy)
        if end is not None:
            os.truncate(copy, end)
        yield copy, name


def _members(path: Path, name: str, rules: ReadingRules, form: str | None) -> Iterator[tuple[Path, str]]:
    left = rules.max_decompressed
    rules.directory.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=rules.directory) as own:
        try:
            for number, (inner, source) in enumerate(_of_zip(path, name, form)):
                # Only the ending says how a file is compressed.
                copy = Path(own) / f"{number}{'.gz' if inner.lower().endswith('.gz') else ''}"
                with copy.open("xb") as target:
                    while chunk := source.read(_CHUNK):
                        left -= len(chunk)
                        if left < 0:
                            raise too_large(name, rules.max_decompressed)
                        target.write(chunk)
                check_size(copy, f"{name}/{inner}", rules.max_decompressed)
                end = end_of_gzip(copy) if copy.suffix else None
                if end is not None:
                    os.truncate(copy, end)
                yield copy, f"{name}/{inner}"
                copy.unlink()
        except (
            OSError,
            EOFError,
            ValueError,
            NotImplementedError,
            RuntimeError,
            zlib.error,
            zipfile.BadZipFile,
        ) as error:
            raise EngineError(f"{name} cannot be unpacked: {error}") from error


def _is_data(name: str, archive: str) -> bool:
    """Whether a file of an archive is meant to be loaded: not what an operating system adds."""
    if name.lower().endswith((".zip", *_OTHERS)):
        raise EngineError(f"{archive} holds the archive {name}; put the files themselves into it")
    hidden = any(part.startswith((".", "__MACOSX")) and part not in (".", "..") for part in PurePosixPath(name).parts)
    if hidden:
        _log.warning("%s: %s is hidden, and is not loaded", archive, name)
    return not hidden


def _of_zip(path: Path, name: str, form: str | None) -> Iterator[_Member]:
    with zipfile.ZipFile(path) as archive:
        if len(archive.infolist()) > _MOST_FILES:
            raise EngineError(f"{name} holds more than {_MOST_FILES} files; use several archives")
        entries = [entry for entry in archive.infolist() if not entry.is_dir() and _is_data(entry.filename, name)]
        foreign = foreign_files([entry.filename for entry in entries], form)
        for entry in entries:
            if entry.filename in foreign:
                _log.warning("%s: %s is not a data file of the table, and is not loaded", name, entry.filename)
                continue
            if entry.flag_bits & _ENCRYPTED:
                raise EngineError(f"{name} is encrypted; put the files into an archive without a password")
            if (entry.external_attr >> 16) & _KIND == _LINK:
                raise EngineError(f"{name} holds the link {entry.filename}; put the file itself into it")
            with archive.open(entry) as source:
                yield entry.filename, source

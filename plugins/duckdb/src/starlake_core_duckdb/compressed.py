"""Compressed files, and how much may come out of them."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from .errors import EngineError, ProjectFault

__all__ = ["VARIABLE", "check_size", "end_of_gzip", "open_bytes", "read_size", "too_large"]

VARIABLE = "SL_DUCKDB_MAX_DECOMPRESSED"

_DEFAULT = 2 * 1024**3
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_SIZE = re.compile(r"\s*([0-9]+)\s*([kmgt]?)i?b?\s*", re.IGNORECASE)
# The most bytes that one byte of gzip can expand to.
_LARGEST_RATIO = 1032
_CHUNK = 1024 * 1024


def read_size(text: str | None) -> int:
    """How many bytes may come out of one compressed file.

    Args:
        text: bytes, or a number with K, M, G or T; None for the default, 2G.

    Raises:
        ProjectFault: it is not such a number.
    """
    if text is None or not text.strip():
        return _DEFAULT
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ProjectFault(f"{VARIABLE} is {text!r}; it takes bytes, or a number with K, M, G or T such as 500M")
    return int(found[1]) * _UNITS[found[2].lower()]


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading; what is compressed with gzip (``.gz``) comes out decompressed."""
    return cast(BinaryIO, gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb"))


def too_large(name: str, limit: int) -> EngineError:
    """The error for a compressed file that becomes larger than allowed."""
    return EngineError(
        f"{name} becomes larger than {limit} bytes when it is decompressed; if that is intended, allow it with "
        f"{VARIABLE} in sl_env_var, for example {VARIABLE}=10G"
    )


def check_size(path: Path, name: str, limit: int) -> None:
    """Refuse a compressed file that would become larger than the limit, before anything stores its contents.

    Args:
        path: the file.
        name: its name in messages.
        limit: the largest size, in bytes.

    Raises:
        EngineError: it would become larger, or it is broken.
    """
    if path.suffix.lower() != ".gz" or path.stat().st_size * _LARGEST_RATIO <= limit:
        return
    size = 0
    try:
        with open_bytes(path) as source:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise too_large(name, limit)
    except (OSError, EOFError, zlib.error) as error:
        raise EngineError(f"{name} cannot be decompressed: {error}") from error


def end_of_gzip(path: Path) -> int | None:
    """Where a file that is compressed with gzip ends, if only zeros follow, as on tapes; otherwise None."""
    with path.open("rb") as source:
        if not source.seek(0, 2):
            return None
        source.seek(-1, 2)
        if source.read(1) != b"\0":
            return None
        source.seek(0)
        place, data = 0, source.read(_CHUNK)
        while data:
            used = _member(source, data)
            if used is None:
                return None
            place += used
            source.seek(place)
            data = source.read(_CHUNK)
            if data and not data.strip(b"\0"):
                return None if any(chunk.strip(b"\0") for chunk in iter(lambda: source.read(_CHUNK), b"")) else place
    return None


def _member(source: BinaryIO, data: bytes) -> int | None:
    """The length of one part of a file that is compressed with gzip; None if it is broken. Nothing is kept of what comes out."""
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    read = len(data)
    try:
        while not reader.eof:
            if not data:
                data = source.read(_CHUNK)
                read += len(data)
                if not data:
                    return None
            reader.decompress(data, _CHUNK)
            data = reader.unconsumed_tail
    except zlib.error:
        return None
    return read - len(reader.unused_data)

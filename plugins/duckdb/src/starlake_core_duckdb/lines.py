"""The lines of a text file as a SQL source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from .compressed import open_bytes
from .dialect import as_utf8
from .reading import Reading
from .sql import Parameters

__all__ = ["lines_source", "uniform_lines"]

LONGEST_LINE = 64 * 1024 * 1024
_CHUNK = 1024 * 1024
# No text has these four characters in a row, so that the reader of CSV sees one field per line.
_NO_SEPARATOR = "\x01\x1e\x1f\x02"


def _is_mixed(path: Path) -> bool:
    """Whether some lines end in CR LF, and others in LF alone."""
    feeds = pairs = 0
    with open_bytes(path) as source:
        before = b""
        while chunk := source.read(_CHUNK):
            feeds += chunk.count(b"\n")
            pairs += chunk.count(b"\r\n") + (before == b"\r" and chunk.startswith(b"\n"))
            before = chunk[-1:]
            if 0 < pairs < feeds:
                return True
    return 0 < pairs < feeds


@contextmanager
def uniform_lines(reading: Reading) -> Iterator[Reading]:
    """A reading of UTF-8 text whose lines all end in the same way: DuckDB would count a mixture as more lines than there are.

    Raises:
        EngineError: the file is not written in the encoding of the table.
    """
    with as_utf8(reading.table, reading.path, reading.rules.directory) as path:
        if not _is_mixed(path):
            yield replace(reading, path=path)
            return
        reading.rules.directory.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=reading.rules.directory) as own:
            copy = Path(own) / "data"
            with open_bytes(path) as source, copy.open("wb") as target:
                for line in source:
                    target.write(line[:-2] + b"\n" if line.endswith(b"\r\n") else line)
            yield replace(reading, path=copy)


def lines_source(path: Path, rejects: str, parameters: Parameters) -> str:
    """A query with ``n`` (1 is the first) and ``line``, which is NULL for an empty line.

    Lines that are not UTF-8 do not come out of it; DuckDB puts them into a temporary table.

    Args:
        rejects: the name of that temporary table.
    """
    compression = "gzip" if path.suffix == ".gz" else "uncompressed"
    return (
        "SELECT row_number() OVER () AS n, line FROM "
        f"read_csv({parameters.add(str(path))}, compression = '{compression}', auto_detect = false, header = false, "
        f"delim = {parameters.add(_NO_SEPARATOR)}, quote = '', escape = '', columns = {{'line': 'VARCHAR'}}, "
        f"strict_mode = false, max_line_size = {LONGEST_LINE}, buffer_size = {LONGEST_LINE}, store_rejects = true, "
        f"rejects_table = '{rejects}', rejects_scan = '{rejects}_scan')"
    )

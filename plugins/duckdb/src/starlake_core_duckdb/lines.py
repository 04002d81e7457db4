"""The lines of a text file as a SQL source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from .casting import has_privacy
from .compressed import open_bytes
from .dialect import as_utf8
from .errors import EngineError
from .reading import Reading
from .sql import Parameters

__all__ = ["LONGEST_LINE", "lines_source", "uniform_lines"]

LONGEST_LINE = 64 * 1024 * 1024
_USUAL_LINE = 2 * 1024 * 1024
_BUFFER = 8 * 1024 * 1024
_SLACK = 1024
_CHUNK = 1024 * 1024
# No text has these four characters in a row, so that the reader of CSV sees one field per line.
_NO_SEPARATOR = "\x01\x1e\x1f\x02"


@dataclass(frozen=True)
class _Facts:
    """What is known about the lines of a file: the longest, in bytes, and whether some end in CR LF, and others in LF alone."""

    longest: int
    is_mixed: bool


def _facts(path: Path) -> _Facts:
    feeds = pairs = longest = 0
    begun = b""
    with open_bytes(path) as source:
        while chunk := source.read(_CHUNK):
            lines = (begun + chunk).split(b"\n")
            begun = lines.pop()
            if lines:
                feeds += len(lines)
                pairs += sum(line.endswith(b"\r") for line in lines)
                longest = max(longest, *map(len, lines))
            if len(begun) > LONGEST_LINE:
                return _Facts(LONGEST_LINE, False)
    return _Facts(max(longest, len(begun)), 0 < pairs < feeds)


@contextmanager
def uniform_lines(reading: Reading) -> Iterator[Reading]:
    """A reading of UTF-8 text whose lines all end in the same way: DuckDB would count a mixture as more lines than there are.

    Raises:
        EngineError: the file is not written in the encoding of the table.
    """
    with as_utf8(reading.table, reading.path, reading.rules.directory) as path:
        facts = _facts(path)
        reading = replace(reading, path=path, longest_line=min(facts.longest, LONGEST_LINE))
        if not facts.is_mixed:
            yield reading
            return
        if has_privacy(reading.table):
            raise EngineError(
                f"{reading.name} mixes lines that end in CR LF with others, and a table with privacy is not copied to correct that; "
                "write all lines with the same end"
            )
        reading.rules.directory.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=reading.rules.directory) as own:
            copy = Path(own) / "data"
            with open_bytes(path) as source, copy.open("wb") as target:
                for line in source:
                    target.write(line[:-2] + b"\n" if line.endswith(b"\r\n") else line)
            yield replace(reading, path=copy)


def lines_source(reading: Reading, parameters: Parameters) -> str:
    """A query with ``n`` (1 is the first) and ``line``, which is NULL for an empty line.

    Lines that are not UTF-8 do not come out of it; DuckDB puts them into the temporary table of the reading.
    """
    compression = "gzip" if reading.path.suffix == ".gz" else "uncompressed"
    # The buffers decide how much memory DuckDB takes; they hold at least one line.
    longest = max(_USUAL_LINE, reading.longest_line + _SLACK if reading.longest_line else LONGEST_LINE)
    return (
        "SELECT row_number() OVER () AS n, line FROM "
        f"read_csv({parameters.add(str(reading.path))}, compression = '{compression}', auto_detect = false, header = false, "
        f"delim = {parameters.add(_NO_SEPARATOR)}, quote = '', escape = '', columns = {{'line': 'VARCHAR'}}, "
        f"strict_mode = false, max_line_size = {longest}, buffer_size = {max(_BUFFER, longest)}, store_rejects = true, "
        f"rejects_table = '{reading.rejects}', rejects_scan = '{reading.rejects}_scan')"
    )

"""Loads files of each format with the DuckDB engine: peak memory, counts, and what a cancelled load leaves. See README.md in this folder."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

BAD_EVERY = 1000
"""One row of so many is wrong: 0.1 %."""
TARGET = 2.0
"""How much more memory ten times as many rows may take."""

_ATTRIBUTES = """
    - {name: id, type: long, required: true, position: {first: 0, last: 9}}
    - {name: name, type: string, position: {first: 10, last: 29}}
    - {name: price, type: double, position: {first: 30, last: 39}}
    - {name: day, type: date, position: {first: 40, last: 49}}
"""


@dataclass(frozen=True)
class Item:
    """A row; a wrong one has a word for its number."""

    number: int

    @property
    def is_bad(self) -> bool:
        return self.number % BAD_EVERY == BAD_EVERY // 2

    @property
    def id(self) -> str:
        return "x" if self.is_bad else str(self.number)

    @property
    def values(self) -> dict[str, str]:
        return {
            "id": self.id,
            "name": f"name {self.number}",
            "price": f"{self.number % 997}.25",
            "day": f"2024-{self.number % 12 + 1:02}-{self.number % 28 + 1:02}",
        }


def _dsv(items: Iterator[Item]) -> Iterator[str]:
    yield "id;name;price;day\n"
    for item in items:
        yield ";".join(item.values.values()) + "\n"


def _lines(items: Iterator[Item]) -> Iterator[str]:
    for item in items:
        yield json.dumps(item.values) + "\n"


def _array(items: Iterator[Item]) -> Iterator[str]:
    before = "["
    for item in items:
        yield f"{before}{json.dumps(item.values)}"
        before = ",\n"
    yield "]"


def _position(items: Iterator[Item]) -> Iterator[str]:
    for item in items:
        values = item.values
        yield f"{values['id']:<10}{values['name']:<20}{values['price']:<10}{values['day']}\n"


def _xml(items: Iterator[Item]) -> Iterator[str]:
    yield "<items>\n"
    for item in items:
        yield f"<item>{''.join(f'<{key}>{value}</{key}>' for key, value in item.values.items())}</item>\n"
    yield "</items>\n"


@dataclass(frozen=True)
class Format:
    """A format, and how its files are written.

    Attributes:
        metadata: the metadata of the table.
        write: the parts of a file; None for Parquet, which DuckDB writes.
    """

    metadata: str
    write: Callable[[Iterator[Item]], Iterator[str]] | None


FORMATS: Mapping[str, Format] = {
    "DSV": Format("format: DSV", _dsv),
    "JSON": Format("format: JSON", _lines),
    "JSON_FLAT": Format("format: JSON_FLAT", _lines),
    "JSON_ARRAY": Format("format: JSON_ARRAY", _array),
    "POSITION": Format("format: POSITION", _position),
    "XML": Format("format: XML, options: {rowTag: item}", _xml),
    "PARQUET": Format("format: PARQUET", None),
}


def write_file(path: Path, kind: str, rows: int) -> None:
    """Write a file of a format, a little at a time."""
    write = FORMATS[kind].write
    if write is not None:
        with path.open("w", encoding="utf-8") as target:
            target.writelines(write(map(Item, range(rows))))
        return
    lines = path.with_name("items.lines")
    with lines.open("w", encoding="utf-8") as target:
        target.writelines(_lines(map(Item, range(rows))))
    import duckdb

    with duckdb.connect() as connection:
        read = connection.read_json(str(lines), columns=dict.fromkeys(Item(0).values, "VARCHAR"))
        read.write_parquet(str(path))
    lines.unlink()


def make_project(root: Path, kind: str) -> None:
    """A project with one table, whose files have a format."""
    folder = root / "metadata" / "load" / "shop"
    folder.mkdir(parents=True)
    (folder / "_config.sl.yml").write_text('version: 1\nload: {metadata: {directory: "{{SL_ROOT}}/incoming"}}\n')
    trim = _ATTRIBUTES.replace("}}", "}, trim: BOTH}") if kind == "POSITION" else _ATTRIBUTES
    (folder / "items.sl.yml").write_text(
        f'version: 1\ntable:\n  pattern: "items.*"\n  metadata: {{{FORMATS[kind].metadata}}}\n  attributes: {trim}'
    )


def start(root: Path) -> subprocess.Popen[bytes]:
    """Start a load."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SL_")}
    return subprocess.Popen(
        [sys.executable, "-m", "starlake_core_duckdb", "load"],
        env={**kept, "SL_ROOT": str(root)},
        stdout=subprocess.DEVNULL,
    )


def files(root: Path) -> dict[str, list[str]]:
    """The files in the areas, without locks; the names of those in ingesting without what makes them unique."""
    found: dict[str, list[str]] = {}
    for area in ("stage", "ingesting", "archive", "unresolved"):
        paths = [
            path for path in (root / "datasets" / area).rglob("*") if path.is_file() and not path.name.endswith(".lock")
        ]
        found[area] = sorted(path.name.rpartition("-")[2] for path in paths)
    return {area: names for area, names in found.items() if names}


def contents(root: Path) -> tuple[int, int, list[int]]:
    """How many rows there are, the sum of their ids, and the numbers of the rejected rows."""
    import duckdb

    database = root / "datasets" / "duckdb.db"
    if not database.exists():
        return 0, 0, []
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = dict(
            connection.execute(
                "SELECT table_name, table_schema FROM information_schema.tables WHERE table_name IN ('items', 'rejected')"
            ).fetchall()
        )
        rows, total = (0, 0)
        if "items" in tables:
            found = connection.execute("SELECT count(*), coalesce(sum(id), 0) FROM shop.items").fetchone()
            rows, total = found or (0, 0)
        schema = tables.get("rejected")
        numbers = (
            connection.execute(f"SELECT row_number FROM {schema}.rejected ORDER BY 1").fetchall() if schema else []
        )
    return int(rows), int(total), [number for (number,) in numbers]


def expected(rows: int) -> tuple[int, int, list[int]]:
    """What has to come out of a file, counted from the rows themselves."""
    bad = [item.number + 1 for item in map(Item, range(rows)) if item.is_bad]
    return rows - len(bad), sum(range(rows)) - sum(number - 1 for number in bad), bad


def aside(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in another process: the memory of this one counts as memory of the processes that it starts."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def load(kind: str, rows: int, folder: Path) -> dict[str, Any]:
    """Load a file in a process of its own, and check what comes out."""
    root = folder / f"{kind}-{rows}"
    make_project(root, kind)
    stage = root / "datasets" / "stage" / "shop"
    stage.mkdir(parents=True)
    aside(write_file, stage / "items.data", kind, rows)
    size = (stage / "items.data").stat().st_size
    began = time.monotonic()
    process = start(root)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "file_mb": size / 2**20,
        "peak_mb": usage.ru_maxrss / 1024,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": time.monotonic() - began,
        "complete": process.returncode == 0
        and aside(contents, root) == expected(rows)
        and files(root) == {"archive": ["items.data"]},
    }


def cancel(kind: str, rows: int, folder: Path, usual: float, how: signal.Signals) -> bool:
    """Stop a load in its middle; say whether it left nothing, and whether the next load is complete."""
    complete = expected(rows)
    for attempt in range(1, 8):
        root = folder / f"{kind}-{rows}-{how.name}-{attempt}"
        make_project(root, kind)
        stage = root / "datasets" / "stage" / "shop"
        stage.mkdir(parents=True)
        aside(write_file, stage / "items.data", kind, rows)
        process = start(root)
        while process.poll() is None and "ingesting" not in files(root):
            time.sleep(0.01)
        time.sleep(usual / 2**attempt)
        process.send_signal(how)
        stopped = process.wait() == -how
        found = aside(contents, root)
        if start(root).wait() != 0 or aside(contents, root) != complete or files(root) != {"archive": ["items.data"]}:
            return False
        if stopped and found != complete:  # otherwise the load was over already: earlier, then
            return bool(found == (0, 0, []))
    return False


def main() -> int:
    """Measure, print a table, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=f"of {', '.join(FORMATS)}; all by default")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the larger file; the smaller has a tenth")
    parser.add_argument("--no-cancel", action="store_true", help="measure memory and counts only")
    given = parser.parse_args()
    good = True
    say = Console(width=200, highlight=False).print
    say("| format | file | peak memory, a tenth | peak memory | ratio | CPU | complete | cancelled |")
    say("|---|---|---|---|---|---|---|---|")
    for kind in given.formats or FORMATS:
        with tempfile.TemporaryDirectory() as name:
            small, large = (load(kind, rows, Path(name)) for rows in (given.rows // 10, given.rows))
            ratio = large["peak_mb"] / small["peak_mb"]
            complete = small["complete"] and large["complete"]
            kills = () if given.no_cancel else (signal.SIGKILL, signal.SIGTERM)
            cancelled = all(cancel(kind, given.rows, Path(name), large["wall_s"], how) for how in kills)
        good = good and complete and cancelled and ratio <= TARGET
        shown = "not tried" if given.no_cancel else "leaves nothing" if cancelled else "LEAVES SOMETHING"
        say(
            f"| {kind} | {large['file_mb']:.0f} MB | {small['peak_mb']:.0f} MB | {large['peak_mb']:.0f} MB | {ratio:.2f} "
            f"| {large['cpu_s']:.1f} s | {'yes' if complete else 'NO'} | {shown} |",
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

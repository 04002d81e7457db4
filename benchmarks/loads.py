"""Loads DSV files with the DuckDB engine, and compares CPU and memory with DuckDB's own typed reader. See README.md in this folder."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

BAD_EVERY = 1000
"""One row of so many is wrong: 0.1 %."""
COLUMNS: Mapping[str, tuple[str, str]] = {
    "id": ("long", "BIGINT"),
    "customer": ("long", "BIGINT"),
    "quantity": ("int", "INTEGER"),
    "price": ("double", "DOUBLE"),
    "amount": ("decimal", "DECIMAL(38, 9)"),
    "active": ("boolean", "BOOLEAN"),
    "day": ("date", "DATE"),
    "moment": ("timestamp", "TIMESTAMPTZ"),
    "name": ("string", "VARCHAR"),
    "city": ("string", "VARCHAR"),
    "code": ("string", "VARCHAR"),
    "note": ("string", "VARCHAR"),
}
"""The columns with their types in the project and in DuckDB."""

_READ = """
import sys
import duckdb
with duckdb.connect(sys.argv[2]) as connection:
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        "CREATE TABLE items AS SELECT * FROM read_csv($file, auto_detect = false, header = true, delim = ';', quote = '\\"', escape = '\\"', "
        f"columns = {{{sys.argv[3]}}}, store_rejects = true)",
        {"file": sys.argv[1]},
    )
"""


class Cost(NamedTuple):
    """What a process took: seconds of CPU, and megabytes at the peak."""

    cpu: float
    memory: float


@dataclass(frozen=True)
class Case:
    """A file and a table.

    Attributes:
        quoted: whether every value is quoted.
        patterns: the columns whose type has a pattern of its own, and the patterns.
        short: whether one row in a thousand lacks its last value.
        target: how much CPU it may take, compared with DuckDB's reader; None if it is only reported.
    """

    quoted: bool = False
    patterns: Mapping[str, str] | None = None
    short: bool = False
    target: float | None = None


CASES: Mapping[str, Case] = {
    "built-in types": Case(target=1.6),
    "a pattern": Case(patterns={"code": "C[0-9]{4}"}, target=2.0),
    "quoted": Case(quoted=True),
    "a pattern that RE2 lacks": Case(patterns={"code": "C(?=[0-9]).*"}),
    "short rows": Case(short=True),
}
MEMORY = 1.5
"""How much more memory the cases with a target may take."""


def rows(case: Case, count: int) -> Iterator[str]:
    """The lines of a file."""
    yield ";".join(COLUMNS) + "\n"
    cities = ("Paris", "Lyon", "Lille", "Nice", "Brest")
    for number in range(count):
        bad = number % BAD_EVERY == BAD_EVERY // 2
        day = f"2024-{number % 12 + 1:02}-{number % 28 + 1:02}"
        values = (
            f"x{number}" if bad else str(number), str(number * 7919 % 1_000_003), str(number % 97), f"{number % 997}.25",
            f"{number % 89}.{number % 100:02}", "true" if number % 3 else "false", day,
            f"{day} {number % 24:02}:{number % 60:02}:{number * 7 % 60:02}", f"name {number}", cities[number % 5], f"C{number % 1000:04}",
            f"note number {number % 5000} of the row",
        )  # fmt: skip
        if case.short and number % 1000 == 1:
            values = values[:-1]
        yield ('"' + '";"'.join(values) + '"' if case.quoted else ";".join(values)) + "\n"


def make_project(root: Path, case: Case) -> None:
    """A project with one table."""
    folder = root / "metadata" / "load" / "shop"
    folder.mkdir(parents=True)
    (folder / "_config.sl.yml").write_text('version: 1\nload: {metadata: {directory: "{{SL_ROOT}}/incoming"}}\n')
    patterns = case.patterns or {}
    attributes = "".join(
        f"\n    - {{name: {name}, type: {name if name in patterns else kind}, required: {str(name == 'id').lower()}}}"
        for name, (kind, _) in COLUMNS.items()
    )
    (folder / "items.sl.yml").write_text(
        f"version: 1\ntable:\n  pattern: 'items.*'\n  metadata: {{separator: ';'}}\n  attributes:{attributes}\n"
    )
    (root / "metadata" / "types").mkdir()
    listed = "".join(
        f"\n  - {{name: {name}, primitiveType: string, pattern: '{pattern}'}}" for name, pattern in patterns.items()
    )
    (root / "metadata" / "types" / "types.sl.yml").write_text(f"version: 1\ntypes:{listed or ' []'}\n")


def cost_of(arguments: list[str], root: Path) -> Cost:
    """Run Python, and say what the process took.

    Raises:
        SystemExit: it failed.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SL_")}
    process = subprocess.Popen(
        [sys.executable, *arguments], env={**kept, "SL_ROOT": str(root)}, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{arguments[:2]} failed with {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def load(case: Case, file: Path, folder: Path) -> Cost:
    """Load the file in a new project."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        root = Path(name)
        make_project(root, case)
        stage = root / "datasets" / "stage" / "shop"
        stage.mkdir(parents=True)
        os.link(file, stage / "items.csv")
        return cost_of(["-m", "starlake_core_duckdb", "load"], root)


def read(file: Path, folder: Path) -> Cost:
    """Read the file into a table of a new database with DuckDB alone."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        columns = ", ".join(f"'{column}': '{ddl}'" for column, (_, ddl) in COLUMNS.items())
        return cost_of(["-c", _READ, str(file), str(Path(name) / "read.db"), columns], Path(name))


def compare(one: Callable[[], Cost], other: Callable[[], Cost], pairs: int) -> tuple[Cost, Cost, Cost]:
    """Medians of both, and of the ratios of interleaved pairs."""
    found = []
    for number in range(pairs):
        if number % 2:
            first = one()
            found.append((first, other()))
        else:
            second = other()
            found.append((one(), second))

    def median(values: list[Cost]) -> Cost:
        return Cost(*(statistics.median(column) for column in zip(*values, strict=True)))

    ratios = [Cost(mine.cpu / its.cpu, mine.memory / its.memory) for mine, its in found]
    return median([mine for mine, _ in found]), median([its for _, its in found]), median(ratios)


def main() -> int:
    """Measure, print a table, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of a file")
    parser.add_argument("--pairs", type=int, default=5, help="how often both are run, one after the other")
    given = parser.parse_args()
    say = Console(width=200, highlight=False).print
    say("| case | CPU | of DuckDB | ratio | target | memory | of DuckDB | ratio |")
    say("|---|---|---|---|---|---|---|---|")
    good = True
    for name in given.cases or CASES:
        case = CASES[name]
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            file = folder / "items.csv"
            with file.open("w", encoding="utf-8") as target:
                target.writelines(rows(case, given.rows))
            mine, its, ratio = compare(lambda: load(case, file, folder), lambda: read(file, folder), given.pairs)  # noqa: B023
        good = good and (case.target is None or (ratio.cpu <= case.target and ratio.memory <= MEMORY))
        say(
            f"| {name} | {mine.cpu:.2f} s | {its.cpu:.2f} s | {ratio.cpu:.2f} | {case.target or 'none'} "
            f"| {mine.memory:.0f} MB | {its.memory:.0f} MB | {ratio.memory:.2f} |"
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

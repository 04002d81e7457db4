"""Shared code of the benchmarks of the orchestrators: pairs, tables, new processes, shapes of pipelines."""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        what: what was measured.
        measured: the result as text.
        target: the target as text; empty if there is none.
        good: whether the target is met.
        figures: the figures for programs.
    """

    what: str
    measured: str
    target: str = ""
    good: bool = True
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        pairs: the number of pairs of most comparisons.
        large_pairs: the number of pairs of slow comparisons.
        processes: the number of processes for measurements in new processes.
        polls: the number of polls after which attempts end.
    """

    pairs: int = 15
    large_pairs: int = 3
    processes: int = 9
    polls: int = 20


QUICK = Size(pairs=3, large_pairs=1, processes=3, polls=4)

Measure = Callable[[Size, Path], list[Row]]


@dataclass(frozen=True)
class Pairs:
    """The seconds of the two sides, pair by pair."""

    ours: list[float]
    native: list[float]

    @classmethod
    def of(cls, ours: Callable[[], object], native: Callable[[], object], count: int) -> Pairs:
        """Measure the CPU time of pairs, each in random order. Both sides run once before, to fill imports and
        caches."""
        ours()
        native()
        return cls.told(lambda: _seconds(ours), lambda: _seconds(native), count)

    @classmethod
    def told(cls, ours: Callable[[], float], native: Callable[[], float], count: int) -> Pairs:
        """Run pairs, each in random order, of functions that return their seconds."""
        order = random.Random(count)
        times: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(count):
            for mine in order.sample((True, False), 2):
                times[mine].append((ours if mine else native)())
        return cls(times[True], times[False])

    @property
    def ratios(self) -> list[float]:
        """Ours against native, pair by pair."""
        return [mine / theirs for mine, theirs in zip(self.ours, self.native, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)

    @property
    def extra(self) -> float:
        """The median of the differences, in seconds."""
        return statistics.median(mine - theirs for mine, theirs in zip(self.ours, self.native, strict=True))

    @property
    def spread(self) -> tuple[float, float]:
        """The middle half of the ratios lies between these."""
        if len(self.ratios) < 4:
            return min(self.ratios), max(self.ratios)
        first, _, third = statistics.quantiles(self.ratios, n=4)
        return first, third

    def row(self, what: str, most: float | None = None, extra: float | None = None, below: bool = False) -> Row:
        """A line of a table.

        Args:
            what: what was measured.
            most: the target ratio, if there is one.
            extra: the seconds that may be added to native instead.
            below: whether the ratio must be less than the target.
        """
        mine, theirs = statistics.median(self.ours), statistics.median(self.native)
        low, high = self.spread
        measured = f"{shown_time(mine)} / {shown_time(theirs)} = {self.ratio:.2f} x [{low:.2f} - {high:.2f}]"
        target, good = "", True
        if extra is not None:
            measured += f", {self.extra * 1e3:+.1f} ms"
            target, good = f"<= +{extra * 1e3:.0f} ms", self.extra <= extra
        elif most is not None:
            target = f"{'<' if below else '<='} {most:.2f} x"
            good = self.ratio < most if below else self.ratio <= most
        return Row(what, measured, target, good, {"ours": self.ours, "native": self.native, "ratio": self.ratio})


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.process_time()
    made = work()
    used = time.process_time() - started
    del made
    return used


def shown_time(seconds: float) -> str:
    """Format seconds."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def shown_count(count: int) -> str:
    """Format a number."""
    return f"{count:,}".replace(",", " ")


def chain(length: int) -> dict[str, list[str]]:
    """A chain of transforms."""
    return {f"t{n}": [f"t{n - 1}"] if n else [] for n in range(length)}


def diamonds(width: int, depth: int) -> dict[str, list[str]]:
    """Layers of transforms, each after all of the layer before."""
    return {
        f"t{level}_{n}": [f"t{level - 1}_{other}" for other in range(width)] if level else []
        for level in range(depth)
        for n in range(width)
    }


def resident_peak() -> float:
    """Return the peak memory (MiB) of this process."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux, the ru_maxrss of a child includes the memory of its parent before exec().
        (peak,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def in_process(script: Path, name: str, *arguments: object, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the result of a new process.

    Args:
        script: the benchmark with the children.
        name: the name of the child.
        *arguments: the arguments of the child.
        env: further environment variables.
    """
    command = [sys.executable, str(script), "--child", name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env={**os.environ, **(env or {})})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    return found


def answer(children: Mapping[str, Callable[..., dict[str, Any]]], name: str, arguments: Sequence[str]) -> int:
    """Run one measurement in a new process, and print its result as the last line of the standard output."""
    found = children[name](*arguments)
    sys.stdout.write("\n" + json.dumps(found) + "\n")
    return 0


@dataclass(frozen=True)
class Suite:
    """The benchmarks of an orchestrator.

    Attributes:
        orchestrator: its display name.
        distribution: its distribution.
        plugin: the distribution of its plugin.
        benchmarks: the title and function of each benchmark, by name.
        prepare: sets a folder as the home of the orchestrator, for this process and its children.
        children: returns the measurements that need their own process; imported late.
    """

    orchestrator: str
    distribution: str
    plugin: str
    benchmarks: Mapping[str, tuple[str, Measure]]
    prepare: Callable[[Path], None]
    children: Callable[[], Mapping[str, Callable[..., dict[str, Any]]]]

    def run(self, names: Sequence[str], size: Size, record: Path | None) -> int:
        """Measure, print the tables, and keep the figures."""
        from rich.console import Console
        from rich.table import Table

        # A file or a pipe has no width, so tables must not be wrapped.
        console = Console(width=None if sys.stdout.isatty() else 140)
        kept: dict[str, Any] = {
            self.orchestrator.lower(): version(self.distribution),
            "python": sys.version.split()[0],
            "tables": {},
        }
        console.print(
            f"{self.orchestrator} {version(self.distribution)}, Python {kept['python']}\n",
            highlight=False,
        )
        missed = 0
        with tempfile.TemporaryDirectory(prefix="starlake-benchmark-") as folder:
            self.prepare(Path(folder))
            for name in names:
                title, measure = self.benchmarks[name]
                rows = measure(size, Path(folder))
                table = Table("what", "measured", "target", "", title=title, title_justify="left", box=None)
                for row in rows:
                    missed += not row.good
                    table.add_row(
                        row.what, row.measured, row.target, "" if not row.target else "ok" if row.good else "MISSED"
                    )
                console.print(table, "", highlight=False, markup=False)
                kept["tables"][name] = [asdict(row) for row in rows]
        if record is not None:
            record.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        return 1 if missed else 0

    def main(self, doc: str | None, arguments: Sequence[str]) -> int:
        """Run the command line."""
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument(
            "names", nargs="*", metavar="NAME", help=f"one of {', '.join(self.benchmarks)}; all by default"
        )
        parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
        parser.add_argument("--quick", action="store_true", help="few rounds: shows that it works, not how fast it is")
        parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
        asked = parser.parse_args(arguments)
        unknown = sorted(set(asked.names) - set(self.benchmarks))
        if unknown:
            parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(self.benchmarks)}")
        if sys.dont_write_bytecode:
            parser.error(
                "byte code is not written here, so that imports and parses look slow; unset PYTHONDONTWRITEBYTECODE"
            )
        for distribution in (self.distribution, self.plugin, "starlake-core-shell"):
            try:
                version(distribution)
            except PackageNotFoundError:
                parser.error(f"{distribution} is not installed in {sys.prefix}")
        if asked.child:
            return answer(self.children(), asked.child[0], asked.child[1:])
        return self.run(asked.names or list(self.benchmarks), QUICK if asked.quick else Size(), asked.json)

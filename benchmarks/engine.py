"""The warm DuckDB engine against ``dbt run`` with dbt-duckdb, and against a process for each command: layered transforms of 1 000 rows.

Run it in an environment with starlake-core-local and starlake-core-duckdb. dbt has an environment of its own: give its folder with
``--dbt``, or make it with ``python -m venv FOLDER && FOLDER/bin/pip install 'dbt-core<1.11' dbt-duckdb``. Without it, the comparison is
named as skipped. CPU seconds are those of all processes, also of the engine, which is not a child of the run.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from measuring import Pairs, shown_time

LAYER, ROWS, AT_ONCE = 20, 1000, 4
TARGET, LINEAR, IN_DAGSTER, COLD = 0.35, 5.5, 1.3, 0.7
COLD_PAIRS = 3
"""How many pairs of single commands are as long as a pair of runs, about."""
_SUBREAPER = 36

PIPELINE = """
from starlake_core import Orchestration

COUNT, LAYER = {count}, {layer}
with Orchestration({options!r}, orchestrator={orchestrator!r}, environment={environment!r}) as orchestration:
    with orchestration.sl_create_pipeline(name="bench") as pipeline:
        tasks = [pipeline.sl_transform(task_id=f"t{{n:04}}", transform_name=f"kpi.t{{n:04}}") for n in range(COUNT)]
        for number in range(LAYER, COUNT):
            layer, place = divmod(number, LAYER)
            for step in range(3):
                tasks[(layer - 1) * LAYER + (place + step) % LAYER] >> tasks[number]
"""
IN_PROCESS = """
from dagster import DagsterInstance

assert pipeline.native.alone.execute_in_process(instance=DagsterInstance.ephemeral()).success
"""


@dataclass(frozen=True)
class Cost:
    """What a program took: seconds on the clock, CPU seconds, and the most memory of one process in MB."""

    wall: float
    cpu: float
    peak: float


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def measured(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Cost:
    """Run a program, and wait for everything that it leaves behind."""
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{output[-2000:]}")
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss
    while True:
        try:
            _, _, usage = os.wait3(0)
        except ChildProcessError:
            return Cost(wall, cpu, peak / 1024)
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss)


def query(number: int, table: Callable[[int], str]) -> str:
    """The query of a transform, on three tables of the layer before."""
    layer, place = divmod(number, LAYER)
    if layer == 0:
        return f"SELECT range AS id, range * {number + 1} AS v, 'name ' || range AS label FROM range({ROWS})"
    a, b, c = (table((layer - 1) * LAYER + (place + step) % LAYER) for step in range(3))
    return (
        f"SELECT a.id, (a.v + b.v + c.v) % 1000003 AS v, a.label FROM {a} a JOIN {b} b USING (id) JOIN {c} c USING (id)"
    )


def make_project(folder: Path, count: int) -> None:
    """A project with the transforms."""
    transforms = folder / "metadata" / "transform" / "kpi"
    transforms.mkdir(parents=True)
    (folder / "metadata" / "application.sl.yml").write_text("version: 1\napplication: {}\n")
    for number in range(count):
        name = f"t{number:04}"
        (transforms / f"{name}.sl.yml").write_text("version: 1\ntask:\n  writeStrategy: {type: OVERWRITE}\n")
        (transforms / f"{name}.sql").write_text(query(number, lambda other: f"kpi.t{other:04}"))


def clean() -> dict[str, str]:
    """The environment variables of a run."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SL_")}


def pipeline(count: int, orchestrator: str, environment: str, **options: object) -> str:
    """The file of a pipeline of the transforms."""
    options = {"parallelism": AT_ONCE, **options}
    return PIPELINE.format(
        count=count, layer=LAYER, options=options, orchestrator=orchestrator, environment=environment
    )


def ours(folder: Path, count: int, engine: str) -> Cost:
    """A new project, run once."""
    make_project(folder, count)
    (folder / "pipe.py").write_text(pipeline(count, "local", "duckdb", duckdb_engine=engine))
    return measured([sys.executable, "-m", "starlake_core", "run", str(folder / "pipe.py")], folder, clean())


def in_dagster(folder: Path, count: int, python: Path, nothing: bool) -> Cost:
    """The transforms in the process of Dagster, or the same steps with a program that does nothing."""
    make_project(folder, count)
    script = folder / "pipe.py"
    options = {"SL_STARLAKE_PATH": shutil.which("true")} if nothing else {}
    text = pipeline(count, "dagster", "shell" if nothing else "duckdb", **options)
    script.write_text(text + IN_PROCESS)
    return measured([str(python), str(script)], folder, clean())


def cold(folder: Path, sources: Path) -> Cost:
    """A transform by itself, with the sources of a checkout. The first one makes the database and the compiled modules."""
    make_project(folder, 1)
    places = [sources, *(sources / "plugins" / name / "src" for name in ("project", "duckdb"))]
    env = {**clean(), "PYTHONPATH": os.pathsep.join(map(str, places)), "SL_ROOT": str(folder)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-P", "-m", "starlake_core_duckdb", "transform", "--name", "kpi.t0000"]
    measured(command, folder, env)
    return measured(command, folder, env)


def dbt(folder: Path, count: int, place: Path) -> Cost:
    """The same queries as models, run once."""
    models = folder / "models"
    models.mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(
        "name: bench\nversion: 1.0.0\nprofile: bench\nmodels: {bench: {+materialized: table}}\n"
    )
    path = folder / "bench.db"
    (folder / "profiles.yml").write_text(
        f"bench:\n  target: dev\n  outputs:\n    dev: {{type: duckdb, path: '{path}', threads: {AT_ONCE}}}\n"
    )
    for number in range(count):
        (models / f"t{number:04}.sql").write_text(query(number, lambda other: f"{{{{ ref('t{other:04}') }}}}"))
    env = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    env.pop("PYTHONPATH", None)
    return measured([str(place / "bin" / "dbt"), "run", "--profiles-dir", str(folder), "--quiet"], folder, env)


def compare(
    title: str, first: Callable[[Path], Cost], second: Callable[[Path], Cost], pairs: int
) -> tuple[float, float]:
    """Run pairs in random order; print and return the medians of the ratios of clock and CPU."""
    costs: dict[bool, list[Cost]] = {True: [], False: []}

    def once(mine: bool) -> float:
        with tempfile.TemporaryDirectory(prefix="starlake-benchmark-") as folder:
            costs[mine].append((first if mine else second)(Path(folder) / "project"))
        return costs[mine][-1].cpu

    cpu = Pairs.told(lambda: once(True), lambda: once(False), pairs)
    wall = Pairs([cost.wall for cost in costs[True]], [cost.wall for cost in costs[False]])
    for name, found in (("CPU", cpu), ("clock", wall)):
        mine, theirs = statistics.median(found.ours), statistics.median(found.native)
        low, high = found.spread
        say(
            f"{title}, {name}: {shown_time(mine)} / {shown_time(theirs)} = {found.ratio:.2f} x [{low:.2f} - {high:.2f}]"
        )
    peaks = [statistics.median(cost.peak for cost in costs[mine]) for mine in (True, False)]
    say(f"{title}, memory of the largest process: {peaks[0]:.0f} MB / {peaks[1]:.0f} MB")
    return wall.ratio, cpu.ratio


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="how many transforms (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=5, help="how many pairs (default: %(default)s)")
    parser.add_argument("--dbt", type=Path, metavar="FOLDER", help="the environment that has dbt-duckdb")
    parser.add_argument("--dagster", type=Path, metavar="PYTHON", help="an interpreter that has starlake-core-dagster")
    parser.add_argument(
        "--before", type=Path, metavar="FOLDER", help="compare a command by itself with that of this checkout"
    )
    parser.add_argument("--process", action="store_true", help="compare with a process for each command, too")
    parser.add_argument("--linear", action="store_true", help="compare with five times as many transforms, too")
    asked = parser.parse_args(arguments)
    # What a run leaves behind becomes a child of this process, so its CPU seconds are known.
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    missed = False

    def warm(folder: Path) -> Cost:
        return ours(folder, asked.count, "warm")

    place = asked.dbt
    if place is None or not (place / "bin" / "dbt").exists():
        say("skipped: dbt is not there; give its environment with --dbt")
    else:
        ratios = compare("warm / dbt", warm, lambda folder: dbt(folder, asked.count, place.absolute()), asked.pairs)
        missed = max(ratios) > TARGET
        say(f"warm / dbt: {'MISSED' if missed else 'ok'} (target {TARGET} x)")
    python = asked.dagster
    if python is None or subprocess.run([python, "-c", "import starlake_core_dagster"], capture_output=True).returncode:
        say("skipped: Dagster is not there; give an interpreter that has starlake-core-dagster with --dagster")
    else:
        _, cpu = compare(
            "transforms / steps that do nothing, in Dagster",
            lambda folder: in_dagster(folder, asked.count, python, nothing=False),
            lambda folder: in_dagster(folder, asked.count, python, nothing=True),
            asked.pairs,
        )
        missed = missed or cpu > IN_DAGSTER
        say(f"in Dagster: {'MISSED' if cpu > IN_DAGSTER else 'ok'} (target {IN_DAGSTER} x)")
    if asked.before is not None:
        before = asked.before.absolute()
        _, cpu = compare(
            "a command by itself / before",
            lambda folder: cold(folder, Path(__file__).parents[1]),
            lambda folder: cold(folder, before),
            COLD_PAIRS * asked.pairs,
        )
        missed = missed or cpu > COLD
        say(f"a command by itself: {'MISSED' if cpu > COLD else 'ok'} (target {COLD} x)")
    if asked.process:
        compare("warm / process", warm, lambda folder: ours(folder, asked.count, "process"), asked.pairs)
    if asked.linear:
        _, cpu = compare("5 x as many", lambda folder: ours(folder, 5 * asked.count, "warm"), warm, asked.pairs)
        missed = missed or cpu > LINEAR
        say(f"5 x as many: {'MISSED' if cpu > LINEAR else 'ok'} (target {LINEAR} x)")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Random faults around the loads of a domain. A load may be green only if its rows are in the table exactly once,
whatever failed or was killed before.

A *schedule* of faults is drawn from a seed. A pipeline of the orchestrator under test stages and loads two tables of
one domain side by side. Its command line is the stand-in, which fails or is killed at given points. One run plays
several schedules, each with its own domain. The run is then repeated as a user would (retry, clear, resume,
re-execution) until it is green. If a task asks for a person's decision, the test follows its message.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..dsl.pipeline import StarlakePipeline
from .areas import MOMENTS, TableModel, Warehouse
from .stand_in import StandIn, Step

__all__ = ["TABLES", "Driver", "Played", "Schedule", "draw_loads", "draw_schedule", "play", "prepare"]

TABLES = ("orders", "people")
_ROUNDS = 20


class Driver(Protocol):
    """Runs the pipeline of :func:`draw_loads` with an orchestrator, each time in its own process, which a fault may
    kill."""

    def run(self) -> bool:
        """Run it for the first time, and return whether the run is green."""
        ...

    def again(self) -> bool:
        """Repeat the same run, as a user would after a failure, and return whether it is green."""
        ...


@dataclass(frozen=True)
class Schedule:
    """The faults of one domain.

    Attributes:
        seed: the seed that it was drawn from.
        strategies: the write strategy of each table.
        files: the number of files of each table.
        steps: what happens to the loads of each table, one after the other; further loads succeed.
        staging: what happens to the imports.
    """

    seed: int
    strategies: dict[str, str]
    files: dict[str, int]
    steps: dict[str, tuple[Step, ...]]
    staging: tuple[Step, ...] = ()

    @property
    def domain(self) -> str:
        """The domain of the schedule."""
        return f"sales_{self.seed}"

    @property
    def faults(self) -> list[Step]:
        """All faults."""
        return [step for steps in (*self.steps.values(), self.staging) for step in steps if step.at]


@dataclass
class Played:
    """The result of a schedule.

    Attributes:
        schedule: the schedule.
        rounds: how often the run was executed.
        persons: how often a person had to decide, and about which files.
        wrong: broken promises.
    """

    schedule: Schedule
    rounds: int = 0
    persons: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def draw_schedule(seed: int, ways: Sequence[str] = ("fails", "dies", "worker dies")) -> Schedule:
    """Draw a schedule.

    Args:
        seed: the same seed gives the same schedule.
        ways: the ways in which commands may fail.
    """
    source = random.Random(seed)

    def steps(most: int, moments: Sequence[str]) -> tuple[Step, ...]:
        return tuple(
            Step(at=source.choice(moments), how=source.choice(ways)) for _ in range(source.randrange(most + 1))
        )

    strategies = {table: source.choice(("APPEND", "APPEND", "OVERWRITE", "UPSERT_BY_KEY")) for table in TABLES}
    files = {table: 1 if strategies[table] == "OVERWRITE" else source.choice((1, 2)) for table in TABLES}
    loads = {table: steps(2, MOMENTS) for table in TABLES}
    if not any(loads.values()):
        loads[TABLES[0]] = (Step(at=source.choice(MOMENTS), how=source.choice(ways)),)
    return Schedule(seed, strategies, files, loads, steps(1, MOMENTS[:1]) if source.random() < 0.2 else ())


def prepare(schedules: Sequence[Schedule], root: Path, stand_in: StandIn) -> None:
    """Write the project and its incoming files, and script the stand-in.

    Args:
        schedules: the schedules to play.
        root: an empty folder.
        stand_in: the command line.
    """
    tables = []
    for schedule in schedules:
        domain = schedule.domain
        load = root / "metadata" / "load" / domain
        load.mkdir(parents=True)
        (load / "_config.sl.yml").write_text(f"load: {{ name: {domain} }}\n", encoding="utf-8")
        incoming = root / "datasets" / "incoming" / domain
        incoming.mkdir(parents=True)
        for table in TABLES:
            (load / f"{table}.sl.yml").write_text(
                f"table:\n  name: {table}\n  pattern: '{table}.*'\n  attributes: [ {{ name: id, required: true }} ]\n"
                f"  metadata: {{ writeStrategy: {{ type: {schedule.strategies[table]}, key: [ id ] }} }}\n",
                encoding="utf-8",
            )
            for number in range(schedule.files[table]):
                text = "".join(f"{row}\n" for row in _rows(table, number))
                (incoming / f"{table}-{number}.csv").write_text(text, encoding="utf-8")
            stand_in.script(f"load:{domain}.{table}", *schedule.steps[table], Step())
            tables.append(TableModel(domain, table, f"{table}.*", schedule.strategies[table]))
        stand_in.script(f"stage:{domain}", *schedule.staging, Step())
    stand_in.keep(*tables)


def _rows(table: str, number: int) -> list[str]:
    return [f"{table}-{number}-{row},x" for row in range(3)]


def draw_loads(pipeline: StarlakePipeline, seeds: Sequence[int]) -> None:
    """Build the pipeline: for each schedule an import, and the loads of two tables side by side.

    Args:
        pipeline: an empty pipeline.
        seeds: the seeds of the schedules.
    """
    end = pipeline.end_task("end")
    for seed in seeds:
        domain = draw_schedule(seed).domain
        imported = pipeline.sl_import(f"import_{domain}", domain, TABLES)
        for table in TABLES:
            imported >> pipeline.sl_load(f"load_{domain}_{table}", domain, table) >> end


def play(schedules: Sequence[Schedule], driver: Driver, root: Path) -> list[Played]:
    """Run a pipeline with schedules until it is green, and return what is wrong then.

    Args:
        schedules: schedules prepared with :func:`prepare`.
        driver: runs the pipeline.
        root: the root of the project.
    """
    played = [Played(schedule) for schedule in schedules]
    green = driver.run()
    rounds = 1
    while not green and rounds < _ROUNDS:
        before = _areas(root)
        green = driver.again()
        rounds += 1
        if not green and before == _areas(root):
            for one in played:
                _person_acts(root, one)
    for one in played:
        one.rounds = rounds
        if not green:
            one.wrong.append(f"it is not green after {rounds} rounds: {_areas(root)}")
        domain = one.schedule.domain
        for table in TABLES:
            wanted = [row for number in range(one.schedule.files[table]) for row in _rows(table, number)]
            found = Warehouse(root).rows(domain, table) or []
            if green and (missing := sorted(set(wanted) - set(found))):
                one.wrong.append(f"green, and rows of {table} are not in the table: {missing}")
            if twice := sorted({row for row in found if found.count(row) > 1}):
                one.wrong.append(f"rows of {table} are there twice: {twice}")
    return played


def _areas(root: Path) -> list[str]:
    return sorted(str(file.relative_to(root)) for file in (root / "datasets").glob("*/*/*.csv"))


def _person_acts(root: Path, played: Played) -> None:
    """Check the table for the rows of each remaining file, and move the file to where it belongs."""
    domain = played.schedule.domain
    for file in sorted((root / "datasets" / "ingesting" / domain).glob("*.csv")):
        rows = Warehouse(root).rows(domain, file.name.partition("-")[0]) or []
        area = "archive" if set(file.read_text(encoding="utf-8").splitlines()) <= set(rows) else "stage"
        folder = root / "datasets" / area / domain
        folder.mkdir(parents=True, exist_ok=True)
        shutil.move(file, folder / file.name)
        played.persons.append(f"{file.name} to {area}")

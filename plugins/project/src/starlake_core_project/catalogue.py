"""Everything that a project schedules, read file by file, so that a broken file only affects what belongs to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from .errors import Problem, ProjectError
from .item_facts import ItemFacts
from .model import Domain, Table, Task
from .project import Project
from .scheduling import seconds_of
from .schema import Freshness
from .tables import SUFFIX
from .tasks import task_files

__all__ = ["Catalogue", "Fault", "Item", "read_catalogue"]

_Result = TypeVar("_Result")
_TAGS = re.compile(r"""^\s*["']?tags["']?\s*:\s*(?:\[([^\]]*)\]|((?:\n\s*-[^\n]*)+))""", re.MULTILINE)
_SCHEDULING = re.compile(r"""\b(dagRef|schedule)["']?\s*:\s*(?:"([^"\n]*)"|'([^'\n]*)'|([^"'#,}\n][^#,}\n]*))""")


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file.

    Attributes:
        path: the file.
        message: what is wrong, with the file and the line where it is known; one line for each problem.
    """

    path: Path
    message: str

    @classmethod
    def of(cls, path: Path, error: ProjectError) -> Fault:
        """Return the fault that an error describes, with the name of the file."""
        text = str(error)
        return cls(path, text if str(path) in text else str(Problem(path, text)))


@dataclass(frozen=True)
class Item:
    """A table that is loaded, or the table of a transform.

    Attributes:
        domain, name: the logical names.
        final_domain, final_name: the names in the warehouse.
        dag_ref: the dag that schedules it; empty for none.
        schedule: its schedule as written.
        tags: its tags; those of its domain included.
        table, task: what it is; both are None if it cannot be read.
        path: the file that describes it.
        fault: why it cannot be read.
        is_task: whether it is a transform.
        facts: what else its pipeline needs to know.
    """

    domain: str
    name: str
    final_domain: str
    final_name: str
    path: Path
    is_task: bool
    dag_ref: str = ""
    schedule: str = ""
    tags: tuple[str, ...] = ()
    table: Table | None = None
    task: Task | None = None
    fault: Fault | None = None
    facts: ItemFacts = field(default_factory=ItemFacts, repr=False)

    @property
    def full_name(self) -> str:
        """``domain.name``, the logical name."""
        return f"{self.domain}.{self.name}"

    @property
    def sink(self) -> str:
        """``domain.table``, the name in the warehouse."""
        return f"{self.final_domain}.{self.final_name}"


@dataclass(frozen=True)
class Catalogue:
    """Everything that a project schedules.

    Attributes:
        items: tables, sorted by domain and name, and then transforms.
        faults: every broken file, once.
    """

    items: tuple[Item, ...] = ()
    faults: tuple[Fault, ...] = field(default=())

    @property
    def tables(self) -> tuple[Item, ...]:
        """The tables that are loaded."""
        return tuple(item for item in self.items if not item.is_task)

    @property
    def tasks(self) -> tuple[Item, ...]:
        """The transforms."""
        return tuple(item for item in self.items if item.is_task)


def read_catalogue(project: Project) -> Catalogue:
    """Read every table and transform of a project. A broken file becomes a fault.

    Args:
        project: the project.
    """
    reading = _Reading(project)
    items = reading.apart([*reading.tables(), *reading.tasks()])
    return Catalogue(tuple(items), tuple(reading.faults.values()))


class _Reading:
    def __init__(self, project: Project) -> None:
        self.project = project
        self.application = project.application
        self.faults: dict[Path, Fault] = {}

    def attempt(
        self, path: Path, work: Callable[..., _Result], *arguments: object
    ) -> tuple[_Result | None, Fault | None]:
        try:
            return work(*arguments), None
        except ProjectError as error:
            place = error.problems[0].path if error.problems else path
            fault = Fault.of(place, error)
            return None, self.faults.setdefault(place, fault)

    def apart(self, items: list[Item]) -> list[Item]:
        """Return the items, with a fault for each of those that have the same name."""
        by_name: dict[tuple[bool, str], list[Item]] = {}
        for item in items:
            by_name.setdefault((item.is_task, item.full_name), []).append(item)
        return [self._twin(item, by_name[item.is_task, item.full_name]) for item in items]

    def _twin(self, item: Item, twins: list[Item]) -> Item:
        if len(twins) < 2 or item.fault is not None:
            return item
        other = next(twin for twin in twins if twin is not item)
        kind = "transform" if item.is_task else "table"
        what = f"describes the {kind} {item.full_name}, and so does {other.path}; rename one of them"
        fault = Fault(item.path, str(Problem(item.path, what)))
        return replace(item, fault=self.faults.setdefault(item.path, fault))

    def freshness(self, path: Path, root: str, own: Freshness | None, config: Path, found: Freshness) -> Fault | None:
        """Return what is wrong with a freshness that cannot be read."""
        for name, text in (("warn", found.warn), ("error", found.error)):
            try:
                seconds_of(text)
            except ProjectError as error:
                mine = own is not None and getattr(own, name) == text
                place = path if mine else config
                way = (root, "metadata", "freshness", name) if root in ("table", "load") else (root, "freshness", name)
                if not mine:
                    way = ("load", *way[1:]) if root == "table" else ("transform", "default", *way[1:])
                fault = Fault(place, f"{self.project.place(place, way)}: {'.'.join(way)}: {error}")
                return self.faults.setdefault(place, fault)
        return None

    def tables(self) -> list[Item]:
        items: list[Item] = []
        for folder in self.project.domain_names():
            place = self.project.metadata / "load" / folder
            config = place / f"_config{SUFFIX}"
            domain, fault = self.attempt(config, self.project.domain, folder)
            if domain is None:
                names = sorted(
                    path.name[: -len(SUFFIX)] for path in place.glob(f"*{SUFFIX}") if path.name[0] not in "._"
                )
                items += [self.broken(folder, name, place, config, fault) for name in names] if fault else []
                continue
            items += sorted((self.table(domain, name) for name in domain.table_names), key=lambda item: item.name)
        return items

    def table(self, domain: Domain, name: str) -> Item:
        path = domain.path / f"{name}{SUFFIX}"
        table, fault = self.attempt(path, self.project.table, domain, name)
        if table is None:
            return self.broken(domain.name, name, domain.path, path, fault, domain)
        own = table.keys.metadata.freshness if table.keys.metadata is not None else None
        config = domain.path / f"_config{SUFFIX}"
        return Item(
            table.domain,
            table.name,
            table.final_domain,
            table.final_name,
            table.path,
            False,
            table.metadata.dag_ref or self.application.dag_ref_load or "",
            table.metadata.schedule or "",
            tuple(dict.fromkeys((*table.tags, *domain.tags))),
            table=table,
            fault=self.freshness(table.path, "table", own, config, table.metadata.freshness),
        )

    def broken(
        self, folder: str, name: str, place: Path, path: Path, fault: Fault | None, domain: Domain | None = None
    ) -> Item:
        """Return what can be known about a table whose file cannot be read."""
        found = {**_scheduling(place / f"_config{SUFFIX}"), **_scheduling(place / f"{name}{SUFFIX}")}
        metadata = domain.metadata if domain is not None else None
        ref = found.get("dagRef") or (metadata.dag_ref if metadata else None) or self.application.dag_ref_load or ""
        schedule = found.get("schedule") or (metadata.schedule if metadata else None) or ""
        final = domain.final_name if domain is not None else folder
        tags = _tags(place / f"{name}{SUFFIX}", place / f"_config{SUFFIX}")
        return Item(folder, name, final, name, path, False, ref, schedule, tags, fault=fault)

    def tasks(self) -> list[Item]:
        places, _ = self.attempt(self.project.metadata / "transform", self.project.task_places)
        if places is None:
            places = task_files(self.project.metadata)
        return [self.task(directory, name) for directory, name in places]

    def task(self, directory: str, name: str) -> Item:
        place = self.project.metadata / "transform" / directory
        path = place / f"{name}{SUFFIX}"
        task, fault = self.attempt(path, self.project.task_at, directory, name)
        default = self.application.dag_ref_transform or ""
        if task is None:
            found = {**_scheduling(place / f"_config{SUFFIX}"), **_scheduling(path)}
            ref, schedule = found.get("dagRef") or default, found.get("schedule", "")
            tags = _tags(path, place / f"_config{SUFFIX}")
            return Item(directory, name, directory, name, path, True, ref, schedule, tags, fault=fault)
        config = place / f"_config{SUFFIX}"
        return Item(
            task.domain,
            task.name,
            task.domain,
            task.table,
            task.path,
            True,
            task.dag_ref or default,
            task.schedule or "",
            task.tags,
            task=task,
            fault=self.freshness(task.path, "task", task.keys.freshness, config, task.freshness),
        )


def _scheduling(path: Path) -> dict[str, str]:
    """Return ``dagRef`` and ``schedule`` of a file that may not be valid YAML, as far as they can be recognised."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {found[1]: (found[2] or found[3] or found[4] or "").strip() for found in _SCHEDULING.finditer(code)}


def _tags(*paths: Path) -> tuple[str, ...]:
    """Return the tags of files that may not be valid YAML, as far as they can be recognised."""
    found: list[str] = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for flow, block in _TAGS.findall(text):
            words = flow.split(",") if flow else [line.strip().removeprefix("-") for line in block.splitlines()]
            found += [word.strip().strip("\"'") for word in words]
    return tuple(dict.fromkeys(word for word in found if word))

"""Groups what a project schedules into pipelines and names them, as ``starlake dag-generate`` does, without its faults.

The generator numbers raw cron expressions in no particular order, gives all schedules of a domain to each file with the schedule in its name, and
loses all schedules but the first of the transforms of one file. Here, raw cron expressions are numbered in the order of their first appearance, and
each schedule has exactly one pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from starlake_core import sanitize_id
from starlake_core.errors import did_you_mean
from starlake_core.model.schedule import read_cron
from starlake_core.options.types import STRATEGY

from .catalogue import Catalogue, Fault, Item
from .dags import Dag, Dags
from .errors import Problem, ProjectError
from .owners import split_owners
from .project import Project
from .scheduling import NO_SCHEDULE, Schedule, Schedules, most_frequent

__all__ = ["BY", "Draft", "Drafts", "group"]

BY = ("dag", "domain", "tag", "project")
"""The ways to group: by dagRef as the generator does, or one pipeline for each domain, for each tag, or for all."""


@dataclass(frozen=True)
class Draft:
    """A pipeline to be built.

    Attributes:
        id: its id.
        kind: ``load``, ``transform``, or ``together`` for both in one pipeline.
        items: its tables and transforms.
        schedule: its schedule.
        dag: the dag that it comes from.
        named: whether the id contains the name of the schedule.
        condition: the condition on datasets of its transforms, if it is more than any or all; empty if there is none.
        faults: why it cannot be built.
    """

    id: str
    kind: str
    items: tuple[Item, ...]
    schedule: Schedule = field(default_factory=Schedule)
    dag: Dag = field(default_factory=lambda: Dag(""))
    named: bool = False
    condition: str = ""
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Drafts:
    """All pipelines of a project.

    Attributes:
        drafts: sorted by id.
        faults: the faults that belong to no pipeline.
        unscheduled: what has no dagRef, although other tables or transforms have one.
    """

    drafts: tuple[Draft, ...] = ()
    faults: tuple[Fault, ...] = ()
    unscheduled: tuple[Item, ...] = field(default=(), repr=False)


def group(
    project: Project,
    catalogue: Catalogue,
    by: str = "dag",
    names: Mapping[str, str] | None = None,
    cron: str | None = None,
    whole: Catalogue | None = None,
) -> Drafts:
    """Group what a project schedules into pipelines.

    Args:
        project: the project.
        catalogue: its tables and transforms, or a selection of them.
        by: one of :data:`BY`.
        names: ids to use instead, by the id or by ``file/schedule``, in which the schedule is a preset or a cron expression.
        cron: the schedule of every pipeline, instead of those of the project: a preset or a cron expression.
        whole: all tables and transforms of the project, whose pipelines ``names`` may also name; by default ``catalogue``.

    Raises:
        ProjectError: ``by`` or a key of ``names`` is unknown, a name is not an id, or the cron expression cannot be read.
    """
    if by not in BY:
        raise ProjectError(f"by={by!r} is not a way to group; use one of {', '.join(BY)}.{did_you_mean(by, BY)}")
    grouping = _Grouping(project, catalogue)
    drafts = grouping.drafts(by)
    if cron is not None:
        try:
            read = project.application.schedule_presets.get(cron, cron)
            forced = Schedule("", read_cron(read))
        except Exception as error:
            raise ProjectError(f"cron={cron!r}: {error}") from error
        drafts = [replace(draft, schedule=forced) for draft in drafts]
    others = [] if whole is None or not names else _Grouping(project, whole).drafts(by)
    drafts = [_conditioned(draft) for draft in _apart(_pinned(drafts, names or {}, others))]
    told = {fault.path for draft in drafts for fault in draft.faults}
    rest = tuple(fault for fault in catalogue.faults if fault.path not in told)
    return Drafts(tuple(sorted(drafts, key=lambda draft: draft.id)), rest, tuple(grouping.unscheduled))


class _Grouping:
    def __init__(self, project: Project, catalogue: Catalogue) -> None:
        self.project = project
        self.catalogue = catalogue
        self.dags = Dags(project)
        self.unscheduled: list[Item] = []

    def drafts(self, by: str) -> list[Draft]:
        return _placed(self.by_dag() if by == "dag" else self.together(by))

    def by_dag(self) -> list[Draft]:
        scheduled = [item for item in self.catalogue.items if item.dag_ref]
        # Without any dagRef, the project says nothing about its pipelines, and each domain becomes one.
        use_refs = bool(scheduled) or bool(self.dags.names())
        self.unscheduled = [item for item in self.catalogue.items if use_refs and not item.dag_ref]
        drafts: list[Draft] = []
        for kind, items in (("load", self.catalogue.tables), ("transform", self.catalogue.tasks)):
            by_ref: dict[str, list[Item]] = {}
            for item in items:
                if item.dag_ref or not use_refs:
                    by_ref.setdefault(item.dag_ref, []).append(item)
            for ref, members in by_ref.items():
                drafts += self._of_dag(kind, ref, members)
        return drafts

    def _of_dag(self, kind: str, ref: str, items: Sequence[Item]) -> list[Draft]:
        try:
            source = self.dags.of(ref) if ref else self.dags.built_in(kind)
        except ProjectError as error:
            return [self._broken_dag(kind, ref, items, error)]
        schedules = Schedules(self.project.application.schedule_presets)
        used = sorted(source.variables & _VALUES[kind].keys())
        files: dict[str, dict[str, list[Item]]] = {}
        found: dict[str, Schedule] = {}
        checked: list[Item] = []
        for item in items:
            item, schedule = self._scheduled(item, schedules)
            checked.append(item)
            stem = source.at({name: _VALUES[kind][name](item, schedule) for name in used}).stem
            found[schedule.name] = schedule
            files.setdefault(stem, {}).setdefault(schedule.name, []).append(item)
        drafts = []
        for stem, by_schedule in files.items():
            named = len(by_schedule) > 1
            for name, members in by_schedule.items():
                dag = source.at(_values(kind, members, found[name]))
                suffix = f"_{name}" if named and name != NO_SCHEDULE else ""
                drafts.append(
                    Draft(
                        sanitize_id(f"{PurePosixPath(stem).name}{suffix}"),
                        kind,
                        tuple(members),
                        found[name],
                        replace(dag, stem=stem),
                        bool(suffix),
                        faults=_faults(members),
                    )
                )
        return drafts

    def _broken_dag(self, kind: str, ref: str, items: Sequence[Item], error: ProjectError) -> Draft:
        if error.problems:
            faults: tuple[Fault, ...] = (Fault.of(error.problems[0].path, error),)
        else:  # the file that names it is the one to correct
            item = items[0]
            path = _described(self.project, item)
            line = _line(path, ref)
            faults = (Fault(path, f"{path}{f':{line}' if line else ''}: {error}"),)
        return Draft(sanitize_id(ref), kind, tuple(items), dag=Dag(ref), faults=(*faults, *_faults(items)))

    def _scheduled(self, item: Item, schedules: Schedules) -> tuple[Item, Schedule]:
        try:
            return item, schedules.of(item.schedule)
        except ProjectError as error:
            path = item.path
            line = _line(path, item.schedule)
            if line is None:
                path = item.path.with_name("_config.sl.yml")
                line = _line(path, item.schedule)
            where = f"{path}:{line}" if line else str(item.path)
            return replace(item, fault=item.fault or Fault(item.path, f"{where}: {error}")), Schedule()

    def together(self, by: str) -> list[Draft]:
        groups: dict[str, list[Item]] = {}
        for item in self.catalogue.items:
            names = _groups_of(item, by)
            if not names:
                self.unscheduled.append(item)
            for name in names:
                groups.setdefault(name, []).append(item)
        drafts = []
        for name, members in groups.items():
            schedules = Schedules(self.project.application.schedule_presets)
            checked = [self._scheduled(item, schedules) for item in members]
            crons = {schedule.cron for _, schedule in checked if schedule.cron}
            kinds = {item.is_task for item in members}
            kind = "together" if len(kinds) > 1 else "transform" if kinds == {True} else "load"
            items = tuple(item for item, _ in checked)
            dag, faults = self._shared_dag(name, items)
            faults = (*faults, *_faults(items), *_both_loaded_and_computed(items))
            drafts.append(Draft(sanitize_id(name), kind, items, Schedule("", most_frequent(crons)), dag, faults=faults))
        return drafts

    def _shared_dag(self, name: str, items: Sequence[Item]) -> tuple[Dag, tuple[Fault, ...]]:
        """Return the dag of a pipeline whose members may have several. For each option, the first that sets it counts."""
        made: Dag | None = None
        for kind, ref in dict.fromkeys(("transform" if item.is_task else "load", item.dag_ref) for item in items):
            if not ref:
                continue
            try:
                found = self.dags.of(ref).at({})
            except ProjectError as error:
                return Dag(name), self._broken_dag(
                    kind, ref, [item for item in items if item.dag_ref == ref], error
                ).faults
            made = found if made is None else replace(made, options={**found.options, **made.options})
        if made is None:
            made = self.dags.built_in("load").at({})
        return replace(made, stem=name, comment=""), ()


def _groups_of(item: Item, by: str) -> Sequence[str]:
    if by == "domain":
        return (item.domain,)
    return split_owners(item.tags)[1] if by == "tag" else ("project",)


def _both_loaded_and_computed(items: Iterable[Item]) -> Iterable[Fault]:
    """Return a fault for each table that is loaded and that a transform of the same name computes: the ids of their tasks are the same."""
    members = list(items)
    loads = {item.full_name: item for item in members if not item.is_task}
    for item in members:
        if item.is_task and item.full_name in loads:
            what = f"describes the transform {item.full_name}, and {loads[item.full_name].path} a table of that name; they cannot be in one pipeline"
            yield Fault(item.path, str(Problem(item.path, f"{what}: rename one of them, or group by dag")))


def _described(project: Project, item: Item) -> Path:
    """Return the file in which the dagRef of an item is likely to be."""
    candidates = (item.path, item.path.with_name("_config.sl.yml"), project.metadata / "application.sl.yml")
    return next((path for path in candidates if _line(path, item.dag_ref) is not None), item.path)


def _line(path: Path, value: str) -> int | None:
    """Return the line of a file in which a value of ``dagRef`` or ``schedule`` is."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    keys = ("dagRef", "schedule", "load:", "transform:", "riggering")
    return next(
        (number for number, line in enumerate(lines, 1) if value in line and any(key in line for key in keys)), None
    )


def _faults(items: Iterable[Item]) -> tuple[Fault, ...]:
    return tuple({item.fault.path: item.fault for item in items if item.fault is not None}.values())


_Value = Callable[[Item, Schedule], str]
_OF_BOTH: Mapping[str, _Value] = {
    "domain": lambda item, _: item.domain,
    "finalDomain": lambda item, _: item.final_domain,
    "renamedDomain": lambda item, _: item.final_domain,
    "finalTable": lambda item, _: item.final_name,
    "schedule": lambda _, schedule: schedule.name,
}
_VALUES: Mapping[str, Mapping[str, _Value]] = {
    "load": {**_OF_BOTH, "table": lambda item, _: item.name, "renamedTable": lambda item, _: item.final_name},
    "transform": {
        **_OF_BOTH,
        "table": lambda item, _: item.final_name,
        "name": lambda item, _: item.name,
        "task": lambda item, _: item.name,
    },
}
"""The variables of the names of files."""


def _values(kind: str, items: Sequence[Item], schedule: Schedule) -> dict[str, str]:
    """Return the values of the variables for a group. A variable that is not in the name of the file lists all of them."""
    return {name: ", ".join(dict.fromkeys(of(item, schedule) for item in items)) for name, of in _VALUES[kind].items()}


def _pinned(drafts: Sequence[Draft], names: Mapping[str, str], others: Sequence[Draft]) -> list[Draft]:
    keys: dict[str, list[int]] = {}
    for at, draft in enumerate(drafts):
        for key in _keys(draft):
            keys.setdefault(key, []).append(at)
    known = {*keys, *(key for draft in others for key in _keys(draft))}
    result = list(drafts)
    for key, name in names.items():
        if key not in known:
            ids = ", ".join(sorted(draft.id for draft in (*drafts, *others))) or "none"
            hint = did_you_mean(key, known)
            raise ProjectError(f"names={{{key!r}: ...}} names no pipeline of this project (there: {ids}).{hint}")
        if not name or sanitize_id(name) != name:
            hint = f", such as {sanitize_id(name)}" if name else ""
            raise ProjectError(f"names={{{key!r}: {name!r}}}: an id has letters, digits, '_' and '-'{hint}")
        for at in keys.get(key, ()):
            result[at] = replace(result[at], id=name)
    return result


def _keys(draft: Draft) -> set[str]:
    """Return the words by which a call may name a pipeline."""
    return {draft.id, *(f"{draft.dag.stem}/{word}" for word in (draft.schedule.name, draft.schedule.cron) if word)}


def _placed(drafts: Sequence[Draft]) -> list[Draft]:
    """Give pipelines of files with the same name in different folders the names of these folders, too."""
    by_id: dict[str, list[int]] = {}
    for at, draft in enumerate(drafts):
        by_id.setdefault(draft.id.lower(), []).append(at)
    result = list(drafts)
    for positions in by_id.values():
        if len({drafts[at].dag.stem for at in positions}) > 1:
            for at in positions:
                draft = drafts[at]
                suffix = f"_{draft.schedule.name}" if draft.named else ""
                result[at] = replace(draft, id=sanitize_id(f"{draft.dag.stem}{suffix}"))
    return result


def _conditioned(draft: Draft) -> Draft:
    """Return a pipeline with the condition on datasets that its transforms agree on, if it is more than any or all."""
    found = {item.facts.triggering: item for item in draft.items if item.is_task and item.facts.triggering}
    conditions = {text: item for text, item in found.items() if text.lower() not in ("any", "all")}
    if not conditions:
        return draft
    faults = []
    for text, item in conditions.items():
        line = _line(item.path, text)
        where = f"{item.path}:{line}" if line else str(item.path)
        if len(found) > 1:
            rest = " and ".join(sorted(repr(other) for other in found if other != text))
            what = (
                f"the condition {text!r} is that of the whole pipeline {draft.id}, in which others say {rest}; "
                "write the same in all, or in one only"
            )
        else:
            try:
                STRATEGY.read(text)
                continue
            except ValueError:
                what = f"dataset_triggering_strategy is {text!r}; use {STRATEGY.allowed}"
        faults.append(Fault(item.path, f"{where}: {what}"))
    return replace(draft, condition=next(iter(conditions)), faults=(*draft.faults, *faults))


def _apart(drafts: Sequence[Draft]) -> list[Draft]:
    """Give pipelines with the same id different ones: loads and transforms may share the name of a file."""
    by_id: dict[str, list[int]] = {}
    for at, draft in enumerate(drafts):
        by_id.setdefault(draft.id.lower(), []).append(at)
    result = list(drafts)
    for positions in by_id.values():
        if len({drafts[at].kind for at in positions}) == len(positions) > 1:
            for at in positions:
                result[at] = replace(drafts[at], id=f"{drafts[at].id}_{drafts[at].kind}")
        elif len(positions) > 1:
            paths = {path for at in positions if (path := drafts[at].dag.path) is not None}
            files = " and ".join(sorted(str(path) for path in paths))
            twin = drafts[positions[0]].id
            change = "change dag.filename of one of them, or pin ids" if paths else "give them different ids"
            what = f"{len(positions)} pipelines have the id {twin!r}; {change} with names="
            fault = Fault(min(paths, default=drafts[positions[0]].items[0].path), f"{files}: {what}" if files else what)
            for at in positions:
                result[at] = replace(drafts[at], faults=(*drafts[at].faults, fault))
    return result

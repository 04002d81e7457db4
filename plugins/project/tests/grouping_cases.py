"""Which pipelines a project gives: expectations written from the rules of ``starlake dag-generate``, before the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["CASES", "Case"]

PRESETS = "  schedulePresets: {daily: '0 1 * * *', hourly: '0 * * * *'}\n"


@dataclass(frozen=True)
class Case:
    """A project, and the pipelines that it gives.

    Attributes:
        name: what is tried.
        dags: the pattern of the file name, by dagRef.
        tables: the keys of ``metadata`` of a table, by ``domain.table``.
        tasks: the keys of a transform, by ``domain.task``.
        expected: the cron expression and the members of each pipeline, by its id.
        application: further keys of the application.
        domains: the keys of ``load`` of a domain.
        configs: the keys of ``default`` of a domain of transforms.
        rename: ``rename`` of a table.
        arguments: arguments of the call.
        template: the template of every dag.
    """

    name: str
    expected: Mapping[str, tuple[str | None, str]]
    dags: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    tasks: Mapping[str, str] = field(default_factory=dict)
    application: str = ""
    domains: Mapping[str, str] = field(default_factory=dict)
    configs: Mapping[str, str] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    template: str = "load/airflow__scheduled_table__shell.py.j2"

    def write(self, root: Path) -> Path:
        """Write the project to a folder, and return the folder."""
        files = {"application.sl.yml": "version: 1\napplication:\n" + PRESETS + self.application}
        for ref, filename in self.dags.items():
            files[f"dags/{ref}.sl.yml"] = (
                f'version: 1\ndag:\n  comment: "tables of {{{{domain}}}}"\n  template: "{self.template}"\n  filename: "{filename}"\n'
                "  options: {pre_load_strategy: none}\n"
            )
        for name, keys in self.domains.items():
            files[f"load/{name}/_config.sl.yml"] = f"version: 1\nload: {{{keys}}}\n"
        for name, keys in self.configs.items():
            files[f"transform/{name}/_config.sl.yml"] = f"version: 1\ntransform: {{default: {{{keys}}}}}\n"
        for name, keys in self.tables.items():
            domain, _, table = name.partition(".")
            rename = f"  rename: {self.rename[name]}\n" if name in self.rename else ""
            files[f"load/{domain}/{table}.sl.yml"] = (
                f"version: 1\ntable:\n{rename}  pattern: {table}.*\n  attributes: [{{name: id}}]\n  metadata: {{{keys}}}\n"
            )
        for name, keys in self.tasks.items():
            domain, _, task = name.partition(".")
            files[f"transform/{domain}/{task}.sl.yml"] = f"version: 1\ntask: {{{keys}}}\n"
            files[f"transform/{domain}/{task}.sql"] = "SELECT 1 AS a"
        for file, text in files.items():
            path = root / "metadata" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return root


LOADS = "  dagRef: {load: all}\n"
TASKS = "  dagRef: {transform: all}\n"
DAILY, HOURLY = "0 1 * * *", "0 * * * *"

CASES = [
    Case(
        "no variable in the file name: one file for each dagRef, one pipeline for each schedule",
        {"dag_daily": (DAILY, "s.a s.b t.a"), "dag_hourly": (HOURLY, "t.b")},
        dags={"all": "dag.py"},
        tables={
            "s.a": "schedule: daily",
            "s.b": "schedule: daily",
            "t.a": "schedule: daily",
            "t.b": "schedule: hourly",
        },
        application=LOADS,
    ),
    Case(
        "only one schedule: no suffix",
        {"dag": (DAILY, "s.a s.b")},
        dags={"all": "dag.py"},
        tables={"s.a": "schedule: daily", "s.b": "schedule: daily"},
        application=LOADS,
    ),
    Case(
        "tables without a schedule next to others",
        {"dag": (None, "s.b"), "dag_daily": (DAILY, "s.a")},
        dags={"all": "dag.py"},
        tables={"s.a": "schedule: daily", "s.b": "", "s.c": "dagRef: other"},
        application=LOADS,
    ),
    Case(
        "the text None is no schedule",
        {"dag": (None, "s.a")},
        dags={"all": "dag.py"},
        tables={"s.a": "schedule: None"},
        application=LOADS,
    ),
    Case(
        "raw crons are numbered in the order of their first appearance",
        {"dag_cron1": ("5 4 * * *", "s.a s.c"), "dag_cron2": ("1 1 * * 1", "s.b"), "dag_cron3": ("7 7 * * *", "t.a")},
        dags={"all": "dag.py"},
        tables={
            "s.a": "schedule: 5 4 * * *",
            "s.b": "schedule: 1 1 * * 1",
            "s.c": "schedule: 5 4 * * *",
            "t.a": "schedule: 7 7 * * *",
        },
        application=LOADS,
    ),
    Case(
        "a raw cron that is that of a preset is another schedule, as it is for the generator",
        {"dag_cron1": (DAILY, "s.b"), "dag_daily": (DAILY, "s.a")},
        dags={"all": "dag.py"},
        tables={"s.a": "schedule: daily", "s.b": f"schedule: '{DAILY}'"},
        application=LOADS,
    ),
    Case(
        "the domain in the file name: one file for each domain",
        {"s_tables": (DAILY, "s.a"), "t_tables_daily": (DAILY, "t.a"), "t_tables_hourly": (HOURLY, "t.b")},
        dags={"all": "{{domain}}_tables.py"},
        tables={"s.a": "schedule: daily", "t.a": "schedule: daily", "t.b": "schedule: hourly"},
        application=LOADS,
    ),
    Case(
        "domain and schedule in the file name: each file has its schedule, and only that",
        {"s_daily": (DAILY, "s.a"), "t_daily": (DAILY, "t.a"), "t_hourly": (HOURLY, "t.b")},
        dags={"all": "{{domain}}_{{schedule}}.py"},
        tables={"s.a": "schedule: daily", "t.a": "schedule: daily", "t.b": "schedule: hourly"},
        application=LOADS,
    ),
    Case(
        "the schedule in the file name",
        {"x_daily": (DAILY, "s.a t.a"), "x_cron1": ("5 5 * * *", "t.b"), "x_None": (None, "t.c")},
        dags={"all": "x_{{schedule}}.py"},
        tables={"s.a": "schedule: daily", "t.a": "schedule: daily", "t.b": "schedule: 5 5 * * *", "t.c": ""},
        application=LOADS,
    ),
    Case(
        "the table in the file name",
        {"s_a": (DAILY, "s.a"), "s_b": (DAILY, "s.b"), "t_a": (None, "t.a")},
        dags={"all": "{{domain}}_{{table}}.py"},
        tables={"s.a": "schedule: daily", "s.b": "schedule: daily", "t.a": ""},
        application=LOADS,
    ),
    Case(
        "final names in the file name",
        {"S2_A2": (None, "s.a"), "S2_b": (None, "s.b")},
        dags={"all": "{{finalDomain}}_{{ finalTable }}.py"},
        tables={"s.a": "", "s.b": ""},
        domains={"s": "rename: S2"},
        rename={"s.a": "A2"},
        application=LOADS,
    ),
    Case(
        "renamedDomain and renamedTable are the same names",
        {"S2_A2": (None, "s.a")},
        dags={"all": "{{renamedDomain}}_{{renamedTable}}.py"},
        tables={"s.a": ""},
        domains={"s": "rename: S2"},
        rename={"s.a": "A2"},
        application=LOADS,
    ),
    Case(
        "the project id is -1 and is removed",
        {"s_tables": (None, "s.a")},
        dags={"all": "{{domain}}_tables_{{sl_project_id}}.py"},
        tables={"s.a": ""},
        application=LOADS,
    ),
    Case(
        "a filter of Jinja in the file name",
        {"S_tables": (None, "s.a"), "T_tables": (None, "t.a")},
        dags={"all": "{{ domain | upper }}_tables.py"},
        tables={"s.a": "", "t.a": ""},
        application=LOADS,
    ),
    Case(
        "the dagRef of a table, then of its domain, then of the application",
        {"dag": (None, "s.b"), "one": (None, "s.a"), "two": (None, "t.a")},
        dags={"all": "dag.py", "one": "one.py", "two": "two.py"},
        tables={"s.a": "dagRef: one", "s.b": "", "t.a": ""},
        domains={"t": "metadata: {dagRef: two}"},
        application=LOADS,
    ),
    Case(
        "tables and transforms without a dagRef are not scheduled",
        {"one": (None, "s.a")},
        dags={"one": "one.py"},
        tables={"s.a": "dagRef: one", "s.b": ""},
        tasks={"k.a": ""},
    ),
    Case(
        "the schedule of a table wins over that of its domain",
        {"dag_daily": (DAILY, "s.b"), "dag_hourly": (HOURLY, "s.a")},
        dags={"all": "dag.py"},
        tables={"s.a": "schedule: hourly", "s.b": ""},
        domains={"s": "metadata: {schedule: daily}"},
        application=LOADS,
    ),
    Case(
        "transforms: one file for each rendered name",
        {"k_tasks": (None, "k.a k.b"), "m_tasks": (DAILY, "m.a")},
        dags={"all": "{{domain}}_tasks.py"},
        tasks={"k.a": "", "k.b": "", "m.a": "schedule: daily"},
        application=TASKS,
    ),
    Case(
        "transforms: several schedules in a file are several pipelines, and none is lost",
        {"dag": (None, "k.c"), "dag_cron1": ("5 5 * * *", "k.b"), "dag_daily": (DAILY, "k.a")},
        dags={"all": "dag.py"},
        tasks={"k.a": "schedule: daily", "k.b": "schedule: 5 5 * * *", "k.c": ""},
        application=TASKS,
    ),
    Case(
        "transforms: name, task and table are variables",
        {"k_a_a_t": (None, "k.a"), "k_b_b_b": (None, "k.b")},
        dags={"all": "{{domain}}_{{name}}_{{task}}_{{table}}.py"},
        tasks={"k.a": "table: t", "k.b": ""},
        application=TASKS,
    ),
    Case(
        "transforms: the dagRef and the schedule of the domain are defaults",
        {"one": (HOURLY, "k.b"), "two": (DAILY, "k.a")},
        dags={"one": "one.py", "two": "two.py"},
        tasks={"k.a": "dagRef: two, schedule: daily", "k.b": ""},
        configs={"k": "dagRef: one, schedule: hourly"},
    ),
    Case(
        "loads and transforms of one file name stay apart",
        {"x_load": (None, "s.a"), "x_transform": (None, "k.a")},
        dags={"l": "x.py"},
        tables={"s.a": "dagRef: l"},
        tasks={"k.a": "dagRef: l"},
    ),
    Case(
        "no dagRef in the whole project: one file for each domain",
        {
            "s_load": (None, "s.a"),
            "t_load_daily": (DAILY, "t.a"),
            "t_load_hourly": (HOURLY, "t.b"),
            "k_transform": (None, "k.a"),
        },
        tables={"s.a": "", "t.a": "schedule: daily", "t.b": "schedule: hourly"},
        tasks={"k.a": ""},
    ),
    Case(
        "names pins ids, by id and by file name and schedule",
        {"nightly": (DAILY, "s.a"), "rare": ("5 5 5 * *", "s.b"), "dag": (None, "s.c")},
        dags={"all": "dag.py"},
        tables={"s.a": "schedule: daily", "s.b": "schedule: 5 5 5 * *", "s.c": ""},
        application=LOADS,
        arguments={"names": {"dag_daily": "nightly", "dag/5 5 5 * *": "rare"}},
    ),
    Case(
        "one pipeline for each domain",
        {"s": (HOURLY, "s.a s.b"), "k": (None, "k.a")},
        tables={"s.a": "schedule: hourly", "s.b": "schedule: daily"},
        tasks={"k.a": ""},
        arguments={"by": "domain"},
    ),
    Case(
        "one pipeline for each tag",
        {"red": (None, "k.a k.b"), "blue": (None, "k.b")},
        tasks={"k.a": "tags: [red]", "k.b": "tags: [blue, red]", "k.c": ""},
        arguments={"by": "tag"},
    ),
    Case(
        "everything in one",
        {"everything": (DAILY, "s.a k.a")},
        tables={"s.a": "schedule: daily"},
        tasks={"k.a": ""},
        arguments={"by": "project", "names": {"project": "everything"}},
    ),
    Case(
        "the cron of the call",
        {"k": ("9 9 * * *", "k.a")},
        tasks={"k.a": "schedule: daily"},
        arguments={"by": "domain", "cron": "9 9 * * *"},
    ),
    Case(
        "a file in a folder: the id is the name of the file, as it is on the host",
        {"s_tables": (None, "s.a")},
        dags={"all": "sub/{{domain}}_tables.py"},
        tables={"s.a": ""},
        application=LOADS,
    ),
    Case(
        "files of the same name in two folders: the ids have the folders",
        {"one_x": (None, "s.a"), "two_x": (None, "s.b"), "y": (None, "s.c")},
        dags={"one": "one/x.py", "two": "two/x.py", "three": "two/y.py"},
        tables={"s.a": "dagRef: one", "s.b": "dagRef: two", "s.c": "dagRef: three"},
    ),
    Case(
        "owners are no tags",
        {"red": (None, "k.a")},
        tasks={"k.a": "tags: ['owner:ann', red]"},
        arguments={"by": "tag"},
    ),
    Case(
        "a preset as the cron of the call",
        {"k": (DAILY, "k.a")},
        tasks={"k.a": ""},
        arguments={"by": "domain", "cron": "daily"},
    ),
    Case(
        "names of pipelines that swap",
        {"t_load": (None, "s.a"), "s_load": (None, "t.a")},
        tables={"s.a": "", "t.a": ""},
        arguments={"names": {"s_load": "t_load", "t_load": "s_load"}},
    ),
]

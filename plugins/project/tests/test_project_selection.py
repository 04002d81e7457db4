"""Words that select tables and transforms, in a call and on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from grouping_cases import Case
from starlake_core_project import ProjectError
from starlake_core_project.publishing import plan

from starlake_core import NothingFoundError
from starlake_core.cli.app import app


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """raw.orders -> mid.day -> top.sum, raw.items -> top.sum, raw.cities -> mid.town."""
    root = Case(
        "",
        {},
        tables={"raw.orders": "", "raw.items": "", "raw.cities": ""},
        tasks={"mid.day": "tags: [red, fast]", "mid.town": "tags: [blue]", "top.sum": "tags: [red], table: total"},
        domains={"raw": "tags: [cold]"},
    ).write(tmp_path / "shop")
    for name, sql in {
        "mid/day": "SELECT * FROM raw.orders",
        "mid/town": "SELECT * FROM raw.cities",
        "top/sum": "SELECT * FROM mid.day JOIN raw.items ON true",
    }.items():
        (root / f"metadata/transform/{name}.sql").write_text(sql, encoding="utf-8")
    return root


def chosen(root: Path, select: Any = (), exclude: Any = (), **arguments: Any) -> str:
    drafts = plan(root, select=select, exclude=exclude, **arguments).drafts.drafts
    return " ".join(sorted(item.full_name for draft in drafts for item in draft.items))


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("mid.day", "mid.day"),
        ("raw.*", "raw.cities raw.items raw.orders"),
        ("top.total", "top.sum"),
        ("day", "mid.day"),
        ("mid", "mid.day mid.town"),
        ("tag:red", "mid.day top.sum"),
        ("tag:c*", "raw.cities raw.items raw.orders"),
        ("domain:mid", "mid.day mid.town"),
        ("type:load", "raw.cities raw.items raw.orders"),
        ("path:metadata/transform/mid", "mid.day mid.town"),
        ("path:metadata/transform/mid/day.sql", "mid.day"),
        ("path:metadata/transform/*/day.sql", "mid.day"),
        ("path:metadata/load/raw/_config.sl.yml", "raw.cities raw.items raw.orders"),
        ("total", "top.sum"),
        ("+top.sum", "mid.day raw.items raw.orders top.sum"),
        ("1+top.sum", "mid.day raw.items top.sum"),
        ("raw.orders+", "mid.day raw.orders top.sum"),
        ("raw.orders+1", "mid.day raw.orders"),
        ("+mid.day+", "mid.day raw.orders top.sum"),
        ("@raw.orders", "mid.day raw.items raw.orders top.sum"),
        ("+tag:blue", "mid.town raw.cities"),
        ("tag:red,tag:fast", "mid.day"),
        ("+top.sum,raw.*", "raw.items raw.orders"),
        ("tag:red,tag:blue", ""),
        ("mid.day mid.town", "mid.day mid.town"),
        (["mid.day", "raw.items"], "mid.day raw.items"),
    ],
)
def test_words(root: Path, select: Any, expected: str) -> None:
    assert chosen(root, select) == expected


def test_exclude_is_taken_away(root: Path) -> None:
    assert chosen(root, "+top.sum", "raw.*") == "mid.day top.sum"
    assert chosen(root, exclude="+top.sum") == "mid.town raw.cities"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("mid.dey", "Did you mean 'mid.day'"),
        ("tags:red", "unknown method 'tags'.*Did you mean 'tag'"),
        ("tag:green", "selects no table and no transform"),
        ("tag:reds", "Did you mean 'red'"),
        ("domain:midd", "Did you mean 'mid'"),
        ("type:table", r"there: load, transform"),
        ("path:metadata/transform/mid/day.sl.yaml", r"Did you mean 'metadata/transform/mid/day.sl.yml'"),
        (",", "cannot be read"),
        ("state:modified", "needs a manifest.*--state"),
        ("state:old", "use state:modified or state:new"),
        ("++x", "cannot be read"),
    ],
)
def test_a_word_that_selects_nothing_is_refused(root: Path, word: str, message: str) -> None:
    with pytest.raises(NothingFoundError, match=message):
        chosen(root, word)


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_what_changed_since_a_manifest(root: Path, tmp_path: Path) -> None:
    state = tmp_path / "manifest.json"
    done = call("graph", root, "--format", "json")
    assert done.exit_code == 0, done.output
    state.write_text(done.stdout, encoding="utf-8")
    assert {pipeline["manifest"] for pipeline in json.loads(done.stdout)} == {1}
    assert chosen(root, "state:modified", state=state) == ""
    moved = shutil.copytree(root, tmp_path / "moved")
    assert chosen(moved, "state:modified", state=state) == ""
    (moved / "metadata/transform/mid/day.sql").write_text("SELECT 1 FROM raw.orders", encoding="utf-8")
    (moved / "metadata/transform/mid/new.sql").write_text("SELECT 1 AS x", encoding="utf-8")
    table = moved / "metadata/load/raw/items.sl.yml"
    table.write_text(table.read_text(encoding="utf-8").replace("name: id", "name: key"), encoding="utf-8")
    assert chosen(moved, "state:modified", state=state) == "mid.day mid.new raw.items"
    assert chosen(moved, "state:new", state=state) == "mid.new"
    assert chosen(moved, "state:modified+", state=state) == "mid.day mid.new raw.items top.sum"


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("load/s/a.sl.yml", "table:", "# a comment\ntable:", ""),
        ("env.sl.yml", "unused: x", "unused: y", ""),
        ("dags/l.sl.yml", "none", "pending", ""),
        ("load/s/a.sl.yml", "a.*", "b.*", "s.a"),
        ("load/s/_config.sl.yml", "S2", "S3", "s.a"),
        ("application.sl.yml", "0 1 * * *", "0 2 * * *", "s.a"),
        ("application.sl.yml", "load: l", "load: t", "s.a"),
        ("types/default.sl.yml", "x+", "y+", "s.a"),
        ("env.sl.yml", "one", "two", "k.x"),
        ("macros/m.j2", "S2", "S3", "k.x"),
        ("transform/k/x.sql", "SELECT 1", "SELECT 3", "k.x"),
        ("transform/k/x.sql", "SELECT 2", "SELECT 3", "k.x"),
        ("transform/k/x.sql", "FROM", "  FROM", "k.x"),
        ("transform/k/p.py", "1", "2", "k.p"),
        ("transform/k/_config.sl.yml", "q", "z", "k.p k.x"),
    ],
)
def test_each_kind_of_edit(tmp_path: Path, file: str, old: str, new: str, expected: str) -> None:
    dag = "version: 1\ndag: {template: load/airflow__scheduled_table__shell.py.j2, filename: '%s.py', options: {pre_load_strategy: none}}\n"
    root = tmp_path / "shop"
    for name, text in {
        "application.sl.yml": "version: 1\napplication: {schedulePresets: {daily: 0 1 * * *}, dagRef: {load: l, transform: t}}\n",
        "dags/l.sl.yml": dag % "l",
        "dags/t.sl.yml": dag % "t",
        "env.sl.yml": "version: 1\nenv: {v: one, unused: x}\n",
        "macros/m.j2": "{% macro f(t) %}S2.{{ t }}{% endmacro %}",
        "types/default.sl.yml": "version: 1\ntypes: [{name: mine, primitiveType: string, pattern: x+}]\n",
        "load/s/_config.sl.yml": "version: 1\nload: {rename: S2}\n",
        "load/s/a.sl.yml": "version: 1\ntable:\n  pattern: a.*\n  attributes: [{name: id, type: mine}]\n  metadata: {schedule: daily}\n",
        "transform/k/_config.sl.yml": "version: 1\ntransform: {default: {tags: [q]}}\n",
        "transform/k/x.sql": "-- SL_PRESQL\nSELECT 1\n-- SL_SQL\nSELECT '{{v}}' FROM {{ f('a') }}\n-- SL_POSTSQL\nSELECT 2",
        "transform/k/p.py": "print(1)",
    }.items():
        path = root / "metadata" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    state = tmp_path / "manifest.json"
    state.write_text(call("graph", root, "--environment", "duckdb", "--format", "json").stdout, encoding="utf-8")
    path = root / "metadata" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert chosen(root, "state:modified", state=state) == expected


@pytest.mark.parametrize("nodes", ["[1]", '{"a": 1}', "null"])
def test_a_manifest_of_another_shape_knows_nothing(root: Path, tmp_path: Path, nodes: str) -> None:
    state = tmp_path / "manifest.json"
    state.write_text(f'[{{"manifest": 1, "nodes": {nodes}}}]', encoding="utf-8")
    assert len(chosen(root, "state:new", state=state).split()) == 6


@pytest.mark.parametrize("text", ["", "{", "[{}]", '{"manifest": 99}', '{"manifest": "1"}'])
def test_a_manifest_that_cannot_be_read(root: Path, tmp_path: Path, text: str) -> None:
    state = tmp_path / "manifest.json"
    state.write_text(text, encoding="utf-8")
    with pytest.raises(ProjectError, match="starlake-orchestrate graph PROJECT --format json"):
        chosen(root, "state:modified", state=state)


def test_the_same_words_on_the_command_line(root: Path) -> None:
    done = call("dry-run", root, "--select", "+top.sum", "--exclude", "raw.*", "--environment", "duckdb")
    assert done.exit_code == 0, done.output
    commands = [line for line in done.stdout.splitlines() if "starlake_core_duckdb" in line]
    assert [name for line in commands for name in ("mid.day", "mid.town", "top.sum", "--domains") if name in line] == [
        "mid.day",
        "top.sum",
    ]
    wrong = call("dry-run", root, "--select", "top.sam")
    assert wrong.exit_code == 2
    assert "Did you mean 'top.sum'" in wrong.stderr

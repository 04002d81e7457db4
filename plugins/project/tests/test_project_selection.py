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


@pytest.mark.parametrize("text", ["", "{", "[{}]", '{"manifest": 99}'])
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

"""``export`` and ``init``: pipeline files from a project, and a project from nothing or from data files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from grouping_cases import CASES, Case
from starlake_core_project import publish

from starlake_core import graph_json
from starlake_core.cli.app import app
from starlake_core.dsl.orchestration import Overrides
from starlake_core.dsl.pipeline_files import load_files


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def exported(root: Path, output: Path, *arguments: object) -> Any:
    return call("export", root, "--orchestrator", "local", "--environment", "duckdb", "-o", output, *arguments)


def comparable(pipeline: Any) -> Any:
    """The graph without what a file does not hold: where the project is, and what depends on it."""

    def clean(node: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in node.items() if name != "manifest"}
        if kept.get("table"):
            kept["table"] = {name: value for name, value in kept["table"].items() if name not in LOCAL}
        if "nodes" in kept:
            kept["nodes"] = [clean(child) for child in kept["nodes"]]
        if kept.get("job"):
            kept["job"] = {
                **kept["job"],
                "env": {name: value for name, value in kept["job"]["env"].items() if name != "SL_ROOT"},
            }
        return kept

    return clean(json.loads(graph_json(pipeline)))


LOCAL = ("source", "template", "fingerprint")
RICH = Case(
    "a project with everything",
    {},
    dags={"all": "{{domain}}.py"},
    tables={"s.a": "schedule: daily, freshness: {error: 2 days}", "s.b": "schedule: hourly"},
    tasks={"k.a": "tags: [red]", "k.b-c": "dataset_triggering_strategy: all", "m.a": "schedule: daily, table: t"},
    rename={"s.a": "A2"},
    domains={"s": "tags: [red, blue]"},
    application="  dagRef: {load: all, transform: all}\n",
)


WHOLE = replace(RICH, name="with what it needs", arguments={"options": {"run_dependencies_first": "true"}})
IMPORTED = [
    replace(RICH, name=f"by {by}, {strategy}", arguments={"by": by, "options": {"pre_load_strategy": strategy}})
    for by, strategy in (("domain", "imported"), ("tag", "pending"), ("project", "imported"), ("project", "none"))
]


@pytest.mark.parametrize(
    "case",
    [RICH, WHOLE, *IMPORTED, *[case for case in CASES if not case.arguments][::5]],
    ids=lambda case: case.name,
)
def test_exported_files_give_the_same_pipelines(case: Case, tmp_path: Path) -> None:
    root = case.write(tmp_path / "shop")
    if case.tasks == RICH.tasks:
        (root / "metadata/transform/k/a.sql").write_text("SELECT * FROM s.A2 JOIN m.t ON true", encoding="utf-8")
        (root / "metadata/transform/k/b-c.sql").write_text("SELECT * FROM k.a JOIN s.b ON true", encoding="utf-8")
    for path in (root / "metadata/load").glob("*/*.sl.yml"):
        if "dagRef: other" in path.read_text(encoding="utf-8"):
            path.unlink()  # it names no dag, so that nothing would be exported
    options = [
        word for name, value in case.arguments.get("options", {}).items() for word in ("--option", f"{name}={value}")
    ]
    done = exported(root, tmp_path / "dags", "--by", case.arguments.get("by", "dag"), *options)
    assert done.exit_code == 0, done.output
    loaded = load_files([tmp_path / "dags"], Overrides())
    assert [file.problems for file in loaded] == [[] for _ in loaded]
    found = {pipeline.id: comparable(pipeline) for file in loaded for pipeline in file.pipelines}
    wanted = {
        pipeline.id: comparable(pipeline)
        for pipeline in publish(root, orchestrator="local", environment="duckdb", **case.arguments)
    }
    assert found == wanted
    assert wanted


def test_details_are_in_the_files(tmp_path: Path) -> None:
    root = RICH.write(tmp_path / "shop")
    path = root / "metadata/load/s/a.sl.yml"
    text = path.read_text(encoding="utf-8").replace(
        "attributes: [{name: id}]",
        """comment: 'Who "buys" it''s'
  tags: ['owner:ann@example.org', pii]
  primaryKey: [id]
  expectations: [{expect: "is_unique('id')", failOnError: true}]
  attributes: [{name: id, type: long, required: true, comment: the key}, {name: day, type: date}]""",
    )
    path.write_text(text, encoding="utf-8")
    (root / "metadata/transform/k/a.sql").write_text("SELECT *\n  FROM s.A2\n", encoding="utf-8")
    assert exported(root, tmp_path / "dags").exit_code == 0
    written = (tmp_path / "dags/s.py").read_text(encoding="utf-8")
    assert "owners=('ann@example.org',)," in written
    assert "Column('id', 'long', description='the key', required=True, key=True)," in written
    assert """Check('is_unique', "is_unique('id')", fails=True),""" in written
    assert """                    'SELECT *\\n'\n""" in (tmp_path / "dags/k.py").read_text(encoding="utf-8")


def test_two_projects_may_be_exported_to_one_folder(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    shop = Case("", {}, tables={"s.a": ""}).write(tmp_path / "shop")
    bank = Case("", {}, tables={"b.a": ""}).write(tmp_path / "bank")
    assert exported(shop, dags).exit_code == 0
    assert exported(bank, dags).exit_code == 0
    assert sorted(path.name for path in dags.iterdir()) == ["b_load.py", "s_load.py"]
    assert exported(shop, dags, "--check").exit_code == 0
    clash = exported(Case("", {}, tables={"s.a": ""}).write(tmp_path / "other"), dags)
    assert clash.exit_code == 1
    assert f"{dags}/s_load.py is not a file of an earlier export of the project other: the project shop" in clash.stderr
    (tmp_path / "checkout").mkdir()
    shop.rename(tmp_path / "checkout/4711")
    assert exported(tmp_path / "checkout/4711", dags, "--name", "shop", "--check").exit_code == 0


def test_a_file_that_somebody_wrote_is_not_overwritten(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "s.py").write_bytes(b"# mine \xff\n")
    done = exported(RICH.write(tmp_path / "shop"), dags)
    assert (done.exit_code, "s.py is not a file of an earlier export" in done.stderr) == (1, True)
    assert [path.name for path in dags.iterdir()] == ["s.py"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--orchestrator", "airflw"), "Did you mean 'airflow'"),
        (("--environment", "duckbd"), "Did you mean 'duckdb'"),
        (("--by", "domains"), "Did you mean 'domain'"),
        (("--by", "tag"), "has no pipelines to export"),
        (("-o", "shop/metadata/application.sl.yml"), "cannot write to"),
    ],
)
def test_wrong_words_of_an_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    Case("", {}, tables={"s.a": ""}).write(tmp_path / "shop")
    monkeypatch.chdir(tmp_path)
    done = exported(Path("shop"), Path("dags"), *arguments)
    assert done.exit_code != 0
    assert message in done.stderr
    assert not Path("dags").exists()


def test_the_same_bytes_again_and_check_says_what_is_stale(tmp_path: Path) -> None:
    root, dags = RICH.write(tmp_path / "shop"), tmp_path / "dags"
    assert exported(root, dags).exit_code == 0
    before = {path.name: path.read_bytes() for path in dags.iterdir()}
    (dags / "mine.py").write_text("x = 1\n", encoding="utf-8")
    assert exported(root, dags).stdout == ""
    assert exported(root, dags, "--check").exit_code == 0
    assert {name: (dags / name).read_bytes() for name in before} == before
    (root / "metadata/transform/m/a.sl.yml").unlink()
    (root / "metadata/transform/m/a.sql").unlink()
    (root / "metadata/load/s/b.sl.yml").unlink()
    stale = exported(root, dags, "--check")
    assert (stale.exit_code, stale.stdout.splitlines()) == (
        1,
        [f"{dags}/m.py: out of date", f"{dags}/s.py: out of date"],
    )
    assert (dags / "m.py").exists()
    assert exported(root, dags).stdout.splitlines() == [f"{dags}/m.py: removed", f"{dags}/s.py: written"]
    assert sorted(path.name for path in dags.iterdir()) == ["k.py", "mine.py", "s.py"]


def test_a_broken_project_is_not_exported(tmp_path: Path) -> None:
    root = RICH.write(tmp_path / "shop")
    (root / "metadata/load/s/a.sl.yml").write_text("version: 1\ntable: {colour: red}\n", encoding="utf-8")
    done = exported(root, tmp_path / "dags")
    assert done.exit_code == 1
    assert "s/a.sl.yml:2: " in done.stderr
    assert not (tmp_path / "dags").exists()


def test_names_and_comments_are_only_text(tmp_path: Path) -> None:
    root = RICH.write(tmp_path / "shop")
    path = root / "metadata/dags/all.sl.yml"
    text = path.read_text(encoding="utf-8").replace("tables of", 'it\'s \\"\\"\\" + 1/0 \\\\ of')
    path.write_text(text.replace("pre_load_strategy: none", 'pre_load_strategy: none, tags: "a\'b"'), encoding="utf-8")
    assert exported(root, tmp_path / "dags").exit_code == 0
    loaded = load_files([tmp_path / "dags"], Overrides())
    assert [file.problems for file in loaded] == [[] for _ in loaded]


def test_a_new_project_runs(tmp_path: Path) -> None:
    import duckdb

    done = call("init", tmp_path / "shop")
    assert done.exit_code == 0, done.output
    assert call("check", tmp_path / "shop").exit_code == 0
    ran = call("run", tmp_path / "shop", "-o", "retries=0")
    assert ran.exit_code == 0, ran.output
    with duckdb.connect(str(tmp_path / "shop/datasets/duckdb.db"), read_only=True) as connection:
        assert connection.execute("SELECT orders, revenue FROM report.sales ORDER BY day").fetchall()[0][0] == 2
    again = call("init", tmp_path / "shop")
    assert (again.exit_code, "is not an empty folder" in again.stderr) == (2, True)


def test_a_project_from_data_files_runs(tmp_path: Path) -> None:
    import duckdb

    file = tmp_path / "prices.csv"
    file.write_text("id;price\n1;2.5\n2;3.5\n", encoding="utf-8")
    done = call("init", tmp_path / "shop", "--from", file)
    assert done.exit_code == 0, done.output
    ran = call("run", tmp_path / "shop", "-o", "retries=0")
    assert ran.exit_code == 0, ran.output
    with duckdb.connect(str(tmp_path / "shop/datasets/duckdb.db"), read_only=True) as connection:
        assert connection.execute("SELECT * FROM report.prices_rows").fetchall() == [(2,)]
    assert call("init", tmp_path / "other", "--from", tmp_path / "none.csv").exit_code == 2


@pytest.mark.parametrize(
    ("name", "table"),
    [("my prices (2026).csv", "my prices (2026)"), ("Été 1.csv", "Été 1"), ("2026-01-01.csv", "2026_01")],
)
def test_a_project_from_a_file_with_an_odd_name(tmp_path: Path, name: str, table: str) -> None:
    (tmp_path / name).write_text("id;price\n1;2.5\n", encoding="utf-8")
    shop = tmp_path / "my shop"
    done = call("init", shop, "--from", tmp_path / name)
    assert f"starlake-orchestrate run '{shop}'" in done.stdout
    (query,) = shop.glob("metadata/transform/report/*.sql")
    made = publish(shop, orchestrator="local", environment="duckdb")
    assert [
        dataset.sink for pipeline in made if pipeline.id == "report_transform" for dataset in pipeline.trigger.datasets
    ] == [f"shop.{table}"]
    assert query.name[0] != "_"


def test_a_project_that_cannot_be_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.csv").touch()
    for folder in (tmp_path / "new", tmp_path / "there"):
        if folder.name == "there":
            folder.mkdir()
        assert call("init", folder, "--from", tmp_path / "empty.csv").exit_code == 1
        assert folder.exists() == (folder.name == "there")
        assert not folder.exists() or list(folder.iterdir()) == []


def test_two_files_of_one_name_do_not_become_one_project(tmp_path: Path) -> None:
    files = [tmp_path / name / "orders.csv" for name in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text("id\n1\n", encoding="utf-8")
    done = call("init", tmp_path / "shop", "--from", *files)
    assert (done.exit_code, "two files have the name orders.csv" in done.stderr) == (2, True)
    assert not (tmp_path / "shop").exists()

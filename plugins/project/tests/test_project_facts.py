"""What a project says about the work of a command, through the hook that the runtime asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from starlake_core import Job, ProjectFacts
from starlake_core.runtime import facts_of

APPLICATION = """
version: 1
application:
  connectionRef: "db"
  connections:
    db: { type: "jdbc", options: { url: "jdbc:duckdb:{{SL_ROOT}}/datasets/shop.db" } }
    far: { type: "jdbc", options: { url: "jdbc:postgresql://host/shop" } }
    small: { type: "jdbc", options: { url: "jdbc:sqlite:shop.sqlite" } }
    cloud: { type: "jdbc", options: { url: "jdbc:duckdb:md:shop" } }
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "application.sl.yml", APPLICATION)
    write(tmp_path, "load/shop/_config.sl.yml", "load: { name: shop }")
    write(tmp_path, "load/shop/orders.sl.yml", 'table: { name: orders, pattern: "orders.*.csv" }')
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / "metadata" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def load(root: Path, **env: str) -> ProjectFacts | None:
    return facts_of(Job("shell", ("load", "--domains", "shop", "--tables", "orders"), {"SL_ROOT": str(root), **env}))


def transform(root: Path) -> ProjectFacts | None:
    return facts_of(Job("shell", ("transform", "--name", "kpi.day"), {"SL_ROOT": str(root)}))


def test_a_load_that_says_nothing_appends(root: Path) -> None:
    datasets = root / "datasets"
    assert load(root) == ProjectFacts(
        strategy="APPEND",
        stage=str(datasets / "stage" / "shop"),
        ingesting=str(datasets / "ingesting" / "shop"),
        archive=str(datasets / "archive" / "shop"),
        pattern="orders.*.csv",
        single_writer=f"duckdb:{datasets}/shop.db",
    )


def test_files_of_a_table_are_matched_as_java_does(root: Path) -> None:
    write(root, "load/shop/orders.sl.yml", "version: 1\ntable: {pattern: 'o(?<day>[0-9&&[^5]])\\Q.csv\\E'}")
    found = load(root)
    assert found is not None
    assert found.matches is not None
    assert [name for name in ("o1.csv", "o5.csv", "o1xcsv", "xo1.csv") if found.matches(name)] == ["o1.csv"]


def test_the_areas_are_where_the_command_finds_them(root: Path) -> None:
    found = load(root, SL_DATASETS=str(root / "elsewhere"), SL_AREA_INGESTING="busy")
    assert found is not None
    assert (found.stage, found.ingesting) == (
        str(root / "elsewhere" / "stage" / "shop"),
        str(root / "elsewhere" / "busy" / "shop"),
    )


@pytest.mark.parametrize(
    ("metadata", "strategy"),
    [
        ("{ writeStrategy: { type: overwrite } }", "OVERWRITE"),
        ("{ writeStrategy: { types: { APPEND: 'group(1) == 1' } } }", ""),
    ],
)
def test_the_strategy_of_a_load(root: Path, metadata: str, strategy: str) -> None:
    write(root, "load/shop/orders.sl.yml", f'table: {{ name: orders, pattern: "orders.*.csv", metadata: {metadata} }}')
    found = load(root)
    assert found is not None
    assert found.strategy == strategy


def test_expectations_may_fail_a_command_whose_rows_are_in(root: Path) -> None:
    write(
        root,
        "load/shop/orders.sl.yml",
        'table: { name: orders, pattern: "o.*", expectations: [ { expect: "is_unique(id)", failOnError: true } ] }',
    )
    write(root, "transform/kpi/day.sql", "SELECT 1 AS a")
    write(root, "transform/kpi/day.sl.yml", "task: { name: day, postsql: [ 'SELECT 1' ] }")
    for found in (load(root), transform(root)):
        assert found is not None
        assert found.fails_late


@pytest.mark.parametrize(
    ("connection", "writer"),
    [("small", "sqlite:{root}/shop.sqlite"), ("far", ""), ("cloud", ""), ("db", "duckdb:{root}/datasets/shop.db")],
)
def test_a_database_in_a_file_has_one_writer(root: Path, connection: str, writer: str) -> None:
    write(root, "transform/kpi/day.sql", "SELECT 1 AS a")
    write(root, "transform/kpi/day.sl.yml", f"task: {{ name: day, sink: {{ connectionRef: {connection} }} }}")
    found = transform(root)
    assert found == ProjectFacts(strategy="APPEND", single_writer=writer.format(root=root))


@pytest.mark.parametrize("root_name", ["gs://bucket/project", "s3://bucket/project", ""])
def test_a_project_elsewhere_says_nothing(root_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SL_ROOT", raising=False)
    assert facts_of(Job("shell", ("load", "--domains", "shop", "--tables", "orders"), {"SL_ROOT": root_name})) is None


def test_a_project_that_cannot_be_read_is_a_warning(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(root, "load/shop/orders.sl.yml", "table: [broken\n")
    assert load(root) is None
    assert "cannot be read here" in caplog.text
    assert "orders.sl.yml" in caplog.text


def test_commands_that_it_knows_nothing_of(root: Path) -> None:
    for arguments in (("stage",), ("load", "--domains", "shop"), ("load", "--domains", "shop", "--tables", "none"), ()):
        assert facts_of(Job("shell", arguments, {"SL_ROOT": str(root)})) is None

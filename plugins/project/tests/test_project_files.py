"""Reading projects: what is merged with what, which variable wins, and what a broken file says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from textwrap import dedent

import pytest
from starlake_core_project import Freshness, Project, ProjectError, WriteStrategy, parse_scheduled_date

from starlake_core.errors import StarlakeError

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of the project in ``tmp_path``."""

    def _write(path: str, text: str) -> Path:
        target = tmp_path / "metadata" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(dedent(text), encoding="utf-8")
        return target

    _write("load/shop/items.sl.yml", "table: {pattern: 'items.*'}")
    return _write


def load(root: Path, **environ: str) -> Project:
    return Project.load(root, environ=environ)


def test_the_smallest_project(tmp_path: Path, write: Write) -> None:
    project = load(tmp_path)
    assert project.domain_names() == ("shop",)
    domain = project.domain("shop")
    assert domain is not None
    assert (domain.name, domain.final_name, domain.table_names) == ("shop", "shop", ("items",))
    (table,) = project.tables("shop")
    assert (table.name, table.final_name, table.pattern) == ("items", "items", "items.*")
    assert project.application.datasets == tmp_path / "datasets"
    assert project.tasks() == ()


def test_application(tmp_path: Path, write: Write) -> None:
    write(
        "application.sl.yml",
        """
        version: 1

        application:
          connectionRef: duckdb
          loadConnectionRef: "{{target}}"
          schedulePresets: {daily: "0 0 * * *"}
          dagRef: {load: a, transform: b}
          datasets: "{{SL_ROOT}}/lake"
          area: {stage: pending}
          connections:
            duckdb: {type: JDBC, options: {url: "jdbc:duckdb:{{SL_ROOT}}/x.db"}}
        """,
    )
    application = load(tmp_path, target="other", SL_AREA_ARCHIVE="old", SL_INCOMING="in").application
    assert application.connections["duckdb"].type == "jdbc"
    assert application.connections["duckdb"].options == {"url": f"jdbc:duckdb:{tmp_path}/x.db"}
    assert (application.connection_ref, application.load_connection_ref) == ("duckdb", "other")
    assert application.schedule_presets == {"daily": "0 0 * * *"}
    assert (application.dag_ref_load, application.dag_ref_transform) == ("a", "b")
    assert application.datasets == tmp_path / "lake"
    assert (application.areas.stage, application.areas.archive, application.areas.incoming) == ("pending", "old", "in")
    assert load(tmp_path, target="x", SL_DATASETS="/data", SL_DAG_REF_LOAD="c").application.dag_ref_load == "a"
    assert load(tmp_path, target="x", SL_DATASETS="/data").application.datasets == tmp_path / "lake"


def test_precedence_of_variables(tmp_path: Path, write: Write) -> None:
    write("env.sl.yml", "env: {a: file, b: file, c: file, sl_year: file, both: '{{a}}/{{sl_month}}', empty: }")
    write("env.PROD.sl.yml", "env: {b: prod, c: prod, seen: '{{c}}'}")
    moment = datetime(2026, 11, 3, 4, 5, 6, 789000, tzinfo=timezone.utc)

    def variables(env: str | None, **options: str) -> dict[str, str]:
        environ = {"a": "os", "z": "os", "sl_month": "os"}
        return dict(
            Project.load(tmp_path, env=env, variables=options, scheduled_date=moment, environ=environ).variables
        )

    plain = variables(None)
    assert [plain[name] for name in ("a", "b", "z", "sl_year", "sl_month", "both", "empty")] == [
        "file", "file", "os", "file", "11", "file/11", ""
    ]  # fmt: skip
    prod = variables("PROD", c="option")
    assert [prod[name] for name in ("a", "b", "c", "seen")] == ["file", "prod", "option", "prod"]
    assert variables("None") == plain
    assert variables("")["b"] == "file"
    assert plain["sl_datetime"] == "20261103040506"
    assert (plain["sl_milli"], plain["sl_epoch_milli"]) == ("789", "1793678706789")
    assert plain["SL_ROOT"] == str(tmp_path)


def test_sl_env_comes_from_the_environment(tmp_path: Path, write: Write) -> None:
    write("env.PROD.sl.yml", "env: {a: prod}")
    assert load(tmp_path, SL_ENV="PROD").variables["a"] == "prod"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-03", "2026-11-03T00:00:00+00:00"),
        ("2026-11-03 04:05:06", "2026-11-03T04:05:06+00:00"),
        ("2026-11-03T04:05:06.789+0100", "2026-11-03T04:05:06.789000+01:00"),
        ("2026-11-03 04:05:06.123456789Z", "2026-11-03T04:05:06.123456+00:00"),
        ("2026-11-03T04:05-05:00", "2026-11-03T04:05:00-05:00"),
    ],
)
def test_scheduled_dates(text: str, expected: str) -> None:
    assert parse_scheduled_date(text).isoformat() == expected


def test_scheduled_date_without_offset_is_in_the_given_zone() -> None:
    zone = timezone(timedelta(hours=2))
    assert parse_scheduled_date("2026-11-03", zone).utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01", "2026-11-03 25:00", "'2026-11-03'"])
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(ProjectError, match="is not a date; write it like"):
        parse_scheduled_date(text)


def test_table_metadata_over_domain_metadata(tmp_path: Path, write: Write) -> None:
    write(
        "load/shop/_config.sl.yml",
        """
        load:
          rename: SHOP
          metadata:
            directory: in
            ack: ok
            schedule: daily
            format: dsv
            separator: ","
            withHeader: false
            freshness: {warn: 1 day, error: 2 days}
            writeStrategy: {type: overwrite, key: [a]}
            sink: {connectionRef: one}
        """,
    )
    write(
        "load/shop/items.sl.yml",
        """
        table:
          pattern: "items.*"
          rename: Items
          primaryKey: id
          metadata:
            schedule: hourly
            withHeader: true
            writeStrategy: {type: append, on: TARGET}
        """,
    )
    (table,) = load(tmp_path).tables("shop")
    assert (table.name, table.final_name, table.domain, table.final_domain) == ("items", "Items", "shop", "SHOP")
    assert table.primary_key == ("id",)
    metadata = table.metadata
    assert (metadata.directory, metadata.ack, metadata.schedule, metadata.connection_ref) == (
        "in",
        "ok",
        "hourly",
        "one",
    )
    assert (metadata.format.format, metadata.format.separator, metadata.format.with_header) == ("DSV", ",", True)
    assert metadata.freshness == Freshness("1 day", "2 days")
    assert metadata.write_strategy == WriteStrategy(type="APPEND", on="TARGET")


def test_attributes(tmp_path: Path, write: Write) -> None:
    write(
        "load/shop/items.sl.yml",
        """
        table:
          pattern: "items.*"
          attributes:
            - {name: 007, required: true, rename: id}
            - {name: lines, type: struct, array: true, attributes: [{name: on, type: int}]}
        """,
    )
    (table,) = load(tmp_path).tables("shop", ["items", "nothing", "", "../x", "_config"])
    first, second = table.attributes
    assert (first.name, first.final_name, first.type, first.required) == ("007", "id", "string", True)
    assert second.array
    assert second.attributes[0].name == "on"


def test_types(tmp_path: Path, write: Write) -> None:
    write(
        "types/default.sl.yml",
        "types: [{name: int, primitiveType: long, pattern: '[0-9]+', ddlMapping: {DuckDB: INT}}]",
    )
    write("types/types.sl.yml", "types: [{name: code}]")
    types = load(tmp_path).types
    assert types["int"].ddl_mapping == {"duckdb": "INT"}
    assert types["code"].primitive_type == "string"
    assert types["date"].pattern == "yyyy-MM-dd"


def test_tasks(tmp_path: Path, write: Write) -> None:
    write(
        "transform/kpi/_config.sl.yml",
        """
        transform:
          default:
            schedule: daily
            tags: [a, b]
            presql: [SELECT 1]
            freshness: {warn: 1 day}
            sink: {connectionRef: parent}
            writeStrategy: {type: OVERWRITE}
            parseSQL: false
        """,
    )
    write(
        "transform/kpi/sales.sl.yml",
        """
        task:
          table: sales_table
          schedule: hourly
          tags: [b, c]
          presql: SELECT 2
          freshness: {warn: 5 days}
          sink: {connectionRef: child}
          parseSQL: true
          taskTimeoutMs: 1000
        """,
    )
    write("transform/kpi/sales.sql", "SELECT {{n}}")
    write("transform/kpi/plain.sql.j2", "SELECT 1")
    write("transform/kpi/program.py", "")
    project = Project.load(tmp_path, variables={"n": "7"}, environ={})
    assert [task.full_name for task in project.tasks()] == ["kpi.plain", "kpi.program", "kpi.sales"]
    task = project.task("kpi.sales")
    assert task is not None
    assert (task.table, task.schedule, task.parse_sql, task.task_timeout_ms) == ("sales_table", "hourly", True, 1000)
    assert (task.tags, task.presql) == (("a", "b", "c"), ("SELECT 1", "SELECT 2"))
    assert (task.freshness, task.sink_connection_ref) == (Freshness("1 day"), "parent")
    assert task.write_strategy == WriteStrategy("OVERWRITE")
    assert project.sql(task) == "SELECT 7"
    for name in ("sales", "kpi.nothing", "kpi.", ".x", "kpi._config", "../kpi.sales"):
        assert project.task(name) is None


def test_a_task_is_found_by_its_own_name(tmp_path: Path, write: Write) -> None:
    write("transform/kpi/file.sl.yml", "task: {domain: mart, name: daily, sql: SELECT 1}")
    project = load(tmp_path)
    task = project.task("mart.daily")
    assert task is not None
    assert project.sql(task) == "SELECT 1"
    assert project.task("kpi.file") is None


def test_a_task_without_query(tmp_path: Path, write: Write) -> None:
    write("transform/kpi/x.sl.yml", "task: {name: x}")
    project = load(tmp_path)
    task = project.task("kpi.x")
    assert task is not None
    with pytest.raises(ProjectError, match=r"x\.sl\.yml: the transform kpi\.x has no query; write it to x\.sql"):
        project.sql(task)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("table:\n  pattern: x\n  attributes: [", "items.sl.yml:3: is not valid YAML"),
        ("table: [1]", "table must be a mapping of names to values, found a list"),
        ("- 1", "table must be a mapping of names to values, found a list"),
        ("table: {name: x}", "table.pattern is missing"),
        ("table: {pattern: '['}", "table.pattern: '[' is not a regular expression of Java"),
        ("table: {pattern: x, attributes: {}}", "table.attributes must be a list, found a mapping"),
        ("table: {pattern: x, attributes: [{type: int}]}", "table.attributes[0].name is missing"),
        ("table: {pattern: x, name: ../../etc}", "cannot be the name of a folder"),
        (
            "table: {pattern: x, metadata: {withHeader: maybe}}",
            "table.metadata.withHeader must be true or false, found 'maybe'",
        ),
        ("table: {pattern: x, primaryKey: [[a]]}", "table.primaryKey[0] must be a string, found a list"),
        ("table: {pattern: '{% if %}'}", "items.sl.yml:1: the template is invalid"),
        ("table: {pattern: '{{ 1 / 0 }}'}", "the template fails"),
        ("table: {pattern: \"{{ ''.__class__.__mro__ }}\"}", "the template fails: access to attribute '__class__'"),
    ],
)
def test_broken_files_are_one_clear_error(tmp_path: Path, write: Write, text: str, message: str) -> None:
    path = write("load/shop/items.sl.yml", text)
    with pytest.raises(ProjectError) as caught:
        load(tmp_path).tables("shop")
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, StarlakeError)


def test_text_that_is_not_utf8(tmp_path: Path, write: Write) -> None:
    write("load/shop/items.sl.yml", "").write_bytes(b"table: {pattern: \xff}")
    with pytest.raises(ProjectError, match="is not UTF-8 text"):
        load(tmp_path).tables("shop")


def test_a_value_that_begins_with_braces_has_to_be_quoted(tmp_path: Path, write: Write) -> None:
    write("env.sl.yml", "env:\n  ok: x\n  place: {{SL_ROOT}}/x\n")
    with pytest.raises(ProjectError, match=r"env\.sl\.yml:3: is not valid YAML.*in quotes"):
        load(tmp_path)


def test_a_directory_that_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="is not a Starlake project"):
        load(tmp_path)


def test_only_the_files_that_are_asked_for_are_read(tmp_path: Path, write: Write) -> None:
    write("load/shop/broken.sl.yml", "table: [")
    write("types/types.sl.yml", "types: [")
    write("transform/kpi/broken.sl.yml", "task: [")
    write("transform/kpi/fine.sql", "SELECT 1")
    project = load(tmp_path)
    assert [table.name for table in project.tables("shop", ["items"])] == ["items"]
    assert project.task("kpi.fine") is not None


def test_jinja_is_not_imported_for_plain_names(tmp_path: Path, write: Write) -> None:
    write("env.sl.yml", "env: {place: '{{SL_ROOT}}/x', other: '{{ place }}/y'}")
    program = (
        "import sys, pathlib, starlake_core_project as p\n"
        f"project = p.Project.load(pathlib.Path({str(tmp_path)!r}))\n"
        "assert project.variables['other'].endswith('/x/y') and project.tables('shop')\n"
        "sys.exit('jinja2' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_data_is_frozen(tmp_path: Path, write: Write) -> None:
    (table,) = load(tmp_path).tables("shop")
    with pytest.raises(AttributeError):
        table.name = "other"  # type: ignore[misc]

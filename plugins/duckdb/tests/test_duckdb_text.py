"""Variables, sections and bare names of a project, by the commands that use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlake_core_duckdb.plugin import sl_create_runner
from starlake_core_project import named_variables

from starlake_core import Job, RunKey
from starlake_core.runtime import execute

if TYPE_CHECKING:
    from conftest import Sandbox

CONNECTIONS = """
    application:
      connectionRef: duck
      connections:
        duck: {type: jdbc, options: {url: "jdbc:duckdb:{{SL_ROOT}}/datasets/duckdb.db"}}
        pg: {type: jdbc, options: {url: "jdbc:postgresql://{{NOBODY_DEFINED_HOST}}/db"}}
"""


def transform(sandbox: Sandbox, sql: str, yaml: str = "", name: str = "t", *arguments: str, code: int = 0) -> str:
    sandbox.write(f"metadata/transform/kpi/{name}.sql", sql)
    if yaml:
        sandbox.write(f"metadata/transform/kpi/{name}.sl.yml", yaml)
    result = sandbox.run("transform", "--name", f"kpi.{name}", *arguments)
    assert result.code == code, result.err
    return result.err if code else result.out


@pytest.fixture
def loaded(sandbox: Sandbox) -> Sandbox:
    """Two rows in ``shop.items``."""
    sandbox.incoming("items1.csv", "id,label\n1,a\n2,b\n")
    assert sandbox.run("stage").code == 0
    assert sandbox.run("load").code == 0
    return sandbox


def test_a_variable_of_an_unused_connection_stops_nothing(sandbox: Sandbox) -> None:
    sandbox.write("metadata/application.sl.yml", CONNECTIONS)
    sandbox.incoming("items1.csv", "id,label\n1,a\n")
    for command in ("stage", "load"):
        result = sandbox.finish(sandbox.process(command, SL_STRICT_VARIABLES="true"))
        assert (result.code, result.err) == (0, "")
    assert sandbox.query("SELECT * FROM shop.items") == [(1, "a")]


def test_an_undefined_variable_is_empty_and_said(loaded: Sandbox) -> None:
    loaded.write("metadata/transform/kpi/t.sql", "SELECT '{{nosuch}}' AS x")
    result = loaded.finish(loaded.process("transform", "--name", "kpi.t"))
    assert result.code == 0
    assert result.err.count("variable 'nosuch' is not defined") == 1
    assert loaded.query("SELECT * FROM kpi.t") == [("",)]


@pytest.mark.parametrize(("extra", "code"), [({}, 1), ({"SL_RUN_KEY": "k"}, 78)])
def test_strict_variables(sandbox: Sandbox, extra: dict[str, str], code: int) -> None:
    sandbox.write("metadata/transform/kpi/t.sql", "SELECT '{{nosuch}}' AS x")
    result = sandbox.run("transform", "--name", "kpi.t", SL_STRICT_VARIABLES="true", **extra)
    assert result.code == code
    assert "t.sql:1: variable 'nosuch' is not defined; define it in" in result.err


@pytest.mark.parametrize("strict", ["", "true"])
def test_a_variable_of_presql_is_the_affair_of_the_load(sandbox: Sandbox, strict: str) -> None:
    sandbox.write("metadata/load/shop/items.sl.yml", """
        table:
          pattern: "items.*"
          presql: ["CREATE TABLE main.seen AS SELECT '{{given}}' AS day"]
          attributes: [{name: id, type: int}]
    """)  # fmt: skip
    sandbox.incoming("items1.csv", "id\n1\n")
    environ = {"SL_STRICT_VARIABLES": strict}
    for arguments in (("preload", "--domain", "shop", "--strategy", "imported"), ("stage",)):
        result = sandbox.finish(sandbox.process(*arguments, **environ))
        assert (result.code, result.err) == (0, "")
    assert sandbox.run("load", "--options", "given=today", **environ).code == 0
    assert sandbox.query("SELECT * FROM main.seen") == [("today",)]


def test_a_load_says_what_its_statements_need(sandbox: Sandbox) -> None:
    sandbox.write(
        "metadata/load/shop/items.sl.yml",
        "table: {pattern: 'items.*', presql: \"SELECT '{{given}}'\", attributes: [{name: id}]}",
    )
    result = sandbox.run("load", SL_STRICT_VARIABLES="true")
    assert result.code == 1
    assert "variable 'given' is not defined" in result.err


def test_sections_of_a_query_file(loaded: Sandbox) -> None:
    sql = (
        "-- a head\n-- SL_PRESQL\ncreate table shop.marker(a varchar); insert into shop.marker values ('{{who}}')\n"
        "-- SL_SQL\r\nselect id, (select count(*) from shop.marker) as n from items -- SL_POSTSQL\n"
        "-- SL_POSTSQL\ninsert into shop.marker values ('after');\n-- SL_POSTSQL\ninsert into shop.marker values ('end')"
    )
    yaml = (
        "task: {presql: [insert into shop.marker values ('yaml')], postsql: [insert into shop.marker values ('post')]}"
    )
    transform(loaded, sql, yaml, "t", "--options", "who=me")
    assert loaded.query("SELECT * FROM kpi.t ORDER BY 1") == [(1, 2), (2, 2)]
    assert [row[0] for row in loaded.query("SELECT a FROM shop.marker")] == ["me", "yaml", "post", "after", "end"]


def test_two_queries_in_a_file_are_refused(loaded: Sandbox) -> None:
    assert "there are 2 queries" in transform(loaded, "select 1\n-- SL_SQL\nselect 2", code=1)
    assert "there is no query in this file" in transform(loaded, "-- SL_PRESQL\nselect 2", code=1)


def test_statements_that_are_not_parsed_are_run_as_they_are(loaded: Sandbox) -> None:
    yaml = "task: {parseSQL: false, writeStrategy: {type: SCD2}, presql: [create table if not exists shop.sink(k int)]}"
    out = transform(loaded, "insert into shop.sink select 1 as k; insert into shop.items select 9, 'z'", yaml)
    assert "statements run as they are" in out
    assert loaded.query("SELECT * FROM shop.sink") == [(1,)]
    assert loaded.query("SELECT count(*) FROM shop.items") == [(3,)]
    assert loaded.query("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'kpi'") == [(0,)]
    assert loaded.query("SELECT success, accepted FROM starlake_core.log WHERE command = 'transform'") == [(True, None)]


def test_statements_that_are_not_parsed_are_run_once_under_a_run_key(loaded: Sandbox) -> None:
    loaded.write("metadata/transform/kpi/t.sl.yml", "task: {parseSQL: false}")
    loaded.write("metadata/transform/kpi/t.sql", "insert into shop.items select 9, 'z'")
    for _ in range(2):
        assert loaded.run("transform", "--name", "kpi.t", SL_RUN_KEY="k").code == 0
    assert loaded.query("SELECT count(*) FROM shop.items") == [(3,)]


def test_bare_names_are_the_tables_of_the_project(loaded: Sandbox) -> None:
    transform(loaded, "select * from ITEMS", name="first")
    transform(
        loaded,
        """
        with items as (select 7 as id), own as (select id from first)  -- from items
        select i.id, 'from first' as text, (select count(*) from first) as n, "first".id as other
        from items i, (select id from own) o join first on first.id = o.id
        """,
        name="second",
    )
    assert loaded.query("SELECT * FROM kpi.second ORDER BY other") == [(7, "from first", 2, 1), (7, "from first", 2, 2)]


def test_final_names_count(loaded: Sandbox) -> None:
    loaded.table("raw", "table: {rename: Products, pattern: 'raw.*', attributes: [{name: id, type: int}]}")
    loaded.write(
        "metadata/load/shop/_config.sl.yml", "load: {rename: SHOP2, metadata: {directory: '{{SL_ROOT}}/incoming/shop'}}"
    )
    loaded.incoming("raw1.csv", "id\n5\n")
    assert loaded.run("stage").code == loaded.run("load").code == 0
    assert "SHOP2.products" in transform(loaded, "select * from products", "", "t", "--compile")
    transform(loaded, "select * from products")
    assert loaded.query("SELECT * FROM kpi.t") == [(5,)]


def test_what_several_tables_are_called_stays(loaded: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    for domain in ("a", "b"):
        loaded.table("twin", "table: {pattern: x}", domain)
    assert (
        transform(loaded, "select * from twin, nothing", "", "t", "--compile").strip() == "select * from twin, nothing"
    )
    assert "the table twin may be any of a.twin, b.twin" in caplog.text


def test_what_sqlglot_does_not_understand_stays(loaded: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    assert "frm (" in transform(loaded, "select * from items frm (", "", "t", "--compile")
    assert "table names are left unchanged" in caplog.text


def test_references(loaded: Sandbox) -> None:
    loaded.write("metadata/refs.sl.yml", """
        version: 1
        refs:
          - {input: {table: "old_(?i:items)"}, output: {domain: "{{target}}", table: items}}
          - {input: {domain: "stage_.*", table: ".*"}, output: {domain: shop, table: SL_THIS_TABLE}}
          - {input: {database: db, domain: ".*", table: ".*"}, output: {domain: SL_THIS_DOMAIN, table: SL_THIS_TABLE}}
    """)  # fmt: skip
    sql = 'select * from old_ITEMS, stage_x.items, db.shop.items, shop.items, "old_items"'
    out = transform(loaded, sql, "", "t", "--compile", "--options", "target=shop")
    assert out.strip() == 'select * from shop.items, shop.items, shop.items, shop.items, "old_items"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("refs: {}", "refs must be a list"),
        (
            "refs: [{input: {table: '['}, output: {table: x}}]",
            "'[' is not a regular expression of Java",
        ),
        ("refs: [{input: {table: x}}]", "output.table is missing"),
        (
            "refs: [{input: {tabel: x}, output: {table: x}}]",  # codespell:ignore tabel
            "refs[0].input.tabel is not a key of Starlake. Did you mean 'table'?",  # codespell:ignore tabel
        ),
        ("refs: [{input: {database: x}, output: {table: x}}]", "has a database but no domain"),
    ],
)
def test_broken_references(loaded: Sandbox, text: str, message: str) -> None:
    loaded.write("metadata/refs.sl.yml", text)
    error = transform(loaded, "select 1", code=1)
    assert message in error
    assert "refs.sl.yml" in error


def test_both_names_of_the_data_interval(loaded: Sandbox) -> None:
    sql = "select {{sl_data_interval_start}} as a, '{{sl_start_date}}' as b, {{sl_data_interval_end}} as c, '{{sl_end_date}}' as d"
    transform(loaded, sql, "", "t", "--options", "sl_data_interval_start='2026-01-01',sl_end_date=2026-01-02")
    assert loaded.query("SELECT * FROM kpi.t") == [("2026-01-01", "2026-01-01", "2026-01-02", "2026-01-02")]


class TestHints:
    def test_the_former_name_of_stage(self, sandbox: Sandbox) -> None:
        result = sandbox.run("import")
        assert result.code == 1
        assert "Unknown command import. Starlake calls it stage now." in result.err

    def test_the_version(self, sandbox: Sandbox) -> None:
        result = sandbox.run("--version")
        assert result.code == 0
        assert result.out.startswith("starlake-core-duckdb ")

    @pytest.mark.parametrize(
        "command", [("load", "--domains"), ("stage", "--domains"), ("preload", "--strategy", "imported", "--domain")]
    )
    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("shp", "there is no domain 'shp' in metadata/load, so nothing is done for it. Did you mean 'shop'?"),
            ("FINAL", "; the command line calls it shop"),
            ("logical", "; the command line calls it shop"),
            ("xyz", "there is no domain 'xyz' in metadata/load, so nothing is done for it\n"),
        ],
    )
    def test_domains(
        self, sandbox: Sandbox, caplog: pytest.LogCaptureFixture, command: tuple[str, ...], name: str, hint: str
    ) -> None:
        sandbox.write(
            "metadata/load/shop/_config.sl.yml",
            "load: {name: logical, rename: FINAL, metadata: {directory: '{{SL_ROOT}}/incoming'}}",
        )
        result = sandbox.run(*command, name)
        assert result.code == 0
        assert hint in caplog.text

    def test_tables(self, sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
        sandbox.table("items", "table: {pattern: 'items.*', rename: Products, attributes: [{name: id}]}")
        assert sandbox.run("load", "--domains", "shop", "--tables", "Products,itms,items").code == 0
        assert (
            "there is no table 'Products' in shop, so nothing is done for it; the command line calls it items"
            in caplog.text
        )
        assert "there is no table 'itms' in shop, so nothing is done for it. Did you mean 'items'?" in caplog.text


def test_the_engine_gets_the_variables_that_the_project_names(
    loaded: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A line of a dry run, pasted into a shell, sees the whole environment; a run sees what its project names of it."""
    names = ("OF_YAML", "OF_SQL", "OF_JINJA", "OF_A_MACRO", "OF_NOBODY")
    for name in names:
        monkeypatch.setenv(name, name.lower())
    monkeypatch.setenv("SL_ROOT", str(loaded.root))
    loaded.write("metadata/env.sl.yml", "env: {of_yaml: '{{OF_YAML}}'}")
    loaded.write("metadata/macros/m.j2", "{% macro own() %}'{{ OF_A_MACRO }}'{% endmacro %}")
    loaded.write(
        "metadata/transform/kpi/t.sql",
        "select '{{of_yaml}}' a, '${OF_SQL}' b, '{{ OF_JINJA | upper }}' c, {{ own() }} d -- OF_NOBODY",
    )
    job = Job("duckdb", ("transform", "--name", "kpi.t"), {}, {"include_env": []})
    lines: list[str] = []
    outcome = execute(job, sl_create_runner(job), RunKey("p/r/t", "1"), on_line=lines.append, timeout=120)
    assert outcome.succeeded, lines
    assert "WARNING" not in "".join(lines)
    assert loaded.query("SELECT * FROM kpi.t") == [("of_yaml", "of_sql", "OF_JINJA", "of_a_macro")]
    assert named_variables(loaded.root / "metadata", names) == set(names) - {"OF_NOBODY"}


def test_what_nobody_defined_is_said_in_the_words_of_a_pipeline(
    loaded: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SL_ROOT", str(loaded.root))
    loaded.write("metadata/transform/kpi/t.sql", "select '{{OF_NOBODY}}' a")
    job = Job("duckdb", ("transform", "--name", "kpi.t"), {}, {"include_env": []})
    lines: list[str] = []
    assert execute(job, sl_create_runner(job), RunKey("p/r/t", "1"), on_line=lines.append, timeout=120).succeeded
    (warning,) = [line for line in lines if "OF_NOBODY" in line]
    assert "in the environment of the worker, or with the option sl_env_var or sl_options of the pipeline" in warning
    assert "--options" not in warning

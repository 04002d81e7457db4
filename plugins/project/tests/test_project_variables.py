"""Variables: which ones are known, in what order they are resolved, and who is told about the others."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlake_core_project import Project, ProjectError
from starlake_core_project.resolution import Source, resolved
from starlake_core_project.templates import Names, Templates
from starlake_core_project.yaml_text import without_templates_in_comments

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


def load(root: Path, strict: bool | None = None, **environ: str) -> Project:
    return Project.load(root, environ=environ, strict=strict)


def sql(project: Project, name: str = "kpi.t") -> str:
    task = project.task(name)
    assert task is not None
    return project.sql(task)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is said of variables; nothing is said of the files, which have no version."""
    found = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    return [text for text in found if "has no version" not in text]


class TestUndefined:
    def test_it_is_empty_and_there_is_one_warning_for_each_name_and_file(
        self, tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture
    ) -> None:
        items = write(
            "load/shop/items.sl.yml", "table:\n  pattern: 'items{{nobody}}.*'\n  rename: 'x{{ nobody }}{{other}}'"
        )
        query = write("transform/kpi/t.sql", "SELECT '{{nobody}}' AS a, '{{nobody}}' AS b")
        project = load(tmp_path)
        for _ in range(2):
            (table,) = project.tables("shop")
            assert (table.pattern, table.final_name) == ("items.*", "x")
            assert sql(project) == "SELECT '' AS a, '' AS b"
        how = "is not defined, so it is empty; define it in metadata/env.sl.yml, in the environment or with --options"
        assert warnings(caplog) == [
            f"{items}:2: variable 'nobody' {how}",
            f"{items}:3: variable 'other' {how}",
            f"{query}:1: variable 'nobody' {how}",
        ]

    def test_under_an_orchestrator_the_warning_says_what_can_be_done_there(
        self, tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture
    ) -> None:
        write("transform/kpi/t.sql", "SELECT '{{nobody}}'")
        sql(load(tmp_path, SL_RUN_KEY="k"))
        (warning,) = warnings(caplog)
        assert "--options" not in warning
        assert "sl_env_var or sl_options" in warning

    def test_strict_is_an_error(self, tmp_path: Path, write: Write) -> None:
        query = write("transform/kpi/t.sql", "SELECT 1,\n '{{nobody}}'")
        for project in (load(tmp_path, True), load(tmp_path, SL_STRICT_VARIABLES="true")):
            with pytest.raises(ProjectError, match="variable 'nobody' is not defined; define it in") as caught:
                sql(project)
            assert f"{query}:2: " in str(caught.value)
        assert sql(load(tmp_path, False, SL_STRICT_VARIABLES="true")) == "SELECT 1,\n ''"
        with pytest.raises(ProjectError, match="SL_STRICT_VARIABLES is 'on'; it takes one of true, yes, 1, false"):
            load(tmp_path, SL_STRICT_VARIABLES="on")

    def test_an_alias_inside_of_what_it_stands_for(self, tmp_path: Path, write: Write) -> None:
        write("load/shop/items.sl.yml", "table: {pattern: 'x{{nobody}}', tags: &a [*a, b], metadata: &m {x: *m}}")
        with pytest.raises(ProjectError, match="contains itself"):
            load(tmp_path, True).tables("shop")

    @pytest.mark.parametrize(
        "text", ["{% if flag %}1{% else %}2{% endif %}", "{{ 1 if flag else 2 }}", "{{ flag | default('2') }}"]
    )
    def test_a_flag_that_is_not_set_is_false(
        self, tmp_path: Path, write: Write, text: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        write("transform/kpi/t.sql", f"SELECT {text}")
        assert sql(load(tmp_path)) == "SELECT 2"
        assert not warnings(caplog)

    def test_strict_does_not_take_it_for_false(self, tmp_path: Path, write: Write) -> None:
        write("transform/kpi/t.sql", "SELECT {% if flag %}1{% else %}2{% endif %}")
        with pytest.raises(ProjectError, match="'flag' is not defined"):
            sql(load(tmp_path, True))

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("{{ a.b.c }}", ""),
            ("{{ a['b'] }}", ""),
            ("{{ a | upper }}", ""),
            ("{{ a | length }}", "0"),
            ("{{ a ~ 'x' }}", "x"),
            ("{% if a ~ '' == '' %}empty{% endif %}", "empty"),
            ("{% for x in a %}x{% endfor %}", ""),
            ("{{ a }}{# {{ b }} #}", ""),
        ],
    )
    def test_it_is_empty_in_every_expression(self, tmp_path: Path, write: Write, text: str, expected: str) -> None:
        write("transform/kpi/t.sql", text)
        assert sql(load(tmp_path)) == expected

    def test_what_is_called_has_to_be_there(self, tmp_path: Path, write: Write) -> None:
        write("transform/kpi/t.sql", "{{ twice('id') }}")
        with pytest.raises(ProjectError, match=r"t\.sql: 'twice' is not defined.*macros in metadata/macros"):
            sql(load(tmp_path))

    @pytest.mark.parametrize("strict", [False, True])
    def test_comments_need_nothing(
        self, tmp_path: Path, write: Write, strict: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        write("load/shop/items.sl.yml", "# {{a}}\ntable:\n  pattern: 'items#.*'  # ${b} {{ c }}\n")
        write("transform/kpi/t.sql", "SELECT 1 -- {{a}}\n/* {{b}} */, '--'")
        project = load(tmp_path, strict)
        assert project.tables("shop")[0].pattern == "items#.*"
        assert sql(project).startswith("SELECT 1")
        assert not warnings(caplog)

    def test_comments_of_yaml_are_not_rendered(self, tmp_path: Path, write: Write) -> None:
        text = """\
        # {% if %} {{ broken |
        table:
          pattern: "a # {{x}}"  # {{ 'it'
          tags:
          - {{x}} # ${x} {# open
          - it's # {{x}}
          - |
            # {{x}}
          presql:
          - 'SELECT {{ "a # b" }} # {{x}}'
          postsql: >-
            # {{x}}

            # ${x}
          # {% broken
        """
        path = write("load/shop/items.sl.yml", text)
        (table,) = load(tmp_path, x="X").tables("shop")
        assert (table.pattern, table.tags) == ("a # X", ("X", "it's", "# X\n"))
        assert (table.presql, table.postsql) == (("SELECT a # b # X",), ("# X\n# X",))
        assert without_templates_in_comments(path.read_text()).count("\n") == path.read_text().count("\n")

    def test_a_literal_is_not_a_comment(self, tmp_path: Path, write: Write) -> None:
        write("transform/kpi/t.sql", "SELECT '-- {{a}}'")
        with pytest.raises(ProjectError, match="variable 'a'"):
            sql(load(tmp_path, True))


class TestWhenUsed:
    APPLICATION = """
        application:
          connectionRef: one
          schedulePresets: {daily: "{{CRON_OF_NOBODY}}"}
          connections:
            one: {type: jdbc, options: {url: "jdbc:duckdb:{{SL_ROOT}}/x.db"}}
            pg: {type: jdbc, options: {url: "jdbc:postgresql://{{PG_HOST}}/db", user: "{{user}}"}}
    """

    @pytest.mark.parametrize("strict", [False, True])
    def test_a_connection_that_is_not_used_needs_nothing(
        self, tmp_path: Path, write: Write, strict: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        write("application.sl.yml", self.APPLICATION)
        project = load(tmp_path, strict)
        connection = project.connection("one")
        assert connection is not None
        assert connection.options["url"] == f"jdbc:duckdb:{tmp_path}/x.db"
        assert project.connection("none") is None
        assert not warnings(caplog)

    def test_a_connection_that_is_used_says_what_it_needs(
        self, tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture
    ) -> None:
        write("env.sl.yml", "env: {user: 'u{{PG_USER}}'}")
        write("application.sl.yml", self.APPLICATION)
        connection = load(tmp_path).connection("pg")
        assert connection is not None
        assert connection.options == {"url": "jdbc:postgresql:///db", "user": "u"}
        assert [text.partition(" is not")[0].rpartition("/")[2] for text in warnings(caplog)] == [
            "application.sl.yml:7: variable 'PG_HOST'", "env.sl.yml:1: variable 'PG_USER'"
        ]  # fmt: skip
        with pytest.raises(ProjectError, match="PG_HOST"):
            load(tmp_path, True).connection("pg")

    def test_what_every_command_reads_is_used(self, tmp_path: Path, write: Write) -> None:
        write("application.sl.yml", "application: {connectionRef: '{{nobody}}'}")
        with pytest.raises(ProjectError, match="nobody"):
            load(tmp_path, True)

    def test_statements_of_a_table_are_used_by_a_load(self, tmp_path: Path, write: Write) -> None:
        write("load/shop/items.sl.yml", "table: {pattern: x, presql: [\"SELECT '{{given}}'\"]}")
        project = load(tmp_path, True)
        (table,) = project.tables("shop")
        with pytest.raises(ProjectError, match="given"):
            project.use_statements(table.path)

    def test_looking_for_a_transform_uses_no_other(
        self, tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture
    ) -> None:
        write("transform/kpi/a.sl.yml", "task: {schedule: '{{nobody}}'}")
        write("transform/kpi/b.sl.yml", "task: {name: other, schedule: '{{me}}', sql: SELECT 1}")
        assert sql(load(tmp_path), "kpi.other") == "SELECT 1"
        assert [text.partition(" is not")[0].rpartition(" ")[2] for text in warnings(caplog)] == ["'me'"]


class TestEnvFiles:
    def test_a_variable_of_another_environment_is_known_and_empty(
        self, tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture
    ) -> None:
        write("env.PROD.sl.yml", "env: {bucket: b}")
        write("transform/kpi/t.sql", "SELECT '{{bucket}}${bucket}{{ bucket | upper }}'")
        assert sql(load(tmp_path, True)) == "SELECT ''"
        assert not warnings(caplog)

    def test_which_environment(self, tmp_path: Path, write: Write) -> None:
        for name in "abc":
            write(f"env.{name}.sl.yml", f"env: {{from: {name}}}")
        write("application.sl.yml", "application:\n  env: '{{which}}'\n")
        assert "from" not in load(tmp_path).variables
        assert load(tmp_path, which="c").variables["from"] == "c"
        assert load(tmp_path, which="c").variables["SL_ENV"] == "c"
        write("env.sl.yml", "env: {SL_ENV: '{{chosen}}', chosen: b}")
        assert load(tmp_path, which="c").variables["from"] == "b"
        assert load(tmp_path, SL_ENV="a").variables["from"] == "a"
        assert "from" not in load(tmp_path, SL_ENV="None").variables
        assert Project.load(tmp_path, env="c", environ={"SL_ENV": "a"}).variables["from"] == "c"

    def test_a_flat_application_file_has_an_environment_too(self, tmp_path: Path, write: Write) -> None:
        write("env.x.sl.yml", "env: {from: x}")
        write("application.sl.yml", "env: x\n")
        assert load(tmp_path).variables["from"] == "x"

    def test_an_environment_cannot_leave_the_folder(self, tmp_path: Path, write: Write) -> None:
        (tmp_path / "env.out.sl.yml").write_text("env: {from: outside}")
        (tmp_path / "metadata" / "env.").mkdir()
        assert "from" not in load(tmp_path, SL_ENV="/../../env.out").variables

    def test_order_does_not_matter_and_an_environment_reaches_the_common_values(
        self, tmp_path: Path, write: Write
    ) -> None:
        write("env.sl.yml", "env: {path: '{{bucket}}/in', bucket: dev, upper: '{{ bucket | upper }}'}")
        write("env.PROD.sl.yml", "env: {bucket: prod}")
        assert load(tmp_path).variables["path"] == "dev/in"
        prod = load(tmp_path, SL_ENV="PROD").variables
        assert (prod["path"], prod["upper"]) == ("prod/in", "PROD")
        assert Project.load(tmp_path, variables={"bucket": "o"}, environ={}).variables["path"] == "o/in"

    def test_its_own_name_is_the_weaker_definition(self, tmp_path: Path, write: Write) -> None:
        write("env.sl.yml", "env: {HOST: '{{HOST}}', path: /common}")
        write("env.x.sl.yml", "env: {path: '{{path}}/x'}")
        variables = load(tmp_path, SL_ENV="x", HOST="h").variables
        assert (variables["HOST"], variables["path"]) == ("h", "/common/x")
        assert load(tmp_path).variables["HOST"] == ""

    def test_a_circle_is_shown(self, tmp_path: Path, write: Write) -> None:
        path = write("env.sl.yml", "env: {a: '{{b}}', b: 'x${c}', c: '{{ a }}', d: '{{a}}'}")
        with pytest.raises(ProjectError) as caught:
            load(tmp_path)
        text = str(caught.value)
        assert str(path) in text
        assert any(way in text for way in ("a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c"))

    def test_a_long_way(self, tmp_path: Path, write: Write) -> None:
        lines = "".join(f"  v{number}: '{{{{v{number + 1}}}}}'\n" for number in range(3000))
        write("env.sl.yml", f"env:\n{lines}  v3000: end\n")
        assert load(tmp_path).variables["v0"] == "end"

    def test_a_file_without_env_is_the_mapping_itself(self, tmp_path: Path, write: Write) -> None:
        write("env.sl.yml", "a: 1\nb: '{{a}}2'\n")
        assert load(tmp_path).variables["b"] == "12"


def test_what_the_application_file_decides_is_a_variable(tmp_path: Path, write: Write) -> None:
    write("application.sl.yml", "application: {datasets: '{{SL_ROOT}}/lake', area: {stage: pending}}")
    write(
        "load/shop/_config.sl.yml",
        "load: {metadata: {directory: '{{SL_DATASETS}}/{{SL_AREA_INCOMING}}/${SL_AREA_STAGE}'}}",
    )
    domain = load(tmp_path, True).domain("shop")
    assert domain is not None
    assert domain.metadata.directory == f"{tmp_path}/lake/incoming/pending"


class TestDollars:
    def test_in_sql_yaml_and_patterns(self, tmp_path: Path, write: Write) -> None:
        write("env.sl.yml", "env: {who: me, 'of-day': d, path: '${ who }/x'}")
        write("load/shop/items.sl.yml", "table: {pattern: 'items_${who}.*', rename: '${of-day}'}")
        write("transform/kpi/t.sql", "SELECT '${who}${ who }${nobody}${of-day}' {# x #} '{{who}}'")
        project = load(tmp_path)
        (table,) = project.tables("shop")
        assert (table.pattern, table.final_name) == ("items_me.*", "d")
        assert sql(project) == "SELECT 'meme${nobody}d'  'me'"
        assert project.variables["path"] == "me/x"

    def test_a_value_is_not_a_template(self, tmp_path: Path, write: Write) -> None:
        write("transform/kpi/t.sql", "SELECT '${v}' {% if true %}'{{v}}'{% endif %}")
        assert sql(load(tmp_path, v="{{SL_ROOT}}${SL_ROOT}{% x %}")) == (
            "SELECT '{{SL_ROOT}}${SL_ROOT}{% x %}' '{{SL_ROOT}}${SL_ROOT}{% x %}'"
        )


class TestJinja:
    @pytest.mark.parametrize("strict", [False, True])
    def test_macros_of_every_file_are_known(self, tmp_path: Path, write: Write, strict: bool) -> None:
        write("macros/a.j2", "{% macro twice(c) %}{{ c }}*{{ two }}{% endmacro %}text that is not copied")
        write("macros/deep/b.sql.j2", "{% macro four(c) %}{{ twice(twice(c)) }}{% endmacro %}")
        write("macros/c.sql", "{% macro third() %}3{% endmacro %}{{ nobody }}")
        write("env.sl.yml", "env: {two: 2}")
        write("transform/kpi/t.sql", "SELECT {{ four('id') }}, {{ third() }}")
        write("load/shop/items.sl.yml", "table: {pattern: \"{{ twice('x') }}\"}")
        project = load(tmp_path, strict)
        assert sql(project) == "SELECT id*2*2, 3"
        assert project.tables("shop")[0].pattern == "x*2"

    def test_a_broken_macro_file_is_named(self, tmp_path: Path, write: Write) -> None:
        write("macros/a.j2", "{# fine #}\n\n")
        broken = write("macros/b.j2", "\n{% macro x( %}")
        write("transform/kpi/t.sql", "{{ x() }}")
        with pytest.raises(ProjectError) as caught:
            sql(load(tmp_path))
        assert f"{broken}:2: the template is invalid" in str(caught.value)

    def test_a_broken_file_of_macros_matters_only_to_what_needs_it(self, tmp_path: Path, write: Write) -> None:
        write("macros/a.j2", "{% macro x(a = 1, b) %}{% endmacro %}")
        write("macros/b.j2", "{% macro y(a) %}<{{ a }}>{% endmacro %}")
        project = Project.load(tmp_path, environ={})
        assert project.render("{{ y(1) }}{{ nobody | upper }}", tmp_path) == "<1>"
        with pytest.raises(ProjectError, match=r"a\.j2:1: the template is invalid"):
            project.render("{{ z() }}", tmp_path)

    def test_macros_are_not_read_for_what_needs_none(self, tmp_path: Path, write: Write) -> None:
        write("macros/a.j2", "{% macro x( %}")
        write("transform/kpi/t.sql", "SELECT {% if true %}1{% endif %}")
        assert sql(load(tmp_path)) == "SELECT 1"

    def test_an_include_is_relative_to_metadata(self, tmp_path: Path, write: Write) -> None:
        write("parts/where.sql", "WHERE day = '{{day}}' AND x = '${day}'")
        write("parts/m.j2", "{% macro n() %}7{% endmacro %}")
        write("transform/kpi/t.sql", "{% import 'parts/m.j2' as m %}SELECT {{ m.n() }} {% include 'parts/where.sql' %}")
        assert sql(load(tmp_path, day="d")) == "SELECT 7 WHERE day = 'd' AND x = 'd'"

    @pytest.mark.parametrize("path", ["../secret", "parts/../../secret", "{absolute}", "link", "parts", "nothing.sql"])
    def test_an_include_cannot_leave_metadata(self, tmp_path: Path, write: Write, path: str) -> None:
        secret = tmp_path / "secret"
        secret.write_text("the secret")
        write("parts/x", "")
        (tmp_path / "metadata" / "link").symlink_to(secret)
        name = path.format(absolute=secret)
        write("transform/kpi/t.sql", f"{{% include '{name}' %}}")
        with pytest.raises(
            ProjectError, match=r"t\.sql: the template includes .*, which is not a file below"
        ) as caught:
            sql(load(tmp_path))
        assert "the secret" not in str(caught.value)

    @pytest.mark.parametrize(
        "text", ["{{ ''.__class__.__mro__ }}", "{{ cycler.__init__.__globals__ }}", "{{ twice.__globals__ }}"]
    )
    def test_it_is_sandboxed(self, tmp_path: Path, write: Write, text: str) -> None:
        write("macros/a.j2", "{% macro twice(c) %}{% endmacro %}")
        write("transform/kpi/t.sql", text)
        with pytest.raises(ProjectError, match=r"the template fails|is not defined"):
            sql(load(tmp_path, True))

    def test_it_is_not_imported_for_names(self, tmp_path: Path, write: Write) -> None:
        write("env.sl.yml", "env: {place: '{{SL_ROOT}}/${x}', x: 1}")
        write("macros/a.j2", "{% macro twice(c) %}{% endmacro %}")
        write("transform/kpi/t.sql", "WITH a AS (SELECT '${x}{{nobody}}') SELECT * FROM a, shop.items")
        program = (
            "import sys, pathlib, starlake_core_project as p\n"
            f"project = p.Project.load(pathlib.Path({str(tmp_path)!r}))\n"
            "assert project.sql(project.task('kpi.t')) and project.tables('shop')\n"
            "sys.exit(' '.join({'jinja2', 'sqlglot'} & sys.modules.keys()) or 0)"
        )
        subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


NAMES = st.sampled_from(["a", "b", "c", "d", "SL_ROOT", "nobody"])
PIECES = st.one_of(
    NAMES.map("{{{{{}}}}}".format),
    NAMES.map("{{{{ {} }}}}".format),
    NAMES.map("${{{}}}".format),
    st.text(alphabet="x$ {}'\"#-é\ue000", max_size=3),
)
VALUES = st.lists(PIECES, max_size=4).map("".join)


@given(
    st.permutations(["a", "b", "c", "d"]),
    st.lists(st.text(alphabet="xyz/", max_size=4), min_size=4, max_size=4),
    st.data(),
)
def test_the_order_of_definitions_does_not_matter(order: list[str], texts: list[str], data: st.DataObject) -> None:
    """Each variable uses some of those before it in one order; written down in any other, the values are the same."""
    definitions = {}
    expected: dict[str, str] = {}
    for position, (name, text) in enumerate(zip(order, texts, strict=True)):
        used = data.draw(st.lists(st.sampled_from(order[:position]), max_size=3)) if position else []
        signs = data.draw(
            st.lists(st.sampled_from(["{{%s}}", "{{ %s }}", "${%s}"]), min_size=len(used), max_size=len(used))
        )
        definitions[name] = text + "".join(sign % other for sign, other in zip(signs, used, strict=True))
        expected[name] = text + "".join(expected[other] for other in used)
    written = data.draw(st.permutations(list(definitions)))
    values, incomplete = resolved([Source(Path("env"), {name: definitions[name] for name in written})], Templates(None))
    assert values == expected
    assert not incomplete


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.dictionaries(NAMES, st.text(max_size=3), max_size=2))
def test_any_values_are_resolved_or_a_clear_error(written: dict[str, str], environ: dict[str, str]) -> None:
    with contextlib.suppress(ProjectError):  # a circle, or a broken template
        values, _ = resolved([Source(None, environ), Source(Path("env"), written)], Templates(None))
        assert values.keys() == written.keys() | environ.keys()


@given(st.text(), st.dictionaries(NAMES, st.text(), max_size=3))
def test_nothing_that_is_not_a_reference_changes(text: str, values: dict[str, str]) -> None:
    plain = text.replace("{{", "").replace("{%", "").replace("{#", "").replace("${", "")
    assert Templates(None).render(plain, Names(values), Path("x")).plain == plain


@given(st.lists(st.text(alphabet="x $}'\"#-\n\ue000\ue001é"), min_size=2, max_size=5), st.text(), st.booleans())
def test_text_around_references_stays(parts: list[str], value: str, with_jinja: bool) -> None:
    """Simple references and Jinja fill the same text in the same way."""
    signs = ["{{a}}", "${a}", "{{ nobody }}", "${nobody}"]
    expected = {"{{a}}": value, "${a}": value, "{{ nobody }}": "", "${nobody}": "${nobody}"}
    text, filled = parts[0], parts[0]
    for number, part in enumerate(parts[1:]):
        sign = signs[number % len(signs)]
        text, filled = text + sign + part, filled + expected[sign] + part
    if with_jinja:
        text += "{# more than names #}"
    rendering = Templates(None).render(text, Names({"a": value}), Path("x"))
    assert rendering.plain == filled

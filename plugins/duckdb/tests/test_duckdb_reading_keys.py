"""Keys that say how files are read and what is computed of their rows: options, filter, script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox

ATTRIBUTES = [{"name": "id", "type": "int", "required": True}, {"name": "label", "rename": "name"}]


def load(sandbox: Sandbox, content: str, **keys: Any) -> str:
    """Load a file into a table with these keys; return what went wrong."""
    document = {"pattern": "items.*", "attributes": ATTRIBUTES, **keys}
    sandbox.table("items", json.dumps({"version": 1, "table": document}))
    sandbox.staged("items1.csv", content)
    result = sandbox.run("load")
    assert bool(result.code) == bool(result.err), result.err
    return result.err


def rows(sandbox: Sandbox) -> list[tuple[Any, ...]]:
    return sandbox.query("SELECT * FROM shop.items ORDER BY id")


PLAIN = [(1, "a"), (2, "b")]


@pytest.mark.parametrize(
    ("options", "content", "wanted"),
    [
        ({"comment": "#"}, "# by hand\nid,label\n1,a\n#3,c\n2,b\n", PLAIN),
        ({"comment": "#"}, 'id,label\n1,a\n2,"b\n#c"\n', [(1, "a"), (2, "b\n#c")]),
        ({"sep": "|"}, "id|label\n1|a\n2|b\n", PLAIN),
        ({"DELIMITER": "|", "Quote": "'"}, "id|label\n1|'a'\n2|b\n", PLAIN),
        ({"header": "false"}, "1,a\n2,b\n", PLAIN),
        ({"nullValue": "-"}, "id,label\n1,-\n", [(1, None)]),
        ({"multiLine": "false"}, 'id,label\n1,"a\n2,b\n', PLAIN),
        ({"ignoreLeadingWhiteSpace": "true"}, 'id,label\n 1,a\n2, "b"\n', PLAIN),
        ({"ignoreTrailingWhiteSpace": "true"}, 'id,label\n1 ,a \n2,"b"\n', PLAIN),
        ({"mode": "permissive", "inferSchema": "true"}, "id,label\n1,a\n2,b\n", PLAIN),
    ],
)  # fmt: skip
def test_options(sandbox: Sandbox, options: dict[str, str], content: str, wanted: list[tuple[Any, ...]]) -> None:
    assert load(sandbox, content, metadata={"options": options}) == ""
    assert rows(sandbox) == wanted
    assert sandbox.query("SELECT count(*) FROM starlake_core.rejected") == [(0,)]


def test_an_encoding_among_the_options(sandbox: Sandbox) -> None:
    sandbox.table(
        "items",
        json.dumps(
            {
                "version": 1,
                "table": {
                    "pattern": "items.*",
                    "attributes": ATTRIBUTES,
                    "metadata": {"options": {"encoding": "latin1"}},
                },
            }
        ),
    )
    sandbox.staged("items1.csv", "")
    (sandbox.root / "datasets/stage/shop/items1.csv").write_bytes("id,label\n1,é\n".encode("latin-1"))
    assert sandbox.run("load").code == 0
    assert rows(sandbox) == [(1, "é")]


def test_the_options_of_the_application_are_stronger(sandbox: Sandbox) -> None:
    sandbox.write("metadata/application.sl.yml", "application: {dsvOptions: {sep: ';', comment: '#'}}")
    assert load(sandbox, "id;label\n1;a\n#\n2;b\n", metadata={"options": {"sep": "|"}}) == ""
    assert rows(sandbox) == PLAIN


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lineSep": "x"}, "the option 'lineSep' of DSV files (supported: charset, comment,"),
        ({"mode": "FAILFAST"}, "the option mode 'FAILFAST' of DSV files"),
    ],
)
def test_other_options_are_refused(sandbox: Sandbox, options: dict[str, str], said: str) -> None:
    assert said in load(sandbox, "id,label\n1,a\n", metadata={"options": options})


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("upper(name)", "A"),
        ("concat_ws('-', name, cast(id as string))", "a-1"),
        ("substring(name, 1, 1)", "a"),
        ("if(id > 1, 'many', 'one')", "one"),
        ("date_format(to_date('2024-01-31', 'yyyy-MM-dd'), 'dd/MM/yyyy')", "31/01/2024"),
    ],
)
@pytest.mark.parametrize("header", [True, False])
def test_scripts(sandbox: Sandbox, script: str, wanted: str, header: bool) -> None:
    """They are expressions of Spark about final names, and the file has no field for them."""
    attributes = [{"name": "made", "script": script}, {"name": "twice", "script": "concat(made, made)"}, *ATTRIBUTES]
    assert load(sandbox, "id,label\n" * header + "1,a\n", attributes=attributes, metadata={"withHeader": header}) == ""
    assert sandbox.query("SELECT id, name, made, twice FROM shop.items") == [(1, "a", wanted, wanted * 2)]


@pytest.mark.parametrize(
    ("filter_", "wanted"), [("name = 'a'", [1]), ("id > 1 and name is not null", [2]), ("name rlike '^[ab]$'", [1, 2])]
)
def test_a_filter(sandbox: Sandbox, filter_: str, wanted: list[int]) -> None:
    assert load(sandbox, "id,label\n1,a\n2,b\n3,\nx,a\n", filter=filter_) == ""
    assert [row[0] for row in rows(sandbox)] == wanted
    assert sandbox.query("SELECT count(*) FROM starlake_core.rejected") == [(1,)]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"filter": "nothing_of_this(name)"}, "table.filter 'nothing_of_this(name)': Catalog Error"),
        ({"filter": "other = 1"}, "table.filter 'other = 1': Binder Error"),
        ({"filter": "1; drop table x"}, "table.filter '1; drop table x', which is not one expression"),
        ({"attributes": [*ATTRIBUTES, {"name": "made", "script": "from from"}]}, "attribute 'made': script 'from from'"),
        ({"attributes": [*ATTRIBUTES, {"name": "made", "script": "name", "privacy": "MD5"}]}, "privacy of an attribute with script"),
    ],
)  # fmt: skip
def test_what_duckdb_cannot_compute_is_refused(sandbox: Sandbox, keys: dict[str, Any], said: str) -> None:
    error = load(sandbox, "id,label\n1,a\n", **keys)
    assert said in error
    assert "is not supported by the embedded DuckDB engine" in error
    assert sandbox.files("stage") == ["shop/items1.csv"]

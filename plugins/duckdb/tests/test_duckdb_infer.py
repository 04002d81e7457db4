"""infer-schema and autoload: from files to tables that load them without rejecting a row."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlake_core_duckdb.infer_table import naming

if TYPE_CHECKING:
    from conftest import Sandbox


def put(sandbox: Sandbox, name: str, content: str | bytes, domain: str = "crm") -> Path:
    path = sandbox.root / "datasets" / "incoming" / domain / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def table(sandbox: Sandbox, name: str, domain: str = "crm") -> dict[str, Any]:
    path = sandbox.root / "metadata" / "load" / domain / f"{name}.sl.yml"
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert document["version"] == 1
    found: dict[str, Any] = document["table"]
    return found


def types(found: dict[str, Any]) -> dict[str, str]:
    return {attribute["name"]: attribute["type"] for attribute in found["attributes"]}


def autoload(sandbox: Sandbox, *arguments: str, **environ: str) -> str:
    done = sandbox.run("autoload", *arguments, **environ)
    assert done.code == 0, done.err
    assert ", 0 rejected" in done.out or "loaded" not in done.out
    return done.out


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("order_20240228.csv", ("order", "APPEND")),
        ("order_line_20240228.csv", ("order_line", "APPEND")),
        ("product.xml", ("product", "OVERWRITE")),
        ("product.csv.gz", ("product", "OVERWRITE")),
        ("a-b-2024-03-01.json", ("a_b_2024_03", "APPEND")),
        ("sales.2024.csv", ("sales", "APPEND")),
        ("area51.csv", ("area51", "OVERWRITE")),
        ("v_2_final.csv", ("v_2_final", "OVERWRITE")),
    ],
)
def test_names_of_files_by_starlakes_rules(name: str, expected: tuple[str, str]) -> None:
    assert naming(Path(name)) == expected


def test_a_csv_file_becomes_a_table(sandbox: Sandbox) -> None:
    path = put(
        sandbox,
        "orders_20240228.csv",
        'id;zip;amount;paid;day;at0;at1;note;nothing\n1;01234;1.5;true;2024-02-28;2024-02-28 10:00:00;2024-02-28T10:00:00Z;"a;""b""";\n'
        "2;99999;-2;FALSE;2024-02-29;2024-02-29 00:00:00;2024-02-29T10:00:00.123+01:00;;\n",
    )
    done = sandbox.run("infer-schema", "--input", str(path))
    assert done.code == 0, done.err
    found = table(sandbox, "orders")
    assert types(found) == {
        "id": "int",
        "zip": "string",
        "amount": "double",
        "paid": "boolean",
        "day": "date",
        "at0": "timestamp",
        "at1": "iso_date_time",
        "note": "string",
        "nothing": "string",
    }
    assert found["metadata"] == {
        "format": "DSV",
        "withHeader": True,
        "separator": ";",
        "quote": '"',
        "escape": '"',
        "encoding": "UTF-8",
        "writeStrategy": {"type": "APPEND"},
    }
    assert sandbox.run("stage", "--domains", "crm").out == "staged crm: 1 file(s)\n"
    assert "2 row(s) from 1 file(s), 0 rejected" in sandbox.run("load", "--domains", "crm").out
    assert sandbox.query("SELECT id, zip, amount, paid, note FROM crm.orders ORDER BY id") == [
        (1, "01234", 1.5, True, 'a;"b"'),
        (2, "99999", -2.0, False, None),
    ]


def test_autoload_is_the_first_tutorial(sandbox: Sandbox) -> None:
    put(sandbox, "product.csv", "id,name\n1,Loaf\n2,Roll\n")
    put(sandbox, "order_20240228.json", '[{"id": 1, "lines": [{"product": 1, "n": 2}], "day": "2024-02-28"}]')
    put(sandbox, "order_line_20240228.jsonl", '{"order": 1, "line": 1}\n{"order": 1, "line": 2}\n')
    autoload(sandbox)
    assert sandbox.query("SELECT * FROM crm.product") == [(1, "Loaf"), (2, "Roll")]
    assert sandbox.query('SELECT id, lines[1].product, day::VARCHAR FROM crm."order"') == [(1, 1, "2024-02-28")]
    assert sandbox.query("SELECT * FROM crm.order_line") == [(1, 1), (1, 2)]
    assert sandbox.files("incoming") == []
    config = yaml.safe_load((sandbox.root / "metadata/load/crm/_config.sl.yml").read_text())
    assert config == {
        "version": 1,
        "load": {"name": "crm", "metadata": {"directory": "{{SL_ROOT}}/datasets/incoming/crm"}},
    }
    before = (sandbox.root / "metadata/load/crm/product.sl.yml").read_bytes()
    put(sandbox, "product.csv", "id,name\n3,Bun\n")
    put(sandbox, "order_20240229.json", '[{"id": 2, "day": "2024-02-29"}]')
    autoload(sandbox)
    assert sandbox.query("SELECT * FROM crm.product") == [(3, "Bun")]
    assert sandbox.query('SELECT id FROM crm."order" ORDER BY id') == [(1,), (2,)]
    assert (sandbox.root / "metadata/load/crm/product.sl.yml").read_bytes() == before
    assert autoload(sandbox).endswith("no files to load\n")


def test_all_files_of_a_table_decide_its_types(sandbox: Sandbox) -> None:
    put(sandbox, "t_1.csv", "id,n,d\n1,1,2024-01-01\n")
    put(sandbox, "t_2.csv", "id,n,d\n2,1.5,x\n")
    put(sandbox, "t_3.csv", "id,n,d,e\n3000000000,,,1\n")
    autoload(sandbox)
    assert types(table(sandbox, "t")) == {"id": "long", "n": "double", "d": "string", "e": "int"}
    assert sandbox.query("SELECT count(*), sum(id) FROM crm.t") == [(3, 3000000003)]


@pytest.mark.parametrize(
    ("name", "content", "metadata", "columns"),
    [
        ("a.csv", "a\tb\n1\tx,y\n", {"separator": "\t"}, {"a": "int", "b": "string"}),
        ("a.psv", "a|b\n1|2\n", {"separator": "|"}, {"a": "int", "b": "int"}),
        ("a.csv", "only\nx\ny\n", {"separator": ","}, {"only": "string"}),
        ("a.csv", "a§b\n1§x\n2§y\n", {"separator": "§"}, {"a": "int", "b": "string"}),
        ("a.csv", "1,x\n2,y\n", {"withHeader": False}, {"_c0": "int", "_c1": "string"}),
        ("a.csv", 'a,b\n1,"x\\"y, z"\n', {"escape": "\\"}, {"a": "int", "b": "string"}),
        ("a.csv", 'a,b\n1,"C:\\"\n"2","D:\\"\n', {"escape": '"'}, {"a": "int", "b": "string"}),
        ("a.csv", 'a,b\n1,"x\ny"\n', {"multiline": True}, {"a": "int", "b": "string"}),
        ("a.csv", "a,b\n1,é\n".encode("latin-1"), {"encoding": "ISO-8859-1"}, {"a": "int", "b": "string"}),
        ("a.csv", "\ufeffa,b\r\n1,2\r\n", {"encoding": "UTF-8"}, {"a": "int", "b": "int"}),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0), {"format": "DSV"}, {"a": "int", "b": "int"}),
        ("a.txt", '{"a": 1}\n{"a": 2.5}\n', {"format": "JSON_FLAT", "array": False}, {"a": "double"}),
        ("a.json", '{"a":\n "1"}\n{"a":\n null}', {"format": "JSON_FLAT", "multiline": True}, {"a": "string"}),
        ("a.json", '[{"a": {"b": 1}, "c": ["x"]}]', {"format": "JSON", "array": True}, {"a": "struct", "c": "string"}),
        (
            "a.json",
            '[{"a": 1, "b": [[1]]}, {"a": "x", "b": 2}]',
            {"format": "JSON_FLAT"},
            {"a": "variant", "b": "variant"},
        ),
        ("a.json", '[{"a": 12345678901234567890123}, {}]', {"array": True}, {"a": "double"}),
        ("a.json", '[{"a": {}}, {"a": {"b": 1}}]', {"format": "JSON"}, {"a": "struct"}),
        ("a.csv", "first name,2x,SELECT\n1,2,3\n", {}, {"first name": "int", "2x": "int", "SELECT": "int"}),
        ("a.csv", '"a";"b"\n"1";"x"\n', {"separator": ";"}, {"a": "int", "b": "string"}),
        ("a.csv", '"a"|"b, c"\n"1"|"x"\n', {"separator": "|"}, {"a": "int", "b, c": "string"}),
        ("a.tsv", '"a"\t"b"\n"x"\t"y"\n', {"separator": "\t"}, {"a": "string", "b": "string"}),
        ("a.csv", "'a';'b'\n'1';'x'\n", {"separator": ";", "quote": "'"}, {"a": "int", "b": "string"}),
        ("a.csv", 'a,b\n1,"say ""x"""\n2,\'y\'\n', {"quote": '"'}, {"a": "int", "b": "string"}),
        ("a.csv", "a,b\n1,é\n".encode("utf-16"), {"encoding": "UTF-16"}, {"a": "int", "b": "string"}),
        ("a.json", '[{"a": 1}]'.encode("utf-16"), {"encoding": "UTF-16"}, {"a": "long"}),
        ("a.csv", "a,b\n1,é\n".encode("utf-32"), {"encoding": "UTF-32"}, {"a": "int", "b": "string"}),
        ("a.csv.GZ", gzip.compress(b"a;b\n1;2\n", mtime=0), {"separator": ";"}, {"a": "int", "b": "int"}),
        ("a.csv", ",name\n0,x\n1,y\n", {"withHeader": True}, {"_c0": "int", "name": "string"}),
        ("a.csv", ",0,1\n0,7,8\n1,9,8\n", {"withHeader": True}, {"_c0": "int", "0": "int", "1": "int"}),
        (
            "a.csv",
            "2024;name;price\nX;y;1.5\n",
            {"withHeader": True},
            {"2024": "string", "name": "string", "price": "double"},
        ),
        ("a.csv", "0;1\nx;y\n", {"withHeader": True}, {"0": "string", "1": "string"}),
        ("a.csv", "name,2023,2024\nx,5,6\n", {"withHeader": True}, {"name": "string", "2023": "int", "2024": "int"}),
        ("a.csv", "name,day,\nx,2024-02-28,1\n", {"withHeader": True}, {"name": "string", "day": "date", "_c2": "int"}),
        ("a.csv", "x,2023,2024\ny,1999,2000\n", {"withHeader": False}, {"_c0": "string", "_c1": "int", "_c2": "int"}),
        ("a.csv", ",x,3\n5,y,4\n", {"withHeader": False}, {"_c0": "int", "_c1": "string", "_c2": "int"}),
        ("a.csv", "x,N/A,3\ny,7,4\n", {"withHeader": False}, {"_c0": "string", "_c1": "string", "_c2": "int"}),
        ("a.csv", "x,true\ny,false\n", {"withHeader": False}, {"_c0": "string", "_c1": "boolean"}),
        ("a.csv", "2024-02-28,x\n2024-02-29,y\n", {"withHeader": False}, {"_c0": "date", "_c1": "string"}),
        ("a.xml", "<d><r>1</r><r>2</r></d>", {"format": "XML"}, {"_VALUE": "int"}),
        ("a.xml", '<d><r x="1">t</r><r x="2"/></d>', {"format": "XML"}, {"_x": "int", "_VALUE": "string"}),
    ],
)
def test_dialects_and_layouts(
    sandbox: Sandbox, name: str, content: str | bytes, metadata: dict[str, Any], columns: dict[str, str]
) -> None:
    put(sandbox, name, content)
    autoload(sandbox)
    found = table(sandbox, "a")
    assert {key: found["metadata"].get(key) for key in metadata} == metadata
    assert types(found) == columns
    assert sandbox.query("SELECT count(*) > 0 FROM crm.a") == [(True,)]


XML = """<?xml version="1.0" encoding="ISO-8859-1"?>
<shop><note>x</note>
  <product id="1"><name>Brötchen</name><price>1.5</price><tag>a</tag><tag>b</tag><made by="x">2024-02-28</made></product>
  <product id="2"><name/><price>2</price><size><w>1</w></size></product>
</shop>"""


def test_xml(sandbox: Sandbox) -> None:
    put(sandbox, "product.xml", XML.encode("latin-1"))
    autoload(sandbox)
    found = table(sandbox, "product")
    assert found["metadata"]["format"] == "XML"
    assert found["metadata"]["options"] == {"rowTag": "product"}
    assert types(found) == {
        "_id": "int", "name": "string", "price": "double", "tag": "string", "made": "struct", "size": "struct",
    }  # fmt: skip
    assert sandbox.query("SELECT _id, name, price, tag, made._VALUE FROM crm.product ORDER BY _id") == [
        (1, "Brötchen", 1.5, ["a", "b"], "2024-02-28"),
        (2, None, 2.0, None, None),
    ]
    other = put(sandbox, "note.txt", XML.encode("latin-1"), "other")
    assert sandbox.run("infer-schema", "--input", str(other), "--rowTag", "size").code == 0
    assert types(table(sandbox, "note", "other")) == {"w": "int"}
    done = sandbox.run("infer-schema", "--input", str(other), "--rowTag", "nothing", "--clean")
    assert done.code == 1
    assert "note.txt has no element <nothing> that could be a row" in done.err


def test_xml_with_entities_is_refused(sandbox: Sandbox) -> None:
    path = put(sandbox, "a.xml", '<!DOCTYPE a [<!ENTITY e "x">]><a><b>&e;</b></a>')
    done = sandbox.run("infer-schema", "--input", str(path))
    assert done.code == 1
    assert "declares or uses entities" in done.err


def test_parquet(sandbox: Sandbox) -> None:
    path = put(sandbox, "a_1.parquet", "")
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT 1::SMALLINT AS s, 2::BIGINT AS b, 1.25::DECIMAL(10, 2) AS d, true AS t, DATE '2024-02-28' AS day, "
            "TIMESTAMP '2024-02-28 10:00:00' AS at0, 'x' AS text, [1, 2] AS l, {'x': 'y'} AS o) TO '"
            + str(path)
            + "' (FORMAT parquet)"
        )
    autoload(sandbox)
    found = table(sandbox, "a")
    assert found["metadata"] == {"format": "PARQUET", "writeStrategy": {"type": "APPEND"}}
    assert types(found) == {
        "s": "short", "b": "long", "d": "decimal", "t": "boolean", "day": "date", "at0": "timestamp", "text": "string", "l": "long", "o": "struct",
    }  # fmt: skip
    assert sandbox.query("SELECT s, b, d::DOUBLE, t, day::VARCHAR, text, l, o.x FROM crm.a") == [
        (1, 2, 1.25, True, "2024-02-28", "x", [1, 2], "y")
    ]


def test_files_in_an_archive(sandbox: Sandbox) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("one/x.csv", "id;n\n1;2\n")
        archive.writestr("two/y.csv.gz", gzip.compress(b"id;n\n2;x\n", mtime=0))
    put(sandbox, "a.zip", data.getvalue())
    autoload(sandbox)
    assert types(table(sandbox, "a")) == {"id": "int", "n": "string"}
    assert sandbox.query("FROM crm.a ORDER BY id") == [(1, "2"), (2, "x")]


def test_a_compressed_parquet_file(sandbox: Sandbox, tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("COPY (SELECT 1 AS id) TO '" + str(tmp_path / "plain") + "' (FORMAT parquet)")
    put(sandbox, "a.parquet.gz", gzip.compress((tmp_path / "plain").read_bytes(), mtime=0))
    autoload(sandbox)
    assert sandbox.query("FROM crm.a") == [(1,)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "n,f,d,b\n1,1.5,2024-02-28,true\n,,,\n2,2,2024-02-29,false\n"),
        ("a.xml", "<d><r><n>1</n><f>1.5</f><d>2024-02-28</d><b>true</b></r><r/><r><n/></r></d>"),
        ("a.json", '{"n": 1, "f": 1.5, "d": "2024-02-28", "b": true}\n{}\n{"d": null}\n'),
    ],
)
def test_a_missing_value_decides_no_type(sandbox: Sandbox, name: str, content: str) -> None:
    put(sandbox, name, content)
    autoload(sandbox)
    found = types(table(sandbox, "a"))
    assert found == {"n": "long" if name == "a.json" else "int", "f": "double", "d": "date", "b": "boolean"}


@pytest.mark.parametrize("environ", [{}, {"SL_DUCKDB_COMPAT": "starlake"}])
def test_names_that_are_words_of_sql(sandbox: Sandbox, environ: dict[str, str]) -> None:
    put(sandbox, "a.csv", "select,Order,name,_select\n1,2,3,4\n")
    put(sandbox, "b.json", '{"end": 1, "o": {"from": 2}}\n')
    autoload(sandbox, **environ)
    assert sandbox.query("SELECT _select, _order, name, _select_1 FROM crm.a") == [(1, 2, 3, 4)]
    assert sandbox.query("SELECT _end, o._from FROM crm.b") == [(1, 2)]


def test_column_names_that_a_database_can_take(sandbox: Sandbox) -> None:
    put(sandbox, "a.csv", "first name,2x,Id,id,%\n1,2,3,4,5\n")
    autoload(sandbox)
    assert sandbox.query("SELECT first_name, _2x, Id, id_1, _column FROM crm.a") == [(1, 2, 3, 4, 5)]


def test_an_existing_file_is_kept_without_clean(sandbox: Sandbox) -> None:
    put(sandbox, "items.csv", "id,label\n1,a\n", "shop")
    kept = (sandbox.root / "metadata/load/shop/items.sl.yml").read_text()
    config = (sandbox.root / "metadata/load/shop/_config.sl.yml").read_text()
    command = ("infer-schema", "--input", "datasets/incoming/shop")
    done = sandbox.run(*command)
    assert done.code == 0
    assert "shop.items is already defined in" in done.out
    assert (sandbox.root / "metadata/load/shop/items.sl.yml").read_text() == kept
    assert sandbox.run(*command, "--clean").code == 0
    assert types(table(sandbox, "items", "shop")) == {"id": "int", "label": "string"}
    assert (sandbox.root / "metadata/load/shop/_config.sl.yml").read_text() == config


def test_the_options(sandbox: Sandbox) -> None:
    path = put(sandbox, "x.dat", "id;é\n1;2\n".encode("utf-16"))
    done = sandbox.run(
        "infer-schema", "--input", str(path), "--domain", "other", "--table", "t", "--outputDir", "aside", "--write", "append",
        "--format", "DSV", "--encoding", "UTF-16",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = yaml.safe_load((sandbox.root / "aside/other/t.sl.yml").read_text(encoding="utf-8"))["table"]
    assert found["metadata"]["writeStrategy"] == {"type": "APPEND"}
    assert types(found) == {"id": "int", "é": "int"}
    assert sorted(path.name for path in (sandbox.root / "aside/other").iterdir()) == ["_config.sl.yml", "t.sl.yml"]


@pytest.mark.parametrize(
    ("name", "content", "arguments", "message"),
    [
        ("a.csv", "a,é\n".encode("utf-16-be"), (), "a.csv is not text"),
        ("a.zip", b"PK\x05\x06" + bytes(18), (), "there is no file in a.zip"),
        ("a.tar.gz", b"x", (), "use .gz or .zip"),
        ("a.csv", "", (), "a.csv is empty, so nothing can be inferred from it"),
        ("a.json", "[]", (), "a.json has no JSON objects"),
        ("a.json", "{x", (), "a.json cannot be read as JSON"),
        ("a.csv.gz", gzip.compress(b"a\n1\n" * 99, mtime=0)[:20], (), "a.csv.gz cannot be decompressed"),
        ("a.csv", "{{x}},b\n1,2\n", (), "would take for a variable"),
        ("a.csv", "a\n1\n", ("--format", "POSITION"), "use one of DSV"),
        ("a.csv", "a\n1\n", ("--write", "MERGE"), "use one of APPEND, OVERWRITE"),
        ("a.csv", "a\n1\n", ("--variant",), "infer-schema --variant is not supported"),
        ("a.csv", "a\n1\n", ("--encoding", "nope"), "--encoding 'nope' is unknown"),
        ("a.csv", b"a\n\xe9\n", ("--encoding", "UTF-8"), "a.csv is not written in UTF-8"),
        ("a.csv", "a\n1\n", ("--table", "../x"), "cannot be the name of a table"),
    ],
)
def test_what_cannot_be_inferred(
    sandbox: Sandbox, name: str, content: str | bytes, arguments: tuple[str, ...], message: str
) -> None:
    path = put(sandbox, name, content)
    done = sandbox.run("infer-schema", "--input", str(path), *arguments)
    assert done.code == 1
    assert message in done.err
    assert not (sandbox.root / "metadata/load/crm").exists()
    assert not list((sandbox.root / "datasets").glob(".*"))
    assert sandbox.run("infer-schema", "--input", "nowhere.csv").code == 1


def test_a_domain_that_fails_stops_autoload_before_anything_is_loaded(sandbox: Sandbox) -> None:
    put(sandbox, "a.csv", "id\n1\n")
    put(sandbox, "b.json", "{x")
    done = sandbox.run("autoload")
    assert done.code == 1
    assert "crm.b: b.json cannot be read as JSON" in done.err
    assert sandbox.files("incoming") == ["crm/a.csv", "crm/b.json"]
    assert not (sandbox.root / "datasets/duckdb.db").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("b.csv", b""),
        ("b.csv", b"\xef\xbb\xbf\r\n"),
        ("b.json", b"[]"),
        ("b.xml", b" \n"),
        ("b.parquet", b""),
        ("b.csv.gz", gzip.compress(b"", mtime=0)),
        ("a.ack", b""),
        ("a.ack", b"complete"),
        ("a.csv.ack", b""),
    ],
)
def test_a_file_without_data_stops_nothing(sandbox: Sandbox, name: str, content: bytes) -> None:
    put(sandbox, "a.csv", "id\n1\n")
    put(sandbox, name, content)
    command = ("infer-schema", "--input", "datasets/incoming/crm")
    assert sandbox.run(*command).code == 0
    autoload(sandbox)
    assert sandbox.query("FROM crm.a") == [(1,)]
    assert sandbox.files("incoming") == [f"crm/{name}"]
    assert not (sandbox.root / "metadata/load/crm/b.sl.yml").exists()


def test_an_empty_file_among_others_of_a_table(sandbox: Sandbox) -> None:
    put(sandbox, "a_1.csv", "")
    put(sandbox, "a_2.csv", "id\n1\n")
    autoload(sandbox)
    assert sandbox.query("FROM crm.a") == [(1,)]
    assert sandbox.files("incoming") == []


def test_an_interrupted_command_is_completed(sandbox: Sandbox) -> None:
    put(sandbox, "a.csv", "id\n1\n")
    assert sandbox.run("infer-schema", "--input", "datasets/incoming/crm").code == 0
    (sandbox.root / "metadata/load/crm/_config.sl.yml").unlink()  # it is written last
    autoload(sandbox)
    assert sandbox.query("SELECT id FROM crm.a") == [(1,)]


def test_domains_and_tables(sandbox: Sandbox) -> None:
    put(sandbox, "a.csv", "id\n1\n")
    put(sandbox, "b.csv", "id\n1\n")
    put(sandbox, "c.csv", "id\n1\n", "hr")
    assert sandbox.run("autoload", "--domains", "crm", SL_DUCKDB_COMPAT="starlake").code == 1
    autoload(sandbox, "--domains", "crm", "--tables", "a")
    assert sandbox.files("incoming") == ["crm/b.csv", "hr/c.csv"]
    autoload(sandbox, "--domains", "hr")
    assert sandbox.query("SELECT id FROM hr.c") == [(1,)]


def test_the_folder_of_starlakes_guide(sandbox: Sandbox) -> None:
    assert "is not a folder; put the files of a domain into" in sandbox.run("autoload").err or True
    sandbox.write("incoming/crm/a.csv", "id\n1\n")
    (sandbox.root / "incoming/shop").mkdir(parents=True, exist_ok=True)
    autoload(sandbox)
    assert sandbox.query("SELECT id FROM crm.a") == [(1,)]


CELL = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=6) | st.sampled_from(
    ["", "1", "-0", "007", "1.5", "1e3", ".5", "true", "No", "2024-02-30", "2024-02-29", "2024-02-29 25:00:00", "3000000000",
     "99999999999999999999", "a,b", 'a"b', "2024-02-29T10:00:00Z", " x ", "NULL", "NaN", "inf", "1_000", "+5"]
)  # fmt: skip


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=6))
def test_any_csv_file_is_loaded_whole(sandbox: Sandbox, rows: list[list[str]]) -> None:
    import csv
    import io
    import shutil

    shutil.rmtree(sandbox.root / "datasets", ignore_errors=True)
    shutil.rmtree(sandbox.root / "metadata/load/crm", ignore_errors=True)
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(
        [["k", "a", "b", "c"], *([str(n), *row] for n, row in enumerate(rows))]
    )
    put(sandbox, "t.csv", out.getvalue())
    autoload(sandbox)
    assert sandbox.query("SELECT k FROM crm.t ORDER BY k") == [(n,) for n in range(len(rows))]
    for index, name in enumerate(("a", "b", "c")):
        if types(table(sandbox, "t"))[name] == "string":
            wanted = [row[index] or None for row in rows]
            assert [value for (value,) in sandbox.query(f"SELECT {name} FROM crm.t ORDER BY k")] == wanted


SCALAR = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.sampled_from(["x", "2024-02-29", "", "1"])
OBJECT = st.dictionaries(st.sampled_from(["x", "y"]), SCALAR)
RECORD = st.dictionaries(st.sampled_from(["a", "b", "c"]), SCALAR | st.lists(SCALAR, max_size=2) | OBJECT, max_size=3)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(RECORD, min_size=1, max_size=5), st.booleans())
def test_any_json_file_is_loaded_whole(sandbox: Sandbox, records: list[dict[str, Any]], array: bool) -> None:
    import shutil

    shutil.rmtree(sandbox.root / "datasets", ignore_errors=True)
    shutil.rmtree(sandbox.root / "metadata/load/crm", ignore_errors=True)
    numbered = [{"k": n, **record} for n, record in enumerate(records)]
    put(sandbox, "t.json", json.dumps(numbered) if array else "\n".join(json.dumps(record) for record in numbered))
    autoload(sandbox)
    assert sandbox.query("SELECT k FROM crm.t ORDER BY k") == [(n,) for n in range(len(records))]

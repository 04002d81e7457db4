"""Files of the format XML: elements that are rows, in documents that are not trusted."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox

ITEMS = """
    table:
      pattern: "items.*"
      attributes:
        - {name: _id, type: int, required: true}
        - {name: label, type: string}
        - {name: price, type: double}
        - name: maker
          type: struct
          attributes:
            - {name: _VALUE, type: string}
            - {name: _country, type: string}
        - {name: tag, type: string, array: true}
        - name: sizes
          type: struct
          array: true
          attributes:
            - {name: _unit, type: string}
            - {name: value, type: int, array: true}
      metadata: {format: XML, options: {rowTag: item}}
"""
FLAT = """
    table:
      pattern: "items.*"
      attributes:
        - {name: id, type: int, required: true}
        - {name: label, type: string}
      metadata: {format: XML, options: {rowTag: r, OPTIONS}}
"""


def load(sandbox: Sandbox, data: bytes, name: str = "items.xml", **environ: str) -> str:
    sandbox.staged(name, "").write_bytes(data)
    result = sandbox.run("load", **environ)
    assert result.code == 0, result.err
    return result.out + result.err


def rows(sandbox: Sandbox, columns: str = "*") -> list[tuple[object, ...]]:
    return sandbox.query(f"SELECT {columns} FROM shop.items")


def rejected(sandbox: Sandbox) -> list[tuple[object, ...]]:
    return sandbox.query("SELECT file, row_number, record, errors FROM starlake_core.rejected ORDER BY ALL")


def flat(sandbox: Sandbox, options: str = "attributePrefix: _") -> None:
    sandbox.table("items", FLAT.replace("OPTIONS", options))


def test_attributes_nested_elements_and_lists_have_the_names_of_spark(sandbox: Sandbox) -> None:
    sandbox.table("items", ITEMS)
    load(
        sandbox,
        b"""<?xml version="1.0"?>
        <!DOCTYPE items>
        <items made="today"><!-- a comment -->
          <item id="1"><label>a &lt; b &#233; <![CDATA[<c>]]></label><price currency="EUR">1.5</price>
            <maker country="FR">Dupont</maker><tag>x</tag><other><item id="9"/></other><tag>y</tag>
            <sizes unit="cm"><value>1</value><value>2</value></sizes><sizes unit="in"><value>3</value></sizes></item>
          <group><item id="2"><tag>z</tag></item></group>
          <item id="3"/>
        </items>""",
    )
    assert rows(sandbox) == [
        (
            1,
            "a < b é <c>",
            1.5,
            {"_VALUE": "Dupont", "_country": "FR"},
            ["x", "y"],
            [{"_unit": "cm", "value": [1, 2]}, {"_unit": "in", "value": [3]}],
        ),
        (2, None, None, {"_VALUE": None, "_country": None}, ["z"], None),
        (3, None, None, {"_VALUE": None, "_country": None}, None, None),
    ]


def test_wrong_rows_are_rejected_by_their_number(sandbox: Sandbox) -> None:
    flat(sandbox)
    out = load(
        sandbox,
        b"<d><r><id>1</id></r><r><id>x</id><label>a</label></r><r><label>b</label></r>"
        b"<r><id>4</id><label>b</label><label>c</label></r><r><id>5</id><label><b>c</b></label></r><r><id>6</id></r></d>",
    )
    assert "2 row(s) from 1 file(s), 4 rejected" in out
    assert rows(sandbox, "id") == [(1,), (6,)]
    found = rejected(sandbox)
    assert [row[:2] for row in found] == [("items.xml", number) for number in (2, 3, 4, 5)]
    assert json.loads(str(found[0][2])) == {"id": "x", "label": "a"}
    assert json.loads(str(found[2][2])) == {"id": "4", "label": "c"}
    assert "label: it occurs several times" in str(found[2][3])
    assert "label: it holds the element 'b'" in str(found[3][3])


@pytest.mark.parametrize(
    ("options", "data", "label"),
    [
        ("valueTag: x", b"<r><id>1</id><label></label></r>", None),
        ("nullValue: '-'", b"<r><id>1</id><label>-</label></r>", None),
        ("nullValue: '-'", b"<r><id>1</id><label> - </label></r>", " - "),
        ("ignoreSurroundingSpaces: true", b"<r><id> 1 </id><label> a b </label></r>", "a b"),
        ("ignoreNamespace: true", b"<r xmlns:x='u'><x:id>1</x:id><x:label>a</x:label></r>", "a"),
        ("ignoreNamespace: false", b"<r xmlns:x='u'><id>1</id><x:label>a</x:label></r>", None),
        (
            "ignoreNamespace: false",
            b"<r xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'><id>1</id><label xsi:nil='true'/></r>",
            None,
        ),
    ],
)
def test_options(options: str, data: bytes, label: str | None, sandbox: Sandbox) -> None:
    flat(sandbox, options)
    load(sandbox, b"<d>" + data + b"</d>")
    assert rows(sandbox) == [(1, label)]


def test_an_empty_element_may_be_an_empty_text(sandbox: Sandbox) -> None:
    sandbox.table("items", FLAT.replace("OPTIONS}", "valueTag: x}, emptyIsNull: false"))
    load(sandbox, b"<d><r><id>1</id><label/></r></d>")
    assert rows(sandbox) == [(1, "")]


@pytest.mark.parametrize(
    ("encoding", "prolog", "declared"),
    [
        ("latin-1", "ISO-8859-1", None),
        ("latin-1", None, "ISO-8859-1"),
        ("utf-16", "UTF-16", None),
        ("utf-8-sig", None, None),
        ("utf-16", "UTF-16", "UTF-16"),
    ],
)
def test_encodings(encoding: str, prolog: str | None, declared: str | None, sandbox: Sandbox) -> None:
    metadata = f"rowTag: r}}, encoding: {declared}" if declared else "rowTag: r}"
    sandbox.table("items", FLAT.replace("rowTag: r, OPTIONS}", metadata))
    head = f'<?xml version="1.0" encoding="{prolog}"?>' if prolog else ""
    load(sandbox, f"{head}<d><r><id>1</id><label>Zoé</label></r></d>".encode(encoding))
    assert rows(sandbox) == [(1, "Zoé")]


def test_a_compressed_file(sandbox: Sandbox) -> None:
    flat(sandbox)
    load(sandbox, gzip.compress(b"<d><r><id>1</id></r></d>"), name="items.xml.gz")
    assert rows(sandbox) == [(1, None)]


def test_an_empty_file_and_an_empty_document_have_no_rows(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    flat(sandbox)
    assert "0 row(s)" in load(sandbox, b" \n", name="items1.xml")
    assert "0 row(s)" in load(sandbox, b"<d></d>", name="items2.xml")
    assert not caplog.messages
    assert "0 row(s)" in load(sandbox, b"<d><q/></d>", name="items3.xml")
    assert caplog.messages == [
        "items3.xml has no element <r>, so there are no rows in it; it has <q>. Is the option rowTag right?"
    ]


def test_an_encoding_of_several_bytes_is_named_by_the_table(sandbox: Sandbox) -> None:
    data = '<?xml version="1.0" encoding="Shift_JIS"?><d><r><id>1</id><label>日本</label></r></d>'.encode("shift_jis")
    flat(sandbox)
    sandbox.staged("items.xml", "").write_bytes(data)
    assert "name the encoding in metadata.encoding" in sandbox.run("load").err
    sandbox.table("items", FLAT.replace("OPTIONS}", "valueTag: x}, encoding: Shift_JIS"))
    assert sandbox.run("load").code == 0
    assert rows(sandbox) == [(1, "日本")]


BOMB = b'<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><d><r><id>1</id><label>&b;</label></r></d>'
EXTERNAL = b'<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/hostname">]><d><r><id>1</id><label>&a;</label></r></d>'
UNKNOWN = b'<!DOCTYPE d SYSTEM "http://nowhere/d.dtd"><d><r><id>1</id><label>&a;</label></r></d>'
PARAMETER = b'<!DOCTYPE d [<!ENTITY % a SYSTEM "file:///etc/hostname"> %a;]><d><r><id>1</id></r></d>'


@pytest.mark.parametrize("data", [BOMB, EXTERNAL, UNKNOWN, PARAMETER])
def test_entities_are_refused(data: bytes, sandbox: Sandbox) -> None:
    flat(sandbox)
    sandbox.staged("items.xml", "").write_bytes(data)
    result = sandbox.run("load")
    assert result.code == 1
    assert "items.xml declares or uses entities" in result.err
    assert sandbox.files("stage") == ["shop/items.xml"]


def test_a_broken_document_loads_nothing(sandbox: Sandbox) -> None:
    flat(sandbox)
    for number, data in enumerate([b"<d><r><id>1</id></r><r>", b"<d><r><id>1</id></r></e>", b"<d>\xff</d>", b"no xml"]):
        sandbox.staged("items.xml", "").write_bytes(data)
        result = sandbox.run("load")
        assert result.code == 1, number
        assert "items.xml is not well-formed XML" in result.err
        assert sandbox.files("stage") == ["shop/items.xml"]
        assert sandbox.files("ingesting") == []


def test_deep_elements_are_refused_or_skipped(sandbox: Sandbox) -> None:
    sandbox.table("items", FLAT.replace("type: string", "type: variant").replace("OPTIONS", "valueTag: x"))
    deep = b"<a>" * 5000 + b"</a>" * 5000
    load(sandbox, b"<d><r><id>1</id><unknown>" + deep + b"</unknown></r></d>")
    sandbox.staged("items.xml", "").write_bytes(b"<d><r><id>1</id><label>" + deep + b"</label></r></d>")
    assert "levels deep" in sandbox.run("load").err


def test_a_variant_keeps_everything(sandbox: Sandbox) -> None:
    sandbox.table("items", FLAT.replace("type: string", "type: variant").replace("OPTIONS", "valueTag: x"))
    load(sandbox, b"<d><r><id>1</id><label a='1'><b>2</b><b>3</b>t</label></r></d>")
    assert json.loads(str(rows(sandbox)[0][1])) == {"_a": "1", "b": ["2", "3"], "x": "t"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("rowTag: ''", "add metadata.options: {rowTag: NAME}"),
        ("rowTag: r, mode: DROPMALFORMED", "metadata.options.mode of the format XML (supported: attributePrefix"),
    ],
)
def test_options_that_are_refused(options: str, message: str, sandbox: Sandbox) -> None:
    sandbox.table("items", FLAT.replace("rowTag: r, OPTIONS", options))
    sandbox.staged("items.xml", "<d/>")
    result = sandbox.run("load")
    assert result.code == 1
    assert message in result.err

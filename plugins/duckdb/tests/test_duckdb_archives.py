"""Compressed files and archives, which may come from somebody who is not trusted."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Result, Sandbox

ITEMS = """
    table:
      pattern: "items.*"
      attributes:
        - {name: id, type: int, required: true, position: {first: 0, last: 2}}
        - {name: label, type: string, position: {first: 3, last: 9}}
      metadata: {FORMAT}
"""
FORMATS = {
    "DSV": ("format: DSV", b"id,label\n1,a\nx,b\n2,c\n"),
    "JSON": ("format: JSON", b'{"id": 1, "label": "a"}\n{"id": "x", "label": "b"}\n{"id": 2, "label": "c"}\n'),
    "JSON_FLAT": ("format: JSON_FLAT", b'{"id": 1, "label": "a"}\n{"id": "x"}\n{"id": 2, "label": "c"}\n'),
    "JSON_ARRAY": ("format: JSON_ARRAY", b'[{"id": 1, "label": "a"}, {"id": "x"},\n {"id": 2, "label": "c"}]'),
    "POSITION": ("format: POSITION", b"001a\n00xb\n002c\n"),
    "XML": ("format: XML, options: {rowTag: r}",
            b"<d><r><id>1</id><label>a</label></r><r/><r><id>2</id><label>c</label></r></d>"),
}  # fmt: skip


def zipped(**files: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def load(sandbox: Sandbox, kind: str, data: bytes, name: str = "items.zip", **environ: str) -> Result:
    sandbox.table("items", ITEMS.replace("FORMAT", FORMATS[kind][0]))
    sandbox.staged(name, "").write_bytes(data)
    return sandbox.run("load", **environ)


def rejected(sandbox: Sandbox) -> list[tuple[object, ...]]:
    return sandbox.query("SELECT file, row_number FROM starlake_core.rejected ORDER BY ALL")


def leftovers(sandbox: Sandbox) -> list[Path]:
    return [
        path
        for path in (sandbox.root / "datasets").rglob("*")
        if path.is_file() and path.suffix in (".work", ".gz", ".json")
    ]


@pytest.mark.parametrize("kind", FORMATS)
def test_the_files_of_an_archive_are_loaded_one_after_the_other(kind: str, sandbox: Sandbox) -> None:
    data = FORMATS[kind][1]
    result = load(
        sandbox, kind, zipped(**{"b.txt": data, "in/a.gz": gzip.compress(data), ".DS_Store": b"x", "__MACOSX/b": b"x"})
    )
    assert "4 row(s) from 1 file(s), 2 rejected" in result.out, result.err
    assert sandbox.query("SELECT * FROM shop.items ORDER BY ALL") == [(1, "a"), (1, "a"), (2, "c"), (2, "c")]
    assert rejected(sandbox) == [("items.zip/b.txt", 2), ("items.zip/in/a.gz", 2)]
    assert sandbox.files("archive") == ["shop/items.zip"]
    assert sandbox.files("ingesting") == []


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        *((kind, "README") for kind in FORMATS),
        *(("DSV", name) for name in ("docs/readme.TXT", "LICENSE.md", "a.pdf", "a.csv.md5", "a.ack", "_SUCCESS")),
    ],
)
def test_files_of_an_archive_that_are_no_data_are_left_out(
    kind: str, other: str, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    result = load(sandbox, kind, zipped(**{other: b"This is not data.", "b.txt": FORMATS[kind][1]}))
    assert "2 row(s) from 1 file(s), 1 rejected" in result.out, result.err
    assert f"items.zip: {other} is not a data file of the table, and is not loaded" in caplog.text


@pytest.mark.parametrize(
    ("kind", "name", "other"), [("DSV", "a.csv", "a.json"), ("JSON", "a.jsonl.gz", "a.csv"), ("XML", "a.xml", "a.json")]
)
def test_files_of_another_format_are_left_out(kind: str, name: str, other: str, sandbox: Sandbox) -> None:
    data = FORMATS[kind][1]
    result = load(sandbox, kind, zipped(**{name: gzip.compress(data) if name.endswith("gz") else data, other: b"x"}))
    assert "2 row(s) from 1 file(s), 1 rejected" in result.out, result.err


def test_a_document_alone_in_an_archive_is_data(sandbox: Sandbox) -> None:
    assert "2 row(s) from 1 file(s), 1 rejected" in load(sandbox, "DSV", zipped(README=FORMATS["DSV"][1])).out


@pytest.mark.parametrize(("kind", "padding"), [*((kind, 512) for kind in FORMATS), ("DSV", 1), ("DSV", 7), ("DSV", 8)])
def test_zeros_after_the_end_of_gzip_mean_nothing(kind: str, padding: int, sandbox: Sandbox) -> None:
    data = FORMATS[kind][1]
    packed = gzip.compress(data[:20]) + gzip.compress(data[20:]) + bytes(padding)
    result = load(sandbox, kind, packed, "items.gz")
    assert "2 row(s) from 1 file(s), 1 rejected" in result.out, result.err
    assert (sandbox.root / "datasets/archive/shop/items.gz").read_bytes() == packed


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["items.gz", "items.GZ"])
def test_a_file_compressed_with_gzip(name: str, kind: str, sandbox: Sandbox) -> None:
    result = load(sandbox, kind, gzip.compress(FORMATS[kind][1]), name)
    assert "2 row(s) from 1 file(s), 1 rejected" in result.out, result.err
    assert rejected(sandbox) == [(name, 2)]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["items.zip", "items.gz"])
def test_what_comes_out_is_bounded(name: str, kind: str, sandbox: Sandbox) -> None:
    data = FORMATS[kind][1] + b" " * 3_000_000
    packed = gzip.compress(data) if name.endswith("gz") else zipped(a=data[:1_500_000], b=data[1_500_000:])
    result = load(sandbox, kind, packed, name, SL_DUCKDB_MAX_DECOMPRESSED="2M")
    assert result.code == 1
    assert f"{name} becomes larger than 2097152 bytes" in result.err
    assert sandbox.files("stage") == [f"shop/{name}"]
    assert sandbox.files("ingesting") == []


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["items.zip", "items.gz"])
def test_a_broken_file_is_named_and_loads_nothing(name: str, kind: str, sandbox: Sandbox) -> None:
    data = FORMATS[kind][1] * 100
    packed = gzip.compress(data) if name.endswith("gz") else zipped(a=data)
    for broken in (packed[: len(packed) // 2], b"nothing of the kind"):
        result = load(sandbox, kind, broken, name)
        assert result.code == 1
        assert name in result.err
        assert "Traceback" not in result.err
        assert sandbox.files("stage") == [f"shop/{name}"]


def test_names_in_an_archive_lead_nowhere(sandbox: Sandbox) -> None:
    data = FORMATS["DSV"][1]
    outside = [f"{'../' * 12}escaped.csv", "/escaped.csv", "C:\\escaped.csv", "a/../../escaped.csv"]
    result = load(sandbox, "DSV", zipped(**dict.fromkeys(outside, data)))
    assert "8 row(s)" in result.out, result.err
    assert not list(sandbox.root.parent.rglob("escaped.csv"))
    assert not Path("/escaped.csv").exists()


def link() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        entry = zipfile.ZipInfo("a.csv")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/hostname")
    return data.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped(a=b"id\n1\n"))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (link(), "items.zip holds the link a.csv"),
        (encrypted(), "items.zip is encrypted"),
        (zipped(**{"b.zip": b""}), "items.zip holds the archive b.zip"),
        (zipped(**{f"{number}.csv": b"" for number in range(10_001)}), "more than 10000 files"),
    ],
)
def test_archives_that_are_refused(data: bytes, message: str, sandbox: Sandbox) -> None:
    result = load(sandbox, "DSV", data)
    assert result.code == 1
    assert message in result.err
    assert sandbox.files("stage") == ["shop/items.zip"]


@pytest.mark.parametrize("name", ["items.tar.gz", "items.tgz", "items.csv.bz2", "items.7z", "items.ZST"])
def test_other_compressions_are_refused_by_name(name: str, sandbox: Sandbox) -> None:
    result = load(sandbox, "DSV", FORMATS["DSV"][1], name)
    assert result.code == 1
    assert f"{name} is compressed in a way that this engine does not read; use .gz or .zip" in result.err


def test_an_archive_without_files_has_no_rows(sandbox: Sandbox) -> None:
    assert "0 row(s) from 1 file(s)" in load(sandbox, "DSV", zipped()).out

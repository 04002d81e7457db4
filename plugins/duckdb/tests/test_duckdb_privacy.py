"""privacy: values that must not be seen are in no table, message or temporary file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlake_core_duckdb import dsv_copy

if TYPE_CHECKING:
    from conftest import Sandbox

SECRET = "Bobby Tables"
TABLE = """
table:
  pattern: "people.*"
  attributes:
    - {{name: id, type: int, required: true}}
    - {{name: name, type: {type}, privacy: {privacy}{more}}}
  metadata: {{format: {format}}}
"""


def people(sandbox: Sandbox, privacy: str, kind: str = "string", form: str = "DSV", more: str = "") -> None:
    sandbox.write("metadata/types/types.sl.yml", "types: [{name: word, primitiveType: string, pattern: '[A-Za-z ]+'}]")
    sandbox.table("people", TABLE.format(type=kind, privacy=privacy, format=form, more=more))


def everything(sandbox: Sandbox) -> bytes:
    """The content of every file of the project but the data files themselves."""
    places = [path for path in sandbox.root.rglob("*") if path.is_file() and "people" not in path.name]
    return b"".join(path.read_bytes() for path in places)


@pytest.mark.parametrize(
    ("privacy", "wanted"),
    [
        ("HIDE", ""),
        ("hide10X", "X" * 10),
        ("MD5", hashlib.md5(SECRET.encode()).hexdigest()),
        ("SHA1", hashlib.sha1(SECRET.encode()).hexdigest()),
        ("sha256", hashlib.sha256(SECRET.encode()).hexdigest()),
        ("SHA512", hashlib.sha512(SECRET.encode()).hexdigest()),
        ("initials", "B.T."),
    ],
)
@pytest.mark.parametrize("environ", [{}, {"SL_DUCKDB_COMPAT": "starlake"}])
@pytest.mark.parametrize(
    ("form", "name", "content"),
    [
        ("DSV", "people.csv", f"id,name\n1,{SECRET}\n2,\n"),
        ("DSV", "people.csv", f"id,name\n1,{SECRET},more\n2\n"),  # only as a copy
        ("JSON", "people.json", f'{{"id": 1, "name": "{SECRET}"}}\n{{"id": 2}}\n'),
    ],
)
def test_values_are_masked(
    sandbox: Sandbox, privacy: str, wanted: str, environ: dict[str, str], form: str, name: str, content: str
) -> None:
    people(sandbox, privacy, form=form)
    sandbox.staged(name, content)
    result = sandbox.run("load", **environ)
    assert result.code == 0, result.err
    assert sandbox.query("SELECT * FROM shop.people ORDER BY id") == [(1, wanted), (2, None)]
    assert SECRET.encode() not in everything(sandbox)


BOTH = ["id: a value is not a valid int", "name: a value is not a valid word"]


@pytest.mark.parametrize(
    ("form", "content", "faults"),
    [
        ("DSV", f"id,name\n{SECRET},{SECRET}\n3,{SECRET}9\n", BOTH),
        ("DSV", f"id,name\n{SECRET},x,{SECRET}\n3,{SECRET}9,y\n", BOTH),
        ("JSON", f'{{"id": "{SECRET}"}}\n{{"id": 3, "name": "{SECRET}9"}}\n', BOTH),
        ("JSON", f'{{"id": 1, "name": "{SECRET}\n', ["the line is not valid JSON"]),
    ],
)  # fmt: skip
def test_rejected_rows_show_nothing(sandbox: Sandbox, form: str, content: str, faults: list[str]) -> None:
    people(sandbox, "SHA1", kind="word", form=form)
    sandbox.staged("people.x", content)
    result = sandbox.run("load")
    assert result.code == 0, result.err
    assert SECRET not in result.out + result.err
    kept = sandbox.query("SELECT record, errors FROM starlake_core.rejected ORDER BY row_number")
    assert kept == [(None, fault) for fault in faults]
    assert SECRET.encode() not in everything(sandbox)


def test_a_copy_shows_nothing(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    flush = dsv_copy._Writer._flush

    def watched(self: dsv_copy._Writer, ready: list[bytes], target: object) -> None:
        seen.extend(ready)
        flush(self, ready, target)  # type: ignore[arg-type]

    monkeypatch.setattr(dsv_copy._Writer, "_flush", watched)
    people(sandbox, "HIDE")
    sandbox.staged("people.csv", f"id,name\n1,{SECRET},more\n")
    assert sandbox.run("load").code == 0
    assert seen
    assert SECRET.encode() not in b"".join(seen)


def test_a_file_without_a_header_shows_nothing(sandbox: Sandbox) -> None:
    people(sandbox, "HIDE")
    sandbox.staged("people.csv", f"1,{SECRET}\n2,x\n")
    result = sandbox.run("load")
    assert result.code == 1
    assert SECRET not in result.out + result.err
    assert SECRET.encode() not in everything(sandbox)


@pytest.mark.parametrize("line", ["3", "3,,x"])
def test_a_default_is_masked(sandbox: Sandbox, line: str) -> None:
    people(sandbox, "MD5", more=", default: nobody, required: true")
    sandbox.staged("people.csv", f"id,name\n{line}\n")
    assert sandbox.run("load").code == 0
    assert sandbox.query("SELECT * FROM shop.people") == [(3, hashlib.md5(b"nobody").hexdigest())]


@pytest.mark.parametrize(
    ("privacy", "kind", "form", "said"),
    [
        ("approxLong20", "string", "DSV", "privacy approxLong20 (supported: HIDE"),
        ("AES", "string", "DSV", "privacy AES (supported: HIDE"),
        ("MD5", "int", "DSV", "privacy MD5 of a value that is not a string"),
        ("MD5", "string", "XML, options: {rowTag: row}", "privacy of shop.people in files of the format XML"),
    ],
)
def test_what_is_refused(sandbox: Sandbox, privacy: str, kind: str, form: str, said: str) -> None:
    people(sandbox, privacy, kind, form)
    sandbox.staged("people.csv", "id,name\n1,a\n")
    result = sandbox.run("load")
    assert result.code == 1
    assert said in result.err
    assert Path(sandbox.root / "datasets/archive").exists() is False


@pytest.mark.parametrize("line", ["x,{}", "x,{},more"])  # the second one is read from a copy
def test_an_attribute_that_is_ignored_shows_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    people(sandbox, "HIDE", more=", ignore: true, required: true")
    written: list[bytes] = []
    flush = dsv_copy._Writer._flush

    def keep(writer: dsv_copy._Writer, ready: list[bytes], target: object) -> None:
        written.extend(ready)
        flush(writer, ready, target)  # type: ignore[arg-type]

    monkeypatch.setattr(dsv_copy._Writer, "_flush", keep)
    sandbox.staged("people.csv", f"id,name\n{line.format(SECRET)}\n")
    result = sandbox.run("load")
    assert result.code == 0
    assert sandbox.query("SELECT record, errors FROM starlake_core.rejected") == [
        (None, "id: a value is not a valid int")
    ]
    assert SECRET.encode() not in everything(sandbox) + b"".join(written) + result.out.encode() + result.err.encode()

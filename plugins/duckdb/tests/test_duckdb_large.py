"""Some thousands of rows in each format: none is lost, and a load that is killed leaves nothing.

``benchmarks/formats.py`` does the same with a million rows, and measures memory.
"""

from __future__ import annotations

import io
import json
import signal
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING

import duckdb
import pytest

if TYPE_CHECKING:
    from conftest import Sandbox

ROWS = 5000
BAD = [number for number in range(ROWS) if number % 1000 == 499]
GOOD = [number for number in range(ROWS) if number not in BAD]
ITEMS = """
    table:
      pattern: "items.*"
      attributes:
        - {name: id, type: long, required: true, position: {first: 0, last: 9}, trim: BOTH}
        - {name: label, type: string, position: {first: 10, last: 19}, trim: BOTH}
      metadata: {METADATA}
"""


def values(number: int) -> tuple[str, str]:
    return ("x" if number in BAD else str(number)), f"v{number}"


def objects() -> list[str]:
    return [json.dumps(dict(zip(("id", "label"), values(number), strict=True))) for number in range(ROWS)]


def dsv() -> bytes:
    return "\n".join(["id;label", *(";".join(values(number)) for number in range(ROWS))]).encode()


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("items.csv", dsv())
    return data.getvalue()


def xml() -> bytes:
    rows = (f"<r><id>{key}</id><label>{label}</label></r>" for key, label in map(values, range(ROWS)))
    return f"<d>{''.join(rows)}</d>".encode()


def parquet(sandbox: Sandbox) -> bytes:
    path = sandbox.root / "items"
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT CASE WHEN range % 1000 = 499 THEN 'x' ELSE range::VARCHAR END AS id, 'v' || range AS label "
            f"FROM range({ROWS})) TO '{path}' (FORMAT parquet)"
        )
    return path.read_bytes()


FORMATS: dict[str, tuple[str, str, Callable[[], bytes] | None]] = {
    "DSV": ("format: DSV, separator: ';'", "items.csv", dsv),
    "DSV in Latin-1": ("format: DSV, separator: ';', encoding: ISO-8859-1", "items.csv", dsv),
    "DSV in a zip": ("format: DSV, separator: ';'", "items.zip", zipped),
    "JSON": ("format: JSON", "items.json", lambda: "\n".join(objects()).encode()),
    "JSON_FLAT": ("format: JSON_FLAT", "items.json", lambda: "\n".join(objects()).encode()),
    "JSON_ARRAY": ("format: JSON_ARRAY", "items.json", lambda: f"[{','.join(objects())}]".encode()),
    "POSITION": (
        "format: POSITION",
        "items.txt",
        lambda: "\n".join(f"{key:<10}{label}" for key, label in map(values, range(ROWS))).encode(),
    ),
    "XML": ("format: XML, options: {rowTag: r}", "items.xml", xml),
    "PARQUET": ("format: PARQUET", "items.parquet", None),
}

# The load ends itself at a step, as SIGKILL and SIGTERM from elsewhere would end it there.
KILLED = """
import os, signal, sys
import starlake_core_duckdb.{module} as module
from starlake_core_duckdb.cli import main

original = module.{name}

def killed(*arguments, **keywords):
    if {after}:
        original(*arguments, **keywords)
    os.kill(os.getpid(), signal.{signal})

module.{name} = killed
sys.exit(main(["load"]))
"""


def arrive(sandbox: Sandbox, kind: str) -> str:
    metadata, name, data = FORMATS[kind]
    sandbox.table("items", ITEMS.replace("METADATA", metadata))
    sandbox.staged(name, "").write_bytes(data() if data else parquet(sandbox))
    return name


def check_complete(sandbox: Sandbox, name: str) -> None:
    assert [row[0] for row in sandbox.query("SELECT id FROM shop.items")] == GOOD
    assert sandbox.query("SELECT count(*) FROM shop.items WHERE label <> 'v' || id") == [(0,)]
    rejected = sandbox.query("SELECT row_number, file, record FROM starlake_core.rejected ORDER BY row_number")
    assert [row[0] - 1 for row in rejected] == BAD
    assert {str(row[1]).partition("/")[0] for row in rejected} == {name}
    assert all(f"v{number}" in str(row[2]) for number, row in zip(BAD, rejected, strict=True))
    assert sandbox.files("archive") == [f"shop/{name}"]
    left = [path for path in (sandbox.root / "datasets").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert sorted(path.name for path in left if not path.name.endswith((".lock", ".lock.queue"))) == sorted(
        [name, "duckdb.db"]
    )
    assert sandbox.query("SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'sl_%'") == []


@pytest.mark.parametrize("kind", FORMATS)
def test_no_row_is_lost(kind: str, sandbox: Sandbox) -> None:
    name = arrive(sandbox, kind)
    assert f"{len(GOOD)} row(s) from 1 file(s), {len(BAD)} rejected" in sandbox.run("load").out
    check_complete(sandbox, name)


@pytest.mark.parametrize(
    ("kind", "module", "name", "after", "signal_name"),
    [
        ("DSV", "direct", "column_checks", True, "SIGKILL"),
        ("DSV", "direct", "_keep", True, "SIGTERM"),
        ("DSV in Latin-1", "loading", "write", False, "SIGKILL"),
        ("DSV in a zip", "archives", "check_size", True, "SIGTERM"),
        ("JSON", "loading", "write", True, "SIGTERM"),
        ("JSON_FLAT", "batch", "column_checks", True, "SIGKILL"),
        ("JSON_ARRAY", "loading", "write", True, "SIGKILL"),
        ("POSITION", "batch", "column_checks", True, "SIGTERM"),
        ("XML", "xml_files", "json_source", False, "SIGKILL"),
        ("PARQUET", "loading", "write", True, "SIGKILL"),
    ],
)
def test_a_load_that_is_killed_leaves_nothing(
    kind: str, module: str, name: str, after: bool, signal_name: str, sandbox: Sandbox
) -> None:
    file = arrive(sandbox, kind)
    script = KILLED.format(module=module, name=name, after=after, signal=signal_name)
    process = sandbox.python("-c", script)
    process.communicate(timeout=60)
    assert process.returncode == -getattr(signal, signal_name)
    assert (
        sandbox.query("SELECT table_name FROM information_schema.tables WHERE table_name IN ('items', 'sl_batch')")
        == []
    )
    assert sandbox.query("SELECT count(*) FROM starlake_core.rejected") == [(0,)]
    assert sandbox.files("archive") == []
    assert sandbox.run("load").code == 0
    check_complete(sandbox, file)

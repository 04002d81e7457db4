"""Files whose lines are records: how they end, how long they are, and what is in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox

ITEMS = """
    table:
      pattern: "items.*"
      attributes:
        - {name: id, type: int, required: true, position: {first: 0, last: 3}, trim: BOTH}
        - {name: label, type: string, position: {first: 4, last: 9999999}}
      metadata: {format: FORMAT}
"""


def line(kind: str, number: object, label: str) -> str:
    return (
        f"{number:<4}{label}" if kind == "POSITION" else json.dumps({"id": number, "label": label}, ensure_ascii=False)
    )


@pytest.fixture(params=["JSON", "JSON_FLAT", "POSITION"])
def kind(request: pytest.FixtureRequest, sandbox: Sandbox) -> str:
    sandbox.table("items", ITEMS.replace("FORMAT", request.param))
    return str(request.param)


@pytest.mark.parametrize("ends", [("\n",), ("\r\n",), ("\n", "\r\n"), ("\r\n", "\n", "\n\n")])
def test_a_rejected_line_has_its_number_however_lines_end(kind: str, ends: tuple[str, ...], sandbox: Sandbox) -> None:
    lines = [line(kind, "x" if number % 3 == 0 else number, f"v{number}") for number in range(1, 10)]
    text = "".join(text + ends[number % len(ends)] for number, text in enumerate(lines))
    sandbox.staged("items.txt", "").write_bytes(text.encode())
    assert "6 row(s) from 1 file(s), 3 rejected" in sandbox.run("load").out
    found = sandbox.query("SELECT row_number, record FROM starlake_core.rejected ORDER BY ALL")
    numbers = {record: number for number, record in enumerate(text.replace("\r\n", "\n").split("\n"), 1)}
    assert [row[0] for row in found] == [numbers[lines[index]] for index in (2, 5, 8)]
    assert [row[1] for row in found] == [lines[index] for index in (2, 5, 8)]


def test_a_line_of_megabytes_is_a_record(kind: str, sandbox: Sandbox) -> None:
    label = "é" * 3_000_000
    sandbox.staged("items.txt", "\n".join([line(kind, 1, "a"), line(kind, 2, label), line(kind, 3, "b")]))
    assert "3 row(s) from 1 file(s), 0 rejected" in sandbox.run("load").out
    assert sandbox.query("SELECT id, length(label) FROM shop.items") == [(1, 1), (2, len(label)), (3, 1)]


def test_a_line_with_control_characters_is_whole(kind: str, sandbox: Sandbox) -> None:
    """Whatever the reader takes for a separator."""
    sandbox.staged("items.txt", line(kind, 1, "a") + "\n" + line(kind, 2, "b") + "\x01}\n")
    sandbox.run("load")
    expected = [(1, "a"), (2, "b\x01}")] if kind == "POSITION" else [(1, "a")]
    assert sandbox.query("SELECT * FROM shop.items") == expected

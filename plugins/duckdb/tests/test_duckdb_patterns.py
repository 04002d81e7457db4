"""Patterns of tables and types are regular expressions of Java."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from starlake_core_project import JavaPattern, JavaPatternError

if TYPE_CHECKING:
    from conftest import Sandbox

RECORDED = Path(__file__).parents[2] / "project" / "tests" / "java_regex"


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        (r"(?<kind>item).*[.]csv", {"item1.csv", "item2.csv"}),
        (r"\Qitem1.csv\E", {"item1.csv"}),
        (r"it(?i)EM[0-9&&[^2]][.]csv\z", {"item1.csv"}),
        (r"\p{Alpha}++\d[.]csv", {"item1.csv", "item2.csv"}),
        (r"(?!item1).*", {"item2.csv", "été.txt"}),
        (r"\p{IsLatin}+\.txt", {"été.txt"}),
        (r"\p{Lower}+\.txt", set()),
    ],
)
def test_the_pattern_of_a_table_chooses_files_as_in_java(sandbox: Sandbox, pattern: str, fits: set[str]) -> None:
    sandbox.table("items", f"table: {{pattern: '{pattern}', attributes: [{{name: id, type: int}}]}}")
    for name in ("item1.csv", "item2.csv", "été.txt"):
        sandbox.incoming(name, "id\n1\n")
    assert sandbox.run("stage").code == 0
    assert {name.removeprefix("shop/") for name in sandbox.files("stage")} == fits


def load(sandbox: Sandbox, types: str, values: list[str]) -> list[str]:
    sandbox.write("metadata/types/types.sl.yml", f"types: [{types}]")
    sandbox.table("typed", "table: {pattern: 'typed.*', attributes: [{name: a, type: own}]}")
    sandbox.staged("typed1.csv", "a\n" + "".join(f"{value}\n" for value in values))
    assert sandbox.run("load").code == 0
    return [row[0] for row in sandbox.query("SELECT a FROM shop.typed ORDER BY ALL")]


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("(?!0)[0-9]+", ["12"], ["012", "x"]),
        (r"(\w)\1", ["aa"], ["ab", "éé"]),
        (r"\p{L}+", ["été", "abc"], ["a1"]),
        ("a++b", ["aab"], ["aa"]),
        (r"^\d{2}$", ["12"], ["123", "٣٣"]),
        (r"(?<!x)[a-z&&[^q]]+", ["abc"], ["q"]),
        ("(?i)é|ab", ["é", "AB"], ["É"]),
        (r"\Qa.b\E", ["a.b"], ["axb"]),
    ],
)
def test_the_pattern_of_a_type_takes_values_as_in_java(
    sandbox: Sandbox, pattern: str, good: list[str], bad: list[str]
) -> None:
    found = load(sandbox, f"{{name: own, primitiveType: string, pattern: '{pattern}'}}", [*bad, *good, *good])
    assert found == sorted([*good, *good])
    rejected = sandbox.query("SELECT record FROM starlake_core.rejected ORDER BY row_number")
    assert [row[0] for row in rejected] == bad


def test_a_dot_of_a_type_does_not_match_a_line_break(sandbox: Sandbox) -> None:
    assert load(sandbox, "{name: own, primitiveType: string, pattern: 'a.b'}", ['"a\nb"', "a-b"]) == ["a-b"]


def test_a_boolean_type_has_two_patterns_of_java(sandbox: Sandbox) -> None:
    values = ["true", "nope", "no", "maybe"]
    assert load(sandbox, "{name: own, primitiveType: boolean, pattern: '(?=t)[a-z]++<-TF->no(?!pe).*+'}", values) == [
        False,
        True,
    ]


def test_several_columns_and_files_have_their_own_patterns(sandbox: Sandbox) -> None:
    sandbox.write(
        "metadata/types/types.sl.yml",
        "types: [{name: odd, primitiveType: int, pattern: '(?!.*[02468]$)[0-9]+'}, {name: word, primitiveType: string, pattern: '\\p{L}+'}]",
    )
    sandbox.table(
        "typed",
        "table: {pattern: 'typed.*', metadata: {format: JSON}, attributes: [{name: a, type: odd}, {name: b, type: odd}, {name: w, type: word}]}",
    )
    sandbox.staged(
        "typed1.json", '{"a": 1, "b": 3, "w": "é"}\n{"a": 2, "b": 3, "w": "é"}\n{"a": 5, "b": 4, "w": "é"}\n'
    )
    sandbox.staged("typed2.json", '{"a": 7, "b": 9, "w": "1"}\n{"a": 9, "b": null, "w": "ok"}\nbroken\n')
    assert sandbox.run("load").out == "loaded shop.typed: 2 row(s) from 2 file(s), 4 rejected\n"
    assert sandbox.query("SELECT a, b, w FROM shop.typed ORDER BY a") == [(1, 3, "é"), (9, None, "ok")]


def test_broken_records_are_counted_once_where_values_are_matched_beforehand(sandbox: Sandbox) -> None:
    sandbox.write("metadata/types/types.sl.yml", "types: [{name: own, primitiveType: string, pattern: '(?!0)[0-9]+'}]")
    sandbox.table("typed", "table: {pattern: 'typed.*', attributes: [{name: a, type: own}, {name: b}]}")
    sandbox.staged("typed1.csv", "a,b\n1,x\n2,x,y\n03,x\n4,x\n")
    assert sandbox.run("load").out == "loaded shop.typed: 3 row(s) from 1 file(s), 1 rejected\n"
    assert sandbox.query("SELECT row_number, record FROM starlake_core.rejected") == [(3, "03,x")]


def test_a_type_pattern_that_java_refuses_is_named_before_anything_moves(sandbox: Sandbox) -> None:
    sandbox.write("metadata/types/types.sl.yml", "types: [{name: own, primitiveType: string, pattern: 'a{,3}'}]")
    sandbox.table("typed", "table: {pattern: 'typed.*', attributes: [{name: a, type: own}]}")
    sandbox.staged("typed1.csv", "a\nx\n")
    result = sandbox.run("load", "--domains", "shop", "--tables", "typed")
    assert result.code == 1
    assert (
        "typed.sl.yml: attribute 'a': the pattern of the type 'own': 'a{,3}' is not a regular expression of Java"
        in result.err
    )
    assert sandbox.files("stage") == ["shop/typed1.csv"]


def test_a_table_pattern_that_java_refuses_is_named_with_its_file(sandbox: Sandbox) -> None:
    sandbox.table("typed", "table: {pattern: 'typed(?P<day>.*)', attributes: [{name: a}]}")
    result = sandbox.run("stage", "--domains", "shop")
    assert result.code == 1
    assert (
        "typed.sl.yml:2: table.pattern: 'typed(?P<day>.*)' is not a regular expression of Java: '(?P' at character 6"
        in result.err
    )


@pytest.mark.skipif(not RECORDED.is_dir(), reason="needs the recorded answers of Java, which are in the repository")
@pytest.mark.parametrize("name", ["constructs", "generated"])
def test_what_re2_matches_is_what_java_matches(name: str) -> None:
    lines = (RECORDED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    cases: list[dict[str, Any]] = [case for line in lines if "results" in (case := json.loads(line))]
    compared = 0
    with duckdb.connect() as connection:
        for case in cases:
            try:
                re2 = JavaPattern(case["pattern"]).re2
            except JavaPatternError:
                continue
            for text, answer in zip(case["texts"], case["results"], strict=True) if re2 is not None else ():
                found = connection.execute(
                    "SELECT regexp_full_match($text, $re2)", {"text": text, "re2": re2}
                ).fetchone()
                assert found == (answer["matches"] is not None,), (case["pattern"], text, re2)
                compared += 1
    assert compared > 200

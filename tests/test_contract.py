"""The strict reading of argument vectors: one test for every rule of the Starlake command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from starlake_core import ContractError
from starlake_core.contract import commands, parse_arguments, parse_map, parse_seq, validate_arguments

REFERENCE = Path(__file__).parents[2] / "shared" / "spec" / "cli-contract.json"


def problems(*arguments: str) -> tuple[str, ...]:
    with pytest.raises(ContractError) as caught:
        parse_arguments(arguments)
    return caught.value.problems


def values(*arguments: str) -> dict[str, Any]:
    return dict(parse_arguments(arguments).values)


# P1: the first word is the command, exactly
@pytest.mark.parametrize("name", ["LOAD", "Load", "import", "watch", "gizmosql", "--load", "", " load"])
def test_a_command_has_exactly_its_name(name: str) -> None:
    assert problems(name)[0].startswith(f"Unknown command {name}")


def test_a_near_miss_of_a_command_is_named() -> None:
    assert problems("transfrom") == (  # codespell:ignore transfrom
        "Unknown command transfrom. Did you mean 'transform'?",  # codespell:ignore transfrom
    )


def test_a_vector_without_a_command_lists_the_commands() -> None:
    assert "preload" in problems()[0]


# P2: three ways to write an option, no short flags
@pytest.mark.parametrize("written", [["--name", "kpi.a"], ["--name=kpi.a"], ["--name:kpi.a"]])
def test_an_option_is_written_in_three_ways(written: list[str]) -> None:
    assert values("transform", *written) == {"name": "kpi.a"}


def test_the_first_separator_cuts_the_rest_belongs_to_the_value() -> None:
    assert values("transform", "--name=a:b=c") == {"name": "a:b=c"}
    assert values("transform", "--name:a=b:c") == {"name": "a=b:c"}


def test_there_are_no_short_flags() -> None:
    assert "transform: Unknown argument '-n'" in problems("transform", "--name", "kpi.a", "-n", "kpi.b")


# P3: a value is consumed whatever it looks like
def test_the_token_after_an_option_is_its_value_even_with_dashes() -> None:
    assert values("transform", "--name", "--options") == {"name": "--options"}
    assert values("load", "--accessToken", "--domains", "--tables", "a") == {
        "accessToken": "--domains",
        "tables": ["a"],
    }


def test_a_missing_value_at_the_end_is_a_problem() -> None:
    assert problems("load", "--domains") == ("load: Missing value after --domains",)


# P4: an option that may stand once
def test_a_second_occurrence_is_unknown_and_its_value_too() -> None:
    first, second = problems("preload", "--domain", "a", "--domain", "b")
    assert first.startswith("preload: Unknown option --domain")
    assert second == "preload: Unknown argument 'b'"


def test_a_flag_may_stand_once_too() -> None:
    assert len(problems("load", "--test", "--test")) == 1


def test_a_repeatable_map_is_merged_and_a_single_one_is_not_repeatable() -> None:
    assert values("transform", "--name", "a.b", "--options", "x=1", "--options", "y=2,x=3")["options"] == {
        "x": "3",
        "y": "2",
    }
    assert problems("load", "--options", "x=1", "--options", "y=2")


# P5: everything wrong is reported at once
def test_all_problems_are_reported_together() -> None:
    found = problems("transform", "stray", "--domain", "--pageSize", "many", "--options", "")
    assert [text.partition(" ")[2].split(",")[0] for text in found[:1]] == ["Unknown argument 'stray'"]
    assert any("Unknown option --domain" in text for text in found)
    assert any(text.startswith("--pageSize:") for text in found)
    assert any(text.startswith("--options:") for text in found)
    assert any(text == "transform: Missing option --name" for text in found)
    assert len(found) == 5


def test_an_unknown_option_does_not_swallow_the_next_token() -> None:
    assert len(problems("load", "--nope", "value")) == 2


def test_a_required_option_that_is_missing_is_a_problem() -> None:
    assert problems("preload") == ("preload: Missing option --domain",)


# P6: maps
@pytest.mark.parametrize("text", ["", "a", "a=1,b", "a=1,,b=2", ",a=1"])
def test_a_map_refuses_a_part_without_an_equals_sign(text: str) -> None:
    assert "key=value" in problems("load", "--options", text)[0]
    with pytest.raises(ValueError, match="key=value"):
        parse_map(text)


def test_a_map_is_cut_at_the_first_equals_sign() -> None:
    assert values("load", "--options", "a=b=c,d=,e= f ")["options"] == {"a": "b=c", "d": "", "e": " f "}


KEYS = st.text(st.characters(exclude_characters=",=", exclude_categories=("Cs",)), min_size=1)
VALUES = st.text(st.characters(exclude_characters=",", exclude_categories=("Cs",)))


@given(st.dictionaries(KEYS, VALUES, min_size=1))
def test_a_map_without_commas_comes_back_as_it_was(content: dict[str, str]) -> None:
    assert parse_map(",".join(f"{key}={value}" for key, value in content.items())) == content


# P7: lists
@pytest.mark.parametrize(
    ("text", "expected"),
    [("", [""]), ("a,,b", ["a", "", "b"]), ("a,,", ["a"]), (",", []), (",a", ["", "a"]), (" a , b ", [" a ", " b "])],
)
def test_a_list_is_split_as_java_splits(text: str, expected: list[str]) -> None:
    assert parse_seq(text) == expected
    assert values("load", "--tables", text) == {"tables": expected}


@given(st.lists(VALUES, max_size=5).filter(lambda items: bool(items) and items[-1] != ""))
def test_a_list_whose_last_name_is_not_empty_comes_back_as_it_was(items: list[str]) -> None:
    assert parse_seq(",".join(items)) == items


# P8: booleans and flags
@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("YES", True), ("1", True), ("False", False), ("no", False), ("0", False)]
)
def test_a_boolean_takes_six_words(text: str, expected: bool) -> None:
    assert values("transform", "--name", "a.b", "--truncate", text)["truncate"] is expected


@pytest.mark.parametrize("text", ["", "on", "y", "t", " true", "--recursive"])
def test_a_boolean_takes_no_other_word(text: str) -> None:
    assert any(line.startswith("--truncate:") for line in problems("transform", "--name", "a.b", "--truncate", text))


def test_a_flag_takes_no_value() -> None:
    assert values("transform", "--name", "a.b", "--recursive")["recursive"] is True
    assert problems("transform", "--name", "a.b", "--recursive", "true") == ("transform: Unknown argument 'true'",)
    assert problems("transform", "--name", "a.b", "--recursive=true") == ("transform: --recursive takes no value",)


# P9: integers
@given(st.integers(-(2**31), 2**31 - 1))
def test_an_integer_is_read(number: int) -> None:
    assert values("transform", "--name", "a.b", "--pageSize", str(number))["pageSize"] == number


@pytest.mark.parametrize(("text", "expected"), [("0x10", 16), ("0XfF", 255), ("+7", 7), ("007", 7)])
def test_an_integer_may_be_hexadecimal(text: str, expected: int) -> None:
    assert values("transform", "--name", "a.b", "--pageSize", text)["pageSize"] == expected


@pytest.mark.parametrize("text", ["", "1.0", "ten", "0x", "--5", "1e3", "0xg"])
def test_a_text_that_is_no_integer_is_refused(text: str) -> None:
    assert any(line.startswith("--pageSize:") for line in problems("transform", "--name", "a.b", "--pageSize", text))


@pytest.mark.parametrize("text", ["1_000", " 5", "5 ", "2147483648", "-2147483649", "-0x10"])
def test_an_integer_is_one_for_java(text: str) -> None:
    assert any(line.startswith("--pageSize:") for line in problems("transform", "--name", "a.b", "--pageSize", text))


# P10: order and positional arguments
def test_the_order_of_options_is_free() -> None:
    one = values("preload", "--tables", "a,b", "--strategy", "ack", "--domain", "d")
    assert one == values("preload", "--domain", "d", "--strategy", "ack", "--tables", "a,b")


def test_positional_arguments_fill_in_order_between_options() -> None:
    found = values("ingest", "sales", "--reportFormat", "json", "orders", "a.csv,b.csv", "k=v")
    assert found == {
        "domain": "sales",
        "reportFormat": "json",
        "schema": "orders",
        "paths": "a.csv,b.csv",
        "options": {"k": "v"},
    }


def test_one_positional_argument_too_many_is_unknown() -> None:
    assert problems("ingest", "a", "b", "c", "k=v", "more") == ("ingest: Unknown argument 'more'",)


def test_a_required_positional_argument_is_required() -> None:
    assert values("quack", "start") == {"action": "start"}
    assert "action" in problems("quack")[0]


# P11: case
@pytest.mark.parametrize("flag", ["--globalackfilepath", "--GlobalAckFilePath", "--Options", "--OPTIONS"])
def test_another_case_is_another_option(flag: str) -> None:
    found = problems("preload", "--domain", "a", f"{flag}=x=1")
    assert len(found) == 1
    assert f"Unknown option {flag}" in found[0]
    assert "Did you mean" in found[0]


# beyond the rules
def test_an_alias_writes_the_option_that_it_stands_for() -> None:
    assert values("load", "--include", "sales", "--schemas", "a,b") == {"domains": ["sales"], "tables": ["a", "b"]}
    assert values("load", "--domains", "first", "--include", "last") == {"domains": ["last"]}


def test_a_closed_list_of_words_is_held() -> None:
    assert values("transform", "--name", "a.b", "--action", "create")["action"] == "create"
    assert problems("transform", "--name", "a.b", "--action", "drop") == (
        "--action: expected one of run, create, found 'drop'",
    )


def test_an_unknown_strategy_is_accepted_as_the_command_line_does() -> None:
    assert values("preload", "--domain", "a", "--strategy", "typo")["strategy"] == "typo"


@given(st.sampled_from(["preload", "stage", "load", "transform", "ingest"]), st.lists(st.text(max_size=12), max_size=6))
@example("load", ["--", "--=", "--:", "--=x", "-", ""])
def test_any_vector_is_read_or_refused_but_never_crashes(name: str, rest: list[str]) -> None:
    refused: ContractError | None = None
    try:
        validate_arguments([name, *rest])
    except ContractError as error:
        refused = error
    assert refused is None or str(refused) == "\n".join(refused.problems) != ""


# the data
KINDS = {
    "String": "string",
    "Option[String]": "string",
    "Int": "int",
    "Boolean": "bool",
    "Unit": "flag",
    "Seq[String]": "seq",
    "Map[String, String]": "map",
}


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference is not part of a checkout")
def test_the_data_is_that_of_the_reference() -> None:
    reference = json.loads(REFERENCE.read_text(encoding="utf-8"))["commands"]

    def facts(kind: str) -> dict[str, list[tuple[str, str, bool, bool]]]:
        return {
            command: [
                (o["name"], KINDS[o["type"]], bool(o["required"]), o.get("max_occurs") != 1)
                for o in content["options"]
                if o["kind"] == kind
            ]
            for command, content in reference.items()
        }

    def ours(field: str) -> dict[str, list[tuple[str, str, bool, bool]]]:
        return {
            command: [
                (o["name"], o["type"], o.get("required", False), o.get("repeatable", False))
                for o in content.get(field, [])
            ]
            for command, content in commands().items()
        }

    assert {name: sorted(rows) for name, rows in ours("options").items()} == {
        name: sorted(rows) for name, rows in facts("opt").items()
    }
    assert ours("positional") == facts("arg")


def test_the_removed_commands_are_not_in_the_data() -> None:
    assert not {"import", "watch", "gizmosql", "ack", "backfill", "delete"} & set(commands())
    assert {"preload", "stage", "load", "transform"} <= set(commands())

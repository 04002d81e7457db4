"""The argument vectors of the Starlake commands."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlake_core import Command, CommandError, Preload, StarlakePreLoadStrategy, StarlakeSparkConfig
from starlake_core.contract import parse_arguments
from starlake_core.model.command import command_options, load_command, preload_command, stage_command, transform_command

CHARACTERS = st.characters(exclude_characters=",", exclude_categories=("Cs",))
NAMES = st.text(CHARACTERS, min_size=1, max_size=12)
DOMAINS = st.text(st.characters(exclude_characters=",.", exclude_categories=("Cs",)), min_size=1, max_size=12)
KEYS = st.text(st.characters(exclude_characters=",=", exclude_categories=("Cs",)), min_size=1, max_size=8)
OPTIONS = st.dictionaries(KEYS, st.text(CHARACTERS, max_size=12), max_size=4)
STRATEGIES = st.sampled_from(["imported", "pending", "ack"])


def read(command: Command) -> dict[str, Any]:
    parsed = parse_arguments(command.vector)
    assert parsed.name == command.name
    return dict(parsed.values)


@given(NAMES, st.sets(NAMES, max_size=4), STRATEGIES, OPTIONS)
def test_a_preload_says_what_was_asked(domain: str, tables: set[str], strategy: str, options: dict[str, str]) -> None:
    command = preload_command("t", domain, tables, strategy, ack_file="/d/x.ack", sentinel="/s/m", options=options)
    expected = {"domain": domain, "strategy": strategy, "notReadySentinel": "/s/m"}
    if tables:
        expected["tables"] = sorted(tables)
    if strategy == "ack":
        expected["globalAckFilePath"] = "/d/x.ack"
    if options:
        expected["options"] = options
    assert read(command) == expected


@given(NAMES, st.sets(NAMES, max_size=4), OPTIONS)
def test_an_import_says_what_was_asked(domain: str, tables: set[str], options: dict[str, str]) -> None:
    command = stage_command("t", domain, tables, options=options)
    assert command.name == "stage"
    assert read(command) == {
        "domains": [domain],
        **({"tables": sorted(tables)} if tables else {}),
        **({"options": options} if options else {}),
    }


@given(NAMES, NAMES, OPTIONS)
def test_a_load_says_what_was_asked(domain: str, table: str, options: dict[str, str]) -> None:
    found = read(load_command("t", domain, table, options=options))
    assert found.pop("scheduledDate") == "${sl_scheduled_date}"
    assert found == {"domains": [domain], "tables": [table], **({"options": options} if options else {})}


@given(DOMAINS, NAMES, OPTIONS)
def test_a_transform_says_what_was_asked(domain: str, task: str, options: dict[str, str]) -> None:
    found = read(transform_command("t", f"{domain}.{task}", options=options))
    assert found.pop("scheduledDate") == "${sl_scheduled_date}"
    assert found == {
        "name": f"{domain}.{task}",
        "options": {
            "sl_data_interval_start": "'${sl_data_interval_start}'",
            "sl_data_interval_end": "'${sl_data_interval_end}'",
            "sl_start_date": "${sl_data_interval_start}",
            "sl_end_date": "${sl_data_interval_end}",
            **options,
        },
    }


def test_a_transform_may_replace_the_data_interval() -> None:
    given_options = {"sl_data_interval_start": "'2024-01-01'"}
    assert read(transform_command("t", "kpi.a", options=given_options))["options"] == {
        "sl_data_interval_start": "'2024-01-01'",
        "sl_data_interval_end": "'${sl_data_interval_end}'",
        "sl_start_date": "2024-01-01",
        "sl_end_date": "${sl_data_interval_end}",
    }


def test_a_transform_may_replace_the_data_interval_under_its_other_names() -> None:
    given_options = {"sl_end_date": "2024-01-02", "sl_start_date": ""}
    assert read(transform_command("t", "kpi.a", options=given_options))["options"] == {
        "sl_data_interval_start": "''",
        "sl_data_interval_end": "'2024-01-02'",
        **given_options,
    }


def test_a_value_is_passed_on_character_by_character() -> None:
    value = "a=b \"c\" 'd' $HOME ${foo} {{x}} \\n\n\té"
    assert read(load_command("t", "d", "t", options={"k": value}))["options"] == {"k": value}


@pytest.mark.parametrize("tables", [["b", "a", "b"], ("a", "b"), {"b", "a"}, frozenset("ab"), iter(["b", "a"])])
def test_tables_are_sorted_and_single_whatever_they_come_in(tables: Iterable[str]) -> None:
    command = stage_command("t", "d", tables)
    assert command.tables == ("a", "b")
    assert command.arguments == ("--domains", "d", "--tables", "a,b")


def test_a_single_text_is_one_table() -> None:
    assert stage_command("t", "d", "orders").tables == ("orders",)


def test_tables_from_a_set_are_the_same_in_every_process() -> None:
    code = (
        "from starlake_core.model.command import stage_command\n"
        "print(stage_command('t', 'd', {'t%d' % i for i in range(50)}).vector)"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


@pytest.mark.parametrize("options", [None, {}, ""])
def test_without_options_there_is_no_flag_for_them(options: Any) -> None:
    for command in (
        preload_command("t", "d", (), "pending", options=options),
        stage_command("t", "d", options=options),
        load_command("t", "d", "t", options=options),
    ):
        assert "--options" not in command.arguments


def test_without_tables_there_is_no_flag_for_them() -> None:
    assert "--tables" not in stage_command("t", "d").arguments
    assert "--tables" not in preload_command("t", "d", (), "imported").arguments


@pytest.mark.parametrize(
    "make",
    [
        lambda: stage_command("t", "d", ["a,b"]),
        lambda: stage_command("t", "d", ["a", ""]),
        lambda: stage_command("t", ""),
        lambda: load_command("t", "a,b", "t"),
        lambda: load_command("t", "d", ""),
        lambda: preload_command("t", "a,b", (), "pending"),
    ],
)
def test_a_name_that_the_command_line_cannot_carry_is_refused(make: Any) -> None:
    with pytest.raises(CommandError, match="a name is not empty and has no comma"):
        make()


@pytest.mark.parametrize("options", [{"k": "a,b"}, {"a,b": "c"}, {"a=b": "c"}, {"": "c"}])
def test_an_option_that_the_command_line_cannot_carry_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(CommandError) as caught:
        load_command("t", "sales", "orders", options=options)
    assert "the load of sales.orders" in str(caught.value)
    assert "comma" in str(caught.value)


@pytest.mark.parametrize("text", ["k", "k=v,x", ",k=v"])
def test_options_as_a_text_have_to_be_pairs(text: str) -> None:
    with pytest.raises(CommandError, match=r"the transform kpi\.a.*k=v,k2=v2"):
        transform_command("t", "kpi.a", options=text)


def test_options_as_a_text_are_cut_at_the_first_equals_sign() -> None:
    assert command_options("a=b=c,d=", "x") == {"a": "b=c", "d": ""}


def test_values_of_options_become_text() -> None:
    assert command_options({"a": True, "b": False, "c": 0, "d": 1.5, "e": ""}, "x") == {
        "a": "true",
        "b": "false",
        "c": "0",
        "d": "1.5",
        "e": "",
    }


def test_a_key_that_is_no_text_is_read_or_refused_clearly() -> None:
    with contextlib.suppress(CommandError):
        assert command_options({1: "a"}, "x") == {"1": "a"}  # type: ignore[dict-item]


@pytest.mark.parametrize("name", ["orders", "", ".orders", "kpi.a,kpi.b"])
def test_a_transform_is_domain_dot_task(name: str) -> None:
    with pytest.raises(CommandError, match=r"not of the form domain\.task"):
        transform_command("t", name)


def test_a_transform_has_a_name_after_the_dot() -> None:
    with pytest.raises(CommandError, match=r"not of the form domain\.task"):
        transform_command("t", "kpi.")


# pre-load


@pytest.mark.parametrize("text", ["ACK", "Ack", "ack", StarlakePreLoadStrategy.ACK])
def test_a_strategy_is_read_in_any_case(text: str) -> None:
    assert StarlakePreLoadStrategy.parse(text) is StarlakePreLoadStrategy.ACK
    assert StarlakePreLoadStrategy.is_valid(text)


def test_a_typing_error_in_a_strategy_is_refused_with_a_hint() -> None:
    assert not StarlakePreLoadStrategy.is_valid("importd")  # codespell:ignore importd
    with pytest.raises(CommandError, match=r"none, imported, pending, ack.*Did you mean 'imported'"):
        StarlakePreLoadStrategy.parse("importd")  # codespell:ignore importd


def test_no_strategy_has_nothing_to_check() -> None:
    for strategy in (None, "none"):
        with pytest.raises(CommandError, match="nothing to check"):
            preload_command("t", "d", (), strategy)


def test_ack_needs_a_path_and_the_others_never_show_one() -> None:
    with pytest.raises(CommandError, match="global_ack_file_path"):
        preload_command("t", "d", (), "ack")
    assert "--globalAckFilePath" not in preload_command("t", "d", (), "pending", ack_file="/x").arguments


def test_a_preload_becomes_the_command_with_its_placeholders() -> None:
    preload = Preload(
        "t", "d", ("a", "b"), StarlakePreLoadStrategy.ACK, "/x/${sl_ds}.ack", "/s/${sl_attempt_hash}", {"p": 1}
    )
    command = preload.command()
    assert command.vector == (
        *("preload", "--domain", "d", "--tables", "a,b", "--strategy", "ack"),
        *("--globalAckFilePath", "/x/${sl_ds}.ack", "--notReadySentinel", "/s/${sl_attempt_hash}"),
    )
    assert (command.task_id, command.domain, command.tables, dict(command.params)) == ("t", "d", ("a", "b"), {"p": 1})


# spark


def test_a_spark_sizing_shows_only_what_it_knows() -> None:
    assert StarlakeSparkConfig().__config__() == {}
    assert StarlakeSparkConfig("4g", 0, 2, {"spark.x": "y"}).__config__() == {
        "spark.executor.memory": "4g",
        "spark.executor.cores": "0",
        "spark.executor.instances": "2",
        "spark.x": "y",
    }


def test_a_command_knows_what_it_is_about() -> None:
    spark = StarlakeSparkConfig("1g")
    load = load_command("id", "d", "t", spark=spark, params={"a": 1})
    assert (load.task_id, load.domain, load.tables, load.transform, load.spark) == ("id", "d", ("t",), "", spark)
    transform = transform_command("id", "kpi.a")
    assert (transform.domain, transform.tables, transform.transform) == ("kpi", (), "kpi.a")
    assert load == load_command("id", "d", "t", spark=spark, params={"a": 1})

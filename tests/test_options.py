"""Options: one declaration, three sources, all problems at once."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlake_core import (
    BOOL,
    CRON,
    CSV,
    DATE,
    DURATION,
    ENV_MAP,
    JSON_MAP,
    STR,
    TEXT_MAP,
    TIMEZONE,
    Integer,
    Kind,
    Matching,
    OneOf,
    Option,
    OptionGroup,
    Options,
    OptionsError,
    PluginContractError,
    Seconds,
    StarlakePreLoadStrategy,
    UnknownOptionError,
    option,
)
from starlake_core.options import DeclaredOption, GeneralOptions, resolve_options


def resolve(
    options: list[Option],
    given_options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    **keywords: Any,
) -> Options:
    declared = [DeclaredOption(option, "acme") for option in options]
    return resolve_options(declared, given_options or {}, environ=environ or {}, **keywords)


def general(given_options: Mapping[str, Any], environ: Mapping[str, str] | None = None, **keywords: Any) -> Options:
    declared = [DeclaredOption(option, "core") for option in GeneralOptions.declared]
    return resolve_options(declared, given_options, environ=environ or {}, **keywords)


def problems(*arguments: Any, **keywords: Any) -> tuple[str, ...]:
    with pytest.raises(OptionsError) as caught:
        resolve(*arguments, **keywords)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def read(kind: Kind, value: Any) -> Any:
    return resolve([Option("x", kind)], {"x": value})["x"]


def refused(kind: Kind, value: Any) -> str:
    (problem,) = problems([Option("x", kind)], {"x": value})
    assert problem.endswith(f"use {kind.allowed}")
    return problem


# where a value comes from


def test_explicit_wins_over_the_environment_which_wins_over_the_default() -> None:
    option = Option("retries", Integer(0), 1)
    assert resolve([option])["retries"] == 1
    assert resolve([option], {}, {"SL_RETRIES": "2"})["retries"] == 2
    assert resolve([option], {"retries": 3}, {"SL_RETRIES": "2"})["retries"] == 3


@pytest.mark.parametrize(
    ("kind", "value", "default"),
    [
        (Integer(0), 0, 1),
        (BOOL, False, True),
        (STR, "", "text"),
        (CSV, (), ("a",)),
        (JSON_MAP, {}, {"a": 1}),
        (DURATION, 0, 300),
    ],
)
def test_a_falsy_value_is_a_value(kind: Kind, value: Any, default: Any) -> None:
    assert resolve([Option("x", kind, default)], {"x": value}, {"SL_X": "9"})["x"] == value


@pytest.mark.parametrize(
    ("kind", "text", "value"), [(Integer(0), "0", 0), (BOOL, "false", False), (STR, "", ""), (CSV, "", ())]
)
def test_a_falsy_text_in_the_environment_is_a_value(kind: Kind, text: str, value: Any) -> None:
    assert resolve([Option("x", kind)], {}, {"SL_X": text})["x"] == value


def test_none_means_not_given() -> None:
    assert resolve([Option("x", Integer(), 7)], {"x": None})["x"] == 7


def test_the_variable_is_named_after_the_option() -> None:
    assert Option("retries", STR).env == "SL_RETRIES"
    assert Option("sl_env_var", STR).env == "SL_ENV_VAR"
    assert Option("SL_STARLAKE_PATH", STR).env == "SL_STARLAKE_PATH"
    assert Option("x", STR, env="GCP_PROJECT").env == "GCP_PROJECT"


def test_an_option_without_a_variable_reads_none() -> None:
    environ = {"cpu": "1", "CPU": "2", "SL_CPU": "3", "": "4"}
    assert resolve([Option("cpu", STR, "default", env="")], {}, environ)["cpu"] == "default"


def test_no_general_option_is_read_from_a_bare_name() -> None:
    environ = {
        name: "2"
        for option in GeneralOptions.declared
        for name in (option.name, option.name.upper())
        if name[:3] != "SL_"
    }
    environ = {name: value for name, value in environ.items() if not name.lower().startswith("sl_")}
    assert dict(general({}, environ)) == dict(general({}))
    assert all(option.env == "" or option.env.startswith("SL_") for option in GeneralOptions.declared)


def test_every_default_is_one_that_the_option_would_accept_and_keep() -> None:
    for item in GeneralOptions.declared:
        if item.default is not None:
            assert item.type.read(item.default) == item.default, item.name
        assert item.doc.endswith("."), item.name


def test_the_process_environment_is_the_default_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SL_RETRIES", "4")
    assert resolve_options([DeclaredOption(Option("retries", Integer(0), 1), "acme")], {})["retries"] == 4


# kinds


@given(st.integers())
def test_an_integer_is_read_from_numbers_and_texts(number: int) -> None:
    assert read(Integer(), number) == read(Integer(), str(number)) == read(Integer(), f" {number} ") == number


@given(st.integers(), st.integers(), st.integers())
def test_an_integer_keeps_to_its_bounds(low: int, high: int, number: int) -> None:
    kind = Integer(low, high)
    if low <= number <= high:
        assert read(kind, number) == number
    else:
        assert repr(number) in refused(kind, number)


@pytest.mark.parametrize("value", [True, False, 1.5, "1.5", "", "one", "0x10", [1], {}, float("nan"), float("inf")])
def test_what_is_no_integer_is_refused(value: Any) -> None:
    refused(Integer(), value)


def test_an_integer_has_digits_only() -> None:
    refused(Integer(), "1_000")


@given(st.sampled_from(["true", "1", "yes", "on"]), st.sampled_from(["false", "0", "no", "off"]), st.booleans())
def test_a_bool_takes_words_in_any_case(yes: str, no: str, upper: bool) -> None:
    assert read(BOOL, yes.upper() if upper else yes) is True
    assert read(BOOL, f" {no.title()} ") is False
    assert read(BOOL, True) is True
    assert read(BOOL, 0) is False


@given(
    st.text(max_size=6).filter(
        lambda text: text.strip().lower() not in {"true", "1", "yes", "on", "false", "0", "no", "off"}
    )
)
def test_a_bool_takes_no_other_word(text: str) -> None:
    refused(BOOL, text)


@given(st.integers(0, 10**6), st.sampled_from([("", 1), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400)]))
def test_a_duration_has_a_unit_or_is_in_seconds(number: int, unit: tuple[str, int]) -> None:
    letter, factor = unit
    assert read(DURATION, f"{number}{letter}") == number * factor
    assert read(DURATION, f" {number} {letter.upper()} ") == number * factor
    assert read(DURATION, number) == number


@pytest.mark.parametrize("value", ["", "h", "-1", -1, "-5m", "1.5h", "1w", "5 min", True, [], 1.5])
def test_what_is_no_duration_is_refused(value: Any) -> None:
    refused(DURATION, value)


def test_a_word_of_an_enum_is_read_in_any_case_and_from_an_enum() -> None:
    kind = OneOf("none", "Imported")
    assert read(kind, " IMPORTED ") == "Imported"
    assert read(OneOf("none", "imported"), StarlakePreLoadStrategy.IMPORTED) == "imported"


@pytest.mark.parametrize("value", ["", "import", 1, True, ["none"]])
def test_another_word_is_refused(value: Any) -> None:
    assert "one of none, imported" in refused(OneOf("none", "imported"), value)


@given(
    st.lists(
        st.text(st.characters(exclude_characters=",", exclude_categories=("Cs",)), min_size=1)
        .map(str.strip)
        .filter(bool)
    )
)
def test_a_csv_is_a_list_or_a_text(items: list[str]) -> None:
    assert read(CSV, items) == read(CSV, ",".join(items)) == read(CSV, " , ".join(items)) == tuple(items)


def test_a_csv_has_no_empty_parts() -> None:
    assert read(CSV, "a,, b ,") == ("a", "b")


@pytest.mark.parametrize("value", [5, True, [["a"]], [None], [True]])
def test_what_is_no_csv_is_refused(value: Any) -> None:
    refused(CSV, value)


def test_a_csv_from_a_set_has_an_order() -> None:
    names = {f"domain.table_{i}" for i in range(40)}
    assert read(CSV, names) == tuple(sorted(names))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON_VALUES))
def test_a_json_map_is_a_mapping_or_a_text(content: dict[str, Any]) -> None:
    assert read(JSON_MAP, content) == read(JSON_MAP, json.dumps(content)) == content


@pytest.mark.parametrize("value", ["[1]", "1", "{", "null", [1], 5, "k=v"])
@pytest.mark.parametrize("kind", [JSON_MAP, ENV_MAP])
def test_what_is_no_map_is_refused(kind: Kind, value: Any) -> None:
    refused(kind, value)


def test_an_empty_text_is_an_empty_map() -> None:
    assert read(JSON_MAP, " ") == read(ENV_MAP, "") == {}


def test_an_env_map_holds_texts() -> None:
    value = {"A": 1, "B": True, "C": False, "D": None, "E": "x", "F": 1.5}
    expected = {"A": "1", "B": "true", "C": "false", "D": "", "E": "x", "F": "1.5"}
    assert read(ENV_MAP, value) == read(ENV_MAP, json.dumps(value)) == expected
    refused(ENV_MAP, {"A": {"B": 1}})
    refused(ENV_MAP, {"A": [1]})


@given(st.dates())
def test_a_date_is_read(day: date) -> None:
    assert read(DATE, day) == read(DATE, day.isoformat()) == read(DATE, f" {day} ") == day


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(timezone(timedelta(hours=1)))))
def test_a_date_with_time_is_read(moment: datetime) -> None:
    assert read(DATE, moment) == read(DATE, moment.isoformat()) == moment


@pytest.mark.parametrize("value", ["", "today", "2024-02-30", "01/02/2024", "2024-1-1", 5, True, []])
def test_what_is_no_date_is_refused(value: Any) -> None:
    refused(DATE, value)


@pytest.mark.parametrize("value", ["2024-W01-1", "20240101", 20240101])
def test_a_date_is_written_in_one_way(value: Any) -> None:
    refused(DATE, value)


@pytest.mark.parametrize("name", ["UTC", "Europe/Paris", "America/New_York"])
def test_a_time_zone_is_read(name: str) -> None:
    assert read(TIMEZONE, name) == name


@pytest.mark.parametrize(
    "value", ["", "Paris", "../../etc/passwd", "Europe", "Europe/Paris ", "é", 5, True, None.__class__]
)
def test_what_is_no_time_zone_is_refused(value: Any) -> None:
    refused(TIMEZONE, value)


def test_a_cron_is_read() -> None:
    assert read(CRON, " 0  2 * * * ") == "0 2 * * *"
    assert read(CRON, "None") is None
    assert "write five fields" in refused(CRON, "every day")


@given(st.one_of(st.text(), st.integers(), st.floats(allow_nan=False)))
def test_a_text_is_read_from_texts_and_numbers(value: Any) -> None:
    assert read(STR, value) == str(value)


def test_a_text_is_read_from_a_path() -> None:
    assert read(STR, PurePosixPath("/a/b")) == "/a/b"


@pytest.mark.parametrize(
    "name", ["spark-env:SPARK_LOCAL_DIRS", "spark.kubernetes.driver.label.app.kubernetes.io/name", "1"]
)
def test_names_of_properties_are_free_and_those_of_variables_are_not(name: str) -> None:
    assert read(TEXT_MAP, {name: True}) == {name: "true"}
    assert "is not a valid name" in problems([Option("x", ENV_MAP)], {"x": {name: "true"}})[0]
    assert "has a null character" in problems([Option("x", TEXT_MAP)], {"x": {name: "a\0b"}})[0]


@pytest.mark.parametrize("value", [True, [], {}, ["a"], object()])
def test_what_is_no_text_is_refused(value: Any) -> None:
    refused(STR, value)


KINDS = [STR, BOOL, Integer(0, 5), DURATION, CSV, JSON_MAP, TEXT_MAP, ENV_MAP, DATE, TIMEZONE, CRON, OneOf("a", "b")]
ANYTHING = st.one_of(
    JSON_VALUES, st.floats(), st.binary(max_size=5), st.dates(), st.tuples(st.text(max_size=3)), st.just(object())
)


@given(st.sampled_from(KINDS), ANYTHING)
def test_any_value_is_read_or_refused_but_never_crashes(kind: Kind, value: Any) -> None:
    refusal: OptionsError | None = None
    try:
        resolve([Option("x", kind)], {"x": value})
    except OptionsError as error:
        refusal = error
    assert refusal is None or "option 'x' of plugin 'acme'" in str(refusal)


# messages


def test_all_problems_are_reported_together() -> None:
    options = [
        Option("a", Integer(1), 1),
        Option("b", BOOL),
        Option("c", STR, required=True, doc="The c."),
        Option("date", DATE),
    ]
    found = problems(options, {"a": 0, "dates": "x", "date": "x"}, {"SL_B": "maybe"}, where="dag.py")
    assert len(found) == 5
    assert all(line.startswith("dag.py: ") for line in found)
    text = "\n".join(found)
    assert "0 is not a valid value for option 'a' of plugin 'acme'; use a whole number, at least 1" in text
    assert (
        "'maybe' is not a valid value for the environment variable SL_B (option 'b' of plugin 'acme'); use true or false"
        in text
    )
    assert (
        "option 'c' of plugin 'acme' is required: The c. Set it in the options or the environment variable SL_C" in text
    )
    assert "unknown option 'dates'. Did you mean 'date' of plugin 'acme'?" in text


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("timezon", "timezone"),
        ("pre_load_stategy", "pre_load_strategy"),
        ("RETRIES", "retries"),
        ("sl_env_vars", "sl_env_var"),
    ],
)
def test_a_near_miss_is_an_error(slip: str, meant: str) -> None:
    with pytest.raises(OptionsError, match=f"unknown option '{slip}'. Did you mean '{meant}' of plugin 'core'?"):
        general({slip: "1"})


def test_two_swapped_letters_are_a_near_miss_in_every_name() -> None:
    names = {option.name for option in GeneralOptions.declared}
    for name in sorted(names):
        for i in range(1, len(name) - 1):
            slip = name[:i] + name[i + 1] + name[i] + name[i + 2 :]
            if slip not in names:
                with pytest.raises(OptionsError, match="Did you mean"):
                    general({slip: "1"})


def test_another_unknown_option_is_a_warning_and_an_error_when_strict(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "starlake_core"):
        assert "cloud_run_job_name" not in general({"cloud_run_job_name": "x"})
    assert "option 'cloud_run_job_name' is ignored: none of the plugins core has it" in caplog.text
    with pytest.raises(OptionsError, match="unknown option 'cloud_run_job_name'"):
        general({"cloud_run_job_name": "x"}, strict=True)


OPTIONS_OF_OTHERS = [
    "airflow_api_auth",
    "airflow_api_base_url",
    "airflow_api_conn_id",
    "AIRFLOW_HOME",
    "pre_load_deferrable",
    "default_dag_args",
    "user_defined_macros",
    "access_control",
    "cloud_run_project_id",
    "cloud_run_job_name",
    "cloud_run_job_region",
    "cloud_run_service_account",
    "cloud_run_async",
    "cloud_run_async_poke_interval",
    "retry_on_failure",
    "retry_delay_in_seconds",
    "use_gcloud",
    "GOOGLE_CLOUD_SDK",
    "cluster_config_name",
    "cluster_id",
    "dataproc_name",
    "dataproc_project_id",
    "dataproc_region",
    "dataproc_subnet",
    "dataproc_service_account",
    "dataproc_image_version",
    "dataproc_master_machine_type",
    "dataproc_master_disk_type",
    "dataproc_worker_disk_size",
    "dataproc_num_workers",
    "dataproc_idle_delete_ttl",
    "dataproc_single_node",
    "dataproc_cluster_metadata",
    "dataproc_cluster_properties",
    "dataproc_job_wait_timeout",
    "spark_jar_list",
    "spark_bucket",
    "spark_job_main_class",
    "aws_conn_id",
    "aws_profile",
    "aws_region",
    "aws_cluster_name",
    "aws_task_definition_name",
    "aws_task_private_subnets",
    "cpu",
    "memory",
    "fargate_async",
    "fargate_async_poke_interval",
    "AWS_SDK",
    "stage_location",
    "warehouse",
    "packages",
    "SL_STARLAKE_PATH",
    "sl_include_env_vars",
]


def test_one_dict_may_serve_every_environment(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "starlake_core"):
        general(dict.fromkeys(OPTIONS_OF_OTHERS, "x"))
    assert len(caplog.records) == len(OPTIONS_OF_OTHERS)


def test_a_secret_is_not_shown_in_a_message_or_a_repr() -> None:
    (problem,) = problems([Option("api_token", Integer())], {"api_token": "hunter22"})
    assert "hunter22" not in problem
    assert "***" in problem
    assert "hunter22" not in repr(resolve([Option("db_password", STR)], {"db_password": "hunter22"}))


def test_a_secret_is_not_shown_when_an_alias_contradicts_it() -> None:
    option = Option("api_token", STR, aliases=("old_token",))
    (problem,) = problems([option], {"api_token": "hunter22", "old_token": "hunter33"})
    assert "hunter" not in problem


@pytest.mark.parametrize("value", ['{"DB_PASSWORD": "hunter22"', {"DB_PASSWORD": "hunter22", "X": {}}])
def test_a_secret_in_a_mapping_is_not_shown_in_a_message(value: Any) -> None:
    (problem,) = problems([Option("sl_env_var", ENV_MAP)], {"sl_env_var": value})
    assert "hunter22" not in problem


def test_a_secret_in_a_mapping_is_not_shown_in_a_repr() -> None:
    assert "hunter22" not in repr(resolve([Option("sl_env_var", ENV_MAP)], {"sl_env_var": {"DB_PASSWORD": "hunter22"}}))


# aliases and conflicts


def test_an_alias_is_the_same_option() -> None:
    assert general({"SL_TIMEZONE": "Europe/Paris"})["timezone"] == "Europe/Paris"
    assert general({"SL_TIMEZONE": "UTC", "timezone": "UTC"})["timezone"] == "UTC"
    assert "SL_TIMEZONE" not in general({})


def test_an_alias_that_contradicts_is_a_problem() -> None:
    with pytest.raises(OptionsError, match=r"(?s)'timezone'.*'SL_TIMEZONE'.*the same option with two values"):
        general({"SL_TIMEZONE": "UTC", "timezone": "Europe/Paris"})


def conflict(first: Option, second: Option) -> str:
    with pytest.raises(PluginContractError) as caught:
        resolve_options([DeclaredOption(first, "one"), DeclaredOption(second, "two")], {}, environ={})
    return str(caught.value)


def test_two_plugins_that_declare_an_option_in_two_ways_are_named() -> None:
    text = conflict(Option("size", STR), Option("size", BOOL))
    assert "plugins 'one' and 'two' both declare the option 'size'" in text
    assert "rename" in text


def test_an_alias_that_is_the_name_of_another_option_is_a_conflict() -> None:
    assert "'size'" in conflict(Option("size", STR), Option("cores", STR, aliases=("size",)))


def test_an_alias_that_is_the_name_of_a_later_option_is_a_conflict() -> None:
    assert "'size'" in conflict(Option("cores", STR, aliases=("size",)), Option("size", STR))


@pytest.mark.parametrize(("first", "second"), [(OneOf("a", "b"), OneOf("c", "d")), (Integer(1), Integer(None, 0))])
def test_two_plugins_that_allow_different_values_are_in_conflict(first: Kind, second: Kind) -> None:
    conflict(Option("size", first), Option("size", second))


def test_two_plugins_may_share_a_declaration() -> None:
    option = Option("size", STR, "big")
    assert (
        resolve_options([DeclaredOption(option, "one"), DeclaredOption(option, "two")], {}, environ={})["size"] == "big"
    )


def test_none_is_no_value_for_a_required_option() -> None:
    problems([Option("name", STR, required=True)], {"name": None})


# per task


def test_a_mapping_under_the_name_of_a_task_holds_for_it_alone() -> None:
    options = general({"retries": 2, "kpi.orders": {"options": "k=v", "retries": "0", "retry_delay": "1m"}})
    assert options["retries"] == 2
    assert options.for_task("kpi.orders")["retries"] == 0
    assert options.for_task("kpi.orders")["retry_delay"] == 60
    assert options.for_task("kpi.other")["retries"] == 2
    assert options.command_options("kpi.orders") == "k=v"
    assert options.command_options("kpi.other") is None
    assert "options" not in options.for_task("kpi.orders")


def test_the_last_name_of_a_task_wins() -> None:
    options = general({"kpi.orders": {"retries": 1, "options": "a=1"}, "my_task": {"retries": 2}})
    assert options.for_task("kpi.orders", "my_task")["retries"] == 2
    assert options.for_task("my_task", "kpi.orders")["retries"] == 1
    assert options.command_options("kpi.orders", "my_task") == "a=1"


def test_an_alias_works_per_task_too() -> None:
    assert general({"t.x": {"SL_TIMEZONE": "Europe/Paris"}}).for_task("t.x")["timezone"] == "Europe/Paris"


def test_the_options_of_a_task_are_checked_with_the_others() -> None:
    found = problems(
        [Option("retries", Integer(0), 1)], {"retries": "x", "kpi.a": {"retries": -1, "retris": 1, "zzz": 1}}
    )
    assert len(found) == 4
    text = "\n".join(found)
    assert "'x' is not a valid value for option 'retries' of plugin 'acme'" in text
    assert "-1 is not a valid value for option 'retries' of plugin 'acme' for task 'kpi.a'" in text
    assert "unknown option 'retris' of task 'kpi.a'. Did you mean 'retries'?" in text
    assert "unknown option 'zzz' of task 'kpi.a'." in text


# read-only


def test_options_cannot_be_assigned_to() -> None:
    options = general({})
    with pytest.raises(TypeError):
        options["retries"] = 5  # type: ignore[index]
    with pytest.raises(AttributeError):
        options.retries = 5  # type: ignore[attr-defined]
    assert isinstance(options, Mapping)
    assert len(options) == len(list(options)) == len({option.name for option in GeneralOptions.declared})


def test_what_was_given_may_change_afterwards() -> None:
    env, task = {"A": "1"}, {"retries": 3}
    options = general({"sl_env_var": env, "kpi.a": task})
    env["A"], task["retries"] = "2", 9
    assert options["sl_env_var"] == {"A": "1"}
    assert options.for_task("kpi.a")["retries"] == 3


def test_an_overlay_is_a_copy() -> None:
    options = general({})
    assert options.overlaid({"retries": 9})["retries"] == 9
    assert options["retries"] == 1


def pollute(mapping: Any, key: str, value: Any) -> None:
    """What a careless plugin does. Refusing it and not being moved by it are both fine."""
    try:
        mapping[key] = value
    except TypeError:
        return


@pytest.mark.parametrize(
    ("kind", "default", "typed"),
    [(DURATION, "1d", 86400), (BOOL, "yes", True), (CSV, "a, b", ("a", "b")), (Integer(1), "3", 3), (STR, "3", "3")],
)
def test_a_default_may_be_what_users_write(kind: Any, default: str, typed: Any) -> None:
    assert Option("ttl", kind, default).default == typed

    class Group(OptionGroup):
        ttl: Any = option(kind, default)

    assert Group(Options({"ttl": Group.declared[0].default})).ttl == typed


def test_a_default_that_the_option_would_refuse_is_refused_when_it_is_declared() -> None:
    with pytest.raises(PluginContractError, match="'soon' is not a valid default of option 'ttl'; use seconds"):
        Option("ttl", DURATION, "soon")


def test_a_default_cannot_be_changed_for_everybody() -> None:
    option = Option("sl_env_var", ENV_MAP, {})
    pollute(resolve([option])["sl_env_var"], "POLLUTED", "1")
    assert resolve([option])["sl_env_var"] == {}


def test_a_mapping_in_the_options_cannot_be_changed() -> None:
    options = resolve([Option("sl_env_var", ENV_MAP)], {"sl_env_var": {"A": "1"}, "kpi.a": {"options": "x=1"}})
    pollute(options["sl_env_var"], "A", "2")
    pollute(options.tasks, "kpi.a", {"options": "x=2"})
    assert options["sl_env_var"] == {"A": "1"}
    assert options.command_options("kpi.a") == "x=1"


def test_reading_options_leaves_the_environment_alone() -> None:
    before = dict(os.environ)
    general({"retries": 1})
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("slip", "meant"), [("retrys", "retries"), ("retry_delya", "retry_delay"), ("task_timout", "task_timeout")]
)
def test_two_slips_of_the_pen_are_an_error(slip: str, meant: str) -> None:
    declared = [DeclaredOption(option, "core") for option in GeneralOptions.declared]
    with pytest.raises(OptionsError, match=f"unknown option '{slip}'. Did you mean '{meant}'"):
        resolve_options(declared, {slip: 1}, environ={})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"X=1; touch PWNED; Y": "v"}, "is not a valid name"),
        ({"": "v"}, "is not a valid name"),
        ({"A B": "v"}, "is not a valid name"),
        ({"A": "v\0"}, "null character"),
        ('{"A": "1", "A": "2"}', "'A' occurs twice"),
    ],
)
def test_names_of_variables_are_validated(value: object, said: str) -> None:
    declared = [DeclaredOption(option, "core") for option in GeneralOptions.declared]
    with pytest.raises(OptionsError, match=said):
        resolve_options(declared, {"sl_env_var": value}, environ={})


# -- groups


class AcmeOptions(OptionGroup):
    """Options of a plugin."""

    region: str = option(STR, required=True, doc="Where.")
    starlake_path: str = option(STR, "starlake", name="SL_STARLAKE_PATH", doc="The program.")
    password: str | None = option(STR, env="", doc="Secret.")
    zones: tuple[str, ...] = option(CSV, (), aliases=("acme_zones",), doc="Zones.")
    separator: str = option(STR, " ", effective=False, doc="Nothing.")


def test_a_group_declares_what_single_options_declare() -> None:
    assert AcmeOptions.declared == (
        Option("region", STR, None, required=True, doc="Where."),
        Option("SL_STARLAKE_PATH", STR, "starlake", doc="The program."),
        Option("password", STR, env="", doc="Secret."),
        Option("zones", CSV, (), aliases=("acme_zones",), doc="Zones."),
        Option("separator", STR, " ", effective=False, doc="Nothing."),
    )
    assert [option.env for option in AcmeOptions.declared[:2]] == ["SL_REGION", "SL_STARLAKE_PATH"]


def test_a_group_shows_the_values_under_the_names_of_its_attributes() -> None:
    options = resolve(list(AcmeOptions.declared), {"region": "eu", "acme_zones": "a, b", "password": "hush"})
    group = options[AcmeOptions]
    assert (group.region, group.starlake_path, group.password, group.zones) == ("eu", "starlake", "hush", ("a", "b"))
    assert "hush" not in repr(group)
    assert "'region': 'eu'" in repr(group)
    assert options.overlaid({"region": "us"})[AcmeOptions].region == "us"
    with pytest.raises(AttributeError):
        group.region = "us"


def test_a_group_inherits_options() -> None:
    class More(AcmeOptions):
        size: int = option(Integer(1), 2, doc="Size.")

    assert [item.name for item in More.declared] == [*(item.name for item in AcmeOptions.declared), "size"]
    assert resolve(list(More.declared), {"region": "eu"})[More].size == 2


def test_what_is_no_option_in_a_group_is_refused() -> None:
    with pytest.raises(PluginContractError, match=r"Wrong.size is not an option; write size: ... = option\(...\)"):

        class Wrong(OptionGroup):
            size: int = 3


@pytest.mark.parametrize(("name", "hint"), [("retrys", " Did you mean 'retries'?"), ("nothing_like_it", "")])
def test_reading_an_option_that_nobody_declares_is_an_error_with_a_hint(name: str, hint: str) -> None:
    options = general({})
    with pytest.raises(UnknownOptionError) as caught:
        options[name]
    assert str(caught.value) == f"no option '{name}': neither the core nor a selected plugin declares it.{hint}"
    assert isinstance(caught.value, KeyError)
    assert options.get(name, "default") == "default"
    assert name not in options


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (Matching("[a-z]+", "letters"), "abc", "abc"),
        (Matching("[a-z]+", "letters", strip=True), " abc ", "abc"),
        (Matching("[0-9]+", "digits"), 12, "12"),
        (Seconds(0.5, "seconds"), "0.5", 0.5),
        (Seconds(0.5, "seconds"), "2m", 120.0),
        (Seconds(0, "seconds"), 3, 3.0),
    ],
)
def test_kinds_with_a_form(kind: Kind[Any], value: object, read: object) -> None:
    assert kind.read(value) == read


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Matching("[a-z]+", "letters"), " abc"),
        (Matching("[a-z]+", "letters"), "abc1"),
        (Seconds(0.5, "seconds"), "0.4"),
        (Seconds(0.5, "seconds", high=10), "10"),
        (Seconds(0, "seconds"), "inf"),
        (Seconds(0, "seconds"), "nan"),
        (Seconds(0, "seconds"), True),
        (Seconds(0, "seconds"), "soon"),
    ],
)
def test_what_a_form_refuses(kind: Kind[Any], value: object) -> None:
    with pytest.raises(OptionsError, match=kind.allowed):
        resolve([Option("x", kind, doc="It.")], {"x": value})


def test_what_a_plugin_changes_in_a_value_is_changed_for_nobody_else() -> None:
    options = general({"sl_env_var": {"SL_ENV": "DEV"}})
    options[GeneralOptions].sl_env_var["SL_ENV"] = "PROD"
    assert options[GeneralOptions].sl_env_var == options["sl_env_var"] == {"SL_ENV": "DEV"}


def test_a_group_that_no_selected_plugin_declares_says_so() -> None:
    with pytest.raises(
        UnknownOptionError, match="no option 'region': neither the core nor a selected plugin declares it"
    ):
        _ = general({})[AcmeOptions].region

"""Secrets are hidden wherever a person could read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlake_core.masking import MASK, is_secret_name, mask_arguments, mask_mapping, mask_text, secret_values

SECRET = "hunter22"
SECRET_NAMES = [
    "DB_PASSWORD",
    "passwd",
    "client_secret",
    "accessToken",
    "AWS_SECRET_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "api-key",
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert is_secret_name(name.upper())


@pytest.mark.parametrize("name", ["SL_ROOT", "SL_RUN_KEY", "primaryKeys", "domains", "user", ""])
def test_names_that_are_none(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize(
    "arguments",
    [
        ["load", "--{}", SECRET],
        ["load", "--{}=" + SECRET],
        ["load", "--options", "{}=" + SECRET],
        ["load", "--options", "a=1,{}=" + SECRET + ",b=2"],
        ["load", "--options", "{}=x=" + SECRET],
        ["load", "--options:{}=" + SECRET],
        ["x", "{}=" + SECRET],
    ],
)
def test_a_secret_in_arguments_is_hidden(name: str, arguments: list[str]) -> None:
    shown = mask_arguments([argument.format(name) for argument in arguments])
    assert SECRET not in " ".join(shown)
    assert MASK in " ".join(shown)
    assert len(shown) == len(arguments)


@pytest.mark.parametrize("argument", ["--accessToken:hunter22", "--options=db_password=hunter22"])
def test_a_secret_in_another_spelling_of_an_option_is_hidden(argument: str) -> None:
    assert SECRET not in " ".join(mask_arguments(["load", argument]))


@given(st.lists(st.text(st.characters(exclude_characters="@", exclude_categories=("Cs",)))))
def test_arguments_without_secrets_are_shown_as_they_are(values: list[str]) -> None:
    vector = ["load", *[part for value in values for part in ("--domains", value.replace("=", ""))]]
    assert mask_arguments(vector) == tuple(vector)


def test_what_is_beside_a_secret_is_shown() -> None:
    assert mask_arguments(["load", "--accessToken", "x", "--options", "a=1,db_password=2,c=", "--tables", "t"]) == (
        *("load", "--accessToken", MASK, "--options", f"a=1,db_password={MASK},c=", "--tables", "t"),
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("jdbc:postgresql://me:pw@host/db", "jdbc:postgresql://***@host/db"),
        ("https://token@host and s3://a:b@c", "https://***@host and s3://***@c"),
        ("https://host/path@2x me@example.com", "https://host/path@2x me@example.com"),
        ("no url", "no url"),
    ],
)
def test_the_user_part_of_a_url_is_hidden(text: str, shown: str) -> None:
    assert mask_text(text) == shown


def test_known_values_are_hidden_in_a_text_longest_first() -> None:
    secrets = secret_values({"A_TOKEN": "hunter22", "B_TOKEN": "hunter22-long", "SL_ROOT": "visible-value"})
    assert secrets == ("hunter22-long", "hunter22")
    assert mask_text("x hunter22-long y hunter22 visible-value", secrets) == "x *** y *** visible-value"


def test_every_line_of_a_secret_of_several_lines_is_hidden() -> None:
    secrets = secret_values({"PRIVATE_KEY": "-----BEGIN-----\nhunter22hunter22\n-----END-----\n"})
    assert mask_text("x hunter22hunter22", secrets) == "x ***"


def test_a_password_with_an_at_sign_in_a_url_is_hidden() -> None:
    assert mask_text("jdbc:postgresql://me:p@ss@host/db?x=a@b") == "jdbc:postgresql://***@host/db?x=a@b"


def test_a_short_value_is_not_searched_for() -> None:
    assert secret_values({"TOKEN": "true", "KEY": ""}) == ()


def test_mappings_are_masked_at_every_depth() -> None:
    value = {
        "a": {"password": SECRET, "b": [{"token": SECRET}, [f"ftp://u:{SECRET}@h"]]},
        "secret": {"x": SECRET},
        "n": 1,
        "key": "",
    }
    shown = mask_mapping(value)
    assert SECRET not in repr(shown)
    assert shown == {
        "a": {"password": MASK, "b": [{"token": MASK}, ["ftp://***@h"]]},
        "secret": MASK,
        "n": 1,
        "key": "",
    }
    assert value["a"]["password"] == SECRET  # type: ignore[index, call-overload]


@pytest.mark.parametrize("name", ["ssh_key_file", "keyFile", "TLS_KEY_PATH", "token-dir", "secret.folder"])
def test_a_path_to_a_secret_is_no_secret(name: str) -> None:
    assert not is_secret_name(name)
    assert mask_mapping({name: "/etc/keys/one"}) == {name: "/etc/keys/one"}
    assert (
        mask_text(f"with {name}=/etc/keys/one and db_password=hunter2")
        == f"with {name}=/etc/keys/one and db_password=***"
    )


@pytest.mark.parametrize("name", ["key_profile", "keyfile", "file_key", "token_files"])
def test_what_only_looks_like_a_path_is_a_secret(name: str) -> None:
    assert is_secret_name(name)

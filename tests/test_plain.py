"""Text of others moves no cursor, sets no clipboard, and tells no secret; and what it is does not decide how long that takes."""

from __future__ import annotations

import importlib.util
import time
import traceback
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlake_core import Job, OptionsError, OutageError, RunKey, RunnerError, StarlakeError
from starlake_core.masking import MASK, is_secret_name, mask_arguments, mask_mapping, mask_text, secret_values
from starlake_core.plain_text import plain, plain_line
from starlake_core.runtime import Outcome, Verdict, finish
from starlake_core.testing import FakeEnvironment

_SPEC = importlib.util.spec_from_file_location(
    "masking_benchmark", Path(__file__).parent.parent / "benchmarks" / "masking.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
masking = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(masking)

ANY = st.text(st.characters()) | st.binary().map(lambda data: data.decode("latin-1"))


@given(ANY)
def test_no_control_character_but_newline_and_tab_arrives(text: str) -> None:
    shown = plain(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"]
    assert plain(shown) == shown
    assert "\n" not in plain_line(text)
    shown.encode()


@pytest.mark.parametrize(
    "text",
    [
        "\x1b]0;title\x07",
        "\x1b]52;c;aGk=\x07",
        "\x1b[2J",
        "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
        "\x9b2J",
        "a\rb",
        "a\x08b",
        "\u202eabc",
        "\u2028",
        "\x7f",
        "\x00",
    ],
)
def test_what_a_terminal_would_act_on_is_spelt_out(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert "\\" in shown


@given(ANY, st.sampled_from([RunnerError, OutageError, OptionsError]))
def test_what_others_say_arrives_as_plain_text_wherever_it_is_shown(text: str, error: type[StarlakeError]) -> None:
    """Reasons, outputs and messages, in this process and after a transport."""
    outcome = Outcome(Verdict.FAILED, reason=text, log=text, tail=text)
    raised = error([text]) if error is OptionsError else error(text)  # type: ignore[call-arg,arg-type]
    for shown in (outcome.reason, outcome.log, outcome.tail, str(raised), f"{raised}"):
        assert shown == plain(text)
    assert Outcome.from_json(outcome.to_json()) == outcome
    assert not [
        c for c in "".join(traceback.format_exception(raised)) if unicodedata.category(c) == "Cc" and c not in "\n\t"
    ]


def test_the_reason_and_the_tail_of_any_environment_have_no_secret_of_the_job() -> None:
    """Also where a plugin hands on what a program wrote."""
    fake = FakeEnvironment()
    job = Job("fake", ("stage", "--domains", "sales"), {"DB_PASSWORD": "hunter22"})
    runner = fake.sl_create_runner(job=job)
    outcome = Outcome(Verdict.FAILED, 1, reason="no user with hunter22", tail="trying \x1b[2Jhunter22")
    ended = finish(runner, "h", outcome, job, RunKey("t", "1"))
    assert (ended.reason, ended.tail) == (f"no user with {MASK}", f"trying \\x1b[2J{MASK}")


def test_colours_are_left_out_and_letters_of_all_languages_stay() -> None:
    assert plain("\x1b[1;31merror\x1b[0m: \tpå 日本 🎂\n") == "error: \tpå 日本 🎂\n"


@pytest.mark.parametrize(
    "name",
    ["PG_PWD", "MYSQL_PWD", "PGPWD", "dbPwd", "pwd", "DB_PASS", "dbPass", "PASS", "DB_PASSPHRASE", "AUTH", "SL_AUTH", "oauth", "BEARER",
     "X_BEARER", "GCP_CREDENTIALS", "AUTHORIZATION", "SET_COOKIE", "AZURE_SAS"],
)  # fmt: skip
def test_more_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert mask_mapping({name: "x"}) == {name: MASK}


@pytest.mark.parametrize("name", ["PWD", "OLDPWD", "COMPASS", "PASSENGERS", "AUTHOR", "bypass", "passed", "AUTHORS"])
def test_more_names_that_are_none(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "Server=s;User=u;password=hunter2;x=1",
        "Server=s;PWD=hunter2",
        "jdbc:x://h/db?user=me&password=hunter2&ssl=true",
        "jdbc:x://me:hunter2@h/db",
        "AUTH=Bearer hunter2",
        "Authorization: Bearer hunter2",
        "authorization: Basic hunter2==",
        "curl -H 'X-Api-Key: hunter2' h",
        '{"token": "hunter2", "a": 1}',
        "{'password': 'hunter2'}",
        'password = "hunter2 with words hunter2"',
        "password: hunter2",
        "DB_PASSPHRASE=hunter2",
        "https://h/x?access_token=hunter2&y=1",
        "https://h/x?X-Amz-Signature=hunter2",
        "AccountKey=hunter2;EndpointSuffix=core",
        "api_key=hunter2",
        "fs.azure.account.key: x client_secret=hunter2",
        "saw Bearer hunter2hunter2 in a header",
        'password="hunter2',
    ],
)
def test_the_common_shapes_of_secrets_are_hidden_on_every_path(text: str) -> None:
    assert "hunter2" not in mask_text(text)
    assert "hunter2" not in " ".join(mask_arguments(["x", text]))
    assert "hunter2" not in repr(mask_mapping({"text": text, "list": [text]}))


@pytest.mark.parametrize(
    "text",
    [
        "PWD=/home/me",
        "primary key: a, b",
        "unexpected token: ;",
        "12 rows passed",
        "author=me",
        "compass=north",
        "key=5",
        "a basic test",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert mask_text(text) == text


@given(ANY, st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=3, max_size=40), ANY)
def test_a_declared_secret_never_gets_through(before: str, secret: str, after: str) -> None:
    secrets = secret_values({"DB_PASSWORD": secret})
    for found in secrets:
        shown = mask_text(f"{before} {found} {after}".replace(MASK, ""), secrets)
        if len(found) >= 6:
            assert found not in shown.replace(MASK, "\0") or found in MASK


def test_short_secrets_are_hidden_as_words() -> None:
    secrets = secret_values({"A_PASSWORD": "abc", "B_TOKEN": "x1"})
    assert mask_text("abc abcd xabc (abc)", secrets) == f"{MASK} abcd xabc ({MASK})"


def test_a_secret_across_the_cut_of_a_long_line_is_hidden() -> None:
    from starlake_core import Job, RunKey
    from starlake_core.runtime import ProcessRunner, execute

    script = "import os, sys; sys.stdout.write('x' * 65_530 + os.environ['DB_PASSWORD'] + 'y' * 200_000)"
    import sys

    lines: list[str] = []
    job = Job("x", (), {"DB_PASSWORD": "hunter22hunter22"})
    outcome = execute(
        job,
        ProcessRunner(lambda job: (sys.executable, "-c", script)),
        RunKey("p/r/t", "1"),
        timeout=60,
        on_line=lines.append,
    )
    assert outcome.succeeded
    assert "hunter" not in "".join(lines)
    assert len(lines) > 1


def _work(make: Callable[[int], str], size: int) -> float:
    """Processor time of the best of some tries."""
    text, best = make(size), float("inf")
    for _ in range(3):
        started = time.process_time()
        plain(mask_text(text, ("hunter22", "abc")))
        best = min(best, time.process_time() - started)
    return best


@pytest.mark.parametrize("name", sorted(masking.LINES))
def test_masking_is_never_slower_than_linear(name: str) -> None:
    """Eight times the text is no more than twenty times the work; where it grew with the square it would be sixty-four times."""
    make = masking.LINES[name]
    small = max(_work(make, 32 * 1024), 0.0005)
    assert _work(make, 256 * 1024) / small < 20

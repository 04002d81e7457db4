"""The program itself: help, refusals, and what it says when something is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Sandbox


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",), ("help", "load"), ("load", "--help")])
def test_help_goes_to_stdout_and_succeeds(sandbox: Sandbox, arguments: tuple[str, ...]) -> None:
    result = sandbox.run(*arguments)
    assert result.code == 0
    assert result.out.startswith("Usage:")
    assert "transform --name" in result.out.replace("[--action] ", "")


def test_every_problem_of_an_argument_vector_is_reported(sandbox: Sandbox) -> None:
    result = sandbox.run("load", "--domain", "shop", "--options", "", "extra")
    assert result.code == 1
    assert "Unknown option --domain" in result.err
    assert "key=value" in result.err
    assert "Unknown argument 'extra'" in result.err


@pytest.mark.parametrize("arguments", [("import",), ("watch",), ("Load",)])
def test_unknown_commands_fail(sandbox: Sandbox, arguments: tuple[str, ...]) -> None:
    result = sandbox.run(*arguments)
    assert result.code == 1
    assert f"Unknown command {arguments[0]}" in result.err


def test_a_known_command_that_is_not_supported_names_the_real_program(sandbox: Sandbox) -> None:
    result = sandbox.run("dag-generate", "--clean")
    assert result.code == 1
    assert "the command dag-generate is not supported" in result.err
    assert "Starlake command line" in result.err


def test_sl_root_is_required(sandbox: Sandbox) -> None:
    result = sandbox.run("load", SL_ROOT="")
    assert result.code == 1
    assert "SL_ROOT not defined; set it to" in result.err


def test_a_directory_without_metadata_is_no_project(sandbox: Sandbox) -> None:
    result = sandbox.run("load", SL_ROOT=str(sandbox.root / "incoming"))
    assert result.code == 1
    assert "is not a Starlake project" in result.err


def test_an_unknown_time_zone_is_refused(sandbox: Sandbox) -> None:
    result = sandbox.run("load", SL_TIMEZONE="Mars/Olympus")
    assert result.code == 1
    assert "SL_TIMEZONE is 'Mars/Olympus'" in result.err


def test_the_program_runs_as_a_module(sandbox: Sandbox) -> None:
    process = sandbox.process("stage", "--domains", "nowhere")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert err == "WARNING there is no domain 'nowhere' in metadata/load, so nothing is done for it\n"


def test_preload_starts_neither_duckdb_nor_jinja(sandbox: Sandbox) -> None:
    sandbox.incoming("items1.csv", "id\n1\n")
    program = (
        "import sys; from starlake_core_duckdb.cli import main\n"
        "code = main(['preload', '--domain', 'shop', '--strategy', 'imported'])\n"
        "sys.exit(code or (2 if {'duckdb', '_duckdb', 'jinja2'} & set(sys.modules) else 0))"
    )
    assert sandbox.finish(sandbox.python("-c", program)).code == 0


def test_a_project_in_a_bucket_is_refused_by_name(sandbox: Sandbox) -> None:
    done = sandbox.run("stage", "--domains", "d", SL_ROOT="gs://bucket/project")
    assert done.code == 1
    assert "gs://bucket/project" in done.err
    assert "Starlake command line" in done.err


BROKEN = {
    "a wrong option": (("load", "--domain", "shop"), "", ""),
    "an unknown command": (("Load",), "", ""),
    "a date that is none": (("load", "--domains", "shop", "--scheduledDate", "yesterday"), "", ""),
    "a command of the real program": (("dag-generate", "--clean"), "", ""),
    "a broken YAML file": (
        ("load", "--domains", "shop", "--tables", "items"),
        "metadata/load/shop/items.sl.yml",
        "table: [",
    ),
    "a pattern that is none": (
        ("stage", "--domains", "shop"),
        "metadata/load/shop/items.sl.yml",
        "table: { pattern: '(', attributes: [] }",
    ),
    "an unsupported strategy": (
        ("load", "--domains", "shop", "--tables", "items"),
        "metadata/load/shop/items.sl.yml",
        "table: { pattern: 'i.*', metadata: { writeStrategy: { type: MINE } }, attributes: [ { name: id, type: string } ] }",
    ),
    "a transform that does not exist": (("transform", "--name", "kpi.none"), "", ""),
    "SQL that is broken": (("transform", "--name", "kpi.day"), "metadata/transform/kpi/day.sql", "SELEC 1"),
    "a connection that is not defined": (
        ("transform", "--name", "kpi.day"),
        "metadata/application.sl.yml",
        "application: { connectionRef: nowhere }",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_will_not_pass_is_told_to_a_runner_of_ours_only(sandbox: Sandbox, fault: str) -> None:
    arguments, path, text = BROKEN[fault]
    sandbox.write("metadata/transform/kpi/day.sql", "SELECT 1 AS one")
    if path:
        sandbox.write(path, text)
    alone = sandbox.run(*arguments)
    assert alone.code == 1, "as Starlake ends"
    assert "ERROR" in alone.err
    assert sandbox.run(*arguments, SL_RUN_KEY="p/r/t").code == 78


def test_what_may_pass_ends_as_starlake_does(sandbox: Sandbox) -> None:
    sandbox.write("metadata/transform/kpi/day.sql", "SELECT * FROM shop.not_yet_there")
    result = sandbox.run("transform", "--name", "kpi.day", SL_RUN_KEY="p/r/t")
    assert (result.code, "the query fails" in result.err) == (1, True)


def test_a_database_that_somebody_else_has_open_may_be_closed_by_the_next_try(sandbox: Sandbox) -> None:
    sandbox.write("metadata/transform/kpi/day.sql", "SELECT 1 AS one")
    (sandbox.root / "datasets").mkdir(exist_ok=True)
    holder = sandbox.python(
        "-c",
        "import duckdb, signal, sys; kept = duckdb.connect(sys.argv[1]); print('open', flush=True); signal.pause()",
        str(sandbox.root / "datasets" / "duckdb.db"),
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        result = sandbox.run("transform", "--name", "kpi.day", SL_RUN_KEY="p/r/t")
        assert (result.code, "Could not set lock on file" in result.err) == (1, True)
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ImportError("no duckdb"), 78),
        (TypeError("a bug"), 78),
        (MemoryError(), 1),
        (OSError(24, "Too many open files"), 1),
    ],
)
def test_an_error_that_nobody_expected_is_told_by_its_kind(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fails(name: str, package: str) -> None:
        raise error

    monkeypatch.setattr("starlake_core_duckdb.cli.importlib.import_module", fails)
    result = sandbox.run("load", SL_RUN_KEY="p/r/t")
    assert result.code == code
    assert str(error) in result.err
    assert sandbox.run("load").code == 1

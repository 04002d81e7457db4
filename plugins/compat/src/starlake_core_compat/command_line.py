"""``python -m ai.starlake.orchestration ACTION --file F --options ...``, translated to ``starlake-orchestrate``."""

from __future__ import annotations

import argparse
import json
import os
import runpy
import sys
from collections.abc import Sequence

__all__ = ["main", "translated"]

_ACTIONS = ("run", "dry-run", "deploy", "delete", "backfill")
_OF_PROCESSES = ("AIRFLOW_HOME", "DAGSTER_HOME")
"""Names among the options that are variables of the orchestrator."""
_DATES = {"start_date": "--start", "end_date": "--end"}


def _pairs(text: str) -> dict[str, str]:
    """Options as JSON, or as ``name=value`` separated by commas."""
    if text.strip().startswith("{"):
        try:
            found = json.loads(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not valid JSON: {error}") from None
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    for name, equals, _ in pairs:
        if not name.strip() or not equals:
            raise argparse.ArgumentTypeError(f"{text!r} is neither JSON nor name=value,name=value")
    return {name.strip(): value for name, _, value in pairs}


def translated(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The arguments for ``starlake-orchestrate``, and the environment variables of the process.

    Args:
        arguments: the arguments, without the name of the program.
    """
    parser = argparse.ArgumentParser(
        prog="python -m ai.starlake.orchestration", description="Runs, deploys or deletes the pipelines of a file."
    )
    parser.add_argument("action", choices=_ACTIONS)
    parser.add_argument(
        "--file", required=True, action="append", help="A pipeline file, or a folder with pipeline files."
    )
    parser.add_argument("--options", type=_pairs, default={}, help="JSON, or name=value separated by commas.")
    given = parser.parse_args(arguments)
    options = dict(given.options)
    variables = {name: options.pop(name) for name in _OF_PROCESSES if name in options}
    words = [given.action, *given.file]
    if given.action == "backfill":
        for name, flag in _DATES.items():
            if name not in options:
                parser.error("backfill needs the first and the last date: --options start_date=...,end_date=...")
            words += [flag, options.pop(name)]
    for name, value in options.items():
        words += ["--option", f"{name}={value}"]
    return words, variables


def main() -> None:
    """Run the command line, and exit with its exit code."""
    words, variables = translated(sys.argv[1:])
    os.environ.update(variables)
    sys.argv[1:] = words
    runpy.run_module("starlake_core", run_name="__main__", alter_sys=False)

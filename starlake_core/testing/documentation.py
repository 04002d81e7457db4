"""Keeps the documentation of a plugin up to date."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .promises import checks_of

__all__ = ["check_options_table", "check_promises", "promises_table"]

_TABLE = re.compile(r"<!-- options -->\n(.*?)<!-- /options -->", re.DOTALL)


def check_options_table(page: Path, role: str, name: str) -> None:
    """Check that the table of options on a page, between ``<!-- options -->`` and ``<!-- /options -->``, matches the
    plugin.

    If the environment variable ``STARLAKE_UPDATE_DOCS`` is set, rewrite the table instead.

    Args:
        page: the Markdown page.
        role: ``orchestrator``, ``environment`` or ``addon``.
        name: the name of the plugin's entry point.

    Raises:
        AssertionError: the page has no such place, or a different table.
    """
    done = subprocess.run(
        [sys.executable, "-m", "starlake_core", "options", f"--{role}", name, "--format", "markdown"],
        env={variable: value for variable, value in os.environ.items() if not variable.startswith("SL_")},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    header, line, *rows = [row for row in done.stdout.splitlines() if row.startswith("|")]
    table = "\n".join([header, line, *(row for row in rows if f"| {name} |" in row)])
    text = page.read_text(encoding="utf-8")
    found = _TABLE.search(text)
    assert found is not None, f"{page} has no place for the options: <!-- options --> and <!-- /options -->"
    if os.environ.get("STARLAKE_UPDATE_DOCS"):
        page.write_text(text[: found.start(1)] + table + "\n" + text[found.end(1) :], encoding="utf-8")
        return
    assert found[1].strip() == table, (
        f"the options on {page} are not those of the plugin; rewrite them with STARLAKE_UPDATE_DOCS=1"
    )


def promises_table(suite: type) -> str:
    """Return a Markdown table of the checks of a suite: the promise, the level, and the name of the check.

    Args:
        suite: the suite.
    """
    rows = [f"| {check.promise.replace('``', '`')} | {check.level} | `{check.name}` |" for check in checks_of(suite)]
    return "\n".join(["| promise | level | check |", "|---|---|---|", *rows])


def check_promises(page: Path, suites: Mapping[str, type]) -> None:
    """Check that the tables on a page, each between ``<!-- promises: NAME -->`` and ``<!-- /promises -->``, list every
    check of a suite with what it holds a plugin to.

    If the environment variable ``STARLAKE_UPDATE_DOCS`` is set, rewrite the tables instead.

    Args:
        page: the Markdown page.
        suites: the suites, by the names on the page.

    Raises:
        AssertionError: the page has no such place, or a different table.
    """
    text = page.read_text(encoding="utf-8")
    for name, suite in suites.items():
        found = re.search(rf"<!-- promises: {name} -->\n(.*?)<!-- /promises -->", text, re.DOTALL)
        assert found is not None, f"{page} has no place for the promises of {name}"
        table = promises_table(suite)
        if os.environ.get("STARLAKE_UPDATE_DOCS"):
            text = text[: found.start(1)] + table + "\n" + text[found.end(1) :]
            page.write_text(text, encoding="utf-8")
        assert found[1].strip() == table or os.environ.get("STARLAKE_UPDATE_DOCS"), (
            f"the promises of {name} on {page} are not those of its checks; rewrite them with STARLAKE_UPDATE_DOCS=1"
        )

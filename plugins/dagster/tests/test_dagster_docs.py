"""The README of the plugin says what is true."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

from starlake_core_dagster.rendering import JOB_KEYWORDS, TASK_KEYWORDS

README = Path(__file__).parents[1] / "README.md"


def test_the_options_are_those_of_the_plugin() -> None:
    """STARLAKE_UPDATE_DOCS=1 writes the table anew."""
    done = subprocess.run(
        [sys.executable, "-m", "starlake_core", "options", "--orchestrator", "dagster", "--format", "markdown"],
        env={name: value for name, value in os.environ.items() if not name.startswith("SL_")},
        text=True,
        capture_output=True,
        check=True,
    )
    header, line, *rows = [row for row in done.stdout.splitlines() if row.startswith("|")]
    table = "\n".join([header, line, *(row for row in rows if "| dagster |" in row)])
    text = README.read_text(encoding="utf-8")
    found = re.search(r"<!-- options -->\n(.*?)<!-- /options -->", text, re.DOTALL)
    assert found is not None
    if os.environ.get("STARLAKE_UPDATE_DOCS"):
        README.write_text(text[: found.start(1)] + table + "\n" + text[found.end(1) :], encoding="utf-8")
        return
    assert found[1].strip() == table


def test_pictures_and_code_are_there() -> None:
    text = README.read_text(encoding="utf-8")
    for image in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (README.parent / image).is_file(), image
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        ast.parse(block)


def test_the_keywords_are_those_of_the_plugin() -> None:
    text = README.read_text(encoding="utf-8")
    for name in (*TASK_KEYWORDS, *JOB_KEYWORDS):
        assert f"`{name}`" in text, name

"""The README of the plugin says what is true."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from starlake_core_dagster.keywords import JOB_KEYWORDS, TASK_KEYWORDS

from starlake_core.testing import check_options_table

README = Path(__file__).parents[1] / "README.md"


def test_the_options_are_those_of_the_plugin() -> None:
    check_options_table(README, "orchestrator", "dagster")


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

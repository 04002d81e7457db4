"""The README of the plugin says what is true."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from quick_starts import follow

from starlake_core import Orchestration
from starlake_core.testing import RecordingOrchestrator, check_options_table

ROOT = Path(__file__).resolve().parents[3]
README = ROOT / "plugins" / "fargate" / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_options_are_those_of_the_plugin() -> None:
    check_options_table(README, "environment", "fargate")


@pytest.mark.parametrize("block", BLOCKS, ids=["airflow", "dagster"])
def test_the_examples_build(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an orchestrator that is always there in place of the one that the example names."""
    opened = []

    class Anywhere(Orchestration):
        def __init__(self, **keywords: object) -> None:
            keywords.update(orchestrator=RecordingOrchestrator(), filename=str(tmp_path / "example.py"), namespace={})
            super().__init__(**keywords)  # type: ignore[arg-type]
            opened.append(self)

    monkeypatch.setattr("starlake_core.Orchestration", Anywhere)
    exec(compile(ast.parse(block), "example.py", "exec"), {})
    (orchestration,) = opened
    assert orchestration.plugins.environment == "fargate"


def test_the_policy_allows_what_is_called_and_nothing_else() -> None:
    found = re.search(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    allowed: set[str] = set()
    for statement in json.loads(found[1])["Statement"]:
        actions = statement["Action"]
        allowed |= {actions} if isinstance(actions, str) else set(actions)
    source = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "plugins/fargate/src/starlake_core_fargate").glob("*.py")
    )
    called = {
        f"{service}:{''.join(word.title() for word in operation.split('_'))}"
        for service, operation in re.findall(r'"(ecs|logs|s3)",\s*"([a-z_0-9]+)"', source)
    }
    named = {"s3:ListObjectsV2": "s3:ListBucket", "s3:DeleteObjects": "s3:DeleteObject"}
    implied = {"iam:PassRole", "ecs:TagResource"}  # by RunTask
    assert allowed == {named.get(action, action) for action in called} | implied


def test_the_quick_start_works(tmp_path: Path) -> None:
    said = follow(README, tmp_path)
    assert "starbake_kpi: success" in said
    assert "kpi.overview" in said

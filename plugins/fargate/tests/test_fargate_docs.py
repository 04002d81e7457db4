"""The README of the plugin says what is true."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path

import pytest
from fargate_lab import orchestration
from quick_starts import follow
from starlake_core_fargate.limits import LIMITS

from starlake_core import Orchestration, limits_table
from starlake_core.model.command import load_command
from starlake_core.testing import RecordingOrchestrator, check_options_table

ROOT = Path(__file__).resolve().parents[3]
README = ROOT / "plugins" / "fargate" / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_options_are_those_of_the_plugin() -> None:
    check_options_table(README, "environment", "fargate")


def test_the_limits_are_those_that_are_checked() -> None:
    place = re.compile(r"<!-- limits -->\n(.*?)<!-- /limits -->", re.DOTALL)
    text, table = README.read_text("utf-8"), limits_table(LIMITS) + "\n"
    if os.environ.get("STARLAKE_UPDATE_DOCS"):
        README.write_text(place.sub(lambda _: f"<!-- limits -->\n{table}<!-- /limits -->", text), "utf-8")
        return
    found = place.search(text)
    assert found is not None
    assert found[1] == table, "STARLAKE_UPDATE_DOCS=1 writes them anew"


@pytest.mark.parametrize("document", re.findall(r"^\| [^|]+ \| `(\{.*?\})`", TEXT, re.MULTILINE))
def test_the_examples_of_documents_are_taken(document: str) -> None:
    options = {
        "aws_cluster_name": "starlake",
        "aws_task_definition_name": "starlake",
        "aws_task_definition_container_name": "starlake",
        "aws_task_private_subnets": "subnet-0a1b2c3d",
    }
    opened = orchestration({**options, "aws_run_task": document})
    made = opened.plugins.create_job(command=load_command("x", "sales", "orders"), options=opened.options)
    assert made.spec["run_task"]


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

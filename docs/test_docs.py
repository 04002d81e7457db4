"""The documentation tells the truth: outputs are those of the commands above them, names and links exist.

``STARLAKE_UPDATE_DOCS=1 pytest docs`` writes the outputs anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("plugins/*/README.md")])
BLOCK = re.compile(r"<!-- run: (?P<command>.+?) -->\n```(?P<language>\w*)\n(?P<output>.*?)```\n", re.DOTALL)
TABLE = re.compile(r"<!-- table: (?P<command>.+?) -->\n(?P<output>.*?)<!-- end -->", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)(?P<target>[^)#\s]+)")
HOME = "/home/me/starlake_core"

VARYING = [
    (re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}"), "RUN"),
    (re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?(\.\d+)?([+-]\d{2}:?\d{2})?)?"), "DATE"),
    (re.compile(r"\b\d{2}:\d{2}:\d{2}\b"), "TIME"),
    (re.compile(r"\b\d+\.\d s\b"), "SECONDS"),
    (re.compile(r"[ \t]+"), " "),
]


def normal(text: str) -> list[str]:
    """The lines of an output without what differs from run to run; sorted, because tasks run side by side."""
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return sorted(line.strip() for line in text.strip().splitlines() if line.strip())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands are typed: an empty folder. The pages that run something begin with the demo."""
    return tmp_path_factory.mktemp("checkout")


def run(command: str, folder: Path) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SL_")}
    env |= {"PATH": f"{Path(sys.executable).parent}:{env['PATH']}", "COLUMNS": "200"}
    # The commands are those of the pages, pipes included.
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    output = done.stdout.replace(sys.executable, "python").replace(str(folder), HOME)
    return "\n".join(line.rstrip() for line in output.splitlines()) + "\n"


@pytest.mark.parametrize("page", [page for page in PAGES if BLOCK.search(page.read_text())], ids=lambda page: page.name)
def test_outputs_are_those_of_the_commands(page: Path, checkout: Path) -> None:
    text = page.read_text()
    fresh = text
    for block in BLOCK.finditer(text):
        output = run(block["command"], checkout)
        if os.environ.get("STARLAKE_UPDATE_DOCS"):
            new = block[0].replace(block["output"], output) if block["output"] else block[0][:-4] + output + "```\n"
            fresh = fresh.replace(block[0], new)
        else:
            assert normal(output) == normal(block["output"]), block["command"]
    if fresh != text:
        page.write_text(fresh)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if TABLE.search(page.read_text())], ids=lambda page: str(page.relative_to(ROOT))
)
def test_tables_are_those_of_the_code(page: Path, checkout: Path) -> None:
    text = page.read_text()
    fresh = text
    for block in TABLE.finditer(text):
        output = run(block["command"], checkout)
        if os.environ.get("STARLAKE_UPDATE_DOCS"):
            fresh = fresh.replace(block[0], f"<!-- table: {block['command']} -->\n{output}<!-- end -->")
        else:
            assert output == block["output"], block["command"]
    if fresh != text:
        page.write_text(fresh)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    missing = [
        found["target"] for found in LINK.finditer(page.read_text()) if not (page.parent / found["target"]).exists()
    ]
    assert not missing


def test_every_plugin_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert not [folder.name for folder in (ROOT / "plugins").iterdir() if f"plugins/{folder.name}" not in text]


def test_every_cell_about_doing_work_again_is_a_test() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    table = text[text.index("| what happened |") : text.index("For a transform, an Airflow")]
    rows = [line.split("|")[2:-1] for line in table.strip().splitlines()[2:]]
    assert len(rows) > 10
    for cell in (cell for row in rows for cell in row):
        named = re.search(r"<!-- (?P<file>\S+?)(::(?P<test>\w+))? -->", cell)
        assert named, f"no test stands behind: {cell}"
        source = (ROOT / named["file"]).read_text()
        assert f"def {named['test'] or 'test_'}" in source or "schedules" in named["file"], cell

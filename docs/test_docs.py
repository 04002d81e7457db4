"""The documentation tells the truth: outputs are those of the commands above them, names and links exist.

``STARLAKE_UPDATE_DOCS=1 pytest docs`` writes the outputs anew.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import starlake_core

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")])
STEP = re.compile(
    r"<!-- (?P<kind>prepare|type|file|console)(: (?P<what>.+?))? -->\n(```\w+\n(?P<text>.*?)```\n)?", re.DOTALL
)
"""What a page has its reader do: type commands, save a file, or type commands and see what is shown. ``prepare`` comes before the page."""
TABLE = re.compile(r"<!-- table: (?P<command>.+?) -->\n(?P<output>.*?)<!-- end -->", re.DOTALL)
QUICK_START = re.compile(r"<!-- quick start(?: of (?P<plugin>\w+))? -->\n```bash\n(?P<lines>.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)(?P<target>[^)#\s]+)")
HOME = "/home/me/starlake_core"

VARYING = [
    (re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}"), "RUN"),
    (re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?(\.\d+)?([+-]\d{2}:?\d{2})?)?"), "DATE"),
    (re.compile(r"\b\d{2}:\d{2}:\d{2}\b"), "TIME"),
    (re.compile(r"\b\d+\.\d s\b"), "SECONDS"),
    (re.compile(r"\b\d+\.\d+\.\d+\b"), "VERSION"),
    (re.compile(r"[ \t]+"), " "),
]


def normal(text: str) -> list[str]:
    """The lines of an output without what differs from run to run; sorted, because tasks run side by side."""
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return sorted(line.strip() for line in text.strip().splitlines() if line.strip())


def run(command: str, folder: Path, *, check: bool = False) -> str:
    """What a command prints, as somebody would see it whose folder is another one."""
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
    assert not check or done.returncode == 0, done.stdout
    output = done.stdout.replace(sys.executable, "python").replace(str(folder), HOME)
    return "\n".join(line.rstrip() for line in output.splitlines()) + "\n"


def typed(block: str) -> list[tuple[str, str]]:
    """The commands of a console, each with what it printed."""
    first, *parts = re.split(r"^\$ (.+)\n", block, flags=re.MULTILINE)
    assert not first, f"a console begins with a command: {first}"
    return list(zip(parts[::2], parts[1::2], strict=True))


def followed(step: re.Match[str], folder: Path) -> str:
    """What a step of a page looks like when it was just done."""
    text = step["text"]
    if step["kind"] == "file":
        (folder / step["what"]).write_text(text)
    elif step["kind"] == "console":
        shown = [(command, run(command, folder)) for command, _ in typed(text)]
        return step[0].replace(text, "".join(f"$ {command}\n{output}" for command, output in shown))
    else:
        run(step["what"] or f"set -e\n{text}", folder, check=True)
    return step[0]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if STEP.search(page.read_text())], ids=lambda page: str(page.relative_to(ROOT))
)
def test_a_page_works_from_its_first_line_to_its_last(page: Path, tmp_path: Path) -> None:
    """The steps of a page follow each other in one folder, which is empty at first."""
    text = page.read_text()
    fresh, end = "", 0
    for step in STEP.finditer(text):
        done = followed(step, tmp_path)
        fresh += text[end : step.start()] + done
        end = step.end()
        assert os.environ.get("STARLAKE_UPDATE_DOCS") or normal(done) == normal(step[0]), step[0]
    if os.environ.get("STARLAKE_UPDATE_DOCS"):
        page.write_text(fresh + text[end:])


@pytest.mark.parametrize(
    "page", [page for page in PAGES if TABLE.search(page.read_text())], ids=lambda page: str(page.relative_to(ROOT))
)
def test_tables_are_those_of_the_code(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    fresh = text
    for block in TABLE.finditer(text):
        output = run(block["command"], tmp_path)
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
    text = (ROOT / "docs" / "how-to" / "repeat-work.md").read_text()
    table = text[text.index("| what happened |") : text.index("For a transform, an Airflow")]
    rows = [line.split("|")[2:-1] for line in table.strip().splitlines()[2:]]
    assert len(rows) > 10
    for cell in (cell for row in rows for cell in row):
        named = re.search(r"<!-- (?P<file>\S+?)(::(?P<test>\w+))? -->", cell)
        assert named, f"no test stands behind: {cell}"
        source = (ROOT / named["file"]).read_text()
        assert f"def {named['test'] or 'test_'}" in source or "schedules" in named["file"], cell


def test_every_feature_of_dagster_dbt_has_a_test_or_a_reason() -> None:
    text = (ROOT / "docs" / "how-to" / "from-dagster-dbt.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"<!-- (?P<file>\S+?)(?:::(?P<test>\w+))? -->", row)
        assert named or "| not here, because " in row, f"no test stands behind: {row}"
        for file, test in named:
            assert f"def {test or 'test_'}" in (ROOT / file).read_text(), row


def test_get_started_has_the_quick_starts_of_the_plugins() -> None:
    """They are typed by the tests of the plugins."""
    blocks = list(QUICK_START.finditer((ROOT / "docs" / "get-started.md").read_text()))
    assert [block["plugin"] for block in blocks] == ["airflow", "dagster"]
    for block in blocks:
        own = QUICK_START.search((ROOT / "plugins" / block["plugin"] / "README.md").read_text())
        assert own is not None
        assert own["lines"] == block["lines"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lists_and_tables_begin_after_an_empty_line(page: Path) -> None:
    """GitHub shows them without one, and the site does not. Nor does it show a list item after a paragraph of the one before."""
    lines = re.sub(r"^ *```.*?```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE).splitlines()
    item = re.compile(r" *(\d+\.|[-*]) ")
    glued = [
        line
        for before, line in itertools.pairwise(lines)
        if (item.match(line) and before.strip() and not item.match(before) and not before.startswith("  "))
        or (item.match(line) and before.startswith("    ") and line.startswith(tuple("123456789")))
        or (line.startswith("|") and before.strip() and not before.startswith(("|", "<!--")))
    ]
    assert not glued


def test_every_public_name_is_in_the_reference() -> None:
    text = "".join((ROOT / "docs" / "reference" / f"{name}.md").read_text() for name in ("api", "hooks"))
    named = {*re.findall(r"^::: starlake_core[\w.]*\.(\w+)$", text, re.MULTILINE), *re.findall(r"`(\w+)`", text)}
    errors = set(starlake_core.errors.__all__)  # a page has the whole module
    assert set(starlake_core.__all__) - named - errors == set()

"""The quick starts of the plugins that need nothing else, typed as they stand there; those of the others are among their own tests."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from quick_starts import ROOT, environment, follow

from starlake_core.testing import StandIn

PAGES = sorted(ROOT.glob("plugins/*/README.md"))


def readme(plugin: str) -> Path:
    return ROOT / "plugins" / plugin / "README.md"


def test_local(tmp_path: Path) -> None:
    said = follow(readme("local"), tmp_path)
    assert "starbake.Orders" in said
    assert "starbake_daily.load_starbake_daily.load_starbake_products success" in said
    assert said.count("starbake_load_hourly  success") == 2, said


def test_shell(tmp_path: Path) -> None:
    program = StandIn(tmp_path / "bin")
    said = follow(readme("shell"), tmp_path, PATH=f"{program.path.parent}:{environment()['PATH']}")
    assert "starbake_kpi: success" in said
    assert {call.env["SL_ROOT"] for call in program.calls()} == {str(tmp_path / "starbake")}


def test_duckdb(tmp_path: Path) -> None:
    assert "kpi.overview" in follow(readme("duckdb"), tmp_path)
    by_hand = re.search(r"<!-- by hand -->\n```bash\n(.*?)```", readme("duckdb").read_text(encoding="utf-8"), re.DOTALL)
    assert by_hand is not None
    done = subprocess.run(
        ["bash", "-ec", by_hand[1]], cwd=tmp_path, env=environment(), text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "loaded starbake.orders: 985 row(s) from 1 file(s)" in done.stdout


def name_of(file: Path) -> str:
    found = re.search(r'^name = "(.*)"', file.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *PAGES],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_what_pages_install_is_there(page: Path) -> None:
    """Names of distributions are those of this repository, and folders are there; so is what they need among them."""
    projects = [ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]
    ours = {name_of(file) for file in projects}
    text = page.read_text(encoding="utf-8")
    for line in re.findall(r"pip install ([^`\n&)]*)", text):
        for word in re.sub(r"[#'\"].*?:|['\"]", " ", line).split():
            name = re.sub(r"\[.*?\]", "", word)
            if name.startswith("starlake-core"):
                assert name in ours, line
            elif name.startswith("./"):
                assert (ROOT / name / "pyproject.toml").is_file(), line

"""What is released: wheels, installed into a fresh environment, show the demo in an empty folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from quick_starts import ROOT, environment

DISTRIBUTIONS = (ROOT, *(ROOT / "plugins" / name for name in ("local", "project", "duckdb")))


def run(*words: object, folder: Path) -> str:
    done = subprocess.run(
        [*map(str, words)],
        cwd=folder,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.soak
def test_the_demo_of_installed_wheels(tmp_path: Path) -> None:
    fresh, wheels, empty = tmp_path / "fresh", tmp_path / "wheels", tmp_path / "empty"
    empty.mkdir()
    run(sys.executable, "-m", "venv", fresh, folder=tmp_path)
    pip = (fresh / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "-q")
    run(*pip, "wheel", "--no-deps", "-w", wheels, *DISTRIBUTIONS, folder=tmp_path)
    assert len(list(wheels.iterdir())) == len(DISTRIBUTIONS)
    run(*pip, "install", "--find-links", wheels, "starlake-core-local", "starlake-core-duckdb", folder=tmp_path)
    shown = run(fresh / "bin" / "starlake-orchestrate", "demo", folder=empty)
    assert "starbake.Orders       1996" in shown
    assert "kpi.overview             1" in shown
    assert [path.name for path in empty.iterdir()] == ["starbake"]

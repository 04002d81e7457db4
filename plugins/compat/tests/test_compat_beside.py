"""Beside another package that owns ``ai/__init__.py`` nothing starts, and it is said what to do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from breadth import hostless

pytestmark = hostless

SOURCE = Path(__file__).parents[1] / "src"


def site(folder: Path, *files: str, distribution: str = "") -> Path:
    """A folder of packages with ours in it, and files of another distribution."""
    packages = folder / "site"
    shutil.copytree(SOURCE, packages, ignore=shutil.ignore_patterns("__pycache__"))
    for file in files:
        (packages / file).write_text("# somebody else's\n", encoding="utf-8")
    if distribution:
        name, _, version = distribution.partition(" ")
        info = packages / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files), encoding="utf-8")
    return packages


def imported(packages: Path, module: str = "ai.starlake.job") -> subprocess.CompletedProcess[str]:
    script = f"import sys; sys.path.insert(0, {str(packages)!r}); import {module}"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_alone_it_starts(tmp_path: Path) -> None:
    done = imported(site(tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", ["ai/__init__.py", "ai/starlake/__init__.py"])
@pytest.mark.parametrize("module", ["ai.starlake.job", "ai.starlake.common", "ai.starlake.airflow.bash"])
def test_beside_the_other_it_says_what_to_type(tmp_path: Path, file: str, module: str) -> None:
    done = imported(site(tmp_path, file, distribution="starlake-orchestration 0.5.7"), module)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "PluginConflictError" in last
    assert f"{file}, which belongs to starlake-orchestration 0.5.7" in last
    assert (
        "pip uninstall starlake-orchestration && pip install --force-reinstall --no-deps starlake-core-compat" in last
    )


def test_a_file_that_was_left_over_is_to_be_removed(tmp_path: Path) -> None:
    packages = site(tmp_path, "ai/__init__.py")
    last = imported(packages).stderr.strip().splitlines()[-1]
    assert "which belongs to no installed distribution" in last
    assert f"rm {packages / 'ai' / '__init__.py'} " in last


def test_two_owners_are_both_named(tmp_path: Path) -> None:
    packages = site(tmp_path, "ai/__init__.py", distribution="starlake-orchestration 0.5.7")
    info = packages / "starlake_airflow-0.6.19.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: starlake-airflow\nVersion: 0.6.19\n", encoding="utf-8")
    (info / "RECORD").write_text("ai/__init__.py,,\nai/starlake/__init__.py,,\n", encoding="utf-8")
    assert "pip uninstall starlake-airflow starlake-orchestration &&" in imported(packages).stderr


def test_the_command_line_says_it_too(tmp_path: Path) -> None:
    packages = site(tmp_path, "ai/starlake/__init__.py", distribution="starlake-orchestration 0.5.7")
    done = subprocess.run(
        [sys.executable, "-m", "ai.starlake.orchestration", "run", "--file", "x.py"],
        cwd=packages,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "pip uninstall starlake-orchestration" in done.stderr

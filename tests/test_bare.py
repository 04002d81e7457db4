"""The core without any plugin says what to install. Selected by ``tox -e bare``, where nothing else is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from starlake_core.plugins import installed

pytestmark = pytest.mark.skipif(bool(installed()), reason="plugins are installed")

PIPELINE = """
from starlake_core import Orchestration
with Orchestration() as orchestration, orchestration.sl_create_pipeline(name="p") as pipeline:
    pipeline.sl_transform("t", "kpi.t")
"""


def orchestrate(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "starlake_core", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("plugins",), 0, "no plugins are installed; install some, for example: pip install starlake-core-local"),
        (("plugins", "--check"), 0, "no plugins are installed"),
        (("options",), 0, "retries"),
        (("run", "p.py"), 1, "no orchestrator is installed. Install one, for example: pip install starlake-core-local"),
        (("check", "p.py"), 1, "no orchestrator is installed"),
        (("run", "p.py", "--orchestrator", "airflow"), 2, "Install it with: pip install starlake-core-airflow"),
        (
            ("run", "p.py", "--orchestrator", "airflw"),
            2,
            "no orchestrator 'airflw' (installed: none). Did you mean 'airflow'?",
        ),
        (("demo",), 2, "pip install"),
        (("new-plugin", "environment", "acme"), 2, "Install it with: pip install starlake-core-template"),
    ],
)
def test_a_command_says_what_to_install(tmp_path: Path, arguments: tuple[str, ...], code: int, told: str) -> None:
    (tmp_path / "p.py").write_text(PIPELINE)
    found, output = orchestrate(tmp_path, *arguments)
    assert told in output
    assert found == code


def test_the_names_of_the_core_need_no_plugin_and_no_pytest(tmp_path: Path) -> None:
    code = "import sys, starlake_core, starlake_core.runtime, starlake_core.testing as t; t.CORPUS; assert 'pytest' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

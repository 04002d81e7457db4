"""Projects from elsewhere: cases with what Starlake makes of them, in a folder that ``STARLAKE_PROJECT_FACTS`` names.

A case is a program, ``NAME/run.sh``, that ends with 0 where the expected value came out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("STARLAKE_PROJECT_FACTS", ""))
CASES = sorted(path.parent.name for path in FOLDER.glob("*/run.sh")) if FOLDER.name else []


@pytest.mark.skipif(not CASES, reason="STARLAKE_PROJECT_FACTS names no folder with cases")
@pytest.mark.parametrize("name", CASES or ["none"])
def test_a_project_from_elsewhere(name: str) -> None:
    done = subprocess.run(
        ["bash", str(FOLDER / name / "run.sh")],
        env={**os.environ, "PY": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout

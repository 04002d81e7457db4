"""What a type checker sees of the contract: mistakes in a plugin are reported, line by line, and nothing else is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

MISUSE = Path(__file__).parent / "misuse" / "acme.py"
WANTED = {
    number: match[1]
    for number, line in enumerate(MISUSE.read_text(encoding="utf-8").splitlines(), 1)
    if (match := re.search(r"# E: (.*)$", line))
}


def test_mypy_reports_every_mistake_of_a_plugin_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--no-error-summary",
            "--hide-error-context",
            "--no-pretty",
            f"--cache-dir={tmp_path}",
            "--config-file=",
            str(MISUSE),
        ],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=False,
    )
    found: dict[int, str] = {}
    for line in done.stdout.splitlines():
        match = re.match(r".*acme\.py:(\d+): error: (.*)", line)
        assert match or ": note: " in line, line
        if match:
            found[int(match[1])] = found.get(int(match[1]), "") + match[2]
    assert sorted(found) == sorted(WANTED), done.stdout + done.stderr
    assert [(number, found[number]) for number, text in WANTED.items() if text not in found[number]] == []
    assert len(WANTED) > 10

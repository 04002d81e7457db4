"""Quick starts of the documentation, typed as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["ROOT", "environment", "follow", "quick_start"]

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"<!-- quick start -->\n```bash\n(.*?)```", re.DOTALL)


def quick_start(readme: Path) -> list[str]:
    """The lines of the quick start of a page, without those that install: what they install is here.

    Args:
        readme: the page.
    """
    found = _BLOCK.search(readme.read_text(encoding="utf-8"))
    assert found is not None, f"{readme} has no quick start"
    install, *lines = found[1].splitlines()
    assert install.startswith("pip install "), install
    return lines


def environment(**more: str) -> dict[str, str]:
    """The variables of a shell of somebody who has set none of ours, with the programs of this environment on the PATH."""
    ours = ("SL_", "AIRFLOW", "DAGSTER")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **more}


def follow(readme: Path, folder: Path, **more: str) -> str:
    """Type the quick start of a page in a folder, see that it ends well, and return what it said.

    Args:
        readme: the page.
        folder: an empty one; it takes the place of a clone of the repository, as far as pages use its programs.
        **more: further variables.
    """
    (folder / "tests").symlink_to(ROOT / "tests")
    variables: Mapping[str, str] = {"HOME": str(folder), **more}
    done = subprocess.run(
        ["bash", "-ec", "\n".join(["set -m", *quick_start(readme)])],
        cwd=folder,
        env=environment(**variables),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout

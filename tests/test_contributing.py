"""The commands of CONTRIBUTING.md, RELEASING.md and the workflows: run where that is quick, and else known to exist.

``tox -e clone`` runs the first block of CONTRIBUTING.md as it stands there, in a clean clone.
"""

from __future__ import annotations

import configparser
import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from quick_starts import ROOT, environment

PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "RELEASING.md", *sorted(ROOT.glob(".github/workflows/*.yml"))]
_BLOCK = re.compile(r"^ *```bash\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`((?:uv run )?(?:tox|pytest|python) [^`]+|\.[a-z]+/\w+)`")
_CLONE = re.compile(r"<!-- clone -->\n```bash\n(.*?)```", re.DOTALL)


def commands(page: Path) -> list[str]:
    """What a page tells its reader to type, without comments."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".yml":
        return re.findall(r"^ +(?:- )?run: (.+)$", text, re.MULTILINE)
    lines = [line.strip() for block in _BLOCK.findall(text) for line in block.splitlines()]
    return [line for line in [*lines, *_INLINE.findall(text)] if line]


def expanded(name: str) -> list[str]:
    """Return the environments that a name with braces expands to.

    >>> expanded("py{310,311}-a")
    ['py310-a', 'py311-a']
    """
    parts = [part.split(",") for part in re.split(r"[{}]", name)]
    return ["".join(words) for words in itertools.product(*parts)]


def names_of_tox() -> tuple[set[str], set[str]]:
    """The environments and the labels that ``tox.ini`` declares."""
    read = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",))
    read.read(ROOT / "tox.ini", encoding="utf-8")
    labels = dict(line.split(" = ") for line in read["tox"]["labels"].strip().splitlines())
    listed = [read["tox"]["env_list"], *labels.values()]
    sections = [name.partition(":")[2] for name in read.sections() if name.startswith("testenv:")]
    names = re.findall(r"(?:[^\s,{}]|\{[^}]*\})+", ",".join([*listed, *sections]))
    return {found for name in names for found in expanded(name)}, {label.strip() for label in labels}


ENVIRONMENTS, LABELS = names_of_tox()
RUN = {"python -m tools.version"}
"""Commands that a test can run, because they are quick and change nothing."""
KNOWN = ("pip install tox", "test ", "git commit", "git tag", "git push", "uv sync --all-packages", "uv run pre-commit")


def problem(command: str) -> str | None:
    """Why a command would not work, as far as that can be said without running it."""
    words = shlex.split(command, comments=True)
    while words and ("=" in words[0] or words[:2] == ["uv", "run"]):
        words = words[1:] if "=" in words[0] else words[2:]
    if words[0] == "tox":
        options, _, arguments = " ".join(words[1:]).partition(" -- ")
        asked = re.findall(r"-([em]) (\S+)", options)
        for option, names in asked:
            for name in names.split(","):
                if name not in (ENVIRONMENTS if option == "e" else LABELS):
                    return f"tox.ini has no {name}"
        words = ["pytest", *arguments.split()] if arguments else []
        return problem(shlex.join(words)) if words else None
    if words[0] in ("pytest", "python") and words[1:2] != ["-m"]:
        paths = [word for word in words[1:] if "/" in word or word in ("docs", "tests", "plugins")]
        return next((f"there is no {path}" for path in paths if not (ROOT / path).exists()), None)
    if words[:2] == ["python", "-m"]:
        module = ROOT / f"{words[2].replace('.', '/')}.py"
        return None if module.is_file() else f"there is no module {words[2]}"
    if words[0] == ".ci/run":
        return None if os.access(ROOT / words[0], os.X_OK) else "it cannot be executed"
    if "pre-commit" in words:
        return None if (ROOT / ".pre-commit-config.yaml").is_file() else "pre-commit is not configured"
    return None if command.startswith(KNOWN) else "no test knows this command"


@pytest.mark.parametrize(
    "command", [pytest.param(command, id=f"{page.stem}: {command}") for page in PAGES for command in commands(page)]
)
def test_a_command_exists(command: str) -> None:
    assert problem(command) is None
    if command in RUN:
        done = subprocess.run(command.replace("python", sys.executable), shell=True, cwd=ROOT, check=False)  # noqa: S602
        assert done.returncode == 0


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("uv run tox -e core,nowhere", "tox.ini has no nowhere"),
        ("tox -m nothing", "tox.ini has no nothing"),
        ("X=1 uv run pytest tests/test_nothing.py", "there is no tests/test_nothing.py"),
        ("tox -e core -- tests/test_nothing.py", "there is no tests/test_nothing.py"),
        ("python -m tools.nothing", "there is no module tools.nothing"),
        ("make all", "no test knows this command"),
    ],
)
def test_a_command_that_does_not_exist_is_found(command: str, why: str) -> None:
    assert problem(command) == why


@pytest.mark.clone
def test_the_first_commands_work_in_a_clean_clone(tmp_path: Path) -> None:
    found = _CLONE.search((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert found is not None
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    variables = {name: value for name, value in environment().items() if not name.startswith(("TOX_", "VIRTUAL_ENV"))}
    done = subprocess.run(["bash", "-ec", found[1]], cwd=clone, env=variables, check=False)
    assert done.returncode == 0

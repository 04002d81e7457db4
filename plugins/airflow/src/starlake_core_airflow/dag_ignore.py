"""The file ``.airflowignore``: the files it hides, and the lines that deploying maintains in it."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

__all__ = ["NAME", "hidden_by", "own_names", "read", "with_own"]

NAME = ".airflowignore"

# Files in deployed folders contain this line, and it is how this block is found in them: never change its wording.
_BEGIN = "# Modules of pipeline files, which are no pipelines themselves. These lines are kept by starlake-orchestrate deploy:"
_END = "# (end of these lines)"


def read(folder: Path) -> str:
    """The text of the file in a folder; empty if there is none."""
    path = folder / NAME
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def own_names(text: str) -> tuple[str, ...]:
    """The names of the modules that were deployed along with files, in either syntax: ``helpers.py``, or ``common`` for a package."""
    _, own, _ = _parts(text)
    return tuple(PurePosixPath(re.sub(r"\(/\|\$\)|[\\^$]", "", line)).name for line in own)


def with_own(text: str, names: Iterable[str], syntax: str, below: PurePosixPath) -> str:
    """The text with lines for exactly these modules.

    Args:
        text: the current text of the file.
        names: names as in :func:`own_names`.
        syntax: ``glob`` or ``regexp``.
        below: the folder of the file, relative to the folder that Airflow walks, where regular expressions start.
    """
    before, _, after = _parts(text)
    lines = [_line(name, syntax, below) for name in sorted(set(names))]
    block = [_BEGIN, *lines, _END] if lines else []
    result = "\n".join([*before, *block, *after])
    return f"{result}\n" if result else ""


def _line(name: str, syntax: str, below: PurePosixPath) -> str:
    if syntax == "glob":
        return f"/{name}" if name.endswith(".py") else f"/{name}/"
    path = re.escape(str(below / name))
    return f"^{path}$" if name.endswith(".py") else f"^{path}(/|$)"


def _parts(text: str) -> tuple[list[str], list[str], list[str]]:
    lines = text.splitlines()
    if _BEGIN not in lines or _END not in lines[lines.index(_BEGIN) :]:
        return lines, [], []
    begin = lines.index(_BEGIN)
    end = lines.index(_END, begin)
    return lines[:begin], lines[begin + 1 : end], lines[end + 1 :]


def hidden_by(files: Sequence[PurePosixPath], ignored: Sequence[tuple[PurePosixPath, str]]) -> dict[str, str]:
    """Which files Airflow would ignore, and why.

    Args:
        files: paths relative to the folder that Airflow walks.
        ignored: the folders that have such a file, relative to the same folder, with its text.

    Returns:
        Maps the name of a hidden file to the pattern that hides it, with the place of the pattern.
    """
    shown = _shown(files, ignored)
    result = {}
    for file in files:
        if file not in shown:
            result[file.name] = next(
                (
                    f"'{line.strip()}' in {folder / NAME}"
                    for folder, text in ignored
                    for line in text.splitlines()
                    if line.strip() and file not in _shown([file], [(folder, line)])
                ),
                f"patterns of {' and '.join(str(folder / NAME) for folder, _ in ignored)}",
            )
    return result


def _shown(files: Iterable[PurePosixPath], ignored: Iterable[tuple[PurePosixPath, str]]) -> set[PurePosixPath]:
    """The files that Airflow's own walk finds."""
    from airflow.utils.file import list_py_file_paths

    with tempfile.TemporaryDirectory(prefix="starlake-ignore-") as temporary:
        root = Path(temporary).resolve()
        for folder, text in ignored:
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / NAME).write_text(text, encoding="utf-8")
        for file in files:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).touch()
        with warnings.catch_warnings():
            # Which library Airflow uses for matching is an internal detail of Airflow.
            warnings.simplefilter("ignore")
            found = [Path(path) for path in list_py_file_paths(root, safe_mode=False)]
        return {PurePosixPath(path.relative_to(root).as_posix()) for path in found if path.is_relative_to(root)}

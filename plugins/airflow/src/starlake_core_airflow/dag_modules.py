"""The modules next to a pipeline file that it imports, found without running it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path

__all__ = ["local_modules", "module_files", "names_any"]


def local_modules(files: Iterable[Path], folder: Path, elsewhere: Iterable[Path] = ()) -> Mapping[str, Path]:
    """The modules of a folder that files import, directly or indirectly.

    Modules that Python would find elsewhere are left out, because Airflow searches its own folder last.

    Args:
        files: Python files; a file that is not Python imports nothing.
        folder: the folder of the modules.
        elsewhere: other folders of the same kind; what is found there does not count.

    Returns:
        Maps a name in the folder (``helpers.py``, or ``common`` for a package) to its path, in the order of the names.
    """
    apart = {path.resolve() for path in (folder, *elsewhere)}
    search = [entry for entry in sys.path if Path(entry or ".").resolve() not in apart]
    found: dict[str, Path] = {}
    asked: set[str] = set()
    todo = list(files)
    while todo:
        for name in _imported(todo.pop()) - asked:
            asked.add(name)
            path = _beside(name, folder)
            if path is not None and not _is_elsewhere(name, search):
                found[path.name] = path
                todo += [file for file in module_files(path) if file.suffix == ".py"]
    return dict(sorted(found.items()))


def module_files(path: Path) -> Iterator[Path]:
    """The files of a module or a package, with its data files."""
    if path.is_file():
        yield path
        return
    for entry in sorted(path.iterdir()):
        if entry.name != "__pycache__" and not entry.name.startswith(".") and entry.suffix != ".pyc":
            yield from module_files(entry)


def names_any(file: Path, names: Iterable[str]) -> set[str]:
    """Which of some modules a file mentions anywhere in its text: a cautious answer for a file that cannot be parsed as Python."""
    words = set(re.findall(r"\w+", file.read_text(encoding="utf-8", errors="replace")))
    return {name for name in names if name.removesuffix(".py") in words}


def is_python(file: Path) -> bool:
    """Whether a file can be parsed as Python."""
    return _tree(file) is not None


def _tree(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return None


def _imported(file: Path) -> set[str]:
    """The first parts of the names that a file imports, anywhere in it; relative imports stay within their package."""
    names: set[str] = set()
    for node in ast.walk(_tree(file) or ast.Module([], [])):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def _beside(name: str, folder: Path) -> Path | None:
    package, module = folder / name, folder / f"{name}.py"
    if (package / "__init__.py").is_file():
        return package
    if module.is_file():
        return module
    return package if package.is_dir() and any(package.rglob("*.py")) else None


def _is_elsewhere(name: str, search: list[str]) -> bool:
    # The last ones are what a checkout of this project has next to its example files.
    if name in sys.stdlib_module_names or name in ("airflow", "starlake_core") or name.startswith("starlake_core_"):
        return True
    spec = PathFinder.find_spec(name, search)
    return spec is not None and spec.origin is not None

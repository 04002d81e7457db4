"""Who may import whom, and what an import costs: read from the source, and proved in a process of its own."""

from __future__ import annotations

import ast
import functools
import graphlib
import importlib
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "starlake_core"
CORE_FILES = sorted(CORE.rglob("*.py"))
PLUGIN_FILES = sorted((ROOT / "plugins").glob("*/src/**/*.py"))

ALLOWED_IN_THE_CORE = {*sys.stdlib_module_names, "starlake_core", "pluggy", "croniter"}
OF_THE_COMMAND_LINE = {"click", "rich"}
ON_FIRST_USE = {"options/documents.py": {"yaml"}, "plugins/doubts.py": {"packaging"}}
"""Modules that import an optional library on first use."""
OF_THE_KIT = {"pytest", "hypothesis", "_pytest"}
MAY_USE = {
    ("duckdb", "project"),
    ("compat", "project"),
    ("dagster", "project"),
    ("cloud_run", "google"),
    ("dataproc", "google"),
}


class Import(NamedTuple):
    module: str
    name: str
    at_module_level: bool
    line: int


@functools.cache
def parsed(text: str) -> ast.Module:
    """The tree of a source, which most tests here look at."""
    return ast.parse(text)


@functools.cache
def nodes(tree: ast.Module) -> Sequence[ast.AST]:
    """All that is in a tree."""
    return tuple(ast.walk(tree))


def imports(file: Path, package: str) -> Sequence[Import]:
    """Every import of a file, with relative ones made absolute."""
    return _imports(file.read_text(encoding="utf-8"), package)


@functools.cache
def _imports(text: str, package: str) -> Sequence[Import]:
    def visit(node: ast.AST, top: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from visit(child, False)
                continue
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, "", top, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = package.split(".")[: len(package.split(".")) + 1 - child.level] if child.level else []
                module = ".".join([*base, child.module] if child.module else base)
                yield from (Import(module, alias.name, top, child.lineno) for alias in child.names)
            deeper = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from visit(child, top and not deeper)

    return tuple(visit(parsed(text), True))


def package_of(file: Path, base: Path) -> str:
    return ".".join(file.relative_to(base).parent.parts)


def core_imports(file: Path) -> Sequence[Import]:
    return imports(file, package_of(file, ROOT))


def within(file: Path, *parts: str) -> bool:
    return file.relative_to(CORE).parts[0] in parts


def test_the_reader_of_imports_reads_relative_ones(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("from . import a\nfrom ..b import c\nimport d.e\ndef f():\n    from .g import h\n")
    assert list(imports(file, "p.q")) == [
        Import("p.q", "a", True, 1),
        Import("p.b", "c", True, 2),
        Import("d.e", "", True, 3),
        Import("p.q.g", "h", False, 5),
    ]
    assert len(CORE_FILES) > 20
    assert {file.relative_to(ROOT / "plugins").parts[0] for file in PLUGIN_FILES} >= {
        "shell",
        "local",
        "project",
        "duckdb",
        "compat",
    }


@pytest.mark.parametrize("file", CORE_FILES, ids=lambda file: str(file.relative_to(CORE)))
def test_the_core_imports_no_plugin_no_orchestrator_and_no_sdk(file: Path) -> None:
    allowed = set(ALLOWED_IN_THE_CORE)
    if within(file, "cli"):
        allowed |= OF_THE_COMMAND_LINE
    if within(file, "testing"):
        allowed |= OF_THE_KIT
    optional = ON_FIRST_USE.get(str(file.relative_to(CORE)), set())
    found = [(item, item.module.partition(".")[0]) for item in core_imports(file)]
    assert [item for item, name in found if name not in allowed | optional] == []
    assert [item for item, name in found if name in optional and item.at_module_level] == []


@pytest.mark.parametrize("file", CORE_FILES, ids=lambda file: str(file.relative_to(CORE)))
def test_croniter_is_imported_on_first_use(file: Path) -> None:
    assert [
        found for found in core_imports(file) if found.module.startswith("croniter") and found.at_module_level
    ] == []


@pytest.mark.parametrize(
    "file",
    [file for file in CORE_FILES if not within(file, "cli", "testing", "__main__.py")],
    ids=lambda file: str(file.relative_to(CORE)),
)
def test_the_core_knows_neither_its_command_line_nor_its_kit(file: Path) -> None:
    names = [f"{found.module}.{found.name}" for found in core_imports(file)]
    assert [name for name in names if name.startswith(("starlake_core.cli", "starlake_core.testing"))] == []


PACKAGES = ("model", "options", "freshness", "plugins", "processes", "runtime", "orchestrators", "dsl")
"""The packages of the core, from the one that knows none to the one that knows all. Modules next to them know none of
them."""

FOR_TYPES = {("model/graph.py", "options"), ("model/graph.py", "plugins")}
"""Modules that import from packages above them, for types only."""


def package_in_core(module: str) -> str:
    """The package of a module of the core; empty for a module outside the packages."""
    parts = module.split(".")
    return parts[1] if parts[0] == "starlake_core" and len(parts) > 1 and parts[1] in PACKAGES else ""


@pytest.mark.parametrize(
    "file",
    [file for file in CORE_FILES if not within(file, "cli", "testing", "__main__.py", "__init__.py", "public.py")],
    ids=lambda file: str(file.relative_to(CORE)),
)
def test_a_package_imports_only_from_those_below_it(file: Path) -> None:
    name = str(file.relative_to(CORE))
    own = package_in_core(f"starlake_core.{file.relative_to(CORE).parts[0]}")
    allowed = {"", *PACKAGES[: PACKAGES.index(own) + 1]} if own else {""}
    found = {package_in_core(item.module) for item in core_imports(file)}
    above = {package for package in found - allowed if (name, package) not in FOR_TYPES}
    assert not above, f"{name} imports from {above}, above it"


def test_a_package_says_what_lives_in_it() -> None:
    for package in PACKAGES:
        text = ast.get_docstring(parsed((CORE / package / "__init__.py").read_text(encoding="utf-8"))) or ""
        modules = {file.stem for file in (CORE / package).glob("[!_]*.py")}
        assert {name for name in modules if f"``{name}``" not in text} == set(), package
        assert len(text.splitlines()) <= 8, package


def modules_below(base: Path, folder: Path | None = None) -> dict[str, Path]:
    """Name of each module below a folder to its file.

    Args:
        base: the folder that modules are imported from.
        folder: the one below it to look in; all of it by default.
    """
    found = {}
    for file in sorted((folder or base).rglob("*.py")):
        parts = file.relative_to(base).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def circle(modules: dict[str, Path]) -> list[str]:
    """Modules that import each other in a circle, for types and in functions too; empty where none do."""
    edges: dict[str, set[str]] = {}
    for name, file in modules.items():
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        wanted = ((f"{item.module}.{item.name}", item.module) for item in imports(file, package))
        edges[name] = {next((one for one in names if one in modules), name) for names in wanted} - {name}
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


DISTRIBUTIONS = [ROOT / "starlake_core", *sorted(folder for folder in (ROOT / "plugins").glob("*/src"))]


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_no_modules_import_each_other_in_a_circle(folder: Path) -> None:
    base = ROOT if folder.name == "starlake_core" else folder
    modules = modules_below(base, folder)
    assert len(modules) > 1
    assert circle(modules) == []


def test_a_circle_is_found(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "__init__.py").write_text("from .a import x\n")
    (tmp_path / "p" / "a.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .b import y\n")
    (tmp_path / "p" / "b.py").write_text("def f():\n    from . import a\n")
    assert sorted(set(circle(modules_below(tmp_path)))) == ["p.a", "p.b"]
    (tmp_path / "p" / "b.py").write_text("")
    assert circle(modules_below(tmp_path)) == []


LONGEST_MODULE = 400


def code_lines(text: str) -> int:
    """Lines of code: without comments, docstrings and blank lines."""
    tree = parsed(text)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    skipped: set[int] = set()
    for node in nodes(tree):
        for child in getattr(node, "body", ()) if isinstance(node, documented) else ():
            if (
                isinstance(child, ast.Expr)
                and isinstance(child.value, ast.Constant)
                and isinstance(child.value.value, str)
            ):
                skipped.update(range(child.lineno, (child.end_lineno or child.lineno) + 1))
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return sum(1 for number, line in lines if line and not line.startswith("#") and number not in skipped)


def test_no_module_is_too_long() -> None:
    counts = {file: code_lines(file.read_text(encoding="utf-8")) for file in (*CORE_FILES, *PLUGIN_FILES)}
    assert {str(file.relative_to(ROOT)): lines for file, lines in counts.items() if lines > LONGEST_MODULE} == {}


def plugin_id(file: Path) -> str:
    return str(file.relative_to(ROOT / "plugins"))


@pytest.mark.parametrize("file", PLUGIN_FILES, ids=plugin_id)
def test_plugins_import_public_names_of_the_core_and_never_each_other(file: Path) -> None:
    own = file.relative_to(ROOT / "plugins").parts[0]
    package = package_of(file, ROOT / "plugins" / own / "src")
    for found in imports(file, package):
        top = found.module.partition(".")[0]
        if top.startswith("starlake_core_") and top != f"starlake_core_{own}":
            assert (own, top.removeprefix("starlake_core_")) in MAY_USE, found
        if top != "starlake_core":
            continue
        assert not any(part.startswith("_") for part in (*found.module.split("."), found.name)), found
        assert not found.module.startswith(("starlake_core.cli", "starlake_core.testing")), found
        if found.name:
            module = importlib.import_module(found.module)
            assert found.name in module.__all__, f"{found} is not in __all__"


@pytest.mark.parametrize(
    "module", ["starlake_core", "starlake_core.runtime", "starlake_core.contract", "starlake_core.plugins"]
)
def test_every_public_name_exists_once(module: str) -> None:
    loaded = importlib.import_module(module)
    assert len(set(loaded.__all__)) == len(loaded.__all__)
    assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []


HEAVY = {
    "rich",
    "click",
    "duckdb",
    "yaml",
    "croniter",
    "asyncio",
    "jinja2",
    "airflow",
    "dagster",
    "pytest",
    "hypothesis",
}


def loaded_by(code: str) -> set[str]:
    script = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import starlake_core",
        "import starlake_core.runtime",
        "from starlake_core.plugins import select; select('local', 'shell')",
        "from starlake_core.plugins import installed; assert installed()",
    ],
)
def test_an_import_loads_nothing_heavy(code: str) -> None:
    loaded = loaded_by(code)
    assert "starlake_core" in loaded
    assert {module.partition(".")[0] for module in loaded} & HEAVY == set()


def test_the_core_loads_no_plugin_by_itself() -> None:
    assert not [module for module in loaded_by("import starlake_core") if module.startswith("starlake_core_")]


def test_selecting_one_environment_loads_no_other() -> None:
    loaded = loaded_by("from starlake_core.plugins import select; select('local', 'shell')")
    assert {module.partition(".")[0] for module in loaded if module.startswith("starlake_core_")} == {
        "starlake_core_local",
        "starlake_core_shell",
    }


def test_every_plugin_is_an_extra_of_the_core() -> None:
    """As the documentation leads people to expect: ``pip install starlake-core[airflow,shell]``."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = text[text.index("[project.optional-dependencies]") : text.index("[project.scripts]")]
    wanted = {
        folder.parent.name
        for folder in (ROOT / "plugins").glob("*/pyproject.toml")
        if '[project.entry-points."starlake_core.' in folder.read_text(encoding="utf-8")
    } | {"compat"}
    assert [
        name for name in sorted(wanted) if f'{name} = ["starlake-core-{name.replace("_", "-")}>=' not in extras
    ] == []


# Options: what is declared is read, and what is not read says so.


class Declaration(NamedTuple):
    owner: str
    group: str
    attribute: str
    name: str
    effective: bool

    def __str__(self) -> str:
        return f"{self.owner}: {self.group}.{self.attribute}"


class Sources:
    """Modules, and who reads which option in them.

    Args:
        texts: owner (``core``, or the folder of a plugin) and text of each module.
    """

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        self.modules = [(owner, parsed(text)) for owner, text in texts]
        self.declared = [found for owner, module in self.modules for found in self._declarations(owner, module)]
        self._groups = {found.group for found in self.declared}
        self._attributes = {found for _, module in self.modules for found in self._reads(module)}
        self._given = {(owner, name) for owner, module in self.modules for name in self._read_from_given(module)}

    def is_read(self, option: Declaration) -> bool:
        """Whether an option is read: through its group, or before the options are resolved."""
        return (option.group, option.attribute) in self._attributes or (option.owner, option.name) in self._given

    def unread(self) -> list[str]:
        return [str(option) for option in self.declared if option.effective and not self.is_read(option)]

    def read_without_effect(self) -> list[str]:
        return [str(option) for option in self.declared if not option.effective and self.is_read(option)]

    @staticmethod
    def _declarations(owner: str, module: ast.Module) -> Iterator[Declaration]:
        for group in (node for node in nodes(module) if isinstance(node, ast.ClassDef)):
            if "OptionGroup" not in map(_dotted, group.bases):
                continue
            for field in group.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.value, ast.Call):
                    given = {word.arg: ast.literal_eval(word.value) for word in field.value.keywords if _is_plain(word)}
                    attribute = _dotted(field.target)
                    yield Declaration(
                        owner, group.name, attribute, given.get("name", attribute), given.get("effective", True)
                    )

    def _group(self, node: ast.AST) -> str:
        """The group in ``options[Group]``."""
        key = _dotted(node.slice) if isinstance(node, ast.Subscript) else ""
        return key if key in self._groups else ""

    def _reads(self, module: ast.Module) -> Iterator[tuple[str, str]]:
        """Group and attribute of ``options[Group].attribute``, and of ``name.attribute`` for a name that holds a group."""
        held: dict[str, set[str]] = {}
        for node in nodes(module):
            if isinstance(node, ast.arg) and node.annotation is not None:
                held.setdefault(node.arg, set()).update({_dotted(node.annotation)} & self._groups)
            elif isinstance(node, ast.Assign):
                for target, value in (pair for one in node.targets for pair in _pairs(one, node.value)):
                    held.setdefault(_dotted(target), set()).update({self._group(value)} - {""})
        held.pop("", None)  # an item of something is not a name
        for node in nodes(module):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                group = self._group(node.value)
                for name in [group] if group else held.get(_dotted(node.value), ()):
                    yield name, node.attr

    @staticmethod
    def _read_from_given(module: ast.Module) -> Iterator[str]:
        """The names in ``given.get("name")``: what hooks and the core do before the options are resolved."""
        for node in nodes(module):
            if isinstance(node, ast.Call) and _dotted(node.func) == "given.get":
                yield from (word.value for word in node.args[:1] if isinstance(word, ast.Constant))


def _dotted(node: ast.AST) -> str:
    """``a.b`` as it is written; empty for anything but names with dots."""
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


def _is_plain(word: ast.keyword) -> bool:
    return word.arg in ("name", "effective")


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        yield from zip(target.elts, value.elts, strict=True)
    else:
        yield target, value


@pytest.fixture(scope="module")
def sources() -> Sources:
    """All modules of the core and of the plugins."""
    texts = [("core", file) for file in CORE_FILES]
    texts += [(file.relative_to(ROOT / "plugins").parts[0], file) for file in PLUGIN_FILES]
    return Sources((owner, file.read_text(encoding="utf-8")) for owner, file in texts)


def test_every_option_is_read_or_says_that_it_has_no_effect(sources: Sources) -> None:
    assert len(sources.declared) > 150
    assert len({option.owner for option in sources.declared}) == 12
    assert sources.unread() == []
    assert sources.read_without_effect() == []


def test_plugins_declare_and_read_options_through_groups(sources: Sources) -> None:
    """Names in quotes are for compat alone, which takes the options of other packages."""
    words = []
    for owner, module in sources.modules:
        if owner in ("core", "compat"):
            continue
        for node in nodes(module):
            one_by_one = isinstance(node, ast.Call) and _dotted(node.func) == "Option"
            quoted = isinstance(node, ast.Subscript) and isinstance(node.slice, (ast.Constant, ast.JoinedStr))
            if one_by_one or (quoted and _dotted(node.value).rpartition(".")[2] == "options"):
                words.append(f"{owner}: {ast.unparse(node)}")
    assert words == []


ACME = """
class GeneralOptions(OptionGroup):
    zone: str = option(STR, "", effective=False)

class AcmeOptions(OptionGroup):
    region: str = option(STR, required=True)
    zone: str = option(STR, "a", name="ACME_ZONE")
    tries: int = option(Integer(1), 3)
    early: str = option(STR, "")
    old: bool = option(BOOL, False, effective=False)
"""
READERS = [
    "x = options[AcmeOptions].ATTRIBUTE",
    "acme = options[AcmeOptions]\nx = acme.ATTRIBUTE",
    "self.acme, general = options[AcmeOptions], options[GeneralOptions]\nx = self.acme.ATTRIBUTE",
    "def f(acme: AcmeOptions) -> str:\n    return acme.ATTRIBUTE",
]


@pytest.mark.parametrize("reader", READERS)
def test_an_option_that_nobody_reads_is_found(reader: str) -> None:
    def unread(*attributes: str) -> list[str]:
        lines = [reader.replace("ATTRIBUTE", attribute) for attribute in attributes]
        early = 'given.get("early")'
        return Sources(("acme", text) for text in [ACME, *lines, early]).unread()

    assert unread("region", "zone", "tries") == []
    assert unread("region", "tries") == ["acme: AcmeOptions.zone"]
    assert unread() == ["acme: AcmeOptions.region", "acme: AcmeOptions.zone", "acme: AcmeOptions.tries"]


def test_other_things_of_the_same_name_are_no_reads() -> None:
    elsewhere = "x = place.region\ny = options[GeneralOptions].zone\nacme.tries = 1\nz = {'early': 1}"
    assert len(Sources([("acme", ACME), ("acme", elsewhere)]).unread()) == 4


@pytest.mark.parametrize("reader", READERS)
def test_an_option_without_effect_that_somebody_reads_is_found(reader: str) -> None:
    sources = Sources([("acme", ACME), ("acme", reader.replace("ATTRIBUTE", "old"))])
    assert sources.read_without_effect() == ["acme: AcmeOptions.old"]


# The page that says where to change what.


def test_the_page_where_do_i_change_names_places_that_are_there() -> None:
    text = (ROOT / "docs" / "how-to" / "change-the-code.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 10
    for wanted, place in rows:
        names = [word.strip("`") for word in place.split() if word.startswith("`") and "/" in word]
        paths = [name.rstrip("`,;.").replace("`", "") for name in names]
        assert paths or "`client.py`" in place, wanted
        assert [path for path in paths if not (ROOT / path).exists()] == [], wanted

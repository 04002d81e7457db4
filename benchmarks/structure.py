"""Measures the structure of the code: types, size, the calls of one ``sl_load``, and import circles.

It measures a checkout, this one by default. It uses only public names, so that versions with different modules can be
compared:

    python benchmarks/structure.py --json after.json
    python benchmarks/structure.py ../other-checkout --json before.json

annotations   how often annotations use ``Any``, how often other code does (aliases, casts), and ``getattr`` with a
              default for a constant name: what a type checker cannot follow.
lines         lines of code, without comments, docstrings and blank lines.
calls         functions of the project that are called for one ``sl_load`` (calls), their modules (modules), and calls
              from one module to another (jumps; calls through a library count too). Each action runs once before in the
              same process, to fill imports and caches. Runs are repeated, and the median of the repetitions counts,
              because polls depend on time. Needs an environment with the plugins ``local``, ``shell`` and
              ``cloud_run``, and grpcio-status for its emulator. Missing ones are skipped with a message.
circles       modules of one distribution that import each other in a circle: with imports at the top of modules, with
              those for types only, and with those within functions.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
# Other files in this folder have the names of packages, so it must not be on the path. Helpers always come from this
# folder.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
sys.path.insert(0, str(HERE.parent))

from benchmarks.checkout import CORE, Checkout, Module  # noqa: E402

sys.path.remove(str(HERE.parent))

if TYPE_CHECKING:
    from starlake_core import StarlakePipeline

Figures = dict[str, Any]

LONG = 400
REPETITIONS = 9


# -- annotations


def count_annotations(checkout: Checkout) -> Figures:
    """Uses of ``Any`` and of ``getattr`` with a default, by module and by distribution."""
    modules = {module.name: _untyped(_parsed(module)) for module in checkout.modules}
    totals: dict[str, Counter[str]] = {}
    for module in checkout.modules:
        totals.setdefault(module.distribution, Counter()).update(modules[module.name])
    return {
        "totals": {name: dict(sorted(counts.items())) for name, counts in totals.items()},
        "modules": {name: dict(sorted(counts.items())) for name, counts in modules.items() if counts.total()},
    }


def _untyped(tree: ast.Module) -> Counter[str]:
    counts = Counter({"any": 0, "any_elsewhere": 0, "getattr": 0})
    annotated: set[ast.AST] = set()
    for node in ast.walk(tree):
        for annotation in _annotations(node):
            annotated.update(_names_of_any(annotation))
            # An annotation in quotes.
            for text in ast.walk(annotation):
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    counts["any"] += len(list(_names_of_any(_expression(text.value))))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            counts["getattr"] += len(node.args) == 3 and isinstance(node.args[1], ast.Constant)
    counts["any"] += len(annotated)
    counts["any_elsewhere"] += len(set(_names_of_any(tree)) - annotated)
    return counts


def _annotations(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None:
        yield node.returns
    elif isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation is not None:
        yield node.annotation


def _names_of_any(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if (isinstance(node, ast.Name) and node.id == "Any") or (
            isinstance(node, ast.Attribute) and ast.unparse(node) == "typing.Any"
        ):
            yield node


def _expression(text: str) -> ast.AST:
    try:
        return ast.parse(text, mode="eval")
    except SyntaxError:  # a Literal, for example
        return ast.Constant(text)


# -- lines


def count_lines(checkout: Checkout) -> Figures:
    """Lines of code, by module, by distribution and by part of the core."""
    modules = {module.name: _code_lines(module.file.read_text(encoding="utf-8")) for module in checkout.modules}
    totals: Counter[str] = Counter()
    for module in checkout.modules:
        totals[module.distribution] += modules[module.name]
        if module.distribution == CORE:
            totals[f"{CORE}: {_part(module)}"] += modules[module.name]
    return {
        "totals": dict(sorted(totals.items(), key=lambda item: (not item[0].startswith(CORE), item[0]))),
        "all": sum(modules.values()),
        f"above {LONG}": {name: count for name, count in modules.items() if count > LONG},
        "modules": modules,
    }


def _part(module: Module) -> str:
    package, _, rest = module.name.partition(".")
    if package == "starlake_orchestrate":
        return "cli"
    part = rest.partition(".")[0]
    return part if part in ("testing", "cli") else "rest"


def _code_lines(text: str) -> int:
    """Return the lines that hold more than a comment or a docstring."""
    passed = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    blank = {number for number, line in enumerate(text.splitlines(), start=1) if not line.strip()}
    nothing = (
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    )
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in nothing:
            held.update(range(token.start[0], token.end[0] + 1))
    return len(held - passed - blank)


# -- circles

CIRCLES = {
    "top": "imports at the top of modules",
    "types": "and those for types only",
    "functions": "and those within functions",
}


@dataclass(frozen=True)
class _Import:
    """An import of a module: of a name of ``module``, or of itself if ``name`` is empty; ``kind`` is one of :data:`CIRCLES`."""

    module: str
    name: str
    kind: str


def find_circles(checkout: Checkout) -> Figures:
    """Modules that import each other in circles, by distribution."""
    found: Figures = {}
    for kind in CIRCLES:
        found[kind] = {}
        for distribution in checkout.sources:
            modules = [module for module in checkout.modules if module.distribution == distribution]
            found[kind][distribution] = _components(_graph(modules, list(CIRCLES)[: list(CIRCLES).index(kind) + 1]))
    return found


def _graph(modules: Sequence[Module], kinds: Sequence[str]) -> dict[str, set[str]]:
    """Return the modules that each module imports. The implicit import of a package before its modules does not
    count."""
    trees = {module.name: _parsed(module) for module in modules}
    bound = {name: _bound(tree) for name, tree in trees.items()}
    graph: dict[str, set[str]] = {}
    for module in modules:
        graph[module.name] = set()
        for found in _imports(trees[module.name], module.package):
            if found.kind not in kinds:
                continue
            below = f"{found.module}.{found.name}"
            # A name that a package binds itself is part of the package, even if a module has the same name.
            from_below = below in trees and found.name not in bound.get(found.module, ())
            target = below if from_below else found.module
            if target in trees and target != module.name:
                graph[module.name].add(target)
    return graph


def _bound(tree: ast.Module) -> set[str]:
    """Names that a module binds at its top, other than its own modules."""
    names: set[str] = set()
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names if node.module)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
        else:
            todo.extend(ast.iter_child_nodes(node))
    return names


def _imports(tree: ast.Module, package: str) -> Iterator[_Import]:
    def visit(node: ast.AST, kind: str) -> Iterator[_Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                for part in child.body:
                    yield from visit(ast.Module([part], []), "types" if kind == "top" else kind)
                for part in child.orelse:
                    yield from visit(ast.Module([part], []), kind)
            elif isinstance(child, ast.Import):
                yield from (_Import(alias.name, "", kind) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                parts = package.split(".")
                base = parts[: len(parts) + 1 - child.level] if child.level else []
                module = ".".join([*base, child.module] if child.module else base)
                yield from (_Import(module, alias.name, kind) for alias in child.names)
            else:
                inner = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                yield from visit(child, "functions" if inner else kind)

    yield from visit(tree, "top")


def _components(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the strongly connected components with more than one node."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = list(graph[start])
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo.extend(graph[node])
        return seen

    reach = {name: reached(name) for name in graph}
    together = {tuple(sorted(other for other in reach[name] if name in reach[other])) for name in graph}
    return [list(names) for names in sorted(together) if len(names) > 1]


# -- calls


class Recorder:
    """Counts calls of functions of the project, in all threads that are started after it was made.

    Args:
        checkout: whose functions count.
    """

    def __init__(self, checkout: Checkout) -> None:
        self._modules = {str(module.file): module.name for module in checkout.modules}
        self._on = False
        # A generator is entered once at its start, and again at each step, which is not a call.
        self._entries: dict[CodeType, Counter[int]] = {}
        self._between: dict[CodeType, Counter[tuple[int, str]]] = {}
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        if not self._on or event != "call":
            return
        code = frame.f_code
        module = self._modules.get(code.co_filename)
        if module is None or code.co_name in ("<module>", "<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"):
            return
        caller = frame.f_back
        while caller is not None and caller.f_code.co_filename not in self._modules:
            caller = caller.f_back
        before = self._modules[caller.f_code.co_filename] if caller is not None else module
        self._entries.setdefault(code, Counter())[frame.f_lasti] += 1
        self._between.setdefault(code, Counter())[frame.f_lasti, before] += 1

    @contextmanager
    def recording(self) -> Iterator[Figures]:
        """Count the calls in this block. Afterwards the mapping has the figures."""
        figures: Figures = {}
        self._entries, self._between = {}, {}
        self._on = True
        try:
            yield figures
        finally:
            self._on = False
            figures.update(self._figures())

    def _figures(self) -> Figures:
        functions: Counter[str] = Counter()
        jumps: Counter[str] = Counter()
        modules: set[str] = set()
        for code, entries in list(self._entries.items()):
            start, module = min(entries), self._modules[code.co_filename]
            modules.add(module)
            functions[f"{module}:{code.co_name}"] += entries[start]
            for (where, before), count in self._between[code].items():
                if where == start and before != module:
                    jumps[f"{before} -> {module}"] += count
        return {
            "calls": functions.total(),
            "modules": len(modules),
            "jumps": jumps.total(),
            "functions": dict(sorted(functions.items())),
            "jumps_between": dict(sorted(jumps.items())),
        }

    def repeated(self, action: Callable[[], object], times: int = REPETITIONS) -> Figures:
        """Return the figures of the median repetition of an action, after one warm-up.

        Args:
            action: the action.
            times: an odd number.
        """
        action()
        runs: list[Figures] = []
        for _ in range(times):
            with self.recording() as figures:
                action()
            runs.append(figures)
        counted = [figures["calls"] for figures in runs]
        middle = runs[counted.index(statistics.median_low(counted))]
        return {**middle, "least": min(counted), "most": max(counted)}


def _opened(environment: str, options: Mapping[str, Any]) -> Any:
    from starlake_core import Orchestration

    return Orchestration(
        dict(options), orchestrator="local", environment=environment, filename="structure.py", namespace={}
    )


def _drawn(environment: str, options: Mapping[str, Any]) -> StarlakePipeline:
    """A pipeline of one load, rendered by the local orchestrator."""
    with _opened(environment, options) as opened, opened.sl_create_pipeline(name="one_load") as pipeline:
        pipeline.sl_load(domain="sales", table="orders")
    drawn: StarlakePipeline = pipeline
    return drawn


def draw(recorder: Recorder, environment: str, options: Mapping[str, Any]) -> Figures:
    """From the verb to the arguments of the job."""

    def drawn() -> Figures:
        with _opened(environment, options) as opened, opened.sl_create_pipeline(name="one_load") as pipeline:
            with recorder.recording() as figures:
                vector = pipeline.sl_load(domain="sales", table="orders").job.arguments
            assert "load" in vector, vector
        return figures

    drawn()
    return drawn()


def render(recorder: Recorder, environment: str, options: Mapping[str, Any]) -> Figures:
    """The end of the pipeline's ``with``: it is checked and rendered."""

    def rendered() -> Figures:
        with _opened(environment, options) as opened:
            pipeline = opened.sl_create_pipeline(name="one_load")
            pipeline.__enter__()
            pipeline.sl_load(domain="sales", table="orders")
            with recorder.recording() as figures:
                pipeline.__exit__(None, None, None)
        return figures

    rendered()
    return rendered()


def run(recorder: Recorder, environment: str, options: Mapping[str, Any]) -> Figures:
    """A run of a pipeline of one load by the local orchestrator."""
    pipeline = _drawn(environment, options)

    def done() -> None:
        report = pipeline.run()
        assert report.succeeded, report

    return recorder.repeated(done)


def draw_shell(recorder: Recorder, folder: Path) -> Figures:
    return draw(recorder, "shell", _shell(folder))


def draw_cloud_run(recorder: Recorder, folder: Path) -> Figures:
    places = {"project_id": "project", "job_region": "europe-west1", "job_name": "starlake"}
    return draw(recorder, "cloud_run", {f"cloud_run_{name}": value for name, value in places.items()})


def render_shell(recorder: Recorder, folder: Path) -> Figures:
    return render(recorder, "shell", _shell(folder))


def run_shell(recorder: Recorder, folder: Path) -> Figures:
    return run(recorder, "shell", _shell(folder))


def run_cloud_run(recorder: Recorder, folder: Path) -> Figures:
    emulators = importlib.import_module("emulators.cloud_run")
    buckets = folder / "buckets"
    (buckets / "bucket").mkdir(parents=True)
    with emulators.CloudRun(("/bin/sh", "-c", "exit 0", "starlake"), buckets=buckets) as emulator:
        # Half a second is enough for the program, so that the first poll finds it ended.
        told = {**emulator.options, "cloud_run_async_poke_interval": 0.5}
        return run(recorder, "cloud_run", {**told, "state_dir": str(folder / "state"), "retries": 0})


def _shell(folder: Path) -> dict[str, Any]:
    program = folder / "starlake"
    program.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    program.chmod(0o755)
    return {
        "SL_STARLAKE_PATH": str(program),
        "sl_env_var": {"SL_ROOT": str(folder)},
        "state_dir": str(folder / "state"),
        "retries": 0,
    }


CALLS: dict[str, tuple[str, Callable[[Recorder, Path], Figures]]] = {
    "draw_shell": ("the verb to its vector, shell", draw_shell),
    "draw_cloud_run": ("the verb to its vector, cloud_run", draw_cloud_run),
    "render_shell": ("check and render, local", render_shell),
    "run_shell": ("its run, local and shell", run_shell),
    "run_cloud_run": ("its run, local and the emulator of Cloud Run", run_cloud_run),
}


def child(root: Path, name: str) -> Figures:
    """Count the calls of one action in this process, which has the environment variables of the checkout."""
    checkout = Checkout(root)
    try:
        import starlake_core
    except ImportError as error:
        return {"skipped": str(error)}
    if not Path(starlake_core.__file__).is_relative_to(checkout.root):
        raise SystemExit(f"{starlake_core.__file__} is not in {checkout.root}")
    recorder = Recorder(checkout)
    with tempfile.TemporaryDirectory() as folder:
        try:
            return CALLS[name][1](recorder, Path(folder))
        except (ImportError, starlake_core.PluginError) as error:
            return {"skipped": str(error)}


def count_calls(checkout: Checkout) -> Figures:
    """Count the calls of one ``sl_load``. Each action runs in its own process."""
    found: Figures = {}
    for name in CALLS:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, str(HERE / "structure.py"), str(checkout.root), "--child", name]
            done = subprocess.run(
                command, capture_output=True, text=True, encoding="utf-8", env=checkout.variables(Path(folder))
            )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
        found[name] = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    return found


# -- tables

MEASURES: dict[str, Callable[[Checkout], Figures]] = {
    "annotations": count_annotations,
    "lines": count_lines,
    "calls": count_calls,
    "circles": find_circles,
}

Table = tuple[str, Sequence[str], Sequence[Sequence[object]]]


def tables(found: Figures) -> Iterator[Table]:
    """Return titles, headings and rows of the tables."""
    if "annotations" in found:
        totals = found["annotations"]["totals"]
        names = ("any", "any_elsewhere", "getattr")
        rows = [(name, *(counts.get(of, 0) for of in names)) for name, counts in totals.items()]
        every = ("all", *(sum(counts.get(of, 0) for counts in totals.values()) for of in names))
        heads = ("", "Any in annotations", "Any elsewhere", "getattr with a default")
        yield "what a type checker cannot follow", heads, [*rows, every]
        modules = sorted(found["annotations"]["modules"].items(), key=lambda item: (-sum(item[1].values()), item[0]))
        yield (
            "the ten modules with most of it",
            heads,
            [(name, *(counts.get(of, 0) for of in names)) for name, counts in modules[:10]],
        )
    if "lines" in found:
        totals = found["lines"]["totals"]
        yield "lines of code", ("", "lines"), [*totals.items(), ("all", found["lines"]["all"])]
        yield f"modules above {LONG} lines", ("", "lines"), list(found["lines"][f"above {LONG}"].items())
    if "calls" in found:
        rows = []
        for name, counts in found["calls"].items():
            if "skipped" in counts:
                rows.append((CALLS[name][0], f"skipped: {counts['skipped']}", "", "", ""))
            else:
                spread = f"{counts['least']} - {counts['most']}" if "least" in counts else ""
                rows.append((CALLS[name][0], counts["calls"], counts["modules"], counts["jumps"], spread))
        yield "one sl_load", ("", "calls", "modules", "jumps", "calls, all repetitions"), rows
    if "circles" in found:
        for kind, title in CIRCLES.items():
            every_circle = [
                (distribution, len(modules), ", ".join(modules))
                for distribution, together in found["circles"][kind].items()
                for modules in together
            ]
            yield f"circles: {title}", ("", "modules", ""), every_circle


def main(arguments: Sequence[str]) -> int:
    """Count and print."""
    from rich.console import Console
    from rich.table import Table as Shown

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, default=HERE.parent, help="the checkout; this one by default")
    parser.add_argument("--only", nargs="+", choices=list(MEASURES), metavar="WHAT", help=f"of {', '.join(MEASURES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    parser.add_argument("--child", choices=list(CALLS), help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.child:
        sys.stdout.write("\n" + json.dumps(child(asked.root, asked.child)) + "\n")
        return 0
    checkout = Checkout(asked.root)
    found = {name: MEASURES[name](checkout) for name in asked.only or MEASURES}
    console = Console(width=None if sys.stdout.isatty() else 140)
    for title, heads, rows in tables(found):
        table = Shown(*heads, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*map(str, row))
        console.print(title, table if rows else "none", "", highlight=False, markup=False)
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def _parsed(module: Module) -> ast.Module:
    return ast.parse(module.file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Writes the native form of pipelines on Airflow and Dagster to files, so that two versions of the code can be compared
byte by byte.

    python benchmarks/serialised.py write before --root ../other-checkout
    python benchmarks/serialised.py write after
    python benchmarks/serialised.py compare before after

``write`` builds a corpus of pipelines for every host that can be imported here (in a folder for each, if there are two)
and for several environments, whose plugins need not be installed, because building imports no SDK. The corpus is that
of *this* checkout, whichever code builds it: the files of ``benchmarks/corpus``, the examples, the pipeline files of
the demo, those in the documentation, and the canonical graphs of the conformance kit. ``--corpus`` adds further files.
All of them are copied to the subfolder ``corpus``, and ``--again`` uses those copies, so that a corpus does not change
with the examples.

For each file and environment there are ``graph/`` (the neutral graph), ``jobs/`` (what each task runs), and

airflow   ``dag/`` (the serialised DAG) and ``operators/`` (the job and the documentation of each operator);
dagster   ``repository/`` (jobs, assets, schedules and sensors as Dagster passes them to its web server), ``specs/``
          (asset specs), and ``ops/`` (tags, retries and pools of the ops).

If a file cannot be built, the error is in ``error.txt``. Log messages are in ``log.txt``. Paths of the machine are
replaced. ``compare`` shows the first lines of every difference, and exits with 1 if there is one. Files are built in a
fixed place in the temporary folder, because names and hashes depend on paths, so write for one host at a time.
"""

from __future__ import annotations

import argparse
import difflib
import enum
import hashlib
import importlib
import importlib.util
import json
import logging
import multiprocessing
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
# Other files in this folder have the names of packages, so it must not be on the path. Helpers always come from this
# folder.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
sys.path.insert(0, str(HERE.parent))

from benchmarks.checkout import Checkout  # noqa: E402

sys.path.remove(str(HERE.parent))

if TYPE_CHECKING:
    from starlake_core import Job, StarlakePipeline

HOSTS = ("airflow", "dagster")

ENVIRONMENTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "shell": ("shell", {"SL_STARLAKE_PATH": "/opt/starlake/starlake"}),
    "duckdb": ("duckdb", {}),
    "cloud_run": (
        "cloud_run",
        {
            "cloud_run_project_id": "my-project",
            "cloud_run_job_region": "europe-west1",
            "cloud_run_job_name": "starlake",
            "cloud_run_task_timeout": "45m",
        },
    ),
    "dataproc": (
        "dataproc",
        {
            "dataproc_project_id": "my-project",
            "spark_jar_list": "gs://my-jars/starlake-assembly.jar",
            "spark_bucket": "my-spark-bucket",
            "dataproc_num_workers": 2,
            "dataproc_labels": {"team": "bakery"},
        },
    ),
    "dataproc_serverless": (
        "dataproc",
        {
            "dataproc_project_id": "my-project",
            "spark_jar_list": "gs://my-jars/starlake-assembly.jar",
            "spark_bucket": "my-spark-bucket",
            "dataproc_serverless": True,
        },
    ),
    "fargate": (
        "fargate",
        {
            "aws_cluster_name": "starlake",
            "aws_task_definition_name": "starlake:12",
            "aws_task_definition_container_name": "starlake",
            "aws_task_private_subnets": "subnet-0a1b2c3d,subnet-4e5f6a7b",
            "aws_tags": {"team": "bakery"},
        },
    ),
}
"""The environment and options of each label. The options of a file override them."""

FIRST = next(iter(ENVIRONMENTS))
SHOWN, LONGEST = 12, 300


# -- the corpus


def collect(folder: Path, further: Sequence[Path]) -> None:
    """Copy all pipeline files of this checkout to a folder.

    Args:
        folder: the folder to create.
        further: folders with further pipeline files.
    """
    root = HERE.parent
    shutil.copytree(HERE / "corpus", folder / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
    for example in sorted(root.glob("plugins/*/examples/*.py")):
        _copy(example, folder / "examples" / example.name)
    for dags in sorted(root.glob("plugins/*/src/*/**/dags")):
        # Copy the project around its pipeline files too, because they look for it.
        shutil.copytree(dags.parent, folder / dags.parent.name, ignore=shutil.ignore_patterns("__pycache__"))
    for page in sorted([*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("plugins/*/README.md")]):
        name = "_".join(page.relative_to(root).with_suffix("").parts).lower()
        for number, text in enumerate(_documented(page.read_text(encoding="utf-8"))):
            file = folder / "documentation" / f"{name}_{number}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
    for other in further:
        for file in sorted(other.rglob("*.py")):
            if _is_pipeline_file(file.read_text(encoding="utf-8")) and not file.name.startswith("test"):
                _copy(file, folder / other.name / file.relative_to(other))


def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)


def _documented(page: str) -> Iterator[str]:
    """The pipeline files of a page."""
    for block in re.finditer(r"^[ ]*```python\n(.*?)^[ ]*```", page, re.DOTALL | re.MULTILINE):
        text = textwrap.dedent(block[1])
        if _is_pipeline_file(text):
            yield text


def _is_pipeline_file(text: str) -> bool:
    return "import" in text and ("sl_create_pipeline(" in text or "StarlakeJobFactory.create_job(" in text)


def _is_for_another(text: str, host: str) -> bool:
    """Whether a file imports a host that is not this one."""
    others = "|".join(other for other in HOSTS if other != host)
    return re.search(rf"^\s*(from|import) ({others})\b", text, re.MULTILINE) is not None


# -- drawing


@dataclass
class Drawn:
    """The result of building a file or a canonical graph.

    Attributes:
        pipelines: in the order in which they were drawn.
        namespace: the names of the module afterwards.
        error: why it could not be built.
    """

    pipelines: list[StarlakePipeline] = field(default_factory=list)
    namespace: dict[str, Any] = field(default_factory=dict)
    error: str = ""


def draw_file(file: Path, host: str, label: str) -> Drawn:
    """Run a pipeline file, and override the orchestrator and environment of its orchestrations.

    Args:
        file: of the corpus.
        host: the orchestrator.
        label: of the environment.
    """
    from starlake_core import Orchestration

    environment, options = ENVIRONMENTS[label]
    drawn = Drawn()
    opened: list[Orchestration] = []
    module = ModuleType("pipeline_file")
    module.__file__ = str(file)
    drawn.namespace = vars(module)
    sys.modules[module.__name__] = module
    opens = Orchestration.__init__

    def forced(self: Orchestration, given: Mapping[str, Any] | None = None, **keywords: Any) -> None:
        # A file may bring an orchestrator of its own, which is its environment too.
        if isinstance(keywords.get("orchestrator"), (str, enum.Enum, type(None))):
            keywords |= {"orchestrator": host, "environment": environment}
        # The caller would be looked for on the stack, and this function be found.
        keywords.setdefault("filename", str(file))
        keywords.setdefault("namespace", drawn.namespace)
        given = keywords.pop("options", given)
        opens(self, {**options, **(given or {})}, **keywords)
        opened.append(self)

    text = file.read_text(encoding="utf-8")
    text = re.sub(r"StarlakeOrchestrator\.(AIRFLOW|DAGSTER)\b", f"StarlakeOrchestrator.{host.upper()}", text)
    setattr(Orchestration, "__init__", forced)  # noqa: B010 (a type checker refuses the assignment)
    sys.path.append(str(file.parent))
    try:
        exec(compile(text, str(file), "exec"), drawn.namespace)
    except Exception as error:
        drawn.error = _told(error)
    drawn.pipelines = [pipeline for orchestration in opened for pipeline in orchestration.pipelines]
    return drawn


def draw_graph(name: str, file: Path, host: str, label: str) -> Drawn:
    """Draw a canonical graph of the conformance kit.

    Args:
        name: of the graph.
        file: that it pretends to stand in.
        host: the orchestrator.
        label: of the environment.
    """
    from starlake_core import Orchestration
    from starlake_core.testing import CORPUS

    environment, options = ENVIRONMENTS[label]
    graph, drawn = CORPUS[name], Drawn()
    try:
        with Orchestration(
            {**options, **graph.options},
            orchestrator=host,
            environment=environment,
            filename=str(file),
            namespace=drawn.namespace,
        ) as orchestration:
            drawn.pipelines.append(graph(orchestration))
    except Exception as error:
        drawn.error = _told(error)
    return drawn


def _told(error: Exception) -> str:
    # The module of an exception class does not matter.
    return f"{type(error).__name__}: {error}\n"


# -- what it became


def neutral(drawn: Drawn) -> Iterator[tuple[str, str]]:
    """The neutral graphs and the jobs in them."""
    from starlake_core import graph_json

    base = str(Path.cwd().parent)

    for name, pipeline in _named(drawn.pipelines):
        text = graph_json(pipeline)
        yield f"graph/{name}.json", _json(json.loads(text))
        # Its exact bytes count too, because they distinguish runs.
        digest = hashlib.sha256(text.replace(base, "{base}").encode()).hexdigest()
        yield f"graph/{name}.sha256", f"{digest}\n"
        jobs = {task.path: task.job.to_dict() for task in pipeline.tasks() if task.job is not None}
        yield f"jobs/{name}.json", _json(jobs)


def _named(pipelines: Sequence[StarlakePipeline]) -> Iterator[tuple[str, StarlakePipeline]]:
    seen: set[str] = set()
    for number, pipeline in enumerate(pipelines):
        # A file may build several with the same name.
        name = f"{pipeline.id}.{number}" if pipeline.id in seen else pipeline.id
        seen.add(name)
        yield name, pipeline


def on_airflow(drawn: Drawn) -> Iterator[tuple[str, str]]:
    """The serialised DAGs of pipelines, and of DAGs that are written by hand; and what their operators hold."""
    serialised = importlib.import_module("airflow.serialization.serialized_objects")
    encoder = getattr(serialised, "DagSerialization", None) or serialised.SerializedDAG
    dags = {name: pipeline.native for name, pipeline in _named(drawn.pipelines) if hasattr(pipeline.native, "dag_id")}
    # A DAG that is written by hand need not have a name in its module; its tasks have some.
    operators = [value for value in drawn.namespace.values() if isinstance(getattr(value, "task_id", None), str)]
    dags |= {f"by_hand_{dag.dag_id}": dag for dag in (getattr(operator, "dag", None) for operator in operators) if dag}
    for name, dag in dags.items():
        yield f"dag/{name}.json", _json(encoder.to_dict(dag))
        yield f"operators/{name}.json", _json({"doc_md": dag.doc_md, "tasks": {t.task_id: _held(t) for t in dag.tasks}})


def _held(operator: Any) -> dict[str, Any]:
    from starlake_core import Job

    jobs: list[Job] = [value for value in vars(operator).values() if isinstance(value, Job)]
    return {
        "class": type(operator).__name__,
        "doc_md": operator.doc_md,
        "jobs": [job.to_dict() for job in jobs],
        "masked": [job.masked().to_dict() for job in jobs],
    }


def on_dagster(drawn: Drawn) -> Iterator[tuple[str, str]]:
    """Return the definitions in a module, of pipelines that were built there or written by hand."""
    from dagster import Definitions

    found = {name: value for name, value in drawn.namespace.items() if isinstance(value, Definitions)}
    for name, definitions in found.items():
        repository = definitions.get_repository_def()
        yield f"repository/{name}.json", _json(_repository(repository))
        specs = [spec for made in definitions.assets or () for spec in getattr(made, "specs", ())]
        yield f"specs/{name}.json", _json({spec.key.to_user_string(): _spec(spec) for spec in specs})
        jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
        yield f"ops/{name}.json", _json({job.name: _ops(job.nodes) for job in jobs})


def _repository(repository: Any) -> Any:
    serdes = importlib.import_module("dagster._serdes")
    for place in (
        "dagster._core.remote_representation.external_data",
        "dagster._core.host_representation.external_data",
    ):
        if importlib.util.find_spec(place) is not None:
            snaps = importlib.import_module(place)
            return json.loads(serdes.serialize_value(snaps.RepositorySnap.from_def(repository)))
    raise SystemExit("this version of Dagster hands its repositories on in another way")


def _spec(spec: Any) -> dict[str, Any]:
    names = ("group_name", "description", "code_version", "owners", "kinds", "tags", "metadata", "automation_condition")
    told = {name: _plain(getattr(spec, name)) for name in (*names, "skippable", "partitions_def")}
    return {**told, "deps": sorted(dependency.asset_key.to_user_string() for dependency in spec.deps)}


def _ops(nodes: Sequence[Any]) -> dict[str, Any]:
    """Each op, and each graph with the ops in it."""
    return {node.name: {**_op(node.definition), "nodes": _ops(getattr(node.definition, "nodes", ()))} for node in nodes}


def _op(definition: Any) -> dict[str, Any]:
    told = {name: _plain(getattr(definition, name, None)) for name in ("description", "tags", "retry_policy", "pool")}
    outs = {
        out.name: [out.is_required, _plain(out.description), _plain(out.metadata)] for out in definition.output_defs
    }
    return {**told, "ins": sorted(definition.input_dict), "outs": outs}


def _plain(value: Any) -> Any:
    """A value as JSON."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in sorted(value.items(), key=lambda pair: str(pair[0]))}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, default=str) + "\n"


NATIVE: Mapping[str, Callable[[Drawn], Iterator[tuple[str, str]]]] = {"airflow": on_airflow, "dagster": on_dagster}


# -- writing


class _Log(logging.Handler):
    """Collects the warnings of this project."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(("starlake_core", "ai.starlake")):
            self.lines.append(f"{record.levelname} {record.getMessage()}")


def _write_case(draw: Callable[[], Drawn], host: str, folder: Path, replaced: Mapping[str, str]) -> None:
    """Build a case and write the result. This happens in its own process, because a file may change shared state."""
    log = _Log()
    logging.getLogger().addHandler(log)
    drawn = draw()
    found: dict[str, str] = {}
    for told in (neutral, NATIVE[host]):
        try:
            found.update(told(drawn))
        except Exception as error:
            drawn.error += _told(error)
    if drawn.error:
        found["error.txt"] = drawn.error
    if log.lines:
        found["log.txt"] = "\n".join([*log.lines, ""])
    if not drawn.pipelines and not found:
        found["error.txt"] = "there is no pipeline\n"
    for name, text in found.items():
        for path, word in replaced.items():
            text = text.replace(path, word)
        file = folder / _legal(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(re.sub(r"\b0x[0-9a-f]{6,}", "0x", text), encoding="utf-8")


def _legal(name: str) -> str:
    return re.sub(r"[^\w./-]", "_", name)


def write_here(root: Path, host: str, base: Path, folder: Path) -> None:
    """Write all cases for one host, in this process, which has the variables of the checkout.

    Args:
        root: the checkout.
        host: the orchestrator.
        base: holds the corpus.
        folder: that is written to.
    """
    import starlake_core
    from starlake_core.testing import CORPUS

    if not Path(starlake_core.__file__).is_relative_to(root):
        raise SystemExit(f"{starlake_core.__file__} is not in {root}")
    corpus = base / "corpus"
    cases: dict[str, Callable[[str, str], Drawn]] = {
        str(file.relative_to(corpus).with_suffix("")): partial(draw_file, file)
        for file in sorted(corpus.rglob("*.py"))
        if _is_pipeline_file(text := file.read_text(encoding="utf-8")) and not _is_for_another(text, host)
    }
    large = {f"kit/{name}" for name, graph in CORPUS.items() if graph.large}
    cases |= {f"kit/{name}": partial(draw_graph, name, corpus / "kit.py") for name in CORPUS}
    replaced = {str(base): "{base}", str(root): "{checkout}", sys.prefix: "{python}"}
    # Imports happen once here, and not in each process.
    for label in ENVIRONMENTS:
        warm = draw_graph("single_task", corpus / "kit.py", host, label)
        for told in (neutral, NATIVE[host]):
            list(told(warm))
    processes = multiprocessing.get_context("fork")
    for label in ENVIRONMENTS:
        for name, draw in cases.items():
            if name in large and label != FIRST:
                continue
            arguments = (partial(draw, host, label), host, folder / label / _legal(name), replaced)
            process = processes.Process(target=_write_case, args=arguments)
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{name} with {label} ended with {process.exitcode}")


def _variables(checkout: Checkout, host: str, base: Path, given: Sequence[str]) -> dict[str, str]:
    airflow = {
        "AIRFLOW_HOME": str(base / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(base / "corpus"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{base}/home/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    }
    dagster = {"DAGSTER_HOME": str(base / "home"), "DAGSTER_DISABLE_TELEMETRY": "1"}
    metadata = base / "metadata"
    metadata.mkdir()
    chosen = dict(pair.partition("=")[::2] for pair in given)
    return {**checkout.variables(metadata, complete=True), **(airflow if host == "airflow" else dagster), **chosen}


def write(asked: argparse.Namespace) -> int:
    """Write the native form of the corpus for each installed host."""
    checkout = Checkout(asked.root)
    hosts = [host for host in HOSTS if importlib.util.find_spec(host) is not None]
    if not hosts:
        raise SystemExit(f"there is neither of {', '.join(HOSTS)} in {sys.prefix}")
    for host in hosts:
        folder = asked.folder.resolve() / (host if len(hosts) > 1 else "")
        if folder.exists() and any(folder.iterdir()):
            raise SystemExit(f"{folder} is not empty; name a new folder")
        base = Path(tempfile.gettempdir()).resolve() / f"starlake-serialised-{host}"
        shutil.rmtree(base, ignore_errors=True)
        (base / "home").mkdir(parents=True)
        if asked.again is not None:
            shutil.copytree(asked.again / "corpus", base / "corpus")
        else:
            collect(base / "corpus", asked.corpus)
        shutil.copytree(base / "corpus", folder / "corpus")
        command = [sys.executable, str(HERE / "serialised.py"), "write", str(folder), "--root", str(checkout.root)]
        variables = _variables(checkout, host, base, asked.variable)
        done = subprocess.run(
            [*command, "--child", host, str(base)],
            env=variables,
            cwd=base / "home",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        shutil.rmtree(base)
        if done.returncode:
            raise SystemExit(f"{done.stdout[-4000:]}\n{host}: ended with {done.returncode}")
        files = [file for file in folder.rglob("*") if file.is_file()]
        digest = hashlib.sha256()
        for file in sorted(files):
            digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
        errors = sum(file.name == "error.txt" for file in files)
        sys.stdout.write(f"{host}: {len(files)} files, {errors} errors, sha256 {digest.hexdigest()[:16]}\n")
    return 0


# -- comparing


def compare(one: Path, other: Path, most: int) -> int:
    """Show the differences of two folders, and return 1 if there are any.

    Args:
        one: as it was.
        other: as it is.
        most: lines to show of each difference.
    """
    for folder in (one, other):
        if not folder.is_dir():
            raise SystemExit(f"there is no folder {folder}")
    before, after = (
        {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()} for folder in (one, other)
    )
    gone, new, same, lines = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys()), 0, []
    lines += [f"only in {one}: {name}" for name in gone]
    lines += [f"only in {other}: {name}" for name in new]
    changed = 0
    for name in sorted(before.keys() & after.keys()):
        if before[name].read_bytes() == after[name].read_bytes():
            same += 1
            continue
        changed += 1
        was, now = (file.read_text(encoding="utf-8").splitlines() for file in (before[name], after[name]))
        diff = list(difflib.unified_diff(was, now, f"{one}/{name}", f"{other}/{name}", n=1, lineterm=""))
        lines += [line if len(line) <= LONGEST else f"{line[:LONGEST]}..." for line in diff[:most]]
        if len(diff) > most:
            lines.append(f"... and {len(diff) - most} more lines")
    summary = f"{same} files are the same, {changed} differ, {len(gone)} only before, {len(new)} only after"
    sys.stdout.write("\n".join([*lines, summary, ""]))
    return 1 if gone or new or changed else 0


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write", help="write what the corpus becomes")
    writing.add_argument("folder", type=Path, help="a new one")
    writing.add_argument("--root", type=Path, default=HERE.parent, help="the checkout that draws; this one by default")
    writing.add_argument("--corpus", type=Path, nargs="+", default=[], metavar="FOLDER", help="further pipeline files")
    writing.add_argument("--again", type=Path, metavar="OTHER", help="take the corpus that was kept in this folder")
    writing.add_argument(
        "--variable", nargs="+", default=[], metavar="NAME=VALUE", help="environment variables that pipeline files read"
    )
    writing.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    comparing = commands.add_parser("compare", help="say how two folders differ; exit code 1 if they do")
    comparing.add_argument("one", type=Path)
    comparing.add_argument("other", type=Path)
    comparing.add_argument(
        "--lines", type=int, default=SHOWN, help=f"lines to show of each difference; {SHOWN} by default"
    )
    asked = parser.parse_args(arguments)
    if asked.command == "compare":
        return compare(asked.one, asked.other, asked.lines)
    if asked.child:
        write_here(asked.root, asked.child[0], Path(asked.child[1]), asked.folder)
        return 0
    return write(asked)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What becomes of the output never decides what happens: closed, broken, full, slow, on any terminal."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import pty
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from breadth import ON_EVERY_VERSION, in_the_matrix
from command_line import orchestrate
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from starlake_core import Report, TaskEvent, TaskReport, TaskState
from starlake_core.cli._output import Output
from starlake_core.cli._progress import LastLines, distinct_names, summary

PATIENCE = 60.0

PROGRAM = """#!/bin/sh
echo "$@" >> calls
echo "output of $@"
"""

PIPELINES = """
import pathlib
from starlake_core import Orchestration
project = pathlib.Path({root!r})
options = {{"SL_STARLAKE_PATH": str(project / "starlake"), "sl_env_var": {{"SL_ROOT": str(project)}}, "retries": 0}}
with Orchestration(options, environment="shell", orchestrator="local") as orchestration:
    for name in ("first", "second"):
        with orchestration.sl_create_pipeline(name=name, cron="0 0 * * *") as pipeline:
            for number in range({tasks}):
                pipeline.sl_load(domain="d", table=f"{{name}}_{{number}}")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "starlake").write_text(PROGRAM)
    (tmp_path / "starlake").chmod(0o755)
    (tmp_path / "pipelines.py").write_text(PIPELINES.format(root=str(tmp_path), tasks=3))
    return tmp_path


def start(*arguments: object, **keywords: Any) -> subprocess.Popen[bytes]:
    env = {n: v for n, v in os.environ.items() if not n.startswith("SL_") and n not in ("COLUMNS", "LINES", "NO_COLOR")}
    given = keywords.pop("env", {})
    return subprocess.Popen(
        [sys.executable, "-m", "starlake_core", *map(str, arguments)], env={**env, **given}, **keywords
    )


def calls(project: Path) -> int:
    return len((project / "calls").read_text().splitlines())


def recorded(project: Path) -> str:
    return orchestrate("runs", project).stdout


def _shell(line: str, project: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of shell, in which $run is the command line and $project the project."""
    return subprocess.run(
        ["bash", "-c", line],
        env={**os.environ, "run": f"{sys.executable} -m starlake_core", "project": str(project)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


HEAD = "$run run $project | head -n 1; exit ${PIPESTATUS[0]}"


@pytest.mark.parametrize(
    "line",
    [
        HEAD,
        pytest.param("$run run $project >&-", marks=in_the_matrix),
        "$run run $project >&- 2>&- <&-",
        "$run run $project > /dev/full",
        pytest.param("$run run $project > /dev/full 2>&1", marks=in_the_matrix),
        "$run run $project 2> /dev/full",
    ],
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_run_goes_on_whatever_becomes_of_its_output(line: str, project: Path) -> None:
    done = _shell(line, project)
    assert done.returncode == 0, done
    assert "Traceback" not in done.stderr, done
    assert "Exception ignored" not in done.stderr, done
    assert calls(project) == 6
    assert recorded(project).count("success") == 4  # two runs, each with the states of its tasks
    if line.endswith("$project > /dev/full"):
        assert "could not be written: [Errno 28]" in done.stderr


COMMANDS = [
    "runs $project",
    pytest.param("check $project", marks=in_the_matrix),
    pytest.param("graph $project", marks=in_the_matrix),
    "graph $project --format json",
    "dry-run $project",
    "plugins",
    pytest.param("options", marks=in_the_matrix),
    pytest.param("options --format markdown", marks=in_the_matrix),
    "--help",
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_commands_whose_output_is_lost_say_so_and_never_with_a_traceback(command: str, project: Path) -> None:
    words = command.replace("$project", str(project)).split()
    with open("/dev/full", "wb") as nowhere:
        full = orchestrate(*words, stdout=nowhere.fileno())
    assert "Traceback" not in full.stderr
    assert "Exception ignored" not in full.stderr
    if command != "--help":
        assert full.returncode == 1, full
        assert full.stderr == "error: the output cannot be written: [Errno 28] No space left on device\n"
    closed = _shell(f"$run {command} >&-", project)
    assert closed.returncode == 0, closed
    assert not closed.stderr
    nobody, written = os.pipe()
    os.close(nobody)
    broken = orchestrate(*words, stdout=written)
    os.close(written)
    assert broken.returncode == 0, broken
    assert not broken.stderr


def test_a_reader_that_reads_nothing_stops_no_run(project: Path) -> None:
    """A pager, or a terminal that was told to pause: more is written than a pipe holds."""
    (project / "pipelines.py").write_text(PIPELINES.format(root=str(project), tasks=60))
    read, write = os.pipe()
    holds = fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096) if hasattr(fcntl, "F_SETPIPE_SZ") else 65536
    with start("run", project, "--parallelism", "8", stdout=write, stderr=subprocess.DEVNULL) as process:
        os.close(write)
        deadline = time.monotonic() + 4 * PATIENCE
        while not (project / "calls").exists() or calls(project) < 120:
            assert time.monotonic() < deadline, calls(project)
            time.sleep(0.1)
        with os.fdopen(read, "rb") as reader:
            output = reader.read()
        assert process.wait(PATIENCE) == 0
    assert b"second: success" in output
    assert len(output) > holds or holds > 4096


def terminal(work: Callable[[int], subprocess.Popen[bytes]], columns: int) -> tuple[int, str]:
    """What a command writes to a terminal of a certain width."""
    master, slave = pty.openpty()
    try:
        import struct
        import termios

        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = work(slave)
    finally:
        os.close(slave)
    chunks = []
    with process:
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # EIO: nobody has it open any more
                break
            if not chunk:
                break
            chunks.append(chunk)
    os.close(master)
    return process.returncode, b"".join(chunks).decode()


@pytest.mark.parametrize(
    ("env", "columns", "lines"),
    [
        ({"TERM": "dumb"}, 120, True),
        ({"TERM": "xterm"}, 30, True),
        ({"TERM": "xterm", "NO_LIVE": "1"}, 120, True),
        ({"TERM": "xterm"}, 60, False),
        ({"TERM": "xterm"}, 120, False),
        ({"TERM": "xterm"}, 1, True),
    ],
    ids=str,
)
def test_every_terminal_shows_something_at_once(env: dict[str, str], columns: int, lines: bool, project: Path) -> None:
    code, output = terminal(
        lambda slave: start("run", project, stdin=slave, stdout=slave, stderr=slave, env=env), columns
    )
    assert code == 0, output
    plain = " d_first_0_load running" in output.replace("\r\n", "")
    assert plain == lines, output
    assert "first_0_load" in output.replace("\r\n", "")


def test_a_terminal_that_closes_ends_the_run_in_order(project: Path) -> None:
    (project / "starlake").write_text("#!/bin/sh\necho $$ >> pids\nsleep 60\n")
    master, slave = pty.openpty()
    process = start("run", project, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    deadline = time.monotonic() + PATIENCE
    while not (project / "pids").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.close(master)  # nobody's controlling terminal: the output breaks, and the signal comes
    process.send_signal(signal.SIGHUP)
    assert process.wait(PATIENCE) == 130
    assert "cancelled" in recorded(project)


# -- the stream


class _Breaks(io.StringIO):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error

    def flush(self) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error", [OSError(errno.EPIPE, "broken"), OSError(errno.EIO, "gone"), ValueError("I/O operation on closed file")]
)
@pytest.mark.parametrize("background", [False, True])
def test_a_stream_that_breaks_raises_nothing(error: Exception, background: bool) -> None:
    output = Output(_Breaks(error))
    if background:
        with output.in_background():
            output.write("x")
    output.write("x")
    output.writelines(["a", "b"])
    output.flush()
    assert output.trouble is error
    assert bool(output.lost) == (not isinstance(error, OSError) or error.errno != errno.EPIPE)


def test_no_stream_is_one_to_write_to() -> None:
    output = Output(None)
    assert output.write("x") == 1
    output.flush()
    assert not output.isatty()
    assert not output.lost


@given(st.text())
def test_any_text_is_written_in_any_encoding(text: str) -> None:
    for encoding in ("ascii", "latin-1", "utf-8"):
        kept = io.BytesIO()
        output = Output(io.TextIOWrapper(kept, encoding=encoding, newline=""))
        output.write(text)
        output.flush()
        assert not output.trouble
        assert bool(kept.getvalue()) == bool(text)


@given(st.lists(st.text("ab_", min_size=1, max_size=60), min_size=1, max_size=8, unique=True), st.integers(8, 40))
def test_names_fit_the_column(names: list[str], width: int) -> None:
    assert all(len(name) <= width for name in distinct_names(names, width))


def test_names_with_a_common_beginning_stay_distinct() -> None:
    names = [f"load_the_domain_with_a_long_name_{table}_load" for table in ("customers", "orders", "products")]
    shown = distinct_names(names, 16)
    assert len(set(shown)) == 3
    assert all(len(name) <= 16 for name in shown)


# -- an interrupt before there is anything to interrupt

EARLY = """
import os, signal, sys
from importlib.abc import MetaPathFinder

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background hands on that it is ignored


class Interrupts(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except BaseException:  # as what looks for an optional module may do
                pass


from starlake_orchestrate import main
sys.meta_path.insert(0, Interrupts())
main()
"""


@pytest.mark.parametrize("module", ["starlake_core", "pluggy", "click", "rich.table", "starlake_core.cli.app"])
def test_an_interrupt_while_the_program_is_imported_ends_it_in_silence(module: str) -> None:
    command = [sys.executable, "-c", EARLY, module]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


# -- what others wrote, on every path to a terminal

_CONTROLS = [
    *map(chr, (*range(1, 32), *range(127, 160))),
    "\x1b[2J",
    "\x1b]52;c;aGk=\x07",
    "\u202e",
    "\u2028",
    "\ud800",
]
_HOSTILE = st.lists(st.sampled_from([*_CONTROLS, "a", "ü", " "]) | st.characters(exclude_characters="\0"), max_size=30)
_TURNS = "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2028\u2029"
_RAISES = "raise RuntimeError({text!r})\n"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "starlake").write_text('#!/bin/sh\ncat "$SL_ROOT/output"\nexit 3\n')
    (folder / "starlake").chmod(0o755)
    (folder / "pipelines.py").write_text(PIPELINES.format(root=str(folder), tasks=1))
    return folder


# Each round takes eight processes: what is known to be hostile after each commit, and what is drawn in the matrix.
@settings(max_examples=3, deadline=None, phases=tuple(Phase) if ON_EVERY_VERSION else (Phase.explicit,))
@given(st.lists(_HOSTILE, min_size=1, max_size=20))
@example([[*_CONTROLS, "a"], ["\ud800", "b", *_TURNS], [" ", "\r", "\x1b]0;title\x07"]])
def test_nothing_that_others_wrote_steers_the_terminal(hostile: Path, texts: list[list[str]]) -> None:
    """The output of a task, the message of an exception, and what was typed: on the way to people and to programs."""
    joined = ["".join(parts) for parts in texts]
    data = "\n".join(joined).encode("utf-8", "surrogatepass")
    (hostile / "output").write_bytes(data + b"\xff\x9b31m\n")
    (hostile / "broken").mkdir(exist_ok=True)
    (hostile / "broken" / "raises.py").write_text(
        _RAISES.format(text=joined[0]), encoding="utf-8", errors="surrogatepass"
    )
    typed = joined[0].encode("utf-8", "surrogatepass")
    for words in (
        ["run", hostile / "pipelines.py"],
        ["run", hostile / "pipelines.py", "--format", "json"],
        ["runs", hostile / "pipelines.py"],
        ["runs", hostile / "pipelines.py", "--format", "json"],
        ["check", hostile / "broken"],
        ["check", hostile / "broken", "--format", "json"],
        ["run", hostile / "pipelines.py", "--select", b"=" + typed],
        ["dry-run", hostile / "pipelines.py", "--option", b"retries=" + typed],
    ):
        done = orchestrate(*map(os.fsdecode, words))
        for shown in (done.stdout, done.stderr):
            found = [c for c in shown if c not in "\n\t" and (unicodedata.category(c) in ("Cc", "Cs") or c in _TURNS)]
            assert not found, (words, found, shown)
        assert "Traceback" not in done.stderr, (words, done.stderr)


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("", "no log: the orchestrator does not say where its output is"),
        ("https://host/logs/1", "log: https://host/logs/1"),
        ("$here", "| the end of it"),
    ],
)
def test_where_the_output_of_a_failure_is_said(log: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "1.log").write_text("the end of it\n")
    shown = Console(file=io.StringIO(), width=200)
    task = TaskReport("t", TaskState.FAILED, "why", 1, 1, log=str(tmp_path / "1.log") if log == "$here" else log)
    summary(shown, Report("p", "r", TaskState.FAILED, (task,)))
    assert told in shown.file.getvalue()  # type: ignore[attr-defined]


def test_the_end_of_the_output_is_shown_though_the_orchestrator_keeps_none(tmp_path: Path) -> None:
    events: list[TaskEvent] = []
    heard = LastLines(events.append)
    for number in range(30):
        heard(TaskEvent("bad", TaskState.RUNNING, line=f"line {number}"))
        heard(TaskEvent("good", TaskState.RUNNING, line=f"other {number}"))
    heard(TaskEvent("good", TaskState.SUCCEEDED))
    heard(TaskEvent("bad", TaskState.FAILED))
    assert len(events) == 62
    shown = Console(file=io.StringIO(), width=200)
    tasks = (TaskReport("bad", TaskState.FAILED, "why", 1, 1), TaskReport("good", TaskState.SUCCEEDED, "", 0, 1))
    summary(shown, Report("p", "r", TaskState.FAILED, tasks), heard)
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert [line.strip() for line in text.splitlines()[2:]] == [f"| line {number}" for number in range(15, 30)]

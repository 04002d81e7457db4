"""The command line in forked processes, for tests of what it says and does.

A process that imports the command line takes longer for that than for most commands. So one process imports it, and forks for each
command: that one has its own directory, variables, output and end, and exits as the interpreter does. Tests of how the program starts,
of seeds, signals and terminals start it themselves.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import importlib.metadata
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["fresh", "inherited", "orchestrate"]

_PATIENCE = 600.0
"""Seconds after which a command is given up on; nothing that is right takes as long."""

_PROGRAM = Path(sys.executable).with_name("starlake-orchestrate")


def _duckdb_forks() -> bool:
    """Whether the library of DuckDB may be imported before a fork."""
    try:
        return not importlib.metadata.version("duckdb").startswith("1.")
    except importlib.metadata.PackageNotFoundError:
        return False


_IMPORTED = (
    "starlake_core.cli.app",
    "starlake_core.orchestrators",
    "starlake_core_local.plugin",
    "starlake_core_shell.plugin",
    "starlake_core_project.plugin",
    "starlake_core_project.project",
    "starlake_core_duckdb.plugin",
    "croniter",
    # DuckDB 1 ends a forked process with an abort: its library has been imported with threads that the process does not have.
    *(("duckdb",) if _duckdb_forks() else ()),
)
"""What most commands import, as far as it is installed."""


def inherited() -> dict[str, str]:
    """The variables of this process that are not Starlake's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SL_")}


def orchestrate(
    *words: object, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdout: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``starlake-orchestrate`` to its end, as ``subprocess.run`` does.

    Args:
        *words: its arguments.
        cwd: the directory to run in; that of this process if None.
        env: all its variables; those of this process that are not Starlake's if None.
        stdout: a file descriptor to write to; the result has the output if None.
    """
    arguments = list(map(str, words))
    variables = dict(inherited() if env is None else env)
    own = {name for name in {*variables, *os.environ} if name.startswith("PYTHON")}
    assert all(variables.get(name) == os.environ.get(name) for name in own), "Python reads these as it starts"
    request = {"arguments": arguments, "cwd": str(cwd or Path.cwd()), "env": variables}
    # Files hold any amount, so nobody has to read while the command runs.
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        asked.write(json.dumps(request).encode())
        asked.flush()
        server = _server()
        socket.send_fds(server, [b"?"], [asked.fileno(), out.fileno() if stdout is None else stdout, err.fileno()])
        try:
            ended = server.recv(16)
        except TimeoutError:
            _server.cache_clear()  # this one still waits for the command
            raise
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(["starlake-orchestrate", *arguments], int(ended), *texts)


def fresh(
    *words: object, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """As ``orchestrate``, in a process that imports everything itself."""
    return subprocess.run(
        [sys.executable, "-m", "starlake_core", *map(str, words)],
        cwd=cwd,
        env=inherited() if env is None else env,
        text=True,
        capture_output=True,
        check=False,
    )


@functools.cache
def _server() -> socket.socket:
    """Where the process that forks listens. It ends with this process, which alone holds the other side."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=inherited(),
            stdin=subprocess.DEVNULL,  # nobody types
        )

    def end() -> None:
        ours.close()
        process.terminate()
        process.wait()

    atexit.register(end)
    ours.settimeout(_PATIENCE)
    return ours


def _fork_for_each(listening: socket.socket) -> None:
    """Return in a new process for each request, which then has what the request says, and end this one when nobody asks any more."""
    while True:
        message, files, _, _ = socket.recv_fds(listening, 1, 3)
        if not message:
            sys.exit()
        child = os.fork()
        if not child:
            break
        for file in files:
            os.close(file)
        _, status = os.waitpid(child, 0)
        listening.send(str(os.waitstatus_to_exitcode(status)).encode())
    listening.close()
    asked, out, err = files
    os.lseek(asked, 0, os.SEEK_SET)
    with open(asked, encoding="utf-8") as file:
        request = json.load(file)
    for opened, number in ((out, 1), (err, 2)):
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = [str(_PROGRAM), *request["arguments"]]


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file
    for module in _IMPORTED:
        if importlib.util.find_spec(module.partition(".")[0]) is not None:
            importlib.import_module(module)
    gc.freeze()  # so that the children share its memory
    _fork_for_each(socket.socket(fileno=int(sys.argv[1])))
    from starlake_core.cli import main

    main()

"""The processes of an Airflow: started, watched and started again, as a service manager does it, and stopped."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

HEARTBEAT = timedelta(seconds=120)
"""After so long without a sign of life, a scheduler is taken for dead. Airflow's own limit for its health is 30 s."""

PRISTINE = "pristine.db"
"""A database beside that of the tests that nobody has used yet: to make one takes half a minute."""

_alive: weakref.WeakSet[Parts] = weakref.WeakSet()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def logs_of_all() -> str:
    """The end of what the parts of every Airflow wrote that is running now."""
    return "\n".join(parts.logs() for parts in _alive)


def _end_with_parent() -> None:
    """Have the process told to stop when the tests are killed (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Parts:
    """The processes of one Airflow. A part that ends by itself, or a scheduler that hangs, is started again: on a busy machine, the
    scheduler of Airflow gives up where its SQLite database is locked for long.

    Args:
        home: the home of Airflow; the output of a part goes to ``PART.log`` there.
        environ: the variables of the processes.
    """

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self.home = home
        self._environ = dict(environ)
        self._words: dict[str, tuple[str, ...]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._began: dict[str, datetime] = {}
        self._ours: list[str] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._watching: threading.Thread | None = None

    def make_database(self) -> None:
        """Give it the database of a new Airflow."""
        shutil.copy(Path(os.environ["AIRFLOW_HOME"]) / PRISTINE, self.home / "airflow.db")

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command line of Airflow to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *words],
            env=self._environ,
            text=True,
            capture_output=True,
            cwd=self.home,
            check=False,
        )
        assert done.returncode == 0, f"airflow {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done

    def begin(self, part: str, *words: str) -> None:
        """Start a part, such as ``scheduler``."""
        with self._lock:
            self._words[part] = words
            self._begin(part)
        if self._watching is None:
            self._watching = threading.Thread(target=self._watch, name="parts of Airflow", daemon=True)
            self._watching.start()
            _alive.add(self)

    def _begin(self, part: str) -> None:
        self._began[part] = datetime.now(timezone.utc)
        with (self.home / f"{part}.log").open("ab") as log:
            self._processes[part] = subprocess.Popen(
                [sys.executable, "-m", "airflow", part, *self._words[part]],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def end(self, part: str, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop a part and wait until it is gone."""
        with self._lock:
            del self._words[part]
            process = self._processes.pop(part)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        _kill(process)

    def stop(self) -> None:
        """Stop all of them; none of them may have ended by an error that came through code of this project."""
        self._over.set()
        if self._watching is not None:
            self._watching.join()
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for part in list(self._processes):
            self.end(part)
        _alive.discard(self)
        assert not self._ours, "\n".join(self._ours)

    def _watch(self) -> None:
        while not self._over.wait(2):
            with self._lock:
                for part, process in list(self._processes.items()):
                    reason = f"it ended with {code}" if (code := process.poll()) is not None else self._hangs(part)
                    if not reason:
                        continue
                    _kill(process)
                    last = (
                        (self.home / f"{part}.log").read_text(errors="replace").rpartition("Traceback (most recent")[2]
                    )
                    if process.returncode and "starlake_core" in last:
                        self._ours.append(f"{part}: {reason}\n{last[-3000:]}")
                    with (self.home / f"{part}.log").open("a") as log:
                        log.write(f"\n== {part}: {reason}; it is started again\n")
                    self._begin(part)

    def _hangs(self, part: str) -> str:
        """Why a part is taken for dead although its process is there; empty where it is not."""
        if part != "scheduler" or datetime.now(timezone.utc) < self._began[part] + HEARTBEAT:
            return ""
        newest = "SELECT max(latest_heartbeat) FROM job WHERE job_type = 'SchedulerJob'"
        try:
            with contextlib.closing(
                sqlite3.connect(f"file:{self.home}/airflow.db?mode=ro", uri=True, timeout=30)
            ) as connection:
                (seen,) = connection.execute(newest).fetchone()
        except sqlite3.OperationalError:
            return ""
        if seen is None:
            return ""
        silent = datetime.now(timezone.utc) - datetime.fromisoformat(seen).replace(tzinfo=timezone.utc)
        return f"no sign of life for {silent.total_seconds():.0f} s" if silent > HEARTBEAT else ""

    def logs(self) -> str:
        """The last lines of every part."""
        return "\n".join(
            f"== {log.name}\n{log.read_text(errors='replace')[-2000:]}" for log in sorted(self.home.glob("*.log"))
        )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a part and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

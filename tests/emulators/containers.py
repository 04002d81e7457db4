"""What the emulators run: the arguments of a job as a real process, with real output, exit code and signals."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Container", "Containers"]

_BUCKET = re.compile(r"\b(gs|s3)://")
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass
class Container:
    """One run of the program.

    Attributes:
        name: of the execution, job or task that it belongs to.
        arguments, env: as the service was given them.
        lines: of its output, each with the time (seconds since the epoch) at which it was written.
        exit_code: as a container's; 128 and the number of the signal that ended it.
        started, ended: when, by the monotonic clock of this process.
        stopped: somebody asked for its end.
    """

    name: str
    arguments: tuple[str, ...]
    env: Mapping[str, str]
    lines: list[tuple[float, str]] = field(default_factory=list)
    exit_code: int | None = None
    started: float = 0.0
    ended: float | None = None
    stopped: bool = False
    process: subprocess.Popen[str] | None = field(default=None, repr=False)
    _over: threading.Event = field(default_factory=threading.Event, repr=False)

    def stop(self, grace: float = 10.0) -> None:
        """Send SIGTERM, and SIGKILL if it still lives after some seconds. Returns at once."""
        if self.ended is not None or self.process is None:
            return
        self.stopped = True
        self._signal(signal.SIGTERM)
        timer = threading.Timer(grace, self._signal, [signal.SIGKILL])
        timer.daemon = True
        timer.start()

    def wait(self, seconds: float) -> None:
        """Wait for its end.

        Args:
            seconds: at most.

        Raises:
            AssertionError: it is still running.
        """
        assert self._over.wait(seconds), f"{self.name} goes on"

    def _signal(self, number: signal.Signals) -> None:
        if self.ended is None and self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


class Containers:
    """Runs containers and remembers all that ran.

    Args:
        program: that a container starts with; the arguments of a job follow it.
        env: variables that the image has; those of a job win.
        buckets: folder that replaces object storage: ``gs://bucket/name`` and ``s3://bucket/name`` become paths in it,
            in arguments and variables, as if the bucket was mounted.
    """

    def __init__(
        self, program: Sequence[str], env: Mapping[str, str] | None = None, buckets: Path | None = None
    ) -> None:
        self.program = tuple(program)
        self.env = dict(env or {})
        self.buckets = buckets
        self.all: list[Container] = []
        self._lock = threading.Lock()

    def start(
        self,
        name: str,
        arguments: Sequence[str],
        env: Mapping[str, str],
        on_end: Callable[[Container], None] = lambda container: None,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> Container:
        """Start a container.

        Args:
            name: of what it belongs to.
            arguments: of the job.
            env: of the job.
            on_end: called from another thread when it has ended.
            on_line: called from another thread with every line of output.

        Raises:
            OSError: the program cannot be started.
        """
        container = Container(name, tuple(arguments), dict(env), started=time.monotonic())
        inherited = {key: value for key, value in os.environ.items() if key in _KEPT}
        container.process = subprocess.Popen(
            [*self.program, *map(self._mounted, arguments)],
            env={**inherited, **{key: self._mounted(value) for key, value in {**self.env, **env}.items()}},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        with self._lock:
            self.all.append(container)
        threading.Thread(
            target=self._follow, args=(container, on_end, on_line), daemon=True, name=f"container-{name}"
        ).start()
        return container

    def _mounted(self, text: str) -> str:
        if self.buckets is None or "://" not in text:
            return text
        mounted = _BUCKET.sub(f"{self.buckets}/", text)
        if mounted != text and mounted.startswith(str(self.buckets)):
            Path(mounted).parent.mkdir(parents=True, exist_ok=True)
        return mounted

    def _follow(
        self, container: Container, on_end: Callable[[Container], None], on_line: Callable[[str], None]
    ) -> None:
        process = container.process
        assert process is not None
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                container.lines.append((time.time(), line.rstrip("\n")))
                on_line(line)
        code = process.wait()
        container.exit_code = code if code >= 0 else 128 - code
        container.ended = time.monotonic()
        on_end(container)
        container._over.set()

    def close(self) -> None:
        """Kill what still runs, and wait for its end."""
        with self._lock:
            left = [container for container in self.all if container.ended is None]
        for container in left:
            container._signal(signal.SIGKILL)
        for container in left:
            if container.process is not None:
                container.process.wait()

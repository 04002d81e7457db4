"""A fake service over HTTP, whose jobs are processes of the stand-in, and which fails when a test says so."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .faults import ServiceFault

__all__ = ["FakeService", "ServiceJob"]

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
_SLOW_SECONDS = 1.0
_THROTTLED = 2


@dataclass
class ServiceJob:
    """A job of the service.

    Attributes:
        name: the name that the client gave it; a second submission with this name is the same job.
        arguments, env, labels: as the client sent them.
        lines: its output so far.
        exit_code: the exit code of its process; None while it runs.
        stopping: whether a client asked for its end.
    """

    name: str
    arguments: tuple[str, ...]
    env: Mapping[str, str]
    labels: Mapping[str, str]
    lines: list[str] = field(default_factory=list)
    exit_code: int | None = None
    stopping: bool = False
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def state(self) -> str:
        """One of ``running``, ``stopping``, ``succeeded``, ``failed`` and ``stopped``."""
        if self.exit_code is None:
            return "stopping" if self.stopping else "running"
        if self.exit_code == 0:
            return "succeeded"
        return "stopped" if self.stopping else "failed"

    def shown(self) -> dict[str, Any]:
        """Return what the service tells about it."""
        return {"name": self.name, "state": self.state, "exitCode": self.exit_code, "labels": dict(self.labels)}


class FakeService:
    """A service to start from. Use it as a context manager; it answers on :attr:`url`.

    ===================================  =====================================================
    request                              answer
    ===================================  =====================================================
    ``POST /jobs`` with name, arguments,  201 and the job; 200 and the same job if there is one
    env and labels                       with this name
    ``GET /jobs?LABEL=VALUE``            the jobs with this label, oldest first
    ``GET /jobs/NAME``                   the job: its state, exit code and labels; or 404
    ``GET /jobs/NAME/log?from=N``        the lines of its output from this one on
    ``POST /jobs/NAME/stop``             the job, which is being stopped
    ===================================  =====================================================

    :attr:`hits` counts the requests that met a fault since the last :meth:`disturb`.

    For the API of another service, override :meth:`respond` and use :meth:`start`, :meth:`stop` and :attr:`jobs`.

    Args:
        program: the program that every job runs, with the arguments of the job.
    """

    def __init__(self, program: Path) -> None:
        self.program = program
        self.jobs: dict[str, ServiceJob] = {}
        self.requests: list[str] = []
        self._fault: ServiceFault | None = None
        self._left = 0
        self.hits = 0
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="fake-service", daemon=True).start()

    def __enter__(self) -> FakeService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill what still runs, and stop to answer."""
        for job in list(self.jobs.values()):
            self._signal(job, signal.SIGKILL)
        self._server.shutdown()
        self._server.server_close()

    def disturb(self, fault: ServiceFault | None) -> bool:
        """Fail from now on; for ``disturb`` of a suite.

        Args:
            fault: how; None if everything goes well again.
        """
        with self._lock:
            self._fault = fault
            self.hits = 0
            self._left = {ServiceFault.THROTTLING: _THROTTLED, ServiceFault.LOST_REPLY: 1}.get(fault, 0) if fault else 0
        return True

    # -- the API

    def respond(self, method: str, path: Sequence[str], query: Mapping[str, str], body: Any) -> tuple[int, Any]:
        """Return the status and the JSON of an answer.

        Args:
            method: ``GET`` or ``POST``.
            path: the parts of the path.
            query: the query.
            body: the JSON of the request, if it has any.
        """
        if path[:1] != ["jobs"]:
            return 404, {"message": "no such path"}
        if len(path) == 1 and method == "POST":
            known = body["name"] in self.jobs
            job = self.start(body["name"], body["arguments"], body["env"], body["labels"])
            return (200 if known else 201), job.shown()
        if len(path) == 1:
            wanted = query.items()
            return 200, [job.shown() for job in self.jobs.values() if job.labels.items() >= wanted]
        found = self.jobs.get(path[1])
        if found is None:
            return 404, {"message": f"there is no job {path[1]}"}
        if path[2:] == ["stop"]:
            self.stop(found.name)
        if path[2:] == ["log"]:
            first = int(query.get("from", 0))
            return 200, {"lines": found.lines[first:]}
        return 200, found.shown()

    def is_submission(self, method: str, path: Sequence[str]) -> bool:
        """Return whether a request starts a job, for the fault *lost reply*."""
        return method == "POST" and len(path) == 1

    def start(
        self, name: str, arguments: Sequence[str], env: Mapping[str, str], labels: Mapping[str, str]
    ) -> ServiceJob:
        """Start a job, or return the one with this name."""
        with self._lock:
            if name in self.jobs:
                return self.jobs[name]
            job = self.jobs[name] = ServiceJob(name, tuple(arguments), dict(env), dict(labels))
            try:
                job.process = subprocess.Popen(
                    [str(self.program), *arguments],
                    env={**{key: os.environ[key] for key in _KEPT if key in os.environ}, **env},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=True,
                )
            except OSError as error:
                job.lines.append(str(error))
                job.exit_code = 127
                return job
        threading.Thread(target=self._follow, args=(job, job.process), daemon=True).start()
        return job

    def stop(self, name: str) -> None:
        """Stop a job, if it runs."""
        job = self.jobs[name]
        if job.exit_code is not None or job.stopping:
            return
        job.stopping = True
        if self._fault is ServiceFault.SLOW_STOP:
            self.hits += 1
            timer = threading.Timer(_SLOW_SECONDS, self._signal, [job, signal.SIGTERM])
            timer.daemon = True
            timer.start()
        else:
            self._signal(job, signal.SIGTERM)

    def _follow(self, job: ServiceJob, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                job.lines.append(line.removesuffix("\n"))
        code = process.wait()
        job.exit_code = code if code >= 0 else 128 - code

    def _signal(self, job: ServiceJob, number: signal.Signals) -> None:
        if job.exit_code is None and job.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.process.pid, number)

    # -- HTTP

    def _answer(self, method: str, target: str, body: Any) -> tuple[int, Any] | None:
        parts = urlsplit(target)
        path = [part for part in parts.path.split("/") if part]
        with self._lock:
            fault = self._fault
            self.requests.append(f"{method} {parts.path}")
            counted = fault is ServiceFault.THROTTLING or (
                fault is ServiceFault.LOST_REPLY and self.is_submission(method, path)
            )
            if counted:
                self._left -= 1
                if self._left <= 0:
                    self._fault = None
            self.hits += counted or fault in (ServiceFault.OUTAGE, ServiceFault.REFUSAL)
        if fault is ServiceFault.OUTAGE:
            return 503, {"message": "the service is down"}
        if fault is ServiceFault.REFUSAL:
            return 403, {"message": "this account may not do that"}
        if fault is ServiceFault.THROTTLING:
            return 429, {"message": "too many requests"}
        answer = self.respond(method, path, dict(parse_qsl(parts.query)), body)
        return None if fault is ServiceFault.LOST_REPLY and counted else answer

    def _handler(service) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                answer = service._answer(self.command, self.path, body)
                if answer is None:
                    self.close_connection = True
                    return
                text = json.dumps(answer[1]).encode()
                self.send_response(answer[0])
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = _serve

            def log_message(self, format: str, *arguments: Any) -> None:
                """Stay silent."""

        return Handler

"""Cloud Storage over HTTP: the part of its JSON API that google-cloud-storage needs to look for, read, list, write and delete objects.

Objects are the files of a folder, one folder in it for each bucket: what a container writes to ``gs://bucket/name`` is an object a moment later.

    python tests/emulators/storage.py --buckets FOLDER [--port N]
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import email.parser
import email.policy
import json
import re
import shutil
import sys
import threading
import time
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

if not __package__:  # started as a script
    sys.path[0], __package__ = str(Path(__file__).resolve().parents[1]), "emulators"

from .faults import Fault, Faults, Kind, When

__all__ = ["Storage"]

_REWRITE = re.compile(r"(?P<source>.+)/rewriteTo/b/(?P<bucket>[^/]+)/o/(?P<name>.+)")
_ROUTE = re.compile(r"(?:/download|/upload)?/storage/v1/b/(?P<bucket>[^/]+)/o(?:/(?P<name>.+))?")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_ANSWERS = {
    Kind.UNAVAILABLE: (503, "Backend Error"),
    Kind.THROTTLED: (429, "The rate of requests to the object is too high: rateLimitExceeded"),
    Kind.LOST: (504, "Gateway Timeout"),
    Kind.KILL: (503, "Backend Error"),
    Kind.QUOTA: (403, "The quota of the project is used up: quotaExceeded"),
    Kind.DENIED: (403, "The caller does not have storage.objects.get access to the Google Cloud Storage object."),
    Kind.NOT_FOUND: (404, "The specified bucket does not exist."),
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away: killing them is what tests do."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Storage:
    """Serves the files of a folder as objects.

    Args:
        buckets: the folder; each folder in it is a bucket.
        faults: asked for every call. The methods are ``storage.get``, ``storage.download``, ``storage.list``, ``storage.upload``,
            ``storage.rewrite`` and ``storage.delete``.
        port: 0 for any that is free.

    Attributes:
        endpoint: ``http://127.0.0.1:port``.
    """

    def __init__(self, buckets: Path, faults: Faults | None = None, port: int = 0) -> None:
        self.buckets = buckets
        self.faults = faults or Faults()
        self._server = _Server(("127.0.0.1", port), type("_Bound", (_Handler,), {"storage": self}))
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True, name="storage").start()

    def __enter__(self) -> Storage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def names(self, bucket: str) -> list[str]:
        """The names of the objects of a bucket, in order.

        Args:
            bucket: its name.
        """
        folder = self.buckets / bucket
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class _Call:
    """A request, taken apart."""

    bucket: str
    name: str
    query: dict[str, str]
    headers: Any
    body: bytes


@dataclass(frozen=True)
class _Reply:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def _as_json(content: Any, status: int = 200) -> _Reply:
    return _Reply(json.dumps(content).encode(), status, {"Content-Type": "application/json; charset=UTF-8"})


class _Handler(BaseHTTPRequestHandler):
    storage: Storage
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one packet: small answers would wait for an acknowledgement otherwise.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        """Metadata, content or a list."""
        self._serve("")

    def do_POST(self) -> None:
        """An upload."""
        self._serve("upload")

    def do_DELETE(self) -> None:
        """The end of an object."""
        self._serve("delete")

    def _serve(self, method: str) -> None:
        # A client that has gone away is its own business.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                reply = self._answer(method, body)
            except _Refused as refused:
                reply = _as_json({"error": {"code": refused.status, "message": str(refused)}}, refused.status)
            self.send_response(reply.status)
            for header, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(header, value)
            self.end_headers()
            self.wfile.write(reply.body)

    def _answer(self, method: str, body: bytes) -> _Reply:
        address = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        found = _ROUTE.fullmatch(address.path)
        if found is None:
            raise _Refused(501, f"the emulator does not know {self.command} {address.path}")
        copied = _REWRITE.fullmatch(found["name"] or "") if method == "upload" else None
        if copied is not None:
            method, query = "rewrite", {"bucket": unquote(copied["bucket"]), "name": unquote(copied["name"])}
            found = {"bucket": found["bucket"], "name": copied["source"]}
        call = _Call(unquote(found["bucket"]), unquote(found["name"] or ""), query, self.headers, body)
        if not method:
            method = "list" if not call.name else "download" if query.get("alt") == "media" else "get"
        fault = self.storage.faults.take(f"storage.{method}")
        if fault is not None and fault.when is When.BEFORE:
            self._fail(fault)
        if not (self.storage.buckets / call.bucket).is_dir() or call.bucket in (".", ".."):
            raise _Refused(404, "The specified bucket does not exist.")
        reply: _Reply = getattr(self, f"_{method}")(call)
        if fault is not None:
            self._fail(fault)
        return reply

    def _fail(self, fault: Fault) -> None:
        if fault.kind is Kind.KILL:
            self.storage.faults.kill()
        if fault.kind is Kind.LOST:
            time.sleep(0.2)
        status, message = _ANSWERS[fault.kind]
        raise _Refused(status, fault.message or message)

    # -- methods

    def _file(self, call: _Call, name: str = "") -> Path:
        path = self.storage.buckets / call.bucket / (name or call.name)
        if ".." in path.parts:
            raise _Refused(400, f"Invalid object name: {name or call.name}")
        return path

    def _found(self, call: _Call) -> Path:
        path = self._file(call)
        if not path.is_file():
            raise _Refused(404, f"No such object: {call.bucket}/{call.name}")
        return path

    def _resource(self, bucket: str, path: Path) -> dict[str, Any]:
        about = path.stat()
        name = path.relative_to(self.storage.buckets / bucket).as_posix()
        written = datetime.fromtimestamp(about.st_mtime, timezone.utc).isoformat(timespec="milliseconds")
        return {
            "kind": "storage#object",
            "id": f"{bucket}/{name}/{about.st_mtime_ns}",
            "name": name,
            "bucket": bucket,
            "size": str(about.st_size),
            "generation": str(about.st_mtime_ns // 1000),
            "metageneration": "1",
            # Not the checksum of Google's, but one that tells contents apart too.
            "crc32c": base64.b64encode(zlib.crc32(path.read_bytes()).to_bytes(4, "big")).decode(),
            "contentType": "application/octet-stream",
            "timeCreated": written.replace("+00:00", "Z"),
            "updated": written.replace("+00:00", "Z"),
        }

    def _get(self, call: _Call) -> _Reply:
        return _as_json(self._resource(call.bucket, self._found(call)))

    def _download(self, call: _Call) -> _Reply:
        content = self._found(call).read_bytes()
        asked = _RANGE.fullmatch(call.headers.get("Range") or "")
        if asked is None:
            return _Reply(content, 200, {"Content-Type": "application/octet-stream"})
        start, size = int(asked[1]), len(content)
        if start >= size:
            raise _Refused(416, "Request range not satisfiable")
        piece = content[start : int(asked[2]) + 1 if asked[2] else size]
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"bytes {start}-{start + len(piece) - 1}/{size}",
        }
        return _Reply(piece, 206, headers)

    def _list(self, call: _Call) -> _Reply:
        prefix, after = call.query.get("prefix", ""), call.query.get("pageToken", "")
        size = min(int(call.query.get("maxResults", 1000)), 1000)
        names = [name for name in self.storage.names(call.bucket) if name.startswith(prefix) and name > after]
        if call.query.get("delimiter"):
            names = [name for name in names if call.query["delimiter"] not in name[len(prefix) :]]
        items = []
        for name in names[:size]:
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                items.append(self._resource(call.bucket, self._file(call, name)))
        more = {"nextPageToken": names[size - 1]} if len(names) > size else {}
        return _as_json({"kind": "storage#objects", "items": items, **more})

    def _upload(self, call: _Call) -> _Reply:
        kind, name, content = call.query.get("uploadType"), call.query.get("name", ""), call.body
        if kind == "multipart":
            head = f"Content-Type: {call.headers['Content-Type']}\r\n\r\n".encode()
            message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + call.body)
            about, data = message.iter_parts()
            name = json.loads(about.get_content())["name"]
            content = data.get_payload(decode=True)
        elif kind != "media":
            raise _Refused(501, f"the emulator does not know uploads of the type {kind}")
        path = self._file(call, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return _as_json(self._resource(call.bucket, path))

    def _rewrite(self, call: _Call) -> _Reply:
        source = self._found(call)
        target = self.storage.buckets / call.query["bucket"] / call.query["name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        size = str(target.stat().st_size)
        about = self._resource(call.query["bucket"], target)
        return _as_json({"done": True, "objectSize": size, "totalBytesRewritten": size, "resource": about})

    def _delete(self, call: _Call) -> _Reply:
        self._found(call).unlink()
        return _Reply(status=204)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="Cloud Storage on this machine; objects are files.")
    parser.add_argument("--buckets", type=Path, required=True, help="a folder with a folder for each bucket")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    with Storage(given.buckets, port=given.port) as storage:
        sys.stdout.write(f"{storage.endpoint}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()

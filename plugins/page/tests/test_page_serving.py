"""The live page: who may read it, what it says, and how it follows a run."""

from __future__ import annotations

import http.client
import json
import sys
import threading
from dataclasses import replace

import pytest
from page_pipelines import shop
from starlake_core_page.serving import PageServer

from starlake_core import LivePage, Page, Report, StarlakeError, TaskState


class Site:
    """A live page that serves in a thread."""

    def __init__(self, start=()):
        self.pipelines = shop()
        self.runs = []
        self.connections = []
        self.server = PageServer(LivePage(lambda: Page(self.pipelines), lambda: list(self.runs), start))
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self):
        for connection in reversed(self.connections):
            connection.close()
        self.server.stopped.set()
        self.server.shutdown()
        self.server.close()
        self.thread.join()

    def ask(self, path="/", method="GET", **headers):
        """Send a request; None leaves a header out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        self.connections.append(connection)
        sent = {"Host": self.server.host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection.request(method, path, headers={name: value for name, value in sent.items() if value is not None})
        answer = connection.getresponse()
        self.connections.append(answer)
        return answer

    def enter(self):
        """Open the address, and return the cookie."""
        answer = self.ask(f"/?token={self.server.token}")
        assert answer.status == 303
        return answer.headers["Set-Cookie"].partition(";")[0]


@pytest.fixture
def site():
    made = Site()
    yield made
    made.close()


def test_the_address_lets_its_reader_in(site):
    answer = site.ask(Cookie=site.enter())
    text = answer.read().decode()
    assert answer.status == 200
    assert '"live":true' in text
    assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
    assert site.server.token not in text


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/events", {}),
        ("/?token=wrong", {}),
        ("/", {"Cookie": "starlake-page=wrong"}),
        ("/", {"Cookie": "\x01;=;"}),
    ],
)
def test_nobody_else_gets_anything(site, path, headers):
    answer = site.ask(path, **headers)
    assert answer.status == 403
    assert "kpi" not in answer.read().decode()


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": "localhost"}, {"Origin": "http://evil.example"}]
)
def test_other_hosts_and_origins_are_refused_even_with_the_cookie(site, headers):
    assert site.ask(Cookie=site.enter(), **headers).status == 403


def test_it_listens_on_this_machine_alone(site):
    assert site.server.server_address[0] == "127.0.0.1"


def test_nothing_can_be_started_unless_it_is_allowed(site):
    answer = site.ask("/run", "POST", Cookie=site.enter(), Origin=f"http://{site.server.host}")
    assert answer.status == 403
    assert "--allow-run" in answer.read().decode()


def test_a_run_is_started_once_and_only_from_the_page(tmp_path):
    ready, go = tmp_path / "ready", tmp_path / "go"
    wait = f"import pathlib, time\npathlib.Path({str(ready)!r}).touch()\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(.01)"
    site = Site(start=(sys.executable, "-c", wait))
    try:
        cookie, origin = site.enter(), f"http://{site.server.host}"
        assert site.ask("/run", "POST", Cookie=cookie).status == 403
        assert site.ask("/run", "POST", Origin=origin).status == 403
        assert site.ask("/run", "POST", Cookie=cookie, Origin=origin).status == 202
        assert site.ask("/run", "POST", Cookie=cookie, Origin=origin).status == 409
        go.touch()
    finally:
        go.touch()
        site.close()


def test_readers_are_told_every_change_of_a_run(site):
    cookie = site.enter()
    run = Report(site.pipelines[0].id, "r1", TaskState.RUNNING)
    site.runs = [run]
    stream = site.ask("/events", Cookie=cookie)
    assert stream.headers["Content-Type"].startswith("text/event-stream")

    def next_event():
        name = ""
        while True:
            line = stream.readline().decode().rstrip("\n")
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                return name, json.loads(line.removeprefix("data: "))

    name, data = next_event()
    assert (name, data["id"], data["state"]) == ("run", "r1", "running")
    site.runs = [replace(run, state=TaskState.SUCCEEDED)]
    assert next_event()[1]["state"] == "success"
    site.runs = []
    assert next_event() == ("forgotten", "r1")


def test_a_port_in_use_says_what_to_do(site):
    with pytest.raises(StarlakeError, match="--port"):
        PageServer(LivePage(lambda: Page(site.pipelines), list, port=site.server.server_port))

"""The live page: who may read it, what it says, and how it follows a run."""

from __future__ import annotations

import http.client
import json
import re
import socket
import sys
import threading
from dataclasses import replace

import pytest
from page_pipelines import shop
from starlake_core_page.serving import PageServer

from starlake_core import LivePage, Page, Report, StarlakeError, TaskState

BLOCK = re.compile(r'<script type="application/json" id="data-(\w+)">(.*?)</script>', re.DOTALL)


class Site:
    """A live page that serves in a thread."""

    def __init__(self, start=()):
        self.pipelines = shop()
        self.runs = []
        self.connections = []
        self.trouble = None
        self.server = PageServer(LivePage(self.load, self.read_runs, start))
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def load(self):
        if self.trouble is not None:
            raise self.trouble
        return Page(self.pipelines)

    def read_runs(self):
        if self.trouble is not None:
            raise self.trouble
        return list(self.runs)

    @staticmethod
    def data(answer):
        assert answer.status == 200
        return {name: json.loads(text) for name, text in BLOCK.findall(answer.read().decode())}

    def close(self):
        for connection in reversed(self.connections):
            connection.close()
        self.server.stopped.set()
        self.server.shutdown()
        self.server.close()
        self.thread.join()
        for thread in self.server.started:
            thread.join()

    def ask(self, path="/", method="GET", **headers):
        """Send a request; None leaves a header out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        self.connections.append(connection)
        sent = {"Host": self.server.host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection.request(method, path, headers={name: value for name, value in sent.items() if value is not None})
        answer = connection.getresponse()
        self.connections.append(answer)
        return answer

    def events(self, cookie, since=0, **headers):
        """Open the stream of events, and return a function that reads the next one."""
        address = f"/events?version={self.server.watch.version}&since={since}"
        stream = self.ask(address, Cookie=cookie, **headers)
        assert stream.headers["Content-Type"].startswith("text/event-stream")

        def next_event():
            name = ""
            while True:
                line = stream.readline().decode().rstrip("\n")
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    return name, json.loads(line.removeprefix("data: ") or "null")

        return next_event

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
    run = Report(site.pipelines[0].id, "r1", TaskState.RUNNING)
    site.runs = [run]
    next_event = site.events(site.enter())
    name, [data] = next_event()
    assert (name, data["id"], data["state"]) == ("runs", "r1", "running")
    site.runs = [replace(run, state=TaskState.SUCCEEDED)]
    assert next_event()[1][0]["state"] == "success"
    site.runs = []
    assert next_event() == ("forgotten", "r1")


def test_a_reader_is_told_only_what_is_later_than_its_page(site):
    site.runs = [Report(site.pipelines[0].id, "r1", TaskState.SUCCEEDED)]
    cookie = site.enter()
    graph = site.data(site.ask(Cookie=cookie))["graph"]
    for name in ("since", "Last_Event_ID"):
        number = graph["number"]
        next_event = site.events(cookie, **{name: str(number)})
        site.runs = [Report(site.pipelines[0].id, f"r-{name}", TaskState.RUNNING), *site.runs]
        assert [run["id"] for run in next_event()[1]] == [f"r-{name}"]
        graph = site.data(site.ask(Cookie=cookie))["graph"]


def test_readers_of_other_pipelines_are_told_to_load_the_page_again(site):
    cookie = site.enter()
    next_event = site.events(cookie)
    site.pipelines = site.pipelines[1:]
    site.runs = [Report(site.pipelines[0].id, "r1", TaskState.RUNNING)]
    assert site.data(site.ask(Cookie=cookie))["runs"][0]["pipeline"] == 0
    while (event := next_event())[0] == "runs":
        pass
    assert event == ("changed", None)


def test_what_cannot_be_read_is_said_on_the_page(site):
    cookie = site.enter()
    assert site.data(site.ask(Cookie=cookie))["graph"]["trouble"] == ""
    next_event = site.events(cookie)
    site.trouble = StarlakeError("the run record cannot be used: password=hunter22")
    name, text = next_event()
    assert (name, "password=***" in text) == ("trouble", True)
    graph = site.data(site.ask(Cookie=cookie))["graph"]
    assert "cannot be read again" in graph["trouble"]
    assert len(graph["pipelines"]) == 2
    site.trouble = None
    assert next_event() == ("trouble", "")
    site.trouble = ZeroDivisionError("in a pipeline file")
    answer = site.ask(Cookie=cookie)
    assert (answer.status, "ZeroDivisionError" in answer.read().decode()) == (500, True)


def test_two_pages_of_this_machine_do_not_lock_each_other_out(site):
    other = Site()
    try:
        assert site.enter().partition("=")[0] != other.enter().partition("=")[0]
        both = f"{site.enter()}; {other.enter()}"
        assert (site.ask(Cookie=both).status, other.ask(Cookie=both).status) == (200, 200)
    finally:
        other.close()


def test_a_refused_request_gets_one_answer(site):
    with socket.create_connection(("127.0.0.1", site.server.server_port), timeout=20) as connection:
        connection.sendall(
            b"POST /run HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 30\r\n\r\nGET / HTTP/1.1\r\nHost: evil\r\n\r\n"
        )
        parts = []
        while part := connection.recv(4096):
            parts.append(part)
    assert b"".join(parts).count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/%2e%2e/etc/passwd", "//evil.example/", "/events/..", "/static/page.css"]
)
def test_there_is_nothing_but_the_page(site, path):
    assert site.ask(path, Cookie=site.enter()).status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"])
def test_other_methods_do_nothing(site, method):
    assert site.ask("/", method, Cookie=site.enter()).status == 501


def test_the_number_of_readers_is_bounded(site):
    cookie = site.enter()
    for _ in range(32):
        site.events(cookie)
    assert site.ask("/events", Cookie=cookie).status == 503
    assert site.ask(Cookie=cookie).status == 200


def test_a_run_that_fails_to_start_is_told(tmp_path):
    site = Site(start=(sys.executable, "-c", "raise SystemExit('token=abcdefgh is no pipeline')"))
    try:
        cookie = site.enter()
        next_event = site.events(cookie)
        assert site.ask("/run", "POST", Cookie=cookie, Origin=f"http://{site.server.host}").status == 202
        name, text = next_event()
        assert (name, text) == (
            "told",
            "The run that was started here ended with exit code 1: token=*** is no pipeline",
        )
    finally:
        site.close()


def test_a_port_in_use_says_what_to_do(site):
    with pytest.raises(StarlakeError, match="--port"):
        PageServer(LivePage(lambda: Page(site.pipelines), list, port=site.server.server_port))

"""The add-on ``notify`` tells a real web server how tasks end, and never changes how they do."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlake_core_notify import plugin
from starlake_core_notify.message import message

from starlake_core import Job, OptionsError, Orchestration, Report, RunKey, StarlakePipeline
from starlake_core.runtime import Outcome, Verdict
from starlake_core.testing import AddonSuite, FakeEnvironment, RecordingOrchestrator, check_options_table

pytest_plugins = ["starlake_core.testing.plugin"]

README = Path(__file__).parents[1] / "README.md"


class TestNotify(AddonSuite):
    addon = "notify"
    levels = ("basic", "jobs")

    def addon_options(self, root: Path) -> Mapping[str, Any]:
        return {"notify_url": "http://127.0.0.1:9/hook"}

    def reached(self, job: Job) -> bool:
        return job.addon_specs["notify"]["secret_url"] == "http://127.0.0.1:9/hook"


class Webhook(ThreadingHTTPServer):
    """Answers as it is told, and keeps what it gets."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/services/T0/hunter22"
        self.heard: list[dict[str, Any]] = []
        self.answer = 200
        self.holding = threading.Event()
        self.holding.set()


class Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"].startswith("application/json")
        self.server.heard.append(json.loads(body))
        self.server.holding.wait(60)
        self.send_response(self.server.answer)
        if self.server.answer == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self) -> None:
        raise AssertionError("a redirect was followed")

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.holding.set()
        server.shutdown()
        thread.join()


def pipeline_of(given: Mapping[str, Any], folder: Path, fake: FakeEnvironment, orchestrator: Any) -> StarlakePipeline:
    options = {
        "plugins": "notify",
        "pre_load_strategy": "imported",
        "retry_delay": 0,
        "retries": 1,
        "sl_env_var": {"SL_ROOT": str(folder), "DB_PASSWORD": "hunter33"},
        **given,
    }
    if orchestrator == "local":
        options["state_dir"] = str(folder / "state")
    with Orchestration(
        options, orchestrator=orchestrator, environment=fake, filename=str(folder / "notify.py"), namespace={}
    ) as orchestration:
        pipeline: StarlakePipeline
        with orchestration.sl_create_pipeline(name="p", cron="0 0 * * *") as pipeline:
            check = pipeline.sl_pre_load("sales")
            assert check is not None
            check >> pipeline.sl_load(domain="sales", table="orders")
    return pipeline


def run(given: Mapping[str, Any], folder: Path, *ends: Verdict | Outcome, **keywords: Any) -> Report:
    """Run a load that ends like this, attempt after attempt."""
    fake = FakeEnvironment()
    fake.script("load:sales.orders", *ends)
    return pipeline_of(given, folder, fake, "local").run(**keywords)


def test_each_failed_attempt_is_told(webhook: Webhook, tmp_path: Path) -> None:
    failure = Outcome(Verdict.FAILED, 3, "disk full, DB_PASSWORD=hunter33", "/logs/1", "the end\nsays hunter33")
    report = run({"notify_url": webhook.url}, tmp_path, failure, Verdict.SUCCEEDED, run_id="r1")
    assert report.state == "success"
    (heard,) = webhook.heard
    assert heard.pop("command")[0] == "load"
    assert heard.pop("attempt")
    key = heard.pop("key")
    assert key.endswith("p/r1/sales_orders_load")
    assert heard == {
        "text": "sales_orders_load of p: failed, disk full, DB_PASSWORD=***",
        "pipeline": "p",
        "run": "r1",
        "task": "sales_orders_load",
        "verdict": "failed",
        "exit_code": 3,
        "final": False,
        "reason": "disk full, DB_PASSWORD=***",
        "log": "/logs/1",
        "tail": r"the end\nsays ***" if "\\n" in heard["tail"] else "the end\nsays ***",
        "environment": "fake",
    }


def test_the_user_says_which_ends_count_and_how_they_are_told(webhook: Webhook, tmp_path: Path) -> None:
    given = {"notify_url": webhook.url, "notify_on": "succeeded, not_ready", "notify_format": "text"}
    assert run(given, tmp_path, Verdict.SUCCEEDED).state == "success"
    assert webhook.heard == [
        {"text": "check_sales_incoming_files of p: succeeded"},
        {"text": "sales_orders_load of p: succeeded"},
    ]


def test_an_address_that_is_a_variable_is_read_in_the_worker(
    webhook: Webhook, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"notify_url": "${var:hook}", "retries": 0}
    assert run(given, tmp_path, Verdict.FAILED, variables={"hook": webhook.url}).state == "failed"
    assert len(webhook.heard) == 1
    assert run({**given, "notify_on": "succeeded"}, tmp_path, Verdict.SUCCEEDED, run_id="again").state == "success"
    assert "the variable of ${var:hook} is not set" in caplog.text


def test_a_masked_address_is_none(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """A triggerer of Airflow knows only the masked job."""
    spec = {"secret_url": "https://example.com/secret", "on": ["cancelled"], "format": "text", "timeout": 5.0}
    job = Job("shell", addon_specs={"notify": spec}).masked()
    monkeypatch.setenv("SL_NOTIFY_URL", webhook.url)
    plugin.sl_task_ended(job=job, key=RunKey("p/r/t", "1"), outcome=Outcome(Verdict.CANCELLED))
    assert len(webhook.heard) == 1


def test_a_worker_may_have_an_address_of_its_own(
    webhook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run({"retries": 0}, tmp_path, Verdict.FAILED)
    assert "set the option notify_url, or SL_NOTIFY_URL where the worker runs" in caplog.text
    monkeypatch.setenv("SL_NOTIFY_URL", webhook.url)
    run({"retries": 0}, tmp_path, Verdict.FAILED)
    assert len(webhook.heard) == 1


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("refuses", "answered 500"),
        ("redirects", "answered 302 Found; give the address to which it redirects"),
        ("hangs", "does not answer (TimeoutError: timed out)"),
        ("is gone", "does not answer (URLError: "),
        ("file:///etc/passwd", "notify_url is not an address; use https://HOST/PATH"),
        ("http://[", "notify_url is not an address"),
    ],
)
def test_a_webhook_that_does_not_take_it_changes_nothing(
    how: str, told: str, webhook: Webhook, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.answer = {"refuses": 500, "redirects": 302}.get(how, 200)
    if how == "hangs":
        webhook.holding.clear()
    if how == "is gone":
        webhook.server_close()
    url = how if ":" in how else webhook.url
    given = {"notify_url": url, "notify_on": "succeeded", "notify_timeout": 0.2}
    assert run(given, tmp_path, Verdict.SUCCEEDED).state == "success"
    assert told in caplog.text
    assert "hunter22" not in caplog.text


def test_a_long_reason_is_cut(tmp_path: Path) -> None:
    outcome = Outcome(Verdict.LOST, reason="x" * 1000)
    text = message(Job("fake"), RunKey("d:p/r/a.b[2026/01]", "1"), outcome, "json")
    assert len(text["text"]) == 300
    assert {name: text[name] for name in ("deployment", "pipeline", "run", "task", "partition")} == {
        "deployment": "d",
        "pipeline": "p",
        "run": "r",
        "task": "a.b",
        "partition": "2026/01",
    }
    assert message(Job("fake"), RunKey("odd", "1"), outcome, "text")["text"].startswith("odd: lost, xxx")


@pytest.mark.parametrize("word", ["failure", "", "failed, red"])
def test_an_end_that_does_not_exist_is_refused(word: str, tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match="use some of succeeded, not ready, failed, cancelled, lost"):
        pipeline_of({"notify_on": word}, tmp_path, FakeEnvironment(), RecordingOrchestrator())


def test_nobody_sees_the_address(tmp_path: Path) -> None:
    given = {"notify_url": "https://hooks.example/hunter22"}
    pipeline = pipeline_of(given, tmp_path, FakeEnvironment(), RecordingOrchestrator())
    for task in pipeline.tasks():
        if task.job is not None:
            assert "hunter22" not in repr(task.job) + task.job.masked().to_json()
            assert task.job.plugins == ("notify",)


def test_the_options_are_those_of_the_addon() -> None:
    check_options_table(README, "addon", "notify")


def test_the_example_builds(tmp_path: Path) -> None:
    """With an orchestrator that is always there in place of the one that the example names."""
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    text = example.replace('orchestrator="airflow"', 'orchestrator="local"')
    assert text != example
    file = tmp_path / "example.py"
    file.write_text(text)
    namespace: dict[str, Any] = {"__file__": str(file)}
    exec(compile(text, str(file), "exec"), namespace)
    jobs = [task.job for task in namespace["pipeline"].tasks() if task.job is not None]
    assert [job.addon_specs["notify"]["format"] for job in jobs] == ["text"]

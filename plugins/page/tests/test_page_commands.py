"""The commands that write pages: ``graph``, ``runs``, ``run --report``, ``resume --report`` and ``ui``."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from command_line import orchestrate as command
from page_pipelines import shop_file

from starlake_core.cli._selection import PipelineFiles
from starlake_core.dsl.orchestration import Overrides
from starlake_core.testing import StandIn, Step

BLOCK = re.compile(r'<script type="application/json" id="data-(\w+)">(.*?)</script>', re.DOTALL)


@pytest.fixture
def project(tmp_path):
    stand_in = StandIn(tmp_path / "bin")
    return shop_file(tmp_path, stand_in), stand_in


def data(file):
    return {name: json.loads(text) for name, text in BLOCK.findall(file.read_text(encoding="utf-8"))}


def test_the_graph_is_one_file_that_is_the_same_every_time(project, tmp_path):
    file, _ = project
    made = [command("graph", file, "--format", "html", "--no-timestamp") for _ in range(2)]
    assert [done.returncode for done in made] == [0, 0], made[0].stderr
    assert made[0].stdout == made[1].stdout
    target = tmp_path / "pages" / "graph.html"
    done = command("graph", file, "--format", "html", "--no-timestamp", "--output", target)
    assert done.returncode == 0
    assert target.read_text(encoding="utf-8") == made[0].stdout


def test_the_date_of_a_page_can_be_given(project, tmp_path):
    file, _ = project
    environ = {**os.environ, "SOURCE_DATE_EPOCH": "1772366400"}
    done = command("graph", file, "--format", "html", "--output", tmp_path / "g.html", env=environ)
    assert done.returncode == 0, done.stderr
    assert data(tmp_path / "g.html")["graph"]["made"] == "2026-03-01T12:00:00+00:00"
    done = command("graph", file, "--format", "html", env={**os.environ, "SOURCE_DATE_EPOCH": "soon"})
    assert (done.returncode, "SOURCE_DATE_EPOCH is 'soon'" in done.stderr) == (1, True)


def test_options_of_pages_are_not_accepted_without_effect(project):
    file, _ = project
    for name in ("graph", "runs"):
        done = command(name, file, "--output", "x.html")
        assert (done.returncode, "--format html" in done.stderr) == (2, True)


def test_a_run_leaves_a_page_in_whatever_state_it_ends(project, tmp_path):
    file, stand_in = project
    page = tmp_path / "report.html"
    stand_in.script("load:shop.customers", Step(exit_code=3))
    assert command("run", file, "--report", page).returncode == 1
    first, second = data(page)["runs"]
    assert {first["state"], second["state"]} == {"failed", "planned"}
    failed, planned = (first, second) if first["state"] == "failed" else (second, first)
    assert planned["reason"] == "not started, because shop_daily failed"
    states = dict(
        zip((path.rpartition(".")[2] for path in failed["tasks"]["path"]), failed["tasks"]["state"], strict=True)
    )
    assert states["load_shop_customers"] == "failed"
    assert states["load_shop_orders"] == "success"
    stand_in.script("load:shop.customers", Step())
    assert command("resume", file, "--report", page).returncode == 0
    assert {run["state"] for run in data(page)["runs"]} == {"success"}
    assert command("runs", file, "--format", "html", "--output", tmp_path / "runs.html").returncode == 0
    assert len(data(tmp_path / "runs.html")["runs"]) == 2


def _recorded(file):
    """The states of the recorded runs of a file, and the reason of each."""
    found = json.loads(command("runs", file, "--format", "json").stdout)["runs"]
    return {run["state"]: run["reason"] for run in found}


def test_a_run_that_is_killed_leaves_a_page_that_says_how_far_it_came(project, tmp_path):
    file, stand_in = project
    page = tmp_path / "report.html"
    stand_in.script("load:shop.customers", Step(goes_on=True))
    process = subprocess.Popen(
        [sys.executable, "-m", "starlake_core", "run", str(file), "--report", str(page)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout:
            if "load_shop_customers running" in line:
                break
        # What happened last is on the page, although nothing happens after it.
        deadline = time.monotonic() + 60
        while "running" not in data(page)["runs"][0]["tasks"]["state"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
    finally:
        process.stdout.close()
        process.wait()
    [loads, *_] = data(page)["runs"]
    assert loads["state"] == "running"
    # A run goes on for the others until its watchdog, which holds its lock too, has ended what it left.
    while "running" in (states := _recorded(file)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert states["planned"] == "not started, because shop_daily was interrupted"


def test_a_run_that_is_stopped_says_so_and_what_did_not_start(project, tmp_path):
    file, stand_in = project
    page = tmp_path / "report.html"
    stand_in.script("load:shop.customers", Step(goes_on=True))
    process = subprocess.Popen(
        [sys.executable, "-m", "starlake_core", "run", str(file), "--report", str(page)],
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if "load_shop_customers running" in line:
            process.send_signal(signal.SIGTERM)
    process.stdout.close()
    assert process.wait() == 130
    assert {run["state"]: run["reason"] for run in data(page)["runs"]} == {
        "cancelled": "stopped by the user",
        "planned": "not started, because shop_daily was stopped",
    }


def test_why_a_run_did_not_start_is_recorded(project):
    file, stand_in = project
    stand_in.script("load:shop.customers", Step(exit_code=3))
    command("run", file)
    found = json.loads(command("runs", file, "--format", "json").stdout)["runs"]
    assert {run["state"]: run["reason"] for run in found}["planned"] == "not started, because shop_daily failed"
    stand_in.script("load:shop.customers", Step())
    assert command("resume", file).returncode == 0
    assert {run["reason"] for run in json.loads(command("runs", file, "--format", "json").stdout)["runs"]} == {""}


def test_a_page_is_a_file_and_nothing_else(project, tmp_path):
    file, _ = project
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = command("graph", file, "--format", "html", "--output", pipe)
    assert (done.returncode, "this is not a file" in done.stderr) == (1, True)
    assert pipe.is_fifo()
    link = tmp_path / "latest.html"
    link.symlink_to(tmp_path / "page.html")
    assert command("graph", file, "--format", "html", "--output", link).returncode == 0
    assert (link.is_symlink(), (tmp_path / "page.html").is_file()) == (True, True)


def test_a_page_that_cannot_be_written_is_said_before_anything_runs(project, tmp_path):
    file, stand_in = project
    (tmp_path / "taken").write_text("", encoding="utf-8")
    done = command("run", file, "--report", tmp_path / "taken" / "report.html")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert not stand_in.calls()


def test_the_live_page_answers_until_it_is_interrupted(project):
    file, _ = project
    process = subprocess.Popen(
        [sys.executable, "-m", "starlake_core", "ui", str(file)], stdout=subprocess.PIPE, text=True
    )
    try:
        address = urlsplit(re.search(r"http://\S+", process.stdout.readline())[0])
        with closing(http.client.HTTPConnection(address.netloc, timeout=20)) as connection:
            connection.request("GET", f"{address.path}?{address.query}")
            assert connection.getresponse().status == 303
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert (process.returncode, "ended" in rest) == (0, True)


def test_secrets_are_in_no_page_of_a_run(project, tmp_path):
    file, stand_in = project
    secret = "hunter22-Zebra"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("'SL_ROOT'", f"'DB_PASSWORD': {secret!r}, 'SL_ROOT'"), encoding="utf-8")
    said = (f"login with {secret} failed", "\x1b[31mred\x1b[0m \u202e </script>")
    stand_in.script("load:shop.customers", Step(said, exit_code=3))
    page = tmp_path / "report.html"
    assert command("run", file, "--report", page).returncode == 1
    text = page.read_text(encoding="utf-8")
    assert secret not in text
    [log] = data(page)["runs"][-1]["tasks"]["log"].values()
    assert "login with *** failed" in log
    assert "red \\u202e </script>" in log


def test_what_the_live_page_starts_is_about_the_same_pipelines():
    overrides = Overrides("local", "shell", {"retries": "0"})
    found = PipelineFiles((Path("shop"),), overrides, "project").arguments()
    assert found == (
        *("--from", "project", "--orchestrator", "local", "--environment", "shell", "--option", "retries=0"),
        *("--", "shop"),
    )


def test_a_page_of_a_project_has_the_columns_of_its_transforms(tmp_path):
    bakery = pytest.importorskip("starlake_core_project.bakery")
    bakery.write_bakery(tmp_path / "bakery", days=1)
    made = ("--from", "project", "--environment", "shell", "--format", "html", "--no-timestamp")
    done = command("graph", tmp_path / "bakery", *made, "--output", tmp_path / "bakery.html")
    assert done.returncode == 0, done.stderr
    found = data(tmp_path / "bakery.html")
    names = found["graph"]["nodes"]["name"]
    edges = {(names[a].lower(), b, names[c].lower(), d) for a, b, c, d in found["graph"]["columnEdges"]}
    assert ("starbake.orders", "quantity", "kpi.product_sales", "revenue") in edges
    assert "SELECT" in found["details"][names.index("kpi.product_sales")]["about"]["sql"]

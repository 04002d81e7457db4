"""A service that does not answer keeps nobody who wants to stop: Ctrl-C of a whole run, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from emulators.faults import Fault, Kind
from starlake_core_google import Calls

from starlake_core import OutageError
from starlake_core.runtime import pausing
from starlake_core.testing.lab import until

if TYPE_CHECKING:
    from emulators.cloud_run import CloudRun

SECONDS = 15.0
"""Two are promised; the rest is for a machine that does other things too. Without the promise it is a minute or two."""

RUN = """
import json, signal, sys
from starlake_core import Orchestration

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background hands on that it is ignored
options = json.loads(sys.argv[1])
with Orchestration(options=options, orchestrator="local", environment="cloud_run", filename="p.py", namespace={}) as o:
    with o.sl_create_pipeline(name="stopped") as pipeline:
        pipeline.sl_transform("first", "kpi.first")
print("ready", flush=True)
report = pipeline.run()
print(report.state, flush=True)
"""


@pytest.mark.parametrize("when", ["submitting", "waiting", "hanging"])
def test_an_interrupt_does_not_wait_for_a_service_that_is_down(
    emulator: CloudRun, tmp_path: Path, when: str, record_property: Callable[[str, object], None]
) -> None:
    emulator.containers.env["WAITS_FOR"] = str(tmp_path / "never")
    options = {**emulator.options, "state_dir": str(tmp_path / "state"), "retries": 2, "sl_env_var": {"SL_ROOT": "/p"}}
    down = Fault(Kind.SLOW if when == "hanging" else Kind.UNAVAILABLE)
    emulator.faults.slow_seconds = 30.0
    if when != "waiting":
        emulator.faults.at_random(1.0, [down], 1)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUN), json.dumps(options)],
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("SL_")},
    )
    try:
        if when == "waiting":
            until(lambda: emulator.faults.calls["GetExecution"] > 2, "it waits for its execution")
            emulator.faults.at_random(1.0, [down], 1)
            seen = emulator.faults.calls.total()
            until(lambda: emulator.faults.calls.total() > seen, "it asks in vain")
        else:
            until(lambda: emulator.faults.calls.total() > 0, "it asks in vain")
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, _ = process.communicate(timeout=SECONDS)
        record_property("summary", f"Ctrl-C while {when}: {time.monotonic() - began:.1f} s")
        assert out.splitlines()[-1] == "cancelled"
    finally:
        process.kill()
        process.wait()


def test_the_pauses_of_calls_end_with_the_stop_of_whoever_waits() -> None:
    from google.api_core.exceptions import ServiceUnavailable

    calls = Calls("x", total_seconds=3600.0, first_pause=1800.0)
    tries: list[int] = []

    def down() -> None:
        tries.append(1)
        raise ServiceUnavailable("503")

    with pausing(lambda: bool(tries)), pytest.raises(OutageError, match="x did not answer"):
        calls.run(down, "trying")
    assert len(tries) == 1

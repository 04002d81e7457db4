"""Output in Cloud Logging, with the real SDK against its emulator."""

from __future__ import annotations

import builtins
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from emulators.cloud_logging import Source, logging_service
from emulators.containers import Container, Containers
from emulators.faults import Fault, Faults, Kind
from emulators.grpc_server import GrpcServer
from starlake_core_google import Calls, CloudLogs, Connection

from starlake_core import RunnerError

CONDITION = 'resource.type="cloud_run_job" AND labels."run.googleapis.com/execution_name"="one"'


class Logs:
    """Containers whose lines are written by the test."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.containers = Containers(())
        self.server = GrpcServer(logging_service(self.containers, self._source), self.faults)
        self.read = CloudLogs(
            Connection(None), "p", f"http://{self.server.address}", Calls("Cloud Logging", first_pause=0.01)
        )

    def _source(self, container: Container) -> Source:
        labels = {"run.googleapis.com/execution_name": container.name}
        return Source("p", "run.googleapis.com/stdout", "cloud_run_job", {"job_name": "j"}, labels)

    def container(self, name: str, *lines: tuple[float, str]) -> Container:
        made = Container(name, (), {}, lines=list(lines))
        self.containers.all.append(made)
        return made


@pytest.fixture
def logs() -> Iterator[Logs]:
    made = Logs()
    yield made
    made.server.close()


def test_lines_go_on_at_the_cursor(logs: Logs) -> None:
    now = time.time() - 10
    container = logs.container("one", (now, "a"), (now, "b"), (now + 1.5, "c"))
    logs.container("two", (now, "of another"))
    lines, cursor = logs.read.after(CONDITION, None)
    assert lines == ["a", "b", "c"]
    assert logs.read.after(CONDITION, cursor) == ((), cursor)
    container.lines.append((now + 1.5, "of the same moment"))
    lines, cursor = logs.read.after(CONDITION, cursor)
    assert lines == ["of the same moment"]
    container.lines += [(now + 1.5, "again"), (now + 2.123456, "later")]
    lines, cursor = logs.read.after(CONDITION, cursor)
    assert lines == ["again", "later"]
    assert logs.read.after(CONDITION, cursor) == ((), cursor)


def test_no_lines_no_cursor(logs: Logs) -> None:
    assert logs.read.after(CONDITION, None) == ((), None)
    assert logs.read.last(CONDITION, 5) == []


def test_many_lines_of_one_moment(logs: Logs) -> None:
    now = time.time() - 10
    logs.container("one", *((now, f"line {number}") for number in range(2500)))
    lines, cursor = logs.read.after(CONDITION, None)
    assert lines == [f"line {number}" for number in range(2500)]
    assert logs.read.after(CONDITION, cursor)[0] == ()


def test_what_does_not_fit_into_one_reading_is_read_by_the_next(logs: Logs) -> None:
    now = time.time() - 100
    expected = [f"line {number}" for number in range(7000)]
    logs.container("one", *((now + number / 1000, line) for number, line in enumerate(expected)))
    first, cursor = logs.read.after(CONDITION, None)
    second, cursor = logs.read.after(CONDITION, cursor)
    assert [*first, *second] == expected


def test_the_last_lines_are_in_order(logs: Logs) -> None:
    now = time.time() - 10
    logs.container("one", *((now + number, f"line {number}") for number in range(5)))
    assert logs.read.last(CONDITION, 2) == ["line 3", "line 4"]
    assert logs.faults.calls["ListLogEntries"] == 1


def test_a_throttled_reading_is_tried_again(logs: Logs) -> None:
    logs.container("one", (time.time() - 1, "a"))
    logs.faults.plan("ListLogEntries", Fault(Kind.THROTTLED), Fault(Kind.UNAVAILABLE))
    assert logs.read.last(CONDITION, 1) == ["a"]


def test_a_missing_permission_names_the_role(logs: Logs) -> None:
    logs.faults.plan("ListLogEntries", Fault(Kind.DENIED))
    with pytest.raises(RunnerError, match=r"the role roles/logging[.]viewer"):
        logs.read.last(CONDITION, 1)


@pytest.mark.parametrize("condition", ["resource.type=cloud_run_job", 'nothing="x"', 'a="b" OR c="d"'])
def test_the_emulator_refuses_what_it_does_not_understand(logs: Logs, condition: str) -> None:
    with pytest.raises(RunnerError):
        logs.read.last(condition, 1)


def test_without_the_extra_there_are_no_lines_and_one_warning(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **keywords: Any) -> Any:
        if name.startswith("google.cloud.logging"):
            raise ImportError(name)
        return real(name, *args, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    logs.container("one", (time.time() - 1, "a"))
    with caplog.at_level(logging.WARNING):
        assert logs.read.last(CONDITION, 1) == ()
        assert logs.read.after(CONDITION, None) == ((), None)
    assert caplog.text.count("pip install 'starlake-core-google[logs]'") == 1

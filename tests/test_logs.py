"""Log records say which attempt they are about."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import pytest

from starlake_core import Job, RunKey
from starlake_core.logs import get_logger, log_fields
from starlake_core.runtime import AttemptInfo, Outcome, Runner, Status, Verdict, execute

logger = get_logger("acme.plugin")


class Chatty(Runner):
    """Logs in each of its calls, as a plugin does."""

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        logger.warning("find")
        return ()

    def submit(self, job: Job, key: RunKey) -> str:
        logger.warning("submit %s", key.attempt)
        return "handle"

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        logger.warning("poll")
        return {handle: Status(Outcome(Verdict.SUCCEEDED)) for handle in handles}

    def cancel(self, handle: str) -> None:
        raise NotImplementedError

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        return (), cursor


def test_records_of_an_attempt_name_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        execute(Job("acme", ("freshness",)), Chatty(), RunKey("p/r/t", "2"))
    assert [record.getMessage() for record in caplog.records] == ["find", "submit 2", "poll"]
    for record in caplog.records:
        found = {name: value for name, value in vars(record).items() if name.startswith("starlake_")}
        assert found == {"starlake_environment": "acme", "starlake_task": "p/r/t", "starlake_attempt": "2"}
        assert (record.name, record.module) == ("acme.plugin", "test_logs")


def test_fields_end_with_their_block(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        with log_fields(one="1"):
            with log_fields(two="2", one="0"):
                logger.info("inner", extra={"three": "3"})
            logger.info("outer")
        logger.info("outside")
    inner, outer, outside = (vars(record) for record in caplog.records)
    assert (inner["one"], inner["two"], inner["three"]) == ("0", "2", "3")
    assert outer["one"] == "1"
    assert "two" not in outer
    assert "one" not in outside

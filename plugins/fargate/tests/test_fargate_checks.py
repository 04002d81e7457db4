"""Checks have three verdicts, told apart by a marker in S3 that stays for whoever asks again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from emulators.ecs import BUCKET
from emulators.faults import Fault, Kind
from fargate_lab import KEY, ROOT, Lab

from starlake_core import Job, RunKey
from starlake_core.runtime import Verdict
from starlake_core.testing.lab import settle

NOT_READY = 'for last; do :; done; : > "$last"'  # what Starlake does: an empty file at the path that it was given
SENTINEL = f"s3://{BUCKET}/not-ready/sales/0123456789ab.notready"
LOCAL = "/opt/project"


@pytest.mark.parametrize(
    ("do", "expected"), [("true", Verdict.SUCCEEDED), (NOT_READY, Verdict.NOT_READY), ("exit 1", Verdict.FAILED)]
)
@pytest.mark.parametrize(
    "where",
    [lambda lab, do: lab.check(do), lambda lab, do: lab.check(do, sentinel=SENTINEL, root=LOCAL)],
    ids=["below SL_ROOT", "where the option says"],
)
def test_three_verdicts_with_a_marker(lab: Lab, where: Callable[[Lab, str], Job], do: str, expected: Verdict) -> None:
    assert lab.run(where(lab, do)).verdict is expected


@pytest.mark.parametrize(
    ("do", "expected"), [("true", Verdict.SUCCEEDED), ("exit 1", Verdict.NOT_READY), ("exit 2", Verdict.FAILED)]
)
def test_without_a_marker_exit_code_1_is_not_ready_with_a_warning(
    lab: Lab, do: str, expected: Verdict, caplog: pytest.LogCaptureFixture
) -> None:
    job = lab.check(do, root=LOCAL)
    assert lab.run(job).verdict is expected
    assert "--notReadySentinel" not in lab.ecs.containers.all[0].arguments
    assert ("could also be a failure" in caplog.text) == (expected is Verdict.NOT_READY)
    assert lab.ecs.faults.calls["ListObjectsV2"] == 0


def test_whoever_asks_again_gets_the_same_verdict(lab: Lab) -> None:
    job = lab.check(NOT_READY)
    runner = lab.runner()
    handle = runner.submit(job, KEY)
    assert settle(runner, handle).verdict is Verdict.NOT_READY
    assert settle(lab.runner(), handle).verdict is Verdict.NOT_READY
    (found,) = lab.runner().find(job, KEY.task)
    assert found.status.outcome is not None
    assert found.status.outcome.verdict is Verdict.NOT_READY


def test_an_attempt_that_is_submitted_again_keeps_its_marker(lab: Lab) -> None:
    job = lab.check(NOT_READY)
    runner = lab.runner()
    handle = runner.submit(job, KEY)
    assert settle(runner, handle).verdict is Verdict.NOT_READY
    assert lab.runner().submit(job, KEY) == handle
    assert settle(runner, handle).verdict is Verdict.NOT_READY


def test_a_marker_that_nobody_knows_is_deleted_before_the_start(lab: Lab) -> None:
    """A run of the same name was deleted, and made again."""
    marker = lab.object(f"{ROOT}/.starlake-core/not-ready/{KEY.attempt_hash}")
    marker.parent.mkdir(parents=True)
    marker.touch()
    assert lab.run(lab.check("true")).verdict is Verdict.SUCCEEDED
    assert not marker.exists()


def test_attempts_have_markers_of_their_own(lab: Lab) -> None:
    assert lab.run(lab.check(NOT_READY), KEY).verdict is Verdict.NOT_READY
    assert lab.run(lab.check("true"), RunKey(KEY.task, "2")).verdict is Verdict.SUCCEEDED
    assert lab.run(lab.check(NOT_READY), RunKey(KEY.task, "3")).verdict is Verdict.NOT_READY


def test_old_markers_are_swept_and_nothing_else(lab: Lab) -> None:
    folder = lab.object(f"{ROOT}/.starlake-core/not-ready")
    (folder / "deeper").mkdir(parents=True)
    ours, young = folder / "0123456789ab", folder / "ba9876543210"
    others = [folder / "notes.txt", folder / "0123456789ac", folder / "deeper" / "0123456789ad"]
    for path in (ours, young, *others):
        path.write_text("kept" if path.name == "0123456789ac" else "")
        if path is not young:
            os.utime(path, (time.time() - 90_000,) * 2)
    assert lab.run(lab.check(NOT_READY)).verdict is Verdict.NOT_READY
    assert not ours.exists()
    assert young.exists()
    assert all(path.exists() for path in others)


def test_sweeping_happens_once_an_hour_and_changes_no_verdict(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    runner = lab.runner()
    # Of the calls of a check the first looks for an old marker, the second for its own, the third sweeps.
    lab.ecs.faults.plan("ListObjectsV2", None, None, Fault(Kind.DENIED))
    for attempt in ("1", "2"):
        handle = runner.submit(lab.check(NOT_READY), RunKey(KEY.task, attempt))
        assert settle(runner, handle).verdict is Verdict.NOT_READY
    assert caplog.text.count("cannot be deleted") == 1
    assert lab.ecs.faults.calls["ListObjectsV2"] == 5


def test_an_outage_of_s3_is_no_verdict(lab: Lab) -> None:
    runner = lab.runner()
    handle = runner.submit(lab.check(NOT_READY), KEY)
    lab.ecs.containers.all[0].wait(60)
    plain = runner._markers.seen

    def unreachable(marker: str) -> bool:
        from starlake_core import OutageError

        raise OutageError("S3 is away")

    runner._markers.seen = unreachable  # type: ignore[method-assign]
    status = runner.poll([handle])[handle]
    assert not status.ended
    assert "cannot be read now" in status.detail
    runner._markers.seen = plain  # type: ignore[method-assign]
    assert settle(runner, handle).verdict is Verdict.NOT_READY


def test_a_check_that_was_stopped_is_cancelled(lab: Lab) -> None:
    runner = lab.runner()
    handle = runner.submit(lab.check("sleep 60"), KEY)
    runner.cancel(handle)
    assert settle(runner, handle).verdict is Verdict.CANCELLED

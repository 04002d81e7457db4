"""What a description of a task means, whatever it says."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from starlake_core_fargate.state import TaskArn, facts_of, status_of

from starlake_core.runtime import Verdict

codes = st.none() | st.sampled_from([0, 1, 2, 126, 137, 143])
states = st.sampled_from(
    [
        "PROVISIONING",
        "PENDING",
        "ACTIVATING",
        "RUNNING",
        "DEACTIVATING",
        "STOPPING",
        "DEPROVISIONING",
        "STOPPED",
        "DELETED",
    ]
)
stop_codes = st.sampled_from(
    ["", "TaskFailedToStart", "EssentialContainerExited", "UserInitiated", "SpotInterruption", "New"]
)
commands = st.sampled_from(
    [["load"], ["preload", "--domain", "d"], ["preload", "--domain", "d", "--notReadySentinel", "s3://b/m"]]
)


@st.composite
def tasks(draw: st.DrawFn) -> dict[str, Any]:
    containers = []
    for name in draw(st.permutations(["starlake", "sidecar"])):
        code = draw(codes)
        containers.append({"name": name, **({} if code is None else {"exitCode": code})})
    env = [{"name": "SL_RUN_TASK", "value": "t"}, {"name": "SL_RUN_ATTEMPT", "value": "1"}]
    override = {"name": "starlake", "command": draw(commands), "environment": env}
    return {
        "taskArn": "arn",
        "lastStatus": draw(states),
        "stopCode": draw(stop_codes),
        "stoppedReason": draw(st.text(max_size=5)),
        "containers": containers[: draw(st.integers(0, 2))],
        "overrides": {"containerOverrides": [{"name": "sidecar"}, override]},
    }


@given(tasks(), st.booleans())
def test_only_the_exit_code_of_the_named_container_makes_a_success(task: dict[str, Any], there: bool) -> None:
    facts = facts_of(task, "another")
    assert facts.container == "starlake"
    asked = []

    def marked(marker: str) -> bool:
        asked.append(marker)
        return there

    outcome = status_of(task, facts, marked).outcome
    code = next((one.get("exitCode") for one in task["containers"] if one["name"] == "starlake"), None)
    over = task["lastStatus"] in ("STOPPED", "DELETED") or (task["lastStatus"] == "DEPROVISIONING" and code == 0)
    assert (outcome is not None) == over
    if outcome is None:
        assert not asked
        return
    not_ready = there and facts.marker is not None
    assert (outcome.verdict in (Verdict.SUCCEEDED, Verdict.NOT_READY)) == (
        code == 0 or (code == 1 and facts.check and facts.marker is None and task["stopCode"] != "UserInitiated")
    )
    if code == 0:
        assert outcome.verdict is (Verdict.NOT_READY if not_ready else Verdict.SUCCEEDED)
    else:
        assert (outcome.verdict is Verdict.CANCELLED) == (task["stopCode"] == "UserInitiated")
        assert not asked
    assert outcome.verdict is Verdict.SUCCEEDED or outcome.reason


@given(st.text(max_size=80))
def test_no_text_is_an_arn_by_accident(text: str) -> None:
    assert TaskArn.of(text) is None


def test_a_task_that_was_not_started_by_us_tells_nothing() -> None:
    facts = facts_of({"overrides": {"containerOverrides": [{"name": "x", "command": ["load"]}]}}, "starlake")
    assert (facts.container, facts.arguments, dict(facts.env)) == ("starlake", (), {})


def test_another_container_that_failed_is_named() -> None:
    task = {
        "taskArn": "arn",
        "lastStatus": "STOPPED",
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "containers": [{"name": "proxy", "exitCode": 9}, {"name": "starlake", "exitCode": 143}],
    }
    outcome = status_of(task, facts_of(task, "starlake"), lambda _: False).outcome
    assert outcome is not None
    assert outcome.reason == "exit code 143; container proxy ended with exit code 9"

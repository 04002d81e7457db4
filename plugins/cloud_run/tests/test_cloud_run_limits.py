"""What Cloud Run would refuse is said while a pipeline is drawn: limits, options that are none, and the pass-through of overrides."""

from __future__ import annotations

import copy
import json
import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest
from cloud_run_lab import KEY, create, ends
from emulators.cloud_run import CloudRun, JobDefinition
from google.cloud import run_v2
from starlake_core_cloud_run.limits import LIMITS
from starlake_core_cloud_run.options import CloudRunOptions
from starlake_core_cloud_run.request import command_line, largest_request, run_request

from starlake_core import Command, OptionsError, RunKey, RunnerError, check_limits

if TYPE_CHECKING:
    from cloud_run_lab import MakeJob, MakeRunner

PLACE = {"cloud_run_project_id": "p", "cloud_run_job_region": "europe-west1", "cloud_run_job_name": "starlake"}
CHECK = Command("preload", ("--domain", "sales", "--strategy", "imported"), "check_sales", "sales")


def request(
    region: str = "europe-west1",
    job: str = "starlake",
    env: Mapping[str, str] | None = None,
    containers: list[dict[str, Any]] | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    variables = [{"name": name, "value": value} for name, value in (env or {}).items()]
    return {
        "name": f"projects/p/locations/{region}/jobs/{job}",
        "overrides": {"container_overrides": containers or [{"args": ["load"], "env": variables}], **overrides},
    }


WEEK = 7 * 24 * 3600
AROUND: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "environment variables of a container": (
        request(env={f"V{n}": "" for n in range(1000)}),
        request(env={f"V{n}": "" for n in range(1001)}),
        "1001 variables",
    ),
    "value of a variable": (
        request(env={"BIG": "é" * 16_384}),
        request(env={"BIG": "é" * 16_384 + "x"}),
        "variable 'BIG' has 32769 bytes",
    ),
    "name of a variable": (
        request(env={"A_b9": ""}),
        request(env={"MY VAR": ""}),
        "'MY VAR' is not a valid name for a variable",
    ),
    "name of a variable that starts with a digit, or contains . or -": (
        request(env={"MY_VAR": ""}),
        request(env={"MY-VAR": ""}),
        "variable 'MY-VAR' may be refused",
    ),
    "reserved variable names": (
        request(env={"MY_PORT": ""}),
        request(env={"PORT": ""}),
        "variable 'PORT' is set by Cloud Run itself",
    ),
    "variable names that start with CLOUD_RUN_ or X_GOOGLE_": (
        request(env={"SL_CLOUD_RUN_X": ""}),
        request(env={"CLOUD_RUN_X": ""}),
        "variable 'CLOUD_RUN_X' looks like one of Cloud Run's own",
    ),
    "length of a job name": (request(job="j" * 49), request(job="j" * 50), "has 50 characters"),
    "job name": (request(job="star-lake2"), request(job="Jöb_X"), "'Jöb_X' is not a valid job name"),
    "region": (
        request(region="northamerica-northeast1"),
        request(region="EUROPE-WEST1"),
        "'EUROPE-WEST1' is not a region; set cloud_run_job_region",
    ),
    "time-out of a task": (
        request(timeout={"seconds": WEEK}),
        request(timeout={"seconds": WEEK, "nanos": 500_000_000}),
        "the time-out is 604800.5 s",
    ),
    "tasks of an execution": (request(task_count=10_000), request(task_count=10_001), "10001 tasks"),
    "name of a container": (
        request(containers=[{"name": "main-1"}]),
        request(containers=[{"name": "Main_1"}]),
        "'Main_1' is not a valid container name",
    ),
    "overrides of several containers": (
        request(containers=[{"name": "main"}, {"name": "proxy"}]),
        request(containers=[{}, {"name": "proxy"}]),
        "set cloud_run_container",
    ),
}


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.about)
def test_each_limit_takes_what_is_within_and_tells_what_is_beyond(limit: Any, caplog: pytest.LogCaptureFixture) -> None:
    within, beyond, said = AROUND[limit.about]
    assert limit.problems(within) == []
    (problem,) = limit.problems(beyond)
    assert said in problem
    assert limit.allowed in problem
    check_limits(LIMITS, within, "task 'x'")
    assert not caplog.records
    if limit.source:
        with pytest.raises(OptionsError, match=r"task 'x': ") as error:
            check_limits(LIMITS, beyond, "task 'x'")
        assert limit.source in str(error.value)
    else:
        with caplog.at_level(logging.WARNING):
            check_limits(LIMITS, beyond, "task 'x'")
        assert "the service decides" in caplog.text


def test_each_limit_has_an_example() -> None:
    assert [limit.about for limit in LIMITS] == list(AROUND)


ODD = ["", "A=B", "MY VAR", "é", "A\nB"]
RESERVED = ["K_SERVICE", "PORT", "CLOUD_RUN_JOB", "CLOUD_RUN_TASK_INDEX"]


def of_proxy(name: str) -> dict[str, Any]:
    return {"containerOverrides": [{"name": "proxy", "env": [{"name": name, "value": "1"}]}]}


@pytest.mark.parametrize("name", ODD)
def test_names_of_variables_are_refused_wherever_they_go(name: str) -> None:
    with pytest.raises(OptionsError, match="'sl_env_var'"):
        create({**PLACE, "sl_env_var": {name: "1"}})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        *(({"cloud_run_overrides": of_proxy(name)}, [f"{name!r} is not a valid name", "cloud_run_overrides", "EnvVar"]) for name in ODD),
        *(({"sl_env_var": {name: "1"}}, [f"variable {name!r}", "rename it", "container-contract"]) for name in RESERVED),
        ({"sl_env_var": {f"V{n}": "" for n in range(1100)}}, ["1105 variables", "at most 1000", "--update-env-vars"]),
        ({"sl_env_var": {f"V{n}": "" for n in range(996)}}, ["1001 variables"]),
        ({"sl_env_var": {"BIG": "x" * 40_000}}, ["variable 'BIG' has 40000 bytes", "at most 32768 bytes"]),
        ({"sl_env_var": {"BIG": "x" * 32_600 + "${sl_run_id}"}}, ["variable 'BIG' has 32850 bytes"]),
        ({"cloud_run_job_name": "j" * 500}, ["500 characters", "at most 49", "gcloud run jobs list"]),
        ({"cloud_run_job_name": "Jöb_X"}, ["'Jöb_X'", "cloud_run_job_name"]),
        ({"cloud_run_job_name": "job-"}, ["'job-'"]),
        ({"cloud_run_job_region": "EUROPE-WEST1"}, ["'EUROPE-WEST1' is not a region", "gcloud run regions list"]),
        ({"cloud_run_job_region": "belgium"}, ["'belgium' is not a region"]),
        ({"cloud_run_task_timeout": "30d"}, ["2592000 s", "at most 7 days", "task-timeout"]),
        ({"cloud_run_container": "Main"}, ["'Main'", "cloud_run_container"]),
        ({"cloud_run_overrides": {"timeout": "700000s"}}, ["700000 s", "time-out in cloud_run_overrides"]),
        ({"cloud_run_overrides": {"taskCount": 20_000}}, ["20000 tasks", "1 to 10000"]),
        ({"cloud_run_overrides": {"containerOverrides": [{"name": "Proxy", "args": ["x"]}]}}, ["'Proxy'"]),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_what_cloud_run_refuses_is_refused_when_the_pipeline_is_drawn(
    options: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(OptionsError) as error:
        create({**PLACE, **options})
    assert all(problem.startswith("task 'load': ") for problem in error.value.problems)
    for word in words:
        assert word in str(error.value)


def test_values_are_never_told() -> None:
    with pytest.raises(OptionsError) as error:
        create({**PLACE, "sl_env_var": {"K_SERVICE": "hunter22", "BIG": "hunter22" * 8000}})
    assert len(error.value.problems) == 2
    assert "hunter22" not in str(error.value)


def test_what_is_checked_is_never_less_than_what_is_sent() -> None:
    job = create(
        {**PLACE, "pre_load_strategy": "imported", "sl_env_var": {"SL_ROOT": "gs://b/p", "SL_ENV": "X"}}, CHECK
    )
    checked, problems = largest_request(job, "X")
    sent = run_request(job.spec, job.arguments, job.env, RunKey("d/p/r/t", "1", instance="i" * 100, digest="d" * 16))
    assert problems == []

    def sizes(values: dict[str, Any]) -> dict[str, int]:
        (container,) = values["overrides"]["container_overrides"]
        return {one["name"]: len(one["value"]) for one in container["env"]}

    assert sizes(sent).keys() == sizes(checked).keys()
    assert all(size <= sizes(checked)[name] for name, size in sizes(sent).items())
    assert "--notReadySentinel" in checked["overrides"]["container_overrides"][0]["args"]
    assert run_v2.RunJobRequest(checked)


# options that are none


@pytest.mark.parametrize(
    ("name", "what_to_type"),
    [
        ("cloud_run_vpc_connector", "gcloud run jobs update JOB --region=REGION --vpc-connector=CONNECTOR"),
        ("cloud_run_vpc_egress", "gcloud run jobs update JOB --region=REGION --vpc-egress=private-ranges-only"),
        ("cloud_run_network", "--network=NETWORK --subnet=SUBNET"),
        ("cloud_run_memory", "gcloud run jobs update JOB --region=REGION --memory=4Gi"),
        ("cloud_run_cpu", "--cpu=2"),
        ("cloud_run_gpu", "--gpu=1 --gpu-type=nvidia-l4"),
        ("cloud_run_secrets", "--update-secrets=DB_PASSWORD=SECRET:latest"),
        ("cloud_run_parallelism", "--parallelism=10"),
        ("cloud_run_max_retries", "--max-retries=0"),
        ("cloud_run_labels", "--update-labels=team=data"),
        ("cloud_run_image", "--image=IMAGE"),
        ("cloud_run_volumes", "--add-volume=name=data,type=cloud-storage,bucket=BUCKET"),
        ("cloud_run_runtime_service_account", "--service-account=EMAIL"),
        ("cloud_run_execution_environment", "always run in the second generation"),
        ("cloud_run_timeout", "Write cloud_run_task_timeout: '2h'"),
        ("cloud_run_env_vars", "Write sl_env_var: {'NAME': 'VALUE'}"),
        ("cloud_run_container_overrides", "Write cloud_run_overrides: {'containerOverrides': "),
        ("cloud_run_region", "Write cloud_run_job_region: 'europe-west1'"),
    ],
)  # fmt: skip
def test_what_belongs_elsewhere_is_told_with_what_to_type(name: str, what_to_type: str) -> None:
    with pytest.raises(OptionsError, match=f"'{name}' is not an option of plugin 'cloud_run'") as error:
        create({**PLACE, name: "x"})
    assert what_to_type in str(error.value)


def test_other_names_of_the_plugin_are_refused() -> None:
    with pytest.raises(OptionsError, match="unknown option 'cloud_run_banana': plugin 'cloud_run' has no such option"):
        create({**PLACE, "cloud_run_banana": "x"})
    declared = {option.name for option in CloudRunOptions.declared}
    assert declared.isdisjoint(CloudRunOptions.elsewhere)


# the pass-through

TWO = {
    "containerOverrides": [{"name": "proxy", "args": ["--port", "5432"], "env": [{"name": "LEVEL", "value": "debug"}]}]
}
EXAMPLES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"timeout": "7200s"}, {"timeout": {"seconds": 7200, "nanos": 0}}),
    ({"timeout": "1.5s"}, {"timeout": {"seconds": 1, "nanos": 500_000_000}}),
    ({"taskCount": 3}, {"task_count": 3}),
    ({"task_count": 3}, {"task_count": 3}),
    (TWO, {"container_overrides": {"proxy": {"args": ["--port", "5432"], "env": {"LEVEL": "debug"}}}}),
    ({"container_overrides": [{"name": "proxy", "clear_args": True}]}, {"container_overrides": {"proxy": {"clear_args": True}}}),
]  # fmt: skip


@pytest.mark.parametrize(("document", "kept"), EXAMPLES, ids=lambda value: json.dumps(value)[:50])
def test_a_document_is_taken_as_the_reference_and_as_the_sdk_write_it(
    document: dict[str, Any], kept: dict[str, Any]
) -> None:
    given = {**PLACE, "cloud_run_container": "main"}
    job = create({**given, "cloud_run_overrides": document})
    assert job.spec["overrides"] == kept
    assert create({**given, "cloud_run_overrides": json.dumps(document)}) == job
    assert {name: value for name, value in job.spec.items() if name != "overrides"} == create(given).spec
    assert run_v2.RunJobRequest(run_request(job.spec, job.arguments, job.env, KEY))


def test_a_job_without_a_document_is_what_it_was() -> None:
    assert "overrides" not in create({**PLACE, "cloud_run_overrides": {}}).spec
    spec = create(PLACE).spec
    assert run_request(spec, ["load"], {"A": "1"}, KEY) == run_request(
        {**spec, "overrides": None}, ["load"], {"A": "1"}, KEY
    )


def test_a_document_of_one_task_is_its_own() -> None:
    options = {**PLACE, "load": {"cloud_run_overrides": {"taskCount": 2}}}
    from starlake_core import Orchestration
    from starlake_core.testing import RecordingOrchestrator

    opened = Orchestration(
        options, orchestrator=RecordingOrchestrator(), environment="cloud_run", filename="t.py", namespace={}
    )
    with opened, opened.sl_create_pipeline(name="p") as pipeline:
        big, small = pipeline.sl_load("load", "sales", "orders").job, pipeline.sl_load("other", "sales", "items").job
    assert big is not None
    assert small is not None
    assert big.spec["overrides"] == {"task_count": 2}
    assert "overrides" not in small.spec


def test_the_container_of_starlake_comes_first_and_keeps_what_is_ours() -> None:
    document = copy.deepcopy(TWO)
    document["containerOverrides"].append({"name": "main", "env": [{"name": "EXTRA", "value": "1"}]})
    job = create({**PLACE, "cloud_run_container": "main", "cloud_run_overrides": document})
    first, second = run_request(job.spec, ["load"], {"SL_ENV": "PROD"}, KEY)["overrides"]["container_overrides"]
    assert first["name"] == "main"
    assert first["args"] == ["load"]
    assert [one["name"] for one in first["env"]] == ["EXTRA", "SL_ENV", "SL_RUN_ATTEMPT", "SL_RUN_KEY", "SL_RUN_TASK"]
    assert second == {"name": "proxy", "args": ["--port", "5432"], "env": [{"name": "LEVEL", "value": "debug"}]}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"parallelism": 3}, 'has no field named "parallelism"'),
        ({"taskCount": "many"}, "Failed to parse taskCount field"),
        ({"timeout": 7200}, "Duration JSON value not a string: 7200"),
        ({"containerOverrides": {"name": "a"}}, "Failed to parse containerOverrides field"),
        ({"containerOverrides": [{"env": {"A": "b"}}]}, "Failed to parse env field"),
        ({"containerOverrides": [{"name": "a", "resources": {}}]}, 'has no field named "resources"'),
        ({"taskCount": 2, "task_count": 3}, "task_count is given twice"),
        ({"containerOverrides": [{"name": "a"}, {"name": "a"}]}, "containerOverrides has 'a' twice"),
        ({"containerOverrides": [{"args": ["stage"]}]}, "has container_overrides.main.args, which is the Starlake command of the task"),
        ({"containerOverrides": [{"name": "main", "clearArgs": True}]}, "which is the Starlake command of the task"),
        ({"containerOverrides": [{"name": "main", "env": [{"name": "SL_ENV", "value": "X"}]}]}, "belongs to the option sl_env_var (SL_ENV)"),
        ({"containerOverrides": [{"name": "main", "env": [{"name": "SL_RUN_KEY", "value": "X"}]}]}, "which names the attempt"),
        ({"taskCount": 4}, "belongs to the option cloud_run_task_count"),
        ({"timeout": "60s"}, "belongs to the option cloud_run_task_timeout"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_a_document_that_cannot_be_sent_is_refused(document: dict[str, Any], said: str) -> None:
    given = {
        **PLACE,
        "cloud_run_container": "main",
        "cloud_run_task_count": 2,
        "cloud_run_task_timeout": 30,
        "sl_env_var": {"SL_ENV": "PROD"},
    }
    with pytest.raises(OptionsError, match=r"task '.*': option 'cloud_run_overrides' of plugin 'cloud_run'") as error:
        create({**given, "cloud_run_overrides": document})
    assert said in str(error.value)


def test_a_refusal_of_the_sdk_tells_no_secret() -> None:
    document = {"containerOverrides": [{"name": "proxy", "env": {"DB_PASSWORD": "hunter22"}}]}
    with pytest.raises(OptionsError, match="Failed to parse env field") as error:
        create({**PLACE, "cloud_run_overrides": document})
    assert "hunter22" not in str(error.value)


def test_what_both_say_alike_is_no_conflict() -> None:
    given = {**PLACE, "cloud_run_task_count": 2, "cloud_run_task_timeout": 90.5}
    job = create({**given, "cloud_run_overrides": {"taskCount": 2, "timeout": "90.5s"}})
    assert run_request(job.spec, ["load"], {}, KEY)["overrides"]["timeout"] == {"seconds": 90, "nanos": 500_000_000}


def test_secrets_of_other_containers_are_hidden() -> None:
    env = [{"name": "DB_PASSWORD", "value": "hunter22"}, {"name": "LEVEL", "value": "debug"}]
    document = {
        "containerOverrides": [{"name": "proxy", "args": ["--token", "hunter22"], "env": env}],
        "timeout": "90s",
    }
    job = create({**PLACE, "cloud_run_container": "main", "cloud_run_overrides": document})
    assert "'DB_PASSWORD': '***'" in repr(job)
    line = command_line(job)
    assert "--task-timeout=90s" in line
    assert "--container proxy '--args=--token,***' '--update-env-vars=DB_PASSWORD=***,LEVEL=debug'" in line
    assert "hunter22" not in line


@pytest.mark.parametrize("document", [example[0] for example in EXAMPLES], ids=lambda value: json.dumps(value)[:50])
def test_an_example_arrives(document: dict[str, Any], emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.jobs["starlake"] = JobDefinition(("main", "proxy"))
    runner().submit(job(cloud_run_container="main", cloud_run_overrides=document), KEY)
    assert ends(emulator)
    (told,) = emulator.executions()
    main, proxy = told.template.containers
    assert "SL_RUN_KEY" in {one.name for one in main.env}
    assert main.args[0] == "load"
    if "timeout" in document:
        assert told.template.timeout.total_seconds() == float(document["timeout"].rstrip("s"))
    assert told.task_count == document.get("taskCount", document.get("task_count", 1))
    if document == TWO:
        assert list(proxy.args) == ["--port", "5432"]
        assert [(one.name, one.value) for one in proxy.env] == [("LEVEL", "debug")]


def test_where_the_sdk_is_not_installed_the_worker_checks(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    emulator: CloudRun,
    job: MakeJob,
    runner: MakeRunner,
) -> None:
    made = runner()
    with monkeypatch.context() as patch, caplog.at_level(logging.INFO):
        patch.setitem(sys.modules, "google.cloud.run_v2", None)
        wrong = job(cloud_run_overrides={"parallelism": 3})
    assert "checked by the worker: google-cloud-run is not installed here" in caplog.text
    with pytest.raises(RunnerError, match=r"parallelism.*Correct the option cloud_run_overrides"):
        made.submit(wrong, KEY)
    assert not emulator.executions()

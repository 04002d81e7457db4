"""Options, jobs and requests: what a pipeline says, without the service."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import Any

import pytest
from cloud_run_lab import create
from google.cloud import run_v2
from hypothesis import given
from hypothesis import strategies as st
from starlake_core_cloud_run.request import command_line, run_request

from starlake_core import Command, Job, OptionsError, Orchestration, RunKey
from starlake_core.testing import RecordingOrchestrator

PLACE = {"cloud_run_project_id": "p", "cloud_run_job_region": "europe-west1", "cloud_run_job_name": "starlake"}
SPEC = {"project": "p", "region": "europe-west1", "job": "starlake"}
KEY = RunKey("sales/run-1/load.orders", "2", 1)

# What a field of a protobuf message can hold: any text that can be encoded.
texts = st.text(st.characters(exclude_categories=["Cs"]))


def test_a_request_is_what_job_and_key_say() -> None:
    spec = {**SPEC, "container": "main", "task_count": 3, "timeout": 90.5}
    assert run_request(spec, ["load", "a b"], {"Z": "1", "SL_ROOT": "gs://b/p"}, KEY) == {
        "name": "projects/p/locations/europe-west1/jobs/starlake",
        "overrides": {
            "container_overrides": [
                {
                    "name": "main",
                    "args": ["load", "a b"],
                    "env": [
                        {"name": "SL_ROOT", "value": "gs://b/p"},
                        {"name": "SL_RUN_ATTEMPT", "value": "2"},
                        {"name": "SL_RUN_KEY", "value": "sales/run-1/load.orders~1"},
                        {"name": "SL_RUN_TASK", "value": "sales/run-1/load.orders"},
                        {"name": "Z", "value": "1"},
                    ],
                }
            ],
            "task_count": 3,
            "timeout": {"seconds": 90, "nanos": 500_000_000},
        },
    }


@given(
    arguments=st.lists(texts, min_size=1),
    env=st.dictionaries(texts.filter(lambda name: not name.startswith("SL_RUN_")), texts),
    key=st.builds(RunKey, texts, texts),
)
def test_the_same_attempt_is_the_same_bytes_and_arrives_unharmed(
    arguments: list[str], env: dict[str, str], key: RunKey
) -> None:
    turned = dict(reversed(env.items()))
    made = [run_v2.RunJobRequest(run_request(SPEC, arguments, given_env, key)) for given_env in (env, turned)]
    first, second = (run_v2.RunJobRequest.serialize(request) for request in made)
    assert first == second
    container = run_v2.RunJobRequest.deserialize(first).overrides.container_overrides[0]
    assert list(container.args) == arguments
    assert {variable.name: variable.value for variable in container.env} == {
        **env,
        "SL_RUN_KEY": key.work,
        "SL_RUN_TASK": key.task,
        "SL_RUN_ATTEMPT": key.attempt,
    }


def test_without_arguments_those_of_the_job_are_cleared() -> None:
    assert run_request(SPEC, [], {}, KEY)["overrides"]["container_overrides"][0]["clear_args"] is True


@given(arguments=st.lists(st.text(min_size=1), min_size=1), value=st.text())
def test_the_command_for_people_can_be_pasted(arguments: list[str], value: str) -> None:
    line = command_line(Job("cloud_run", ("load", *arguments), {"SL_ROOT": value}, SPEC))
    words = shlex.split(line)
    assert words[:9] == ["gcloud", "run", "jobs", "execute", "starlake", "--project", "p", "--region", "europe-west1"]
    assert len(words) == 12


def test_the_command_for_people_hides_secrets_and_names_its_separator() -> None:
    spec = {**SPEC, "container": "main", "task_count": 2, "timeout": 60, "service_account": "a@b.c"}
    job = Job(
        "cloud_run", ("load", "--options", "a=1,b=2", "--accessToken", "abc"), {"DB_PASSWORD": "x", "A": "1"}, spec
    )
    assert command_line(job) == (
        "gcloud run jobs execute starlake --project p --region europe-west1 --tasks=2 --task-timeout=60s "
        "--impersonate-service-account a@b.c --wait --container main "
        "'--args=^|^load|--options|a=1,b=2|--accessToken|***' '--update-env-vars=A=1,DB_PASSWORD=***'"
    )
    everything = command_line(Job("cloud_run", ("load", ",|;:~#", "x"), {}, SPEC))
    assert "'--args=^@^load@,|;:~#@x'" in everything


def test_jobs_that_agree_on_the_service_share_an_endpoint() -> None:
    plain = create(PLACE)
    words = "detached=True&interval=30&follow_logs=False&list_lag=10&missing_grace=60&history=1000"
    assert plain.endpoint == f"p/europe-west1?{words}"
    same = {"cloud_run_job_name": "other", "cloud_run_task_count": 3, "cloud_run_task_timeout": "1h"}
    assert create({**PLACE, **same}).endpoint == plain.endpoint
    others: list[dict[str, Any]] = [
        {"cloud_run_project_id": "q"},
        {"cloud_run_job_region": "europe-west2"},
        {"cloud_run_service_account": "a@b.c"},
        {"cloud_run_endpoint": "http://127.0.0.1:1"},
        {"cloud_run_storage_endpoint": "http://127.0.0.1:1"},
        {"cloud_run_logging_endpoint": "http://127.0.0.1:1"},
        {"cloud_run_async": False},
        {"cloud_run_async_poke_interval": 5},
        {"cloud_run_follow_logs": True},
        {"cloud_run_list_lag": 0},
        {"cloud_run_missing_grace": 0},
        {"cloud_run_history": 200},
    ]
    endpoints = [create({**PLACE, **other}).endpoint for other in others]
    assert len({plain.endpoint, *endpoints}) == len(others) + 1


def test_options_of_one_task() -> None:
    options = {**PLACE, "kpi.big": {"cloud_run_task_timeout": "2h", "cloud_run_job_name": "large"}}
    orchestration = Orchestration(
        options, orchestrator=RecordingOrchestrator(), environment="cloud_run", filename="t.py", namespace={}
    )
    with orchestration, orchestration.sl_create_pipeline(name="p") as pipeline:
        big, small = (pipeline.sl_transform(transform_name=f"kpi.{name}") for name in ("big", "small"))
    assert big.job is not None
    assert small.job is not None
    assert (big.job.spec["job"], big.job.spec["timeout"]) == ("large", 7200)
    assert (small.job.spec["job"], small.job.spec.get("timeout")) == ("starlake", None)


def test_project_and_region_come_from_the_variables_that_everybody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCP_PROJECT", "from-env")
    monkeypatch.setenv("GCP_REGION", "us-east1")
    spec = create({"cloud_run_job_name": "starlake"}).spec
    assert (spec["project"], spec["region"]) == ("from-env", "us-east1")


def test_what_is_required_is_asked_for_at_once() -> None:
    with pytest.raises(OptionsError) as error:
        create({})
    assert [problem.partition(" is required")[0] for problem in error.value.problems] == [
        "t.py: option 'cloud_run_project_id' of plugin 'cloud_run'",
        "t.py: option 'cloud_run_job_region' of plugin 'cloud_run'",
        "t.py: option 'cloud_run_job_name' of plugin 'cloud_run'",
    ]
    for variable in ("GCP_PROJECT", "GCP_REGION", "SL_CLOUD_RUN_JOB_NAME"):
        assert f"or the environment variable {variable}" in str(error.value)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("cloud_run_service_account", "a@b.c, d@e.f", "the e-mail address of one service account"),
        ("cloud_run_service_account", "a@b.c d@e.f", "the e-mail address of one service account"),
        ("cloud_run_service_account", "nobody", "the e-mail address of one service account"),
        ("cloud_run_project_id", "", "a name without spaces and slashes"),
        ("cloud_run_job_name", "projects/p/locations/r/jobs/j", "a name without spaces and slashes"),
        ("cloud_run_async_poke_interval", 0, "at least 0.01"),
        ("cloud_run_async_poke_interval", "soon", "at least 0.01"),
        ("cloud_run_list_lag", -1, "not negative"),
        ("cloud_run_list_lag", "nan", "not negative"),
        ("cloud_run_task_timeout", "0s", "at least 1"),
        ("cloud_run_task_count", 0, "at least 1 and at most 10000"),
        ("cloud_run_history", 5, "at least 100"),
        ("cloud_run_endpoint", "run.googleapis.com", "an address such as http://127.0.0.1:8080"),
        ("use_gcloud", "maybe", "true or false"),
    ],
)
def test_a_wrong_option_is_told_when_the_pipeline_is_built(option: str, value: Any, said: str) -> None:
    with pytest.raises(
        OptionsError, match=f".* is not a valid value for option '{option}' of plugin 'cloud_run'; use .*"
    ) as error:
        create({**PLACE, option: value})
    assert said in str(error.value)


@pytest.mark.parametrize(("value", "seconds"), [("5m", 300), (30, 30), ("0.05", 0.05), (0.25, 0.25), ("2.0", 2)])
def test_intervals_may_be_parts_of_a_second(value: Any, seconds: float) -> None:
    made = create({**PLACE, "cloud_run_async_poke_interval": value})
    assert made.spec["interval"] == seconds
    assert json.loads(made.to_json())["spec"]["interval"] == seconds


def test_options_of_the_reference_are_accepted() -> None:
    reference = {
        "cloud_run_service_account": "",
        "cloud_run_async": "True",
        "cloud_run_async_poke_interval": "30",
        "retry_on_failure": "False",
        "retry_delay_in_seconds": "10",
        "use_gcloud": "True",
        "GOOGLE_CLOUD_SDK": "/opt/sdk",
        "separator": ",",
    }
    assert create({**PLACE, **reference}) == create(PLACE)


_BUILD = """
import sys
from starlake_core import Orchestration
from starlake_core.testing import RecordingOrchestrator
options = {"cloud_run_project_id": "p", "cloud_run_job_region": "europe-west1", "cloud_run_job_name": "j", "pre_load_strategy": "imported"}
with Orchestration(options, orchestrator=RecordingOrchestrator(), environment="cloud_run", filename="t.py", namespace={}) as o:
    with o.sl_create_pipeline(name="many") as pipeline:
        for number in range(1000):
            pipeline.sl_load(domain="sales", table=f"table_{number}")
        pipeline.sl_pre_load(domain="sales", tables=["a"])
    jobs = [task.job for task in pipeline.tasks() if task.job is not None]
assert len(jobs) == 1001 and {job.environment for job in jobs} == {"cloud_run"}, len(jobs)
assert len({job.endpoint for job in jobs}) == 1
print(*sorted(name for name in sys.modules if name.partition(".")[0] in ("google", "grpc", "starlake_core_google", "requests")))
"""


def test_a_pipeline_of_a_thousand_tasks_imports_no_sdk() -> None:
    done = subprocess.run([sys.executable, "-c", _BUILD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_the_command_is_left_alone() -> None:
    command = Command("transform", ("--name", "kpi.x", "--options", "a=${sl_ds},b='$(rm -rf /)'"), "x")
    assert create(PLACE, command).arguments == command.vector


@pytest.mark.parametrize(
    ("delays", "seconds"),
    [({}, 300), ({"retry_delay_in_seconds": 60}, 60), ({"retry_delay_in_seconds": "60", "retry_delay": 5}, 5)],
)
def test_the_retry_delay_has_an_earlier_name(delays: dict[str, Any], seconds: int) -> None:
    opened = Orchestration(
        {**PLACE, **delays},
        orchestrator=RecordingOrchestrator(),
        environment="cloud_run",
        filename="t.py",
        namespace={},
    )
    assert opened.options["retry_delay"] == seconds

"""The add-on ``labels`` reaches every job, and keeps the promises of an add-on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from starlake_core import Job, OptionsError, Orchestration, Preload, StarlakePipeline, hookimpl
from starlake_core.testing import AddonSuite, FakeEnvironment, RecordingOrchestrator, check_options_table

pytest_plugins = ["starlake_core.testing.plugin"]

README = Path(__file__).parents[1] / "README.md"
LABELS = {"team": "sales", "day": "${sl_ds}"}


class TestLabels(AddonSuite):
    addon = "labels"
    levels = ("basic", "jobs")

    def addon_options(self, root: Path) -> Mapping[str, Any]:
        return {"labels": LABELS}

    def reached(self, job: Job) -> bool:
        return job.labels == LABELS


class InAService:
    """An add-on with a check of its own, which labels itself, in a service or in the worker."""

    name = "in_a_service"

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    @hookimpl(tryfirst=True)
    def sl_create_preload(self, preload: Preload) -> Job:
        return Job("fake", ("preload",), endpoint=self.endpoint, labels={"own": "x", "team": "other"})


def built(given: Mapping[str, Any], *addons: Any) -> dict[str, Job]:
    with Orchestration(
        {"plugins": "labels", **given},
        orchestrator=RecordingOrchestrator(),
        environment=FakeEnvironment(lifecycle=True),
        filename="labels.py",
        namespace={},
        addons=addons,
    ) as orchestration:
        pipeline: StarlakePipeline
        with orchestration.sl_create_pipeline(name="p") as pipeline:
            pipeline.sl_pre_load("sales", pre_load_strategy="imported")
            for table in ("orders", "customers"):
                pipeline.sl_load(domain="sales", table=table)
        return {task.id: task.job for task in pipeline.tasks() if task.job is not None}


def test_a_task_may_have_labels_of_its_own() -> None:
    jobs = built({"labels": LABELS, "sales.orders": {"labels": {"team": "orders"}}})
    assert {task: job.labels for task, job in jobs.items()} == {
        "check_sales_incoming_files": LABELS,
        "sales_orders_load": {"team": "orders"},
        "sales_customers_load": LABELS,
    }


@pytest.mark.parametrize(
    ("endpoint", "labels"),
    [("https://service", {"own": "x", **LABELS}), ("", {"own": "x", "team": "other"})],
    ids=["service", "worker"],
)
def test_the_check_of_another_addon_is_labelled_if_it_runs_in_a_service(
    endpoint: str, labels: Mapping[str, str]
) -> None:
    jobs = built({"labels": LABELS}, InAService(endpoint))
    assert jobs["check_sales_incoming_files"].labels == labels


def test_without_labels_the_addon_says_what_it_needs() -> None:
    with pytest.raises(OptionsError, match="option 'labels' of plugin 'labels' is required"):
        built({})


def test_the_options_are_those_of_the_addon() -> None:
    check_options_table(README, "addon", "labels")


def test_the_example_builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With an orchestrator that is always there in place of the one that the example names."""
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    text = example.replace(
        'orchestrator="airflow", environment="dataproc"', 'orchestrator="local", environment="shell"'
    )
    assert text != example
    file = tmp_path / "example.py"
    file.write_text(text)
    namespace: dict[str, Any] = {"__file__": str(file)}
    exec(compile(text, str(file), "exec"), namespace)
    jobs = [task.job for task in namespace["pipeline"].tasks() if task.job is not None]
    assert [job.labels for job in jobs] == [{"team": "orders"}]

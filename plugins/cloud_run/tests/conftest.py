"""An emulator whose executions do what their variables say, and short ways to make jobs and runners for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from cloud_run_lab import MakeJob, MakeRunner
    from emulators.cloud_run import CloudRun

settings.register_profile("ci", deadline=None, max_examples=60, print_blob=True)
settings.load_profile("ci")


def pytest_configure(config: pytest.Config) -> None:
    # Google's libraries say so on Python 3.10, and have said it of others before their end.
    config.addinivalue_line("filterwarnings", "ignore:You are using a (non-supported )?Python version:FutureWarning")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell says about Google must not decide a test."""
    for name in ("GCP_PROJECT", "GCP_REGION", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def buckets(tmp_path: Path) -> Path:
    folder = tmp_path / "buckets"
    (folder / "bucket").mkdir(parents=True)
    return folder


@pytest.fixture
def emulator(buckets: Path) -> Iterator[CloudRun]:
    from cloud_run_lab import PROGRAM
    from emulators.cloud_run import CloudRun

    with CloudRun(PROGRAM, buckets=buckets) as running:
        yield running


@pytest.fixture
def job(emulator: CloudRun) -> MakeJob:
    """Makes a job for the emulator: ``job({"EXIT": "3"}, cloud_run_task_count=2)``."""
    from cloud_run_lab import LOAD, create

    def made(env: dict[str, str] | None = None, command: Any = LOAD, **options: Any) -> Any:
        return create({**emulator.options, "sl_env_var": env or {}, **options}, command)

    return made


@pytest.fixture
def runner(job: MakeJob) -> MakeRunner:
    """Makes a runner, as another process would have it."""
    from cloud_run_lab import QUICK
    from starlake_core_cloud_run.runner import CloudRunRunner

    def made(calls: Any = QUICK, **options: Any) -> Any:
        return CloudRunRunner(job(**options).spec, calls)

    return made

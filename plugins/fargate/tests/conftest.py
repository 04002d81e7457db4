"""An emulator of ECS for every test that asks for one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fargate_lab import Lab


@pytest.fixture(scope="session", autouse=True)
def _read_models_once() -> Iterator[None]:
    """Each session of boto3 reads the models of its services anew, which takes longer than what most tests do with them."""
    loaders = pytest.importorskip("botocore.loaders")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", functools.cache(loaders.create_loader))
        yield


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    from emulators.ecs import CREDENTIALS, Ecs
    from fargate_lab import PROGRAM, Lab

    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    # The configuration of whoever runs the tests decides nothing.
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with Ecs(PROGRAM, buckets=tmp_path / "buckets") as ecs:
        yield Lab(ecs)


@pytest.fixture(autouse=True)
def _other_peoples_warnings() -> Iterator[None]:
    """A version of Python that boto3 is about to leave is no fault of these tests."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*[Bb]oto3 will no longer support Python.*")
        yield

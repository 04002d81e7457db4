"""Credentials from Airflow connections."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from starlake_core_airflow.connections import credentials_for

from starlake_core import Job, hookimpl
from starlake_core.plugins import select
from starlake_core.runtime import credentials_of, runner_for
from starlake_core.testing import FakeEnvironment


class Asking(FakeEnvironment):
    """An environment whose runner asks for credentials when it is made."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.got: list[Any] = []

    @hookimpl
    def sl_create_runner(self, job: Job) -> Any:
        self.got.append(credentials_of(self.kind))
        return super().sl_create_runner(job)


def test_the_session_of_an_aws_connection_reaches_the_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("airflow.providers.amazon.aws.hooks.base_aws")
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", "aws://AKIDEXAMPLE:very-secret-key@/?region_name=eu-west-3")
    environment = Asking("aws")
    plugins = select(None, environment)
    job = Job("fake")
    one = runner_for(job, plugins, credentials_for({"aws": "lake"}))
    (session,) = environment.got
    assert session.region_name == "eu-west-3"
    assert session.get_credentials().access_key == "AKIDEXAMPLE"
    assert runner_for(job, plugins, credentials_for({"aws": "lake"})) is one
    assert runner_for(job, plugins) is not one, "a runner without these credentials is another runner"
    assert environment.got[1:] == [None]
    assert "very-secret-key" not in repr(credentials_for({"aws": "lake"}))


def test_without_the_provider_the_default_chain_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ImportError):
        import airflow.providers.google  # noqa: F401  # the test environments have no Google provider
    environment = Asking("google")
    with caplog.at_level(logging.WARNING):
        runner_for(Job("fake"), select(None, environment), credentials_for({"google": "lake"}))
    assert environment.got == [None]
    assert "pip install apache-airflow-providers-google" in caplog.text


def test_no_connection_is_no_credentials() -> None:
    assert credentials_for({}) is None

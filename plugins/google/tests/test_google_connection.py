"""Whose credentials are used, and how clients are made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import google.auth
import pytest
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials, Credentials
from starlake_core_google import Connection, connect

from starlake_core import RunnerError
from starlake_core.runtime import Credentials as Offered
from starlake_core.runtime.credentials import offering


class Kind:
    """Takes what a client takes."""

    def __init__(self, **given: Any) -> None:
        self.given = given


class Known(Credentials):  # type: ignore[misc]
    """Credentials that tests know again."""

    def refresh(self, request: Any) -> None:
        raise AssertionError("no test needs a token")


@pytest.fixture
def default(monkeypatch: pytest.MonkeyPatch) -> Known:
    known = Known()
    monkeypatch.setattr(google.auth, "default", lambda scopes: (known, "p"))
    return known


def test_an_emulator_needs_no_credentials() -> None:
    connection = connect("http://127.0.0.1:1/", impersonate="a@b.c")
    assert (connection.plain, connection.endpoint, connection.credentials) == (True, "http://127.0.0.1:1", None)


def test_the_default_chain(default: Known) -> None:
    connection = connect()
    assert connection.credentials is default
    assert not connection.plain


def test_what_the_orchestrator_offers_goes_first(default: Known) -> None:
    offered = AnonymousCredentials()
    with offering(Offered("conn", {"google": lambda: offered})):
        assert connect().credentials is offered
    with offering(Offered("conn", {"aws": lambda: offered})):
        assert connect().credentials is default


def test_another_service_account(default: Known) -> None:
    credentials = connect(impersonate="runner@p.iam.gserviceaccount.com").credentials
    assert isinstance(credentials, impersonated_credentials.Credentials)
    assert credentials.service_account_email == "runner@p.iam.gserviceaccount.com"
    assert isinstance(credentials._source_credentials, Known)


def test_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(
        RunnerError, match=r"there are no credentials for Google Cloud .* give the worker a service account"
    ):
        connect()


def test_a_key_file_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nope.json"))
    with pytest.raises(RunnerError, match=r"nope\.json"):
        connect()


@pytest.mark.parametrize(
    ("endpoint", "host", "address"),
    [
        ("", "", None),
        ("", "europe-west1-dataproc.googleapis.com:443", "europe-west1-dataproc.googleapis.com:443"),
        ("https://private.example.com", "", "private.example.com"),
        ("https://private.example.com", "europe-west1-dataproc.googleapis.com:443", "private.example.com"),
    ],
)
def test_the_address_of_a_client(endpoint: str, host: str, address: str | None) -> None:
    client = Connection("credentials", endpoint).client(Kind, host)
    assert client.given["credentials"] == "credentials"
    assert client.given["client_options"].api_endpoint == address


def test_credentials_are_not_shown() -> None:
    assert "hidden" not in repr(Connection("hidden"))


def test_the_package_imports_no_sdk() -> None:
    code = "import sys, starlake_core_google; print(*[m for m in sys.modules if m.split('.')[0] in ('google', 'grpc', 'requests')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

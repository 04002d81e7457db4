"""Calls: what is tried again, what is not, and what errors say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.auth.exceptions import RefreshError, TransportError
from google.rpc import error_details_pb2
from starlake_core_google import Calls, UnclearError

from starlake_core import OutageError, RunnerError

QUICK = Calls("Some Service", {"start": "roles/some.role"}, attempt_seconds=7.0, total_seconds=5.0, first_pause=0.001)
IMPATIENT = Calls("Some Service", total_seconds=0.05, first_pause=0.01)
RATE = "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute per region' of service 'x'"
ALLOCATION = "Quota exceeded: Insufficient 'CPUS' quota. Requested 20.0, available 4.0."
OF_CREDENTIALS = (
    "Getting metadata from plugin failed with error: ('invalid_grant: Bad Request', {'error': 'invalid_grant'})"
)
PASSING: list[Exception] = [
    exceptions.ServiceUnavailable("try again"),
    exceptions.DeadlineExceeded("too slow"),
    exceptions.GatewayTimeout("too slow"),
    exceptions.BadGateway("broken"),
    exceptions.InternalServerError("broken"),
    exceptions.Aborted("a conflict"),
    exceptions.Unknown("Stream removed"),
    exceptions.Cancelled("the connection was closed"),
    exceptions.from_http_status(408, "too slow"),
    TransportError("no route to the token"),
    exceptions.ServiceUnavailable("Getting metadata from plugin failed with error: Max retries exceeded with url"),
    ConnectionResetError("reset"),
    requests.exceptions.ConnectionError("reset"),
    requests.exceptions.ReadTimeout("too slow"),
    requests.exceptions.ChunkedEncodingError("cut off"),
]
THROTTLED: list[Exception] = [
    exceptions.TooManyRequests("slow down"),
    exceptions.ResourceExhausted(RATE),
    exceptions.ResourceExhausted(
        "Quota exceeded", details=[error_details_pb2.ErrorInfo(reason="RATE_LIMIT_EXCEEDED", domain="googleapis.com")]
    ),
]
FINAL: list[tuple[Exception, str]] = [
    (exceptions.NotFound("no job x"), "no job x. Create it."),
    (exceptions.InvalidArgument("a bad name"), "a bad name."),
    (
        exceptions.PermissionDenied("denied"),
        "denied. Grant the account of this worker the role roles/some.role, and check",
    ),
    (exceptions.Forbidden("denied (or it may not exist)"), "enabled in the project. If it does not exist: Create it."),
    (exceptions.Unauthenticated("who are you"), "Grant the account of this worker the role roles/some.role"),
    (exceptions.ResourceExhausted(ALLOCATION), "A quota is used up: request a higher one on the page 'Quotas'"),
    (
        exceptions.ServiceUnavailable(OF_CREDENTIALS),
        "The credentials of this worker cannot be used. On this machine: gcloud",
    ),
    (RefreshError("invalid_grant"), "roles/iam.serviceAccountTokenCreator"),
]


class Service:
    """A client's method that raises errors, one after the other, and then answers."""

    __name__ = "start"

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls: list[dict[str, Any]] = []

    def __call__(self, **how: Any) -> str:
        self.calls.append(how)
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def by_name(error: Any) -> str:
    return type(error).__name__ if isinstance(error, Exception) else ""


@pytest.mark.parametrize("error", [*PASSING, *THROTTLED], ids=by_name)
def test_a_transient_error_is_retried(error: Exception) -> None:
    service = Service(error, error)
    assert QUICK(service, {"name": "x"}, "starting x") == "done"
    assert service.calls == [{"request": {"name": "x"}, "retry": None, "timeout": 7.0}] * 3


@pytest.mark.parametrize(("error", "said"), FINAL, ids=by_name)
def test_a_lasting_error_is_reported_at_once(error: Exception, said: str) -> None:
    for call in (QUICK, QUICK.once):
        service = Service(error)
        with pytest.raises(RunnerError) as told:
            call(service, {}, "starting x", "Create it")
        assert str(told.value).startswith("Some Service: starting x: ")
        assert said in str(told.value)
        assert told.value.__cause__ is error
        assert len(service.calls) == 1


@pytest.mark.parametrize("error", PASSING, ids=by_name)
def test_what_must_not_be_done_twice_is_not_retried_blindly(error: Exception) -> None:
    service = Service(error)
    with pytest.raises(UnclearError, match="Some Service: starting x: "):
        QUICK.once(service, {}, "starting x")
    assert len(service.calls) == 1


@pytest.mark.parametrize("error", THROTTLED, ids=by_name)
def test_what_was_throttled_was_not_done(error: Exception) -> None:
    service = Service(error, error)
    assert QUICK.once(service, {}, "starting x") == "done"


@pytest.mark.parametrize("how", [lambda calls: calls, lambda calls: calls.once], ids=["call", "once"])
def test_an_outage_is_reported_after_a_while(how: Callable[[Calls], Any]) -> None:
    service = Service(*[exceptions.TooManyRequests("slow down")] * 1000)
    with pytest.raises(
        OutageError, match=r"Some Service did not answer for 0\.05 s \(starting x\): 429 slow down"
    ) as told:
        how(IMPATIENT)(service, {}, "starting x")
    assert not isinstance(told.value, UnclearError)
    assert len(service.calls) > 1


def test_an_error_in_the_program_is_left_alone() -> None:
    with pytest.raises(ZeroDivisionError):
        QUICK.run(lambda: 1 / 0, "dividing")

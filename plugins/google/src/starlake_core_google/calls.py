"""Calls of a service: each with a deadline, tried again while the service is at fault, and with errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from starlake_core import OutageError, RunnerError, StarlakeError
from starlake_core.logs import get_logger
from starlake_core.runtime import Backoff

__all__ = ["LOGIN", "Calls", "UnclearError"]

logger = get_logger(__name__)

LOGIN = (
    "On this machine: gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS with the path of a key file; on Google "
    "Cloud: give the worker a service account"
)

_LONGEST_PAUSE = 10.0
_RATE = ("per minute", "per second", "per 100 seconds", "rate limit", "rate_limit", "ratelimit", "too many requests")
_NETWORK = ("max retries", "connection", "timed out", "timeout", "temporary failure", "name resolution", "unreachable")


class UnclearError(OutageError):
    """A call that must not be repeated blindly had no answer: nobody knows whether the service did what it was asked for."""


@dataclass(frozen=True)
class Calls:
    """Calls methods of one service.

    Attributes:
        service: its name, for messages.
        roles: method to the role that its caller needs, for messages.
        attempt_seconds: deadline of one call.
        total_seconds: how long a call is tried again.
        first_pause: seconds before the second try; each further pause is up to twice as long, with jitter, and at most ten seconds. They end
            when whoever waits is stopped.
    """

    service: str
    roles: Mapping[str, str] = field(default_factory=dict)
    attempt_seconds: float = 20.0
    total_seconds: float = 120.0
    first_pause: float = 0.5

    def brief(self, seconds: float) -> Calls:
        """The same, for calls of which another one comes soon.

        Args:
            seconds: for which a call is tried at most; 0 for one attempt.
        """
        return replace(self, total_seconds=min(seconds, self.total_seconds))

    def __call__(self, method: Callable[..., Any], request: Any, doing: str, missing: str = "") -> Any:
        """Call a method.

        Args:
            method: of a client.
            request: for it.
            doing: what the call is for, such as ``starting job x``, for messages.
            missing: what to do when something does not exist, for messages.

        Raises:
            RunnerError: a permission, a quota or a resource is missing, or the request is wrong.
            OutageError: the service did not answer for as long as the call was tried.
        """
        return self.run(self._bound(method, request), doing, missing, method)

    def once(self, method: Callable[..., Any], request: Any, doing: str, missing: str = "") -> Any:
        """Call a method that must not do its work twice: tried again only where the service says that it did nothing.

        Args:
            method, request, doing, missing: as above.

        Raises:
            UnclearError: there was no answer, or one that does not say whether the work was done.
            RunnerError, OutageError: as above.
        """
        return self._run(self._bound(method, request), doing, missing, method, _is_throttled)

    def run(self, call: Callable[[], Any], doing: str, missing: str = "", method: Any = None) -> Any:
        """The same as a call of a method for any function of a Google library.

        Args:
            call: without arguments, with a deadline of its own.
            doing, missing: as above.
            method: of a client, for the role in messages.
        """
        return self._run(call, doing, missing, method, is_passing)

    def _bound(self, method: Callable[..., Any], request: Any) -> Callable[[], Any]:
        return lambda: method(request=request, retry=None, timeout=self.attempt_seconds)

    def _run(
        self, call: Callable[[], Any], doing: str, missing: str, method: Any, again: Callable[[Exception], bool]
    ) -> Any:
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError

        backoff = Backoff(self.total_seconds, self.first_pause, _LONGEST_PAUSE)
        while True:
            try:
                return call()
            except Exception as error:
                if again(error):
                    if not backoff.wait():
                        raise OutageError(
                            f"{self.service} did not answer for {self.total_seconds:g} s ({doing}): {error}"
                        ) from error
                    logger.info("%s: %s, trying again: %s", self.service, doing, error)
                    continue
                if is_passing(error):
                    raise UnclearError(f"{self.service}: {doing}: {_said(error)}") from error
                if isinstance(error, (exceptions.GoogleAPICallError, GoogleAuthError)):
                    raise self._explained(error, doing, missing, method) from error
                raise

    def _explained(self, error: Exception, doing: str, missing: str, method: Any) -> StarlakeError:
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError

        about = f"{self.service}: {doing}: {_said(error)}".rstrip(". ")
        if isinstance(error, GoogleAuthError) or _is_of_credentials(error):
            return RunnerError(
                f"{about}. The credentials of this worker cannot be used. {LOGIN}. To act as another service account, the worker needs "
                "the role roles/iam.serviceAccountTokenCreator on it."
            )
        if isinstance(error, exceptions.NotFound):
            return RunnerError(f"{about}. {missing}".rstrip(". ") + ".")
        if isinstance(error, (exceptions.Forbidden, exceptions.Unauthorized)):
            role = self.roles.get(getattr(method, "__name__", ""), "")
            grant = f" the role {role}" if role else " the missing permission"
            # Google does not tell strangers whether something exists.
            hint = f" If it does not exist: {missing}." if missing and "may not exist" in about else ""
            return RunnerError(
                f"{about}. Grant the account of this worker{grant}, and see that the API is enabled in the project.{hint}"
            )
        # Dataproc tells a missing quota of machines as an argument that is wrong.
        if isinstance(error, exceptions.TooManyRequests) or "quota" in _said(error).lower():
            return RunnerError(
                f"{about}. A quota is used up: ask for more on the page 'Quotas' of the project, or run less at once."
            )
        return RunnerError(f"{about}.")


def _said(error: Exception) -> str:
    return str(getattr(error, "message", "") or error)


def _is_of_credentials(error: BaseException) -> bool:
    """Whether gRPC tells as an outage what is a refusal: the credentials gave no token, and not because of the network."""
    said = str(error).lower()
    return "getting metadata from plugin failed" in said and not any(word in said for word in _NETWORK)


def _is_throttled(error: BaseException) -> bool:
    """Whether a rate was exceeded: the service did nothing, and a later call may succeed.

    A used-up quota of machines is told like a rate that was exceeded, but it does not pass by waiting a minute.
    """
    from google.api_core import exceptions

    if not isinstance(error, exceptions.TooManyRequests):  # ResourceExhausted is one
        return False
    reasons = {getattr(detail, "reason", "") for detail in getattr(error, "details", ()) or ()}
    said = str(error).lower()
    return "RATE_LIMIT_EXCEEDED" in reasons or any(word in said for word in _RATE) or "quota" not in said


def is_passing(error: BaseException) -> bool:
    """Whether an error of a Google library is one of the moment.

    Args:
        error: that was raised.
    """
    import requests.exceptions as http
    from google.api_core import exceptions
    from google.auth.exceptions import TransportError

    if isinstance(error, exceptions.TooManyRequests):
        return _is_throttled(error)
    if getattr(error, "code", None) == 408:  # a request that did not arrive in time; it has no class of its own
        return True
    return not _is_of_credentials(error) and isinstance(
        error,
        (
            exceptions.ServiceUnavailable,
            exceptions.GatewayTimeout,  # DeadlineExceeded is one
            exceptions.BadGateway,
            exceptions.InternalServerError,
            exceptions.Aborted,
            exceptions.Cancelled,  # by the connection: we cancel no calls
            exceptions.Unknown,  # as gRPC tells a stream that broke off
            TransportError,
            ConnectionError,
            http.ConnectionError,
            http.Timeout,
            http.ChunkedEncodingError,
        ),
    )

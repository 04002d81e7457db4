"""Calls of a service: each has a deadline, is retried while the service is at fault, and raises errors that say what to do."""

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
    """A call that must not be repeated blindly got no answer, so it is unknown whether the service did the work."""


@dataclass(frozen=True)
class Calls:
    """Calls the methods of one service.

    Attributes:
        service: the name of the service, for messages.
        roles: maps the name of a method to the role that its caller needs, for messages.
        attempt_seconds: the deadline of one call, in seconds.
        total_seconds: how long a call is retried, in seconds.
        first_pause: the pause before the first retry, in seconds. Each further pause is up to twice as long, with jitter, and at most ten seconds.
            A pause ends early when the task that waits is stopped.
    """

    service: str
    roles: Mapping[str, str] = field(default_factory=dict)
    attempt_seconds: float = 20.0
    total_seconds: float = 120.0
    first_pause: float = 0.5

    def brief(self, seconds: float) -> Calls:
        """A copy with a shorter limit, for calls that are repeated soon anyway.

        Args:
            seconds: how long a call is retried at most; 0 for a single attempt.
        """
        return replace(self, total_seconds=min(seconds, self.total_seconds))

    def __call__(self, method: Callable[..., Any], request: Any, doing: str, missing: str = "") -> Any:
        """Call a method.

        Args:
            method: a method of a client.
            request: the request for it.
            doing: what the call does, such as ``starting job x``, for messages.
            missing: what to do if something does not exist, for messages.

        Raises:
            RunnerError: a permission, a quota or a resource is missing, or the request is wrong.
            OutageError: the service did not answer for as long as the call was retried.
        """
        return self.run(self._bound(method, request), doing, missing, method)

    def once(self, method: Callable[..., Any], request: Any, doing: str, missing: str = "") -> Any:
        """Call a method that must not do its work twice. It is retried only if the service says that it did nothing.

        Args:
            method, request, doing, missing: as for a plain call.

        Raises:
            UnclearError: there was no answer, or one that does not say whether the work was done.
            RunnerError, OutageError: as for a plain call.
        """
        return self._run(self._bound(method, request), doing, missing, method, _is_throttled)

    def run(self, call: Callable[[], Any], doing: str, missing: str = "", method: Any = None) -> Any:
        """Call any function of a Google library in the same way.

        Args:
            call: a function without arguments that has its own deadline.
            doing, missing: as for a plain call.
            method: a method of a client, whose role messages name.
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
                    logger.info("%s: %s, retrying: %s", self.service, doing, error)
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
            # Google does not tell strangers whether a resource exists.
            hint = f" If it does not exist: {missing}." if missing and "may not exist" in about else ""
            return RunnerError(
                f"{about}. Grant the account of this worker{grant}, and check that the API is enabled in the project.{hint}"
            )
        # Dataproc reports a missing machine quota as an invalid argument.
        if isinstance(error, exceptions.TooManyRequests) or "quota" in _said(error).lower():
            return RunnerError(
                f"{about}. A quota is used up: request a higher one on the page 'Quotas' of the project, or run fewer tasks at once."
            )
        return RunnerError(f"{about}.")


def _said(error: Exception) -> str:
    return str(getattr(error, "message", "") or error)


def _is_of_credentials(error: BaseException) -> bool:
    """Whether gRPC reports a refusal as an outage: the credentials gave no token, and the network is not the cause."""
    said = str(error).lower()
    return "getting metadata from plugin failed" in said and not any(word in said for word in _NETWORK)


def _is_throttled(error: BaseException) -> bool:
    """Whether a rate was exceeded: the service did nothing, and a later call may succeed.

    A used-up machine quota is reported like an exceeded rate, but waiting a minute does not help.
    """
    from google.api_core import exceptions

    if not isinstance(error, exceptions.TooManyRequests):  # includes ResourceExhausted
        return False
    reasons = {getattr(detail, "reason", "") for detail in getattr(error, "details", ()) or ()}
    said = str(error).lower()
    return "RATE_LIMIT_EXCEEDED" in reasons or any(word in said for word in _RATE) or "quota" not in said


def is_passing(error: BaseException) -> bool:
    """Whether an error of a Google library is transient.

    Args:
        error: the error.
    """
    import requests.exceptions as http
    from google.api_core import exceptions
    from google.auth.exceptions import TransportError

    if isinstance(error, exceptions.TooManyRequests):
        return _is_throttled(error)
    if getattr(error, "code", None) == 408:  # the request did not arrive in time; there is no class for it
        return True
    return not _is_of_credentials(error) and isinstance(
        error,
        (
            exceptions.ServiceUnavailable,
            exceptions.GatewayTimeout,  # includes DeadlineExceeded
            exceptions.BadGateway,
            exceptions.InternalServerError,
            exceptions.Aborted,
            exceptions.Cancelled,  # by the connection: we never cancel a call
            exceptions.Unknown,  # how gRPC reports a broken stream
            TransportError,
            ConnectionError,
            http.ConnectionError,
            http.Timeout,
            http.ChunkedEncodingError,
        ),
    )

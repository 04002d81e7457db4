"""Calls of a service: each with a deadline, tried again while the service is at fault, and with errors that say what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlake_core import OutageError, RunnerError, StarlakeError

__all__ = ["Calls"]

logger = logging.getLogger(__name__)

_RATE = ("per minute", "per second", "per 100 seconds", "rate limit", "rate_limit", "too many requests")


@dataclass(frozen=True)
class Calls:
    """Calls methods of one service.

    Attributes:
        service: its name, for messages.
        roles: method to the role that its caller needs, for messages.
        attempt_seconds: deadline of one call.
        total_seconds: how long a call is tried again.
        first_pause: seconds before the second try; each further pause is up to twice as long, with jitter, and at most ten seconds.
    """

    service: str
    roles: Mapping[str, str] = field(default_factory=dict)
    attempt_seconds: float = 20.0
    total_seconds: float = 120.0
    first_pause: float = 0.5

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
        return self.run(
            lambda: method(request=request, retry=None, timeout=self.attempt_seconds), doing, missing, method
        )

    def run(self, call: Callable[[], Any], doing: str, missing: str = "", method: Any = None) -> Any:
        """The same for any function of a Google library.

        Args:
            call: without arguments, with a deadline of its own.
            doing, missing: as above.
            method: of a client, for the role in messages.
        """
        from google.api_core import exceptions
        from google.api_core.retry import Retry
        from google.auth.exceptions import GoogleAuthError

        again = Retry(
            predicate=is_passing,
            initial=self.first_pause,
            maximum=10.0,
            multiplier=2.0,
            timeout=self.total_seconds,
            on_error=lambda error: logger.info("%s: %s, trying again: %s", self.service, doing, error),
        )
        try:
            return again(call)()
        except exceptions.RetryError as error:
            raise OutageError(
                f"{self.service} did not answer for {self.total_seconds:g} s ({doing}): {error.cause}"
            ) from error
        except (exceptions.GoogleAPICallError, GoogleAuthError) as error:
            raise self._explained(error, doing, missing, method) from error

    def _explained(self, error: Exception, doing: str, missing: str, method: Any) -> StarlakeError:
        from google.api_core import exceptions

        said = str(getattr(error, "message", "") or error)
        about = f"{self.service}: {doing}: {said}"
        if isinstance(error, exceptions.NotFound):
            return RunnerError(f"{about}. {missing}".rstrip(". ") + ".")
        if isinstance(error, (exceptions.Forbidden, exceptions.Unauthorized)):
            role = self.roles.get(getattr(method, "__name__", ""), "")
            grant = f" the role {role}" if role else " the missing permission"
            return RunnerError(
                f"{about}. Grant the account of this worker{grant}, and see that the API is enabled in the project."
            )
        if isinstance(error, exceptions.ResourceExhausted):
            return RunnerError(
                f"{about}. A quota is used up: ask for more on the page 'Quotas' of the project, or run less at once."
            )
        return RunnerError(f"{about}.")


def is_passing(error: BaseException) -> bool:
    """Whether an error of a Google library is one of the moment.

    A used-up quota of machines is told like a rate that was exceeded, but it does not pass by waiting a minute.

    Args:
        error: that was raised.
    """
    import requests.exceptions as http
    from google.api_core import exceptions
    from google.auth.exceptions import TransportError

    if isinstance(error, exceptions.TooManyRequests):  # ResourceExhausted is one
        reasons = {getattr(detail, "reason", "") for detail in getattr(error, "details", ()) or ()}
        said = str(error).lower()
        return "RATE_LIMIT_EXCEEDED" in reasons or any(word in said for word in _RATE) or "quota" not in said
    return isinstance(
        error,
        (
            exceptions.ServiceUnavailable,
            exceptions.GatewayTimeout,  # DeadlineExceeded is one
            exceptions.BadGateway,
            exceptions.InternalServerError,
            exceptions.Aborted,
            TransportError,
            ConnectionError,
            http.ConnectionError,
            http.Timeout,
            http.ChunkedEncodingError,
        ),
    )

"""A connection to the REST API of Airflow: version 2 (Airflow 3) or version 1 (Airflow 2.11)."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx

from starlake_core import RunError
from starlake_core.logs import get_logger
from starlake_core.runtime import Backoff, pause

__all__ = ["Api", "ApiError", "quoted"]

logger = get_logger(__name__)

TIMEOUT = 30.0
"""How long to wait for an answer, in seconds; a third of that for the connection."""

PATIENCE = 600.0
"""How long a server may be unavailable while a run is followed, in seconds."""

PAGE = 100
"""Rows per request: the most that Airflow returns by default."""

_NO_ANSWER = 0
_TRANSIENT = frozenset({_NO_ANSWER, 429, 500, 502, 503, 504})


class ApiError(RunError):
    """The API did not do what it was asked to.

    Args:
        message: the request, the answer, and what to do.
        status: the status of the answer; 0 if there was none.
        retry_after: how long the server wants the client to wait, in seconds.
    """

    def __init__(self, message: str, status: int = _NO_ANSWER, retry_after: float = 0.0) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self.status in _TRANSIENT


@dataclass(frozen=True)
class _Login:
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def named(self) -> bool:
        return bool(self.username) and self.password is not None


class _TokenAuth(httpx.Auth):
    """Authenticates requests with a token, and gets a new one if the server no longer accepts it.

    Args:
        token_request: creates the request for a token.
        token_of: reads the token from the answer.
        token: the first token.
    """

    requires_response_body = True

    def __init__(
        self, token_request: Callable[[], httpx.Request], token_of: Callable[[httpx.Response], str], token: str
    ) -> None:
        self._token_request = token_request
        self._token_of = token_of
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request, and at most once more with a new token."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        if _status((yield request)) == 401:
            self._token = self._token_of((yield self._token_request()))
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request


def quoted(part: str) -> str:
    """A string as one part of a path."""
    return quote(part, safe="")


class Api:
    """The REST API of one Airflow. Create it with :meth:`connect`.

    Attributes:
        base_url: the address of the user interface, without credentials and without a trailing slash.
        v2: whether it is version 2 of the API (Airflow 3); otherwise it is version 1 (Airflow 2).
        version: the version of Airflow.
    """

    def __init__(self, base_url: str, login: _Login, client: httpx.Client) -> None:
        self.base_url = base_url
        self.v2 = True
        self.version = ""
        self._login = login
        self._client = client
        # Nobody needs to close it.
        self._closed = weakref.finalize(self, client.close)

    @classmethod
    def connect(
        cls, base_url: str, username: str | None = None, password: str | None = None, token: str | None = None
    ) -> Api:
        """Find out which version of the API answers, and log in.

        Args:
            base_url: the address of the user interface; credentials in it are used if no others are given.
            username, password: the credentials of an Airflow user.
            token: a bearer token, in place of both.

        Raises:
            RunError: there is no Airflow, or it refuses the login.
        """
        url, login = _parted(base_url, _Login(username, password, token or None))
        told = logging.getLogger("httpx")
        if told.level == logging.NOTSET:  # 2.11 prints its line for each request, in the middle of our output
            told.setLevel(logging.WARNING)
        headers = {"Accept": "application/json"}
        if login.token is not None:
            headers["Authorization"] = f"Bearer {login.token}"
        client = httpx.Client(
            headers=headers, timeout=httpx.Timeout(TIMEOUT, connect=TIMEOUT / 3), follow_redirects=False
        )
        api = cls(url, login, client)
        if (newer := api._is_not(v2=True)) and (older := api._is_not(v2=False)):
            raise ApiError(f"{newer}; {older}", 404)
        if api.v2 and login.token is None:
            api._log_in()
        return api

    def __repr__(self) -> str:
        return f"Api({self.base_url!r}, Airflow {self.version})"

    def close(self) -> None:
        """Close the connections; this also happens when the object is no longer used."""
        self._closed()

    # -- requests

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, **params: Any) -> Any:
        """Send a request.

        Args:
            method: the method, such as ``POST``.
            path: the path below the API.
            body: what to send; None for nothing.
            **params: the query parameters.

        Returns:
            The answer; None if it is empty.

        Raises:
            ApiError: it was not done, or (``transient``) perhaps not.
        """
        return self._read(self._sent(method, path, json=body, params=params))

    def get(self, path: str, **params: Any) -> Any:
        """Get what is at a path below the API.

        Raises:
            ApiError: there is no answer.
        """
        return self.ask("GET", path, **params)

    def find(self, path: str, **params: Any) -> Any:
        """Like :meth:`get`; None if there is nothing.

        Raises:
            ApiError: there is no answer.
        """
        try:
            return self.get(path, **params)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def follow(self, path: str, **params: Any) -> Any:
        """Like :meth:`get`, for something that keeps running: it tolerates a server that is unavailable for a while.

        Raises:
            ApiError: it is refused, or the server was unavailable for too long.
        """
        backoff = Backoff(PATIENCE, 1.0)
        while True:
            try:
                return self.get(path, **params)
            except ApiError as error:
                seconds = backoff.next(error.retry_after) if error.transient else None
                if seconds is None:
                    raise
                logger.warning("%s. Retrying in %.0f s", error, seconds)
                if not pause(seconds):
                    raise

    def pages(self, path: str, key: str, **params: Any) -> list[Any]:
        """All rows of a list that comes in pages, with the patience of :meth:`follow`.

        Args:
            path: the path of the list.
            key: the key under which each page has its rows.
            params: the query parameters.

        Raises:
            ApiError: as for :meth:`follow`.
        """
        rows: list[Any] = []
        while True:
            page = self.follow(path, limit=PAGE, offset=len(rows), **params)
            rows += page[key]
            if not page[key] or len(rows) >= page["total_entries"]:
                return rows

    # -- sending

    def _sent(self, method: str, url: str, **sent: Any) -> httpx.Response:
        try:
            return self._client.request(method, url, **sent)
        except httpx.TransportError as error:
            # Only the library's text: the request attached to its error contains the credentials.
            told = f"{type(error).__name__}: {error}".rstrip(": ")
            raise ApiError(
                f"{_asked(error.request)}: no answer ({told}). Check that Airflow's API server is running and that the option "
                "'airflow_api_base_url' is its address"
            ) from None

    def _read(self, response: httpx.Response) -> Any:
        status, asked = _status(response), _asked(response.request)
        if 200 <= status < 300:
            if not response.content:
                return None
            try:
                return response.json()
            except ValueError:
                raise ApiError(f"{asked}: {_not_airflow(response)}", status) from None
        if 300 <= status < 400:
            raise ApiError(f"{asked}: {_not_airflow(response)}", status)
        detail = _detail(response)
        raise ApiError(
            f"{asked}: Airflow answered {response.status_code}{f' ({detail})' if detail else ''}{self._advice(status)}",
            status,
            _seconds(response.headers.get("Retry-After", "")),
        )

    def _advice(self, status: int) -> str:
        if status == 401:
            if self._login.token is not None:
                return ". The token is wrong or has expired: set a new one with 'airflow_token'"
            if self._login.named:
                return f". Check 'airflow_username' ({self._login.username}) and 'airflow_password'" + (
                    ""
                    if self.v2
                    else "; Airflow 2 accepts them only if its option api.auth_backends names the basic_auth backend"
                )
            return ". Set 'airflow_username' and 'airflow_password', or 'airflow_token'"
        if status == 403:
            who = f"'{self._login.username}'" if self._login.named else "this user"
            lacking = f"{who} is not allowed to do this: it needs a role that can trigger and read runs"
            # Airflow 2 gives this answer to a wrong password too.
            return f". {lacking}" if self.v2 else f"{self._advice(401)}. If they are right, {lacking}"
        return ""

    # -- logging in

    def _is_not(self, v2: bool) -> str:
        """Use a version of the API. Returns why it cannot be used; empty if it answers."""
        self.v2 = v2
        self._client.base_url = f"{self.base_url}/api/{'v2' if v2 else 'v1'}"
        if not v2 and self._login.token is None and self._login.named:
            self._client.auth = httpx.BasicAuth(self._login.username or "", self._login.password or "")
        response = self._sent("GET", "/version")
        if response.status_code in (401, 403) or response.status_code in _TRANSIENT:
            self._read(response)
        found = _json(response)
        if response.status_code == 200 and isinstance(found, dict) and isinstance(found.get("version"), str):
            self.version = found["version"]
            return ""
        return f"{response.request.url}: {_not_airflow(response)}"

    def _log_in(self) -> None:
        """Get a token, now that it is known which server receives the password."""
        url, login = f"{self.base_url}/auth/token", self._login
        body = {"username": login.username, "password": login.password} if login.named else None
        method = "POST" if login.named else "GET"
        token_of = partial(_token_of, login)
        token = token_of(self._sent(method, url, json=body))
        # No reference to this object: it would keep itself alive, and its connections open.
        self._client.auth = _TokenAuth(partial(self._client.build_request, method, url, json=body), token_of, token)


def _token_of(login: _Login, response: httpx.Response) -> str:
    url, status = response.request.url, response.status_code
    found = _json(response) if 200 <= status < 300 else None
    if isinstance(found, dict) and isinstance(found.get("access_token"), str):
        return str(found["access_token"])
    # The server's text is left out here, because it may repeat what it was sent.
    if status in _TRANSIENT:
        raise ApiError(f"{url}: Airflow answered {status}, so there is no token", status)
    if login.named:
        raise ApiError(
            f"{url}: Airflow gives no token to '{login.username}' (answer {status}). Check 'airflow_username' and "
            "'airflow_password'; if another service issues the tokens, use 'airflow_token'",
            401,
        )
    raise ApiError(
        f"{url}: Airflow gives no token without credentials (answer {status}). Set 'airflow_username' and "
        "'airflow_password', or 'airflow_token'",
        401,
    )


def _asked(request: httpx.Request) -> str:
    return f"{request.method} {request.url.copy_with(query=None)}"


def _parted(base_url: str, login: _Login) -> tuple[str, _Login]:
    """The address without its superfluous parts, and the credentials that it may contain."""
    text = base_url.strip()
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
    except httpx.InvalidURL:
        url = httpx.URL("")
    if not url.host or url.scheme not in ("http", "https") or (url.port or 0) > 65535:
        raise RunError(
            "option 'airflow_api_base_url' is not the address of a server; use the address of Airflow's user interface, such as "
            "http://localhost:8080"
        )
    if url.username and not login.named and login.token is None:
        login = _Login(url.username, url.password)
    path = url.raw_path.decode().partition("?")[0].rstrip("/")
    for ending in ("/api/v1", "/api/v2", "/home"):
        path = path.removesuffix(ending)
    return str(url.copy_with(userinfo=b"", raw_path=(path or "/").encode(), fragment=None)).rstrip("/"), login


def _not_airflow(response: httpx.Response) -> str:
    location = response.headers.get("Location", "").partition("?")[0]
    if location:
        what = f"the answer ({response.status_code}) redirects to {location}"
    elif "html" in response.headers.get("Content-Type", ""):
        what = f"a web page came back (answer {response.status_code})"
    else:
        what = f"the answer ({response.status_code}) is not Airflow's"
    return (
        f"{what}. Set 'airflow_api_base_url' to the address of Airflow's user interface, such as http://localhost:8080"
    )


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _detail(response: httpx.Response) -> str:
    """The text of an error, without the values that were sent: run variables may be secrets."""
    found = _json(response)
    detail = found.get("detail") or found.get("title") if isinstance(found, dict) else None
    if isinstance(detail, list):
        problems = [item for item in detail if isinstance(item, dict)]
        return "; ".join(
            f"{'.'.join(str(part) for part in item.get('loc', ()))}: {item.get('msg', '')}" for item in problems
        )
    if isinstance(detail, dict):
        return str(detail.get("message") or detail.get("reason") or "")
    return " ".join(str(detail).split())[:500] if detail else ""


def _status(response: httpx.Response) -> int:
    """The status; 401 for every answer that calls for a new token: a server with a new secret answers 403 to old tokens."""
    status = response.status_code
    return 401 if status == 403 and "JWT" in _detail(response) else status


def _seconds(text: str) -> float:
    return min(float(text), 60.0) if text.isdigit() else 0.0

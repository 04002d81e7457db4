"""A connection to the REST API of Airflow: version 2 (Airflow 3) or version 1 (Airflow 2.11)."""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from starlake_core import RunError

if TYPE_CHECKING:
    import httpx

__all__ = ["Api", "ApiError", "quoted"]

logger = logging.getLogger(__name__)

TIMEOUT = 30.0
"""Seconds for an answer; a third of them for the connection."""

PATIENCE = 600.0
"""Seconds that a server may be away while a run is followed."""

PAGE = 100
"""Rows asked for at once: the most that Airflow gives by default."""

_NO_ANSWER = 0
_TRANSIENT = frozenset({_NO_ANSWER, 429, 500, 502, 503, 504})


class ApiError(RunError):
    """The API did not do what it was asked for.

    Args:
        message: what was asked, what came back, what to do.
        status: of the answer; 0 if there was none.
        retry_after: seconds after which the server wants to be asked again.
    """

    def __init__(self, message: str, status: int = _NO_ANSWER, retry_after: float = 0.0) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)

    @property
    def transient(self) -> bool:
        """Whether the same question may well be answered a little later."""
        return self.status in _TRANSIENT


@dataclass(frozen=True)
class _Login:
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def named(self) -> bool:
        return bool(self.username) and self.password is not None


def quoted(part: str) -> str:
    """A text as one part of a path."""
    return quote(part, safe="")


class Api:
    """The REST API of one Airflow. Made by :meth:`connect`.

    Attributes:
        base_url: where the user interface is, without credentials and without a final slash.
        v2: whether it is version 2 of the API (Airflow 3); otherwise it is version 1 (Airflow 2).
        version: of Airflow.
    """

    def __init__(self, base_url: str, login: _Login, client: httpx.Client) -> None:
        self.base_url = base_url
        self.v2 = True
        self.version = ""
        self._login = login
        self._client = client
        self._token = login.token
        # Nobody has to think of closing it.
        self._closed = weakref.finalize(self, client.close)

    @classmethod
    def connect(
        cls, base_url: str, username: str | None = None, password: str | None = None, token: str | None = None
    ) -> Api:
        """Find out which version of the API answers, and log in.

        Args:
            base_url: where the user interface opens; credentials in it count where none are given.
            username, password: of an Airflow user.
            token: a bearer token, in place of both.

        Raises:
            RunError: there is no Airflow there, or it does not let us in.
        """
        import httpx

        url, login = _parted(base_url, _Login(username, password, token or None))
        client = httpx.Client(timeout=httpx.Timeout(TIMEOUT, connect=TIMEOUT / 3), follow_redirects=False)
        api = cls(url, login, client)
        api._find_version()
        if api.v2 and api._token is None:
            api._token = api._new_token()
        return api

    def __repr__(self) -> str:
        return f"Api({self.base_url!r}, Airflow {self.version})"

    def close(self) -> None:
        """Close the connections; an API that nobody holds any more does it by itself."""
        self._closed()

    # -- questions

    def get(self, path: str, **params: Any) -> Any:
        """What is at a path below the API.

        Raises:
            ApiError: it is not answered.
        """
        return self._asked("GET", path, params=params)

    def find(self, path: str, **params: Any) -> Any:
        """As :meth:`get`; None where there is nothing.

        Raises:
            ApiError: it is not answered.
        """
        try:
            return self.get(path, **params)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def follow(self, path: str, **params: Any) -> Any:
        """As :meth:`get`, for something that goes on: it outlasts a server that is away for a while.

        Raises:
            ApiError: it is refused, or the server was away for too long.
        """
        pause, gives_up = 1.0, 0.0
        while True:
            try:
                return self.get(path, **params)
            except ApiError as error:
                now = time.monotonic()
                gives_up = gives_up or now + PATIENCE
                if not error.transient or now >= gives_up:
                    raise
                wait = max(pause, error.retry_after)
                logger.warning("%s. Asking again in %.0f s", error, wait)
                time.sleep(wait)
                pause = min(pause * 2, 30.0)

    def pages(self, path: str, key: str, **params: Any) -> list[Any]:
        """All rows of a list that comes in pages, with the patience of :meth:`follow`.

        Args:
            path: of the list.
            key: under which each page has its rows.
            params: of the question.

        Raises:
            ApiError: as :meth:`follow`.
        """
        rows: list[Any] = []
        while True:
            page = self.follow(path, limit=PAGE, offset=len(rows), **params)
            rows += page[key]
            if not page[key] or len(rows) >= page["total_entries"]:
                return rows

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Make something.

        Raises:
            ApiError: it is not made, or (``transient``) perhaps.
        """
        return self._asked("POST", path, json=body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Change something.

        Raises:
            ApiError: it is not changed.
        """
        return self._asked("PATCH", path, json=body)

    def put(self, path: str) -> Any:
        """Ask for an action.

        Raises:
            ApiError: it is not done.
        """
        return self._asked("PUT", path)

    def delete(self, path: str) -> None:
        """Take something away.

        Raises:
            ApiError: it is still there.
        """
        self._asked("DELETE", path)

    # -- how they are asked

    def _asked(self, method: str, path: str, **sent: Any) -> Any:
        url = f"{self.base_url}/api/{'v2' if self.v2 else 'v1'}{path}"
        response = self._sent(method, url, **sent)
        if _status(response) == 401 and self.v2 and self._login.token is None:
            self._token = self._new_token()
            response = self._sent(method, url, **sent)
        return self._read(method, url, response)

    def _sent(self, method: str, url: str, *, public: bool = False, **sent: Any) -> httpx.Response:
        import httpx

        headers = {"Accept": "application/json"}
        auth = None
        if not public and self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        elif not public and not self.v2 and self._login.named:
            auth = httpx.BasicAuth(self._login.username or "", self._login.password or "")
        try:
            return self._client.request(method, url, headers=headers, auth=auth, **sent)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            # The text of the library only: the request that hangs on its error holds the credentials.
            told = f"{type(error).__name__}: {error}".rstrip(": ")
            raise ApiError(
                f"{method} {url}: no answer ({told}). Check that Airflow's API server runs and that the option "
                "'airflow_api_base_url' is its address"
            ) from None

    def _read(self, method: str, url: str, response: httpx.Response) -> Any:
        status = _status(response)
        asked = f"{method} {url}"
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
                return ". The token is wrong or has expired: give a new one with 'airflow_token'"
            if self._login.named:
                return f". Check 'airflow_username' ({self._login.username}) and 'airflow_password'" + (
                    ""
                    if self.v2
                    else "; Airflow 2 takes them only if its option api.auth_backends names the basic_auth backend"
                )
            return ". Give 'airflow_username' and 'airflow_password', or 'airflow_token'"
        if status == 403:
            who = f"'{self._login.username}'" if self._login.named else "this user"
            lacking = f"{who} may not do this: ask for a role that may trigger and read runs"
            # Airflow 2 answers so to a wrong password too.
            return f". {lacking}" if self.v2 else f"{self._advice(401)}. If they are right, {lacking}"
        return ""

    # -- getting in

    def _find_version(self) -> None:
        answers = []
        for self.v2 in (True, False):
            url = f"{self.base_url}/api/{'v2' if self.v2 else 'v1'}/version"
            response = self._sent("GET", url)
            if response.status_code in (401, 403) or response.status_code in _TRANSIENT:
                self._read("GET", url, response)
            found = _json(response)
            if response.status_code == 200 and isinstance(found, dict) and isinstance(found.get("version"), str):
                self.version = found["version"]
                return
            answers.append(f"{url}: {_not_airflow(response)}")
        raise ApiError("; ".join(answers), 404)

    def _new_token(self) -> str:
        url = f"{self.base_url}/auth/token"
        if self._login.named:
            body = {"username": self._login.username, "password": self._login.password}
            response = self._sent("POST", url, public=True, json=body)
        else:
            response = self._sent("GET", url, public=True)
        status = response.status_code
        found = _json(response) if 200 <= status < 300 else None
        if isinstance(found, dict) and isinstance(found.get("access_token"), str):
            return str(found["access_token"])
        # What the server says is left out here: it may repeat what it was sent.
        if status in _TRANSIENT:
            raise ApiError(f"{url}: Airflow answered {status}, so there is no token to work with", status)
        if self._login.named:
            raise ApiError(
                f"{url}: Airflow gives no token to '{self._login.username}' (answer {status}). Check 'airflow_username' and "
                "'airflow_password'; where another service gives out the tokens, use 'airflow_token'",
                401,
            )
        raise ApiError(
            f"{url}: Airflow gives no token without credentials (answer {status}). Give 'airflow_username' and "
            "'airflow_password', or 'airflow_token'",
            401,
        )


def _parted(base_url: str, login: _Login) -> tuple[str, _Login]:
    """The address without what does not belong to it, and the credentials that may be in it."""
    text = base_url.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or parts.scheme not in ("http", "https"):
        raise RunError(
            "option 'airflow_api_base_url' is no address of a server; it is what opens Airflow's user interface, such as "
            "http://localhost:8080"
        )
    if parts.username and not login.named and login.token is None:
        login = _Login(unquote(parts.username), unquote(parts.password or ""))
    path = parts.path.rstrip("/")
    for ending in ("/api/v1", "/api/v2", "/home"):
        path = path.removesuffix(ending)
    shown = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, f"{shown}:{port}" if port else shown, path, "", "")), login


def _not_airflow(response: httpx.Response) -> str:
    location = response.headers.get("Location", "").partition("?")[0]
    if location:
        what = f"the answer ({response.status_code}) sends us to {location}"
    elif "html" in response.headers.get("Content-Type", ""):
        what = f"a web page came back (answer {response.status_code})"
    else:
        what = f"the answer ({response.status_code}) is not Airflow's"
    return f"{what}. Set 'airflow_api_base_url' to what opens Airflow's user interface, such as http://localhost:8080"


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _detail(response: httpx.Response) -> str:
    """What an error says, without the values that were sent: run variables may be secrets."""
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
    """The status, where 401 is whatever asks for another token: a server that got a new secret answers 403 to the old ones."""
    status = response.status_code
    return 401 if status == 403 and "JWT" in _detail(response) else status


def _seconds(text: str) -> float:
    return min(float(text), 60.0) if text.isdigit() else 0.0

"""Where the services of Google Cloud are, and the account that calls them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from starlake_core import RunnerError
from starlake_core.runtime import credentials_of

from .calls import LOGIN

__all__ = ["Connection", "connect"]

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_Client = TypeVar("_Client")


@dataclass(frozen=True)
class Connection:
    """How clients are created.

    Attributes:
        credentials: credentials of Google's library; None for an endpoint without authentication.
        endpoint: the address of an emulator or a private service; empty for Google's own. ``http://host:port`` is called without
            TLS and without credentials.
    """

    credentials: Any = field(repr=False)
    endpoint: str = ""

    @property
    def plain(self) -> bool:
        """Whether the endpoint has no TLS, as an emulator."""
        return self.endpoint.startswith("http://")

    def client(self, kind: type[_Client], host: str = "") -> _Client:
        """Create a gRPC client.

        Args:
            kind: the class of the client, such as ``run_v2.JobsClient``.
            host: the address at Google, for services that have one in each region; empty for the default of the class.
        """
        make: Any = kind  # Google's clients share no type
        if self.plain:
            import grpc

            # As in the SDK's own channels: a page of a list may be long.
            sizes = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
            channel = grpc.insecure_channel(urlsplit(self.endpoint).netloc, options=sizes)
            client: _Client = make(transport=make.get_transport_class("grpc")(channel=channel))
            return client
        from google.api_core.client_options import ClientOptions

        address = self.endpoint.removeprefix("https://") or host or None
        client = make(credentials=self.credentials, client_options=ClientOptions(api_endpoint=address))
        return client


def connect(endpoint: str = "", impersonate: str = "") -> Connection:
    """Find credentials: those that the orchestrator offers, or else the default chain. Call it in ``sl_create_runner``.

    Args:
        endpoint: see :class:`Connection`.
        impersonate: the service account to impersonate; empty for none.

    Raises:
        RunnerError: there are no credentials.
    """
    offered = credentials_of("google")
    if endpoint.startswith("http://"):
        return Connection(None, endpoint.rstrip("/"))
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    found = offered
    if found is None:
        try:
            found, _ = google.auth.default(scopes=[_SCOPE])
        except GoogleAuthError as error:
            raise RunnerError(f"there are no credentials for Google Cloud ({error}). {LOGIN}.") from error
    if impersonate:
        from google.auth import impersonated_credentials

        found = impersonated_credentials.Credentials(
            source_credentials=found, target_principal=impersonate, target_scopes=[_SCOPE]
        )
    return Connection(found, endpoint.rstrip("/"))

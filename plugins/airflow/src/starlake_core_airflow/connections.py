"""Credentials from Airflow connections, for runners of cloud environments."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from starlake_core.logs import get_logger
from starlake_core.runtime import Credentials

__all__ = ["credentials_for"]

logger = get_logger(__name__)


def credentials_for(connections: Mapping[str, str]) -> Credentials | None:
    """The credentials to offer to a runner.

    Args:
        connections: maps a kind of credentials (``google``, ``aws``) to the id of the connection that has them.

    Returns:
        Credentials that are fetched when a runner needs them; None if no connection is named.
    """
    if not connections:
        return None
    name = ",".join(f"{kind}={connection}" for kind, connection in sorted(connections.items()))
    return Credentials(
        name, {kind: functools.partial(_get, kind, connection) for kind, connection in connections.items()}
    )


def _get(kind: str, connection: str) -> Any:
    try:
        return _HOOKS[kind](connection)
    except ImportError:
        logger.warning(
            "connection '%s' is not used, because its provider is not installed (pip install apache-airflow-providers-%s); using the default "
            "credentials of the SDK",
            connection,
            "amazon" if kind == "aws" else kind,
        )
        return None


def _google(connection: str) -> Any:
    from airflow.providers.google.common.hooks.base_google import GoogleBaseHook

    return GoogleBaseHook(gcp_conn_id=connection).get_credentials()


def _aws(connection: str) -> Any:
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    return AwsBaseHook(aws_conn_id=connection, client_type="sts").get_session()


_HOOKS: Mapping[str, Callable[[str], Any]] = {"google": _google, "aws": _aws}

"""Sends a message to a webhook, once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

__all__ = ["NotSent", "send"]


class NotSent(Exception):
    """A message was not sent. The text says why, without the address, which is a secret."""


class _NoRedirects(HTTPRedirectHandler):
    """A redirected POST would arrive without its content, and perhaps at somebody else."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


_opener = build_opener(_NoRedirects)


def send(url: str, message: Mapping[str, Any], timeout: float) -> None:
    """Send a message as JSON.

    Args:
        url: the address of the webhook.
        message: JSON values.
        timeout: the seconds to wait for the connection, and again for the answer.

    Raises:
        NotSent: the webhook did not accept it.
    """
    if not url:
        raise NotSent("no webhook is known; set the option notify_url, or SL_NOTIFY_URL where the worker runs")
    if url.startswith("${var:"):
        raise NotSent(f"the variable of {url} is not set; set it in the orchestrator's variable store")
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError
        request = Request(
            url, json.dumps(message, ensure_ascii=True).encode(), {"Content-Type": "application/json; charset=utf-8"}
        )
    except ValueError:
        raise NotSent("notify_url is not an address; use https://HOST/PATH") from None
    try:
        with _opener.open(request, timeout=timeout) as answer:
            answer.read(1)
    except HTTPError as error:
        error.close()
        hint = "; give the address to which it redirects" if 300 <= error.code < 400 else ""
        raise NotSent(f"the webhook at {parts.hostname} answered {error.code} {error.reason}{hint}") from None
    except (OSError, HTTPException, ValueError) as error:
        why = str(getattr(error, "reason", "") or error).replace(url, "the address")
        raise NotSent(f"the webhook at {parts.hostname} does not answer ({type(error).__name__}: {why})") from None

"""Messages between a run and an engine: JSON objects, each after its length."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

__all__ = ["receive", "send"]

_LENGTH = struct.Struct(">I")
_LARGEST = 64 * 1024 * 1024


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send a message. Only one thread at a time may send.

    Raises:
        OSError: the other side is gone, or the message is too large.
    """
    content = json.dumps(message, separators=(",", ":")).encode("ascii")
    if len(content) > _LARGEST:
        raise OSError(f"a message of {len(content)} bytes is too large")
    connection.sendall(_LENGTH.pack(len(content)) + content)


def receive(connection: socket.socket) -> dict[str, Any] | None:
    """Wait for a message; None if the other side has closed the connection.

    Raises:
        OSError: the other side is gone, or sends something else.
    """
    head = _exactly(connection, _LENGTH.size)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > _LARGEST:
        raise OSError(f"a message of {length} bytes is too large")
    content = _exactly(connection, length)
    if content is None:
        return None
    try:
        message = json.loads(content)
    except ValueError as error:
        raise OSError(f"a message is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise OSError("a message is not a JSON object")
    return message


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(min(count - len(parts), 1 << 16))
        if not part:
            return None
        parts += part
    return bytes(parts)

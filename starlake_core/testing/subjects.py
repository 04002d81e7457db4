"""The subject of a command: the name by which tests script the fakes."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["subject"]


def subject(arguments: Sequence[str]) -> str:
    """Return what an argument vector is about. This never fails, even for the vectors of a broken plugin.

    >>> subject(["load", "--domains", "sales", "--tables", "orders"])
    'load:sales.orders'
    >>> subject(["preload", "--domain", "sales", "--strategy", "pending"])
    'preload:sales'
    >>> subject(["transform", "--name", "kpi.revenue"])
    'transform:kpi.revenue'

    Args:
        arguments: the command and its arguments.
    """
    if not arguments:
        return ""

    def value(flag: str) -> str:
        for index, word in enumerate(arguments):
            if word == flag and index + 1 < len(arguments):
                return arguments[index + 1]
        return ""

    name = arguments[0]
    if name == "load":
        return f"load:{value('--domains')}.{value('--tables')}"
    about = value("--name") or value("--domain") or value("--domains")
    return f"{name}:{about}" if about else name

"""Adds fields that identify the attempt to log records.

While an attempt is started, waited for or finished, the loggers of the core and its plugins add fields to each record.
A formatter can show them by name, such as ``%(starlake_task)s``, and handlers that write JSON keep them. Use
:func:`get_logger` in a plugin to add them to its records too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

__all__ = ["get_logger", "log_fields"]

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter

_fields: ContextVar[Mapping[str, str]] = ContextVar("starlake_core_log_fields")


class _Logger(_Adapter):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, {**kwargs, "extra": {**_fields.get({}), **(kwargs.get("extra") or {})}}


def get_logger(name: str) -> _Adapter:
    """Return the logger of a module, like :func:`logging.getLogger`. Its records have the fields of :func:`log_fields`.

    Args:
        name: the name of the module.
    """
    return _Logger(logging.getLogger(name), {})


@contextmanager
def log_fields(**fields: str) -> Iterator[None]:
    """In this block, add fields to the log records of this thread.

    Args:
        ***fields: names and values; they are added to those of outer blocks.
    """
    token = _fields.set({**_fields.get({}), **fields})
    try:
        yield
    finally:
        _fields.reset(token)

"""Log records that say which attempt they are about.

The loggers of the core and its plugins add fields to each record while an attempt is started, waited for or finished. A formatter shows them by
name, ``%(starlake_task)s``, and handlers that write JSON keep them; use :func:`get_logger` to have them in a plugin's records too.
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
    """The logger of a module, as :func:`logging.getLogger` gives it, whose records have the fields of :func:`log_fields`.

    Args:
        name: of the module.
    """
    return _Logger(logging.getLogger(name), {})


@contextmanager
def log_fields(**fields: str) -> Iterator[None]:
    """While this block is open, records of this thread have some fields.

    Args:
        **fields: name and value; an outer block's stay, where the names differ.
    """
    token = _fields.set({**_fields.get({}), **fields})
    try:
        yield
    finally:
        _fields.reset(token)

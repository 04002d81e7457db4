"""The orchestrator ``dagster``: ``from starlake_core_dagster import definitions``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .executor import thread_executor
    from .loading import definitions
    from .translator import StarlakeTranslator, TranslatedAsset, TranslatedCheck

__all__ = ["StarlakeTranslator", "TranslatedAsset", "TranslatedCheck", "definitions", "thread_executor"]

_PLACES = {
    "StarlakeTranslator": "translator",
    "TranslatedAsset": "translator",
    "TranslatedCheck": "translator",
    "definitions": "loading",
    "thread_executor": "executor",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: finding the plugin must not import Dagster."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_PLACES[name]}", __name__), name)

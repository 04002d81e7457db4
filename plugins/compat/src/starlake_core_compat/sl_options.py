"""Merges the variables that several events carry, under its old name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlake_core import RunError
from starlake_core.model.run_options import Carried, merge, read_policies

__all__ = ["merge_sl_options"]

Carrier = tuple[Any, Any, Any]
"""An event, its ``sl_options`` and its ``sl_options_merge``."""


def merge_sl_options(
    carriers: Iterable[Carrier], origin: str = "", recovery: str = "", superseded: Iterable[Carrier] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The variables of several events as those of one run.

    Args:
        carriers: the events.
        origin: what they are; the message names each of them.
        recovery: how to recover from a conflict, for the message.
        superseded: events that a later one of the same dataset followed.

    Returns:
        The sections, and the policies of the names in them.

    Raises:
        ValueError: two events disagree, or a policy cannot be read.
    """
    try:
        found = [_carried(one, False) for one in carriers or ()] + [_carried(one, True) for one in superseded or ()]
        return merge(found, recovery)
    except RunError as error:
        raise ValueError(f"{origin}: {error}" if origin else str(error)) from None


def _carried(carrier: Carrier, superseded: bool) -> Carried:
    source, given, policies = carrier
    sections = given if isinstance(given, dict) else {}
    kept = {name: values for name, values in sections.items() if isinstance(values, dict)}
    return Carried(str(source), kept, read_policies(policies, f"sl_options_merge of {source}"), superseded)

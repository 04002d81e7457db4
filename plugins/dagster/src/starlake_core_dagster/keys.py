"""Turns datasets into Dagster's asset keys."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from dagster import AssetKey

from starlake_core import StarlakeDataset

__all__ = ["asset_key"]


def asset_key(dataset: StarlakeDataset, prefix: Sequence[str] = ()) -> AssetKey:
    """The asset key of a dataset: ``[domain, table]`` for a table, the parts of its URI for anything else.

    Args:
        dataset: the dataset; the case of its name does not matter, as everywhere.
        prefix: further parts before it.
    """
    scheme, separator, rest = dataset.identity.partition("://")
    if not separator:
        return AssetKey([*prefix, dataset.identity])
    parts = [unquote(part) for part in rest.split("/") if part]
    return AssetKey([*prefix, *parts] if scheme == "starlake" else [*prefix, scheme, *parts])

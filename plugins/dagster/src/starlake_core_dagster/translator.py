"""How a task becomes the description of an asset, for those who want another one."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster import AssetCheckSpec, AssetKey, AssetSpec

from starlake_core import Check, Pipeline, StarlakeDataset, StarlakeError, Task

from .keys import asset_key
from .options import DagsterOptions

__all__ = [
    "StarlakeTranslator",
    "TranslatedAsset",
    "TranslatedCheck",
    "asked",
    "key_of",
    "translated_by",
    "translator_of",
]


@dataclass(frozen=True)
class TranslatedAsset:
    """What an asset is created from.

    Attributes:
        pipeline: the pipeline that produces it.
        task: the task that produces it; None for a step that only waits for a wide group.
        dataset: what it produces; None for a task without a dataset.
        spec: the default description.
    """

    pipeline: Pipeline
    task: Task | None
    dataset: StarlakeDataset | None
    spec: AssetSpec


@dataclass(frozen=True)
class TranslatedCheck:
    """What a check of an asset is created from.

    Attributes:
        pipeline: the pipeline that produces the asset.
        task: the task that produces it, and checks it.
        check: the condition in the project; None for the check whether rows were rejected.
        spec: the default description.
    """

    pipeline: Pipeline
    task: Task
    check: Check | None
    spec: AssetCheckSpec


class StarlakeTranslator:
    """Turns tasks into descriptions of assets. Override a method, and call ``super()`` for the default.

    Example:
        >>> class Mine(StarlakeTranslator):
        ...     def get_asset_spec(self, asset):
        ...         spec = super().get_asset_spec(asset)
        ...         return spec.replace_attributes(owners=["team:bi"]) if asset.task else spec
    """

    def get_asset_key(self, dataset: StarlakeDataset, pipeline: Pipeline) -> AssetKey:
        """The key of the asset of a dataset, whether a pipeline produces, reads or waits for it. It must be the same in all pipelines.

        Args:
            dataset: the dataset.
            pipeline: a pipeline that has to do with it.
        """
        return asset_key(dataset, pipeline.options[DagsterOptions].asset_key_prefix)

    def get_asset_spec(self, asset: TranslatedAsset) -> AssetSpec:
        """The description of an asset: group, owners, tags, kinds, dependencies, automation condition, freshness, partitions, metadata.

        Args:
            asset: what it is created from.

        Returns:
            A description with the same key.
        """
        return asset.spec

    def get_asset_check_spec(self, check: TranslatedCheck) -> AssetCheckSpec | None:
        """The description of a check of an asset: name, description, metadata, whether it is blocking.

        A blocking check with the severity *error* that does not pass fails the step, so that nothing after it runs; if the step has retries, it is
        not repeated, because its rows are written.

        Args:
            check: what it is created from.

        Returns:
            A description for the same asset; None for no check.
        """
        return check.spec


_translating: ContextVar[StarlakeTranslator | None] = ContextVar("starlake_core_dagster_translating", default=None)


@contextmanager
def translated_by(translator: StarlakeTranslator | None) -> Iterator[None]:
    """In this block, pipelines without a translator of their own have this one.

    Args:
        translator: the translator; None for the default.
    """
    token = _translating.set(translator)
    try:
        yield
    finally:
        _translating.reset(token)


_DEFAULT = StarlakeTranslator()


def key_of(translator: StarlakeTranslator, dataset: StarlakeDataset, pipeline: Pipeline) -> AssetKey:
    """The key of the asset of a dataset, as a translator says.

    Args:
        translator: the translator.
        dataset: the dataset.
        pipeline: a pipeline that has to do with it.

    Raises:
        StarlakeError: it returns something else.
    """
    key = asked(translator, "get_asset_key", dataset.uri, dataset, pipeline)
    if not isinstance(key, AssetKey):
        raise StarlakeError(
            f"get_asset_key() of {type(translator).__name__} returned {key!r} for {dataset.uri}; return an AssetKey, such as "
            'AssetKey(["sales", "orders"])'
        )
    return key


def translator_of(pipeline: Pipeline) -> StarlakeTranslator:
    """The translator of a pipeline: its own, or that of the definitions that it is loaded for.

    Args:
        pipeline: the pipeline.

    Raises:
        StarlakeError: it is something else.
    """
    found = pipeline.native_options.get("translator") or _translating.get() or _DEFAULT
    if not isinstance(found, StarlakeTranslator):
        raise StarlakeError(
            f"{found!r} is not a valid value for the keyword 'translator' of pipeline {pipeline.id}; it takes an instance of a subclass of "
            "starlake_core_dagster.StarlakeTranslator"
        )
    return found


def asked(translator: StarlakeTranslator, method: str, about: str, *arguments: Any) -> Any:
    """What a method of a translator returns.

    Args:
        translator: the translator.
        method: the name of the method.
        about: what it is asked about, for messages.
        *arguments: what the method takes.

    Raises:
        StarlakeError: the method raised something; the message names the line of the user's code.
    """
    try:
        return getattr(translator, method)(*arguments)
    except StarlakeError:
        raise
    except Exception as error:
        code = getattr(getattr(type(translator), method), "__code__", None)
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame.lineno for frame in frames if code is not None and frame.filename == code.co_filename]
        place = f" ({Path(code.co_filename).name}, line {own[-1] if own else code.co_firstlineno})" if code else ""
        raise StarlakeError(
            f"{method}() of {type(translator).__name__} failed for {about}: {type(error).__name__}: {error}{place}"
        ) from error

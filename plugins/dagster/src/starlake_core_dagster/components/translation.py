"""The attribute ``translation`` of the components."""

from __future__ import annotations

from typing import Any

from dagster import AssetKey, AssetSpec
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver

from starlake_core import Pipeline, StarlakeDataset, StarlakeError

from ..translator import StarlakeTranslator, TranslatedAsset

__all__ = ["AttributeTranslator", "TranslatorResolver"]

_OF_KEYS = ("key", "key_prefix")


class AttributeTranslator(StarlakeTranslator):
    """Applies the attribute ``translation`` of a component.

    Args:
        describe: applies all of it to the description of an asset.
        rename: applies what concerns the key; None if nothing does.
    """

    def __init__(
        self, describe: TranslationFn[TranslatedAsset], rename: TranslationFn[TranslatedAsset] | None = None
    ) -> None:
        self._describe = describe
        self._rename = rename
        self._known: dict[AssetKey, StarlakeDataset] = {}
        self.failure: StarlakeError | None = None
        """Why it could not be applied. Where pipelines with faults are left out, this must not be one of their faults."""

    def get_asset_key(self, dataset: StarlakeDataset, pipeline: Pipeline) -> AssetKey:
        """See :class:`..translator.StarlakeTranslator`."""
        key = super().get_asset_key(dataset, pipeline)
        if self._rename is None:
            return key
        spec = AssetSpec(key)
        found = self._applied(self._rename, TranslatedAsset(pipeline, None, dataset, spec)).key
        other = self._known.setdefault(found, dataset)
        if other != dataset:
            self.failure = StarlakeError(
                f"the attribute 'translation' gives {other.uri} and {dataset.uri} the same key {found.to_user_string()}: let it depend on the "
                "dataset, as {{ dataset.sink }} does, or write key_prefix instead of key"
            )
            raise self.failure
        return found

    def get_asset_spec(self, asset: TranslatedAsset) -> AssetSpec:
        """See :class:`..translator.StarlakeTranslator`."""
        spec = self._applied(self._describe, asset)
        # The description comes with its key, to which a prefix would be added once more.
        return spec if self._rename is None else spec.replace_attributes(key=asset.spec.key)

    def _applied(self, translate: TranslationFn[TranslatedAsset], asset: TranslatedAsset) -> AssetSpec:
        try:
            return translate(asset.spec, asset)
        except Exception as error:
            said = " ".join(str(error).split()).rstrip(".")
            lacks = asset.task is None or asset.dataset is None or not asset.dataset.sink
            hint = (
                ". Some assets have no dataset or no task: {{ dataset.sink if dataset else 'other' }}" if lacks else ""
            )
            self.failure = StarlakeError(
                f"the attribute 'translation' cannot be applied to {asset.spec.key.to_user_string()} of pipeline {asset.pipeline.id}: {said}{hint}"
            )
            raise self.failure from error


def _template(asset: TranslatedAsset) -> dict[str, Any]:
    return {"task": asset.task, "dataset": asset.dataset, "pipeline": asset.pipeline}


class TranslatorResolver(TranslationFnResolver[TranslatedAsset]):
    """Makes a translator of the attribute, as Dagster's own components make a function of theirs."""

    def __init__(self) -> None:
        super().__init__(_template)
        translate = self.fn.callable

        def resolve(context: Any, model: Any) -> AttributeTranslator | None:
            if model is None:
                return None
            given = {} if isinstance(model, str) else {name: getattr(model, name, None) for name in _OF_KEYS}
            own = {name: value for name, value in given.items() if value is not None}
            return AttributeTranslator(
                translate(context, model), translate(context, type(model)(**own)) if own else None
            )

        self.fn.callable = resolve

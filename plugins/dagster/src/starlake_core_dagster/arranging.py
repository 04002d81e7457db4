"""Arranges several pipelines in one code location: which of them defines an asset, and which form its definitions have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dagster import AssetKey

from starlake_core.logs import get_logger

from .form import Form
from .forms import MOST_IN_A_ROW
from .pipeline import DagsterPipeline
from .units import circles, longest_path

__all__ = ["Arrangement", "arranged"]

logger = get_logger(__name__)


@dataclass(frozen=True)
class Arrangement:
    """How pipelines share a code location.

    Attributes:
        owners: the pipeline that defines each asset: the first that produces it.
        forms: the form of the definitions of each pipeline, in the given order.
        notes: sentences for the user.
    """

    owners: Mapping[AssetKey, DagsterPipeline]
    forms: Mapping[DagsterPipeline, Form]
    notes: Sequence[str]


def arranged(pipelines: Sequence[DagsterPipeline]) -> Arrangement:
    """Arrange pipelines.

    Args:
        pipelines: rendered pipelines.
    """
    owners: dict[AssetKey, DagsterPipeline] = {}
    for pipeline in pipelines:
        for key in pipeline.keys:
            owners.setdefault(key, pipeline)
    elsewhere = {p: frozenset(key for key in p.keys if owners[key] is not p) for p in pipelines}
    unordered: dict[DagsterPipeline, set[AssetKey]] = {p: set() for p in pipelines}
    one: dict[DagsterPipeline, bool] = dict.fromkeys(pipelines, False)
    notes: list[str] = []
    for pipeline in pipelines:
        form = pipeline.form(elsewhere[pipeline])
        if form.keys and not form.each:
            notes.append(_in_a_row(pipeline))
    while True:
        forms = {p: p.form(elsewhere[p], unordered[p], one[p]) for p in pipelines}
        edges, places = _edges(forms)
        rounds = circles(edges)
        if rounds:
            for circle in rounds:
                _untie(circle, places, unordered, notes)
            continue
        if longest_path(edges) <= MOST_IN_A_ROW:
            notes.extend(sentence for form in forms.values() for sentence in form.limits(owners.keys()))
            for note in notes:
                logger.info("%s", note)
            return Arrangement(owners, forms, notes)
        longest = max((p for p in pipelines if forms[p].each), key=lambda p: longest_path(_edges({p: forms[p]})[0]))
        one[longest] = True
        notes.append(_in_a_row(longest))


def _in_a_row(pipeline: DagsterPipeline) -> str:
    return (
        f"the assets of pipeline {pipeline.pipeline.id} are one definition, because more than {MOST_IN_A_ROW} would wait for each other in a row, "
        "which Dagster cannot load: a blocking check stops none of its tasks, and no asset of others can stand between them. To avoid that, "
        "split the pipeline"
    )


def _edges(
    forms: Mapping[DagsterPipeline, Form],
) -> tuple[dict[str, dict[str, None]], dict[str, tuple[DagsterPipeline, list[AssetKey], list[AssetKey]]]]:
    """The definitions before each definition, and what each makes and waits for."""
    places: dict[str, tuple[DagsterPipeline, list[AssetKey], list[AssetKey]]] = {}
    maker: dict[AssetKey, str] = {}
    for pipeline, form in forms.items():
        for number, (made, read) in enumerate(form.waits()):
            name = f"{pipeline.name}/{number}"
            places[name] = pipeline, made, read
            maker.update((key, name) for key in made)
    edges = {
        name: {maker[key]: None for key in read if key in maker and maker[key] != name}
        for name, (_, _, read) in places.items()
    }
    return edges, places


def _untie(
    circle: Sequence[str],
    places: Mapping[str, tuple[DagsterPipeline, list[AssetKey], list[AssetKey]]],
    unordered: Mapping[DagsterPipeline, set[AssetKey]],
    notes: list[str],
) -> None:
    """Let one definition of a circle not wait for what another pipeline of it makes.

    A definition cannot be both before and after another one. The lineage is the same; a run of *both* does not order the two.
    """
    made = {key: places[name][0] for name in circle for key in places[name][1]}
    for name in circle:
        pipeline, _, read = places[name]
        left = [key for key in read if made.get(key, pipeline) is not pipeline]
        if left:
            unordered[pipeline].update(left)
            notes.append(
                f"pipeline {pipeline.pipeline.id} reads {', '.join(key.to_user_string() for key in left)}, which is made from what the same step or "
                "graph of it makes: one run that materialises assets of both pipelines does not order the two"
            )
            return
    raise AssertionError(f"the definitions {circle} of one pipeline are before and after each other")

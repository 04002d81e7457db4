"""Which form the definitions of a pipeline have."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dagster import AssetKey

from .form import Form
from .one_graph import OneGraph
from .render_context import RenderContext
from .unit_form import UnitForm

__all__ = ["MOST_IN_A_ROW", "form_of"]

MOST_IN_A_ROW = 900
"""How many definitions may wait for each other in a row: Dagster recurses along them, and Python allows a thousand."""


def form_of(
    context: RenderContext,
    theirs: Mapping[str, str],
    elsewhere: Collection[AssetKey] = (),
    unordered: Collection[AssetKey] = (),
    *,
    one: bool = False,
) -> Form:
    """The form of the definitions of a pipeline: units, or one graph if it has no assets or too many in a row.

    Args:
        context: what the tasks of the pipeline share.
        theirs: maps the path of each op that is not ours to the name of its output.
        elsewhere: assets that another pipeline defines.
        unordered: assets that it reads, but does not wait for in a run.
        one: whether it has to be one graph.
    """
    if not one:
        units = UnitForm(context, theirs, elsewhere, unordered)
        if units.outputs and units.units.depth <= MOST_IN_A_ROW:
            return units
    return OneGraph(context, theirs, elsewhere, unordered)

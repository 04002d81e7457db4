"""Which outputs of the steps of a pipeline are assets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from dagster import AssetKey

from starlake_core import StarlakeDataset, Task

from .op_graph import Flat

__all__ = ["RESULT", "VERDICT", "AssetOutput", "defined", "outputs_of"]

RESULT = "result"
"""The output that the steps after a step wait for; missing if they are to be skipped."""
VERDICT = "verdict"
"""The output of a check that exists whether or not it is ready."""


@dataclass(frozen=True)
class AssetOutput:
    """Something that a step produces.

    Attributes:
        path: the path of its task.
        output: the name of the output of the op.
        key: the key of the asset.
        dataset: the dataset; None for a task without one that is an asset because Dagster would leave it out, or could not wait for it.
    """

    path: str
    output: str
    key: AssetKey
    dataset: StarlakeDataset | None = None


def outputs_of(
    path: str, task: Task, key_of: Callable[[StarlakeDataset], AssetKey], first: str
) -> tuple[AssetOutput, ...]:
    """What a task produces.

    Args:
        path: the path of the task.
        task: the task.
        key_of: tells the key of a dataset.
        first: the name of its first output.
    """
    return tuple(
        AssetOutput(path, first if number == 1 else f"{first}_{number}", key_of(dataset), dataset)
        for number, dataset in enumerate(task.outlets, 1)
    )


def defined(
    flat: Flat,
    produces: Mapping[str, Sequence[AssetOutput]],
    theirs: Mapping[str, str],
    place: Sequence[str],
    elsewhere: Collection[AssetKey],
    each: bool,
) -> list[AssetOutput]:
    """Every asset that a pipeline defines; empty if none of its tasks has a dataset.

    Dagster leaves out what leads to no asset, so a last task without a dataset is an asset itself.

    Args:
        flat: the pipeline without its groups.
        produces: maps the paths of tasks to what they emit.
        theirs: maps the path of each op that is not ours to the name of its output.
        place: the first parts of the key of a task without a dataset.
        elsewhere: assets that another pipeline defines.
        each: whether the assets have a definition each. Then what waits for a wide group is an asset too, and so is every table of a step for
            several tables: only an asset of its own is waited for and asked for.
    """
    found: list[AssetOutput] = []
    taken = set(elsewhere)
    ours = {produced.key for every in produces.values() for produced in every}
    last = set(flat.tasks)
    for path in flat.tasks:
        for before in flat.befores[path]:
            last.difference_update(flat.joins.get(before, (before,)))

    def add(path: str, output: str) -> None:
        key = AssetKey([*place, flat.names[path]])
        while key in taken or key in ours:
            key = AssetKey([*key.path, "done"])
        taken.add(key)
        found.append(AssetOutput(path, output, key))

    for path in flat.tasks:
        # What a second task of the pipeline produces again is the asset of the first; the second records its materialisations.
        here = [produced for produced in produces.get(path, ()) if produced.key not in taken]
        taken.update(produced.key for produced in here)
        if path in theirs:  # has one output, with any name
            here = [replace(produced, output=theirs[path]) for produced in here]
        found.extend(here)
        if not here and (path in last or (each and path in flat.merged)):
            add(path, theirs.get(path) or (produces[path][0].output if path in produces else RESULT))
    if not any(produced.dataset is not None for produced in found):
        return []
    for path in flat.joins if each else ():
        add(path, RESULT)
    return found

"""The datasets of a lineage: those that its nodes write, and those that start a pipeline."""

from __future__ import annotations

from ..model.dataset import DatasetTrigger, StarlakeDataset
from ..model.lineage import StarlakeDependencies, StarlakeDependency
from ..model.schedule import cron_frequency
from ..options import GeneralOptions, Options

__all__ = ["node_dataset", "own_nodes", "start_of"]


def own_nodes(lineage: StarlakeDependencies, options: Options) -> list[str]:
    """Return the nodes that run in the pipeline, upstream nodes first.

    Args:
        lineage: the lineage of the pipeline.
        options: the typed options.
    """
    if options[GeneralOptions].run_dependencies_first:
        return list(lineage.nodes)
    roots = set(lineage.roots)
    return [name for name in lineage.nodes if name in roots]


def node_dataset(node: StarlakeDependency, options: Options) -> StarlakeDataset:
    """Return the dataset that a node of the lineage writes."""
    domain, _, table = node.sink.partition(".")
    return StarlakeDataset.table(
        domain, table, style=options[GeneralOptions].dataset_style, cron=node.cron, freshness=node.freshness
    )


def start_of(lineage: StarlakeDependencies, options: Options) -> tuple[str | None, DatasetTrigger | None]:
    """Return what starts a pipeline with a lineage and no cron expression.

    Args:
        lineage: the lineage of the pipeline.
        options: the typed options.

    Returns:
        A cron expression (that of the options or, without upstream datasets, the most frequent one in the lineage, so
        that no data waits longer than necessary); or the upstream datasets that start it, with the least frequent of
        their cron expressions as the cycle in which all are expected.
    """
    general = options[GeneralOptions]
    if general.cron:
        return general.cron, None
    period = general.cron_period_frequency

    def frequency(cron: str) -> tuple[float, str]:
        return cron_frequency(cron, period), cron

    own = set(own_nodes(lineage, options))
    filtered = {name.lower() for name in general.filtered_datasets}
    outside = {parent for name in own for parent in lineage.upstream[name] if parent not in own}
    nodes = [lineage.nodes[name] for name in sorted(outside)]
    nodes = [node for node in nodes if not {node.name.lower(), node.sink.lower()} & filtered]
    if nodes:
        datasets = sorted({node_dataset(node, options) for node in nodes}, key=lambda dataset: dataset.uri)
        policies = {lineage.nodes[name].dataset_triggering_strategy for name in own} - {None}
        policy = policies.pop() if len(policies) == 1 else general.dataset_triggering_strategy
        crons = sorted({node.cron for node in nodes if node.cron}, key=frequency)
        return None, DatasetTrigger(tuple(datasets), str(policy).lower(), crons[0] if crons else None)
    crons = sorted({cron for cron in (lineage.nodes[name].cron for name in own) if cron}, key=frequency)
    return (crons[-1] if crons else None), None

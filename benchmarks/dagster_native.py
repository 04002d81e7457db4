"""The same pipelines as written by hand for Dagster, as a baseline.

There are three forms. ``units`` is the form that the plugin creates: an op per table, and a graph where a check stands before it.
``assets`` and ``multi_assets`` have one decorated function per table, and assets for the check and the import of a
domain. In these two, a table waits for assets, and a check that is not ready also skips the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any

from dagster import (
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    AssetSpec,
    DefaultScheduleStatus,
    Definitions,
    DependencyDefinition,
    GraphDefinition,
    In,
    InputMapping,
    MultiDependencyDefinition,
    NodeInvocation,
    Nothing,
    OpDefinition,
    Out,
    Output,
    OutputMapping,
    RetryPolicy,
    TimeWindowPartitionsDefinition,
    asset,
    build_schedule_from_partitioned_job,
    define_asset_job,
    multi_asset,
)

CRON = "0 0 * * *"
RETRIES = RetryPolicy(max_retries=1, delay=300)
DATES = "--scheduledDate ${sl_scheduled_date}"
INTERVAL = (
    "sl_data_interval_start='${sl_data_interval_start}',sl_data_interval_end='${sl_data_interval_end}',"
    "sl_start_date=${sl_data_interval_start},sl_end_date=${sl_data_interval_end}"
)
WAITS = In(Nothing)
MAYBE = Out(Nothing, is_required=False)


def partitions() -> TimeWindowPartitionsDefinition:
    """One a day."""
    return TimeWindowPartitionsDefinition(
        start=datetime(2024, 1, 1, tzinfo=timezone.utc),
        fmt="%Y-%m-%dT%H:%M:%S%z",
        cron_schedule=CRON,
        timezone="UTC",
    )


def shell(command: str) -> Callable[[Any, Any], Iterator[Any]]:
    """The body of an op that runs a command."""

    def run(step: Any, inputs: Any) -> Iterator[Any]:
        import subprocess

        subprocess.run(command, shell=True, check=True)  # noqa: S602 - never called here
        yield Output(None, "result")

    return run


def ends(step: Any, inputs: Any) -> Iterator[Any]:
    """The body of an op that does nothing."""
    yield Output(None, "result")


def about(sentence: str, command: str) -> str:
    """The description of what runs a command."""
    return f"{sentence} Environment: shell.\n\n```\n{command}\n```"


def gathered(
    name: str, made: Sequence[Any], keys: Sequence[AssetKey], tags: Mapping[str, str], between: bool = False
) -> Definitions:
    """Return the definitions with a job for all assets, and what is between them if that is wanted, and its schedule."""
    mark = {"starlake/pipeline": name}
    own = AssetSelection.assets(*keys)
    selection = own | (own.downstream() & own.upstream()) if between else own
    job = define_asset_job(name, selection=selection, tags={**mark, **tags}, run_tags=mark)
    schedule = build_schedule_from_partitioned_job(
        job, name=f"{name}_schedule", default_status=DefaultScheduleStatus.RUNNING
    )
    return Definitions(assets=made, jobs=[job], schedules=[schedule])


class _Units:
    """Definitions that grow one by one: an op for each table, and a graph where a step without a table stands before it."""

    def __init__(self, name: str, tags: Mapping[str, str]) -> None:
        self.name = name
        self.tags = tags
        self.partitions = partitions()
        self.made: list[AssetsDefinition] = []
        self.keys: list[AssetKey] = []

    def op(
        self,
        name: str,
        ins: Sequence[str] = (),
        command: str = "",
        about: str = "Does nothing by itself.",
        *,
        tags: Mapping[str, str] | None = None,
        verdict: bool = False,
    ) -> OpDefinition:
        return OpDefinition(
            compute_fn=shell(command) if command else ends,
            name=f"{self.name}__{name}",
            ins=dict.fromkeys(ins, WAITS),
            outs={"result": MAYBE, "verdict": MAYBE} if verdict else {"result": MAYBE},
            description=about,
            tags=tags,
            retry_policy=RETRIES if command else None,
        )

    def single(self, op: OpDefinition, spec: AssetSpec) -> None:
        self.keys.append(spec.key)
        self.made.append(
            AssetsDefinition(
                node_def=op,
                keys_by_input_name={read(dep.asset_key): dep.asset_key for dep in spec.deps},
                keys_by_output_name={"result": spec.key},
                specs=[spec],
            )
        )

    def graph(
        self,
        name: str,
        nodes: Sequence[tuple[str, OpDefinition, dict[str, Any]]],
        outputs: Mapping[str, AssetSpec],
        inputs: Mapping[AssetKey, str] = MappingProxyType({}),
    ) -> None:
        self.keys += [spec.key for spec in outputs.values()]
        made = GraphDefinition(
            name=f"{self.name}__{name}__steps",
            node_defs=[op for _, op, _ in nodes],
            dependencies={NodeInvocation(op.name, alias=alias): ins for alias, op, ins in nodes},
            input_mappings=[
                InputMapping(graph_input_name=read(key), mapped_node_name=node, mapped_node_input_name=read(key))
                for key, node in inputs.items()
            ],
            output_mappings=[
                OutputMapping(graph_output_name=node, mapped_node_name=node, mapped_node_output_name="result")
                for node in outputs
            ],
        )
        self.made.append(
            AssetsDefinition(
                node_def=made,
                keys_by_input_name={read(key): key for key in inputs},
                keys_by_output_name={node: spec.key for node, spec in outputs.items()},
                specs=list(outputs.values()),
                can_subset=True,
            )
        )

    def definitions(self) -> Definitions:
        return gathered(self.name, self.made, self.keys, self.tags, between=True)


def read(key: AssetKey) -> str:
    """The name of the input for an asset."""
    return f"reads_{'__'.join(key.path)}"


def _end_spec(
    name: str, task: str, deps: Sequence[AssetKey], tags: Mapping[str, str], window: Any, **more: Any
) -> AssetSpec:
    return AssetSpec(
        key=AssetKey([name]),
        deps=deps,
        description="Ends the pipeline.",
        group_name=name,
        kinds={"starlake"},
        tags=tags,
        metadata={"pipeline": name, "task": task, "sl_uri": name, "sl_cron": CRON},
        partitions_def=window,
        **more,
    )


def _table_metadata(domain: str, table: str, command: str) -> dict[str, str]:
    return {
        "pipeline": "load_daily",
        "task": f"{domain}_daily.load_{domain}_daily.load_{domain}_{table}",
        "command": command,
        "environment": "shell",
        "sl_uri": f"starlake://{domain}/{table}",
        "sl_cron": CRON,
    }


def _names(domains: int, tables: int) -> tuple[list[str], list[str], dict[str, str]]:
    names = [f"d{n}" for n in range(domains)]
    return names, [f"t{n:05}" for n in range(tables)], dict.fromkeys(names, "")


def _preload(domain: str, tables: str) -> tuple[str, str]:
    command = f"starlake preload --domain {domain} --tables {tables} --strategy imported"
    return command, about(
        f"Checks whether the domain `{domain}` is ready; if it is not, its loads are skipped.", command
    )


def _stage(domain: str, tables: str) -> tuple[str, str]:
    command = f"starlake stage --domains {domain} --tables {tables}"
    return command, about(f"Moves the incoming files of the domain `{domain}` to where they are loaded from.", command)


def _load(domain: str, table: str) -> tuple[str, str]:
    command = f"starlake load {DATES} --domains {domain} --tables {table}"
    return command, about(f"Loads the table `{table}` of the domain `{domain}`.", command)


def units(domains: int, tables: int) -> Definitions:
    """For each domain a graph of a check, an import and one load per table; an end behind them."""
    names, table_names, tags = _names(domains, tables)
    made = _Units("load_daily", tags)
    joined = ",".join(table_names)
    for domain in names:
        check, move = f"check_{domain}_incoming_files", f"import_{domain}_daily"
        group = {"starlake/group": f"{domain}_daily.pre_load_{domain}_daily"}
        nodes: list[tuple[str, OpDefinition, dict[str, Any]]] = []
        nodes.append((check, made.op(check, (), *_preload(domain, joined), tags=group, verdict=True), {}))
        after, verdict = f"after_{check}", "verdict_of"
        waits = {after: DependencyDefinition(check, "result"), verdict: DependencyDefinition(check, "verdict")}
        nodes.append((move, made.op(move, [after, verdict], *_stage(domain, joined), tags=group), waits))
        after, specs = f"after_{move}", {}
        for table in table_names:
            name = f"load_{domain}_{table}"
            command, text = _load(domain, table)
            op = made.op(name, [after], command, text, tags={"starlake/group": f"{domain}_daily.load_{domain}_daily"})
            nodes.append((name, op, {after: DependencyDefinition(move, "result")}))
            specs[name] = AssetSpec(
                key=AssetKey([domain, table]),
                description=text,
                group_name=domain,
                kinds={"starlake", "table"},
                tags=tags,
                metadata=_table_metadata(domain, table, command),
                partitions_def=made.partitions,
                skippable=True,
            )
        made.graph(check, nodes, specs)
    # Dagster skips a step if anything is missing that it waits for, except if several outputs share an input.
    keys = list(made.keys)
    nodes, inputs, after_all = [], {}, []
    for number, domain in enumerate(names, 1):
        helper = f"end_daily__waits_{number}"
        mine = [key for key in keys if key.path[0] == domain]
        op = made.op(helper, [read(key) for key in mine], "", RELAYS)
        nodes.append((helper, op, {}))
        inputs |= dict.fromkeys(mine, helper)
        after_all.append(DependencyDefinition(helper, "result"))
    nodes.append(("end_daily__anyway", made.op("end_daily__anyway", (), "", ANYWAY), {}))
    after_all.append(DependencyDefinition("end_daily__anyway", "result"))
    end = made.op("end_daily", ["after"], "", "Ends the pipeline.", tags={"starlake/trigger": "none_failed"})
    nodes.append(("end_daily", end, {"after": MultiDependencyDefinition(after_all)}))
    spec = _end_spec("load_daily", "end_daily", keys, tags, made.partitions, skippable=True)
    made.graph("end_daily", nodes, {"end_daily": spec}, inputs)
    return made.definitions()


RELAYS = "Waits for what `end_daily` comes after. Skipped if that is skipped."
ANYWAY = "Lets `end_daily` run although what it waits for was skipped."


def assets(domains: int, tables: int) -> Definitions:
    """One ``@asset`` for each check, import, table and the end."""
    names, table_names, tags = _names(domains, tables)
    window, made, keys = partitions(), [], []
    joined = ",".join(table_names)

    def shell_asset(command: str, **keywords: Any) -> AssetsDefinition:
        @asset(partitions_def=window, tags=tags, retry_policy=RETRIES, output_required=False, pool=None, **keywords)
        def run(context) -> None:  # type: ignore[no-untyped-def]
            shell(command)(context, None)

        return run

    for domain in names:
        checked, moved = AssetKey([domain, "checked"]), AssetKey([domain, "imported"])
        group = domain
        command, text = _preload(domain, joined)
        made.append(shell_asset(command, key=checked, description=text, group_name=group, kinds={"starlake"}))
        command, text = _stage(domain, joined)
        made.append(
            shell_asset(command, key=moved, deps=[checked], description=text, group_name=group, kinds={"starlake"})
        )
        keys += [checked, moved]
        for table in table_names:
            command, text = _load(domain, table)
            key = AssetKey([domain, table])
            keys.append(key)
            made.append(
                shell_asset(
                    command,
                    key=key,
                    deps=[moved],
                    description=text,
                    group_name=group,
                    kinds={"starlake", "table"},
                    metadata=_table_metadata(domain, table, command),
                    op_tags={"starlake/group": f"{domain}_daily.load_{domain}_daily"},
                )
            )
    end = _end_spec("load_daily", "end_daily", [key for key in keys if key.path[-1].startswith("t")], tags, window)
    made.append(_end(end))
    return gathered("load_daily", made, [*keys, end.key], tags)


def _end(spec: AssetSpec) -> AssetsDefinition:
    @multi_asset(name=f"{spec.key.path[-1]}_end", specs=[spec], partitions_def=spec.partitions_def)
    def end() -> None: ...

    return end


def multi_assets(domains: int, tables: int) -> Definitions:
    """One ``@multi_asset`` for each check, import, table and the end."""
    names, table_names, tags = _names(domains, tables)
    window, made, keys = partitions(), [], []
    joined = ",".join(table_names)

    def shell_asset(name: str, command: str, op_tags: Any = None, **keywords: Any) -> AssetsDefinition:
        spec = AssetSpec(tags=tags, skippable=True, partitions_def=window, **keywords)

        @multi_asset(name=name, specs=[spec], partitions_def=window, retry_policy=RETRIES, op_tags=op_tags)
        def run(context) -> None:  # type: ignore[no-untyped-def]
            shell(command)(context, None)

        return run

    for domain in names:
        checked, moved = AssetKey([domain, "checked"]), AssetKey([domain, "imported"])
        shared: dict[str, Any] = {"group_name": domain}
        command, text = _preload(domain, joined)
        check, move = f"check_{domain}_incoming_files", f"import_{domain}_daily"
        made.append(shell_asset(check, command, key=checked, description=text, kinds={"starlake"}, **shared))
        command, text = _stage(domain, joined)
        made.append(
            shell_asset(move, command, key=moved, deps=[checked], description=text, kinds={"starlake"}, **shared)
        )
        keys += [checked, moved]
        for table in table_names:
            command, text = _load(domain, table)
            key = AssetKey([domain, table])
            keys.append(key)
            made.append(
                shell_asset(
                    f"load_{domain}_{table}",
                    command,
                    {"starlake/group": f"{domain}_daily.load_{domain}_daily"},
                    key=key,
                    deps=[moved],
                    description=text,
                    kinds={"starlake", "table"},
                    metadata=_table_metadata(domain, table, command),
                    **shared,
                )
            )
    end = _end_spec("load_daily", "end_daily", [key for key in keys if key.path[-1].startswith("t")], tags, window)
    made.append(_end(end))
    return gathered("load_daily", made, [*keys, end.key], tags)


def _transform(name: str) -> tuple[str, str, dict[str, Any]]:
    command = f"starlake transform {DATES} --name d.{name} --options {INTERVAL}"
    metadata = {
        "pipeline": "lineage",
        "task": f"d_{name}",
        "command": command,
        "environment": "shell",
        "sl_uri": f"starlake://d/{name}",
    }
    return command, about(f"Runs the transform `d.{name}`.", command), metadata


def units_lineage(parents: Mapping[str, Sequence[str]]) -> Definitions:
    """An op per transform, in the order of the mapping, after those that it reads."""
    made = _Units("lineage", {})
    for name, before in parents.items():
        command, text, metadata = _transform(name)
        deps = [AssetKey(["d", other]) for other in before]
        spec = AssetSpec(
            key=AssetKey(["d", name]),
            deps=deps,
            description=text,
            group_name="d",
            kinds={"starlake", "sql"},
            metadata=metadata,
            partitions_def=made.partitions,
            skippable=True,
        )
        made.single(made.op(f"d_{name}", [read(key) for key in deps], command, text), spec)
    read_ones = {other for before in parents.values() for other in before}
    keys = [AssetKey(["d", name]) for name in parents if name not in read_ones]
    end = made.op(
        "end", [read(key) for key in keys], "", "Ends the pipeline.", tags={"starlake/trigger": "none_failed"}
    )
    made.single(end, _end_spec("lineage", "end", keys, {}, made.partitions, skippable=True))
    return made.definitions()


def asset_lineage(parents: Mapping[str, Sequence[str]]) -> Definitions:
    """One ``@asset`` per transform, after those that it reads."""
    window = partitions()
    made = []

    def transform(name: str, before: Sequence[str]) -> AssetsDefinition:
        command, text, metadata = _transform(name)

        @asset(
            key=["d", name],
            deps=[AssetKey(["d", other]) for other in before],
            description=text,
            group_name="d",
            kinds={"starlake", "sql"},
            metadata=metadata,
            partitions_def=window,
            retry_policy=RETRIES,
            output_required=False,
        )
        def run(context) -> None:  # type: ignore[no-untyped-def]
            shell(command)(context, None)

        return run

    for name, before in parents.items():
        made.append(transform(name, before))
    read = {other for before in parents.values() for other in before}
    keys = [AssetKey(["d", name]) for name in parents]
    end = _end_spec("lineage", "end", [key for key in keys if key.path[-1] not in read], {}, window)
    made.append(_end(end))
    return gathered("lineage", made, [*keys, end.key], {})


BY_NAME: dict[str, Callable[[int, int], Definitions]] = {"units": units, "assets": assets, "multi_assets": multi_assets}

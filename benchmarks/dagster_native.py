"""The same pipelines as written by hand for Dagster, as a baseline.

There are three forms. ``flat`` is the form that the plugin creates: one graph of ops, whose outputs are the assets.
``assets`` and ``multi_assets`` have one decorated function per table, and assets for the check and the import of a
domain. In these two, a table waits for assets, and a check that is not ready also skips the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
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


def gathered(name: str, made: Sequence[Any], keys: Sequence[AssetKey], tags: Mapping[str, str]) -> Definitions:
    """Return the definitions with a job for all assets and its schedule."""
    mark = {"starlake/pipeline": name}
    job = define_asset_job(name, selection=AssetSelection.assets(*keys), tags={**mark, **tags}, run_tags=mark)
    schedule = build_schedule_from_partitioned_job(
        job, name=f"{name}_schedule", default_status=DefaultScheduleStatus.RUNNING
    )
    return Definitions(assets=made, jobs=[job], schedules=[schedule])


class _Flat:
    """A graph of ops that grows op by op."""

    def __init__(self, name: str, tags: Mapping[str, str]) -> None:
        self.name = name
        self.tags = tags
        self.partitions = partitions()
        self.ops: list[OpDefinition] = []
        self.dependencies: dict[Any, dict[str, Any]] = {}
        self.outputs: dict[str, AssetKey] = {}
        self.specs: list[AssetSpec] = []

    def op(
        self,
        name: str,
        befores: Sequence[str] = (),
        command: str = "",
        about: str = "Does nothing by itself.",
        group: str = "",
        verdict: bool = False,
    ) -> None:
        made = OpDefinition(
            compute_fn=shell(command) if command else ends,
            name=f"{self.name}__{name}",
            ins={f"after_{before}": WAITS for before in befores},
            outs={"result": MAYBE, "verdict": MAYBE} if verdict else {"result": MAYBE},
            description=about,
            tags={"starlake/group": group} if group else {},
            retry_policy=RETRIES if command else None,
        )
        self.ops.append(made)
        self.dependencies[NodeInvocation(made.name, alias=name)] = {
            f"after_{before}": DependencyDefinition(before, "result") for before in befores
        }

    def end(self, name: str, befores: Sequence[str], sure: Sequence[DependencyDefinition]) -> None:
        made = OpDefinition(
            compute_fn=ends,
            name=f"{self.name}__{name}",
            ins={"after": WAITS},
            outs={"result": MAYBE},
            description="Ends the pipeline.",
            tags={"starlake/trigger": "none_failed"},
        )
        self.ops.append(made)
        waits = [*(DependencyDefinition(before, "result") for before in befores), *sure]
        self.dependencies[NodeInvocation(made.name, alias=name)] = {"after": MultiDependencyDefinition(waits)}

    def asset(self, name: str, spec: AssetSpec) -> None:
        self.outputs[name] = spec.key
        self.specs.append(spec)

    def definitions(self) -> Definitions:
        graph = GraphDefinition(
            name=f"{self.name}_steps",
            node_defs=self.ops,
            dependencies=self.dependencies,
            output_mappings=[
                OutputMapping(graph_output_name=name, mapped_node_name=name, mapped_node_output_name="result")
                for name in self.outputs
            ],
        )
        made = AssetsDefinition(
            node_def=graph,
            keys_by_input_name={},
            keys_by_output_name=self.outputs,
            specs=self.specs,
            can_subset=True,
        )
        return gathered(self.name, [made], list(self.outputs.values()), self.tags)


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


def flat(domains: int, tables: int) -> Definitions:
    """One graph: for each domain a check, an import, one load per table; an end."""
    names, table_names, tags = _names(domains, tables)
    made = _Flat("load_daily", tags)
    made.op("start_daily")
    loads: list[str] = []
    joined = ",".join(table_names)
    for domain in names:
        check, move = f"check_{domain}_incoming_files", f"import_{domain}_daily"
        group = f"{domain}_daily.pre_load_{domain}_daily"
        made.op(check, ["start_daily"], *_preload(domain, joined), group=group, verdict=True)
        made.op(move, [check], *_stage(domain, joined), group=group)
        for table in table_names:
            name = f"load_{domain}_{table}"
            command, text = _load(domain, table)
            made.op(name, [move], command, text, group=f"{domain}_daily.load_{domain}_daily")
            loads.append(name)
            made.asset(
                name,
                AssetSpec(
                    key=AssetKey([domain, table]),
                    description=text,
                    group_name=f"{domain}_daily",
                    kinds={"starlake", "table"},
                    tags=tags,
                    metadata=_table_metadata(domain, table, command),
                    partitions_def=made.partitions,
                    skippable=True,
                ),
            )
    gates = [DependencyDefinition(f"check_{domain}_incoming_files", "verdict") for domain in names]
    made.end("end_daily", loads, [DependencyDefinition("start_daily", "result"), *gates])
    keys = list(made.outputs.values())
    made.asset("end_daily", _end_spec("load_daily", "end_daily", keys, tags, made.partitions, skippable=True))
    return made.definitions()


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
        group = f"{domain}_daily"
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
        shared: dict[str, Any] = {"group_name": f"{domain}_daily"}
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


def flat_lineage(parents: Mapping[str, Sequence[str]]) -> Definitions:
    """One graph with an op per transform, in the order of the mapping, after those that it reads."""
    made = _Flat("lineage", {})
    made.op("start")
    for name, before in parents.items():
        command, text, metadata = _transform(name)
        made.op(f"d_{name}", [f"d_{other}" for other in before] or ["start"], command, text)
        made.asset(
            f"d_{name}",
            AssetSpec(
                key=AssetKey(["d", name]),
                deps=[AssetKey(["d", other]) for other in before],
                description=text,
                group_name="d",
                kinds={"starlake", "sql"},
                metadata=metadata,
                partitions_def=made.partitions,
                skippable=True,
            ),
        )
    read = {other for before in parents.values() for other in before}
    last = [name for name in parents if name not in read]
    made.end("end", [f"d_{name}" for name in last], [DependencyDefinition("start", "result")])
    keys = [AssetKey(["d", name]) for name in last]
    made.asset("end", _end_spec("lineage", "end", keys, {}, made.partitions, skippable=True))
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


BY_NAME: dict[str, Callable[[int, int], Definitions]] = {"flat": flat, "assets": assets, "multi_assets": multi_assets}

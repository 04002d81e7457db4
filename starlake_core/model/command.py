"""A call of the Starlake command line, independent of where it runs."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..contract import parse_map
from ..errors import CommandError, did_you_mean
from .kinds import TaskKind

__all__ = [
    "COMMAND_TYPES",
    "Command",
    "CommandType",
    "Preload",
    "StarlakePreLoadStrategy",
    "StarlakeSparkConfig",
    "command_options",
    "command_type",
    "load_command",
    "preload_command",
    "stage_command",
    "transform_command",
]


class StarlakePreLoadStrategy(str, enum.Enum):
    """What must be present before a domain is loaded.

    ``NONE``: nothing. ``IMPORTED``: files in the incoming folder of the domain. ``PENDING``: files in its stage folder.
    ``ACK``: an acknowledgement file.
    """

    NONE = "none"
    IMPORTED = "imported"
    PENDING = "pending"
    ACK = "ack"

    def __str__(self) -> str:
        return self.value

    @classmethod
    def is_valid(cls, value: str) -> bool:
        """Return whether a string is the name of a strategy, ignoring case."""
        return value.lower() in {member.value for member in cls}

    @classmethod
    def parse(cls, value: StarlakePreLoadStrategy | str | None) -> StarlakePreLoadStrategy:
        """Return the strategy with this name.

        Raises:
            CommandError: there is no such strategy.
        """
        if value is None:
            return cls.NONE
        text = str(value).lower()
        if not cls.is_valid(text):
            allowed = [member.value for member in cls]
            raise CommandError(
                f"pre_load_strategy {value!r} is not one of {', '.join(allowed)}.{did_you_mean(text, allowed)}"
            )
        return cls(text)

    @property
    def looks_for(self) -> str:
        """What a check with this strategy looks for, such as ``incoming files``; empty for ``NONE``."""
        return _LOOKS_FOR.get(self.value, "")

    @property
    def task_word(self) -> str:
        """The same, as part of a task id: ``incoming_files``, ``ack_file``."""
        return self.looks_for.replace("acknowledgement", "ack").replace(" ", "_")


_LOOKS_FOR = {"imported": "incoming files", "pending": "pending files", "ack": "acknowledgement file"}


@dataclass(frozen=True)
class StarlakeSparkConfig:
    """The size of a Spark job, for environments that run Spark.

    Attributes:
        memory: memory of an executor, such as ``11g``.
        cores: cores of an executor.
        instances: number of executors.
        properties: further Spark properties.
    """

    memory: str | None = None
    cores: int | None = None
    instances: int | None = None
    properties: Mapping[str, str] = field(default_factory=dict)

    def __config__(self) -> dict[str, str]:
        """The Spark properties of this size, as strings. This is the documented way to read it."""
        sizing = {
            "spark.executor.memory": self.memory,
            "spark.executor.cores": self.cores,
            "spark.executor.instances": self.instances,
        }
        return {**{k: str(v) for k, v in sizing.items() if v is not None}, **self.properties}


@dataclass(frozen=True)
class CommandType:
    """What the framework knows about a Starlake command. To add a command, add a row to :data:`COMMAND_TYPES`.

    Attributes:
        name: its name on the command line.
        verb: the method of a pipeline that adds tasks for it.
        kind: the kind of these tasks.
        summary: what it does, as a sentence with the fields ``name``, ``domain``, ``table`` and ``transform``.
        per_table: each of its tasks is about one table, so per-task options use the key ``domain.table``.
        writes: it changes tables, so two of these commands must not run on one database at once.
    """

    name: str
    verb: str = "sl_job"
    kind: TaskKind = TaskKind.WORK
    summary: str = "Runs the Starlake command {name}."
    per_table: bool = False
    writes: bool = True


COMMAND_TYPES = {
    made.name: made
    for made in (
        CommandType(
            "preload",
            "sl_pre_load",
            TaskKind.CHECK,
            "Checks whether the domain {domain} is ready; if it is not, its loads are skipped.",
            writes=False,
        ),
        CommandType(
            "stage",
            "sl_import",
            TaskKind.IMPORT,
            "Moves the incoming files of the domain {domain} to where they are loaded from.",
            writes=False,
        ),
        CommandType("load", "sl_load", summary="Loads the table {table} of the domain {domain}.", per_table=True),
        CommandType("transform", "sl_transform", summary="Runs the transform {transform}."),
    )
}
"""The commands that have their own verb, by name."""


def command_type(name: str) -> CommandType:
    """Return what is known about a command. A command without its own verb is a plain job that may write.

    Args:
        name: its name on the command line.
    """
    return COMMAND_TYPES.get(name) or CommandType(name)


@dataclass(frozen=True)
class Command:
    """A call of the Starlake command line.

    Attributes:
        name: ``preload``, ``stage``, ``load``, ``transform`` or any other Starlake command.
        arguments: the arguments after the name.
        task_id: the id of the task that runs it.
        domain: the domain it is about, by its logical name.
        tables: the tables it is about, sorted.
        transform: the transform it is about, ``domain.task``.
        spark: the size of the Spark job, for environments that run Spark.
        params: parameters that the user attached to the task.
    """

    name: str
    arguments: tuple[str, ...] = ()
    task_id: str = ""
    domain: str = ""
    tables: tuple[str, ...] = ()
    transform: str = ""
    spark: StarlakeSparkConfig | None = None
    params: Mapping[str, object] = field(default_factory=dict)

    @property
    def vector(self) -> tuple[str, ...]:
        """The whole vector: the name and its arguments."""
        return (self.name, *self.arguments)

    @property
    def type(self) -> CommandType:
        """What is known about commands of this name."""
        return command_type(self.name)

    @property
    def is_plain(self) -> bool:
        """Whether it was built from an argument vector alone, so that only the arguments say what it is about."""
        return not (self.domain or self.tables or self.transform)

    @property
    def verb(self) -> str:
        """The method of a pipeline that adds it."""
        return "sl_job" if self.is_plain else self.type.verb

    @property
    def subject(self) -> str:
        """What it is about, as the key of per-task options: a transform, or ``domain.table`` for a load; empty for
        neither."""
        if self.transform:
            return self.transform
        return f"{self.domain}.{self.tables[0]}" if self.type.per_table and self.tables else ""

    @property
    def strategy(self) -> StarlakePreLoadStrategy:
        """What the check looks for; ``NONE`` for other commands."""
        found = dict(zip(self.arguments, self.arguments[1:], strict=False)).get("--strategy", "none")
        return (
            StarlakePreLoadStrategy(found) if StarlakePreLoadStrategy.is_valid(found) else StarlakePreLoadStrategy.NONE
        )


@dataclass(frozen=True)
class Preload:
    """The check of a domain, before it becomes a command.

    Attributes:
        task_id: the id of its task.
        domain: the logical name of the domain.
        tables: logical names, sorted; empty for all tables of the domain.
        strategy: what must be present.
        ack_file: the path of the acknowledgement file, with placeholders, for the strategy ``ack``.
        sentinel: the path of the marker for *not ready*, with placeholders; empty to let the runner choose.
        params: parameters that the user attached to the task.
        options: substitution variables.
    """

    task_id: str
    domain: str
    tables: tuple[str, ...]
    strategy: StarlakePreLoadStrategy
    ack_file: str = ""
    sentinel: str = ""
    params: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, object] | str | None = None

    def command(self) -> Command:
        """Return the Starlake command for this check."""
        return preload_command(
            self.task_id,
            self.domain,
            self.tables,
            self.strategy,
            ack_file=self.ack_file,
            sentinel=self.sentinel,
            options=self.options,
            params=self.params,
        )


def command_options(options: Mapping[str, object] | str | None, where: str) -> dict[str, str]:
    """Return the substitution variables of a command, checked against what ``--options k=v,k=v`` can carry.

    Args:
        options: a mapping, or a string such as ``"k=v,k2=v2"``.
        where: what they belong to, for error messages.

    Raises:
        CommandError: a part does not have the form ``key=value``, or a value has a comma, which the command line cannot
            escape.
    """
    if not options:
        return {}
    if isinstance(options, str):
        try:
            return parse_map(options)
        except ValueError as error:
            raise CommandError(f"options of {where}: {error} in {options!r}; write k=v,k2=v2") from None
    result = {}
    for key, value in options.items():
        key = str(key)
        text = ("true" if value else "false") if isinstance(value, bool) else str(value)
        if "," in text or "," in key or "=" in key or not key:
            raise CommandError(
                f"options of {where}: {key!r}: {text!r} cannot be written as an option of a Starlake command: a name has "
                "no '=' and neither name nor value has a comma, and there is no escape. Pass a value with "
                "commas through the variables of sl_env_var instead"
            )
        result[key] = text
    return result


def _name(name: str, what: str) -> str:
    if not name or "," in name:
        raise CommandError(f"{what} {name!r} cannot be passed to Starlake: a name is not empty and has no comma")
    return name


def _names(names: Iterable[str], what: str) -> tuple[str, ...]:
    if isinstance(names, str):
        names = [names]
    return tuple(_name(name, what) for name in sorted(set(names)))


def _flag(name: str, value: str | None) -> tuple[str, ...]:
    return (f"--{name}", value) if value else ()


def _list(name: str, values: tuple[str, ...]) -> tuple[str, ...]:
    return _flag(name, ",".join(values))


def _map(options: Mapping[str, str]) -> tuple[str, ...]:
    return _flag("options", ",".join(f"{key}={value}" for key, value in options.items()))


def preload_command(
    task_id: str,
    domain: str,
    tables: Iterable[str] = (),
    strategy: StarlakePreLoadStrategy | str | None = None,
    *,
    ack_file: str = "",
    sentinel: str = "",
    options: Mapping[str, object] | str | None = None,
    params: Mapping[str, object] | None = None,
) -> Command:
    """Return the command that checks whether a domain can be loaded.

    Args:
        task_id: the id of its task.
        domain: the logical name of the domain.
        tables: logical names; empty for all tables of the domain.
        strategy: what to check.
        ack_file: the path of the acknowledgement file, for the strategy ``ack``.
        sentinel: the path of the marker that Starlake writes when the domain is not ready.
        options: substitution variables.
        params: parameters that the user attached to the task.

    Raises:
        CommandError: a value cannot be passed, or the strategy is ``none``.
    """
    domain = _name(domain, "domain")
    names = _names(tables, "table")
    strategy = StarlakePreLoadStrategy.parse(strategy)
    if strategy is StarlakePreLoadStrategy.NONE:
        raise CommandError(f"domain {domain}: the strategy 'none' has nothing to check")
    if strategy is StarlakePreLoadStrategy.ACK and not ack_file:
        raise CommandError(f"domain {domain}: the strategy 'ack' needs the path of a file (global_ack_file_path)")
    arguments = (
        *_flag("domain", domain),
        *_list("tables", names),
        *_flag("strategy", strategy.value),
        *(_flag("globalAckFilePath", ack_file) if strategy is StarlakePreLoadStrategy.ACK else ()),
        *_flag("notReadySentinel", sentinel),
        *_map(command_options(options, f"the pre-load of {domain}")),
    )
    return Command("preload", arguments, task_id, domain, names, params=dict(params or {}))


def stage_command(
    task_id: str,
    domain: str,
    tables: Iterable[str] = (),
    *,
    options: Mapping[str, object] | str | None = None,
    params: Mapping[str, object] | None = None,
) -> Command:
    """Return the command that moves the incoming files of a domain to its stage folder (*import* in Starlake's
    documentation).

    Args:
        task_id: the id of its task.
        domain: the logical name of the domain.
        tables: logical names; empty for all tables of the domain.
        options: substitution variables.
        params: parameters that the user attached to the task.

    Raises:
        CommandError: a value cannot be passed.
    """
    domain = _name(domain, "domain")
    names = _names(tables, "table")
    arguments = (
        *_flag("domains", domain),
        *_list("tables", names),
        *_map(command_options(options, f"the import of {domain}")),
    )
    return Command("stage", arguments, task_id, domain, names, params=dict(params or {}))


def load_command(
    task_id: str,
    domain: str,
    table: str,
    *,
    options: Mapping[str, object] | str | None = None,
    spark: StarlakeSparkConfig | None = None,
    params: Mapping[str, object] | None = None,
) -> Command:
    """Return the command that loads one table.

    Args:
        task_id: the id of its task.
        domain: the logical name of the domain.
        table: the logical name of the table.
        options: substitution variables.
        spark: the size of the Spark job.
        params: parameters that the user attached to the task.

    Raises:
        CommandError: a value cannot be passed.
    """
    arguments = (
        "--scheduledDate",
        "${sl_scheduled_date}",
        *_flag("domains", _name(domain, "domain")),
        *_flag("tables", _name(table, "table")),
        *_map(command_options(options, f"the load of {domain}.{table}")),
    )
    return Command("load", arguments, task_id, domain, (table,), spark=spark, params=dict(params or {}))


_INTERVAL = (("sl_data_interval_start", "sl_start_date"), ("sl_data_interval_end", "sl_end_date"))
"""The two names of each end of a data interval: the one for an SQL literal, and the one without quotes."""


def transform_command(
    task_id: str,
    transform: str,
    *,
    options: Mapping[str, object] | str | None = None,
    spark: StarlakeSparkConfig | None = None,
    params: Mapping[str, object] | None = None,
) -> Command:
    """Return the command that runs one transform.

    The SQL sees the data interval as the variables ``sl_data_interval_start`` and ``sl_data_interval_end``, quoted as
    SQL literals, so that a query says ``WHERE day >= {{sl_data_interval_start}}``. It also sees it under the names of
    Starlake's guide to incremental transforms, ``sl_start_date`` and ``sl_end_date``, without quotes:
    ``WHERE day >= '{{sl_start_date}}'``. ``options`` may replace them; replacing one of a pair replaces the other.

    Args:
        task_id: the id of its task.
        transform: ``domain.task``.
        options: substitution variables.
        spark: the size of the Spark job.
        params: parameters that the user attached to the task.

    Raises:
        CommandError: a value cannot be passed.
    """
    domain, _, name = transform.partition(".")
    if not name or not domain or "," in transform:
        raise CommandError(f"transform {transform!r} is not of the form domain.task")
    given = command_options(options, f"the transform {transform}")
    variables: dict[str, str] = {}
    plain: dict[str, str] = {}
    for quoted, name in _INTERVAL:
        moment = given[name] if name in given else given.get(quoted, f"${{{quoted}}}").strip("'")
        variables[quoted], plain[name] = f"'{moment}'", moment
    variables.update(plain)
    arguments = (
        "--scheduledDate",
        "${sl_scheduled_date}",
        "--name",
        transform,
        *_map({**given, **{name: value for name, value in variables.items() if name not in given}}),
    )
    return Command("transform", arguments, task_id, domain, (), transform, spark, dict(params or {}))

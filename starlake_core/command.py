"""A call of the Starlake command line: what has to be done, wherever it runs."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .contract import parse_map
from .errors import CommandError, did_you_mean

__all__ = [
    "Command",
    "Preload",
    "StarlakePreLoadStrategy",
    "StarlakeSparkConfig",
    "command_options",
    "load_command",
    "preload_command",
    "stage_command",
    "transform_command",
]


class StarlakePreLoadStrategy(str, enum.Enum):
    """What has to be there before a domain is loaded.

    ``NONE`` nothing; ``IMPORTED`` files in the incoming directory of the domain; ``PENDING`` files in its stage
    directory; ``ACK`` an acknowledgement file.
    """

    NONE = "none"
    IMPORTED = "imported"
    PENDING = "pending"
    ACK = "ack"

    def __str__(self) -> str:
        return self.value

    @classmethod
    def is_valid(cls, value: str) -> bool:
        """Tell whether a text names a strategy, in any case."""
        return value.lower() in {member.value for member in cls}

    @classmethod
    def parse(cls, value: StarlakePreLoadStrategy | str | None) -> StarlakePreLoadStrategy:
        """The strategy that a text names.

        Raises:
            CommandError: it names none.
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


@dataclass(frozen=True)
class StarlakeSparkConfig:
    """Sizing of a Spark job, for the environments that run one.

    Attributes:
        memory: of an executor, ``11g``.
        cores: of an executor.
        instances: number of executors.
        properties: further Spark properties.
    """

    memory: str | None = None
    cores: int | None = None
    instances: int | None = None
    properties: Mapping[str, str] = field(default_factory=dict)

    def __config__(self) -> dict[str, str]:
        """The Spark properties of this sizing, as text: the documented way to read it."""
        sizing = {
            "spark.executor.memory": self.memory,
            "spark.executor.cores": self.cores,
            "spark.executor.instances": self.instances,
        }
        return {**{k: str(v) for k, v in sizing.items() if v is not None}, **self.properties}


@dataclass(frozen=True)
class Command:
    """A call of the Starlake command line.

    Attributes:
        name: ``preload``, ``stage``, ``load``, ``transform`` or any other Starlake command.
        arguments: what follows the name.
        task_id: id of the task that runs it.
        domain: the domain it is about, by its logical name.
        tables: the tables it is about, sorted.
        transform: the transform it is about, ``domain.task``.
        spark: sizing, for the environments that run Spark.
        params: what the user attached to the task.
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


@dataclass(frozen=True)
class Preload:
    """The check of a domain, before it is a command.

    Attributes:
        task_id: id of its task.
        domain: logical name.
        tables: logical names, sorted; all of the domain when empty.
        strategy: what has to be there.
        ack_file: path of the acknowledgement file, with placeholders, for the strategy ``ack``.
        sentinel: path of the marker for *not ready*, with placeholders; empty where the runner chooses.
        params: what the user attached to the task.
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
        """The Starlake command that does this check."""
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
    """Substitution variables of a command, checked for what ``--options k=v,k=v`` can carry.

    Args:
        options: a mapping, or the text ``"k=v,k2=v2"``.
        where: what they belong to, for the message.

    Raises:
        CommandError: a part is no ``key=value``, or a value holds a comma (the command line has no escape).
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
    """The check whether a domain can be loaded.

    Args:
        task_id: id of its task.
        domain: logical name.
        tables: logical names; all of the domain when empty.
        strategy: what to check.
        ack_file: path of the acknowledgement file, for the strategy ``ack``.
        sentinel: path of the marker that the command line writes when the domain is not ready.
        options: substitution variables.
        params: what the user attached to the task.

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
    """The move of a domain's incoming files to its stage directory (the documentation calls it *import*).

    Args:
        task_id: id of its task.
        domain: logical name.
        tables: logical names; all of the domain when empty.
        options: substitution variables.
        params: what the user attached to the task.

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
    """The load of one table.

    Args:
        task_id: id of its task.
        domain: logical name.
        table: logical name.
        options: substitution variables.
        spark: sizing.
        params: what the user attached to the task.

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


def transform_command(
    task_id: str,
    transform: str,
    *,
    options: Mapping[str, object] | str | None = None,
    spark: StarlakeSparkConfig | None = None,
    params: Mapping[str, object] | None = None,
) -> Command:
    """The run of one transform.

    The data interval reaches the SQL as the variables ``sl_data_interval_start`` and ``sl_data_interval_end``, quoted
    as SQL literals, so that a query says ``WHERE day >= {{sl_data_interval_start}}``; ``options`` may replace them.

    Args:
        task_id: id of its task.
        transform: ``domain.task``.
        options: substitution variables.
        spark: sizing.
        params: what the user attached to the task.

    Raises:
        CommandError: a value cannot be passed.
    """
    domain, _, name = transform.partition(".")
    if not name or not domain or "," in transform:
        raise CommandError(f"transform {transform!r} is not of the form domain.task")
    variables = {
        "sl_data_interval_start": "'${sl_data_interval_start}'",
        "sl_data_interval_end": "'${sl_data_interval_end}'",
    }
    given = command_options(options, f"the transform {transform}")
    arguments = (
        "--scheduledDate",
        "${sl_scheduled_date}",
        "--name",
        transform,
        *_map({**given, **{name: value for name, value in variables.items() if name not in given}}),
    )
    return Command("transform", arguments, task_id, domain, (), transform, spark, dict(params or {}))

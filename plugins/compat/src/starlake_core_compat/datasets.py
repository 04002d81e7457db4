"""Datasets under their old names, and Spark sizings with their old arguments."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from starlake_core import StarlakeDataset as CoreDataset
from starlake_core import StarlakeSparkConfig as CoreSparkConfig
from starlake_core import sanitize_id

__all__ = ["DatasetTriggeringStrategy", "StarlakeDataset", "StarlakeSparkConfig"]


class DatasetTriggeringStrategy(str, enum.Enum):
    """Whether any or all of its upstream datasets start a pipeline."""

    ANY = "any"
    ALL = "all"

    def __str__(self) -> str:
        return self.value


class StarlakeDataset(CoreDataset):
    """A dataset as earlier packages named it: ``domain.table`` becomes ``domain_table``.

    Args:
        name: of the dataset; the documentation calls it ``uri``.
        cron: how often it is produced.
        sink: ``domain.table`` in the warehouse; the name, where it has a dot.
        freshness: seconds for which it counts as fresh.
        uri: the same as ``name``.
        extra: further metadata, as text.

    Raises:
        DatasetError: it has no name.
    """

    def __init__(
        self,
        name: str | None = None,
        cron: str | None = None,
        sink: str | None = None,
        freshness: int = 0,
        *,
        uri: str | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        text = name or uri or ""
        if sink is None and "." in text:
            sink = text
        super().__init__(sanitize_id(text).lower(), cron, sink or "", freshness, extra=dict(extra or {}))


class StarlakeSparkConfig(CoreSparkConfig):
    """The sizing of a Spark job, with Spark properties as keywords.

    Args:
        memory: of an executor, ``11g``.
        cores: of an executor.
        instances: number of executors.
        cls_options: ignored; where values come from is no matter of the sizing any more.
        options: the options of the file, for values that are not given.
        properties: Spark properties.
        **spark: further Spark properties, which may have dots in their names: ``**{"spark.sql.shuffle.partitions": "200"}``.
    """

    def __init__(
        self,
        memory: str | None = None,
        cores: int | None = None,
        instances: int | None = None,
        cls_options: Any = None,
        options: Mapping[str, Any] | None = None,
        properties: Mapping[str, str] | None = None,
        **spark: Any,
    ) -> None:
        given = options or {}
        cores = cores if cores is not None else given.get("spark_executor_cores")
        instances = instances if instances is not None else given.get("spark_executor_instances")
        super().__init__(
            memory if memory is not None else given.get("spark_executor_memory"),
            None if cores is None else int(cores),
            None if instances is None else int(instances),
            {name: str(value) for name, value in {**(properties or {}), **spark}.items()},
        )

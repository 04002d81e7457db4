"""Datasets under their old names, and Spark sizings with their old arguments."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from starlake_core import StarlakeDataset as CoreDataset
from starlake_core import StarlakeError, sanitize_id
from starlake_core import StarlakeSparkConfig as CoreSparkConfig

from .schedules import Assignable, cron_or_none, is_none
from .swallowed import warn_of_keywords

__all__ = ["AbstractEvent", "DatasetTriggeringStrategy", "StarlakeDataset", "StarlakeSparkConfig"]


class DatasetTriggeringStrategy(str, enum.Enum):
    """Whether any or all of its upstream datasets start a pipeline."""

    ANY = "any"
    ALL = "all"

    def __str__(self) -> str:
        return self.value

    @classmethod
    def is_valid(cls, strategy: str) -> bool:
        """Whether a word is one of them."""
        return strategy in cls.all_strategies()

    @classmethod
    def all_strategies(cls) -> set[str]:
        """All of them."""
        return set(cls)


E = TypeVar("E")

_UNUSED = ("params", "sl_schedule_format", "sl_schedule_parameter_name")
"""Keywords of the replaced package that added a date to the name of a dataset, which no longer has one."""


class AbstractEvent(Generic[E]):
    """Creates the native event of a dataset."""

    @classmethod
    def to_event(cls, dataset: CoreDataset, source: str | None = None) -> E:
        """The native form of a dataset.

        Args:
            dataset: the dataset.
            source: what produces it.

        Raises:
            StarlakeError: the class does not override this method.
        """
        raise StarlakeError(
            f"{cls.__name__}.to_event() creates nothing: pass datasets to a task as they are, outlets=[StarlakeDataset(...)], and the orchestrator "
            "turns them into their native form"
        )


class StarlakeDataset(Assignable, CoreDataset):
    """A dataset with the name that earlier packages gave it: ``domain.table`` becomes ``domain_table``. Its name is its identity and does not change.

    Args:
        name: the name, which the documentation calls ``uri``.
        parameters: parameters of the replaced package; only its ``cron`` has an effect.
        cron: how often it is produced.
        sink: ``domain.table`` in the warehouse, from which its name derives; the name by default.
        stream: the stream of the table, for information.
        start_time: a parameter of the replaced package, for information.
        freshness: how long it counts as fresh, in seconds.
        datasetType: what produces it, for information.
        uri: the same as ``name``.
        extra: further metadata of its events.
        **kwargs: ``params``, of which only ``cron`` has an effect; others have no effect and cause a warning.

    Raises:
        DatasetError: it has no name.
    """

    def __init__(
        self,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        cron: str | None = None,
        sink: str | None = None,
        stream: str | None = None,
        start_time: Any = None,
        freshness: int = 0,
        datasetType: str | None = None,
        *,
        uri: str | None = None,
        extra: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        text = name or uri or ""
        others = {word: value for word, value in kwargs.items() if word not in _UNUSED}
        warn_of_keywords(f"StarlakeDataset({text!r})", others, ("name", "cron", "sink", "freshness", "uri", "extra"))
        for place in (parameters, kwargs.get("params")):
            cron = cron if cron is not None or not isinstance(place, Mapping) else place.get("cron")
        if is_none(sink):
            sink = text if "." in text else None
        super().__init__(
            sanitize_id(sink or text).lower(),
            cron_or_none(cron, f"dataset {text}"),
            sink or "",
            freshness or 0,
            extra=dict(extra or {}),
        )
        self.fill(parameters=parameters, stream=stream, start_time=start_time, datasetType=datasetType)

    __eq__ = CoreDataset.__eq__
    __hash__ = CoreDataset.__hash__

    def read(self, name: str, value: Any) -> Any:
        """Read ``None`` also from a string.

        Raises:
            AttributeError: the name would change, which is the identity of a dataset.
        """
        if name == "uri" and value != self.__dict__.get("uri", value):
            raise AttributeError(
                f"the name of dataset {self.uri} cannot change; create another dataset: StarlakeDataset({value!r})"
            )
        return cron_or_none(value, f"dataset {self.uri}") if name == "cron" else value

    @property
    def domain(self) -> str | None:
        """The part of its sink before the dot; None without one."""
        return self.sink.partition(".")[0] if "." in self.sink else None

    @property
    def url(self) -> str:
        """Its name: datasets no longer have a date in their names."""
        return self.uri

    def refresh(self, start_time: Any = None) -> StarlakeDataset:
        """The dataset itself: it has no date that could become outdated.

        Args:
            start_time: ignored.
        """
        return self

    @staticmethod
    def refresh_datasets(datasets: Iterable[StarlakeDataset] | None) -> list[StarlakeDataset] | None:
        """The datasets that have a schedule.

        Args:
            datasets: some datasets, or None.
        """
        return None if datasets is None else [dataset for dataset in datasets if dataset.cron is not None]


class StarlakeSparkConfig(CoreSparkConfig):
    """The sizing of a Spark job, with Spark properties as keywords.

    Args:
        memory: the memory of an executor, such as ``11g``.
        cores: the cores of an executor.
        instances: the number of executors.
        cls_options: ignored; the sizing no longer reads values itself.
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

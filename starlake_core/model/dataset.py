"""Datasets: the tables that tasks produce and pipelines wait for."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from ..errors import DatasetError
from .schedule import read_cron

__all__ = ["DatasetTrigger", "StarlakeDataset", "check_datasets", "sanitize_id"]

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]")


def sanitize_id(text: str) -> str:
    """Return a name as the id of a task, group or pipeline, which has only letters, digits, ``_`` and ``-``.

    >>> sanitize_id("kpi.n_customers$2")
    'kpi_n_customersS2'
    """
    return _NOT_IN_ID.sub("_", text.replace("$", "S"))


@dataclass(frozen=True, eq=False)
class StarlakeDataset:
    """A dataset that a task produces, and that may start a pipeline.

    Two datasets are the same if their URIs differ only by case.

    Attributes:
        uri: its name for orchestrators. :meth:`table` builds the URI of a table; any other string is used as it is.
        cron: how often it is produced.
        sink: the table in the warehouse, as ``domain.table``.
        freshness: the seconds for which it counts as fresh; 0 means unknown.
        name: a display name for orchestrators.
        extra: further metadata, as strings.
    """

    uri: str
    cron: str | None = None
    sink: str = ""
    freshness: int = 0
    name: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.uri or self.uri != self.uri.strip():
            raise DatasetError(
                f"{self.uri!r} is not a valid URI of a dataset; use one that is not empty and has no spaces around it"
            )
        object.__setattr__(self, "cron", read_cron(self.cron))
        object.__setattr__(self, "name", self.name or self.uri)

    @staticmethod
    def table(
        domain: str, table: str, *, style: str = "qualified", cron: str | None = None, freshness: int = 0
    ) -> StarlakeDataset:
        """Return the dataset of a table.

        Args:
            domain: the final name of the domain.
            table: the final name of the table.
            style: ``qualified`` gives ``starlake://domain/table``, in which no two tables share a name; ``flat`` gives
                ``domain_table``, as earlier packages write it.
            cron: how often it is produced.
            freshness: the seconds for which it counts as fresh.
        """
        return _table(domain, table, style, cron, freshness)

    @property
    def identity(self) -> str:
        """The value that comparisons use: the URI with its case folded."""
        return self.uri.casefold()

    def __eq__(self, other: object) -> bool:
        return self.identity == other.identity if isinstance(other, StarlakeDataset) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.identity)


@functools.lru_cache(maxsize=65536)
def _table(domain: str, table: str, style: str, cron: str | None, freshness: int) -> StarlakeDataset:
    """Cached, because a lineage names a dataset once for each task that reads it."""
    if style == "flat":
        uri = sanitize_id(f"{domain}_{table}").lower()
    else:
        uri = f"starlake://{quote(domain.casefold(), safe='')}/{quote(table.casefold(), safe='')}"
    return StarlakeDataset(uri, cron, f"{domain}.{table}", freshness)


def check_datasets(
    datasets: Iterable[StarlakeDataset], where: str, known: dict[str, StarlakeDataset] | None = None
) -> None:
    """Refuse two datasets that share a name.

    Args:
        datasets: what one pipeline produces and waits for.
        where: the pipeline, for error messages.
        known: the datasets checked so far, by identity; this function adds the new ones.

    Raises:
        DatasetError: two tables share a URI, or two URIs differ only by case.
    """
    known = {} if known is None else known
    for dataset in datasets:
        other = known.setdefault(dataset.identity, dataset)
        if dataset.uri != other.uri or (dataset.sink and other.sink and dataset.sink != other.sink):
            raise _same_name(other, dataset, where)


def check_outlets(tables: Iterable[StarlakeDataset], where: str) -> None:
    """Refuse a dataset that is a table for one task and the pipeline itself for another, which the style ``flat``
    allows.

    Args:
        tables: all datasets that the tasks of one pipeline produce.
        where: the pipeline, for error messages.

    Raises:
        DatasetError: there is such a dataset.
    """
    known: dict[str, StarlakeDataset] = {}
    for dataset in tables:
        other = known.setdefault(dataset.identity, dataset)
        if dataset.sink != other.sink:
            raise _same_name(other, dataset, where)


def _same_name(one: StarlakeDataset, other: StarlakeDataset, where: str) -> DatasetError:
    return DatasetError(
        f"pipeline {where}: the datasets {one.sink or one.uri!r} and {other.sink or other.uri!r} share a name "
        f"({one.identity}). Names that differ only by case are the same in a warehouse: rename one of them; in the "
        "style 'flat' (a.b_c and a_b.c are both a_b_c), use the option dataset_style=qualified"
    )


@dataclass(frozen=True)
class DatasetTrigger:
    """The upstream datasets that start a pipeline.

    Attributes:
        datasets: the datasets, sorted by URI.
        policy: whether ``any`` or ``all`` of them start it.
        cron: the cycle in which all of them are expected, which is the least frequent of their cron expressions; None
            if they have none.
    """

    datasets: tuple[StarlakeDataset, ...]
    policy: str = "any"
    cron: str | None = None

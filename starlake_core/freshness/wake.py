"""Conditions on datasets, such as ``sales.orders & (sales.customers | sales.sellers)``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ..errors import DatasetError, did_you_mean
from ..model.dataset import StarlakeDataset

__all__ = ["Term", "is_expression", "parse", "resolve"]

_TOKEN = re.compile(r"\s*([&|()]|[^\s&|()]+)")


@dataclass(frozen=True)
class Term:
    """A dataset, or a condition on several.

    Attributes:
        operator: ``&``, ``|``, or empty for a dataset.
        name: the dataset, as it is written; empty for a condition.
        terms: the parts of a condition.
    """

    operator: str
    name: str = ""
    terms: tuple[Term, ...] = ()

    def names(self) -> Iterator[str]:
        """The datasets in it, in order, as they are written."""
        if not self.operator:
            yield self.name
        for term in self.terms:
            yield from term.names()

    def value(self, of: Callable[[str], int]) -> int:
        """Combine the bits of its datasets.

        Args:
            of: the bits of a dataset, by name.
        """
        if not self.operator:
            return of(self.name)
        first, *others = (term.value(of) for term in self.terms)
        for other in others:
            first = first & other if self.operator == "&" else first | other
        return first

    def lacking(self, holds: Callable[[str], bool]) -> list[str]:
        """The datasets that it would need in order to be true; none if it is.

        Args:
            holds: whether a dataset counts as true.
        """
        if self.value(lambda name: int(holds(name))):
            return []
        if not self.operator:
            return [self.name]
        return [name for term in self.terms for name in term.lacking(holds)]


def is_expression(text: str) -> bool:
    """Whether a triggering strategy is a condition on datasets, and not ``any`` or ``all``."""
    return "&" in text or "|" in text


@functools.lru_cache(maxsize=256)
def parse(text: str) -> Term:
    """Read a condition. ``&`` binds more tightly than ``|``.

    Args:
        text: the condition.

    Raises:
        DatasetError: it cannot be read.
    """
    tokens = _TOKEN.findall(text.strip())
    place = 0

    def fail(wanted: str) -> DatasetError:
        found = repr(tokens[place]) if place < len(tokens) else "its end"
        return DatasetError(
            f"the condition {text!r} cannot be read: {wanted} is missing before {found}. Write datasets with & for and, "
            "| for or, and parentheses: sales.orders & (sales.customers | sales.sellers)"
        )

    def one() -> Term:
        nonlocal place
        if place == len(tokens) or tokens[place] in ("&", "|", ")"):
            raise fail("a dataset")
        token = tokens[place]
        place += 1
        if token != "(":
            return Term("", token)
        inner = joined("|")
        if place == len(tokens) or tokens[place] != ")":
            raise fail("')'")
        place += 1
        return inner

    def joined(operator: str) -> Term:
        nonlocal place
        terms = [joined("&") if operator == "|" else one()]
        while place < len(tokens) and tokens[place] == operator:
            place += 1
            terms.append(joined("&") if operator == "|" else one())
        return terms[0] if len(terms) == 1 else Term(operator, "", tuple(terms))

    found = joined("|")
    if place != len(tokens):
        raise fail("'&' or '|'")
    return found


def resolve(term: Term, datasets: Iterable[StarlakeDataset]) -> Term:
    """Return a condition with the identities of its datasets as names.

    Args:
        term: a condition that names datasets by ``domain.table`` or by URI.
        datasets: the datasets that may be in it.

    Raises:
        DatasetError: it names another one.
    """
    known: dict[str, str] = {}
    for dataset in datasets:
        for name in (dataset.uri, dataset.sink, dataset.name):
            if name:
                known.setdefault(name.casefold(), dataset.identity)

    def resolved(term: Term) -> Term:
        if term.operator:
            return Term(term.operator, "", tuple(resolved(part) for part in term.terms))
        found = known.get(term.name.casefold())
        if found is None:
            names = sorted({dataset.sink or dataset.uri for dataset in datasets})
            raise DatasetError(
                f"the condition names {term.name!r}, which does not start the pipeline.{did_you_mean(term.name, names)} "
                f"Use one of {', '.join(names) or 'its datasets, of which there are none'}"
            )
        return Term("", found)

    datasets = tuple(datasets)
    return resolved(term)

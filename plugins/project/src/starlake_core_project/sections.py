"""Merges the ``metadata`` of a table over that of its domain."""

from __future__ import annotations

from typing import Any

from .keys import text_map, texts
from .model import Format, Metadata
from .schema import Freshness, MetadataKeys, WriteStrategy

__all__ = ["read_metadata"]


def read_metadata(table: MetadataKeys | None, domain: Metadata = Metadata()) -> Metadata:  # noqa: B008 - frozen
    """Merge the metadata of a table over that of its domain: freshness, write strategy and sink as a whole, the rest key by key.

    Args:
        table: the metadata in the file of the table, or in that of the domain.
        domain: the metadata of the domain, or the defaults for a domain.
    """
    if table is None:
        return domain
    above = domain.format
    sink = table.sink or domain.sink
    strategy = table.write_strategy
    return Metadata(
        directory=_over(table.directory, domain.directory),
        ack=_over(table.ack, domain.ack),
        schedule=_over(table.schedule, domain.schedule),
        dag_ref=_over(table.dag_ref, domain.dag_ref),
        loader=_over(table.loader, domain.loader),
        freshness=_given(table.freshness, Freshness()) or domain.freshness,
        connection_ref=_over(sink.connection_ref, domain.connection_ref),
        write_strategy=_given(strategy, WriteStrategy()) or domain.write_strategy,
        format=Format(
            format=table.format.upper() if table.format else above.format,
            encoding=_over(table.encoding, above.encoding),
            with_header=_over(table.with_header, above.with_header),
            separator=_over(table.separator, above.separator),
            quote=_over(table.quote, above.quote),
            escape=_over(table.escape, above.escape),
            null_value=_over(table.null_value, above.null_value),
            empty_is_null=_over(table.empty_is_null, above.empty_is_null),
            array=_over(table.array, above.array),
            multiline=_over(table.multiline, above.multiline),
        ),
        sink=sink,
        options={**domain.options, **text_map(table.options)} if table.options else domain.options,
        extensions=texts(table.extensions) or domain.extensions,
    )


def _over(child: Any, parent: Any) -> Any:
    return parent if child is None else child


def _given(value: Any, nothing: Any) -> Any:
    return None if value is None or value == nothing else value

"""The parts that tables and transforms have in common."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TypeVar

from .fields import Fields
from .model import Format, Freshness, Metadata, WriteStrategy

__all__ = ["merged_metadata", "overlay", "read_freshness", "read_metadata", "read_strategy"]

_Record = TypeVar("_Record", Format, Metadata)


def read_freshness(section: Fields) -> Freshness:
    """The ``freshness`` of a section."""
    freshness = section.child("freshness")
    return Freshness(warn=freshness.text("warn"), error=freshness.text("error"))


def read_strategy(section: Fields) -> WriteStrategy:
    """The ``writeStrategy`` of a section."""
    strategy = section.child("writeStrategy")
    kind = strategy.text("type")
    return WriteStrategy(
        type=kind.upper() if kind else None,
        key=strategy.texts("key"),
        timestamp=strategy.text("timestamp"),
        on=strategy.text("on"),
        start_ts=strategy.text("startTs"),
        end_ts=strategy.text("endTs"),
        types=strategy.mapping("types"),
    )


def _read_format(section: Fields) -> Format:
    kind = section.text("format")
    return Format(
        format=kind.upper() if kind else None,
        encoding=section.text("encoding"),
        with_header=section.flag("withHeader"),
        separator=section.text("separator"),
        quote=section.text("quote"),
        escape=section.text("escape"),
        null_value=section.text("nullValue"),
        empty_is_null=section.flag("emptyIsNull"),
        array=section.flag("array"),
        multiline=section.flag("multiline"),
    )


def read_metadata(section: Fields) -> Metadata:
    """The ``metadata`` of a section."""
    metadata = section.child("metadata")
    return Metadata(
        directory=metadata.text("directory"),
        ack=metadata.text("ack"),
        schedule=metadata.text("schedule"),
        dag_ref=metadata.text("dagRef"),
        loader=metadata.text("loader"),
        freshness=read_freshness(metadata),
        connection_ref=metadata.child("sink").text("connectionRef"),
        write_strategy=read_strategy(metadata),
        format=_read_format(metadata),
    )


def overlay(parent: _Record, child: _Record) -> _Record:
    """The child's values, the parent's where the child has none."""
    given = {item.name: value for item in fields(child) if (value := getattr(child, item.name)) is not None}
    return replace(parent, **given)


def merged_metadata(domain: Metadata, table: Metadata) -> Metadata:
    """A table's metadata over its domain's; freshness and strategy are taken whole, the format key by key."""
    return replace(
        overlay(domain, table),
        freshness=table.freshness if table.freshness != Freshness() else domain.freshness,
        write_strategy=table.write_strategy if table.write_strategy != WriteStrategy() else domain.write_strategy,
        format=overlay(domain.format, table.format),
    )

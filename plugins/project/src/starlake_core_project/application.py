"""Reads ``metadata/application.sl.yml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from .fields import Fields
from .model import Application, Areas, Connection
from .text import read_yaml

__all__ = ["read_application"]


def _areas(section: Fields, environ: Mapping[str, str]) -> Areas:
    chosen: dict[str, str] = {}
    for area in fields(Areas):
        name = environ.get(f"SL_AREA_{area.name.upper()}") or section.text(area.name)
        if name:
            chosen[area.name] = name
    # The older variable is read last by Starlake, so it wins.
    if environ.get("SL_INCOMING"):
        chosen["incoming"] = environ["SL_INCOMING"]
    return Areas(**chosen)


def _connection(name: str, section: Fields) -> Connection:
    return Connection(
        name=name,
        type=(section.text("type") or "").lower(),
        options=section.mapping("options"),
        loader=section.text("loader"),
    )


def read_application(
    root: Path, metadata: Path, environ: Mapping[str, str], variables: Mapping[str, str]
) -> Application:
    """Read the application file; a project without one gets the defaults.

    Args:
        root: the project's folder.
        metadata: its metadata folder.
        environ: the process environment, for ``SL_DATASETS`` and ``SL_AREA_*``.
        variables: what Jinja expressions may use.

    Raises:
        ProjectError: the file is broken.
    """
    path = metadata / "application.sl.yml"
    document = read_yaml(path, variables) if path.is_file() else None
    section = Fields.document(document, path).child("application")
    connections = section.child("connections")
    dag_ref = section.child("dagRef")
    return Application(
        datasets=root / (environ.get("SL_DATASETS") or section.text("datasets") or "datasets"),
        metadata=metadata,
        areas=_areas(section.child("area"), environ),
        connections={name: _connection(name, connections.child(name)) for name in connections.values},
        connection_ref=section.text("connectionRef"),
        load_connection_ref=section.text("loadConnectionRef"),
        transform_connection_ref=section.text("transformConnectionRef"),
        schedule_presets=section.mapping("schedulePresets"),
        dag_ref_load=environ.get("SL_DAG_REF_LOAD") or dag_ref.text("load"),
        dag_ref_transform=environ.get("SL_DAG_REF_TRANSFORM") or dag_ref.text("transform"),
        ack=section.text("ack"),
        loader=section.text("loader"),
        duckdb_path=section.text("duckdbPath"),
    )

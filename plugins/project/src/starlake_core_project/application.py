"""Reads ``metadata/application.sl.yml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .keys import text_map
from .model import Application, Areas, Connection
from .reader import Reader
from .schema_application import ApplicationFile, ApplicationKeys, ConnectionKeys
from .settings import given, switch, variables_in_use

__all__ = ["read_application"]


def _connection(name: str, keys: ConnectionKeys | None) -> Connection:
    keys = keys or ConnectionKeys()
    return Connection(name=name, type=(keys.type or "").lower(), options=text_map(keys.options), loader=keys.loader)


def read_application(root: Path, metadata: Path, environ: Mapping[str, str], reader: Reader) -> Application:
    """Read the application file; a project without one gets the defaults.

    Args:
        root: the folder of the project.
        metadata: the metadata folder of the project.
        environ: the environment variables, for :mod:`.settings`.
        reader: the reader of the project.

    Raises:
        ProjectError: the file is invalid.
    """
    path = metadata / "application.sl.yml"
    keys = (reader.read(path, ApplicationFile).application if path.is_file() else None) or ApplicationKeys()
    variables = variables_in_use(keys, environ)

    def setting(name: str) -> str | None:
        found = given(keys, name)
        return variables.get(name) if found is None else str(found)

    def is_on(name: str) -> bool | None:
        return switch(keys, variables, name)

    areas = {name: value for name in Areas.__struct_fields__ if (value := setting(f"area.{name}"))}
    return Application(
        datasets=root / (setting("datasets") or "datasets"),
        metadata=metadata,
        areas=Areas(**areas),
        connections={name: _connection(name, found) for name, found in (keys.connections or {}).items()},
        connection_ref=setting("connectionRef") or None,
        load_connection_ref=setting("loadConnectionRef") or None,
        transform_connection_ref=setting("transformConnectionRef") or None,
        schedule_presets=text_map(keys.schedule_presets),
        dag_ref_load=setting("dagRef.load") or None,
        dag_ref_transform=setting("dagRef.transform") or None,
        ack=keys.ack,
        loader=setting("loader"),
        duckdb_path=setting("duckdbPath") or None,
        timezone=setting("timezone") or None,
        env=keys.env,
        empty_is_null=is_on("emptyIsNull"),
        reject_all_on_error=is_on("rejectAllOnError"),
        archive=is_on("archive"),
        grouped=is_on("grouped"),
        grouped_max=setting("groupedMax") or None,
        load_strategy=setting("loadStrategyClass") or None,
        max_interactive_records=setting("maxInteractiveRecords") or None,
        dsv_options=text_map(keys.dsv_options),
        scd2_start_timestamp=setting("scd2StartTimestamp") or None,
        scd2_end_timestamp=setting("scd2EndTimestamp") or None,
        keys=keys,
        variables=variables,
    )

"""The settings of the application that an environment variable can also set.

If the file and a variable differ, the file wins, as in Starlake, where the variables only change the defaults.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

__all__ = ["SETTINGS", "given", "switch", "variables_in_use"]

_YES = ("true", "yes", "1")
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "accessPolicies.apply": ("SL_ACCESS_POLICIES_APPLY",),
    "accessPolicies.database": ("SL_DATABASE", "GCLOUD_PROJECT", "SL_ACCESS_POLICIES_PROJECT_ID"),
    "accessPolicies.location": ("SL_ACCESS_POLICIES_LOCATION",),
    "accessPolicies.taxonomy": ("SL_ACCESS_POLICIES_TAXONOMY",),
    "archive": ("SL_ARCHIVE",),
    "archiveTable": ("SL_ARCHIVE_TABLE",),
    "area.archive": ("SL_AREA_ARCHIVE",),
    "area.hiveDatabase": ("SL_AREA_HIVE_DATABASE",),
    "area.incoming": ("SL_AREA_INCOMING", "SL_INCOMING"),
    "area.ingesting": ("SL_AREA_INGESTING",),
    "area.replay": ("SL_AREA_REPLAY",),
    "area.stage": ("SL_AREA_STAGE",),
    "area.unresolved": ("SL_AREA_UNRESOLVED",),
    "autoExportSchema": ("SL_AUTO_EXPORT_SCHEMA",),
    "connectionRef": ("SL_CONNECTION_REF", "SL_ACTIVE_CONNECTION_REF"),
    "createSchemaIfNotExists": ("SL_CREATE_SCHEMA_IF_NOT_EXISTS",),
    "csvOutput": ("SL_CSV_OUTPUT",),
    "csvOutputExt": ("SL_CSV_OUTPUT_EXT",),
    "dagRef.load": ("SL_DAG_REF_LOAD",),
    "dagRef.transform": ("SL_DAG_REF_TRANSFORM",),
    "dags": ("SL_DAGS",),
    "database": ("SL_DATABASE",),
    "datasets": ("SL_DATASETS",),
    "defaultAuditWriteFormat": ("SL_DEFAULT_AUDIT_WRITE_FORMAT",),
    "defaultRejectedWriteFormat": ("SL_DEFAULT_REJECTED_WRITE_FORMAT",),
    "defaultWriteFormat": ("SL_DEFAULT_WRITE_FORMAT",),
    "duckDbEnableExternalAccess": ("SL_DUCKDB_ENABLE_EXTERNAL_ACCESS",),
    "duckdbExtensions": ("SL_DUCKDB_EXTENSIONS",),
    "duckdbMode": ("SL_DUCKDB_MODE", "SL_DUAL_MODE"),
    "duckdbPath": ("SL_DUCKDB_PATH",),
    "emptyIsNull": ("SL_EMPTY_IS_NULL",),
    "env": ("SL_ENV",),
    "expectations.active": ("SL_EXPECTATIONS_ACTIVE",),
    "expectations.failOnError": ("SL_EXPECTATIONS_FAIL_ON_ERROR",),
    "forceDomainPattern": ("SL_FORCE_DOMAIN_PATTERN",),
    "forceHalt": ("SL_FORCE_HALT",),
    "forceJobPattern": ("SL_FORCE_JOB_PATTERN",),
    "forceTablePattern": ("SL_FORCE_TABLE_PATTERN",),
    "forceTaskPattern": ("SL_FORCE_TASK_PATTERN",),
    "forceViewPattern": ("SL_FORCE_VIEW_PATTERN",),
    "grouped": ("SL_GROUPED",),
    "groupedMax": ("SL_GROUPED_MAX",),
    "hiveInTest": ("SL_HIVE_IN_TEST",),
    "jobIdEnvName": ("SL_JOB_ID_ENV_NAME",),
    "loadConnectionRef": ("SL_CONNECTION_REF", "SL_ACTIVE_CONNECTION_REF", "SL_LOAD_CONNECTION_REF"),
    "loadStrategies": ("SL_LOAD_STRATEGIES",),
    "loadStrategyClass": ("SL_LOAD_STRATEGY",),
    "loader": ("SL_LOADER",),
    "lock.path": ("SL_LOCK_PATH",),
    "lock.timeout": ("SL_LOCK_TIMEOUT",),
    "longJobTimeoutMs": ("SL_LONG_JOB_TIMEOUT_MS",),
    "macros": ("SL_MACROS",),
    "maxInteractiveRecords": ("SL_MAX_INTERACTIVE_RECORDS",),
    "maxParCopy": ("SL_MAX_PAR_COPY",),
    "maxParTask": ("SL_MAX_PAR_TASK",),
    "metadata": ("SL_METADATA",),
    "onExceptionRetries": ("SL_ON_EXCEPTION_RETRIES",),
    "privacyOnly": ("SL_PRIVACY_ONLY",),
    "prunePartitionOnMerge": ("SL_PRUNE_PARTITION_ON_MERGE",),
    "rejectAllOnError": ("SL_REJECT_ALL_ON_ERROR",),
    "rejectMaxRecords": ("SL_REJECT_MAX_RECORDS",),
    "rejectWithValue": ("SL_REJECT_WITH_VALUE",),
    "root": ("SL_ROOT",),
    "scd2EndTimestamp": ("SL_SCD2_END_TIMESTAMP",),
    "scd2StartTimestamp": ("SL_SCD2_START_TIMESTAMP",),
    "sessionDurationServe": ("SL_SESSION_DURATION_SERVE",),
    "shortJobTimeoutMs": ("SL_SHORT_JOB_TIMEOUT_MS",),
    "sinkReplayToFile": ("SL_SINK_REPLAY_TO_FILE",),
    "syncSqlWithYaml": ("SL_SYNC_SQL_WITH_YAML",),
    "syncYamlWithDb": ("SL_SYNC_YAML_WITH_DB",),
    "tenant": ("SL_TENANT",),
    "testCsvNullString": ("SL_TEST_CSV_NULL_STRING",),
    "tests": ("SL_TESTS",),
    "timezone": ("SL_TIMEZONE",),
    "transformConnectionRef": ("SL_CONNECTION_REF", "SL_ACTIVE_CONNECTION_REF", "SL_TRANSFORM_CONNECTION_REF"),
    "types": ("SL_TYPES",),
    "udfs": ("SL_UDFS",),
    "useLocalFileSystem": ("SL_USE_LOCAL_FILE_SYSTEM",),
    "validateOnLoad": ("SL_VALIDATE_ON_LOAD",),
    "version": ("SL_APPLICATION_VERSION",),
    "writeStrategies": ("SL_WRITE_STRATEGIES",),
}
"""The keys of the application, and the environment variables that set each key. If several are set, the last one wins."""


def given(keys: Struct | None, path: str) -> Any:
    """Return the value of a setting in the file, or None.

    Args:
        keys: the application as written.
        path: the path of the setting, such as ``"area.stage"``.
    """
    found: Any = keys
    for name in path.split("."):
        if found is None:
            return None
        found = getattr(found, _attributes(found.__class__)[name])
    return found


@functools.cache
def _attributes(kind: type[Struct]) -> Mapping[str, str]:
    """The attributes of a structure by their keys in a file."""
    return dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))


def switch(keys: Struct | None, variables: Mapping[str, str], path: str) -> bool | None:
    """Return a setting that is on or off; None if neither the file nor a variable sets it.

    Args:
        keys: the application as written; it takes precedence.
        variables: the values that came from environment variables, by the key of the setting.
        path: the path of the setting, such as ``"expectations.active"``.
    """
    found = given(keys, path)
    if found is None and path in variables:
        return variables[path].lower() in _YES
    return None if found is None else bool(found)


def variables_in_use(keys: Struct, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that come from environment variables, because the file does not set them.

    Args:
        keys: the application as written.
        environ: the environment variables.
    """
    found: dict[str, str] = {}
    for path, names in SETTINGS.items():
        value = ""
        for name in names:  # a loop, because every command of the engine does this for about a hundred settings
            value = environ.get(name) or value
        if value and given(keys, path) is None:
            found[path] = value
    return found

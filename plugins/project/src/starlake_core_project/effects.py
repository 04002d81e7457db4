"""The effect of every key of the model in the DuckDB engine: used, refused or harmless.

A cold start does not import this module. The engine uses it to refuse keys, and ``check`` to warn about them.
``python -m starlake_core_project.effects`` prints the table in the README.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple

from . import schema, schema_application
from .keys import Keys

__all__ = ["EFFECTS", "Effect", "Given", "Use", "effect_of", "given_keys", "setting_effect", "structures"]


class Use(Enum):
    """How the engine treats a key."""

    USED = "used"
    REFUSED = "refused"
    HARMLESS = "harmless"


class Effect(NamedTuple):
    """The effect of a key.

    Attributes:
        use: how the engine treats the key.
        note: what the key does in Starlake, or what the engine does instead.
        unless: values, in lower case, that request what the engine does anyway.
        warn: users may expect an effect, so ``check`` warns that there is none.
        in_transforms: more values, in lower case, that the engine supports in transforms.
    """

    use: Use
    note: str = ""
    unless: tuple[str, ...] = ()
    warn: bool = False
    in_transforms: tuple[str, ...] = ()


EFFECTS: dict[tuple[str, str], Effect] = {}
"""The effect of each key, by the names of its structure and of the key."""


def _used(structure: str, *names: str) -> None:
    EFFECTS.update({(structure, name): Effect(Use.USED) for key in names for name in key.split()})


def _refused(structure: str, names: str, note: str, *unless: str) -> None:
    EFFECTS.update({(structure, name): Effect(Use.REFUSED, note, unless) for name in names.split()})


def _harmless(structure: str, names: str, note: str, warn: bool = False) -> None:
    EFFECTS.update({(structure, name): Effect(Use.HARMLESS, note, (), warn) for name in names.split()})


_TEXT = "documentation only"
_GENERATION = "says which pipelines there are"
_SPARK = "for Spark"
_CLOUD = "for other databases"
_FILES = "for sinks that are files"
_GRANTS = "DuckDB has no grants and no policies"

_used("File", "version")
for _file, _root in (
    ("TableFile", "table"), ("DomainFile", "load"), ("JobFile", "transform"), ("TaskFile", "task"), ("TypesFile", "types"), ("EnvFile", "env"),
    ("RefsFile", "refs"), ("ApplicationFile", "application"),
):  # fmt: skip
    _used(_file, "version", _root)
_harmless("DagFile", "version dag", _GENERATION)
_used("MigratedDomainFile", "version load tables")
_used("Freshness", "warn error")
_used("WriteStrategy", "type types key timestamp on startTs endTs")
_refused("WriteStrategy", "queryFilter", "which rows of the table take part")
_used("Sink", "connectionRef")
EFFECTS["Sink", "materializedView"] = Effect(Use.REFUSED, "a view instead of a table", ("table",), False, ("view",))
_refused("Sink", "sharding", "several tables instead of one")
_used("Sink", "partition")
_harmless("Sink", "clustering", "a file of DuckDB has no clusters")
_harmless("Sink", "days requirePartitionFilter enableRefresh refreshIntervalMs id", _CLOUD)
_harmless("Sink", "format extension coalesce path options", _FILES)
_used(
    "MetadataKeys",
    "format encoding multiline array withHeader separator quote escape sink directory ack emptyIsNull",
    "freshness nullValue writeStrategy dagRef schedule",
)
_used("MetadataKeys", "options")
_harmless("MetadataKeys", "extensions", "the pattern of a table alone says which files it takes", warn=True)
_harmless("MetadataKeys", "loader", "the engine loads files itself")
_used("Position", "first last")
_used("Attribute", "name type array required rename attributes default trim ignore position privacy script")
_harmless("Attribute", "comment sample metricType tags foreignKey", _TEXT)
_harmless("Attribute", "accessPolicy", _GRANTS, warn=True)
_used("Expectation", "expect failOnError")
_harmless("AccessControl", "role grants name", _GRANTS)
_harmless("RowLevelSecurity", "name predicate grants description", _GRANTS)
_used("TableKeys", "filter name pattern attributes metadata presql postsql tags expectations primaryKey rename streams")
_harmless("TableKeys", "comment sample patternSample", _TEXT)
_harmless("TableKeys", "rls acl", _GRANTS, warn=True)
_used("DomainKeys", "name metadata tags rename database")
_harmless("DomainKeys", "comment", _TEXT)
_used(
    "TaskKeys",
    "name sql primaryKey domain table presql postsql sink expectations freshness tags",
    "writeStrategy schedule dagRef connectionRef taskTimeoutMs streams parseSQL",
)
_refused("TaskKeys", "python", "a program instead of a query")
_harmless("TaskKeys", "database", "a file of DuckDB is one database", warn=True)
_used("TaskKeys", "partition")
_harmless("TaskKeys", "rls acl", _GRANTS, warn=True)
_harmless("TaskKeys", "comment attributes", _TEXT)
_harmless("TaskKeys", "syncStrategy", "the columns are those of the query", warn=True)
_harmless("TaskKeys", "dataset_triggering_strategy", _GENERATION)
_used("JobKeys", "name tasks default")
_harmless("JobKeys", "comment", _TEXT)
_used("DataType", "name primitiveType pattern ddlMapping zone")
_harmless("DataType", "sample comment", _TEXT)
_harmless("DagKeys", "comment template filename options", _GENERATION)
_used("InputRef", "database domain table")
_used("OutputRef", "database domain table")
_used("Ref", "input output")

_used("ConnectionKeys", "type loader options")
_harmless("ConnectionKeys", "sparkFormat", _SPARK)
_harmless("ConnectionKeys", "quote separator", _CLOUD)
_refused("ConnectionKeys", "_transpileDialect", "queries in the SQL of another database", "duck_db")
_used("AreaKeys", "incoming stage unresolved archive ingesting replay")
_harmless("AreaKeys", "hiveDatabase", _SPARK)
_used("DagRefs", "load transform")
for _name, _keys in {
    "TableDdl": "createSql pingSql selectSql",
    "JdbcEngine": "tables quote viewPrefix preActions partitionBy clusterBy strategyBuilder columnRemarks tableRemarks",
    "Privacy": "options",
    "AccessPolicies": "apply location database taxonomy",
    "Metrics": "path discreteMaxCardinality active",
    "Http": "interface port",
}.items():
    _harmless(_name, _keys, _CLOUD if _name in ("TableDdl", "JdbcEngine", "AccessPolicies") else "for other commands")
_harmless(
    "Internal",
    "cacheStorageLevel intermediateBigqueryFormat temporaryGcsBucket substituteVars bqAuditSaveInBatchMode",
    _SPARK,
)
_harmless("SparkScheduling", "maxJobs poolName mode file", _SPARK)
_used("ExpectationSettings", "active failOnError")
_harmless("ExpectationSettings", "path", "the results are in a table of the database")
_harmless("Lock", "path timeout pollTime refreshTime", "the engine has locks of its own")
_harmless(
    "Audit",
    "path sink maxErrors database domain domainExpectation domainRejected detailedLoadAudit active sql",
    "the engine keeps tables of its own in the schema starlake_core",
)
_harmless(
    "KafkaTopic",
    "topicName maxRead fields partitions replicationFactor createOptions accessOptions headers",
    "for Kafka",
)
_harmless("Kafka", "serverOptions topics cometOffsetsMode customDeserializers", "for Kafka")
_used(
    "ApplicationKeys",
    "env datasets area connections connectionRef loadConnectionRef transformConnectionRef emptyIsNull rejectAllOnError duckdbPath"
    " schedulePresets dagRef"
    " loader ack timezone database dsvOptions archive grouped groupedMax maxInteractiveRecords",
)
_refused("ApplicationKeys", "archiveTable", "a second table with the previous rows", "false")
_refused("ApplicationKeys", "sinkReplayToFile", "files with the rejected rows", "false")
_refused("ApplicationKeys", "privacyOnly", "files instead of rows", "false")
_refused("ApplicationKeys", "createSchemaIfNotExists", "whether a schema is created", "true")
_refused("ApplicationKeys", "duckdbMode", "another database instead of every connection", "false")
_refused("ApplicationKeys", "refs", "which tables a query means; use refs.sl.yml instead")
_refused("ApplicationKeys", "sqlParameterPattern", "how variables are written in SQL", r"\$\{\s*%s\s*\}")
_refused("ApplicationKeys", "loadStrategies loadStrategyClass", "the order in which files are loaded", "ai.starlake.job.load.ingestiontimestrategy",
         "ai.starlake.job.load.ingestionnamestrategy")  # fmt: skip
_harmless("ApplicationKeys", "dags", _GENERATION)
_harmless("ApplicationKeys", "metadata root types macros", "the folders are those below SL_ROOT", warn=True)
_harmless("ApplicationKeys", "writeStrategies", "custom write strategies are refused by name")
_harmless("ApplicationKeys", "rowValidatorClass", "the engine checks rows itself", warn=True)
_harmless(
    "ApplicationKeys",
    "rejectMaxRecords rejectWithValue",
    "all rejected rows are kept in starlake_core.rejected",
    warn=True,
)
_harmless(
    "ApplicationKeys",
    "audit lock expectations metrics accessPolicies jdbcEngines kafka privacy internal http",
    "see its own keys",
)
_harmless(
    "ApplicationKeys",
    "prunePartitionOnMerge defaultWriteFormat defaultRejectedWriteFormat defaultAuditWriteFormat csvOutput csvOutputExt",
    _FILES,
)
_harmless(
    "ApplicationKeys",
    "hadoop sparkScheduling spark extra udfs hiveInTest useLocalFileSystem maxParCopy maxParTask",
    _SPARK,
)
_harmless(
    "ApplicationKeys",
    "duckdbExtensions duckDbEnableExternalAccess",
    "the engine needs no extension, and can always read files",
    warn=True,
)
_used("ApplicationKeys", "scd2StartTimestamp scd2EndTimestamp")
_harmless("ApplicationKeys", "archiveTablePattern", "for archiveTable, which is refused")
_harmless(
    "ApplicationKeys",
    "longJobTimeoutMs shortJobTimeoutMs onExceptionRetries forceHalt jobIdEnvName",
    "the orchestrator decides this",
)
_harmless(
    "ApplicationKeys",
    "forceViewPattern forceDomainPattern forceTablePattern forceJobPattern forceTaskPattern",
    "reserved in Starlake",
)
_harmless(
    "ApplicationKeys",
    "incoming tests validateOnLoad sessionDurationServe tenant version autoExportSchema testCsvNullString syncSqlWithYaml"
    " syncYamlWithDb pythonLibsDir",
    "for other commands",
)


class Given(NamedTuple):
    """A key that a file sets.

    Attributes:
        way: the path of keys, such as ``("metadata", "options")``.
        effect: the effect of the key.
        value: the value in the file.
    """

    way: tuple[str | int, ...]
    effect: Effect
    value: Any


def structures() -> Iterator[type[Keys]]:
    """Yield every structure of the model; those of the application come last."""
    for module in (schema, schema_application):
        for name in module.__all__:
            found = getattr(module, name)
            if isinstance(found, type) and issubclass(found, Keys):
                yield found


def effect_of(structure: type[Keys], key: str) -> Effect:
    """Return the effect of a key."""
    return EFFECTS[structure.__name__, key]


def setting_effect(path: str) -> Effect:
    """Return the effect of a setting of the application.

    Args:
        path: a key of :data:`.settings.SETTINGS`, such as ``"area.stage"``.
    """
    *above, key = path.split(".")
    inner = {
        "accessPolicies": "AccessPolicies",
        "area": "AreaKeys",
        "dagRef": "DagRefs",
        "expectations": "ExpectationSettings",
        "lock": "Lock",
    }
    return EFFECTS[inner[above[0]] if above else "ApplicationKeys", key]


def given_keys(keys: Keys | None, way: tuple[str | int, ...]) -> Iterator[Given]:
    """Yield the keys that a structure sets, including nested ones, except for values that request what the engine does anyway.

    Args:
        keys: the structure.
        way: the path of keys to the structure.
    """
    if keys is None:
        return
    for name, attribute in zip(keys.__struct_encode_fields__, keys.__struct_fields__, strict=True):
        value = getattr(keys, attribute)
        if value is None or value == _default(type(keys), attribute):
            continue
        effect = effect_of(type(keys), name)
        allowed = (*effect.unless, *effect.in_transforms) if way[0] in ("task", "transform") else effect.unless
        if value != {} and value != () and str(value).lower() not in allowed:
            yield Given((*way, name), effect, value)
        yield from _inside(value, (*way, name))


def _inside(value: Any, way: tuple[str | int, ...]) -> Iterator[Given]:
    if isinstance(value, Keys):
        yield from given_keys(value, way)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _inside(item, (*way, key))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _inside(item, (*way, index))


def _default(structure: type[Keys], attribute: str) -> Any:
    fields = structure.__struct_fields__
    defaults = structure.__struct_defaults__
    place = fields.index(attribute) - (len(fields) - len(defaults))
    return defaults[place] if place >= 0 else None


_TITLES = {"TableKeys": "table", "DomainKeys": "load", "TaskKeys": "task", "JobKeys": "transform", "ApplicationKeys": "application",
           "MetadataKeys": "metadata", "ConnectionKeys": "connection", "AreaKeys": "area", "DagKeys": "dag"}  # fmt: skip


def _rows() -> Iterator[str]:
    yield "| structure | key | DuckDB engine | note |"
    yield "|---|---|---|---|"
    for structure in structures():
        name = structure.__name__
        if name.endswith("File"):
            continue
        title = _TITLES.get(name, name[0].lower() + name[1:])
        grouped: dict[Effect, list[str]] = {}
        for key in structure.__struct_encode_fields__:
            grouped.setdefault(effect_of(structure, key), []).append(f"`{key}`")
        for effect, keys in grouped.items():
            values = ", ".join(f"`{value}`" for value in effect.unless)
            note = f"{effect.note}; allowed: {values}" if values else effect.note
            if effect.in_transforms:
                note += f"; in transforms also {', '.join(f'`{value}`' for value in effect.in_transforms)}"
            yield f"| {title} | {', '.join(keys)} | {effect.use.value}{', with a warning' if effect.warn else ''} | {note} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(_rows()) + "\n")

"""The declared model of ``metadata/application.sl.yml``; see :mod:`.schema`."""

from typing import Any

from .keys import Keys, Text, TextList, TextMap
from .schema import File, Ref, Sink

__all__ = [
    "AccessPolicies",
    "ApplicationFile",
    "ApplicationKeys",
    "AreaKeys",
    "Audit",
    "ConnectionKeys",
    "DagRefs",
    "ExpectationSettings",
    "Http",
    "Internal",
    "JdbcEngine",
    "Kafka",
    "KafkaTopic",
    "Lock",
    "Metrics",
    "Privacy",
    "SparkScheduling",
    "TableDdl",
]


class ConnectionKeys(
    Keys, frozen=True, rename={"transpile_dialect": "_transpileDialect", "spark_format": "sparkFormat"}
):
    """A connection to a database."""

    type: Text = None
    spark_format: Text = None
    loader: Text = None
    quote: Text = None
    separator: Text = None
    options: TextMap = None
    transpile_dialect: Text = None


class AreaKeys(Keys, frozen=True):
    """The names of the folders below the datasets folder."""

    incoming: Text = None
    stage: Text = None
    unresolved: Text = None
    archive: Text = None
    ingesting: Text = None
    replay: Text = None
    hive_database: Text = None


class TableDdl(Keys, frozen=True):
    """How a table is created in a database."""

    create_sql: Text = None
    ping_sql: Text = None
    select_sql: Text = None


class JdbcEngine(Keys, frozen=True):
    """What Starlake has to know about a database."""

    tables: dict[str, TableDdl] | None = None
    quote: Text = None
    view_prefix: Text = None
    pre_actions: Text = None
    partition_by: Text = None
    cluster_by: Text = None
    strategy_builder: Text = None
    column_remarks: Text = None
    table_remarks: Text = None


class Privacy(Keys, frozen=True):
    """The functions that hide values."""

    options: TextMap = None


class Internal(Keys, frozen=True):
    """Settings of Spark and BigQuery."""

    cache_storage_level: Text = None
    intermediate_bigquery_format: Text = None
    temporary_gcs_bucket: Text = None
    substitute_vars: bool | None = None
    bq_audit_save_in_batch_mode: bool | None = None


class AccessPolicies(Keys, frozen=True):
    """Policy tags of BigQuery."""

    apply: bool | None = None
    location: Text = None
    database: Text = None
    taxonomy: Text = None


class SparkScheduling(Keys, frozen=True):
    """How Spark runs jobs at once."""

    max_jobs: int | None = None
    pool_name: Text = None
    mode: Text = None
    file: Text = None


class ExpectationSettings(Keys, frozen=True):
    """Whether and where expectations are run."""

    path: Text = None
    active: bool | None = None
    fail_on_error: bool | None = None


class Metrics(Keys, frozen=True):
    """Whether and where metrics are computed."""

    path: Text = None
    discrete_max_cardinality: int | None = None
    active: bool | None = None


class Lock(Keys, frozen=True):
    """The locks of Starlake's processes."""

    path: Text = None
    timeout: int | None = None
    poll_time: int | None = None
    refresh_time: int | None = None


class Audit(Keys, frozen=True):
    """Where Starlake keeps its own tables."""

    path: Text = None
    sink: Sink | None = None
    max_errors: Text = None
    database: Text = None
    domain: Text = None
    domain_expectation: Text = None
    domain_rejected: Text = None
    detailed_load_audit: bool | None = None
    active: bool | None = None
    sql: Text = None


class KafkaTopic(Keys, frozen=True):
    """A topic of Kafka."""

    topic_name: Text = None
    max_read: int | None = None
    fields: TextList = None
    partitions: int | None = None
    replication_factor: int | None = None
    create_options: TextMap = None
    access_options: TextMap = None
    headers: dict[str, TextMap] | None = None


class Kafka(Keys, frozen=True):
    """The servers and topics of Kafka."""

    server_options: TextMap = None
    topics: dict[str, KafkaTopic] | None = None
    comet_offsets_mode: Text = None
    custom_deserializers: TextMap = None


class DagRefs(Keys, frozen=True):
    """The default files of ``metadata/dags``."""

    load: Text = None
    transform: Text = None


class Http(Keys, frozen=True):
    """Where Starlake's server listens."""

    interface: Text = None
    port: int | None = None


class ApplicationKeys(Keys, frozen=True):
    """The settings of a project, as they are written."""

    env: Text = None
    datasets: Text = None
    incoming: Text = None
    dags: Text = None
    types: Text = None
    macros: Text = None
    tests: Text = None
    prune_partition_on_merge: bool | None = None
    write_strategies: Text = None
    load_strategies: Text = None
    metadata: Text = None
    metrics: Metrics | None = None
    validate_on_load: bool | None = None
    reject_with_value: bool | None = None
    audit: Audit | None = None
    archive: bool | None = None
    sink_replay_to_file: bool | None = None
    lock: Lock | None = None
    default_write_format: Text = None
    default_rejected_write_format: Text = None
    default_audit_write_format: Text = None
    csv_output: bool | None = None
    csv_output_ext: Text = None
    privacy_only: bool | None = None
    empty_is_null: bool | None = None
    loader: Text = None
    row_validator_class: Text = None
    load_strategy_class: Text = None
    grouped: bool | None = None
    grouped_max: int | None = None
    scd2_start_timestamp: Text = None
    scd2_end_timestamp: Text = None
    area: AreaKeys | None = None
    hadoop: TextMap = None
    connections: dict[str, ConnectionKeys | None] | None = None
    jdbc_engines: dict[str, JdbcEngine] | None = None
    privacy: Privacy | None = None
    root: Text = None
    internal: Internal | None = None
    access_policies: AccessPolicies | None = None
    spark_scheduling: SparkScheduling | None = None
    udfs: Text = None
    expectations: ExpectationSettings | None = None
    sql_parameter_pattern: Text = None
    reject_all_on_error: bool | None = None
    reject_max_records: int | None = None
    max_par_copy: int | None = None
    kafka: Kafka | None = None
    dsv_options: TextMap = None
    force_view_pattern: Text = None
    force_domain_pattern: Text = None
    force_table_pattern: Text = None
    force_job_pattern: Text = None
    force_task_pattern: Text = None
    use_local_file_system: Text = None
    session_duration_serve: Text = None
    database: Text = None
    tenant: Text = None
    connection_ref: Text = None
    load_connection_ref: Text = None
    transform_connection_ref: Text = None
    schedule_presets: TextMap = None
    max_par_task: int | None = None
    refs: tuple[Ref, ...] | None = None
    dag_ref: DagRefs | None = None
    force_halt: bool | None = None
    job_id_env_name: Text = None
    archive_table_pattern: Text = None
    archive_table: bool | None = None
    version: Text = None
    auto_export_schema: bool | None = None
    long_job_timeout_ms: int | None = None
    short_job_timeout_ms: int | None = None
    create_schema_if_not_exists: bool | None = None
    http: Http | None = None
    timezone: Text = None
    max_interactive_records: int | None = None
    duckdb_mode: bool | None = None
    duckdb_extensions: Text = None
    duckdb_path: Text = None
    test_csv_null_string: Text = None
    hive_in_test: Text = None
    spark: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None
    duck_db_enable_external_access: bool | None = None
    sync_sql_with_yaml: bool | None = None
    sync_yaml_with_db: bool | None = None
    on_exception_retries: int | None = None
    python_libs_dir: Text = None
    ack: Text = None


class ApplicationFile(File, frozen=True):
    """``application.sl.yml``."""

    application: ApplicationKeys | None

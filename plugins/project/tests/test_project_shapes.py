"""Projects in the shapes of public samples: they open without a stub. The files are ours; their keys and layouts are those that people have."""

# ruff: noqa: E501 - files of a project as people write them
from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from starlake_core_project import Project, ProjectError
from starlake_core_project.checking import check_project

CONNECTIONS = """
  connections:
    duckdb:
      type: "jdbc" # a file
      options:
        url: "jdbc:duckdb:{{SL_ROOT}}/datasets/duckdb.db"
        driver: "org.duckdb.DuckDBDriver"
    postgresql:
      type: JDBC
      sparkFormat: jdbc
      options: {url: "jdbc:postgresql://{{POSTGRES_HOST}}:{{POSTGRES_PORT}}/db", user: "{{POSTGRES_USER}}", quoteIdentifiers: false}
    redshift:
      type: jdbc
      loader: native
      options: {url: "jdbc:redshift://{{REDSHIFT_HOST}}:5439/db", aws_iam_role: "{{REDSHIFT_ROLE}}"}
    spark_local: {type: fs}
"""
TYPES = """
version: 1
types:
  - name: "email"
    primitiveType: "string"
    pattern: "[^@]+@[^@]+"
    sample: "me@company.com"
    comment: "An address"
    ddlMapping: {sql: , bigquery: STRING, duckdb: VARCHAR}
"""
DAG = """
version: 1
dag:
  comment: "all tables"
  template: "load/airflow__scheduled_table__shell.py.j2"
  filename: "airflow_all_tables.py"
  options: {load_dependencies: "true", sl_env_var: '{"SL_ROOT": "/data"}', pre_load_strategy: none}
"""
SHAPES: dict[str, dict[str, str]] = {
    "bootstrap": {
        "application.sl.yml": "version: 1\napplication:\n  connectionRef: duckdb\n  audit: {sink: {connectionRef: duckdb}}\n"
        "  dagRef: {load: airflow_load_shell, transform: airflow_transform_shell}" + CONNECTIONS,
        "env.sl.yml": "version: 1\nenv:\n  root_path: '{{SL_ROOT}}'\n",
        "types/default.sl.yml": TYPES,
        "dags/airflow_load_shell.sl.yml": DAG,
        "load/starbake/_config.sl.yml": "version: 1\nload:\n  name: starbake\n  metadata: {directory: '{{root_path}}/datasets/incoming/starbake'}\n",
        "load/starbake/order.sl.yml": """
            version: 1
            table:
              name: "order"
              pattern: "order_.*.csv"
              attributes:
                - {name: order_id, type: long, required: false, privacy: "NONE", ignore: false, array: false}
                - {name: timestamp, type: iso_date_time}
              metadata:
                format: "DSV"
                encoding: "UTF-8"
                multiline: false
                array: false
                withHeader: true
                separator: ";"
                quote: "\\""
                escape: "\\\\"
                writeStrategy: {type: "APPEND"}
            """,
        "transform/kpi/_config.sl.yml": "version: 1\ntransform:\n  default:\n    writeStrategy:\n      type: OVERWRITE\n",
        "transform/kpi/order_summary.sql": "SELECT 1 AS a",
    },
    "starbake": {
        "application.sl.yml": "---\nversion: 1\napplication:\n  connectionRef: \"{{connectionRef}}\"\n  defaultWriteFormat: parquet\n"
        "  audit:\n    sink:\n      connectionRef: \"{{connectionRef}}\"" + CONNECTIONS,
        "env.sl.yml": "version: 1\nenv:\n  connectionRef: duckdb\n",
        "env.BQ.sl.yml": "version: 1\nenv:\n  connectionRef: bigquery\n",
        "load/starbake/_config.sl.yml": "version: 1\nload:\n  metadata: {directory: in}\n",
        "load/starbake/product.sl.yml": """
            version: 1
            table:
              name: product
              pattern: "product_.*.xml"
              metadata: {format: XML, encoding: UTF-8, array: false, options: {rowTag: record}, writeStrategy: {type: OVERWRITE}}
              attributes: [{name: product_id, type: long, required: false}]
            """,
        "transform/kpi/revenue.sl.yml": "version: 1\ntask:\n  name: revenue\n  domain: kpi\n  table: revenue\n",
        "transform/kpi/revenue.sql": "SELECT 1 AS a",
    },
    "any-engine hr": {
        "application.sl.yml": "version: 1\napplication:\n  loader: \"{{ loader }}\" # native or spark\n  accessPolicies: {apply: true, taxonomy: GDPR}\n"
        "  spark:\n    delta: {logStore: {class: LocalLogStore}}\n  connectionRef: \"{{ myConnectionRef }}\"" + CONNECTIONS,
        "env.sl.yml": "version: 1\nenv:\n  loader: native\n  myConnectionRef: duckdb\n  root_path: '{{SL_ROOT}}'\n",
        "load/hr/_config.sl.yml": "---\nversion: 1\nload:\n  name: \"hr\"\n  metadata:\n    directory: \"{{root_path}}/incoming/hr\"\n",
        "load/hr/locations.sl.yml": """
            version: 1
            table:
                name: "locations"
                pattern: "locations-.*.json"
                primaryKey:
                  - id
                metadata: {array: false, format: "JSON", schedule: "0 0 * * *", writeStrategy: {type: "OVERWRITE"}}
                acl:
                  - {role: viewer, grants: ["user:me@me.com"]}
                rls:
                  - {name: mine, predicate: "a = 1", grants: ["group:all"]}
                attributes:
                  - {name: "id", type: "string", required: true, accessPolicy: PII}
                expectations:
                  - {expect: "is_col_value_not_unique('id')", failOnError: false}
            """,
    },
    "any-engine sales": {
        "application.sl.yml": "version: 1\napplication:\n  connectionRef: duckdb" + CONNECTIONS,
        "load/sales/_config.sl.yml": "version: 1\nload:\n  name: sales\n  tags: [a]\n  metadata: {directory: in, ack: '', dagRef: all}\n",
        "load/sales/customers.sl.yml": """
            version: 1
            table:
              name: "customers"
              pattern: "customers.*.psv"
              attributes:
              - {name: "id", type: "string"}
              - {name: "signup", type: "timestamp"}
              - {name: "id1", type: "string", script: "substring(id, 1, 1)"}
              metadata:
                separator: "|"
                writeStrategy: {type: "UPSERT_BY_KEY_AND_TIMESTAMP", timestamp: signup, on: SOURCE_AND_TARGET, key: [id]}
            """,
        "load/sales/categories.sl.yml": """
            version: 1
            table:
              pattern: "categories.*"
              attributes: [{name: id, type: string}]
              metadata: {writeStrategy: {type: SCD2, key: [id], startTs: from, endTs: to}, sink: {clustering: [id], partition: [id]}}
            """,
        "transform/sales_kpi/byseller.sl.yml": "version: 1\ntask:\n  domain: sales_kpi\n  table: byseller\n  sink: {connectionRef: duckdb}\n"
        "  attributes: [{name: a, type: int, comment: b}]\n",
        "transform/sales_kpi/byseller.sql.j2": "SELECT 1 AS a",
    },
    "lineage": {
        "application.sl.yml": "version: 1\napplication:\n  connectionRef: duckdb\n  schedulePresets: {nightly: '0 1 * * *'}" + CONNECTIONS,
        "load/raw/orders.sl.yml": "version: 1\ntable:\n  name: orders\n  pattern: o.*\n  attributes: [{name: id, type: integer, foreignKey: raw.x.id}]\n",
        "transform/mart/a.sl.yml": "version: 1\ntask:\n  schedule: nightly\n  dataset_triggering_strategy: \"a & (b | c)\"\n  dagRef: x\n",
        "transform/mart/a.sql": "SELECT 1 AS a",
    },
    "iceberg": {
        "application.sl.yml": "---\nversion: 1\napplication:\n  defaultWriteFormat: iceberg\n  spark:\n    sql.extensions: \"org.apache.iceberg\"\n"
        "    sql.defaultCatalog:  local\n  connectionRef: \"{{activeConnection}}\"" + CONNECTIONS,
        "env.sl.yml": "version: 1\nenv:\n  activeConnection: duckdb\n",
        "load/hr/x.sl.yml": "version: 1\ntable:\n  pattern: x\n  metadata: {sink: {format: iceberg, coalesce: true, options: {a: b}}}\n  attributes: [{name: a}]\n",
    },
    "tutorial": {
        "application.sl.yml": "---\napplication:\n  loader: \"native\"\n  connectionRef: \"{{connectionRef}}\"\n  defaultWriteFormat: \"parquet\"" + CONNECTIONS,
        "env.sl.yml": "env:\n  connectionRef: duckdb\n",
        "types/default.sl.yml": "- name: name\n  primitiveType: string\n  pattern: .+\n",
        "load/starbake/_config.sl.yml": "load:\n  name: starbake\n  metadata:\n    mode: FILE\n    directory: '{{SL_ROOT}}/incoming'\n",
        "load/starbake/Customers.sl.yml": """
            table:
              name: "Customers"
              pattern: "customers_.*.csv"
              primaryKey:
                - customer_id
              metadata:
                mode: "FILE"
                format: "DSV"
                withHeader: true
                separator: ","
                write: "OVERWRITE"
              attributes:
                - {name: customer_id, type: int, required: true}
            """,
        "transform/Customers/_config.sl.yml": "transform:\n  default:\n    sink:\n      connectionRef: duckdb\n",
        "transform/Customers/Lifetime.sl.yml": "task:\n  domain: Customers\n  table: Lifetime\n  write: OVERWRITE\n",
        "transform/Customers/Lifetime.sql": "SELECT 1 AS a",
    },
}  # fmt: skip
UNUSED = ("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_USER", "REDSHIFT_HOST", "REDSHIFT_ROLE")
"""What the connections of other databases would need."""


def written(root: Path, name: str) -> Path:
    for path, text in SHAPES[name].items():
        target = root / "metadata" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(dedent(text), encoding="utf-8")
    return root


@pytest.mark.parametrize("name", list(SHAPES))
def test_it_opens(tmp_path: Path, name: str) -> None:
    project = Project.load(written(tmp_path, name), environ=dict.fromkeys(UNUSED, "x"))
    tables = [table.name for domain in project.domain_names() for table in project.tables(domain)]
    assert len(tables) == sum(path.startswith("load/") and "_config" not in path for path in SHAPES[name])
    assert len(project.tasks()) == sum("transform/" in path and ".sql" in path for path in SHAPES[name])
    assert project.application.connection_ref == "duckdb"
    assert project.types


@pytest.mark.parametrize("name", list(SHAPES))
def test_check_finds_no_error(tmp_path: Path, name: str) -> None:
    found = check_project(written(tmp_path, name), strict=False, environ=dict.fromkeys(UNUSED, "x"))
    assert not found.errors
    assert found.files == sum(path.endswith(".sl.yml") for path in SHAPES[name])


def test_the_tutorial_means_what_it_meant(tmp_path: Path) -> None:
    project = Project.load(written(tmp_path, "tutorial"), environ=dict.fromkeys(UNUSED, "x"))
    (table,) = project.tables("starbake")
    (task,) = project.tasks()
    assert (table.metadata.write_strategy.type, task.write_strategy.type) == ("OVERWRITE", "OVERWRITE")


def test_an_old_layout_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "metadata" / "domains").mkdir(parents=True)
    with pytest.raises(ProjectError, match="has the layout of Starlake before 1"):
        Project.load(tmp_path, environ={})

"""The hooks of the add-on ``query``."""

from __future__ import annotations

from collections.abc import Sequence

from starlake_core import STR, TEXT_MAP, GeneralOptions, Job, OptionGroup, Options, Preload, hookimpl, option
from starlake_core.runtime import Runner

from .ask import DUCKDB
from .runner import NAME, QueryRunner

needs_hooks = "1.0"

ALL_DOMAINS = "*"


class QueryOptions(OptionGroup):
    """Which database is asked what."""

    query_sql: dict[str, str] = option(
        TEXT_MAP,
        required=True,
        doc="The query that decides, by domain; * for all others. The domain is ready if the query returns a row whose first value is not "
        "NULL, 0, false or empty. The query may have the parameters :domain, :ds, :scheduled_date, :data_interval_start and :data_interval_end. A "
        "domain without a query has its usual check.",
    )
    query_url: str = option(
        STR,
        "",
        env="",
        doc="The database: duckdb:///FILE, or a URL of SQLAlchemy. A variable of the orchestrator keeps it secret: ${var:NAME}. The default is the "
        "variable SL_QUERY_URL of the worker.",
    )


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [QueryOptions]


@hookimpl(tryfirst=True)
def sl_create_preload(preload: Preload, options: Options) -> Job | None:
    given = options[QueryOptions]
    sql = given.query_sql.get(preload.domain, given.query_sql.get(ALL_DOMAINS, "")).strip()
    if not sql:
        return None
    spec = {
        "sql": sql,
        "secret_url": given.query_url,
        "parameters": {
            "domain": preload.domain,
            "ds": "${sl_ds}",
            "scheduled_date": "${sl_scheduled_date}",
            "data_interval_start": "${sl_data_interval_start}",
            "data_interval_end": "${sl_data_interval_end}",
        },
    }
    # DuckDB lets no other process read a file while somebody writes to it, so the query waits for its turn.
    path = given.query_url.removeprefix(DUCKDB)
    exclusive = f"duckdb:{path}" if path != given.query_url and path.startswith("/") else ""
    env = options[GeneralOptions].sl_env_var
    return Job(NAME, env=env, spec=spec, check=True, plugins=(NAME,), exclusive=exclusive)


@hookimpl(tryfirst=True)
def sl_create_runner(job: Job) -> Runner | None:
    return QueryRunner() if job.environment == NAME else None

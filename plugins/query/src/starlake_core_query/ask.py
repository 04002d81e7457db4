"""The program that asks a database: ``python -m starlake_core_query.ask``.

It reads the address, the query and the parameters from the environment, writes one line, and ends with 0 (ready), 75
(not ready), 69 (the database did not answer, or not yet) or 78 (the address, the query or the installation is wrong).
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ["DUCKDB", "NOT_READY", "PARAMETERS_VARIABLE", "SQL_VARIABLE", "URL_VARIABLE", "main"]

DUCKDB = "duckdb:///"
URL_VARIABLE = "SL_QUERY_URL"
SQL_VARIABLE = "SL_QUERY_TEXT"
PARAMETERS_VARIABLE = "SL_QUERY_PARAMETERS"

READY, NO_ANSWER, NOT_READY, WRONG = 0, 69, 75, 78

_NAMED = re.compile(r"(?<![:\w]):(?P<name>[a-z_]+)\b(?!:)")
"""A parameter in a query, as SQLAlchemy reads it: neither ``a::date`` nor ``'12:30'`` is one."""


class _Wrong(Exception):
    """Another attempt would fail too."""


def _first_row_of_duckdb(path: str, sql: str, parameters: Mapping[str, str]) -> Sequence[Any] | None:
    import duckdb

    used: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        if found["name"] not in parameters:
            return found[0]
        used[found["name"]] = parameters[found["name"]]
        return f"${found['name']}"

    try:
        with duckdb.connect(path, read_only=True) as database:
            return database.execute(_NAMED.sub(named, sql), used or None).fetchone()
    except (duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
        # A table that is not there is a ProgrammingError, and so is a word that is not SQL.
        raise _Wrong(str(error)) from error


def _first_row_of_sqlalchemy(url: str, sql: str, parameters: Mapping[str, str]) -> Sequence[Any] | None:
    import sqlalchemy
    from sqlalchemy import exc

    try:
        engine = sqlalchemy.create_engine(url)
        statement = sqlalchemy.text(sql)
        unknown = sorted(set(statement.compile().params) - set(parameters))
        if unknown:
            raise _Wrong(f"the query has the parameters {', '.join(unknown)}; there are only {', '.join(parameters)}")
        used = {name: parameters[name] for name in statement.compile().params}
        with engine.connect() as connection:
            row = connection.execute(statement, used).fetchone()
        return None if row is None else tuple(row)
    except (exc.ArgumentError, exc.NoSuchModuleError, exc.ProgrammingError) as error:
        raise _Wrong(str(getattr(error, "orig", None) or error)) from error


def _first_row(url: str, sql: str, parameters: Mapping[str, str]) -> Sequence[Any] | None:
    if url.startswith(DUCKDB):
        return _first_row_of_duckdb(unquote(url.removeprefix(DUCKDB)), sql, parameters)
    return _first_row_of_sqlalchemy(url, sql, parameters)


def _without_password(text: str, url: str) -> str:
    """Return a message in one line, without the password of the address."""
    password = urlsplit(url).password
    for secret in filter(None, (url if password else "", password, unquote(password or ""))):
        text = text.replace(secret, "***")
    return " ".join(text.split())


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Ask, write one line, and return the exit code.

    Args:
        environ: the environment variables.
    """
    url = environ.get(URL_VARIABLE, "")
    try:
        if not url:
            raise _Wrong(f"no database is known; set the option query_url, or {URL_VARIABLE} where the worker runs")
        row = _first_row(url, environ[SQL_VARIABLE], json.loads(environ[PARAMETERS_VARIABLE]))
    except _Wrong as error:
        return _say(f"the query cannot be asked: {_without_password(str(error), url)}", WRONG)
    except ImportError as error:
        package = "duckdb" if url.startswith("duckdb:") else "sqlalchemy"
        return _say(
            f"the query cannot be asked: {error}; install the driver of the database, and starlake-core-query[{package}]",
            WRONG,
        )
    except Exception as error:  # whatever a driver raises
        shown = _without_password(str(getattr(error, "orig", None) or error), url)
        return _say(f"the database did not answer: {type(error).__name__}: {shown}", NO_ANSWER)
    if row is None:
        return _say("the query has no row", NOT_READY)
    if not row[0]:
        return _say(f"the first value of the query is {'NULL' if row[0] is None else repr(row[0])}", NOT_READY)
    return _say("the query has a row", READY)


def _say(line: str, code: int) -> int:
    sys.stdout.write(f"{line}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())

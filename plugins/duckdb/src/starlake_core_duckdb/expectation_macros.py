"""The macros of expectations that every project has: those that Starlake's guide to expectations describes.

A macro of the same name in ``metadata/expectations`` or ``metadata/macros`` takes precedence.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MACROS", "Macro"]


class Macro(NamedTuple):
    """A macro.

    Attributes:
        text: its definition.
        condition: what has to be true of its rows, if an expectation has no condition of its own.
    """

    text: str
    condition: str


MACROS: dict[str, Macro] = {
    "is_col_value_not_unique": Macro(
        "{% macro is_col_value_not_unique(col, table='SL_THIS') %}"
        "SELECT coalesce(max(occurrences), 1) FROM (SELECT count(*) AS occurrences FROM {{ table }} GROUP BY {{ col }})"
        "{% endmacro %}",
        "result(0) == 1",
    ),
    "is_row_count_to_be_between": Macro(
        "{% macro is_row_count_to_be_between(min_value, max_value, table_name='SL_THIS') %}"
        "SELECT CAST(count(*) BETWEEN {{ min_value }} AND {{ max_value }} AS INTEGER) FROM {{ table_name }}"
        "{% endmacro %}",
        "result(0) == 1",
    ),
    "col_value_count_greater_than": Macro(
        "{% macro col_value_count_greater_than(col, min_count, table_name='SL_THIS') %}"
        "SELECT {{ col }}, count(*) FROM {{ table_name }} GROUP BY {{ col }} HAVING count(*) > {{ min_count }}"
        "{% endmacro %}",
        "count == 0",
    ),
    "count_by_value": Macro(
        "{% macro count_by_value(col, value, table='SL_THIS') %}"
        "SELECT count(*) FROM {{ table }} WHERE CAST({{ col }} AS VARCHAR) LIKE '{{ value | string | replace(\"'\", \"''\") }}'"
        "{% endmacro %}",
        "result(0) == 0",
    ),
    "column_occurs": Macro(
        "{% macro column_occurs(col, times, table='SL_THIS') %}"
        "SELECT max(occurrences) FROM (SELECT count(*) AS occurrences FROM {{ table }} GROUP BY {{ col }} "
        "HAVING count(*) = {{ times }})"
        "{% endmacro %}",
        "result(0) != null",
    ),
}
"""The macros by name."""

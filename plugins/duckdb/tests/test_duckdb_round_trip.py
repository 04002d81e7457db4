"""Whatever a file says is what the table holds."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from conftest import Sandbox

VALUES = st.lists(
    st.tuples(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)),
    min_size=1,
    max_size=5,
)
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def loaded(sandbox: Sandbox, metadata: str, content: str) -> list[str | None]:
    sandbox.table(
        "texts",
        f"""
        table:
          pattern: "texts.*"
          attributes: [{{name: n, type: int}}, {{name: label}}]
          metadata: {{writeStrategy: {{type: OVERWRITE}}, {metadata}}}
        """,
    )
    folder = sandbox.root / "datasets/stage/shop"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "texts1").write_bytes(content.encode())
    result = sandbox.run("load", "--domains", "shop", "--tables", "texts")
    assert result.code == 0, result.err
    assert result.out.endswith(" 0 rejected\n"), sandbox.query("FROM starlake_core.rejected")
    return [row[0] for row in sandbox.query("SELECT label FROM shop.texts ORDER BY n")]


@QUICK
@given(VALUES)
def test_text_in_csv(sandbox: Sandbox, rows: list[tuple[str]]) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerows([("n", "label"), *((number, text) for number, (text,) in enumerate(rows))])
    assert loaded(sandbox, "emptyIsNull: false", buffer.getvalue()) == [text for (text,) in rows]


@QUICK
@given(VALUES, st.booleans())
def test_text_in_json(sandbox: Sandbox, rows: list[tuple[str]], array: bool) -> None:
    records = [json.dumps({"n": number, "label": text}) for number, (text,) in enumerate(rows)]
    content = f"[{','.join(records)}]" if array else "\n".join(records)
    assert loaded(sandbox, "format: JSON, emptyIsNull: false", content) == [text for (text,) in rows]

"""Puts a page together: one HTML document with its styles, scripts and data, which loads nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["SCRIPTS", "document", "policy"]

SCRIPTS = ("data.js", "scene.js", "canvas.js", "panel.js", "lists.js", "timeline.js", "live.js", "main.js")
"""The files of the page's own script, in the order in which they are joined."""

_LIBRARIES = ("cytoscape.min.js", "dagre.min.js")
_LICENCES = ("cytoscape.LICENSE.txt", "dagre.min.js.LEGAL.txt", "dagre.LICENSE.txt")
# In a block of data, these could end the block, begin a comment, or be a line break in a string.
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def document(graph: Any, details: Any, runs: Any, *, live: bool = False) -> str:
    """Return a page.

    Args:
        graph, details, runs: what :mod:`.contents` and :mod:`.run_contents` return.
        live: whether the page asks the server that sent it for changes.
    """
    blocks = {"graph": {**graph, "live": live}, "details": details, "runs": runs, "licences": _licences()}
    data = "\n".join(
        f'<script type="application/json" id="data-{name}">{_json(block)}</script>' for name, block in blocks.items()
    )
    scripts = "\n".join(f"<script>{script}</script>" for script in _scripts())
    frame = _text("page.html")
    values = {
        "@POLICY@": html.escape(policy(live)),
        "@TITLE@": html.escape(str(graph["title"])),
        "@STYLE@": f"<style>{_text('page.css')}</style>",
        "@DATA@": data,
        "@SCRIPTS@": scripts,
    }
    # One pass over the frame: what is put in is never searched.
    parts = []
    rest = frame
    for marker, value in values.items():
        before, _, rest = rest.partition(marker)
        parts += [before, value]
    return "".join([*parts, rest])


@cache
def policy(live: bool) -> str:
    """Return the content security policy of a page: only its own scripts run, and nothing is loaded.

    Args:
        live: whether the page may ask its own server for changes.
    """
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in _scripts())
    source = "'self'" if live else "'none'"
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        f"connect-src {source}; base-uri 'none'; form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _scripts() -> tuple[str, ...]:
    own = "\n".join(_text(name) for name in SCRIPTS)
    return (*(_text("vendor", name) for name in _LIBRARIES), f'"use strict";\n(() => {{\n{own}\n}})();\n')


def _licences() -> Sequence[Any]:
    return [[name, _text("vendor", name)] for name in _LICENCES]


@cache
def _text(*path: str) -> str:
    return files(__package__).joinpath("static", *path).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)

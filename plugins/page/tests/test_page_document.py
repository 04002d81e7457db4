"""The document: its data is data, and only its own scripts run."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from page_pipelines import HOSTILE, shop
from starlake_core_page.document import document, policy
from starlake_core_page.plugin import sl_create_page

from starlake_core import Page

BLOCK = re.compile(r'<script type="application/json" id="data-(\w+)">(.*?)</script>', re.DOTALL)


def graph(title):
    return {"format": 1, "title": title, "nodes": {"name": [HOSTILE]}}


@pytest.mark.parametrize("text", [HOSTILE, "@SCRIPTS@ @DATA@", "<!--<script>", "\u2029&amp;"])
def test_data_comes_back_as_it_was_and_ends_no_block(text):
    page = document(graph(text), [{"sql": text}], [{"reason": text}])
    blocks = {name: json.loads(data) for name, data in BLOCK.findall(page)}
    assert blocks["graph"]["title"] == text
    assert blocks["details"] == [{"sql": text}]
    assert blocks["runs"] == [{"reason": text}]
    data = "".join(block for _, block in BLOCK.findall(page))
    assert not set(data) & set("<>&\u2028\u2029")


def test_the_policy_names_every_script_and_nothing_else():
    page = document(graph("x"), [], [])
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert re.findall(r"'sha256-([^']+)'", policy(False)) == hashes
    assert "default-src 'none'" in policy(False)
    assert "connect-src 'none'" in policy(False)
    assert "unsafe-eval" not in policy(True)


def test_a_page_refers_to_no_other_host():
    page = document(graph("x"), [], [])
    tags = re.findall(
        r"<(?:link|img|script|iframe|base|form)\b[^>]*", re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    )
    assert all("src=" not in tag and "href=" not in tag for tag in tags)


def test_the_title_is_escaped_where_it_is_html():
    page = document(graph("<b>x"), [], [])
    assert "<title>&lt;b&gt;x</title>" in page


def test_the_licences_of_the_libraries_are_in_the_page():
    blocks = dict(BLOCK.findall(document(graph("x"), [], [])))
    texts = " ".join(text for _, text in json.loads(blocks["licences"]))
    assert "Cytoscape Consortium" in texts
    assert "Chris Pettitt" in texts


def test_the_same_pipelines_give_the_same_page():
    assert sl_create_page(Page(shop())) == sl_create_page(Page(shop()))

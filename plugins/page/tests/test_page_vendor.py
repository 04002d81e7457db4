"""The libraries in the page are the files that npm publishes."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files

import pytest

VENDOR = files("starlake_core_page").joinpath("static", "vendor")
RECORDED = json.loads(VENDOR.joinpath("vendor.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", RECORDED["files"])
def test_the_file_has_the_recorded_digest(name):
    assert hashlib.sha256(VENDOR.joinpath(name).read_bytes()).hexdigest() == RECORDED["files"][name]["sha256"]


def test_nothing_else_is_shipped():
    assert {found.name for found in VENDOR.iterdir()} == {*RECORDED["files"], "vendor.json"}

"""The tests of all plugins can be collected where only some of them are installed."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("starlake_core_google") is not None else ["test_*.py"]

"""``python -m starlake_core_duckdb.engine``: becomes an engine. Only ``election`` starts it, with the descriptors of a socket and a lock."""

from __future__ import annotations

import os
import sys

# The engine is not a child of the run that starts it: nothing has to collect it, and killing the children of a task does not end it.
if os.fork():
    os._exit(0)

from .server import main

main(*sys.argv[1:])

"""``python -m starlake_core_duckdb.engine``: becomes an engine. Only ``election`` starts it, with the descriptors of a socket and a lock."""

from __future__ import annotations

import os
import sys

# The engine is nobody's child: who started it need not collect it, and who ends the children of a task does not end the engine.
if os.fork():
    os._exit(0)

from .server import main

main(*sys.argv[1:])

"""What every test of the workspace shares."""

from __future__ import annotations

import os
import random
from typing import Any

# Chosen once, before workers are started, so that all of them kill at moments of one seed.
os.environ.setdefault("STARLAKE_SOAK_SEED", str(random.SystemRandom().randrange(1, 10**6)))
# Emulators cut connections on purpose; the library would tell of each.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


def pytest_report_header() -> str:
    return f"seed of the random faults: STARLAKE_SOAK_SEED={os.environ['STARLAKE_SOAK_SEED']}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what long tests counted."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "summary" and report.when == "call":
                    terminalreporter.write_line(str(value))

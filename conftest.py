"""What every test of the workspace shares."""

from __future__ import annotations

import os
import random
import signal
import threading
from typing import Any

# Chosen once, before workers are started, so that all of them kill at moments of one seed.
os.environ.setdefault("STARLAKE_SOAK_SEED", str(random.SystemRandom().randrange(1, 10**6)))
# Emulators cut connections on purpose; the library would tell of each.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


# Who starts the tests in the background hands on that these are ignored, and their children would be born so.
if threading.current_thread() is threading.main_thread():
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)


def pytest_report_header() -> str:
    return f"seed of the random faults: STARLAKE_SOAK_SEED={os.environ['STARLAKE_SOAK_SEED']}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what long tests counted."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "summary" and report.when == "call":
                    terminalreporter.write_line(str(value))

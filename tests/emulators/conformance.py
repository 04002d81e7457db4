"""How the conformance kit lets an emulator fail."""

from __future__ import annotations

from typing import Any

from starlake_core.testing import ServiceFault

from .faults import Fault, Kind, When

__all__ = ["disturb", "fault_hits"]

_STOPS = ("Cancel", "Delete", "Stop")


def disturb(emulator: Any, submit: str, fault: ServiceFault | None) -> bool:
    """Let an emulator fail from now on.

    Args:
        emulator: the emulator.
        submit: the method that starts a run.
        fault: how it fails; None if all goes well again.
    """
    faults = emulator.faults
    faults.forget()
    emulator.slow = 0.0
    emulator.stops = _stops(emulator)
    if fault is ServiceFault.OUTAGE:
        faults.at_random(1.0, [Fault(Kind.UNAVAILABLE)], 1)
    elif fault is ServiceFault.REFUSAL:
        faults.at_random(1.0, [Fault(Kind.DENIED)], 1)
    elif fault is ServiceFault.THROTTLING:
        for number in range(2):
            faults.plan_call(number, Fault(Kind.THROTTLED))
    elif fault is ServiceFault.LOST_REPLY:
        faults.plan(submit, Fault(Kind.UNAVAILABLE, When.AFTER))
    elif fault is ServiceFault.SLOW_STOP:
        emulator.slow = 1.0
    return True


def fault_hits(emulator: Any) -> int:
    """Return how many calls have met the fault since the last :func:`disturb`.

    Args:
        emulator: the emulator.
    """
    return int(emulator.faults.hits) + (_stops(emulator) - emulator.stops if emulator.slow else 0)


def _stops(emulator: Any) -> int:
    return sum(count for method, count in emulator.faults.calls.items() if method.startswith(_STOPS))

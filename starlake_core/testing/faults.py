"""How a service fails."""

from __future__ import annotations

import enum

__all__ = ["ServiceFault"]


class ServiceFault(enum.Enum):
    """What the author of an environment lets the service do, for the checks of the level *service*."""

    OUTAGE = "every call fails as if the service were down (503, or no answer)"
    REFUSAL = "every call is refused for lack of permission (403)"
    THROTTLING = "the next two calls are too many (429), and everything goes well then"
    LOST_REPLY = "the next submission is carried out, and its reply is lost"
    SLOW_STOP = "a job that is stopped ends a second later"

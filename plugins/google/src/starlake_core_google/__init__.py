"""What the environments on Google Cloud share. It is not a plugin: it has no hooks and no entry point.

SDKs are imported when a client is created, not with this package.
"""

from __future__ import annotations

from .calls import Calls, UnclearError
from .clock import ServiceClock
from .connection import Connection, connect
from .logs import CloudLogs
from .polling import Sightings, one_by_one
from .storage import BucketFolders, Objects, split_path

__all__ = [
    "BucketFolders",
    "Calls",
    "CloudLogs",
    "Connection",
    "Objects",
    "ServiceClock",
    "Sightings",
    "UnclearError",
    "connect",
    "one_by_one",
    "split_path",
]

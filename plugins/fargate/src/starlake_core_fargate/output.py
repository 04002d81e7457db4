"""The output of containers, which ECS sends to CloudWatch Logs."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlake_core import StarlakeError
from starlake_core.logs import get_logger
from starlake_core.masking import mask_text, secret_values
from starlake_core.runtime import pause

from .client import AwsClient, Refusal
from .state import TaskArn, TaskFacts

__all__ = ["Output", "Stream"]

logger = get_logger(__name__)

_TOTAL_SECONDS = 10.0
_PAGES = 20
_ARRIVES = (0.5, 1.0, 2.0)
"""Pauses, in seconds, during which late output may arrive."""


@dataclass(frozen=True)
class _Place:
    """Where a container writes its output, according to its definition.

    Attributes:
        driver: the log driver; only ``awslogs`` can be read.
        group, region, prefix: the group, region and prefix of the log streams.
        secrets: values of the definition that must not appear in output.
    """

    driver: str = ""
    group: str = ""
    region: str = ""
    prefix: str = ""
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stream:
    """The output of one task.

    Attributes:
        id: the id of the task.
        definition: the ARN of its task definition.
        facts: what it was started with.
        started: whether its containers had started when it was read.
    """

    id: str
    definition: str
    facts: TaskFacts
    started: bool

    @classmethod
    def of(cls, task: Mapping[str, Any], facts: TaskFacts) -> Stream:
        """The output of a task.

        Args:
            task: the task as DescribeTasks returns it.
            facts: what it was started with.
        """
        arn = TaskArn.of(str(task["taskArn"]))
        return cls(arn.id if arn else "", str(task["taskDefinitionArn"]), facts, "startedAt" in task)


class Output:
    """Reads output. Output that cannot be read causes one warning and changes nothing else.

    Args:
        aws: the client of the account and region that has the logs.
    """

    def __init__(self, aws: AwsClient) -> None:
        self._aws = aws
        self._places: dict[tuple[str, str], _Place] = {}
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def after(self, stream: Stream, cursor: str | None) -> tuple[Sequence[str], str | None]:
        """Lines after a cursor.

        Args:
            stream: the output of the task.
            cursor: the cursor that the last call returned; None for the beginning.
        """
        lines: list[str] = []
        for _ in range(_PAGES):
            page = self._page(stream, **({"nextToken": cursor} if cursor else {}), startFromHead=True)
            if page is None:
                break
            lines += self._lines(stream, page)
            after = page.get("nextForwardToken") or cursor
            if after == cursor:  # the end for now; an empty page alone does not mean the end
                break
            cursor = after
        return lines, cursor

    def last(self, stream: Stream, count: int) -> Sequence[str]:
        """The last lines of an ended task. Output takes a moment to arrive: if a container could write and there is none, the read is repeated.

        Args:
            stream: the output of the task.
            count: how many lines.
        """
        place = self._place(stream)
        if place is not None and place.driver != "awslogs":
            return [self._unreadable(place)]
        for waiting in (*_ARRIVES, None):
            page = self._page(stream, startFromHead=False, limit=count)
            lines = self._lines(stream, page or {})
            if lines or not stream.started or place is None or waiting is None or not pause(waiting):
                break
        return lines[-count:]

    def _lines(self, stream: Stream, page: Mapping[str, Any]) -> list[str]:
        place = self._place(stream)
        secrets = (*stream.facts.secrets, *(place.secrets if place is not None else ()))
        # An event is one line, or several if a program wrote them at once.
        texts = (line for event in page.get("events", ()) for line in str(event["message"]).rstrip("\n").split("\n"))
        return [mask_text(text, secrets) for text in texts]

    def _page(self, stream: Stream, **parameters: Any) -> Mapping[str, Any] | None:
        place = self._place(stream)
        if place is None:
            return None
        if place.driver != "awslogs":
            self._tell(self._unreadable(place), place.driver)
            return None
        try:
            page: Mapping[str, Any] = self._aws.call(
                "logs",
                "get_log_events",
                "reading output",
                total=_TOTAL_SECONDS,
                region=place.region,
                logGroupName=place.group,
                logStreamName=f"{place.prefix}/{stream.facts.container}/{stream.id}",
                **parameters,
            )
            return page
        except Refusal as error:
            if error.code != "ResourceNotFoundException":  # the stream does not exist before the first line
                self._tell(f"the output of tasks cannot be read: {error}", error.code)
        except StarlakeError as error:
            self._tell(f"the output of tasks cannot be read now: {error}", "outage")
        return None

    def _place(self, stream: Stream) -> _Place | None:
        """Where the container of a task writes; the definition is read once."""
        key = (stream.definition, stream.facts.container)
        with self._lock:
            if key in self._places:
                return self._places[key]
        try:
            told = self._aws.call(
                "ecs",
                "describe_task_definition",
                "reading the task definition",
                total=_TOTAL_SECONDS,
                taskDefinition=stream.definition,
            )
        except StarlakeError as error:
            self._tell(
                f"the output of tasks cannot be read, because reading the task definition failed: {error}", "definition"
            )
            return None
        definitions = told["taskDefinition"]["containerDefinitions"]
        found: Mapping[str, Any] = next((one for one in definitions if one["name"] == stream.facts.container), {})
        logs = found.get("logConfiguration", {})
        options = logs.get("options", {})
        env = {item["name"]: item.get("value", "") for item in found.get("environment", ())}
        place = _Place(
            logs.get("logDriver", ""),
            options.get("awslogs-group", ""),
            options.get("awslogs-region", ""),
            options.get("awslogs-stream-prefix", ""),
            secret_values(env),
        )
        with self._lock:
            self._places[key] = place
        return place

    @staticmethod
    def _unreadable(place: _Place) -> str:
        driver = f"its log driver is {place.driver}" if place.driver else "its task definition has no log driver"
        return (
            f"the output of the container is not in CloudWatch Logs ({driver}); use the driver awslogs to read it here"
        )

    def _tell(self, message: str, kind: str) -> None:
        """Log a warning, once for each kind."""
        with self._lock:
            if kind in self._told:
                return
            self._told.add(kind)
        logger.warning("%s", message)

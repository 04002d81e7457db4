"""Groups, which collect tasks while their ``with`` block is open."""

from __future__ import annotations

from contextvars import ContextVar, Token
from types import TracebackType

from ..model.graph import TaskGroup

__all__ = ["CURRENT_GROUP", "StarlakeTaskGroup"]

CURRENT_GROUP: ContextVar[TaskGroup | None] = ContextVar("starlake_core_current_group", default=None)
"""The group whose block is open."""


class StarlakeTaskGroup(TaskGroup):
    """A group that collects tasks while its ``with`` block is open."""

    __slots__ = ("_token",)

    def __init__(self, name: str, parent: TaskGroup) -> None:
        super().__init__(name, parent)
        self._token: Token[TaskGroup | None] | None = None

    def __enter__(self) -> StarlakeTaskGroup:
        self._token = CURRENT_GROUP.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            CURRENT_GROUP.reset(self._token)

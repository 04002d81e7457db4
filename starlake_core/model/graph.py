"""The graph of a pipeline: tasks, groups of tasks, and the edges between them. Plain data, no orchestrator."""

from __future__ import annotations

import graphlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone, tzinfo
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import CycleError, DuplicateIdError, EdgeError, GraphError
from .command import Command, CommandType
from .dataset import DatasetTrigger, StarlakeDataset, check_datasets, check_outlets, sanitize_id
from .details import TableDetails
from .identity import deployment_name
from .job import Job
from .kinds import TaskKind, TriggerPolicy, TriggerRule, Wait
from .schedule import Fires

if TYPE_CHECKING:
    from ..options import Options
    from ..plugins.runner import RunnerSource

_DEEPEST = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

__all__ = ["Node", "Pipeline", "Task", "TaskGroup"]


class Node:
    """A node of the graph: a task or a group. ``a >> b`` runs ``b`` after ``a``; lists of nodes work on both sides.

    Attributes:
        id: unique within its group.
        name: the name from which the id was made.
        parent: the group that holds it; None for a pipeline.
    """

    __slots__ = ("id", "name", "parent")

    def __init__(self, name: str, parent: TaskGroup | None) -> None:
        if not name:
            raise GraphError(
                "a task, group or pipeline needs a name that is not empty; give a task_id, group_id or name"
            )
        self.name = name
        self.id = sanitize_id(name)
        self.parent = parent
        if parent is not None:
            parent._adopt(self)

    @property
    def path(self) -> str:
        """The ids of its groups and its own id, joined with dots, without the pipeline."""
        parts = [self.id]
        group = self.parent
        while group is not None and group.parent is not None:
            parts.append(group.id)
            group = group.parent
        return ".".join(reversed(parts))

    def __rshift__(self, other: Operand) -> Any:
        link(self, other)
        return other

    def __lshift__(self, other: Operand) -> Any:
        link(other, self)
        return other

    def __rrshift__(self, other: Operand) -> Node:
        link(other, self)
        return self

    def __rlshift__(self, other: Operand) -> Node:
        link(self, other)
        return self

    def set_downstream(self, other: Operand) -> None:
        """The same as ``self >> other``."""
        link(self, other)

    def set_upstream(self, other: Operand) -> None:
        """The same as ``self << other``."""
        link(other, self)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"


Operand: TypeAlias = "Node | Iterable[Node]"


def _nodes(operand: Any) -> Sequence[Node]:
    if isinstance(operand, Node):
        return (operand,)
    if isinstance(operand, (list, tuple, set, frozenset)):
        nodes = [node for item in operand for node in _nodes(item)]
        # A set has no order, and the order of edges must not depend on hashes.
        return sorted(nodes, key=lambda node: node.path) if isinstance(operand, (set, frozenset)) else nodes
    if operand is None:
        raise EdgeError(
            "None cannot be linked with >> or <<. pre_tasks(), post_tasks(), sl_pre_load() and skip_or_start() return None when "
            "there is nothing to do: link them under an 'if'"
        )
    raise EdgeError(
        f"{operand!r} cannot be linked with >> or <<: it is not a task or group of this pipeline. Add a "
        "native node with pipeline.add_native(id, factory)"
    )


def link(upstream: Operand, downstream: Operand) -> None:
    """Add edges from every upstream node to every downstream node. An existing edge stays as it is.

    Raises:
        EdgeError: the nodes are not children of one group.
    """
    befores, afters = _nodes(upstream), _nodes(downstream)
    for before in befores:
        if before.parent is not None:
            before.parent._open()
        for after in afters:
            if before.parent is None or before.parent is not after.parent:
                raise _misplaced(before, after)
            if before is after:
                raise CycleError(f"{before.path} cannot run after itself")
            before.parent.edges.setdefault(before.id, {})[after.id] = None


def _misplaced(before: Node, after: Node) -> EdgeError:
    def line(node: Node) -> list[Node]:
        found = [node]
        while found[-1].parent is not None:
            found.append(found[-1].parent)
        return found[::-1]

    left, right = line(before), line(after)
    asked = f"cannot link '{before.path}' >> '{after.path}'"
    if left[0] is not right[0]:
        return EdgeError(f"{asked}: they belong to two pipelines ('{left[0].id}' and '{right[0].id}')")
    shared = 0
    while shared < min(len(left), len(right)) and left[shared] is right[shared]:
        shared += 1
    if shared == len(left) or shared == len(right):
        outer, inner = (before, after) if shared == len(left) else (after, before)
        return EdgeError(f"{asked}: '{inner.path}' is inside '{outer.path}'. A group cannot run before or after itself")
    return EdgeError(
        f"{asked}: they are in different groups. Link '{left[shared].path}' >> '{right[shared].path}' instead, which are "
        f"both in '{left[shared - 1].path}'"
    )


_TRIGGERS = {
    TaskKind.TEARDOWN: TriggerRule.ALL_DONE,
    TaskKind.GATHER: TriggerRule.ALL_DONE,
    TaskKind.END: TriggerRule.NONE_FAILED,
}
"""The default trigger rule for each kind of task."""


class Task(Node):
    """One task.

    Attributes:
        job: the job that it runs; None for start, end and dummies, which are native no-ops.
        command: the Starlake command behind the job, if there is one.
        kind: its kind; derived from the other arguments by default.
        trigger: when it runs; the default of its kind if omitted.
        wait: repeats the check until it is ready.
        inlets, outlets: the datasets that it reads and produces.
        retries: further attempts after a failure.
        retry_delay: seconds between two attempts.
        timeout: seconds that one attempt may take; None for no limit.
        pool: the pool of slots, for orchestrators that have pools.
        params: parameters that the user attached to it; the command has the same.
        native: keyword arguments for the orchestrator, which checks them.
        factory: creates the user's own native node, instead of all of the above.
        details: what the project says about the table that it writes; None if it says nothing.
    """

    __slots__ = (
        "_details",
        "command",
        "factory",
        "inlets",
        "job",
        "kind",
        "native",
        "outlets",
        "params",
        "pool",
        "retries",
        "retry_delay",
        "timeout",
        "trigger",
        "wait",
    )

    def __init__(
        self,
        name: str,
        parent: TaskGroup,
        *,
        job: Job | None = None,
        command: Command | None = None,
        kind: TaskKind | None = None,
        trigger: TriggerRule | None = None,
        wait: Wait | None = None,
        inlets: Iterable[StarlakeDataset] = (),
        outlets: Iterable[StarlakeDataset] = (),
        retries: int = 0,
        retry_delay: int = 0,
        timeout: int | None = None,
        pool: str | None = None,
        params: Mapping[str, Any] | None = None,
        native: Mapping[str, Any] | None = None,
        factory: Callable[[], Any] | None = None,
    ) -> None:
        self.job = job
        self.command = command
        self.kind = _kind(job, command, factory) if kind is None else kind
        always = self.kind is TaskKind.TEARDOWN
        self.trigger = _TRIGGERS.get(self.kind, TriggerRule.ALL_SUCCESS) if trigger is None or always else trigger
        self.wait = wait
        self.inlets = tuple(inlets)
        self.outlets = tuple(outlets)
        self.retries = retries
        self.retry_delay = retry_delay
        self.timeout = timeout
        self.pool = pool
        self.params = {} if params is None else params
        self.native = dict(native or {})
        self.factory = factory
        self._details: TableDetails | Callable[[], TableDetails | None] | None = None
        super().__init__(name, parent)

    @property
    def details(self) -> TableDetails | None:
        """What the project says about the table that it writes."""
        if callable(self._details):
            self._details = self._details()
        return self._details

    @details.setter
    def details(self, details: TableDetails | None) -> None:
        self._details = details

    def describe(self, details: Callable[[], TableDetails | None]) -> None:
        """Set the details to what a function returns when somebody looks at them.

        Args:
            details: returns the details; None if there are none.
        """
        self._details = details

    @property
    def is_work(self) -> bool:
        """Whether it does the actual work of the pipeline, rather than being a check, an import, a dummy, a set-up or a
        tear-down."""
        return self.kind in (TaskKind.WORK, TaskKind.NATIVE)

    @property
    def missing(self) -> str:
        """What is missing when this check is not ready, in the words of its pre-load strategy."""
        sought = self.command.strategy.looks_for if self.command is not None else ""
        return f"{self.domain} has no {sought}" if sought else f"{self.domain or self.id} is not ready"

    def summary(self, code: Callable[[str], str]) -> str:
        """Return a sentence that says what it runs; empty if it has no command.

        Args:
            code: formats a name in the sentence, for example with backticks.
        """
        command = self.command
        if command is None:
            return ""
        known = command.type
        if known.kind is not self.kind or (known.kind is TaskKind.WORK and command.is_plain):
            known = CommandType(command.name)
        return known.summary.format(
            name=code(command.name),
            domain=code(command.domain),
            table=code(command.tables[0]) if command.tables else "",
            transform=code(command.transform),
        )

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline that holds it."""
        assert self.parent is not None
        found = self.parent.pipeline
        assert isinstance(found, Pipeline)
        return found

    @property
    def domain(self) -> str:
        """The domain that it is about; empty for none."""
        return self.command.domain if self.command is not None else ""


def _kind(job: Job | None, command: Command | None, factory: Callable[[], Any] | None) -> TaskKind:
    if factory is not None:
        return TaskKind.NATIVE
    if job is None:
        return TaskKind.EMPTY
    known = command.type.kind if command is not None else TaskKind.WORK
    return TaskKind.WORK if known is TaskKind.CHECK else known


class TaskGroup(Node):
    """A group of tasks and groups.

    Attributes:
        nodes: its children by id, in the order in which they were made.
        edges: the ids of the children that run after a child, by its id.
    """

    __slots__ = ("_order", "edges", "nodes")

    def __init__(self, name: str, parent: TaskGroup | None) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: dict[str, dict[str, None]] = {}
        self._order: tuple[Node, ...] | None = None
        super().__init__(name, parent)

    def _open(self) -> None:
        """Refuse a change after the graph was checked, because it would not be rendered.

        Raises:
            GraphError: the block of the pipeline has ended.
        """
        if self._order is not None:
            raise GraphError(
                f"pipeline '{self.pipeline.id}' is finished: tasks, groups and edges join it inside its 'with' block"
            )

    def _adopt(self, node: Node) -> None:
        self._open()
        twin = self.nodes.setdefault(node.id, node)
        if twin is not node:
            where = f"group '{self.path}'" if self.parent is not None else f"pipeline '{self.id}'"
            if twin.name == node.name:
                raise DuplicateIdError(
                    f"{where} has two nodes '{node.id}'; give one of them another task_id or group_id"
                )
            raise DuplicateIdError(
                f"the names '{twin.name}' and '{node.name}' in {where} both become the id '{node.id}' (an id has "
                "letters, digits, '_' and '-'); give one of them another task_id or group_id"
            )

    @property
    def group_id(self) -> str:
        """The id, under its documented name."""
        return self.id

    @property
    def pipeline(self) -> TaskGroup:
        """The pipeline that holds the group, at any depth."""
        group: TaskGroup = self
        while group.parent is not None:
            group = group.parent
        return group

    @property
    def children(self) -> tuple[Node, ...]:
        """The children, in topological order once the graph is checked and in order of creation before."""
        return self._order if self._order is not None else tuple(self.nodes.values())

    def upstream(self) -> dict[str, list[str]]:
        """The ids of the children that run before a child, by its id."""
        result: dict[str, list[str]] = {node_id: [] for node_id in self.nodes}
        for before, afters in self.edges.items():
            for after in afters:
                result[after].append(before)
        return result

    def roots(self) -> list[Node]:
        """The children that no other child runs before."""
        later = {after for afters in self.edges.values() for after in afters}
        return [node for node in self.children if node.id not in later]

    def leaves(self) -> list[Node]:
        """The children that no other child runs after."""
        return [node for node in self.children if not self.edges.get(node.id)]

    def tasks(self) -> Iterator[Task]:
        """All tasks of the group and of the groups in it, in topological order."""
        stack = [iter(self.children)]
        while stack:
            node = next(stack[-1], None)
            if node is None:
                stack.pop()
            elif isinstance(node, TaskGroup):
                stack.append(iter(node.children))
            elif isinstance(node, Task):
                yield node

    def groups(self) -> Iterator[TaskGroup]:
        """The group and all groups in it, outer ones first."""
        todo: deque[TaskGroup] = deque([self])
        while todo:
            group = todo.popleft()
            yield group
            todo.extend(node for node in group.nodes.values() if isinstance(node, TaskGroup))

    def _remove_empty_groups(self) -> None:
        """Remove children without tasks, and connect their upstream nodes to their downstream nodes."""
        empty = [node.id for node in self.nodes.values() if isinstance(node, TaskGroup) and not node.nodes]
        if not empty:
            return
        befores = {node_id: dict.fromkeys(ids) for node_id, ids in self.upstream().items()}
        for node_id in empty:
            afters = self.edges.pop(node_id, {})
            for before in befores[node_id]:
                del self.edges[before][node_id]
                self.edges[before].update(afters)
            for after in afters:
                del befores[after][node_id]
                befores[after].update(befores[node_id])
            del self.nodes[node_id]

    def _sort(self) -> None:
        sorter: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter(dict.fromkeys(self.nodes, ()))
        for before, afters in self.edges.items():
            for after in afters:
                sorter.add(after, before)
        try:
            self._order = tuple(self.nodes[node_id] for node_id in sorter.static_order())
        except graphlib.CycleError as error:
            loop = error.args[1][:-1]
            first = loop.index(next(node_id for node_id in self.nodes if node_id in loop))
            names = [*loop[first:], *loop[:first], loop[first]]
            raise CycleError(f"tasks of {self.path} wait for each other: {' >> '.join(names)}") from None


class Pipeline(TaskGroup):
    """A pipeline: the outermost group, and what starts it.

    Attributes:
        cron: the cron expression that starts it, in ``zone``; None if it has no cron schedule.
        trigger: the datasets that start it; None if none do.
        zone: time zone of the schedule.
        start_date, end_date: first and last date of the schedule, aware.
        catchup: whether to run missed intervals.
        max_active_runs: how many runs may be active at once.
        tags: tags that orchestrators show.
        description: a description that orchestrators show.
        policy: when events may start a run.
        source: the file that defines it; empty if unknown.
        native_options: keyword arguments for the orchestrator's own pipeline object, which the orchestrator checks.
        deployment: the user's name for the deployment; empty for none.
        starlake_environment: ``SL_ENV`` of its commands; empty if it is not declared.
        fires: when its orchestrator fires a schedule around a change of the clock; None for the rules of :func:`next_fire`.
        options: its typed options. These last four are set on pipelines that an orchestration made.
        plugins: the plugins that provide the runners of its jobs.
        native: the orchestrator's object; None until it is rendered.
    """

    __slots__ = (
        "catchup",
        "cron",
        "deployment",
        "description",
        "end_date",
        "fires",
        "max_active_runs",
        "native",
        "native_options",
        "options",
        "plugins",
        "policy",
        "source",
        "starlake_environment",
        "start_date",
        "tags",
        "trigger",
        "zone",
        "zone_name",
    )

    options: Options
    plugins: RunnerSource

    def __init__(
        self,
        name: str,
        *,
        cron: str | None = None,
        trigger: DatasetTrigger | None = None,
        zone: tzinfo = timezone.utc,
        zone_name: str = "UTC",
        start_date: datetime = _EPOCH,
        end_date: datetime | None = None,
        catchup: bool = False,
        max_active_runs: int = 3,
        tags: Iterable[str] = (),
        description: str = "",
        policy: TriggerPolicy | None = None,
        source: str = "",
        native_options: Mapping[str, Any] | None = None,
        deployment: str = "",
        starlake_environment: str = "",
        fires: Fires | None = None,
    ) -> None:
        super().__init__(name, None)
        self.cron = cron
        self.trigger = trigger
        self.zone = zone
        self.zone_name = zone_name
        self.start_date = start_date
        self.end_date = end_date
        self.catchup = catchup
        self.max_active_runs = max_active_runs
        self.tags = tuple(tags)
        self.description = description
        self.policy = policy or TriggerPolicy()
        self.source = source
        self.native_options = dict(native_options or {})
        self.deployment = deployment
        self.starlake_environment = starlake_environment
        self.fires = fires
        self.native: Any = None

    def deployment_at(self, host: str = "") -> str:
        """Return the deployment, with which the names of jobs begin: the option ``deployment``, or else ``SL_ENV`` and
        the host, as in ``PROD@airflow.example.com``.

        Args:
            host: a name of this installation of the orchestrator that is the same in all its workers, after a restart
                too, such as the address of its server; empty for runs from the command line.
        """
        return deployment_name(self.deployment, self.starlake_environment, host)

    @property
    def outlets(self) -> tuple[StarlakeDataset, ...]:
        """The datasets that the tasks of the pipeline produce, without repetition, in the order of the tasks."""
        return tuple(dict.fromkeys(dataset for task in self.tasks() for dataset in task.outlets))

    def check(self) -> None:
        """Remove empty groups, sort every group, and refuse what cannot be rendered.

        Raises:
            CycleError: nodes wait for each other.
            DatasetError: two datasets fall on one name.
        """
        groups = list(self.groups())
        depth: dict[int, int] = {}
        for group in groups:
            depth[id(group)] = depth.get(id(group.parent), -1) + 1
            if depth[id(group)] > _DEEPEST:
                raise GraphError(
                    f"group '{group.id}' of pipeline '{self.id}' is nested deeper than {_DEEPEST} groups; flatten it"
                )
            group._sort()
        for group in reversed(groups):
            group._remove_empty_groups()
        for group in self.groups():
            group._sort()
        datasets = [dataset for task in self.tasks() for dataset in (*task.inlets, *task.outlets)]
        check_datasets([*datasets, *(self.trigger.datasets if self.trigger else ())], self.id)
        check_outlets([dataset for task in self.tasks() for dataset in task.outlets], self.id)

"""The only place where Airflow's versions differ. Every switch names the version that it serves.

2.11 has no task SDK; 3.0 needs pins on its own dependencies and is refused; 3.1 keeps the exceptions of the SDK in the core; from 3.3 on,
triggers learn whether a user or a restart ended them.
"""

from __future__ import annotations

import inspect
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from airflow import __version__

from starlake_core import PluginError, RunError

VERSION = tuple(int(number) for number in re.findall(r"\d+", __version__)[:2])

if VERSION < (2, 11) or VERSION[:2] == (3, 0):
    why = "needs pins on its own dependencies" if VERSION[0] == 3 else "is too old"
    raise PluginError(
        f"Airflow {__version__} {why} and is not supported; install apache-airflow 2.11, or 3.1 and later: "
        "pip install 'apache-airflow>=3.1'"
    )

AIRFLOW_3 = VERSION >= (3, 0)  # mypy gets both values on its command line, and sees one branch of each switch
AIRFLOW_3_2 = VERSION >= (3, 2)

if AIRFLOW_3:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG, Asset, AssetAll, AssetAny, BaseOperator, BaseOperatorLink, TaskGroup
else:  # 2.11
    from airflow.datasets import Dataset as Asset
    from airflow.datasets import DatasetAll as AssetAll
    from airflow.datasets import DatasetAny as AssetAny
    from airflow.models.baseoperator import BaseOperator
    from airflow.models.baseoperatorlink import BaseOperatorLink
    from airflow.models.dag import DAG
    from airflow.operators.empty import EmptyOperator
    from airflow.ti_deps.deps.ready_to_reschedule import ReadyToRescheduleDep
    from airflow.utils.task_group import TaskGroup

if AIRFLOW_3_2:
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowRescheduleException,
        AirflowSkipException,
    )
else:  # 2.11 and 3.1
    from airflow.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowRescheduleException,
        AirflowSkipException,
    )

__all__ = [
    "AIRFLOW_3",
    "DAG",
    "VERSION",
    "AirflowException",
    "AirflowFailException",
    "AirflowRescheduleException",
    "AirflowSkipException",
    "AssetAll",
    "AssetAny",
    "BaseOperator",
    "BaseOperatorLink",
    "EmptyOperator",
    "Reschedulable",
    "TaskGroup",
    "asset",
    "dag_bag",
    "date_before",
    "events_of",
    "execution_mark",
    "first_look",
    "get_variable",
    "hold_seconds",
    "host",
    "in_test_run",
    "is_by_datasets",
    "is_cleared",
    "keep_link",
    "lasting_id",
    "link_value",
    "mask_secret",
    "pulled",
    "run_date",
    "skip_tasks",
    "still_waited_for",
    "stored_xcoms",
    "tells_of_kills",
    "triggering_events",
]


def asset(name: str, uri: str) -> Any:
    """An asset, or a dataset of 2.11, which has no name."""
    if AIRFLOW_3:
        return Asset(name=name, uri=uri)
    return Asset(uri)  # 2.11


class Reschedulable(BaseOperator):
    """Lets the scheduler wait for the date to which a task was rescheduled. Airflow provides this for sensors only.

    Attributes:
        reschedule_fields: the names of the attributes that the scheduler has to see.
    """

    reschedule = True
    if AIRFLOW_3:
        _is_sensor = True
        reschedule_fields = frozenset({"reschedule", "_is_sensor"})
    else:  # 2.11
        deps = BaseOperator.deps | {ReadyToRescheduleDep()}
        reschedule_fields = frozenset({"reschedule"})


def run_date(context: Mapping[str, Any]) -> datetime:
    """The date of a run: its logical date, or, if it has none (3.x), the time after which it may run."""
    run = context["dag_run"]
    date: datetime = run.logical_date or run.run_after
    return date


def triggering_events(context: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """URI and event of everything that started a run; the keys are strings on 2.11 and assets on 3.x."""
    found = context.get("triggering_asset_events" if AIRFLOW_3 else "triggering_dataset_events") or {}
    for key, events in found.items():
        for event in events:
            yield getattr(key, "uri", key), event


def events_of(
    context: Mapping[str, Any], inlet: Any, *, since: datetime | None = None, newest: int | None = None
) -> Iterator[Any]:
    """The events of an asset, the newest first, in one read.

    Args:
        context: the context of the task instance.
        inlet: the asset.
        since: leaves out older events; 3.1 reads them all the same.
        newest: how many to read at most; None for all.
    """
    found = _accessor(context, inlet)
    if AIRFLOW_3_2:
        found = found.ascending(False)
        if since is not None:
            found = found.after(since)
        if newest is not None:
            found = found.limit(newest)
        yield from found
        return
    events: Iterator[Any]
    if AIRFLOW_3:  # 3.1 has no filters
        events = reversed(list(found))
    else:  # 2.11: its own select, with a condition
        from airflow.models.dataset import DatasetEvent

        select = found._select_desc
        if since is not None:
            select = select.where(DatasetEvent.timestamp >= since)
        if newest is not None:
            select = select.limit(newest)
        events = iter(found._session.scalars(select))
    for event in itertools.islice(events, newest):
        if since is not None and event.timestamp < since:
            return
        yield event


def _accessor(context: Mapping[str, Any], inlet: Any) -> Any:
    """Airflow's accessor for the events of an asset, also in a task that does not have it as an inlet."""
    inlets = context["inlet_events"]
    try:
        return inlets[inlet]
    except KeyError:
        others = type(inlets)([inlet]) if AIRFLOW_3 else type(inlets)([inlet], session=inlets._session)
        return others[inlet]


def is_cleared(dag_run: Any) -> bool:
    """Whether somebody repeats a run, or a part of it."""
    return bool(dag_run.clear_number)


def date_before(dag_run: Any) -> datetime:
    """A date before any task of a run started, also if the run was cleared in the meantime. The logical date of a run by hand may be any date."""
    dates = (dag_run.logical_date, getattr(dag_run, "run_after", None))  # 2.11 has only the first
    found: datetime = min(date for date in dates if date is not None)
    return found


def is_by_datasets(dag_run: Any) -> bool:
    """Whether datasets started a run."""
    kind = str(getattr(dag_run.run_type, "value", dag_run.run_type))
    return kind in ("asset_triggered", "dataset_triggered")


def skip_tasks(context: Mapping[str, Any], task_ids: Sequence[str]) -> None:
    """Skip tasks of the same run, whatever their trigger rules, unless they run or have ended.

    Args:
        context: the context of the task instance.
        task_ids: the tasks.
    """
    if not task_ids:
        return
    if AIRFLOW_3:
        from airflow.sdk.execution_time import task_runner
        from airflow.sdk.execution_time.comms import SkipDownstreamTasks

        task_runner.SUPERVISOR_COMMS.send(SkipDownstreamTasks(tasks=list(task_ids)))
    else:  # 2.11 skips whatever it is told to
        from airflow.models.skipmixin import SkipMixin
        from airflow.utils.session import create_session

        dag_run = context["dag_run"]
        with create_session() as session:
            done = {ti.task_id for ti in dag_run.get_task_instances(("running", "success", "failed"), session=session)}
            SkipMixin._set_state_to_skipped(dag_run, [one for one in task_ids if one not in done], session)


def first_look(context: Mapping[str, Any]) -> datetime | None:
    """When the first execution of this try started; None in that execution itself."""
    ti = context["ti"]
    if AIRFLOW_3:
        found: datetime | None = ti.get_first_reschedule_date(context)
        return found
    from airflow.models.taskreschedule import TaskReschedule  # 2.11: as Airflow's sensors do
    from airflow.utils.session import create_session

    with create_session() as session:
        statement = TaskReschedule.stmt_for_task_instance(ti, descending=False)
        start: datetime | None = session.scalar(statement.with_only_columns(TaskReschedule.start_date).limit(1))
    return start


def host() -> str:
    """What tells this Airflow from another one: the address at which users open it; empty for an Airflow that is local to this machine."""
    from airflow.configuration import conf

    address = urlsplit(conf.get("api" if AIRFLOW_3 else "webserver", "base_url", fallback="") or "")
    if not address.hostname or address.hostname in ("localhost", "127.0.0.1", "0.0.0.0", "::1"):
        return ""
    return f"{address.netloc.rpartition('@')[2]}{address.path.rstrip('/')}"


def execution_mark(ti: Any) -> Any:
    """A mark that is the same whenever ``dag.test`` executes a ``try`` of a task instance, and different in a run that was created again: the id of
    the instance, or, on 2.11, which has none, the row that ``dag.test`` holds while it runs.
    """
    if AIRFLOW_3:
        return ti.id
    code = inspect.unwrap(DAG.test).__code__
    frame = inspect.currentframe()
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return None if frame is None else vars(frame.f_locals["dr"]).setdefault("_starlake_mark", object())


def lasting_id(dag_run: Any) -> str:
    """What a run keeps forever and shares with no other in one database: the row of 2.11. A worker of 3.x does not know it."""
    return "" if AIRFLOW_3 else str(dag_run.id)


def get_variable(name: str) -> str | None:
    """The value of an Airflow Variable; None if there is none."""
    if AIRFLOW_3:
        from airflow.sdk import Variable

        value = Variable.get(name, default=None)
    else:  # 2.11
        from airflow.models.variable import Variable

        value = Variable.get(name, default_var=None)
    return None if value is None else str(value)


def pulled(context: Mapping[str, Any], task_id: str) -> Any:
    """What a task of the same run returned; None if it returned nothing."""
    return context["ti"].xcom_pull(task_ids=task_id, key="return_value")


def stored_xcoms(session: Any, dag_run: Any, operator: str) -> Iterator[Any]:
    """What tasks of a run returned, for a process with access to the database.

    Args:
        session: a session of the database.
        dag_run: the run.
        operator: the name of the class of these tasks; what others returned is not read.
    """
    from airflow.models.taskinstance import TaskInstance

    if AIRFLOW_3:
        from airflow.models.xcom import XComModel as XCom
    else:  # 2.11
        from airflow.models.xcom import XCom
    from sqlalchemy import select

    theirs = select(TaskInstance.task_id).where(
        TaskInstance.dag_id == dag_run.dag_id,
        TaskInstance.run_id == dag_run.run_id,
        TaskInstance.operator == operator,
    )
    statement = select(XCom).where(
        XCom.dag_id == dag_run.dag_id,
        XCom.run_id == dag_run.run_id,
        XCom.key == "return_value",
        XCom.task_id.in_(theirs),
    )
    for row in session.scalars(statement):
        yield XCom.deserialize_value(row) if AIRFLOW_3 else row.value


def link_value(operator: Any, ti_key: Any, key: str) -> Any:
    """The value behind a link: 3.x gets it from the worker, 2.11 from the web server, which has only the XCom."""
    if AIRFLOW_3:
        return getattr(operator, key, "")
    from airflow.models.xcom import XCom  # 2.11

    return XCom.get_value(ti_key=ti_key, key=key)


def keep_link(context: Mapping[str, Any], key: str, value: str) -> None:
    """Store the value of a link for :func:`link_value`, unless it is the worker's own."""
    if not AIRFLOW_3:  # 2.11
        context["ti"].xcom_push(key=key, value=value)


def mask_secret(value: str) -> None:
    """Have Airflow mask a value in its logs."""
    if AIRFLOW_3:
        from airflow.sdk.log import mask_secret as mask
    else:  # 2.11
        from airflow.utils.log.secrets_masker import mask_secret as mask
    mask(value)


def hold_seconds() -> float:
    """The least time for which a task that defers or is rescheduled stays away, in seconds. On 3.x, one that comes back before the end of its
    worker was reported counts as failed (apache/airflow#71172).
    """
    if not AIRFLOW_3:
        return 0.0
    from airflow.configuration import conf

    return float(conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)) + 2.0


def tells_of_kills() -> bool:
    """Whether the triggerer itself tells a trigger that its task was killed (3.3); before, a trigger cannot tell that from a restart."""
    return VERSION >= (3, 3)


def still_waited_for(trigger: Any) -> bool:
    """Whether the task of a trigger that is being stopped still waits for it: then the triggerer restarts, and nobody killed the task.

    Args:
        trigger: the trigger, with the task instance that the triggerer gave it.
    """
    ti = trigger.task_instance
    if ti is None:
        return True
    if AIRFLOW_3:
        # 3.1, 3.2: a task that was cleared and deferred again in the meantime looks the same; its new try stops what it finds
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        states = RuntimeTaskInstance.get_task_states(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        )
        return "deferred" in {str(getattr(state, "value", state)) for state in states.get(ti.run_id, {}).values()}
    from airflow.models.taskinstance import TaskInstance  # 2.11: triggers have only the database
    from airflow.utils.session import create_session

    with create_session() as session:
        row = (
            session.query(TaskInstance.state, TaskInstance.trigger_id)
            .filter_by(dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, map_index=ti.map_index)
            .one_or_none()
        )
    return row is not None and row[0] == "deferred" and row[1] == trigger.trigger_id


def in_test_run(dag: Any) -> Any:
    """Run a DAG in this process with ``dag.test``, and return its run.

    Args:
        dag: the DAG of the pipeline; the place of its file does not matter.

    Raises:
        RunError: the database of Airflow does not exist.
    """
    from sqlalchemy.exc import OperationalError

    try:
        if AIRFLOW_3:
            _register(dag)
            return dag.test(logical_date=None)
        return dag.test()  # 2.11
    except OperationalError as error:
        raise RunError(
            f"the database of Airflow cannot be used: {error.orig}. Create it with: airflow db migrate. To run on a server instead, set "
            "airflow_api_base_url"
        ) from error


def listener_manager() -> Any:
    """What tells listeners in this process about its tasks."""
    if AIRFLOW_3_2:
        from airflow.sdk.listener import get_listener_manager
    else:  # 2.11 and 3.1
        from airflow.listeners.listener import get_listener_manager
    return get_listener_manager()


def dag_bag(**keywords: Any) -> Any:
    """Create a DagBag.

    Args:
        **keywords: the keywords of its constructor.
    """
    if AIRFLOW_3_2:
        from airflow.dag_processing.dagbag import DagBag
    else:  # 2.11 and 3.1
        from airflow.models.dagbag import DagBag
    return DagBag(**keywords)


if AIRFLOW_3:

    def _register(dag: Any) -> None:
        """Register a DAG in the database, as the DAG processor would: 3.x tests only registered DAGs."""
        from airflow.dag_processing.bundles.manager import DagBundlesManager

        if AIRFLOW_3_2:
            from airflow.dag_processing.dagbag import sync_bag_to_db
        else:  # 3.1
            from airflow.models.dagbag import sync_bag_to_db
        DagBundlesManager().sync_bundles_to_db()
        bag = dag_bag(dag_folder=os.devnull, collect_dags=False)
        bag.dags = {dag.dag_id: dag}
        fileloc = dag.fileloc
        dag.relative_fileloc = dag.relative_fileloc or os.path.basename(fileloc)
        # The database stores the text of the file; for a pipeline without a file, that is this module.
        dag.fileloc = fileloc if os.path.exists(fileloc) else __file__
        try:
            with _at_once():
                sync_bag_to_db(bag, "dags-folder", None)
        finally:
            dag.fileloc = fileloc


@contextmanager
def _at_once() -> Iterator[None]:
    """While this block is active, a DAG that was written half a minute ago is written again, so that it runs as it is now."""
    from airflow import settings

    name, variable = "MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL"
    constant, given = getattr(settings, name, None), os.environ.get(variable)
    os.environ[variable] = "0"  # 3.2, 3.3: the configuration is read each time
    if constant is not None:  # 3.1
        setattr(settings, name, 0)
    try:
        yield
    finally:
        if constant is not None:
            setattr(settings, name, constant)
        if given is None:
            del os.environ[variable]
        else:
            os.environ[variable] = given

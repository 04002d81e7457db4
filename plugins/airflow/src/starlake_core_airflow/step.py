"""What the operators of Starlake share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlake_core import Attempt, StarlakeDataset, StarlakeError
from starlake_core.orchestrators.events import event_metadata
from starlake_core.runtime import Outcome, Verdict, may_pass

from . import observer
from .context import Facts
from .versions import AirflowException, AirflowFailException, BaseOperator

__all__ = ["Step", "is_airflows"]


class Step(BaseOperator):
    """What the operators share: the facts of their pipeline, the outlets, and no Airflow templates.

    Attributes:
        facts: the facts of the pipeline.
        produces: the datasets of the outlets, for the metadata of their events.
    """

    template_fields: Sequence[str] = ()

    facts: Facts
    produces: Sequence[StarlakeDataset] = ()

    @classmethod
    def create(cls, own: Mapping[str, Any], **keywords: Any) -> Any:
        """Create an operator. It has no ``__init__`` of its own, which Airflow would wrap to process all arguments once more.

        Args:
            own: the attributes of the class, by name.
            **keywords: the keywords of every Airflow operator.
        """
        made = cls(**keywords)
        made.__dict__.update(own)
        return made

    def _left_out(self) -> bool:
        """Whether the task must not run, if something observes in this process."""
        if observer.is_stopped():
            raise AirflowFailException(observer.STOPPED)
        return observer.leaves_out(self)

    def _refused(self, error: Exception) -> Exception:
        """The exception to raise in place of an error: something is missing or misspelt, or a service does not answer now."""
        reason = str(error) if isinstance(error, StarlakeError) else f"{type(error).__name__}: {error}"
        observer.ended(self, Outcome(Verdict.FAILED, reason=reason), reason)
        return (AirflowException if may_pass(error) else AirflowFailException)(reason)

    def _emit(self, context: Mapping[str, Any], attempt: Attempt, own: Mapping[str, Any] | None = None) -> None:
        """Add to the events of the outlets what a consumer needs to know about the run.

        Args:
            context: the context of the task instance.
            attempt: the attempt of the task.
            own: what the event of the pipeline's own dataset has, too.
        """
        source = self.facts.pipeline_id or attempt.run.pipeline_id
        # By position, not by name: Airflow rewrites some URIs.
        for outlet, dataset in zip(self.outlets, self.produces, strict=False):
            accessor = context["outlet_events"][outlet]
            accessor.extra = {
                **accessor.extra,
                **event_metadata(dataset, attempt, source, self.facts.policy.merge),
                **(own if own is not None and dataset.uri == self.facts.pipeline_id else {}),
            }


def is_airflows(error: Exception) -> bool:
    """Whether an error must reach Airflow unchanged: one of its own exceptions, which control it, or one after which it may retry."""
    return isinstance(error, AirflowException) or (not isinstance(error, StarlakeError) and may_pass(error))

"""What tests of routing do again and again."""

from typing import Any

from annotate.errors import ApplicationError
from annotate.models import JobState
from modeling.services.jobs import job_execute
from routing.models import RoutingBatch
from routing.services.batches import routing_batch_decide, routing_batch_start


def routing_apply(**fields: Any) -> RoutingBatch:
    """Queue a batch and decide it here and now, as a worker would."""
    batch = routing_batch_start(**fields)
    job_execute(batch, routing_batch_decide)
    if batch.state != JobState.DONE:
        raise ApplicationError(batch.message)
    return batch

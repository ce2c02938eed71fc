"""Background work of annotate; each task re-reads its rows and may run twice."""

from celery import shared_task
from django.db import OperationalError

from annotate.services import import_jobs
from annotate.services.alarms import quality_watch
from annotate.services.assignments import assignments_expire


@shared_task(
    autoretry_for=(OperationalError, import_jobs.ImportBusy),
    retry_backoff=2,
    retry_backoff_max=60,
    max_retries=None,
)
def import_run(job_id: int) -> bool:
    """Run an import job."""
    return import_jobs.import_job_run(job_id=job_id)


@shared_task
def imports_resume() -> int:
    """Queue imports again whose worker fell silent; beat calls it every half minute."""
    return import_jobs.imports_resume()


@shared_task
def leases_expire() -> int:
    """Free the slots of leases that ran out; beat calls it every minute."""
    return assignments_expire()


@shared_task
def annotators_watch() -> int:
    """Look at the latest labels of the people at work; beat calls it every minute."""
    return quality_watch()

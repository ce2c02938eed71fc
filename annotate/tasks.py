"""Background work of annotate; each task re-reads its rows and may run twice."""

from celery import shared_task
from django.db import OperationalError

from annotate.services import (
    data_jobs,
    export_jobs,
    figures,
    freeze_jobs,
    import_jobs,
    kept_answers,
    rendered,
    webhook_delivery,
)
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


@shared_task(autoretry_for=(OperationalError,), retry_backoff=2, max_retries=None)
def export_run(job_id: int) -> bool:
    """Run an export job."""
    return export_jobs.export_job_run(job_id=job_id)


@shared_task(autoretry_for=(OperationalError,), retry_backoff=2, max_retries=None)
def freeze_run(job_id: int) -> bool:
    """Run a freeze job."""
    return freeze_jobs.freeze_job_run(job_id=job_id)


@shared_task
def data_jobs_resume() -> int:
    """Queue exports and freezes again whose worker fell silent; beat calls it every half minute."""
    return data_jobs.data_jobs_resume()


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


@shared_task
def figures_refresh() -> int:
    """Bring the explorer's figures up to date; beat calls it every ten seconds."""
    return figures.figures_refresh_all()


@shared_task
def webhooks_tell() -> int:
    """Find out what is new and queue what is due; beat calls it every five seconds."""
    due = webhook_delivery.webhooks_tell()
    for webhook_id in due:
        webhook_deliver.delay(webhook_id)
    return len(due)


@shared_task
def webhook_deliver(webhook_id: int) -> int:
    """Send what is due to one address."""
    return webhook_delivery.webhook_deliver(webhook_id=webhook_id)


@shared_task
def deliveries_tidy() -> int:
    """Forget old deliveries; beat calls it every hour."""
    return webhook_delivery.deliveries_tidy()


@shared_task
def answers_tidy() -> int:
    """Forget answers to keys that have expired; beat calls it every hour."""
    return kept_answers.answers_tidy()


@shared_task
def comparisons_render() -> int:
    """Render ahead what people at work will ask for; beat calls it every five seconds."""
    return rendered.render_ahead()

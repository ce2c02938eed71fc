"""Background work of modeling; the routes in the settings say which queue each task goes to."""

from celery import shared_task
from django.core.exceptions import ObjectDoesNotExist

from annotate.models import Project
from modeling.services import (
    audits,
    encoding,
    filters,
    jobs,
    judge_batches,
    judge_runs,
    judges,
    outside_tests,
    promotions,
    scoring,
    training_work,
)


@shared_task
def training_run_execute(run_id: int) -> bool:
    """Train a reward model."""
    return training_work.training_run_execute(run_id=run_id)


@shared_task
def feature_run_execute(run_id: int) -> bool:
    """Encode a project's responses."""
    return encoding.feature_run_execute(run_id=run_id)


@shared_task
def gate_run_execute(run_id: int) -> bool:
    """Examine a reward model, and promote it if it passes."""
    return promotions.gate_run_execute(run_id=run_id)


@shared_task
def score_run_execute(run_id: int) -> bool:
    """Give texts, or all responses of a project, their rewards."""
    return scoring.score_run_execute(run_id=run_id)


@shared_task
def outside_test_execute(run_id: int) -> bool:
    """Test a reward model on another project's human labels."""
    return outside_tests.outside_test_execute(run_id=run_id)


@shared_task
def audit_run_execute(run_id: int) -> bool:
    """Look at every label with models that did not learn from it."""
    return audits.audit_run_execute(run_id=run_id)


@shared_task
def filter_run_execute(run_id: int) -> bool:
    """Work out which comparisons a set of filters leaves out."""
    return filters.filter_run_execute(run_id=run_id)


@shared_task
def judge_run_execute(run_id: int) -> bool:
    """Ask a judge about its comparisons."""
    return judge_runs.judge_run_execute(run_id=run_id)


@shared_task
def judge_run_help(run_id: int, helper: int) -> bool:
    """Take part in a judge run that another worker leads."""
    return judge_runs.judge_run_help(run_id=run_id, helper=helper)


@shared_task
def judge_batch_prepare(batch_id: int) -> bool:
    """Write a judge's batch file and send it."""
    return judge_batches.judge_batch_prepare(batch_id=batch_id)


@shared_task
def judge_batch_read(batch_id: int) -> bool:
    """Read the replies of a judge's batch file."""
    return judge_batches.judge_batch_read(batch_id=batch_id)


@shared_task
def judge_batch_poll(batch_id: int) -> bool:
    """Ask the endpoint about one batch now."""
    return judge_batches.judge_batch_poll(batch_id=batch_id)


@shared_task
def judge_batches_poll() -> int:
    """Ask endpoints about their batches; beat calls it every minute."""
    return judge_batches.judge_batches_poll()


@shared_task
def judges_measure(project_id: int) -> int:
    """Compare a project's judges with its people."""
    try:
        project = Project.objects.get(pk=project_id)
    except ObjectDoesNotExist:
        return 0
    return judges.judges_measure(project=project)


@shared_task
def judges_measure_stale() -> int:
    """Measure judges again where labels have grown; beat calls it every minute."""
    return judges.judges_measure_stale()


@shared_task
def jobs_reap() -> dict[str, int]:
    """Queue jobs again whose worker fell silent; beat calls it every half minute."""
    counts = jobs.jobs_reap()
    return {
        **counts,
        "released": judge_runs.judge_runs_release(),
        "features_ready": encoding.training_runs_release(),
    }

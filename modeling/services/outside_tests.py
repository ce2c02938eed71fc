"""Reward models on the human labels of projects that they never learned from."""

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from annotate.errors import ApplicationError, ConflictError
from annotate.models import JobState, Membership, Project
from annotate.services.audit import audit_write
from modeling.models import OutsideTest, RewardModel
from modeling.services.jobs import job_enqueue, job_execute, job_reporter


def testable_projects(*, model: RewardModel, user: User) -> QuerySet[Project]:
    """Projects that somebody owns beside the model's own, by name."""
    own = Project.objects.filter(memberships__user=user, memberships__role=Membership.Role.OWNER)
    return own.exclude(pk=model.project_id).order_by("name")


@transaction.atomic
def outside_test_start(*, model: RewardModel, tested: Project, user: User | None) -> OutsideTest:
    """Queue the test of a model on another project; whoever asks must own both.

    Raises
    ------
    ApplicationError
        If it is the model's own project.
    ConflictError
        If the same test is under way.
    """
    if tested == model.project:
        raise ApplicationError(
            f"{model} learned from this project; choose another one.", field="project"
        )
    live = OutsideTest.objects.filter(reward_model=model, tested=tested)
    if live.exclude(state__in=JobState.finished()).exists():
        raise ConflictError(f"{model} is being tested on {tested} already. Wait for it.")
    run = OutsideTest.objects.create(reward_model=model, tested=tested, created_by=user)
    audit_write(
        project=model.project, actor=user, action="model.outside_test", target=str(model),
        data={"project": tested.slug},
    )  # fmt: skip
    job_enqueue(run)
    return run


def outside_test_execute(*, run_id: int) -> bool:
    """Test in this process, unless the test is gone, over or in other hands."""
    runs = OutsideTest.objects.select_related("reward_model__project", "tested")
    run = runs.filter(pk=run_id).first()
    return run is not None and job_execute(run, _tested)


def _tested(run: OutsideTest) -> str:
    from modeling.outside_testing import outside_figures

    figures = outside_figures(
        run.reward_model, run.tested, seed=run.seed, progress=job_reporter(run)
    )
    OutsideTest.objects.filter(pk=run.pk).update(metrics=figures)
    return f"Tested on {figures['n']:,} pairs of {figures['n_prompts']:,} prompts of {run.tested}."

"""Studies: from labels of both kinds to a performance-prediction model and its frontier."""

import time
from functools import partial

from django.contrib.auth.models import User
from django.db import transaction

from annotate.errors import ApplicationError, ConflictError, NotReady
from annotate.models import Annotator, JobState, Project
from modeling.encoder_names import TFIDF, encoder_require
from modeling.services.jobs import job_enqueue, job_progress
from modeling.services.judge_gates import judge_measured_ensure
from routing.models import RoutingStudy
from routing.selectors import pilot_of
from routing.services.numbering import next_number, project_routing_lock

MIN_MIXES = 200
MAX_MIXES = 2_000


@transaction.atomic
def routing_study_start(
    *,
    project: Project,
    judge: Annotator,
    user: User | None,
    n_mixes: int = 240,
    seed: int = 0,
    encoder: str = TFIDF,
    is_weighted: bool = False,
) -> RoutingStudy:
    """Queue a study of what human labels buy over one judge's.

    ``is_weighted`` lets each label count for one over the chance that routing gave it.

    Raises
    ------
    NotReady
        If too few comparisons carry both labels; the sentence says how many are missing.
    ConflictError
        If a study of this project is under way.
    """
    _check_study(project, judge, n_mixes, encoder)
    project_routing_lock(project_id=project.pk)
    under_way = project.routing_studies.exclude(state__in=JobState.finished())
    if under_way.exists():
        raise ConflictError("A routing study is under way. Wait for it or cancel it first.")
    study = RoutingStudy(
        project=project,
        number=next_number(RoutingStudy.objects.filter(project=project)),
        judge=judge,
        seed=seed,
        parameters={"n_mixes": n_mixes, "encoder": encoder, "is_weighted": is_weighted},
        created_by=user,
    )
    study.save()
    job_enqueue(study)
    return study


def _check_study(project: Project, judge: Annotator, n_mixes: int, encoder: str) -> None:
    if judge.project_id != project.pk or not judge.is_judge:
        raise ApplicationError("Choose one of this project's judges.", field="judge")
    if not MIN_MIXES <= n_mixes <= MAX_MIXES:
        raise ApplicationError(
            f"{n_mixes} mixes: take between {MIN_MIXES} and {MAX_MIXES:,}.", field="n_mixes"
        )
    encoder_require(encoder)
    pilot = pilot_of(project=project, judge=judge)
    if not pilot.is_ready:
        raise NotReady(pilot.sentence)


def routing_study_fit(study: RoutingStudy) -> str:
    """Do the work of a study and store its figures; return the closing message."""
    from modeling.numeric_threads import threads_for
    from routing.study.assemble import study_inputs
    from routing.study.run import run_study
    from routing.study.stored import ppm_to_dict, reference_to_dict, result_to_dict

    started = time.monotonic()
    report = partial(job_progress, study)
    inputs = study_inputs(study, report=lambda share, text: report(0.3 * share, text))
    with threads_for(inputs.part.differences.size):
        numbers = run_study(
            inputs.part,
            n_mixes=study.parameters["n_mixes"],
            seed=study.seed,
            report=lambda share, text: report(0.3 + 0.7 * share, text),
        )
    study.result = result_to_dict(numbers, inputs.tags) | {
        "n_comparisons": inputs.n_comparisons,
        "n_prompts": inputs.n_prompts,
        "judge_agreement": inputs.judge_agreement,
        "seconds": round(time.monotonic() - started, 2),
    }
    study.ppm = ppm_to_dict(numbers.ppm, inputs.bins, inputs.tags, inputs.metadata_keys)
    study.ppm["reference"] = reference_to_dict(numbers.reference)
    study.ppm["disagreement"] = inputs.disagreement
    study.ppm["baseline"] = inputs.baseline
    study.save(update_fields=["result", "ppm"])
    if study.judge is not None:
        # What a study recommends can be applied at once, if the judge meets the gate.
        judge_measured_ensure(annotator=study.judge)
    return numbers.verdict.reason

"""Judges: rows for imported ones, new endpoints, and their figures against people."""

from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from annotate.errors import ApplicationError
from annotate.models import Annotator, Comparison, Preference, Project
from annotate.services.audit import audit_write
from modeling.judges.addresses import address_check, key_name_check
from modeling.judges.questions import ORDERS, ask_of, question_of
from modeling.models import Judge

MEASURING_SECONDS = 600
STALE_SHARE = 0.05


@transaction.atomic
def judge_create(
    *,
    project: Project,
    user: User | None,
    name: str,
    base_url: str,
    model_name: str,
    api_key_env: str = "",
    input_usd_per_million_tokens: Decimal = Decimal(0),
    output_usd_per_million_tokens: Decimal = Decimal(0),
    conflict_policy: str = Judge.ConflictPolicy.TIE,
) -> Judge:
    """Add an endpoint as a judge with an annotator row of its own.

    Raises
    ------
    ApplicationError
        If the name is taken, the address is private, or the key's variable is not a key's.
    """
    address_check(base_url)
    key_name_check(api_key_env)
    if Annotator.objects.filter(project=project, kind=Annotator.Kind.JUDGE, name=name).exists():
        raise ApplicationError(f"There is a judge named {name!r} already.", field="name")
    annotator = Annotator.objects.create(project=project, kind=Annotator.Kind.JUDGE, name=name)
    judge = Judge(
        annotator=annotator,
        provider=Judge.Provider.OPENAI,
        base_url=base_url,
        model_name=model_name,
        api_key_env=api_key_env,
        input_usd_per_million_tokens=input_usd_per_million_tokens,
        output_usd_per_million_tokens=output_usd_per_million_tokens,
        conflict_policy=conflict_policy,
    )
    try:
        judge.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise ApplicationError(messages[0], field=field) from None
    judge.save()
    audit_write(
        project=project, actor=user, action="judge.create", target=name,
        data={"base_url": base_url, "model_name": model_name},
    )  # fmt: skip
    return judge


def judges_ensure(*, project: Project) -> int:
    """Give every judge annotator that came by import its judge row; return how many were made."""
    bare = Annotator.objects.filter(project=project, kind=Annotator.Kind.JUDGE, judge=None)
    rows = [Judge(annotator=annotator) for annotator in bare]
    return len(Judge.objects.bulk_create(rows, ignore_conflicts=True))


def judge_preview(*, judge: Judge, comparison: Comparison) -> list[dict[str, Any]]:
    """Return the exact messages that the judge gets for a comparison, in both orders."""
    question = question_of(comparison, project=comparison.project)
    return [
        {"swapped": swapped, "messages": ask_of(judge, 0, question, swapped=swapped).messages}
        for swapped in ORDERS
    ]


def judges_refresh(*, project: Project, force: bool = False) -> bool:
    """Queue a measurement if labels came since the last one; return whether one is under way."""
    from modeling.tasks import judges_measure

    judges_ensure(project=project)
    key = _measuring_key(project.pk)
    stale = force or _is_stale(project)
    if stale and cache.add(key, "queued", MEASURING_SECONDS):
        transaction.on_commit(lambda: judges_measure.delay(project.pk))
    return bool(cache.get(key))


def judges_measure(*, project: Project) -> int:
    """Compare every judge with the human majority and store the figures; return how many."""
    from modeling.judge_bench import measure_judges

    judges_ensure(project=project)
    newest = _newest_preference(project)
    figures = measure_judges(project)
    judges = list(Judge.objects.filter(annotator__project=project))
    for judge in judges:
        judge.measured = {
            **figures.get(judge.annotator_id, {}),
            "last_preference_id": newest,
            "measured_at": timezone.now().isoformat(),
        }
    Judge.objects.bulk_update(judges, ["measured"])
    cache.delete(_measuring_key(project.pk))
    return len(judges)


def judges_measure_stale() -> int:
    """Measure the judges of every project whose labels have grown; return how many projects."""
    projects = Project.objects.filter(annotators__kind=Annotator.Kind.JUDGE).distinct()
    stale = [project for project in projects if _is_stale(project)]
    for project in stale:
        judges_measure(project=project)
    return len(stale)


def _is_stale(project: Project) -> bool:
    """Whether a judge was never measured, or more than a twentieth of the labels are new."""
    annotators = Annotator.objects.filter(project=project, kind=Annotator.Kind.JUDGE)
    measured = list(annotators.values_list("judge__measured", flat=True))
    newest = [figures["last_preference_id"] for figures in measured if figures]
    if len(newest) < len(measured) or not measured:
        return bool(measured)
    since = min(newest)
    labels = Preference.objects.filter(comparison__project=project)
    return labels.filter(pk__gt=since).count() > STALE_SHARE * labels.count()


def _newest_preference(project: Project) -> int:
    found = Preference.objects.filter(comparison__project=project).aggregate(last=Max("pk"))
    return found["last"] or 0


def _measuring_key(project_id: int) -> str:
    return f"judges-measuring:{project_id}"

"""Judges: rows for imported ones, new endpoints, and their figures against people."""

import re
from typing import Any

from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from annotate.errors import ApplicationError, ConflictError
from annotate.models import Annotator, Comparison, Preference, Project
from annotate.services.audit import audit_write
from modeling.judges.addresses import address_check, key_name_check
from modeling.judges.plugin_names import plugin_check
from modeling.judges.privacy import MAX_TERM_CHARACTERS, MAX_TERMS
from modeling.judges.questions import (
    ORDERS,
    ask_of,
    places_asked,
    question_of,
    question_redacted,
)
from modeling.models import Judge, JudgePrompt
from modeling.selectors import judging_model

WORDING = frozenset(
    {
        "base_url", "model_name", "prompt", "reward_model", "plugin", "options", "structured",
        "n_samples", "ranking_by", "max_pairs",
    }
)  # fmt: skip
"""Settings that decide what a judge says; they are fixed once it has spoken."""
SETTINGS = WORDING | {
    "api_key_env", "conflict_policy", "ask_logprobs", "requests_per_minute", "tokens_per_minute",
    "pii_profile", "pii_terms", "family", "allow_related", "input_usd_per_million_tokens",
    "output_usd_per_million_tokens", "price_per_label_usd",
}  # fmt: skip
LOCAL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
MEASURING_SECONDS = 600
STALE_SHARE = 0.05


@transaction.atomic
def judge_create(
    *,
    project: Project,
    user: User | None,
    name: str,
    provider: str = Judge.Provider.OPENAI,
    **settings: Any,
) -> Judge:
    """Add a judge that can be asked, with an annotator row of its own.

    ``settings`` are fields of ``Judge`` named in ``SETTINGS``.

    Raises
    ------
    ApplicationError
        If the name is taken, or a setting cannot be; the field is named.
    NotReady
        If the reward model that is to judge has not been trained.
    """
    if Annotator.objects.filter(project=project, kind=Annotator.Kind.JUDGE, name=name).exists():
        raise ApplicationError(f"There is a judge named {name!r} already.", field="name")
    annotator = Annotator.objects.create(project=project, kind=Annotator.Kind.JUDGE, name=name)
    judge = Judge(annotator=annotator, provider=provider, **_known(settings))
    if provider == Judge.Provider.REWARD_MODEL and judge.reward_model is None:
        judge.reward_model = judging_model(project)
    _save(judge)
    audit_write(
        project=project, actor=user, action="judge.create", target=name,
        data={"provider": provider, "base_url": judge.base_url, "model_name": judge.model_name},
    )  # fmt: skip
    return judge


@transaction.atomic
def judge_update(*, judge: Judge, user: User | None, **settings: Any) -> Judge:
    """Change how a judge is asked, priced and limited.

    Raises
    ------
    ApplicationError
        If a setting cannot be; the field is named.
    ConflictError
        If the change would ask a judge differently whose verdicts are already counted.
    """
    changed = {
        name: value for name, value in _known(settings).items() if getattr(judge, name) != value
    }
    asked = sorted(set(changed) & WORDING)
    if asked and _has_verdicts(judge):
        raise ConflictError(
            f"{judge} has given verdicts already, so {asked[0].replace('_', ' ')} cannot change: "
            "figures of two ways of asking would be mixed. Copy the judge and change the copy.",
            field=asked[0],
        )
    for name, value in changed.items():
        setattr(judge, name, value)
    _save(judge)
    project = judge.annotator.project
    if changed:
        audit_write(
            project=project, actor=user, action="judge.change", target=str(judge),
            data={name: str(value) for name, value in changed.items()},
        )  # fmt: skip
    if "allow_related" in changed:
        # In the trail under its own name: whoever reads leakage figures looks for it.
        audit_write(
            project=project, actor=user, action="judge.allow_related", target=str(judge),
            data={"allowed": judge.allow_related, "family": judge.family},
        )  # fmt: skip
    return judge


def _known(settings: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(settings) - SETTINGS)
    if unknown:
        raise ApplicationError(f"A judge has no setting {unknown[0]!r}.", field=unknown[0])
    return settings


def _has_verdicts(judge: Judge) -> bool:
    given = Preference.objects.filter(annotator=judge.annotator, source=Preference.Source.JUDGE)
    return given.exists()


def _save(judge: Judge) -> None:
    _provider_check(judge)
    project = judge.annotator.project
    for field in ("prompt", "reward_model"):
        row = getattr(judge, field)
        if row is not None and row.project_id != project.pk:
            raise ApplicationError("That is of another project.", field=field)
    _terms_check(judge.pii_terms)
    try:
        judge.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise ApplicationError(messages[0], field=field) from None
    judge.save()


def _terms_check(terms: object) -> None:
    is_list = isinstance(terms, list) and all(isinstance(term, str) for term in terms)
    if not is_list or len(terms) > MAX_TERMS:  # type: ignore[arg-type]
        raise ApplicationError(f"Give at most {MAX_TERMS} names and terms.", field="pii_terms")
    long = [term for term in terms if not 0 < len(term.strip()) <= MAX_TERM_CHARACTERS]  # type: ignore[attr-defined]
    if long:
        raise ApplicationError(
            f"A name or term has 1 to {MAX_TERM_CHARACTERS} characters; got {long[0][:40]!r}.",
            field="pii_terms",
        )


def _provider_check(judge: Judge) -> None:
    if judge.provider == Judge.Provider.OPENAI:
        address_check(judge.base_url)
        key_name_check(judge.api_key_env)
    elif judge.provider == Judge.Provider.PLUGIN:
        plugin_check(judge.plugin, judge.options)
    elif judge.provider == Judge.Provider.LOCAL:
        _local_check(judge)
    elif judge.provider != Judge.Provider.REWARD_MODEL:
        raise ApplicationError("Only a judge that can be asked has settings.", field="provider")


def _local_check(judge: Judge) -> None:
    if not LOCAL_NAME.fullmatch(judge.model_name):
        raise ApplicationError(
            "Name a folder below the workers' folder of models, such as qwen3-8b.",
            field="model_name",
        )
    if judge.prompt and judge.prompt.kind == JudgePrompt.Kind.RATING:
        raise ApplicationError(
            "A local model is read at its verdict token; choose a prompt that asks for a verdict.",
            field="prompt",
        )
    if judge.prompt and judge.prompt.reply_order == JudgePrompt.ReplyOrder.REASON_FIRST:
        raise ApplicationError(
            "A local model is read at its verdict token, so it gives no reason before it; choose "
            "a prompt with the verdict first.",
            field="prompt",
        )
    if judge.ranking_by == Judge.RankingBy.LIST:
        raise ApplicationError(
            "A local model is read at its verdict token; ask it about two responses at a time.",
            field="ranking_by",
        )
    if judge.n_samples != 1:
        raise ApplicationError(
            "A local model gives the same verdict every time; ask for one sample.",
            field="n_samples",
        )


def judges_ensure(*, project: Project) -> int:
    """Give every judge annotator that came by import its judge row; return how many were made."""
    bare = Annotator.objects.filter(project=project, kind=Annotator.Kind.JUDGE, judge=None)
    rows = [Judge(annotator=annotator) for annotator in bare]
    return len(Judge.objects.bulk_create(rows, ignore_conflicts=True))


def judge_preview(*, judge: Judge, comparison: Comparison) -> list[dict[str, Any]]:
    """Return the exact messages that the judge gets for a comparison, in both orders."""
    if judge.provider in (Judge.Provider.PLUGIN, Judge.Provider.REWARD_MODEL):
        return []
    question = question_of(comparison, project=comparison.project)
    if judge.pii_profile != Judge.PiiProfile.OFF:
        question, _ = question_redacted(question, judge.pii_terms)
    shown = places_asked(judge, len(question.responses))[0]
    about = question.about(shown)
    return [
        {
            "swapped": swapped,
            "messages": ask_of(judge, 0, about, swapped=swapped, places=shown).messages,
        }
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
    """Let panels label, compare every judge with people, learn its map; return how many judges."""
    from modeling.judge_leakage import leakage_store
    from modeling.judge_measuring import measure

    judges_ensure(project=project)
    n_judges = measure(project)
    leakage_store(project)
    cache.delete(_measuring_key(project.pk))
    return n_judges


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

"""The verdicts of a project's judges and people, read for the bench, maps and panels."""

from __future__ import annotations

from collections import defaultdict

from django.db.models import Count

from annotate.models import Annotator, Comparison, Preference, Project
from annotate.models.preference import PreferenceQuerySet
from modeling.judge_votes import (
    Entry,
    JudgeRanking,
    JudgeVote,
    RankingEntry,
    RankingTable,
    VoteTable,
    code_of,
    ranking_of,
    slices_of,
    vote_of,
)
from modeling.models import Judge, JudgeOutcome
from modeling.splits import is_held_out

CHUNK = 10_000


def project_votes(project: Project, *, last_preference_id: int | None = None) -> VoteTable:
    """Read all standing verdicts; known answers are left out.

    With ``last_preference_id`` the judges' verdicts are those that stood when it was the newest.
    """
    rankings = _rankings(project, last_preference_id)
    votes = _judge_votes(project, last_preference_id)
    return VoteTable(
        n_comparisons=Comparison.objects.filter(project=project, is_gold=False).count(),
        human=_human_codes(project),
        judges={name: votes.get(name, []) for name in sorted({*votes, *rankings.judges})},
        slices=_slices(project),
        panels=frozenset(_panel_names(project)),
        n_unparsed=_unparsed(project),
        rankings=rankings,
    )


def held_out_prompts(project: Project) -> frozenset[int]:
    """Prompts on which reward models are tested; no map that feeds training may learn from them."""
    hashes = project.prompts.values_list("pk", "content_hash")
    return frozenset(pk for pk, content_hash in hashes.iterator(CHUNK) if is_held_out(content_hash))


def _human_codes(project: Project) -> dict[int, list[int]]:
    rows = (
        Preference.objects.current()
        .votes()
        .human()
        .filter(comparison__project=project, comparison__n_responses=2, ranking__isnull=False)
    )
    found: defaultdict[int, list[int]] = defaultdict(list)
    fields = rows.order_by("pk").values_list("comparison_id", "ranking")
    for comparison_id, ranking in fields.iterator(CHUNK):
        found[comparison_id].append(code_of(ranking or ()))
    return dict(found)


def _rankings(project: Project, last_preference_id: int | None) -> RankingTable:
    """Everybody's rankings of more than two responses; empty queries where there are none."""
    human: defaultdict[int, list[tuple[int, ...]]] = defaultdict(list)
    given = Preference.objects.current().votes().human()
    more = {
        "comparison__project": project,
        "comparison__n_responses__gt": 2,
        "ranking__isnull": False,
    }
    rows = given.filter(**more).order_by("pk").values_list("comparison_id", "ranking")
    for comparison_id, ranking in rows.iterator(CHUNK):
        human[comparison_id].append(tuple(ranking or ()))
    judges: defaultdict[str, list[JudgeRanking]] = defaultdict(list)
    said = _standing(Preference.objects.by_judges(), last_preference_id).filter(
        **more, comparison__is_gold=False, replicate=0
    )
    fields = (
        "annotator__name", "comparison_id", "comparison__prompt_id", "ranking", "extra", "pk",
    )  # fmt: skip
    for name, comparison, prompt, ranking, extra, pk in (
        said.order_by("pk").values_list(*fields).iterator(CHUNK)
    ):
        entry = RankingEntry(tuple(ranking or ()), extra, pk)
        judges[name].append(ranking_of(comparison, prompt, entry))
    return RankingTable(dict(human), dict(judges))


def _standing(rows: PreferenceQuerySet, last_preference_id: int | None) -> PreferenceQuerySet:
    """Rows that no later one replaces, now or when the given one was the newest."""
    if last_preference_id is None:
        return rows.current()
    return rows.filter(pk__lte=last_preference_id).exclude(
        superseded_by__pk__lte=last_preference_id
    )


def _judge_votes(project: Project, last_preference_id: int | None) -> dict[str, list[JudgeVote]]:
    # Replicates count here: they are the two orders, or several samples, of an import.
    rows = _standing(Preference.objects.by_judges(), last_preference_id).filter(
        comparison__project=project,
        comparison__n_responses=2,
        comparison__is_gold=False,
        ranking__isnull=False,
    )
    fields = (
        "annotator__name", "comparison_id", "comparison__prompt_id", "ranking", "strength",
        "probability", "extra", "source", "pk",
    )  # fmt: skip
    entries: defaultdict[str, dict[tuple[int, int], list[Entry]]] = defaultdict(dict)
    for name, comparison, prompt, ranking, strength, probability, extra, source, pk in (
        rows.order_by("pk").values_list(*fields).iterator(CHUNK)
    ):
        is_own = source == Preference.Source.JUDGE
        entry = Entry(code_of(ranking or ()), strength, probability, extra, is_own, pk)
        entries[name].setdefault((comparison, prompt), []).append(entry)
    return {
        name: [vote_of(comparison, prompt, given) for (comparison, prompt), given in rows.items()]
        for name, rows in sorted(entries.items())
    }


def _slices(project: Project) -> dict[int, tuple[str, ...]]:
    rows = Comparison.objects.filter(project=project, n_responses=2, is_gold=False)
    fields = rows.values_list("pk", "metadata", "criterion").iterator(CHUNK)
    return slices_of({pk: {**data, "criterion": about or None} for pk, data, about in fields})


def _panel_names(project: Project) -> list[str]:
    panels = Judge.objects.filter(annotator__project=project, provider=Judge.Provider.PANEL)
    return list(panels.values_list("annotator__name", flat=True))


def _unparsed(project: Project) -> dict[str, int]:
    """Comparisons that a judge was asked about in vain and has not labelled since."""
    asked = JudgeOutcome.objects.filter(
        run__judge__annotator__project=project, kind=JudgeOutcome.Kind.UNPARSED
    )
    rows = asked.order_by().values_list("run__judge__annotator__name")
    counted = rows.annotate(n=Count("comparison", distinct=True))
    recorded = (
        Preference.objects.current()
        .filter(
            comparison__project=project,
            annotator__kind=Annotator.Kind.JUDGE,
            verdict=Preference.Verdict.CANNOT_JUDGE,
        )
        .order_by()
        .values_list("annotator__name")
        .annotate(n=Count("comparison", distinct=True))
    )
    found: defaultdict[str, int] = defaultdict(int)
    for name, n in [*counted, *recorded]:
        found[name] += n
    return dict(found)

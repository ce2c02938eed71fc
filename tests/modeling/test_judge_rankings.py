"""Judges on more than two responses: asked, priced, stored and measured."""

import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotate.errors import ApplicationError
from annotate.formats.registry import read_comparisons
from annotate.models import Preference, Project, Protocol
from annotate.services.imports import comparisons_import
from modeling.judge_bench import bench, measure_judges
from modeling.judge_votes import votes_of_records
from modeling.judges.client import JudgeClient
from modeling.models import Judge, JudgeOutcome, JudgeReply, JudgeRun
from modeling.services.judge_prompts import judge_prompt_save
from modeling.services.judge_runs import (
    judge_run_estimate,
    judge_run_execute,
    judge_run_start,
)
from modeling.services.judges import judge_create
from tests.factories import make_annotator, make_comparison, make_preference, make_project
from tests.fake_endpoint import FakeEndpoint, Misbehaviour, completion

pytestmark = pytest.mark.django_db

QUALITY = {"best": 0, "good": 1, "poor": 2, "worst": 3}
RANKING = {"kind": Protocol.Kind.RANKING}


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again at once."""
    monkeypatch.setattr(JudgeClient, "_delay_s", lambda *_arguments: 0.0)


@pytest.fixture
def project() -> Project:
    """One comparison of four responses whose first word says how good they are."""
    project = make_project(budget_usd=Decimal(10), protocol=RANKING)
    make_comparison(project, texts=["poor P.", "best B.", "worst W.", "good G."])
    return project


def quality(text: str) -> int:
    """How good a response of these tests is, 0 best."""
    return QUALITY[text.split()[0]]


def better(first: str, second: str) -> str:
    """The verdict of a judge that reads the first word."""
    return "A" if quality(first) < quality(second) else "B"


def ranked(shown: dict[str, str]) -> dict[str, Any]:
    """The ranking of a judge that reads the first word."""
    return {"ranking": sorted(shown, key=lambda letter: quality(shown[letter])), "reason": "words"}


def make_judge(project: Project, endpoint: FakeEndpoint, **options: Any) -> Judge:
    """A judge that reads the first word; 100 tokens in at $100 and 10 out at $200 per million."""
    endpoint.prefer, endpoint.rank = better, ranked
    return judge_create(
        project=project,
        user=None,
        name="reader",
        base_url=endpoint.base_url,
        model_name="fake-1",
        input_usd_per_million_tokens=Decimal(100),
        output_usd_per_million_tokens=Decimal(200),
        **options,
    )


def executed(judge: Judge) -> JudgeRun:
    """A run over everything, in this process."""
    run = judge_run_start(judge=judge, user=None)
    judge_run_execute(run_id=run.pk)
    run.refresh_from_db()
    return run


@pytest.mark.parametrize(("by", "n_questions"), [("pairs", 12), ("list", 2)])
def test_four_responses_are_ranked_by_pairs_or_all_at_once(
    project: Project, endpoint: FakeEndpoint, by: str, n_questions: int
) -> None:
    judge = make_judge(project, endpoint, ranking_by=by)
    run = executed(judge)
    row = Preference.objects.get(annotator=judge.annotator)
    assert (row.verdict, row.ranking) == ("ranked", [2, 0, 3, 1])
    assert (row.strength, row.probability) == (None, None)
    assert len(row.extra["pairs"]) == 6
    assert (run.n_done, run.n_conflicts, len(endpoint.requests)) == (1, 0, n_questions)
    assert run.cost_usd == row.cost_usd == n_questions * Decimal("0.012")


def test_the_estimate_counts_every_question(project: Project, endpoint: FakeEndpoint) -> None:
    ids = list(project.comparisons.values_list("pk", flat=True))
    pairs = make_judge(project, endpoint, n_samples=3)
    estimate = judge_run_estimate(judge=pairs, comparison_ids=ids)
    assert (estimate.n_questions, estimate.output_tokens) == (36, 36 * 60)
    Judge.objects.filter(pk=pairs.pk).update(ranking_by=Judge.RankingBy.LIST)
    listed = Judge.objects.get(pk=pairs.pk)
    assert judge_run_estimate(judge=listed, comparison_ids=ids).n_questions == 6


def test_a_bound_on_pairs_is_kept_and_every_response_is_ranked(
    project: Project, endpoint: FakeEndpoint
) -> None:
    judge = make_judge(project, endpoint, max_pairs=4)
    executed(judge)
    row = Preference.objects.get(annotator=judge.annotator)
    assert [pair[:2] for pair in row.extra["pairs"]] == [[0, 1], [0, 3], [1, 2], [2, 3]]
    assert len(endpoint.requests) == 8


def test_both_shown_orders_are_asked_and_kept(project: Project, endpoint: FakeEndpoint) -> None:
    judge = make_judge(project, endpoint, ranking_by="list")
    executed(judge)
    replies = JudgeReply.objects.filter(judge=judge).order_by("order_swapped")
    assert [reply.order_swapped for reply in replies] == [False, True]
    assert [reply.places for reply in replies] == [[0, 1, 2, 3]] * 2
    assert [json.loads(reply.text)["ranking"] for reply in replies] == [
        ["B", "D", "A", "C"],
        ["C", "A", "D", "B"],
    ]


def test_ratings_become_a_ranking(project: Project, endpoint: FakeEndpoint) -> None:
    prompt = judge_prompt_save(
        project=project, user=None, name="rate", instructions="Rate.", kind="rating"
    )
    judge = make_judge(project, endpoint, ranking_by="list", prompt=prompt)
    endpoint.rank = lambda shown: {
        "ratings": {letter: 9 - 2 * (quality(text) // 2) for letter, text in shown.items()}
    }
    executed(judge)
    row = Preference.objects.get(annotator=judge.annotator)
    assert row.ranking == [1, 0, 1, 0]
    assert row.extra["ratings"] == [7, 9, 7, 9]


@pytest.mark.parametrize(
    ("policy", "kind"), [("tie", JudgeOutcome.Kind.LABELLED), ("needs_human", "conflict")]
)
def test_a_judge_that_ranks_as_shown_contradicts_itself(
    project: Project, endpoint: FakeEndpoint, policy: str, kind: str
) -> None:
    judge = make_judge(project, endpoint, ranking_by="list", conflict_policy=policy)
    endpoint.rank = lambda shown: {"ranking": list(shown)}
    run = executed(judge)
    outcome = run.outcomes.get()
    assert (outcome.kind, outcome.is_conflict) == (kind, True)
    assert outcome.detail == "6 of 6 pairs were told apart differently in the two orders."
    labels = Preference.objects.filter(annotator=judge.annotator)
    assert [row.ranking for row in labels] == [[0, 0, 0, 0]] * (policy == "tie")


def test_one_unreadable_pair_leaves_the_comparison_to_people(
    project: Project, endpoint: FakeEndpoint
) -> None:
    judge = make_judge(project, endpoint)
    endpoint.script.extend([Misbehaviour(body=completion("Hard to say."))] * 2)
    run = executed(judge)
    assert (run.n_unparsed, run.n_to_people, len(endpoint.requests)) == (1, 1, 13)
    assert not Preference.objects.filter(annotator=judge.annotator).exists()
    again = executed(judge)
    assert len(endpoint.requests) == 13
    assert again.n_unparsed == 1


def test_a_rerun_costs_nothing(project: Project, endpoint: FakeEndpoint) -> None:
    judge = make_judge(project, endpoint)
    executed(judge)
    run = judge_run_start(judge=judge, user=None, comparison_ids=[project.comparisons.get().pk])
    judge_run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert (run.cost_usd, len(endpoint.requests)) == (Decimal(0), 12)


def test_a_pairwise_protocol_keeps_more_than_two_responses_from_judges(
    project: Project, endpoint: FakeEndpoint
) -> None:
    judge = make_judge(project, endpoint)
    project.protocols.create(version=2, kind=Protocol.Kind.PAIRWISE)
    pk = project.comparisons.get().pk
    judge = Judge.objects.get(pk=judge.pk)
    with pytest.raises(ApplicationError, match="where the protocol ranks or rates"):
        judge_run_start(judge=judge, user=None, comparison_ids=[pk])


def test_where_there_are_no_ties_stated_strengths_decide(
    project: Project, endpoint: FakeEndpoint
) -> None:
    project.protocols.create(version=2, allow_tie=False, **RANKING)
    judge = make_judge(project, endpoint, ranking_by="list")
    endpoint.rank = lambda shown: {"ranking": list(shown)}
    run = executed(judge)
    assert run.outcomes.get().kind == JudgeOutcome.Kind.ABSTAINED
    assert not Preference.objects.filter(annotator=judge.annotator).exists()


def test_a_verifier_ranks_right_answers_above_wrong_ones(project: Project) -> None:
    comparison = make_comparison(
        project, texts=["It is 41.", "It is 42.", "So 42."], metadata={"reference": "42"}
    )
    judge = judge_create(
        project=project, user=None, name="check", provider="plugin", plugin="answer_check"
    )
    run = judge_run_start(judge=judge, user=None, comparison_ids=[comparison.pk])
    judge_run_execute(run_id=run.pk)
    assert Preference.objects.get(annotator=judge.annotator).ranking == [1, 0, 0]


def test_implied_pairs_and_tau_are_counted_by_hand(
    project: Project, endpoint: FakeEndpoint
) -> None:
    people = [make_annotator(project), make_annotator(project)]
    comparison = project.comparisons.get()
    # The judge says [2, 0, 3, 1]; people tie the first and the last response.
    make_preference(comparison, people[0], (1, 0, 2, 1))
    make_preference(comparison, people[1], (1, 0, 2, 1))
    judge = make_judge(project, endpoint)
    executed(judge)
    figures = measure_judges(project)["reader"]["rankings"]
    assert (figures["n_compared"], figures["n_pairs"]) == (1, 6)
    # Five of six pairs, and tau-b = 5 / sqrt(6 * 5).
    assert figures["accuracy"]["estimate"] == pytest.approx(5 / 6, abs=1e-6)
    assert figures["tau"]["estimate"] == pytest.approx(5 / 30**0.5, abs=1e-4)
    assert figures["conflict"]["estimate"] == 0.0
    assert figures["first_position"]["estimate"] == 0.5


def test_figures_on_rankings_stand_on_the_pages_in_the_api_and_before_the_gate(
    client: Client, admin_user: User, endpoint: FakeEndpoint
) -> None:
    project = make_project(owner=admin_user, slug="ranked", protocol=RANKING)
    judge = make_judge(project, endpoint)
    low = {"estimate": 0.135, "low": -0.012, "high": 0.315, "n": 90, "n_prompts": 23}
    ranked = {
        "n_labels": 30, "n_compared": 30, "n_pairs": 90, "accuracy": low, "kappa": low, "tau": low,
        "conflict": low, "first_position": None,
    }  # fmt: skip
    judge.measured = {"n_compared": 0, "rankings": ranked, "last_preference_id": 2**62}
    judge.save()
    client.force_login(admin_user)
    for path in ("judges/", f"judges/{judge.pk}/"):
        page = client.get(f"/projects/ranked/{path}").content.decode()
        assert "More than two responses" in page
        assert "Pairs told apart differently" in page
    assert "Rankings: kappa 0.135 [-0.012, 0.315], n = 90" in page
    bench = client.get(f"/api/v1/projects/ranked/judges/{judge.pk}/bench").json()
    assert bench["rankings"]["tau"]["estimate"] == 0.135
    assert not bench["qualified"]


# --- Real rankings ------------------------------------------------------------------------------


def one_said_the_rest_are_truth(path: Path, said: int, truth: int, out: Path) -> Path:
    """A file in which the ranking of one person stands as a judge's beside that of another."""
    rows = []
    for line in path.read_text().splitlines():
        record = json.loads(line)
        judge = {"judge": "one", "preference": record["human"][said]["preference"]}
        person = {"annotator": "other", "preference": record["human"][truth]["preference"]}
        rows.append(json.dumps({**record, "human": [person], "llm": [judge]}))
    out.write_text("\n".join(rows))
    return out


def test_people_as_judges_of_each_other_give_the_known_agreement(
    real_data: Path, tmp_path: Path
) -> None:
    """0.871 of implied pairs and tau 0.74 are the set's documented agreement between people."""
    path = real_data / "squality_rankings.jsonl"
    accuracy, tau = [], []
    for said, truth in itertools.combinations(range(3), 2):
        out = one_said_the_rest_are_truth(path, said, truth, tmp_path / f"{said}{truth}.jsonl")
        figures = bench(votes_of_records(read_comparisons(out, "native")))["one"]["rankings"]
        assert (figures["n_compared"], figures["n_pairs"]) == (100, 300)
        accuracy.append(figures["accuracy"]["estimate"])
        tau.append(figures["tau"]["estimate"])
    assert sum(accuracy) / 3 == pytest.approx(0.871, abs=0.001)
    assert sum(tau) / 3 == pytest.approx(0.74, abs=0.005)


def replayable(path: Path, n: int) -> list[dict[str, Any]]:
    """The first comparisons; responses that read alike are told apart by their place."""
    records = [json.loads(line) for line in path.read_text().splitlines()[:n]]
    for record in records:
        for place, response in enumerate(record["responses"]):
            response["text"] += f" ({place})"
    return records


def ranks_by_text(record: dict[str, Any]) -> dict[str, int]:
    """The first person's rank of every response, ties sharing one."""
    groups = [one if isinstance(one, list) else [one] for one in record["human"][0]["preference"]]
    texts = [one["text"] for one in record["responses"]]
    return {texts[index]: rank for rank, group in enumerate(groups) for index in group}


@pytest.mark.parametrize(
    ("name", "by", "max_pairs"),
    [
        ("squality_rankings", "pairs", 15),
        ("squality_rankings", "list", 15),
        ("wmt23_ende_rankings", "pairs", 45),
        ("wmt23_ende_rankings", "list", 15),
    ],
)
def test_a_person_replayed_by_an_endpoint_is_stored_as_ranked(
    real_data: Path, tmp_path: Path, endpoint: FakeEndpoint, name: str, by: str, max_pairs: int
) -> None:
    records = replayable(real_data / f"{name}.jsonl", 2)
    path = tmp_path / "some.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    project = make_project(slug="replayed", budget_usd=Decimal(100), protocol=RANKING)
    comparisons_import(project=project, path=path)
    said = {text: rank for record in records for text, rank in ranks_by_text(record).items()}
    judge = make_judge(project, endpoint, ranking_by=by, max_pairs=max_pairs, allow_related=True)
    endpoint.prefer = lambda first, second: (
        "tie" if said[first] == said[second] else "A" if said[first] < said[second] else "B"
    )
    endpoint.rank = lambda shown: {
        "ranking": [
            [letter for letter, text in shown.items() if said[text] == rank]
            for rank in sorted({said[text] for text in shown.values()})
        ]
    }
    assert executed(judge).n_done == 2
    rows = Preference.objects.filter(annotator=judge.annotator).order_by("comparison__pk")
    expected = [
        [ranks_by_text(record)[one["text"]] for one in record["responses"]] for record in records
    ]
    assert [row.ranking for row in rows] == expected
    figures = measure_judges(project)["reader"]["rankings"]
    assert (figures["n_compared"], figures["conflict"]["estimate"]) == (2, 0.0)

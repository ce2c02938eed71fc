"""Rounds that ask about two of many responses."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from pytest_django.fixtures import Settings

from annotate.errors import ApplicationError
from annotate.models import Annotator, Comparison, JobState, Project
from annotate.services.imports import comparisons_import
from modeling.services.training import training_run_start
from modeling.services.training_work import training_run_execute
from routing.choices import PAIR_RULES
from routing.core.acquisition.pairs import PAIR_RULES as CORE_RULES
from routing.models import AcquisitionRound
from routing.selectors import candidates_of, routable
from routing.services.rounds import acquisition_round_start
from routing.tasks import acquisition_round_execute
from tests.factories import make_preference, make_project
from tests.routing.conftest import BAD, GOOD

N_RANKED, N_OPEN, N_RESPONSES = 40, 6, 4


@pytest.fixture
def ranked(ada: User, settings: Settings, tmp_path: Path) -> Project:
    """Rankings of four responses by people on 40 prompts; six prompts without a label."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    project, rng = make_project(owner=ada), random.Random(0)
    path = tmp_path / "ranked.jsonl"
    path.write_text("".join(json.dumps(_row(k, rng)) + "\n" for k in range(N_RANKED + N_OPEN)))
    comparisons_import(project=project, path=path)
    return project


def _row(number: int, rng: random.Random) -> dict[str, Any]:
    good = rng.sample(range(9), N_RESPONSES)
    texts = [" ".join(rng.sample(GOOD, k) + rng.sample(BAD, 8 - k)) for k in good]
    row: dict[str, Any] = {
        "id": f"r{number}",
        "prompt": f"Question {number}?",
        "responses": [{"text": text, "model": f"m{k}"} for k, text in enumerate(texts)],
    }
    if number < N_RANKED:
        best_first = sorted(range(N_RESPONSES), key=lambda place: -good[place])
        row["human"] = [{"annotator": "hana", "preference": best_first}]
    return row


def train(project: Project) -> None:
    run = training_run_start(project=project, user=None, encoder="tfidf", seed=0)
    training_run_execute(run_id=run.pk)


def run_round(project: Project, **values: Any) -> AcquisitionRound:
    given: dict[str, Any] = {"batch_size": 4, "random_share": 0.25, "pair_rule": "information"}
    row = acquisition_round_start(project=project, user=None, **given | values)
    acquisition_round_execute(row.pk)
    row.refresh_from_db()
    assert row.state == JobState.DONE, row.message
    return row


def texts_of(comparison: Comparison) -> list[str]:
    return list(comparison.slots.order_by("position").values_list("response__text", flat=True))


def test_pages_offer_the_rules_of_the_core() -> None:
    assert set(PAIR_RULES) == set(CORE_RULES)


@pytest.mark.parametrize("rule", ["information", "delta_ucb"])
def test_a_pair_of_each_pick_comes_next_and_the_whole_is_asked_no_more(
    ranked: Project, rule: str
) -> None:
    train(ranked)
    row = run_round(ranked, pair_rule=rule)
    queue = Comparison.objects.filter(project=ranked).open().in_queue_order()
    picks = list(row.picks.order_by("rank").select_related("comparison", "parent"))
    assert [pick.comparison for pick in picks] == list(queue[:4])
    for pick in picks:
        assert pick.parent is not None
        assert pick.comparison.n_responses == 2
        assert pick.comparison.metadata["pair_of"] == pick.parent.external_id
        assert set(texts_of(pick.comparison)) < set(texts_of(pick.parent))
        assert (pick.parent.wanted_labels, pick.parent.open_slots) == (0, 0)
        assert pick.comparison.prompt_id == pick.parent.prompt_id


def test_without_a_rule_the_whole_comparison_is_asked(ranked: Project) -> None:
    train(ranked)
    row = run_round(ranked, pair_rule="")
    assert not row.picks.exclude(comparison__n_responses=4, parent=None).exists()


def test_without_a_reward_model_the_pair_is_drawn_at_random(ranked: Project) -> None:
    row = run_round(ranked, batch_size=6)
    assert row.report["strategy"] == "random-v1"
    assert row.picks.filter(parent__isnull=False, comparison__n_responses=2).count() == 6


@pytest.mark.slow
def test_other_pairs_follow_when_one_is_labelled_until_they_give_an_order(
    ranked: Project,
) -> None:
    train(ranked)
    hana = Annotator.objects.get(project=ranked, name="hana")
    asked: dict[int, set[frozenset[str]]] = {}
    for number in range(N_RESPONSES - 1):
        row = run_round(ranked, batch_size=N_OPEN, seed=number)
        assert not candidates_of(project=ranked, by_pairs=True).exists()
        for pick in row.picks.select_related("comparison"):
            assert pick.parent_id is not None
            pair = frozenset(texts_of(pick.comparison))
            assert pair not in asked.setdefault(pick.parent_id, set())
            asked[pick.parent_id].add(pair)
            make_preference(pick.comparison, hana)
    assert {len(pairs) for pairs in asked.values()} == {N_RESPONSES - 1}
    assert not candidates_of(project=ranked, by_pairs=True).exists()


def test_routing_leaves_alone_what_is_asked_pair_by_pair(ranked: Project) -> None:
    row = run_round(ranked, batch_size=2)
    parents = set(row.picks.values_list("parent_id", flat=True))
    assert not parents & set(routable(project=ranked).values_list("pk", flat=True))


def test_an_unknown_rule_is_refused_by_name(ranked: Project) -> None:
    with pytest.raises(ApplicationError, match=r"Unknown pair rule 'luck'.*double_thompson"):
        run_round(ranked, pair_rule="luck")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("posterior", "strategy"),
    [
        ("laplace", "batch_bald-v1"),
        ("members", "d_optimal-v1"),
        ("bootstrap", "epig-v1"),
        ("mlp", "bal_pm-v1"),
    ],
)
def test_rounds_read_the_uncertainty_from_every_posterior(
    ranked: Project, posterior: str, strategy: str
) -> None:
    train(ranked)
    row = run_round(ranked, posterior=posterior, strategy=strategy, pair_rule="")
    assert row.report["strategy"] == strategy
    found = np.array(row.picks.values_list("uncertainty", flat=True))
    assert ((found >= 0) & (found <= np.log(2))).all()
    assert found.max() > 0

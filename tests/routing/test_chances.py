"""Studies that weigh each label by one over the chance that routing gave it."""

from decimal import Decimal

import numpy as np
import pytest

from annotate.models import Annotator, Comparison, Project
from routing.services.batches import routing_undo
from routing.study.chances import chance_weights
from routing.study.heads import Part, performances, train_heads
from tests.routing_steps import routing_apply


def test_weights_are_one_over_the_logged_chance(small: Project, judge: Annotator) -> None:
    batch = routing_apply(
        project=small, study=None, judge=judge, policy="random-v1",
        budget_usd=Decimal("4"), user=None, audit_share=0.2,
    )  # fmt: skip
    ids = np.array(Comparison.objects.filter(project=small).values_list("pk", flat=True))
    weight = chance_weights(project=small, comparison_ids=ids)
    drawn = set(batch.decisions.filter(action="human").values_list("comparison_id", flat=True))
    # 8 of 20 drawn by lot: .4; the rest of the project was labelled before and counts as certain.
    ratio = {bool(pk in drawn): weight[row] for row, pk in enumerate(ids.tolist())}
    assert ratio[True] / ratio[False] == pytest.approx(1 / 0.4)
    assert weight.mean() == pytest.approx(1.0)
    routing_undo(batch=batch, user=None)
    assert set(chance_weights(project=small, comparison_ids=ids).tolist()) == {1.0}


def test_rare_chances_are_cut(
    small: Project, judge: Annotator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routing.study.chances.MIN_CHANCE", 0.5)
    batch = routing_apply(
        project=small, study=None, judge=judge, policy="random-v1",
        budget_usd=Decimal("4"), user=None, audit_share=0.2,
    )  # fmt: skip
    ids = np.array(batch.decisions.values_list("comparison_id", flat=True))
    weight = chance_weights(project=small, comparison_ids=ids)
    assert weight.max() / weight.min() == pytest.approx(1 / 0.5)


def test_a_comparison_of_weight_two_is_one_that_stands_twice() -> None:
    rng = np.random.default_rng(0)
    n = 40
    part = Part(
        differences=rng.standard_normal((n, 3)).astype(np.float32),
        human=rng.integers(0, 2, n).astype(float),
        human_share=rng.random(n),
        judge=rng.integers(0, 2, n).astype(float),
        prompt=np.arange(n),
        tags=np.ones((n, 1), dtype=np.bool_),
        judge_probability=rng.random(n),
        weight=np.ones(n),
    )
    rows = np.concatenate([np.arange(n), np.arange(10)])
    twice = part.take(rows)
    heavy = Part(**{**vars(part), "weight": np.where(np.arange(n) < 10, 2.0, 1.0)})
    mixes = rng.random((5, n)) < 0.5
    a = train_heads(twice, mixes[:, rows], prior=10.0)
    b = train_heads(heavy, mixes, prior=10.0)
    # The fits end where a further step promises less than 1e-6 nats.
    np.testing.assert_allclose(a, b, atol=2e-3)
    np.testing.assert_allclose(performances(a, twice), performances(a, heavy), rtol=1e-6)

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma

from routing.core.acquisition import STRATEGIES, AcquisitionInputs, Selection, compose_batch
from routing.core.acquisition.bal_pm import PromptEntropy, calibrate_beta
from routing.core.acquisition.bald import mutual_information
from routing.core.acquisition.neighbours import build_prompt_graph
from routing.core.arrays import FloatArray, IntArray

BAL_PM = STRATEGIES["bal_pm-v1"]
LINE = np.array([[0.0], [1.0], [3.0], [7.0], [15.0]])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def hashes(n: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.arange(n, dtype=np.uint64)


def on_the_line(acquired: list[int]) -> AcquisitionInputs:
    open_ = np.flatnonzero(np.array(acquired) == 0)
    return AcquisitionInputs(
        len(open_),
        open_,
        prompt_embeddings=LINE,
        acquired_count=np.array(acquired),
        n_neighbours=1,
        beta=1.0,
        tie_hash=hashes(len(open_)),
    )


@pytest.mark.parametrize(
    ("acquired", "places", "terms"),
    [
        ([0, 0, 0, 0, 0], [15, 7, 3, 0, 1], [3.3498, 2.6567, 1.9635, 1.2704, 0.2704]),
        ([1, 0, 0, 0, 0], [15, 7, 3, 1], [3.3498, 2.6567, 1.9635, 0.2704]),
    ],
)
def test_prompts_on_a_line_are_picked_as_computed_by_hand(
    acquired: list[int], places: list[float], terms: list[float]
) -> None:
    inputs = on_the_line(acquired)
    chosen = BAL_PM.select(inputs, 5, rng())
    assert LINE[inputs.prompt[chosen.indices], 0].tolist() == places
    # The floor under the radius, a ten-thousandth of their median, shifts ln by 2e-4 at most.
    np.testing.assert_allclose(chosen.parts["prompt_entropy"], terms, atol=3e-4)


def literal(inputs: AcquisitionInputs, batch_size: int) -> list[int]:
    """Score everything again after every pick, as the definition says."""
    graph = build_prompt_graph(
        np.asarray(inputs.prompt_embeddings), n_neighbours=inputs.n_neighbours
    )
    members = [{p, *graph.ball.row(p).tolist()} for p in range(graph.n_prompts)]
    information = mutual_information(np.asarray(inputs.logits))
    floor = 1e-4 * (np.median(2 * graph.radii) or (2 * graph.radii).mean() or 1.0)
    acquired, in_batch = inputs.counts.copy(), np.zeros(graph.n_prompts, dtype=int)
    cap, tie = inputs.per_prompt_cap or 10**9, np.asarray(inputs.tie_hash)
    picks: list[int] = []
    while len(picks) < batch_size:
        n = np.array([sum(acquired[q] for q in ball) for ball in members])
        term = np.log(2 * graph.radii + floor) - digamma(n + 1.0) / inputs.count_dimension
        score = information + inputs.beta * term[inputs.prompt]
        free = [i for i in range(inputs.n_candidates) if i not in picks]
        allowed = [i for i in free if in_batch[inputs.prompt[i]] < cap]
        cap += not allowed
        best = sorted(allowed, key=lambda i: (-score[i], tie[i]))[:1]
        picks += best
        for i in best:
            acquired[inputs.prompt[i]] += 1
            in_batch[inputs.prompt[i]] += 1
    return picks


@st.composite
def pools(draw: st.DrawFn) -> AcquisitionInputs:
    """Small pools with several candidates per prompt, ties, and points at equal distances."""
    n_prompts = draw(st.integers(1, 9))
    prompt = draw(st.lists(st.integers(0, n_prompts - 1), min_size=1, max_size=20))
    n = len(prompt)
    place = st.lists(st.integers(-4, 4), min_size=2, max_size=2)
    # A coarse grid: information that differs by rounding alone would make ties undecidable.
    level = st.sampled_from([0.0, 1.0, 2.0, 3.0])
    spread = np.array(draw(st.lists(level, min_size=n, max_size=n)))
    return AcquisitionInputs(
        n_candidates=n,
        prompt=np.array(prompt, dtype=np.int64),
        logits=np.stack([spread, -spread]),
        prompt_embeddings=np.array(
            draw(st.lists(place, min_size=n_prompts, max_size=n_prompts)), dtype=float
        ),
        acquired_count=np.array(
            draw(st.lists(st.integers(0, 3), min_size=n_prompts, max_size=n_prompts))
        ),
        tie_hash=np.array(draw(st.permutations(range(n))), dtype=np.uint64),
        per_prompt_cap=draw(st.sampled_from([None, 1, 3])),
        n_neighbours=draw(st.integers(1, 10)),
        beta=draw(st.sampled_from([0.0, 0.01, 0.3, 2.0])),
        count_dimension=draw(st.sampled_from([0.5, 1.0, 4.0])),
    )


@settings(max_examples=150, deadline=None)
@given(pools(), st.integers(1, 25))
def test_the_lazy_heap_picks_what_a_full_rescan_picks(
    inputs: AcquisitionInputs, batch_size: int
) -> None:
    size = min(batch_size, inputs.n_candidates)
    assert BAL_PM.select(inputs, size, rng()).indices.tolist() == literal(inputs, size)


def spread_pool(seed: int = 0, n: int = 60, n_prompts: int = 20) -> AcquisitionInputs:
    r = rng(seed)
    return AcquisitionInputs(
        n,
        np.arange(n) % n_prompts,
        logits=r.standard_normal((4, n)),
        prompt_embeddings=r.standard_normal((n_prompts, 5)),
        tie_hash=hashes(n),
        n_neighbours=3,
    )


def test_without_the_prompt_term_it_is_bald() -> None:
    inputs = replace(spread_pool(), beta=0.0, per_prompt_cap=1)
    bald = STRATEGIES["bald-v1"].select(inputs, 15, rng()).indices
    np.testing.assert_array_equal(BAL_PM.select(inputs, 15, rng()).indices, bald)


def test_without_information_or_counts_prompts_come_by_radius() -> None:
    inputs = replace(spread_pool(), logits=None, count_dimension=1e12, per_prompt_cap=1)
    graph = build_prompt_graph(np.asarray(inputs.prompt_embeddings), n_neighbours=3)
    chosen = inputs.prompt[BAL_PM.select(inputs, 20, rng()).indices]
    np.testing.assert_array_equal(chosen, np.argsort(-graph.radii))


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_scaling_turning_and_moving_embeddings_changes_no_pick(scale: float) -> None:
    inputs = replace(spread_pool(), beta=0.3)
    turn, _ = np.linalg.qr(rng(5).standard_normal((5, 5)))
    moved = replace(inputs, prompt_embeddings=scale * (inputs.prompt_embeddings @ turn) + 1)
    np.testing.assert_array_equal(
        BAL_PM.select(moved, 25, rng()).indices, BAL_PM.select(inputs, 25, rng()).indices
    )


def test_the_order_of_rows_does_not_matter() -> None:
    inputs = replace(spread_pool(), beta=0.3, per_prompt_cap=1)
    shuffle = rng(3).permutation(60)
    there = BAL_PM.select(inputs.take(shuffle), 25, rng()).indices
    np.testing.assert_array_equal(shuffle[there], BAL_PM.select(inputs, 25, rng()).indices)


def copies(beta: float, cap: int | None = None) -> AcquisitionInputs:
    """Six far pairs of prompts; the prompt of largest information has 50 candidates."""
    prompt: IntArray = np.concatenate([np.zeros(50, np.int64), np.arange(1, 12)])
    level = np.where(prompt == 0, 2.0, 1.5)
    places = np.column_stack([100.0 * (np.arange(12) // 2), np.arange(12) % 2])
    return AcquisitionInputs(
        61,
        prompt,
        logits=np.stack([level, -level]),
        prompt_embeddings=places,
        beta=beta,
        n_neighbours=1,
        tie_hash=hashes(61),
        per_prompt_cap=cap,
    )


@pytest.mark.parametrize(
    ("beta", "cap", "from_the_copies"), [(1.0, None, 1), (0.0, None, 6), (0.0, 1, 1)]
)
def test_copies_of_one_prompt_do_not_fill_the_batch(
    beta: float, cap: int | None, from_the_copies: int
) -> None:
    inputs = copies(beta, cap)
    chosen = inputs.prompt[BAL_PM.select(inputs, 6, rng()).indices]
    assert (chosen == 0).sum() == from_the_copies


def test_a_labelled_neighbour_costs_exactly_beta_at_first() -> None:
    inputs = replace(spread_pool(), beta=0.25)
    graph = build_prompt_graph(np.asarray(inputs.prompt_embeddings), n_neighbours=3)
    term = PromptEntropy.of(graph, 3, 1.0)
    steps = [term(4, n) - term(4, n + 1) for n in range(3)]
    np.testing.assert_allclose(steps, [1.0, 1 / 2, 1 / 3])


def test_labelling_anything_raises_no_other_score() -> None:
    inputs = replace(spread_pool(), beta=1.0)
    before = scores(inputs)
    labelled = replace(inputs, acquired_count=np.eye(20, dtype=np.int64)[7])
    assert (scores(labelled) <= before + 1e-12).all()


def scores(inputs: AcquisitionInputs) -> FloatArray:
    """Return the utility each candidate would be picked at if it came first."""
    return np.array(
        [BAL_PM.select(inputs.take(np.array([i])), 1, rng()).utilities[0] for i in range(60)]
    )


def huge_cluster(beta: float) -> tuple[AcquisitionInputs, Selection]:
    """Plant 400 near-identical prompts the model is unsure of among 100 spread ones."""
    r = rng(1)
    cluster = np.full(16, 5.0) + 0.01 * r.standard_normal((400, 16))
    embeddings = np.vstack([cluster, r.standard_normal((100, 16))])
    level = np.concatenate([np.full(400, 1.2), r.uniform(0.8, 1.1, 100)])
    inputs = AcquisitionInputs(
        500,
        np.arange(500),
        logits=np.stack([level, -level]),
        prompt_embeddings=embeddings,
        beta=beta,
        tie_hash=hashes(500),
        per_prompt_cap=1,
    )
    return inputs, BAL_PM.select(inputs, 50, rng())


def test_a_planted_huge_cluster_takes_the_batch_of_bald_and_few_places_of_bal_pm() -> None:
    _, bald = huge_cluster(0.0)
    _, balanced = huge_cluster(0.2)
    assert (bald.indices < 400).all()
    assert (balanced.indices < 400).sum() <= 5


def test_the_item_graph_avoids_prompts_with_many_comparisons() -> None:
    prompt = np.concatenate([np.zeros(20, np.int64), np.arange(1, 30)])
    inputs = AcquisitionInputs(
        49, prompt, prompt_embeddings=rng().standard_normal((30, 3)), beta=1.0, n_neighbours=5
    )
    published = STRATEGIES["bal_pm_item-v1"].select(inputs, 29, rng()).indices
    assert not (prompt[published] == 0).any()
    assert (prompt[BAL_PM.select(inputs, 29, rng()).indices] == 0).any()


def test_outliers_wait_until_nothing_else_is_left() -> None:
    embeddings = np.vstack([rng().standard_normal((19, 3)), np.full((1, 3), 50.0)])
    inputs = AcquisitionInputs(20, np.arange(20), prompt_embeddings=embeddings, beta=1.0)
    trimmed = replace(inputs, outlier_share=0.05)
    assert BAL_PM.select(inputs, 1, rng()).indices.tolist() == [19]
    order = BAL_PM.select(trimmed, 20, rng())
    assert order.indices[-1] == 19
    assert order.parts["relaxed"].tolist() == [0] * 19 + [1]


def test_a_calibrated_beta_makes_the_first_step_worth_a_quarter_of_a_deviation() -> None:
    logits = rng().standard_normal((5, 300))
    inputs = AcquisitionInputs(logits.shape[1], np.arange(logits.shape[1]), logits=logits)
    deviation = mutual_information(logits).std()
    assert calibrate_beta(inputs) == pytest.approx(deviation / 4)
    assert calibrate_beta(inputs, c=2.0) == pytest.approx(2 * deviation)


def test_a_stored_graph_gives_the_same_picks_as_embeddings() -> None:
    inputs = spread_pool()
    graph = build_prompt_graph(np.asarray(inputs.prompt_embeddings), n_neighbours=3)
    stored = replace(inputs, prompt_embeddings=None, prompt_graph=graph)
    np.testing.assert_array_equal(
        BAL_PM.select(stored, 20, rng()).indices, BAL_PM.select(inputs, 20, rng()).indices
    )


def test_the_next_batch_prices_what_this_one_took() -> None:
    inputs = replace(spread_pool(), beta=0.5)
    first = compose_batch(BAL_PM, inputs, 10, rng(), random_share=0.0)
    assert first.parts["count"].dtype == np.int64
    taken = np.bincount(inputs.prompt[first.indices], minlength=20)
    rest = np.setdiff1d(np.arange(60), first.indices)
    second = compose_batch(
        BAL_PM, replace(inputs.take(rest), acquired_count=taken), 10, rng(), random_share=0.0
    )
    assert not set(inputs.prompt[rest][second.indices]) & set(inputs.prompt[first.indices])

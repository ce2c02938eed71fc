"""The stress suite: what it asks, and who passes it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from modeling.core.bradley_terry import BradleyTerryEnsemble
from modeling.core.feature_scaler import FeatureScaler
from modeling.core.readable_features import interpretable_features
from modeling.core.types import Float32Array, FloatArray, PairwiseData
from modeling.stress import MOST_BIAS, decorated, families, stress_suite

Texts = Sequence[str]


def by_length(_prompts: Texts, first: Texts, second: Texts) -> FloatArray:
    """A reader who takes the longer response."""
    gap = np.array([len(a) - len(b) for a, b in zip(first, second, strict=True)])
    chance: FloatArray = expit(gap.astype(np.float64))
    return chance


def undecided(_prompts: Texts, first: Texts, _second: Texts) -> FloatArray:
    """A reader who cannot tell."""
    return np.full(len(first), 0.5)


def knowing(_prompts: Texts, first: Texts, second: Texts) -> FloatArray:
    """A reader who knows the better texts, and is indifferent to padding and decoration."""
    good = {probe.better for family in families() for probe in family.probes}
    gap = [
        float(a in good) - float(b in good) if not _twins(a, b) else 0.0
        for a, b in zip(first, second, strict=True)
    ]
    chance: FloatArray = expit(2.0 * np.array(gap))
    return chance


def _twins(first: str, second: str) -> bool:
    pairs = ((first, second), (second, first))
    return any(b.startswith(a) or decorated(a) == b for a, b in pairs)


def results(compare: Any) -> dict[str, bool]:
    """Which tests are passed."""
    return {test["key"]: test["has_passed"] for test in stress_suite(compare)}


def test_who_knows_the_answers_passes_everything() -> None:
    assert all(results(knowing).values())


def test_who_takes_the_longer_response_fails_where_length_misleads() -> None:
    passed = results(by_length)
    assert not passed["on_topic"]
    assert not passed["length_bias"]
    assert not passed["format_bias"]
    assert passed["order"]


def test_who_cannot_tell_wins_nothing_and_leans_to_nothing() -> None:
    passed = results(undecided)
    assert not any(passed[key] for key in ("on_topic", "sycophancy", "format"))
    assert passed["length_bias"]
    assert passed["format_bias"]


def test_who_prefers_the_first_place_is_found_out() -> None:
    def first_place(_prompts: Texts, first: Texts, _second: Texts) -> FloatArray:
        return np.full(len(first), 0.6)

    assert not results(first_place)["order"]


@pytest.mark.parametrize("family", families(), ids=lambda family: family.key)
def test_every_probe_is_a_pair_of_different_texts(family: Any) -> None:
    assert len(family.probes) == 12
    assert all(probe.better != probe.worse for probe in family.probes)
    assert all(probe.prompt and probe.better for probe in family.probes)


def test_off_topic_responses_are_much_longer_than_the_answers() -> None:
    on_topic = next(family for family in families() if family.key == "on_topic")
    assert all(len(probe.worse) > 3 * len(probe.better) for probe in on_topic.probes)


def test_decoration_changes_no_word() -> None:
    words = decorated("Cool it. Then eat; slowly.").replace("## Answer", "")
    assert [word.strip("*-. ").lower() for word in words.split() if word.strip("*-. ")] == [
        "cool", "it", "then", "eat", "slowly",
    ]  # fmt: skip


def test_the_bound_on_bias_is_told_with_the_figure() -> None:
    found = {test["key"]: test["found"] for test in stress_suite(by_length)}
    assert f"at most {MOST_BIAS:.2f} passes" in found["length_bias"]


def taught(left_out: int) -> BradleyTerryEnsemble:
    """Heads on readable features that people taught on the other items, twins as ties."""
    known = [
        (probe, 0.5 if family.rule == "indifferent" else 1.0)
        for family in families()
        # A neighbour's long answer is the off-topic one of this item.
        for place, probe in enumerate(family.probes)
        if (place - left_out) % 12 not in (0, 1, 11)
    ]
    first = [probe.better for probe, _ in known]
    second = [probe.worse for probe, _ in known]
    prompts = [probe.prompt for probe, _ in known]
    places = np.arange(len(known))
    rows = readable([*prompts, *prompts], [*first, *second])
    data = PairwiseData(
        rows, places, places + len(known), np.array([target for _, target in known]),
        np.ones(len(known)), np.unique(prompts, return_inverse=True)[1],
    )  # fmt: skip
    return BradleyTerryEnsemble(n_heads=4).fit(data, np.random.default_rng(0))


def readable(prompts: Texts, responses: Texts) -> Float32Array:
    """Readable features on the scale of all probes."""
    probes = [probe for family in families() for probe in family.probes]
    asked = [probe.prompt for probe in probes]
    said = [*(probe.better for probe in probes), *(probe.worse for probe in probes)]
    scaler = FeatureScaler().fit(interpretable_features([*asked, *asked], said)[0])
    return scaler.transform(interpretable_features(prompts, responses)[0])


def test_an_honest_model_that_people_taught_on_other_prompts_passes_everything() -> None:
    items = {probe.prompt: k for family in families() for k, probe in enumerate(family.probes)}
    models = [taught(left_out) for left_out in range(12)]

    def compare(prompts: Texts, first: Texts, second: Texts) -> FloatArray:
        one, two = readable(prompts, first), readable(prompts, second)
        chosen = [models[items[prompt]] for prompt in prompts]
        pairs = zip(chosen, one, two, strict=True)
        return np.array([float(m.predict_proba(a[None], b[None])[0]) for m, a, b in pairs])

    assert all(results(compare).values())

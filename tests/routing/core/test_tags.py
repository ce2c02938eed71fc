import numpy as np
import pytest

from routing.core.arrays import RoutingInputError
from routing.core.features import FrozenBins
from routing.core.tags import build_tags, default_min_support

VALUES = np.arange(9.0)[:, None]
SUBJECTS = ["physics", "physics", None, "law", "law", "law", "odd", None, "physics"]


@pytest.fixture
def bins() -> FrozenBins:
    return FrozenBins().fit(VALUES, ["length"])


def test_missing_descriptions_become_an_explicit_unknown(bins: FrozenBins) -> None:
    tags = build_tags(bins, VALUES, {"subject": SUBJECTS}, min_support=1)
    unknown = tags.matrix[:, tags.names.index("subject=unknown")]
    assert np.flatnonzero(unknown).tolist() == [2, 7]


def test_values_outside_the_vocabulary_become_unknown(bins: FrozenBins) -> None:
    tags = build_tags(
        bins,
        VALUES,
        {"subject": SUBJECTS},
        vocabulary={"subject": ["physics", "law"]},
        min_support=1,
    )
    assert "subject=odd" not in tags.names
    assert tags.matrix[6, tags.names.index("subject=unknown")]


def test_several_values_set_several_tags_and_an_unlisted_one_adds_unknown(
    bins: FrozenBins,
) -> None:
    entries = [["law", "physics"], ["law", "odd"], *([None] * 7)]
    tags = build_tags(
        bins,
        VALUES,
        {"subject": entries},
        vocabulary={"subject": ["physics", "law"]},
        min_support=0,
    )
    rows = {name: tags.matrix[:2, k].tolist() for k, name in enumerate(tags.names)}
    assert rows["subject=law"] == [True, True]
    assert rows["subject=physics"] == [True, False]
    assert rows["subject=unknown"] == [False, True]


def test_rare_tags_are_dropped(bins: FrozenBins) -> None:
    tags = build_tags(bins, VALUES, {"subject": SUBJECTS}, min_support=3)
    assert tags.names == (
        "length=low",
        "length=middle",
        "length=high",
        "subject=law",
        "subject=physics",
    )
    assert tags.groups == ("length", "length", "length", "subject", "subject")


def test_serving_gives_the_columns_of_the_fit_in_their_order(bins: FrozenBins) -> None:
    names = ("subject=law", "length=high", "subject=unknown", "subject=physics")
    tags = build_tags(bins, [[8.0], [0.0]], {"subject": ["law", "botany"]}, names=names)
    assert tags.names == names
    assert tags.matrix.tolist() == [[True, True, False, False], [False, False, True, False]]


def test_an_exclusive_group_counts_every_comparison_once(bins: FrozenBins) -> None:
    tags = build_tags(bins, VALUES, {"subject": SUBJECTS}, min_support=0)
    subset = np.array([1, 3, 6, 7])
    per_group = {
        group: int(tags.matrix[subset][:, [g == group for g in tags.groups]].sum())
        for group in set(tags.groups)
    }
    assert per_group == {"length": 4, "subject": 4}


def test_without_categories_only_statistics_remain(bins: FrozenBins) -> None:
    assert build_tags(bins, VALUES, min_support=0).groups == ("length",) * 3


def test_no_tag_left_gives_an_empty_matrix(bins: FrozenBins) -> None:
    assert build_tags(bins, VALUES, min_support=99).matrix.shape == (9, 0)


@pytest.mark.parametrize(("n", "floor"), [(10, 2), (200, 4), (1000, 20), (100_000, 20)])
def test_the_floor_grows_with_the_seed_set_up_to_twenty(n: int, floor: int) -> None:
    assert default_min_support(n) == floor


def test_a_group_of_another_length_is_named(bins: FrozenBins) -> None:
    with pytest.raises(RoutingInputError, match=r"'subject'.* has 2 entries"):
        build_tags(bins, VALUES, {"subject": ["law", "law"]})

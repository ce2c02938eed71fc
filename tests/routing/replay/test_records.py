"""Reading recorded labels, and what a bought label is measured against."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotate.errors import ApplicationError
from routing.replay.pages import report_rows
from routing.replay.pool import label_on_sale, side_class, strict_majority
from routing.replay.records import PANEL, read_recorded, require_judges
from routing.replay.side_labels import with_side_labels


def row(name: str, human: list[Any], llm: list[Any], n: int = 2) -> dict[str, Any]:
    return {
        "id": name,
        "prompt": f"prompt {name[0]}",
        "responses": [{"text": f"text {k}"} for k in range(n)],
        "human": [{"annotator": f"h{k}", "preference": p} for k, p in enumerate(human)],
        "llm": llm,
    }


def written(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_votes_are_sides_and_the_panel_is_the_mean_of_the_judges(tmp_path: Path) -> None:
    llm = [{"judge": "x", "preference": 0}, {"judge": "y", "preference": "tie"}]
    recorded = read_recorded(written(tmp_path, row("a1", [0, 1, "tie"], llm)))
    assert recorded.votes[0].tolist() == [1.0, 0.0, 0.5]
    assert recorded.judge_side("x").tolist() == [1.0]
    assert recorded.judge_side(PANEL).tolist() == [0.75]


def test_a_judge_that_contradicts_itself_is_undecided(tmp_path: Path) -> None:
    llm = [{"judge": "x", "preference": 0, "order_inconsistent": True}]
    recorded = read_recorded(written(tmp_path, row("a1", [0], llm)))
    assert recorded.judge_votes[0].probability() == 0.5


def test_rankings_of_more_than_two_and_unlabelled_rows_are_left_out_and_counted(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, row("a1", [0], []), row("b1", [], []), row("c1", [[2, 0, 1]], [], n=3))
    recorded = read_recorded(path)
    assert (recorded.ids, recorded.n_left_out) == (["a1"], 2)


def test_a_file_without_judges_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    recorded = read_recorded(written(tmp_path, row("a1", [0], [])))
    with pytest.raises(ApplicationError, match="has no judge labels"):
        require_judges(recorded)


def test_a_small_file_is_refused(tmp_path: Path) -> None:
    recorded = read_recorded(written(tmp_path, row("a1", [0], [{"judge": "x", "preference": 0}])))
    with pytest.raises(ApplicationError, match="needs 60 on 20"):
        require_judges(recorded)


def test_a_bad_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"id": 1}\n')
    with pytest.raises(ApplicationError, match=r"bad\.jsonl: row 1"):
        read_recorded(path)


def test_truth_is_where_the_others_agree() -> None:
    rng = np.random.default_rng(0)
    votes = [np.array([1.0, 1.0, 1.0]), np.array([0.0]), np.array([1.0, 0.0])]
    bought, truth = label_on_sale(votes, rng)
    assert (bought[0], truth[0]) == (1.0, 1.0)
    assert (bought[1], truth[1]) == (0.0, 0.0)
    assert bought[2] + truth[2] == 1.0


def test_others_that_disagree_give_no_truth() -> None:
    drawn = [
        label_on_sale([np.array([1.0, 0.0, 0.5])], np.random.default_rng(s))[1][0] for s in range(9)
    ]
    assert np.isnan(drawn).all()


@pytest.mark.parametrize(
    ("votes", "expected"),
    [([1, 1, 0], 1.0), ([0.5, 0.5, 1], 0.5), ([1, 0], np.nan), ([0], 0.0)],
)
def test_strict_majority(votes: list[float], expected: float) -> None:
    np.testing.assert_equal(strict_majority(np.array(votes, dtype=float)), expected)


def test_three_verdicts_are_told_apart() -> None:
    sides = np.array([0.0, 0.2, 0.5, 0.75, 1.0, np.nan])
    np.testing.assert_equal(side_class(sides), [0.0, 0.0, 0.5, 1.0, 1.0, np.nan])


# Rows as in MultiPref's own features file: one line per comparison, one label per source.
SIDE = [
    {"id": "a1", "text": "p", "pref_human": "A", "pref_gpt4": "B-is-slightly-better",
     "safety_concern": "moderate", "subject_of_expertise": ["Law"], "rouge": 0.31},
    {"comparison_id": "b1", "pref_gpt4": "Tie", "safety_concern": "safe"},
    {"id": "elsewhere", "pref_gpt4": "A"},
]  # fmt: skip


def side_file(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "side.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_judge_labels_of_a_second_file_are_joined_by_id(tmp_path: Path) -> None:
    recorded = read_recorded(written(tmp_path, row("a1", [0], []), row("b1", [1], [])))
    joined = with_side_labels(recorded, side_file(tmp_path, *SIDE))
    assert joined.judges == ("gpt4",)
    assert joined.judge_side("gpt4").tolist() == [0.0, 0.5]
    assert joined.metadata[0]["safety_concern"] == "moderate"
    assert joined.metadata[0]["subject_of_expertise"] == ["Law"]
    assert "rouge" not in joined.metadata[0]
    assert "pref_human" not in joined.metadata[0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "z", "pref_x": "A"}], "labels none of the 1 comparisons"),
        ([{"id": "a1", "pref_x": "maybe"}], "line 1 has the label 'maybe'; write A, B or Tie"),
        ([[1]], "line 1 is not a JSON object"),
    ],
)
def test_bad_side_files_say_where(tmp_path: Path, rows: list[Any], message: str) -> None:
    recorded = read_recorded(written(tmp_path, row("a1", [0], [])))
    with pytest.raises(ApplicationError, match=message):
        with_side_labels(recorded, side_file(tmp_path, *rows))


def test_rows_say_where_a_policy_would_stop_by_itself() -> None:
    entry = {"human_share": 0.75, "wanted_share": 0.42}
    spent = {"human_share": 0.2, "wanted_share": 0.2}
    rows = report_rows({"policies": {"conformal": {"0.75": entry, "0.2": spent}}})
    assert [(row["budget"], row["stops_at"]) for row in rows] == [("0.2", None), ("0.75", 0.42)]

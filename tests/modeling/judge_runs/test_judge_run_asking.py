"""From the question to the stored verdict, against an endpoint that misbehaves."""

import json
from pathlib import Path

import pytest
from django.db import DatabaseError, transaction

from annotate.models import Comparison, JobState, Preference, Project
from annotate.services.imports import comparisons_import
from modeling.models import Judge, JudgeReply
from modeling.services.judges import judge_create
from tests.factories import make_project
from tests.fake_endpoint import FakeEndpoint, Misbehaviour, completion
from tests.modeling.judge_runs.books import executed

# The runner's threads ask over HTTP only; rows are written by the test's own thread.
pytestmark = pytest.mark.django_db


def test_every_comparison_is_asked_in_both_orders_and_both_replies_are_kept(
    judge: Judge, endpoint: FakeEndpoint
) -> None:
    run = executed(judge)
    assert (run.state, run.n_done, run.n_conflicts) == (JobState.DONE, 4, 0)
    assert len(endpoint.requests) == 8
    replies = JudgeReply.objects.filter(judge=judge)
    assert replies.filter(order_swapped=False).count() == 4
    assert replies.filter(order_swapped=True).count() == 4


def test_verdicts_are_stored_in_canonical_order_with_their_probability(
    judge: Judge, project: Project
) -> None:
    executed(judge)
    rows = Preference.objects.filter(annotator=judge.annotator).order_by("comparison_id")
    assert [row.ranking for row in rows] == [[0, 1], [1, 0], [0, 1], [1, 0]]
    # Strength 2 of 3 is 2 of 2 on the five-point scale, and 0.8 before calibration.
    assert [row.strength for row in rows] == [-2.0, 2.0, -2.0, 2.0]
    assert [row.probability for row in rows] == pytest.approx([0.8, 0.2, 0.8, 0.2])
    assert {row.source for row in rows} == {"judge"}
    assert rows[0].extra["orders"] == [
        {"swapped": False, "verdict": "first", "strength": 2},
        {"swapped": True, "verdict": "first", "strength": 2},
    ]


@pytest.mark.parametrize(
    ("policy", "n_labels"), [(Judge.ConflictPolicy.TIE, 4), (Judge.ConflictPolicy.NEEDS_HUMAN, 0)]
)
def test_orders_that_disagree_become_what_the_owner_chose(
    judge: Judge, endpoint: FakeEndpoint, policy: str, n_labels: int
) -> None:
    endpoint.prefer = lambda _first, _second: "A"
    Judge.objects.filter(pk=judge.pk).update(conflict_policy=policy)
    run = executed(Judge.objects.get(pk=judge.pk))
    rows = Preference.objects.filter(annotator=judge.annotator)
    assert (run.n_conflicts, rows.count()) == (4, n_labels)
    assert {(row.verdict, row.probability) for row in rows} <= {("tie", 0.5)}


def test_a_conflict_is_no_tie_where_the_protocol_has_none(
    judge: Judge, endpoint: FakeEndpoint, project: Project
) -> None:
    project.protocols.create(version=2, allow_tie=False, scale_points=4)
    endpoint.prefer = lambda _first, _second: "A"
    assert executed(judge).n_conflicts == 4
    assert not Preference.objects.filter(annotator=judge.annotator).exists()


def test_an_unparsable_reply_is_asked_once_more(judge: Judge, endpoint: FakeEndpoint) -> None:
    endpoint.script.append(Misbehaviour(body=completion("I like both.")))
    run = executed(judge, n_comparisons=1)
    assert (run.n_unparsed, len(endpoint.requests)) == (0, 3)
    assert Preference.objects.filter(annotator=judge.annotator).count() == 1


def test_two_unparsable_replies_are_recorded_as_such_and_never_as_a_tie(
    judge: Judge, endpoint: FakeEndpoint
) -> None:
    endpoint.script.extend([Misbehaviour(body=completion("\x00 both."))] * 2)
    run = executed(judge, n_comparisons=1)
    assert (run.n_unparsed, run.n_conflicts) == (1, 0)
    assert not Preference.objects.filter(annotator=judge.annotator).exists()
    assert JudgeReply.objects.filter(verdict="", text="\ufffd both.").count() == 2


def test_replies_cannot_be_changed(judge: Judge) -> None:
    executed(judge, n_comparisons=1)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        JudgeReply.objects.update(text="forged")


def recorded_verdicts(path: Path, judge_name: str) -> dict[frozenset[str], str]:
    """Which of two texts a recorded judge preferred, or "tie"."""
    found = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        texts = [response["text"] for response in row["responses"]]
        for label in row["llm"]:
            if label["judge"] == judge_name:
                choice = label["preference"]
                found[frozenset(texts)] = "tie" if choice == "tie" else texts[choice]
    return found


@pytest.mark.slow
def test_recorded_verdicts_come_back_through_the_endpoint(
    real_data: Path, endpoint: FakeEndpoint
) -> None:
    path = real_data / "pandalm.jsonl"
    project = make_project()
    comparisons_import(project=project, path=path)
    recorded = recorded_verdicts(path, "pandalm-7b")

    def replay(first: str, second: str) -> str:
        preferred = recorded[frozenset([first, second])]
        return "tie" if preferred == "tie" else "A" if preferred == first else "B"

    endpoint.prefer = replay
    live = judge_create(
        project=project, user=None, name="live", base_url=endpoint.base_url, model_name="m"
    )
    run = executed(live, n_comparisons=60)
    assert (run.n_done, run.n_unparsed, run.n_failed) == (60, 0, 0)
    expected = {
        comparison.pk: expected_ranking(comparison, recorded)
        for comparison in Comparison.objects.filter(pk__in=run.comparison_ids)
    }
    stored = Preference.objects.filter(annotator=live.annotator)
    assert dict(stored.values_list("comparison_id", "ranking")) == expected


def expected_ranking(comparison: Comparison, recorded: dict[frozenset[str], str]) -> list[int]:
    """Ranks by the recorded verdict."""
    texts = [slot.response.text for slot in comparison.slots.order_by("position")]
    preferred = recorded[frozenset(texts)]
    return [int(preferred not in ("tie", text)) for text in texts]

"""What a later round does not compute again, and what judges' labels do to the posterior."""

from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User

from annotate.models import JobState, Project
from modeling.core.bradley_terry import BradleyTerryEnsemble
from modeling.judge_soft_labels import soft_labels
from modeling.services.judges import judges_measure
from modeling.services.training import training_run_start
from modeling.services.training_work import training_run_execute
from modeling.text_encoders import TfidfTextEncoder
from routing.acquisition import graph_cache
from routing.acquisition.posteriors import belief_of
from routing.acquisition.project_labels import ProjectLabels, project_labels
from routing.models import AcquisitionRound
from routing.services.rounds import acquisition_round_start
from routing.tasks import acquisition_round_execute
from tests.factories import make_annotator, make_preference


class Counted:
    """Counts the calls of a function and lets them through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.n, self.original = 0, getattr(owner, name)
        monkeypatch.setattr(owner, name, self._called)

    def _called(self, *args: Any, **values: Any) -> Any:
        self.n += 1
        return self.original(*args, **values)


def run_round(project: Project, **values: Any) -> AcquisitionRound:
    row = acquisition_round_start(project=project, user=None, **{"batch_size": 6, **values})
    acquisition_round_execute(row.pk)
    row.refresh_from_db()
    assert row.state == JobState.DONE, row.message
    return row


@pytest.mark.slow
def test_a_later_round_encodes_searches_and_trains_nothing_again(
    load: Any, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = load(60, 3, 20)
    training_run_execute(run_id=training_run_start(project=project, user=ada).pk)
    searched = Counted(monkeypatch, graph_cache, "neighbours_of")
    added = Counted(monkeypatch, graph_cache, "extended_neighbours")
    first = run_round(project, posterior="members", strategy="bal_pm-v1")
    assert (searched.n, added.n) == (1, 0)
    encoded: list[int] = []
    monkeypatch.setattr(TfidfTextEncoder, "encode", lambda self, texts: encoded.append(len(texts)))
    trained = Counted(monkeypatch, BradleyTerryEnsemble, "fit")
    annotator = make_annotator(project)
    for pick in first.picks.select_related("comparison"):
        make_preference(pick.comparison, annotator)
    second = run_round(project, posterior="members", strategy="bal_pm-v1")
    assert second.report["strategy"] == "bal_pm-v1"
    assert (encoded, searched.n, added.n, trained.n) == ([], 1, 0, 0)


# --- Judges' labels --------------------------------------------------------------------------


@pytest.fixture
def calibrated(load: Any) -> Project:
    """A judge whose map people's labels have taught; 40 comparisons have its label only."""
    project: Project = load(60, 4, 10)
    judges_measure(project=project)
    return project


def spread(labels: ProjectLabels, rows: Any) -> float:
    """Mean variance of the logits of all pairs when only some labels are known."""
    belief = belief_of(
        labels.labelled(rows),
        typical_square=labels.typical_square,
        rng=np.random.default_rng(0),
    )
    assert belief.gaussian is not None
    # Under one prior, so that only the labels differ.
    posterior = belief.gaussian.before_labels()
    weighted = labels.sides.take(rows).differences
    narrowed = posterior.with_information(weighted, 0.25 * labels.weight[rows])
    return float((narrowed.moments(labels.sides.differences)[1] ** 2).mean())


def test_a_calibrated_judges_label_is_its_probability_and_weighs_by_it(
    calibrated: Project,
) -> None:
    soft = soft_labels(calibrated)
    labels = project_labels(project=calibrated, encoder="tfidf")
    judged = np.flatnonzero(~labels.has_human)
    ids = labels.table.comparison_ids[judged].tolist()
    expected = [p for pk in ids for (comparison, _), p in soft.items() if comparison == pk]
    assert len(expected) == len(judged) == 40
    # However sure the map is, no judge is taken for infallible.
    sure = np.clip(expected, 0.02, 0.98)
    np.testing.assert_allclose(labels.target[judged], sure)
    np.testing.assert_allclose(labels.weight[judged], (2 * sure - 1) ** 2)
    assert len(set(np.round(labels.weight[judged], 6).tolist())) > 1


@pytest.mark.slow
def test_judges_labels_narrow_what_a_round_takes_for_unknown(calibrated: Project) -> None:
    ada = calibrated.memberships.get().user
    training_run_execute(run_id=training_run_start(project=calibrated, user=ada).pk)
    labels = project_labels(project=calibrated, encoder="tfidf")
    people, every = np.flatnonzero(labels.has_human), np.flatnonzero(labels.weight > 0)
    assert len(every) > len(people)
    assert spread(labels, every) < spread(labels, people)
    row = run_round(calibrated, strategy="bald-v1", random_share=0.0)
    assert row.picks.filter(uncertainty__gt=0).count() == row.picks.count()

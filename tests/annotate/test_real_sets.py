"""The real sets come in as they are, and leave without loss."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import cohen_kappa_score

from annotate.formats.registry import read_comparisons
from annotate.models import Preference, Project
from annotate.services.exports import export_stream
from annotate.services.imports import comparisons_import
from annotate.services.versions import dataset_version_create
from tests.factories import make_project

pytestmark = pytest.mark.django_db

# Comparisons, human verdicts and judges' verdicts of each file.
SIZES = [
    ("pandalm", 999, 2997, 1973),
    ("mt_bench_dev", 888, 1682, 888),
    ("wmt23_ende_pairs", 520, 1560, 0),
    ("wmt23_ende_rankings", 104, 312, 0),
    ("squality_rankings", 100, 300, 0),
    ("hhh_alignment", 163, 163, 0),
    ("restricted/hh_harmless", 2312, 2312, 0),
]


def imported(path: Path) -> Project:
    """A project that holds a file."""
    project = make_project()
    report = comparisons_import(project=project, path=path)
    assert report.errors == []
    return project


def native(project: Project) -> bytes:
    """The project's native export."""
    return b"".join(export_stream(project=project, format="native"))


@pytest.mark.parametrize(("name", "n_comparisons", "n_human", "n_judge"), SIZES)
def test_every_row_and_verdict_survives_the_round_trip(
    real_data: Path, tmp_path: Path, name: str, n_comparisons: int, n_human: int, n_judge: int
) -> None:
    source = real_data / f"{name}.jsonl"
    project = imported(source)
    kinds = Counter(Preference.objects.values_list("annotator__kind", flat=True))
    assert project.comparisons.count() == n_comparisons
    assert (kinds["human"], kinds["judge"]) == (n_human, n_judge)
    first = native(project)
    again = tmp_path / "native.jsonl"
    again.write_bytes(first)
    assert native(imported(again)) == first
    assert comparisons_import(project=project, path=source).n_unchanged == n_comparisons


@pytest.fixture
def pandalm(real_data: Path) -> Project:
    """The three-human set."""
    return imported(real_data / "pandalm.jsonl")


@pytest.mark.parametrize(
    ("one", "other", "kappa"),
    [
        ("annotator1", "annotator2", 0.852),
        ("annotator1", "annotator3", 0.879),
        ("annotator2", "annotator3", 0.862),
    ],
)
def test_the_known_kappas_of_the_three_humans_come_out(
    pandalm: Project, one: str, other: str, kappa: float
) -> None:
    votes: dict[str, list[str]] = {one: [], other: []}
    rows = Preference.objects.human().filter(annotator__name__in=votes)
    for name, ranking in rows.order_by("comparison").values_list("annotator__name", "ranking"):
        votes[name].append(str(ranking))
    assert cohen_kappa_score(votes[one], votes[other]) == pytest.approx(kappa, abs=5e-4)


def test_a_version_of_the_three_human_set_leaves_out_ties_and_splits_and_says_so(
    pandalm: Project, real_data: Path
) -> None:
    version = dataset_version_create(project=pandalm, label_rule="human_majority-v1", user=None)
    lines = (real_data / "pandalm.jsonl").read_text(encoding="utf-8").splitlines()
    modes = Counter(_mode(json.loads(line)["human"]) for line in lines)
    left_out = modes["tie"] + modes["split"]
    assert version.manifest["n_ties"] == modes["tie"]
    assert version.manifest["n_no_consensus"] == modes["split"]
    assert version.n_rows == 999 - left_out
    assert version.manifest["licences"] == {"Apache-2.0": 999}


def _mode(human: list[dict[str, Any]]) -> str:
    votes = [str(entry["preference"]) for entry in human]
    top = max(votes, key=votes.count)
    return top if votes.count(top) > 1 else "split"


def test_second_turn_comparisons_share_their_prompt_with_first_turn_ones(real_data: Path) -> None:
    turns: dict[str, set[int]] = {}
    for record in read_comparisons(real_data / "mt_bench_dev.jsonl"):
        turns.setdefault(record.prompt_text, set()).add(record.metadata["turn"])
    assert set(map(frozenset, turns.values())) == {frozenset({1, 2})}

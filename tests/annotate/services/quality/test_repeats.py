import pytest

from annotate.labels import HUMAN_MAJORITY
from annotate.models import Annotator, Comparison, Project
from annotate.selectors.quality import repeat_agreements
from annotate.selectors.records import dataset_cut, records_stream
from annotate.services.gold import gold_create
from annotate.services.quality_hooks import special_lease
from annotate.services.versions import dataset_version_create
from tests.factories import make_comparison, make_preference
from tests.quality_steps import labelled, leased, make_gold, make_policy, say

pytestmark = pytest.mark.django_db


def test_a_repeat_is_an_earlier_comparison_and_measures_self_consistency(
    project: Project, ben: Annotator
) -> None:
    labelled(project, ben, 11)
    make_policy(project, repeat_share=1.0)
    repeat = leased(ben)
    assert (repeat.kind, repeat.replicate) == ("repeat", 1)
    assert repeat.comparison_id == Comparison.objects.order_by("pk")[0].pk
    say(repeat, "B")
    assert repeat_agreements(project=project) == {ben.pk: [0.0]}


def test_nothing_is_repeated_too_soon(project: Project, ben: Annotator) -> None:
    labelled(project, ben, 10)
    make_policy(project, repeat_share=1.0)
    assert special_lease(annotator=ben) is None


def exported(project: Project) -> dict[str, int]:
    records = records_stream(project=project, cut=dataset_cut(project=project))
    return {record.external_id: len(record.preferences) for record in records}


def test_repeats_and_known_answers_leave_no_export(project: Project, ben: Annotator) -> None:
    labelled(project, ben, 11)
    make_policy(project, repeat_share=1.0)
    say(leased(ben), "B")
    gold = make_gold(project)
    found = exported(project)
    assert gold.comparison.external_id not in found
    assert set(found.values()) == {1}


def test_a_frozen_version_keeps_what_was_ordinary_then(project: Project, ben: Annotator) -> None:
    comparison = make_comparison(project)
    make_preference(comparison, ben)
    version = dataset_version_create(project=project, label_rule=HUMAN_MAJORITY, user=None)
    gold_create(comparison=comparison, user=None, accepted=[[0, 1]])
    other = make_comparison(project)
    later = dataset_version_create(project=project, label_rule=HUMAN_MAJORITY, user=None)
    assert version.manifest["n_comparisons"] == 1
    assert later.manifest["n_comparisons"] == 1
    assert set(exported(project)) == {other.external_id}

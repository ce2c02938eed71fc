from typing import Any

import pytest

from annotate.models import Protocol
from annotate.protocol_forms import ProtocolForm

pytestmark = pytest.mark.django_db  # Django asks the database about check constraints

FIELDS: dict[str, Any] = {
    "kind": "pairwise", "scale_points": 5, "allow_tie": "on", "rating_points": 0,
    "span_categories": "", "flags": "Unsafe\nSpam", "skip_reasons": "I cannot tell",
    "skip_policy": "others", "rationale": "optional", "rationale_when": "after",
    "rationale_min_chars": 0, "overlap": 1, "overlap_max": 0, "settle_lead": 1, "quota": "",
    "lease_seconds": 900, "aspects-TOTAL_FORMS": 0, "aspects-INITIAL_FORMS": 0,
}  # fmt: skip


def form(*aspects: dict[str, str], **changes: Any) -> ProtocolForm:
    data = {**FIELDS, **changes, "aspects-TOTAL_FORMS": len(aspects)}
    for index, aspect in enumerate(aspects):
        row = {"key": "", "ask": "strength", "reasons": "", **aspect}
        data |= {f"aspects-{index}-{name}": value for name, value in row.items()}
    return ProtocolForm(data)


def cleaned(*aspects: dict[str, str], **changes: Any) -> dict[str, Any]:
    filled = form(*aspects, **changes)
    assert filled.is_valid(), filled.errors
    return filled.cleaned_data


def test_well_known_flags_are_stored_by_key_and_own_ones_as_written() -> None:
    assert cleaned()["flags"] == ["unsafe", "Spam"]


def test_aspects_get_keys_and_keep_them_when_renamed() -> None:
    rows = cleaned(
        {"name": "More helpful", "reasons": "Complete\n\nClear"},
        {"name": "Truth", "key": "truthful"},
        {"name": ""},
    )["aspects"]
    assert [(row["key"], row["reasons"]) for row in rows] == [
        ("more_helpful", ["Complete", "Clear"]),
        ("truthful", []),
    ]


def test_names_that_give_the_same_key_are_told_apart() -> None:
    rows = cleaned({"name": "Good"}, {"name": "good!"}, {"name": "Overall"})["aspects"]
    assert [row["key"] for row in rows] == ["good", "good_2", "overall_2"]


def test_categories_of_highlights_are_one_a_line() -> None:
    categories = cleaned(span_categories="Wrong fact\n\n漢字")["span_categories"]
    assert categories == [
        {"key": "wrong_fact", "name": "Wrong fact"},
        {"key": "aspect", "name": "漢字"},
    ]


@pytest.mark.parametrize(
    ("aspect", "changes", "field"),
    [
        ({"name": "Helpful", "ask": "rating"}, {}, "rating_points"),
        ({"name": "Helpful"}, {"kind": "ranking"}, "__all__"),
        ({"name": ""}, {"kind": "rating"}, "rating_points"),
        ({"name": ""}, {"allow_tie": ""}, "allow_tie"),
        ({"name": ""}, {"overlap": 3, "overlap_max": 2}, "overlap_max"),
        ({"name": ""}, {"flags": "Spam\nSpam"}, "flags"),
        ({"name": ""}, {"flags": "\n".join("abcdefghij")}, "flags"),
        ({"name": ""}, {"skip_reasons": "x" * 41}, "skip_reasons"),
        ({"name": "x" * 61}, {}, "__all__"),
    ],
)
def test_what_does_not_fit_together_names_its_field(
    aspect: dict[str, str], changes: dict[str, Any], field: str
) -> None:
    assert field in form(aspect, **changes).errors


def test_a_protocol_fills_the_form_in_the_owners_words() -> None:
    aspects = [{"key": "a", "name": "Able", "ask": "rating", "reasons": ["x", "y"]}]
    filled = ProtocolForm(instance=Protocol(version=1, aspects=aspects, flags=["pii", "Spam"]))
    assert "Personal data\nSpam" in str(filled["flags"])
    assert "x\ny" in str(filled.aspects.forms[0]["reasons"])

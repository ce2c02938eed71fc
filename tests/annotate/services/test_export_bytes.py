"""What a version gave out it gives out for ever: the bytes of every format, rule and pairing.

The digests were taken before exports were read in one row per comparison; a release that changes
one of them breaks the promise of versions. Parquet and gzip are left to their libraries.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from annotate.models import Project
from annotate.services.exports import export_stream
from annotate.services.imports import comparisons_import
from annotate.services.versions import dataset_version_create
from tests.factories import make_project

pytestmark = pytest.mark.django_db
ROWS = Path(__file__).parent / "fixtures" / "export_rows.jsonl"
EVERY_COLUMN = (
    "id", "margin", "soft_label", "weight", "strength", "score_chosen", "score_rejected",
    "n_votes", "label_source", "annotators", "judges", "judge_prompts", "protocol_versions",
    "criterion", "chosen_model", "rejected_model", "meta",
)  # fmt: skip


@pytest.fixture
def project() -> Project:
    """Every kind of verdict on pairs and on a ranking, under fixed times."""
    project = make_project(name="Bytes", slug="bytes")
    assert comparisons_import(project=project, path=ROWS).errors == []
    return project


def digest(project: Project, **options: Any) -> str:
    """The beginning of an export's SHA-256."""
    return sha256(b"".join(export_stream(project=project, **options))).hexdigest()[:12]


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ("trl-preference", "d1aa6e362465"),
        ("trl-unpaired", "940464bf6e50"),
        ("ranked-lists", "c4f4a34b30bc"),
        ("ratings", "219abc5ed33b"),
        ("rationales", "43fc5572fa90"),
        ("reward-bench", "bc27a00ca309"),
        ("label-studio", "11a0837e7064"),
        ("argilla", "a152b3ad5191"),
        ("native", "956e51d18aca"),
    ],
)
def test_every_format_keeps_its_bytes(project: Project, format: str, expected: str) -> None:
    assert digest(project, format=format) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("human_majority-v1", "6ba83f0ff9bb"),
        ("human_then_judge-v1", "457f33783740"),
        ("judge_majority-v1", "aa6f3374eda5"),
        ("all_majority-v1", "633203a5c12e"),
        ("tiered-v1", "05365813d5c3"),
        ("latest-v1", "95584c34d616"),
        ("soft-v1", "0d7a89001938"),
    ],
)
def test_every_rule_keeps_its_bytes(project: Project, rule: str, expected: str) -> None:
    found = digest(project, format="trl-preference", label_rule=rule, columns=EVERY_COLUMN)
    assert found == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"format": "trl-preference", "style": "conversational"}, "7a9170137a5a"),
        ({"format": "trl-preference", "prompt": "implicit"}, "0ceb8c16c1ac"),
        (
            {"format": "trl-preference", "style": "conversational", "prompt": "implicit"},
            "995d6d363332",
        ),
        ({"format": "trl-preference", "pairing": "best-worst"}, "d1aa6e362465"),
        ({"format": "trl-preference", "pairing": "adjacent"}, "61cb02c67f4d"),
        ({"format": "trl-preference", "pairing": "max-random"}, "d1aa6e362465"),
        (
            {
                "format": "trl-unpaired",
                "style": "conversational",
                "columns": ("id", "model", "criterion"),
            },
            "3905aed20f20",
        ),
        ({"format": "trl-preference", "container": "json"}, "2f0c6cd9704f"),
        ({"format": "label-studio", "container": "jsonl"}, "e9d9b59591e0"),
    ],
)
def test_every_option_keeps_its_bytes(
    project: Project, options: dict[str, Any], expected: str
) -> None:
    assert digest(project, **options) == expected


def test_a_version_keeps_its_content_hash(project: Project) -> None:
    version = dataset_version_create(project=project, label_rule="tiered-v1", user=None)
    assert version.content_hash[:12] == "c1c0f63cb499"

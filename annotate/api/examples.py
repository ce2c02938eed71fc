"""Examples of requests and answers, by operation; the tests hold them against the schema."""

from typing import Any

TIME = "2026-03-02T09:30:00Z"
COMPARISON: dict[str, Any] = {
    "pk": 41,
    "id": "egg-1",
    "prompt": [{"role": "user", "content": "How long do I boil an egg?"}],
    "responses": [
        {"id": "", "text": "Seven minutes for a firm yolk.", "model": "model-a"},
        {"id": "", "text": "Two hours.", "model": "model-b"},
    ],
    "criterion": "",
    "meta": {"topic": "cooking"},
    "wanted_labels": 2,
    "open_slots": 1,
    "priority": 0.0,
    "skill": "",
    "human_price_usd": "0.4200",
    "is_gold": False,
}
PREFERENCE: dict[str, Any] = {
    "id": 7,
    "comparison": "egg-1",
    "annotator": "person-3f9a01c2",
    "kind": "human",
    "is_simulated": False,
    "verdict": "ranked",
    "ranking": [0, 1],
    "strength": -2.0,
    "rationale": "Two hours is far too long.",
    "probability": None,
    "shown_order": [1, 0],
    "active_ms": 8200,
    "replicate": 0,
    "supersedes": None,
    "source": "app",
    "protocol_version": 1,
    "created_at": TIME,
}
TOKEN: dict[str, Any] = {
    "id": 3,
    "name": "nightly import",
    "prefix": "tdm_a1b2c3",
    "scope": "data",
    "project": "answers",
    "rate_per_minute": 600,
    "replaces": None,
    "created_at": TIME,
    "last_used_at": None,
    "expires_at": "2026-06-01T00:00:00Z",
    "revoked_at": None,
}
WEBHOOK: dict[str, Any] = {
    "id": "0d9f6f1e-2f7c-4a52-9a55-0a7b0b6b7a10",
    "url": "https://hooks.example.com/tandem",
    "events": ["labels.created", "dataset_version.created"],
    "description": "",
    "is_active": True,
    "stopped_reason": "",
    "created_at": TIME,
}
CHANGE: dict[str, Any] = {
    "id": "9b1c7f54-53fb-4d2c-8a0e-5a4f1c2f8d31",
    "action": "wanted_labels",
    "value": 3,
    "n_comparisons": 120,
    "created_at": TIME,
    "undone_at": None,
    "n_restored": 0,
}
EXPORT: dict[str, Any] = {
    "id": "5c2f1c1e-90c4-4a7b-8a52-6b1f0e6a2d11",
    "state": "done",
    "options": {"format": "trl-preference", "columns": ["margin"]},
    "n_done": 702,
    "n_total": 1000,
    "message": "718,304 bytes, SHA-256 9f2ec1d0a7b4…",
    "created_at": TIME,
    "finished_at": TIME,
    "version": 4,
    "file_name": "answers-v4-trl-preference.jsonl",
    "n_bytes": 718304,
    "sha256": "9f2ec1d0a7b4" + 52 * "0",
}
FREEZE: dict[str, Any] = {
    "id": "0f3a7a52-1b4e-4f0a-9df0-3a0c7f6f5b27",
    "state": "queued",
    "options": {"label_rule": "dawid_skene-v1", "filters": {"min_votes": 2}},
    "n_done": 0,
    "n_total": 1000,
    "message": "",
    "created_at": TIME,
    "finished_at": None,
    "version": None,
}
VERSION_DIFF: dict[str, Any] = {
    "before": {"number": 3, "content_hash": "1b" * 32},
    "after": {"number": 4, "content_hash": "9f" * 32},
    "figures": {"Comparisons": {"before": 900, "after": 1000}},
    "n_added": 100,
    "n_removed": 0,
    "n_new_verdicts": 130,
    "n_touched": 117,
    "outcomes": {"new label": 100, "other response": 3},
    "changes": [],
    "is_whole": True,
}
PROJECT: dict[str, Any] = {
    "slug": "answers",
    "name": "Support answers",
    "description": "",
    "role": "owner",
}

REQUESTS: dict[str, Any] = {
    "projects_create": {"name": "Support answers", "slug": "answers"},
    "comparisons_create": {
        "comparisons": [
            {
                "id": "egg-1",
                "prompt": "How long do I boil an egg?",
                "responses": [
                    {"text": "Seven minutes for a firm yolk.", "model": "model-a"},
                    {"text": "Two hours.", "model": "model-b"},
                ],
                "human": [{"annotator": "p1", "preference": 0}],
                "meta": {"topic": "cooking"},
            }
        ]
    },
    "comparisons_read": {"ids": ["egg-1", "egg-2"]},
    "comparisons_change": {"priority": 2.5, "wanted_labels": 3},
    "changes_create": {
        "action": "wanted_labels",
        "value": 3,
        "filters": {"slice": "topic=cooking", "disagreement": 0.5},
    },
    "views_create": {"name": "Cooking, split", "query": {"slice": "topic=cooking"}},
    "exports_create": {"format": "trl-preference", "version": 4, "columns": ["margin"]},
    "freezes_create": {"label_rule": "dawid_skene-v1", "filters": {"min_votes": 2}},
    "imports_remap": {
        "mapping": {
            "prompt": "question",
            "response_a": "out1",
            "response_b": "out2",
            "preference": "winner",
        }
    },
    "imports_hub": {"source": "owner/dataset", "split": "train"},
    "tokens_create": {
        "name": "nightly import",
        "scope": "data",
        "project": "answers",
        "expires_at": "2027-06-01T00:00:00Z",
    },
    "tokens_rotate": {"overlap_seconds": 3600},
    "webhooks_create": {
        "url": "https://hooks.example.com/tandem",
        "events": ["labels.created", "dataset_version.created"],
    },
    "money_change": {"human_price_usd": "0.4000", "budget_usd": "500.00"},
    "guidelines_create": {"body": "Prefer the answer that **helps**."},
    "members_change": {"role": "reviewer"},
    "protocols_create": {"overlap": 2, "aspects": [{"name": "Helpful", "ask": "strength"}]},
}
RESPONSES: dict[str, Any] = {
    "projects_list": [PROJECT],
    "projects_create": PROJECT,
    "comparisons_list": {"next": None, "results": [COMPARISON]},
    "comparisons_create": {
        "n_rows": 1,
        "n_created": 1,
        "n_unchanged": 0,
        "n_preferences": 1,
        "errors": [],
    },
    "comparisons_read": {"results": [COMPARISON], "missing": ["egg-2"]},
    "preferences_list": {"next": None, "previous": None, "results": [PREFERENCE]},
    "changes_list": [CHANGE],
    "changes_create": CHANGE,
    "exports_list": [EXPORT],
    "exports_create": {**EXPORT, "state": "queued", "finished_at": None},
    "exports_read": EXPORT,
    "freezes_list": [FREEZE],
    "freezes_create": FREEZE,
    "versions_diff": VERSION_DIFF,
    "imports_preview": {
        "title": "Unknown",
        "columns": [{"name": "question", "example": "How long do I boil an egg?"}],
        "mapping": {"prompt": "question"},
        "ids": [],
        "errors": [],
    },
    "tokens_list": [TOKEN],
    "tokens_create": {**TOKEN, "secret": "tdm_a1b2c3…"},
    "tokens_current": TOKEN,
    "webhooks_list": [WEBHOOK],
    "webhooks_create": {**WEBHOOK, "secret": "whsec_…"},
}

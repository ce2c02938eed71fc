"""The rows that the API answers with."""

from typing import Any, TypedDict


class ProjectRow(TypedDict):
    """A project as one of its members sees it."""

    slug: str
    name: str
    description: str
    role: str


class TurnRow(TypedDict):
    """One turn of a prompt."""

    role: str
    content: str


class ResponseRow(TypedDict):
    """One response with its source model."""

    id: str
    text: str
    model: str


class ComparisonRow(TypedDict):
    """One comparison; ``pk`` stands in addresses, ``id`` is the one that its import gave it."""

    pk: int
    id: str
    prompt: list[TurnRow]
    responses: list[ResponseRow]
    criterion: str
    meta: dict[str, Any]
    wanted_labels: int
    open_slots: int
    priority: float
    skill: str
    human_price_usd: str | None
    is_gold: bool


class PreferenceRow(TypedDict):
    """One verdict in canonical order."""

    id: int
    comparison: str
    annotator: str
    kind: str
    is_simulated: bool
    verdict: str
    ranking: list[int] | None
    strength: float | None
    rationale: str
    probability: float | None
    shown_order: list[int] | None
    active_ms: int | None
    replicate: int
    supersedes: int | None
    source: str
    protocol_version: int
    created_at: str


class ChangeRow(TypedDict):
    """A change of many comparisons."""

    id: str
    action: str
    value: Any
    n_comparisons: int
    created_at: str
    undone_at: str | None
    n_restored: int


class VersionRow(TypedDict):
    """A frozen dataset version."""

    number: int
    label_rule: str
    n_rows: int
    content_hash: str
    manifest: dict[str, Any]
    created_at: str


class VersionDiff(TypedDict):
    """What changed from one version to another; ``is_whole`` if labels were compared too."""

    before: dict[str, Any]
    after: dict[str, Any]
    figures: dict[str, dict[str, int]]
    n_added: int
    n_removed: int
    n_new_verdicts: int
    n_touched: int
    outcomes: dict[str, int]
    changes: list[dict[str, Any]]
    is_whole: bool


class ExportJobRow(TypedDict):
    """An export that a worker writes; ``sha256`` is set once it is done."""

    id: str
    state: str
    options: dict[str, Any]
    n_done: int
    n_total: int
    message: str
    created_at: str
    finished_at: str | None
    version: int | None
    file_name: str
    n_bytes: int
    sha256: str


class ViewRow(TypedDict):
    """Filters of the explorer under a name."""

    id: int
    name: str
    query: dict[str, str]
    is_shared: bool
    owner: str
    created_at: str


class TokenRow(TypedDict):
    """A token; ``secret`` is told once, when it is made."""

    id: int
    name: str
    prefix: str
    scope: str
    project: str | None
    rate_per_minute: int | None
    replaces: int | None
    created_at: str
    last_used_at: str | None
    expires_at: str | None
    revoked_at: str | None
    secret: str

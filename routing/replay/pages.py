"""A stored replay as charts and rows for the pages: plain Python."""

from typing import Any

from routing.replay.settings import POLICY_IDS

_NAMES = {
    "label_accuracy": ("Labels", "Accuracy of the labels bought"),
    "reward_model_accuracy": ("Reward model", "Accuracy on held-out labels"),
}
_KINDS = {"random": "random", "all_human": "human", "all_judge": "judge"}
# Enough to read; every policy is in the table.
_DRAWN = ("random", "uncertainty", "disagreement", "ppm_topk", "influence")
# More bands than two hide each other; the table has every interval.
_BANDED = frozenset({"random", "disagreement"})
# Shares nearer than this are the same: a dollar budget rarely fits to the cent.
_SAME_SHARE = 0.005
_ENDS = {"all_human": "People only", "all_judge": "Judge only"}


def chart_specs(result: dict[str, Any]) -> list[dict[str, Any]]:
    """One chart per measure: accuracy over the human share, with bands for the policies."""
    return [
        {"id": name, "title": title, "note": note, "spec": _spec(result, name, note)}
        for name, (title, note) in _NAMES.items()
    ]


def _spec(result: dict[str, Any], measure: str, label: str) -> dict[str, Any]:
    series = [
        _line(policy, result["policies"][policy], measure)
        for policy in _DRAWN
        if policy in result["policies"]
    ]
    for policy, name in _ENDS.items():
        budgets = list(result["policies"].get(policy, {}).values())
        if budgets:
            level = budgets[0][measure]["mean"]
            series.append(
                {"name": name, "kind": _KINDS[policy], "points": [[0, level], [100, level]]}
            )
    return {
        "type": "band",
        "x": {"label": "Human share (%)", "min": 0, "max": 100},
        "y": {"label": label},
        "series": series,
    }


def _line(policy: str, budgets: dict[str, Any], measure: str) -> dict[str, Any]:
    entries = sorted(budgets.values(), key=lambda entry: entry["human_share"])
    line = {
        "name": policy.replace("_", " ").capitalize(),
        "kind": _KINDS.get(policy, "policy"),
        "points": [[round(100 * e["human_share"], 1), e[measure]["mean"]] for e in entries],
    }
    if policy in _BANDED:
        line |= {end: [e[measure][end] for e in entries] for end in ("low", "high")}
    return line


def _stops_at(entry: dict[str, Any]) -> float | None:
    """The share at which a policy would stop by itself, where that is before the budget's end."""
    wanted: float = entry.get("wanted_share", entry["human_share"])
    return wanted if wanted < entry["human_share"] - _SAME_SHARE else None


def report_rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per policy and budget, in the order of the registry; the two ends stand once.

    Databases keep no order of keys.
    """
    known = [name for name in POLICY_IDS if name in result["policies"]]
    rows = []
    for policy in known:
        budgets = result["policies"][policy]
        entries = sorted(budgets.items(), key=lambda item: (item[1]["human_share"], item[0]))
        for budget, entry in entries[:1] if policy in _ENDS else entries:
            label = "" if policy in _ENDS else budget
            shown = {"policy": policy.replace("_", " "), "budget": label}
            rows.append({**shown, **entry, "stops_at": _stops_at(entry)})
    return rows

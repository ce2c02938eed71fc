"""The figures of a replay as the Markdown table of docs/acquisition.md."""

from typing import Any

_COLUMNS = (
    "strategy", "lead, nats", "lead, accuracy", "labels to random's loss at 50 %", "at 75 %",
    "at 100 %", "to its accuracy at 100 %", "distinct prompts",
)  # fmt: skip
_HEAD = "| " + " | ".join(_COLUMNS) + " |\n|---|" + "---:|" * (len(_COLUMNS) - 1)


def replay_table(name: str, result: dict[str, Any]) -> str:
    """Write one set: a sentence on how it was run, then a row per strategy, best lead first."""
    settings, random = result["settings"], result["strategies"]["random-v1"]
    leads = result["lead_over_random"]
    order = sorted(leads, key=lambda key: -leads[key]["log_likelihood"]["mean"])
    rows = [_row(key, result) for key in order]
    return (
        f"**{name}**: {result['n_pairs']:,} pairs, {result['n_prompts']:,} prompts, initial set "
        f"{settings['initial']}, batch {settings['batch_size']}, {settings['rounds']} rounds, "
        f"{settings['seeds']} paired seeds; random ends at {random['log_loss']['mean'][-1]:.4f} "
        f"nats, accuracy {random['accuracy']['mean'][-1]:.3f}.\n\n{_HEAD}\n" + "\n".join(rows)
    )


def _row(key: str, result: dict[str, Any]) -> str:
    gain = result["lead_over_random"][key]
    loss, accuracy = (
        result[name][key] for name in ("labels_to_match_random", "labels_to_match_random_accuracy")
    )
    cells = [
        _lead(gain["log_likelihood"]),
        _lead(gain["accuracy"]),
        *(_ratio(loss[share]) for share in ("at_50", "at_75", "at_100")),
        _ratio(accuracy["at_100"]),
        f"{100 * result['strategies'][key]['unique_prompt_share']:.0f}%",
    ]
    return f"| `{key}` | " + " | ".join(cells) + " |"


def _lead(gain: dict[str, float]) -> str:
    text = "{mean:+.4f} [{low:+.4f}, {high:+.4f}]".format(**gain).replace("-", "\N{MINUS SIGN}")
    return f"**{text}**" if gain["low"] > 0 else text


def _ratio(row: dict[str, float | None]) -> str:
    value, low, high = (
        "∞" if row[name] is None else f"{row[name]:.2f}" for name in ("ratio", "low", "high")
    )
    return f"{value} [{low}, {high}]"

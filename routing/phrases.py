"""Tags and decisions in words that an owner reads."""

_STATISTICS = {
    "rouge_l": "wording in common",
    "edit_similarity": "similarity of the texts",
    "entity_overlap": "names and numbers in common",
    "cosine": "vocabulary in common",
    "length_weighted_similarity": "similarity, lengths counted",
    "bert_score": "agreement token by token",
    "prompt_length": "prompt length",
    "len_shorter": "length of the shorter response",
    "len_longer": "length of the longer response",
    "len_difference": "difference in length",
}
_LEVELS = {"low": "low", "middle": "middling", "high": "high"}
_JUDGES = {
    "judges=agree": "judges agree",
    "judges=split": "judges split",
    "judges=one": "one judge only",
    "judge_verdict=tie": "judge called a tie",
    "judge_verdict=decided": "judge decided",
    "judge_order=conflict": "judge changed with the order",
    "judge_order=consistent": "judge consistent in both orders",
    "judge_confidence=low": "judge unsure",
    "judge_confidence=high": "judge sure",
}


def tag_phrase(name: str) -> str:
    """Say a tag such as ``len_longer=high`` in words."""
    group, _, value = name.partition("=")
    if group in _STATISTICS:
        return f"{_LEVELS.get(value, value)} {_STATISTICS[group]}"
    return _JUDGES.get(name, f"{group.removeprefix('meta.').replace('_', ' ')}: {value}")


def percent(share: float) -> str:
    """A share as a percentage without needless digits."""
    return f"{100 * share:.0f} %"

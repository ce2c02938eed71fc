"""BERTScore of response pairs on a configured encoder's hidden states. Workers only."""

from collections.abc import Sequence

import numpy as np

from modeling.encoder_names import TRANSFORMERS, transformers_name
from modeling.token_states import token_states
from modeling.transformers_encoder import fingerprint
from routing.core.arrays import FloatArray
from routing.core.token_matching import greedy_match_f1

BERT_SCORE = "bert_score"
# Token states of so many pairs are held at once: some hundred megabytes of a large model.
_PAIRS = 32


def has_token_states(encoder: str) -> bool:
    """Whether an encoder reads tokens in a model of its own folder."""
    return encoder.startswith(f"{TRANSFORMERS}:")


def scores_version(encoder: str) -> str:
    """Name of the scores of one encoder: other weights or another layer are other scores."""
    name = transformers_name(encoder)
    return f"{BERT_SCORE}-{fingerprint(name.path)[:16]}-{name.layer}"


def bert_scores(encoder: str, first: Sequence[str], second: Sequence[str]) -> FloatArray:
    """Greedy-matching F1 of each pair, the same when the responses change places."""
    name = transformers_name(encoder)
    scores = np.empty(len(first))
    for start in range(0, len(first), _PAIRS):
        chunk = slice(start, start + _PAIRS)
        states = token_states(name, [*first[chunk], *second[chunk]])
        half = len(states) // 2
        scores[chunk] = [
            greedy_match_f1(a, b) for a, b in zip(states[:half], states[half:], strict=True)
        ]
    return scores

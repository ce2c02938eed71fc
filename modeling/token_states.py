"""The hidden state of every token of a text. Loaded by workers only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modeling.core.types import Float32Array
from modeling.encoder_names import TransformersName
from modeling.transformers_encoder import (
    CPU_BATCH_TOKENS,
    GPU_BATCH_TOKENS,
    device,
    length_batches,
    loaded,
    padded,
)

MAX_TOKENS = 512


def token_states(name: TransformersName, texts: Sequence[str]) -> list[Float32Array]:
    """Return one matrix per text, a row per token of its beginning; no special tokens."""
    tokenizer, model = loaded(name.path)
    limit = min(MAX_TOKENS, int(tokenizer.model_max_length), _positions(model))
    found = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    ids = [row[:limit] for row in found]
    width = int(model.config.get_text_config().hidden_size)
    states = [np.zeros((0, width), dtype=np.float32) for _ in texts]
    budget = GPU_BATCH_TOKENS if device().type == "cuda" else CPU_BATCH_TOKENS
    for batch in length_batches([len(row) for row in ids], budget):
        told = [place for place in batch if ids[place]]
        for place, rows in zip(
            told, _batch(model, tokenizer, [ids[p] for p in told], name), strict=True
        ):
            states[place] = rows
    return states


def _positions(model: Any) -> int:
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", MAX_TOKENS))


def _batch(
    model: Any, tokenizer: Any, ids: list[list[int]], name: TransformersName
) -> list[Float32Array]:
    import torch

    if not ids:
        return []
    tokens, mask = padded(tokenizer, ids, model.device)
    with torch.inference_mode():
        output = model(input_ids=tokens, attention_mask=mask, output_hidden_states=True)
    states = output.hidden_states[name.layer].float().cpu().numpy()
    return [states[row, : len(kept)] for row, kept in enumerate(ids)]

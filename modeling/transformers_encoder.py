"""Any transformers encoder or causal model as a text encoder. Loaded by workers only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from modeling.core.types import Arrays, Float32Array, InvalidInputError, Meta
from modeling.encoder_names import TransformersName, transformers_name

VERSION = "transformers-v1"
MAX_TOKENS = 1_024
CPU_BATCH_TOKENS = 4_096
GPU_BATCH_TOKENS = 65_536
CPU_CHUNK = 128
GPU_CHUNK = 2_048
HASH_BLOCK = 2**20


class TransformersTextEncoder:
    """Hidden states of one layer, pooled over the tokens of prompt and response together.

    Parameters
    ----------
    name
        Folder, pooling and layer.
    """

    reads_prompt = True

    def __init__(self, name: TransformersName) -> None:
        self.spec = name
        self.name = str(name)
        digest = fingerprint(name.path)[:16]
        self.version = f"{VERSION}-{digest}-{name.pooling}{name.layer}"

    @property
    def chunk(self) -> int:
        """Rows of a shard: seconds of work, so that progress is seen and a kill costs little."""
        return GPU_CHUNK if device().type == "cuda" else CPU_CHUNK

    def joined(self, prompt: str, response: str) -> str:
        """Return prompt and response as the model's chat template puts them."""
        tokenizer, _ = loaded(self.spec.path)
        if not tokenizer.chat_template:
            return f"{prompt}\n\n{response}"
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
        return str(tokenizer.apply_chat_template(turns, tokenize=False))

    def encode(self, texts: Sequence[str]) -> Float32Array:
        """Return one row per text; texts of like length share a batch, so little is padding."""
        tokenizer, model = loaded(self.spec.path)
        ids = _token_ids(tokenizer, model, texts)
        width = int(model.config.get_text_config().hidden_size)
        rows = np.zeros((len(texts), width), dtype=np.float32)
        budget = GPU_BATCH_TOKENS if device().type == "cuda" else CPU_BATCH_TOKENS
        for batch in length_batches([len(row) for row in ids], budget):
            rows[batch] = _pooled(model, tokenizer, [ids[i] for i in batch], self.spec)
        return rows

    def to_arrays(self) -> tuple[Arrays, Meta]:
        """Return the name: the weights stay in their folder, and the version holds their hash."""
        return {}, {"name": self.name, "version": self.version}

    @classmethod
    def from_meta(cls, meta: Meta) -> TransformersTextEncoder:
        """Find the encoder of an artifact again.

        Raises
        ------
        InvalidInputError
            If the folder now holds other weights.
        """
        encoder = cls(transformers_name(meta["name"]))
        if encoder.version != meta["version"]:
            raise InvalidInputError(
                f"the artifact was trained on {meta['name']} version {meta['version']}; the folder "
                f"now holds version {encoder.version}. Put the old weights back, or train again."
            )
        return encoder


def length_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield positions, shortest first, in batches of at most ``budget`` padded tokens."""
    batch: list[int] = []
    for position in np.argsort(np.asarray(lengths), kind="stable").tolist():
        # Sorted, so the newcomer is the longest and decides the padding of all.
        if batch and (len(batch) + 1) * max(lengths[position], 1) > budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def fingerprint(folder: Path) -> str:
    """Return a hash of the model's files, so that other weights never share a cache."""
    stats = [(path, path.stat()) for path in _weight_files(folder)]
    # Hashing gigabytes once per worker is enough while size and time stand.
    return _content_hash(tuple((path, s.st_size, s.st_mtime_ns) for path, s in stats))


def device() -> Any:
    """Return the device that encodes: the first GPU where there is one."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _weight_files(folder: Path) -> list[Path]:
    kinds = (".json", ".safetensors", ".model", ".txt", ".jinja")
    files = sorted(path for path in folder.iterdir() if path.suffix in kinds)
    if not any(path.suffix == ".safetensors" for path in files):
        raise InvalidInputError(
            f"the model folder {folder.name!r} has no .safetensors file. Pickled weights can carry "
            "code and are not loaded; save the model again with safe_serialization."
        )
    return files


@cache
def _content_hash(files: tuple[tuple[Path, int, int], ...]) -> str:
    digest = sha256()
    for path, size, _ in files:
        digest.update(f"{path.name}:{size}:".encode())
        with path.open("rb") as file:
            while block := file.read(HASH_BLOCK):
                digest.update(block)
    return digest.hexdigest()


@cache
def loaded(path: Path) -> tuple[Any, Any]:
    """Return tokenizer and model of a folder, kept for the life of the worker."""
    # One copy per worker process: loading takes longer than a hundred texts.
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
    # Of a long conversation the end, which holds the response, has to stay.
    tokenizer.truncation_side = "left"
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    dtype = torch.bfloat16 if device().type == "cuda" else torch.float32
    model = AutoModel.from_pretrained(
        str(path), local_files_only=True, use_safetensors=True, dtype=dtype
    )
    return tokenizer, model.eval().to(device())


def _token_ids(tokenizer: Any, model: Any, texts: Sequence[str]) -> list[list[int]]:
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", MAX_TOKENS)
    limit = min(MAX_TOKENS, int(tokenizer.model_max_length), int(positions))
    ids: list[list[int]] = tokenizer(list(texts), truncation=True, max_length=limit)["input_ids"]
    # An empty text has no token to pool over.
    return [row or [tokenizer.pad_token_id or 0] for row in ids]


def padded(tokenizer: Any, ids: list[list[int]], place: Any) -> tuple[Any, Any]:
    """Return token ids of one length, and the mask of what is no padding."""
    import torch

    width = max(map(len, ids))
    padding = tokenizer.pad_token_id or 0
    tokens = torch.tensor([row + [padding] * (width - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
    return tokens.to(place), mask.to(place)


def _pooled(
    model: Any, tokenizer: Any, ids: list[list[int]], spec: TransformersName
) -> Float32Array:
    import torch

    tokens, mask = padded(tokenizer, ids, model.device)
    with torch.inference_mode():
        output = model(input_ids=tokens, attention_mask=mask, output_hidden_states=True)
    states = output.hidden_states[spec.layer].float()
    if spec.pooling == "last":
        pooled = states[torch.arange(len(ids)), mask.sum(1) - 1]
    else:
        weights = mask.unsqueeze(-1).float()
        pooled = (states * weights).sum(1) / weights.sum(1)
    return np.asarray(pooled.cpu().numpy(), dtype=np.float32)

"""From prompt and response to the row of numbers that a reward head reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from safetensors.numpy import load, save

from modeling.core.feature_scaler import FeatureScaler
from modeling.core.readable_features import FEATURE_NAMES, interpretable_features
from modeling.core.types import Arrays, Float32Array, Meta
from modeling.embeddings import Report, cached_rows, text_key
from modeling.encoder_names import MINILM, TFIDF, encoder_require, transformers_name
from modeling.row_blocks import row_blocks
from modeling.storage import storage_names, storage_read, storage_remove_folder, storage_write
from modeling.text_encoders import (
    MiniLmTextEncoder,
    TextEncoder,
    TfidfTextEncoder,
    text_encoder_from_arrays,
)

INTERPRETABLE_VERSION = "interpretable-v1"
TFIDF_VERSION = "tfidf-v1"
FIT_TEXTS = 20_000
"""Texts that TF-IDF is fitted on; more cost minutes and change no direction that matters."""


class FeaturePipeline:
    """A text encoder and the readable counts, each scaled as it was at training time."""

    def __init__(
        self, encoder: TextEncoder, encoded_scaler: FeatureScaler, counted_scaler: FeatureScaler
    ) -> None:
        self.encoder = encoder
        self.encoded_scaler = encoded_scaler
        self.counted_scaler = counted_scaler

    @property
    def version(self) -> str:
        """Names the pipeline: equal versions give equal features."""
        digest = sha256(self.encoder.version.encode())
        for scaler in (self.encoded_scaler, self.counted_scaler):
            digest.update(scaler.mean_.tobytes() + scaler.scale_.tobytes())
        return f"{self.encoder.version}+{digest.hexdigest()[:16]}"

    @property
    def names(self) -> tuple[str, ...]:
        """One name per column: the encoder's directions, then the readable counts."""
        n_encoded = self.encoded_scaler.mean_.size
        return (*(f"{self.encoder.name}_{index}" for index in range(n_encoded)), *FEATURE_NAMES)

    def transform(
        self,
        prompts: Sequence[str],
        responses: Sequence[str],
        *,
        folder: str | None = None,
        progress: Report | None = None,
    ) -> Float32Array:
        """Return one feature row per response, cached under ``folder`` where one is given."""
        texts = encoder_texts(self.encoder, prompts, responses)
        encoded = encoded_rows(self.encoder, texts, folder=folder, progress=progress)
        counted = counted_rows(prompts, responses, folder=folder)
        return self.scaled(encoded, counted)

    def scaled(self, encoded: Float32Array, counted: Float32Array) -> Float32Array:
        """Scale and join the two blocks."""
        joined = np.empty((len(encoded), encoded.shape[1] + counted.shape[1]), dtype=np.float32)
        for part in row_blocks(len(encoded)):
            joined[part, : encoded.shape[1]] = self.encoded_scaler.transform(encoded[part])
            joined[part, encoded.shape[1] :] = self.counted_scaler.transform(counted[part])
        return joined

    def to_arrays(self) -> tuple[Arrays, Meta]:
        """Return what an artifact has to keep."""
        arrays: Arrays = {}
        meta: Meta = {"version": self.version, "interpretable": INTERPRETABLE_VERSION}
        for name, part in self._parts().items():
            part_arrays, meta[name] = part.to_arrays()
            arrays.update({f"{name}.{key}": value for key, value in part_arrays.items()})
        return arrays, meta

    @classmethod
    def from_arrays(cls, arrays: Arrays, meta: Meta) -> FeaturePipeline:
        """Put a pipeline together from an artifact."""
        return cls(
            text_encoder_from_arrays(_under("encoder", arrays), meta["encoder"]),
            FeatureScaler.from_arrays(_under("encoded_scaler", arrays), meta["encoded_scaler"]),
            FeatureScaler.from_arrays(_under("counted_scaler", arrays), meta["counted_scaler"]),
        )

    def _parts(self) -> dict[str, TextEncoder | FeatureScaler]:
        return {
            "encoder": self.encoder,
            "encoded_scaler": self.encoded_scaler,
            "counted_scaler": self.counted_scaler,
        }


def text_encoder_for(name: str, texts: Sequence[str], *, folder: str) -> TextEncoder:
    """Return an encoder by name; TF-IDF is fitted on the texts, or read from its cache."""
    encoder_require(name)
    if name == MINILM:
        return MiniLmTextEncoder()
    if name != TFIDF:
        from modeling.transformers_encoder import TransformersTextEncoder

        return TransformersTextEncoder(transformers_name(name))
    corpus = {text_key(text): text for text in texts}
    chosen = sorted(corpus)[:FIT_TEXTS]
    version = f"{TFIDF_VERSION}-{sha256(b''.join(chosen)).hexdigest()[:16]}"
    path = f"{folder}/{version}/encoder"
    if any(storage_names(f"{folder}/{version}", "encoder.json")):
        meta = json.loads(storage_read(f"{path}.json"))
        return TfidfTextEncoder.from_arrays(load(storage_read(f"{path}.safetensors")), meta)
    encoder = TfidfTextEncoder.fit([corpus[key] for key in chosen], version=version)
    arrays, meta = encoder.to_arrays()
    storage_write(f"{path}.safetensors", save(arrays))
    storage_write(f"{path}.json", json.dumps(meta).encode())
    return encoder


def block_scaler(rows: Float32Array, total_variance: float) -> FeatureScaler:
    """Centre a block of columns and scale it as one, to a total variance.

    Unit variance for every column would blow the weak directions of an SVD up to the size of the
    leading ones: on two real sets that cost one to two points of accuracy under the same prior.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    variance = float(rows.var(axis=0, dtype=np.float64).sum())
    factor = np.sqrt(total_variance / variance) if variance > 0 else 0.0
    scaler = FeatureScaler()
    scaler.mean_ = mean.astype(np.float32)
    scaler.scale_ = np.full(mean.size, factor, dtype=np.float32)
    return scaler


def encoded_rows(
    encoder: TextEncoder,
    texts: Sequence[str],
    *,
    folder: str | None = None,
    progress: Report | None = None,
) -> Float32Array:
    """Return one encoder row per text, cached where a folder is given."""
    if folder is None:
        return encoder.encode(texts).astype(np.float16).astype(np.float32)
    return cached_rows(
        folder=f"{folder}/{encoder.version}",
        keys=[text_key(text) for text in texts],
        compute=lambda chosen: encoder.encode([texts[index] for index in chosen]),
        progress=progress,
        chunk=encoder.chunk,
    )


def encoder_texts(
    encoder: TextEncoder, prompts: Sequence[str], responses: Sequence[str]
) -> Sequence[str]:
    """Return what an encoder reads of each response: the response, or prompt and response."""
    if not encoder.reads_prompt:
        return responses
    return [
        encoder.joined(prompt, response)
        for prompt, response in zip(prompts, responses, strict=True)
    ]


def counted_rows(
    prompts: Sequence[str], responses: Sequence[str], *, folder: str | None = None
) -> Float32Array:
    """Return the readable counts of each response, cached where a folder is given."""
    if folder is None:
        counts, _ = interpretable_features(prompts, responses)
        return counts.clip(-6.5e4, 6.5e4).astype(np.float16).astype(np.float32)
    return cached_rows(
        folder=f"{folder}/{INTERPRETABLE_VERSION}",
        keys=[text_key(*pair) for pair in zip(prompts, responses, strict=True)],
        compute=lambda chosen: interpretable_features(
            [prompts[index] for index in chosen], [responses[index] for index in chosen]
        )[0],
    )


def forget_other_versions(folder: str, encoder: TextEncoder) -> None:
    """Drop the caches of earlier TF-IDF fits, which no new job will ask for again."""
    from django.core.files.storage import default_storage

    for name in default_storage.listdir(folder)[0]:
        if name.startswith(TFIDF_VERSION) and encoder.name == TFIDF and name != encoder.version:
            storage_remove_folder(f"{folder}/{name}")


def _under(prefix: str, arrays: Arrays) -> Arrays:
    start = f"{prefix}."
    return {
        name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)
    }

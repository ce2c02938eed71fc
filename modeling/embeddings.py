"""Vectors cached by content: float16 shards on Django's storage, one folder per version.

Work is done in chunks; each finished chunk is a shard of its own, so a run that was killed goes on
where it stopped. Vectors pass through float16 whether they were cached or not, so that the first
run gives the same numbers as the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

import numpy as np
from safetensors.numpy import load, save

from modeling.core.types import Float32Array
from modeling.storage import storage_names, storage_read, storage_write

Report = Callable[[float, str], None]
"""Called with the fraction done and a sentence; raises to cancel."""

CHUNK = 128
"""Rows of a shard: a few seconds of work for the slowest encoder, so that progress is seen."""
DIGEST_BYTES = 32
LARGEST_HALF = 65_000.0


def text_key(*parts: str) -> bytes:
    """Return the content hash of one text, or of several that belong together."""
    digest = sha256()
    for part in parts:
        encoded = part.encode("utf-8", errors="surrogatepass")
        # The length keeps ("ab", "c") apart from ("a", "bc").
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.digest()


def cached_rows(
    *,
    folder: str,
    keys: Sequence[bytes],
    compute: Callable[[list[int]], Float32Array],
    progress: Report | None = None,
    label: str = "texts",
    chunk: int = CHUNK,
) -> Float32Array:
    """Return one row per key, computing and storing those that no shard has.

    Parameters
    ----------
    folder
        Where the shards of this encoder version lie.
    keys
        Content hashes.
    compute
        From positions in ``keys`` to their rows.
    progress
        Called after every chunk.
    label
        What the keys are, for the progress sentence.
    chunk
        Rows of a shard.

    Returns
    -------
    ndarray of float32, shape (n, d)
        Rounded to float16.
    """
    rows = _Rows(keys)
    for shard_keys, values in _shards(folder):
        rows.put(shard_keys, values)
    missing = rows.missing()
    if missing and progress is not None:
        progress(0.0, f"{len(missing):,} {label} to encode")
    for start in range(0, len(missing), chunk):
        some = missing[start : start + chunk]
        rows.put(*_store(folder, [keys[index] for index in some], compute(some)))
        if progress is not None:
            done = start + len(some)
            progress(done / len(missing), f"{done:,} of {len(missing):,} {label} encoded")
    return rows.every()


def n_missing(*, folder: str, keys: Sequence[bytes]) -> int:
    """Return how many different keys no shard of a folder has yet."""
    stored = (key for shard_keys, _ in _shards(folder) for key in shard_keys)
    return len(set(keys).difference(stored))


class _Rows:
    """One row per different key, each put in its place as it is read: nothing is held twice."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._place: dict[bytes, int] = {}
        places = (self._place.setdefault(key, len(self._place)) for key in keys)
        self._of_key = np.fromiter(places, dtype=np.int64, count=len(keys))
        self._filled = np.zeros(len(self._place), dtype=np.bool_)
        self._values: Float32Array = np.empty((0, 0), dtype=np.float32)

    def put(self, keys: Iterable[bytes], values: np.ndarray) -> None:
        """Keep those rows that are asked for."""
        places = np.array([self._place.get(key, -1) for key in keys], dtype=np.int64)
        asked = places >= 0
        if not asked.any():
            return
        if not self._values.size:
            self._values = np.empty((len(self._place), values.shape[1]), dtype=np.float32)
        self._values[places[asked]] = values[asked]
        self._filled[places[asked]] = True

    def missing(self) -> list[int]:
        """Positions of the keys, each once, that have no row yet."""
        first = np.unique(self._of_key, return_index=True)[1]
        return [int(index) for index in first[~self._filled]]

    def every(self) -> Float32Array:
        """One row per key; a copy only where a key stands more than once."""
        if len(self._place) == len(self._of_key):
            return self._values
        return self._values[self._of_key]


def _store(folder: str, keys: list[bytes], rows: Float32Array) -> tuple[list[bytes], np.ndarray]:
    values = np.clip(rows, -LARGEST_HALF, LARGEST_HALF).astype(np.float16)
    joined = b"".join(keys)
    digests = np.frombuffer(joined, dtype=np.uint8).reshape(len(keys), DIGEST_BYTES)
    name = f"{folder}/{sha256(joined).hexdigest()[:24]}.shard"
    storage_write(name, save({"keys": digests.copy(), "values": values}))
    return keys, values


def _shards(folder: str) -> Iterator[tuple[list[bytes], np.ndarray]]:
    for name in storage_names(folder, ".shard"):
        shard = load(storage_read(name))
        yield [bytes(key) for key in shard["keys"]], shard["values"]

"""What rows are written into: JSON lines, one JSON array, gzip, Parquet, a datasets folder.

Each turns a stream of rows into a stream of bytes; at most one batch is in memory. The same rows
give the same bytes.
"""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, cast

from annotate.formats.columns import BOOL, FLOAT, FLOATS, INT, INTS, JSON, MESSAGES, STRINGS
from annotate.formats.json_lines import dump_json

BLOCK_BYTES = 65_536
BATCH_ROWS = 2_000
EPOCH = (1980, 1, 1, 0, 0, 0)
Rows = Iterator[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Contents:
    """Rows with the types of their columns, and what a folder says about them."""

    rows: Rows
    fields: Mapping[str, str]
    card: Callable[[], str]
    manifest: Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Container:
    """A kind of file; ``is_typed`` ones need typed columns, ``has_card`` ones describe the rows."""

    name: str
    title: str
    extension: str
    content_type: str
    write: Callable[[Contents], Iterator[bytes]]
    is_typed: bool = False
    has_card: bool = False


def in_blocks(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Join small pieces into blocks."""
    block = bytearray()
    for line in lines:
        block += line
        if len(block) >= BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def json_lines(rows: Rows) -> Iterator[bytes]:
    """One row per line."""
    for row in rows:
        yield dump_json(row) + b"\n"


def _array(contents: Contents) -> Iterator[bytes]:
    lead = b"[\n"
    for row in contents.rows:
        yield lead + dump_json(row)
        lead = b",\n"
    yield b"[]\n" if lead == b"[\n" else b"\n]\n"


def packed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Pack with gzip; without a time in its head the same bytes come out every time."""
    packer = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    for block in blocks:
        yield packer.compress(block)
    yield packer.flush()


class _Pipe(io.RawIOBase):
    """A file that is read out while it is written."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        block = bytes(data)
        self._held.append(block)
        self._place += len(block)
        return len(block)

    def tell(self) -> int:
        return self._place

    def taken(self) -> bytes:
        """What was written since this was last asked."""
        held, self._held = b"".join(self._held), []
        return held


def parquet(contents: Contents) -> Iterator[bytes]:
    """Row groups of a Parquet file, one in memory at a time."""
    # Only these exports need the library, and it is slow to load.
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, _arrow_type(pa, kind)) for name, kind in contents.fields.items()])
    as_text = [name for name, kind in contents.fields.items() if kind == JSON]
    pipe = _Pipe()
    with pq.ParquetWriter(cast(BinaryIO, pipe), schema, compression="zstd") as writer:
        rows = contents.rows
        while batch := list(islice(rows, BATCH_ROWS)):
            for row in batch:
                for name in as_text:
                    row[name] = dump_json(row[name]).decode()
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema))
            yield pipe.taken()
    yield pipe.taken()


def _arrow_type(pa: Any, kind: str) -> Any:
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    types = {
        BOOL: pa.bool_(), FLOAT: pa.float64(), INT: pa.int64(), STRINGS: pa.list_(pa.string()),
        FLOATS: pa.list_(pa.float64()), INTS: pa.list_(pa.int64()), MESSAGES: pa.list_(message),
    }  # fmt: skip
    return types.get(kind, pa.string())


def folder(contents: Contents) -> Iterator[bytes]:
    """A zip of a folder that `datasets` loads: the rows, a card, and the version's manifest."""
    pipe = _Pipe()
    with zipfile.ZipFile(cast(BinaryIO, pipe), "w", zipfile.ZIP_STORED) as archive:
        with archive.open(_entry("data/train.parquet"), "w", force_zip64=True) as entry:
            for block in parquet(contents):
                entry.write(block)
                yield pipe.taken()
        manifest = dump_json(contents.manifest(), sort_keys=True) + b"\n"
        archive.writestr(_entry("manifest.json"), manifest)
        archive.writestr(_entry("README.md"), contents.card())
    yield pipe.taken()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.external_attr = 0o644 << 16
    return entry


CONTAINERS: dict[str, Container] = {
    container.name: container
    for container in (
        Container(
            "jsonl", "JSON lines", "jsonl", "application/x-ndjson",
            lambda contents: in_blocks(json_lines(contents.rows)),
        ),
        Container(
            "jsonl.gz", "JSON lines, gzip", "jsonl.gz", "application/gzip",
            lambda contents: packed(in_blocks(json_lines(contents.rows))),
        ),
        Container(
            "json", "One JSON array", "json", "application/json",
            lambda contents: in_blocks(_array(contents)),
        ),
        Container(
            "parquet", "Parquet", "parquet", "application/vnd.apache.parquet", parquet,
            is_typed=True,
        ),
        Container(
            "datasets", "Hugging Face datasets folder (zip)", "zip", "application/zip", folder,
            is_typed=True, has_card=True,
        ),
    )
}  # fmt: skip

__all__ = ["CONTAINERS", "Container", "Contents", "in_blocks", "packed"]

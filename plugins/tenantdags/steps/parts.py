"""Parquet parts: written, rolled over by size, and hashed on the way to disk."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tenantdags.steps.manifest import Part

PART_ROWS = 1_000_000
PART_BYTES = 256 * 1024 * 1024
# Measured on 13 columns: pages of 256 KB take 8 MB more than these, row groups of 100,000 take 35 MB more.
ROW_GROUP_ROWS = 20_000
ROW_GROUP_BYTES = 32 * 1024 * 1024  # in memory, where rows are wide
PAGE_BYTES = 32 * 1024


class HashingFile:
    """The part of a binary file that pyarrow writes to, hashing what passes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash, self.bytes = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        self._hash.update(view)
        self.bytes += view.nbytes
        return self._file.write(view)

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class PartWriter:
    """`write` batches, then `finish`: the parts, in order. Without a row there is no part."""

    def __init__(self, folder: Path, schema: pa.Schema, rows: int = PART_ROWS, size: int = PART_BYTES) -> None:
        self._folder, self._schema, self._most_rows, self._most_bytes = folder, schema, rows, size
        self._held: list[pa.RecordBatch] = []
        self._open: _OpenPart | None = None
        self._parts: list[Part] = []

    def write(self, batch: pa.RecordBatch) -> None:
        self._held.append(batch)
        enough = sum(b.num_rows for b in self._held) >= min(ROW_GROUP_ROWS, self._most_rows)
        if enough or sum(b.nbytes for b in self._held) >= ROW_GROUP_BYTES:
            self._row_group()

    def finish(self) -> tuple[Part, ...]:
        self._row_group()
        self._close_part()
        return tuple(self._parts)

    def _row_group(self) -> None:
        if not self._held:
            return
        if self._open is None:
            self._open = _OpenPart(self._folder / f"part-{len(self._parts):05}.parquet", self._schema)
        self._open.append(pa.Table.from_batches(self._held, self._schema))
        self._held = []
        if self._open.rows >= self._most_rows or self._open.sink.bytes >= self._most_bytes:
            self._close_part()

    def _close_part(self) -> None:
        if self._open is not None:
            self._parts.append(self._open.close())
            self._open = None


class _OpenPart:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self.rows = path, 0
        self.sink = HashingFile(path.open("xb"))
        self._writer = pq.ParquetWriter(
            self.sink,
            schema,
            version="2.6",
            compression="zstd",
            # zstd sees the repeats by itself: on 12 mixed columns dictionaries took twice the CPU and twice the bytes.
            use_dictionary=False,
            write_statistics=False,  # a sixth of the writer's CPU; every reader of a part reads it whole
            data_page_size=PAGE_BYTES,
        )

    def append(self, table: pa.Table) -> None:
        self._writer.write_table(table)
        self.rows += table.num_rows

    def close(self) -> Part:
        self._writer.close()
        self.sink.close()
        return Part(name=self._path.name, rows=self.rows, bytes=self.sink.bytes, sha256=self.sink.hexdigest())

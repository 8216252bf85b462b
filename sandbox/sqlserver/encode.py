"""Arrow batches into TDS ROW tokens, a column at a time: no Python loop ever sees a row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sandbox.sqlserver.sqltypes import BINARIES, DECIMALS, MAX, WIDE, SqlType, decimal_bytes, time_bytes

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

DAY_US: Final = 86_400_000_000
DAY_TICKS: Final = 864_000_000_000
DAYS_TO_1970: Final = 719_162  # from 0001-01-01
DAYS_1900_TO_1970: Final = 25_567
PLP_NULL: Final = b"\xff" * 8


@dataclass(frozen=True, slots=True)
class Fixed:
    """Cells of one width, their length byte included; null marks the rows that are NULL (one zero byte)."""

    cells: Bytes
    null: npt.NDArray[np.bool_] | None

    def sizes(self) -> Ints:
        width = self.cells.shape[1]
        if self.null is None:
            return np.full(len(self.cells), width, dtype=np.int64)
        return np.where(self.null, 1, width)

    def write(self, out: Bytes, at: Ints) -> None:
        if self.null is None:
            _scatter(out, at, self.cells)
            return
        out[at[self.null]] = 0
        _scatter(out, at[~self.null], self.cells[~self.null])


@dataclass(frozen=True, slots=True)
class Varying:
    """Cells of differing length: `flat[starts:starts+lengths]`, as USHORTLEN or, when plp, in one PLP chunk."""

    flat: Bytes
    starts: Ints
    lengths: Ints
    null: npt.NDArray[np.bool_] | None
    plp: bool

    def sizes(self) -> Ints:
        # A PLP value is its total (8), one chunk length (4), the chunk and a terminator (4); an empty one has no chunk.
        sizes = np.where(self.lengths > 0, self.lengths + 16, 12) if self.plp else self.lengths + 2
        return sizes if self.null is None else np.where(self.null, 8 if self.plp else 2, sizes)

    def write(self, out: Bytes, at: Ints) -> None:
        present = np.arange(len(at)) if self.null is None else np.flatnonzero(~self.null)
        if self.null is not None:
            missing = at[self.null]
            _scatter(out, missing, np.full((len(missing), 8 if self.plp else 2), 0xFF, dtype=np.uint8))
        lengths, starts, at = self.lengths[present], self.starts[present], at[present]
        if self.plp:
            self._write_plp(out, at, lengths)
            at = at + 12
        else:
            _scatter(out, at, _raw(lengths, "<u2"))
            at = at + 2
        _copy(out, at, self.flat, starts, lengths)

    def _write_plp(self, out: Bytes, at: Ints, lengths: Ints) -> None:
        _scatter(out, at, _raw(lengths, "<u8"))
        _scatter(out, at + 8, _raw(lengths, "<u4"))
        filled = lengths > 0
        ends = at[filled] + 12 + lengths[filled]
        _scatter(out, ends, np.zeros((len(ends), 4), dtype=np.uint8))


Cells = Fixed | Varying


def _raw(values: npt.NDArray[Any], kind: str) -> Bytes:
    """The little-endian bytes of each value, one row per value."""
    wide = values.reshape(len(values), -1 if len(values) else 1)
    return np.ascontiguousarray(wide.astype(kind)).view(np.uint8)


def _windows(buffer: Bytes, width: int) -> npt.NDArray[np.void]:
    """Every run of `width` bytes in the buffer, addressed by where it begins."""
    return np.ndarray((max(buffer.size - width + 1, 0),), dtype=f"V{width}", buffer=buffer, strides=(1,))


def _scatter(out: Bytes, at: Ints, cells: Bytes) -> None:
    width = cells.shape[1]
    if len(at) and width:
        _windows(out, width)[at] = np.ascontiguousarray(cells).view(f"V{width}").ravel()


def _copy(out: Bytes, at: Ints, flat: Bytes, starts: Ints, lengths: Ints) -> None:
    """Copy ragged runs. One move per distinct length: texts of a column have few, and rows are many."""
    order = np.argsort(lengths, kind="stable")
    sorted_lengths = lengths[order]
    edges = np.flatnonzero(np.diff(sorted_lengths)) + 1
    for rows in np.split(order, edges) if len(order) else []:
        length = int(lengths[rows[0]])
        if length:
            _windows(out, length)[at[rows]] = _windows(flat, length)[starts[rows]]


def _nulls(array: pa.Array) -> npt.NDArray[np.bool_] | None:
    if array.null_count == 0:
        return None
    valid = np.unpackbits(np.frombuffer(array.buffers()[0], dtype=np.uint8), bitorder="little")
    missing: npt.NDArray[np.bool_] = valid[array.offset : array.offset + len(array)] == 0
    return missing


def _values(array: pa.Array, kind: str) -> npt.NDArray[Any]:
    """The value buffer as numbers; NULL rows hold whatever the buffer holds."""
    data = array.buffers()[1]
    return np.frombuffer(data, dtype=kind)[array.offset : array.offset + len(array)]


def _numbers(width: int, kind: str) -> Callable[[pa.Array], Cells]:
    def encode(array: pa.Array) -> Cells:
        return _sized(width, _raw(_values(array, kind), kind), array)

    return encode


def _sized(width: int, data: Bytes, array: pa.Array) -> Fixed:
    prefix = np.full((len(data), 1), width, dtype=np.uint8)
    return Fixed(np.concatenate((prefix, data), axis=1), _nulls(array))


def _bits(array: pa.Array) -> Cells:
    packed = np.frombuffer(array.buffers()[1], dtype=np.uint8)
    bits = np.unpackbits(packed, bitorder="little")[array.offset : array.offset + len(array)]
    return _sized(1, bits.reshape(-1, 1), array)


def _magnitude(array: pa.Array) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint64]]:
    """Sign and absolute value of 128-bit decimals, as (low, high) pairs."""
    words = _values(array, "V16").view("<u8").reshape(-1, 2)
    low, high = words[:, 0], words[:, 1]
    negative = (high >> np.uint64(63)).astype(np.bool_)
    flipped = ~low + np.uint64(1)
    carried = ~high + (flipped == 0)
    return negative, np.stack((np.where(negative, flipped, low), np.where(negative, carried, high)), axis=1)


def _decimals(kind: SqlType) -> Callable[[pa.Array], Cells]:
    width = decimal_bytes(kind.precision)

    def encode(array: pa.Array) -> Cells:
        negative, words = _magnitude(array)
        sign = np.where(negative, 0, 1).astype(np.uint8).reshape(-1, 1)
        data = np.concatenate((sign, _raw(words, "<u8")[:, : width - 1]), axis=1)
        return _sized(width, data, array)

    return encode


def _money(array: pa.Array) -> Cells:
    value = _values(array, "V16").view("<i8").reshape(-1, 2)[:, 0]
    halves = np.concatenate((_raw(value >> 32, "<i4"), _raw(value & 0xFFFFFFFF, "<u4")), axis=1)
    return _sized(8, halves, array)


def _smallmoney(array: pa.Array) -> Cells:
    return _sized(4, _raw(_values(array, "V16").view("<i8").reshape(-1, 2)[:, 0], "<i4"), array)


def _dates(array: pa.Array) -> Cells:
    days = _values(array, "<i4").astype(np.int64) + DAYS_TO_1970
    return _sized(3, _raw(days, "<i8")[:, :3], array)


def _split_us(array: pa.Array) -> tuple[Ints, Ints]:
    """Days since 1970 and microseconds of the day."""
    value = _values(array, "<i8")
    days = value // DAY_US
    return days, value - days * DAY_US


def _times(kind: SqlType) -> Callable[[pa.Array], Cells]:
    width, divisor = time_bytes(kind.scale), 1 if kind.scale == 7 else 10 ** (6 - kind.scale)

    def encode(array: pa.Array) -> Cells:
        return _sized(width, _raw(_values(array, "<i8") // divisor, "<i8")[:, :width], array)

    return encode


def _datetime2(kind: SqlType) -> Callable[[pa.Array], Cells]:
    width, divisor = time_bytes(kind.scale), 10 ** (6 - min(kind.scale, 6))

    def encode(array: pa.Array) -> Cells:
        if kind.scale == 7:
            ticks = _values(array, "<i8")
            days, clock = ticks // DAY_TICKS, ticks % DAY_TICKS
        else:
            days, micros = _split_us(array)
            days, clock = days + DAYS_TO_1970, micros // divisor
        data = np.concatenate((_raw(clock, "<i8")[:, :width], _raw(days, "<i8")[:, :3]), axis=1)
        return _sized(width + 3, data, array)

    return encode


def _datetimeoffset(kind: SqlType) -> Callable[[pa.Array], Cells]:
    width, divisor = time_bytes(kind.scale), 10 ** (7 - kind.scale)

    def encode(array: pa.Array) -> Cells:
        ticks, offset = (_values(array.field(name), dtype) for name, dtype in (("t", "<i8"), ("o", "<i2")))
        clock, days = ticks % DAY_TICKS // divisor, ticks // DAY_TICKS
        parts = (_raw(clock, "<i8")[:, :width], _raw(days, "<i8")[:, :3], _raw(offset, "<i2"))
        return _sized(width + 5, np.concatenate(parts, axis=1), array)

    return encode


def _datetime(array: pa.Array) -> Cells:
    days, micros = _split_us(array)
    clock = (micros * 3 + 5000) // 10000  # in 1/300 s
    return _sized(8, np.concatenate((_raw(days + DAYS_1900_TO_1970, "<i4"), _raw(clock, "<u4")), axis=1), array)


def _smalldatetime(array: pa.Array) -> Cells:
    days, micros = _split_us(array)
    minutes = micros // 60_000_000
    return _sized(4, np.concatenate((_raw(days + DAYS_1900_TO_1970, "<u2"), _raw(minutes, "<u2")), axis=1), array)


# Where the 16 bytes of a uniqueidentifier stand in its text form (its first three groups are little-endian).
_GUID_ORDER: Final = (6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34)


_NO_GUID: Final = "00000000-0000-0000-0000-000000000000"


def _guids(array: pa.Array) -> Cells:
    flat, starts, _ = _ragged(array.fill_null(_NO_GUID) if array.null_count else array)
    digits = flat[starts[:, None] + np.arange(36)] if len(starts) else np.zeros((0, 36), dtype=np.uint8)
    nibbles = np.where(digits >= ord("a"), digits - ord("a") + 10, digits - ord("0")).astype(np.uint8)
    places = np.array(_GUID_ORDER)
    joined: Bytes = (nibbles[:, places] * 16 + nibbles[:, places + 1]).astype(np.uint8)
    return _sized(16, joined, array)


def _ragged(array: pa.Array) -> tuple[Bytes, Ints, Ints]:
    """Data, where each value starts in it, and how long it is."""
    offsets = np.frombuffer(array.buffers()[1], dtype="<i4")[array.offset : array.offset + len(array) + 1]
    edges = offsets.astype(np.int64)
    data = array.buffers()[2]
    flat = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    return flat, edges[:-1], np.diff(edges)


def _texts(kind: SqlType) -> Callable[[pa.Array], Cells]:
    wide, plp = kind.name in WIDE or kind.name == "xml", kind.length == MAX or kind.name == "xml"

    def encode(array: pa.Array) -> Cells:
        flat, starts, lengths = _ragged(array)
        used = flat[starts[0] : starts[-1] + lengths[-1]] if len(starts) else flat[:0]
        starts = starts - (starts[0] if len(starts) else 0)
        if used.size and used.max() >= 0x80:
            flat, starts, lengths = _recoded(used, starts, lengths, wide)
        elif wide:
            flat, starts, lengths = used.astype("<u2").view(np.uint8), starts * 2, lengths * 2
        else:
            flat = used
        return Varying(flat, starts, lengths, _nulls(array), plp)

    return encode


def _recoded(flat: Bytes, starts: Ints, lengths: Ints, wide: bool) -> tuple[Bytes, Ints, Ints]:
    """UTF-8 as UTF-16 or code page 1252, where what the page lacks becomes '?', as SQL Server stores it."""
    units = ((flat & 0xC0) != 0x80).astype(np.int64)
    if wide:
        units += flat >= 0xF0
    edges = np.concatenate(([0], np.cumsum(units)))
    first, last = edges[starts], edges[starts + lengths]
    decoded = flat.tobytes().decode()
    data = decoded.encode("utf-16-le") if wide else decoded.encode("cp1252", errors="replace")
    width = 2 if wide else 1
    return np.frombuffer(data, dtype=np.uint8), first * width, (last - first) * width


def _binaries(kind: SqlType) -> Callable[[pa.Array], Cells]:
    def encode(array: pa.Array) -> Cells:
        flat, starts, lengths = _ragged(array)
        return Varying(flat, starts, lengths, _nulls(array), kind.length == MAX)

    return encode


_SIMPLE: Final[dict[str, Callable[[pa.Array], Cells]]] = {
    "bit": _bits, "tinyint": _numbers(1, "<u1"), "smallint": _numbers(2, "<i2"), "int": _numbers(4, "<i4"),
    "bigint": _numbers(8, "<i8"), "real": _numbers(4, "<f4"), "float": _numbers(8, "<f8"), "money": _money,
    "smallmoney": _smallmoney, "date": _dates, "datetime": _datetime, "smalldatetime": _smalldatetime,
    "uniqueidentifier": _guids,
}  # fmt: skip
_SCALED: Final[dict[str, Callable[[SqlType], Callable[[pa.Array], Cells]]]] = {
    "time": _times, "datetime2": _datetime2, "datetimeoffset": _datetimeoffset,
}  # fmt: skip


def encoder(kind: SqlType) -> Callable[[pa.Array], Cells]:
    """The function that turns Arrow values of the type's storage into TDS cells."""
    if kind.name in _SIMPLE:
        return _SIMPLE[kind.name]
    if kind.name in _SCALED:
        return _SCALED[kind.name](kind)
    if kind.name in DECIMALS:
        return _decimals(kind)
    return _binaries(kind) if kind.name in BINARIES else _texts(kind)


ROW: Final = 0xD1


def rows(batch: pa.RecordBatch, encoders: Sequence[Callable[[pa.Array], Cells]]) -> tuple[Bytes, Ints]:
    """The batch as ROW tokens, and where each row ends."""
    count = batch.num_rows
    token = Fixed(np.full((count, 1), ROW, dtype=np.uint8), None)
    columns = _joined([token, *(encode(column) for encode, column in zip(encoders, batch.columns, strict=True))])
    sizes = [column.sizes() for column in columns]
    ends = np.cumsum(sum(sizes[1:], start=sizes[0]))
    out = np.empty(int(ends[-1]) if count else 0, dtype=np.uint8)
    at = np.concatenate(([0], ends[:-1])) if count else ends
    for column, size in zip(columns, sizes, strict=True):
        column.write(out, at)
        at = at + size
    return out, ends


def _joined(columns: Sequence[Cells]) -> list[Cells]:
    """Neighbouring columns without NULLs become one block, written in one move."""
    joined: list[Cells] = []
    for whole, group in groupby(columns, key=_is_whole):
        members = list(group)
        if whole:
            blocks = [member.cells for member in members if isinstance(member, Fixed)]
            joined.append(Fixed(np.concatenate(blocks, axis=1), None))
        else:
            joined += members
    return joined


def _is_whole(column: Cells) -> bool:
    return isinstance(column, Fixed) and column.null is None

"""Dumps of the agent system of any size, the same spans as protobuf and as JSON, seeded and quick.

A few hundred requests are encoded once, with a gap for every value that differs; numpy fills the
gaps of many copies at a time. Ids are distinct over the whole dump, times follow a log-normal.
"""

import gzip
import random
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from agent_encoding import WIDTHS, as_json, as_protobuf
from agent_traces import LARGEST, SERVICES, SMALLEST, Kind, Slot, Slots, resource, trace

SPANS_A_REQUEST = 125
TRACES_A_REQUEST = 11
TEMPLATES = 200
SEED = 20_260
_COPIES = 4  # requests filled at a time
_START_NS = 1_767_225_600_000_000_000
_REQUEST_NS = 40_000_000_000  # traces of a request lie within this; the next request follows
# Ids of traces and of spans are drawn apart.
_SALTS = {Kind.TRACE: 1 << 58, Kind.SPAN: 2 << 58}

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]


class Encoding(StrEnum):
    """Length-prefixed protobuf, or JSON lines as the collector writes them."""

    PROTOBUF = "binpb"
    JSON = "jsonl"


@dataclass(frozen=True)
class _Time:
    trace: int
    start: float  # shares of the trace's duration
    share: float


@dataclass(frozen=True)
class _Template:
    data: Bytes
    gaps: dict[Kind, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]  # places, numbers
    times: list[_Time]


def write(path: Path, encoding: Encoding, spans: int, *, is_long: bool = False) -> Path:
    """Write `spans` spans, a multiple of `SPANS_A_REQUEST`, unless the file is there.

    Both encodings hold the same spans in the same order. `is_long` adds prompts and answers of 2
    to 8 KB. A name that ends in `.gz` is the plain dump beside it, compressed.

    Raises:
        ValueError: where the spans do not fill whole requests.
    """
    if spans % SPANS_A_REQUEST:
        raise ValueError(f"{spans:,} is not a multiple of {SPANS_A_REQUEST}")
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    if path.suffix == ".gz":
        plain = write(path.with_suffix(""), encoding, spans, is_long=is_long)
        with plain.open("rb") as source, gzip.open(unfinished, "wb", 6) as out:
            shutil.copyfileobj(source, out, 1 << 20)
    else:
        with unfinished.open("wb") as out:
            _write(out, encoding, spans // SPANS_A_REQUEST, is_long=is_long)
    unfinished.rename(path)
    return path


def _write(out: BinaryIO, encoding: Encoding, requests: int, *, is_long: bool) -> None:
    needed = range(min(TEMPLATES, -(-requests // _COPIES)))
    templates = [_template(number, encoding, is_long=is_long) for number in needed]
    done = 0
    while done < requests:
        template = templates[done // _COPIES % len(templates)]
        copies = min(_COPIES, requests - done)
        out.write(_filled(template, encoding, done, copies).data)
        done += copies


def _filled(template: _Template, encoding: Encoding, first: int, copies: int) -> Bytes:
    """Return requests `first` to `first + copies` as one array of a row each."""
    rows = np.repeat(template.data[None, :], copies, axis=0)
    requests = np.arange(first, first + copies, dtype=np.uint64)[:, None] << np.uint64(20)
    times = _times(template, first, copies)
    for kind, (places, numbers) in template.gaps.items():
        words = (
            times[:, numbers]
            if kind is Kind.TIME
            else _mixed(requests + numbers.astype(np.uint64) + np.uint64(_SALTS.get(kind, 0)))
        )
        cells = _CELLS[encoding, kind](words)
        width = cells.shape[2]
        rows[:, (places[:, None] + np.arange(width)).ravel()] = cells.reshape(copies, -1)
    return rows


def _mixed(words: Words) -> Words:
    """Return splitmix64 of the words: one to one, so distinct words stay distinct."""
    words = words + np.uint64(SEED * 0x9E3779B97F4A7C15 % 2**64)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _times(template: _Template, first: int, copies: int) -> Words:
    rng = np.random.default_rng([SEED, first])
    size = (copies, TRACES_A_REQUEST)
    offset = rng.integers(0, _REQUEST_NS, size)
    duration = rng.lognormal(np.log(4e9), 0.9, size)
    starts = _START_NS + np.arange(first, first + copies)[:, None] * _REQUEST_NS + offset
    of = np.array([time.trace for time in template.times])
    start = np.array([time.start for time in template.times])
    share = np.array([time.share for time in template.times])
    # A start has no share of its own; an end moves, but not beyond the trace's.
    moved = share * np.minimum(
        rng.lognormal(0, 0.3, (copies, len(of))), (1 - start) / np.where(share > 0, share, 1)
    )
    after = ((start + moved) * duration[:, of]).astype(np.int64)
    times: Words = (starts[:, of] + after).astype(np.uint64)
    return times


def _little_endian(words: Words) -> Bytes:
    return words.astype("<u8")[..., None].view(np.uint8)


def _hex(words: Words) -> Bytes:
    nibbles = (words[..., None] >> np.arange(60, -4, -4, dtype=np.uint64)) & np.uint64(15)
    return np.frombuffer(b"0123456789abcdef", np.uint8)[nibbles]


def _decimal(words: Words, digits: int) -> Bytes:
    powers = np.array([10**power for power in range(digits - 1, -1, -1)], dtype=np.uint64)
    return (words[..., None] // powers % np.uint64(10) + np.uint64(48)).astype(np.uint8)


def _integer(words: Words) -> Words:
    return np.uint64(1_000) + words % np.uint64(9_000)


def _hundred_thousandths(words: Words) -> Words:
    # The last digit is never 0: writers of JSON leave it out.
    return np.uint64(1_001) + words % np.uint64(899) * np.uint64(10)


def _varint(words: Words) -> Bytes:
    return np.stack([words & np.uint64(127) | np.uint64(128), words >> np.uint64(7)], -1).astype(
        np.uint8
    )


def _with_zero(digits: Bytes) -> Bytes:
    start = np.broadcast_to(np.frombuffer(b"0.0", np.uint8), (*digits.shape[:-1], 3))
    return np.concatenate([start, digits], axis=-1)


def _second(words: Words) -> Words:
    return _mixed(~words)


_CELLS = {
    (Encoding.PROTOBUF, Kind.TRACE): lambda words: np.concatenate(
        [_little_endian(each.byteswap()) for each in (words, _second(words))], axis=-1
    ),
    (Encoding.JSON, Kind.TRACE): lambda words: np.concatenate(
        [_hex(words), _hex(_second(words))], axis=-1
    ),
    (Encoding.PROTOBUF, Kind.SPAN): lambda words: _little_endian(words.byteswap()),
    (Encoding.JSON, Kind.SPAN): _hex,
    (Encoding.PROTOBUF, Kind.TIME): _little_endian,
    (Encoding.JSON, Kind.TIME): lambda words: _decimal(words, 19),
    (Encoding.PROTOBUF, Kind.INTEGER): lambda words: _varint(_integer(words)),
    (Encoding.JSON, Kind.INTEGER): lambda words: _decimal(_integer(words), 4),
    (Encoding.PROTOBUF, Kind.DOUBLE): lambda words: _little_endian(
        (_hundred_thousandths(words) / 1e5).view(np.uint64)
    ),
    (Encoding.JSON, Kind.DOUBLE): lambda words: _with_zero(
        _decimal(_hundred_thousandths(words), 4)
    ),
    **dict.fromkeys(
        [(encoding, Kind.DIGITS) for encoding in Encoding], lambda words: _decimal(words, 8)
    ),
    **dict.fromkeys([(encoding, Kind.HEX) for encoding in Encoding], _hex),
}


def _template(number: int, encoding: Encoding, *, is_long: bool) -> _Template:
    draw = random.Random(f"{SEED} {number} {is_long}")
    slots = Slots()
    traces = [trace(draw, slots, size, is_long=is_long) for size in _sizes(draw)]
    resources = {service: resource(service, draw) for service in SERVICES}
    is_json = encoding is Encoding.JSON
    gaps: dict[Kind, list[tuple[int, int]]] = {}
    joined = bytearray()
    for piece in (as_json if is_json else as_protobuf)(traces, resources):
        if isinstance(piece, Slot):
            gaps.setdefault(piece.kind, []).append((len(joined), piece.number))
            joined += bytes(WIDTHS[piece.kind][is_json])
        else:
            joined += piece
    times = [
        each
        for of, spans in enumerate(traces)
        for span in spans
        for each in (
            _Time(of, span.start, 0.0),
            _Time(of, span.start, span.end - span.start),
        )
    ]
    return _Template(
        np.frombuffer(joined, np.uint8),
        {kind: tuple(np.array(found, np.int64).T) for kind, found in gaps.items()},
        times,
    )


def _sizes(draw: random.Random) -> list[int]:
    sizes = [draw.randint(SMALLEST, LARGEST) for _ in range(TRACES_A_REQUEST)]
    while sum(sizes) != SPANS_A_REQUEST:
        place = draw.randrange(TRACES_A_REQUEST)
        step = 1 if sum(sizes) < SPANS_A_REQUEST else -1
        sizes[place] = min(max(sizes[place] + step, SMALLEST), LARGEST)
    return sizes

"""A hash of everything a span says, equal for identical copies whatever encoding brought them."""

from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.attributes import Attributes

Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_NULL = np.uint64(0x2545F4914F6CDD1D)

# Below this, hashing 8 bytes at a time over all texts at once is faster than a call for each.
_LONG_BYTES = 2_048
_SLAB_WORDS = 1 << 15  # what is hashed at a time stays in the processor's cache
_TAILS = np.array([(1 << 8 * size) - 1 for size in range(9)], dtype=np.uint64)


def mix(words: Words) -> Words:
    """Return the words scrambled so that close inputs end far apart (splitmix64)."""
    words = words + _STEP
    words ^= words >> np.uint64(30)
    words *= _FIRST
    words ^= words >> np.uint64(27)
    words *= _SECOND
    words ^= words >> np.uint64(31)
    return words


def chain(*parts: Words) -> Words:
    """Return one word a row over all parts, each in its place."""
    result = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        result = mix(result ^ part)
    return result


def of_texts(array: pa.StringArray) -> Words:
    """Return a word for each text, of its bytes alone; null and empty text are one."""
    if array.null_count:
        array = pc.fill_null(array, "")
    size = len(array)
    _, offsets_buffer, data = array.buffers()
    if not size or data is None or not data.size:
        return mix(np.zeros(size, dtype=np.uint64))
    edges = np.frombuffer(offsets_buffer, dtype=np.int32)[array.offset : array.offset + size + 1]
    offsets = edges.astype(np.int64)
    lengths = np.diff(offsets)
    result = mix(lengths.astype(np.uint64))
    long = np.flatnonzero(lengths > _LONG_BYTES)
    counts = (lengths + 7) >> 3
    counts[long] = 0
    ends = np.cumsum(counts)
    start = 0
    while start < size:
        done = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, done + _SLAB_WORDS, side="right")), start + 1)
        _add_words(result[start:stop], offsets[start : stop + 1], counts[start:stop], data)
        start = stop
    if len(long):
        whole = memoryview(data)
        digests = [
            int.from_bytes(blake2b(whole[first:last], digest_size=8).digest(), "little")
            for first, last in zip(offsets[long].tolist(), offsets[long + 1].tolist(), strict=True)
        ]
        result[long] = np.array(digests, dtype=np.uint64)
    return result


def _add_words(result: Words, offsets: Integers, counts: Integers, data: pa.Buffer) -> None:
    """Mix the texts between `offsets` into `result`; `counts` says how many words each has."""
    total = int(counts.sum())
    if not total:
        return
    first = int(offsets[0])
    piece = np.frombuffer(data, np.uint8, int(offsets[-1]) - first, first)
    padded = np.zeros(len(piece) + 8, dtype=np.uint8)
    padded[:-8] = piece
    # Every byte starts a word here, so a text's words can be picked wherever it lies.
    unaligned = np.ndarray((len(piece) + 1,), dtype="<u8", buffer=padded, strides=(1,))
    lengths = np.diff(offsets)
    filled = np.flatnonzero(counts)
    starts, sizes, more = offsets[filled] - first, lengths[filled], counts[filled] - 1
    words = unaligned[starts] & _TAILS[np.minimum(sizes, 8)]
    longer = np.flatnonzero(more)
    if len(longer):
        more, sizes = more[longer], sizes[longer]
        firsts = np.cumsum(more) - more
        place = np.arange(1, int(more.sum()) + 1) - np.repeat(firsts, more)
        rest = unaligned[np.repeat(starts[longer], more) + (place << 3)]
        rest[firsts + more - 1] &= _TAILS[sizes - (more << 3)]
        rest ^= place.astype(np.uint64) * _SECOND
        words[longer] = mix(words[longer]) + np.add.reduceat(mix(rest), firsts)
    result[filled] = mix(result[filled] ^ words)


def of_integers(values: Integers) -> Words:
    """Return a word for each number."""
    return mix(values.astype(np.uint64))


def of_attributes(attributes: Attributes) -> Words:
    """Return a word for the entries of each owner, the same in whichever order they came."""
    keys = mix(of_texts(pa.array(attributes.keys, pa.string())))
    words = of_texts(attributes.texts)
    words[-1] = _NULL
    of_entries = mix(keys[attributes.codes] ^ words[attributes.places])
    return mix(summed(of_entries, attributes.owners, attributes.size))


def summed(words: Words, owners: Integers, size: int) -> Words:
    """Return the sum of the words of each of `size` owners, sorted as they are."""
    sums = np.zeros(len(words) + 1, dtype=np.uint64)
    np.cumsum(words, out=sums[1:])
    starts = np.searchsorted(owners, np.arange(size + 1))
    of_owners: Words = sums[starts[1:]] - sums[starts[:-1]]
    return of_owners


def folded(words: Words) -> pa.Array:
    """Return 16 bits of each word: enough to tell two spans apart that share ids and times."""
    return pa.array((words >> np.uint64(48)).astype(np.int32))

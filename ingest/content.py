"""A hash of everything a span says, equal for identical copies whatever encoding brought them."""

from hashlib import blake2b
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.attributes import Attributes

Words = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(words: Words) -> Words:
    """Return the words scrambled so that close inputs end far apart (splitmix64)."""
    words = words + _STEP
    words = (words ^ (words >> np.uint64(30))) * _FIRST
    words = (words ^ (words >> np.uint64(27))) * _SECOND
    return words ^ (words >> np.uint64(31))


def chain(*parts: Words) -> Words:
    """Return one word a row over all parts, each in its place."""
    result = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        result = mix(result ^ part)
    return result


def of_texts(array: pa.Array) -> Words:
    """Return a word for each text; null and empty text are one."""
    encoded = pc.fill_null(array, "").dictionary_encode()
    words = np.array(
        [_word(text.encode()) for text in encoded.dictionary.to_pylist()], dtype=np.uint64
    )
    of_rows: Words = words[encoded.indices.to_numpy(zero_copy_only=False)]
    return of_rows


def of_integers(values: npt.NDArray[np.int64]) -> Words:
    """Return a word for each number."""
    return mix(values.astype(np.uint64))


def of_attributes(attributes: Attributes) -> Words:
    """Return a word for the entries of each owner, the same in whichever order they came."""
    keys = of_texts(pa.array(attributes.keys, pa.string()))
    values = attributes.values
    lengths = pc.fill_null(pc.binary_length(values), -1).to_numpy(zero_copy_only=False)
    entries = mix(keys[attributes.codes] ^ mix(lengths.astype(np.int64).astype(np.uint64)))
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(entries, dtype=np.uint64)])
    starts = attributes.starts()
    texts = pc.fill_null(values, "")
    # Entries are sorted by owner, so what one owner says lies in one piece of the buffer.
    buffers = texts.buffers()
    offsets = np.frombuffer(buffers[1], dtype=np.int32)[
        texts.offset : texts.offset + len(texts) + 1
    ]
    data = memoryview(buffers[2]) if buffers[2] is not None else memoryview(b"")
    edges = offsets[starts].tolist() if len(texts) else [0] * len(starts)
    words = [_word(data[a:b]) for a, b in pairwise(edges)]
    return mix(sums[starts[1:]] - sums[starts[:-1]]) ^ np.array(words, dtype=np.uint64)


def summed(words: Words, owners: npt.NDArray[np.int64], size: int) -> Words:
    """Return the sum of the words of each of `size` owners, sorted as they are."""
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(words, dtype=np.uint64)])
    starts = np.searchsorted(owners, np.arange(size + 1))
    of_owners: Words = sums[starts[1:]] - sums[starts[:-1]]
    return of_owners


def _word(data: bytes | memoryview) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def folded(words: Words) -> pa.Array:
    """Return 32 bits of each word: enough to tell two spans apart that already share their ids."""
    return pa.array((words >> np.uint64(32)).astype(np.uint32).view(np.int32))

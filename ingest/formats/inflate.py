"""Bytes of a dump as they were before compression, read a block at a time and bounded."""

from collections.abc import Iterator
from typing import BinaryIO

from ingest.errors import MalformedDump
from ingest.formats.compressions import DAMAGED, Compression, compression_of, inflated

BLOCK_BYTES = 1 << 18

# Telemetry shrinks 10 to 30 times, very repetitive dumps 100 times; a bomb shrinks 1,000 times.
MAX_RATIO = 250
# Below this the ratio says nothing: a small file of one repeated span is no danger.
RATIO_FREE_BYTES = 64 << 20
MAX_BYTES = 256 << 30
# A file may be packed by the exporter and once more by whoever kept it; no one packs thrice.
MAX_LAYERS = 2
# Enough to tell a compression by, and for a headerless one to show what it holds.
_HEAD_BYTES = 1 << 12


class Reader:
    """A dump as plain bytes: undoes up to two compressions, any number of members, and counts.

    `size` bounds what is read of `stream`, so that a dump still growing is read as it was hashed.
    `compression` names what was undone, the outermost first, and is empty for plain dumps;
    `is_cut` turns true where a compressed stream ends before its end, `is_damaged` where it breaks.
    """

    def __init__(self, stream: BinaryIO, *, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self.bytes_read = 0
        self.inflated = 0
        self.is_cut = False
        self.is_damaged = False
        self._stream = stream
        self._pending: list[bytes] = []
        self._pieces = self._raw()
        layers: list[str] = []
        while found := self._next_compression():
            if len(layers) == MAX_LAYERS:
                raise MalformedDump(
                    f"{name}: compressed more than twice ({', '.join([*layers, found.name])}).\n"
                    "Hint: inflate it once or twice yourself; we undo two compressions."
                )
            layers.append(found.name)
            # The next layer reads all of this one, what was peeked at included.
            self._pieces = self._undone(_chained(self._pending, self._pieces), found)
            self._pending = []
        self.compression = " in ".join(reversed(layers))

    def read(self, size: int = BLOCK_BYTES) -> bytes:
        """Return some plain content, usually about `size` bytes; empty at the end.

        Raises:
            MalformedDump: where the content inflates beyond reason.
        """
        if self._pending:
            block = self._pending.pop(0)
            if len(block) > size:
                self._pending.insert(0, block[size:])
                block = block[:size]
        else:
            block = next(self._pieces, b"")
        self.inflated += len(block)
        return block

    def peek(self, size: int) -> bytes:
        """Return up to `size` bytes from here without consuming them."""
        length = sum(map(len, self._pending))
        while length < size:
            block = next(self._pieces, b"")
            if not block:
                break
            self._pending.append(block)
            length += len(block)
        self._pending = [b"".join(self._pending)] if self._pending else []
        return self._pending[0][:size] if self._pending else b""

    def read_all(self, limit: int) -> bytes:
        """Return everything left.

        Raises:
            MalformedDump: where that is more than `limit` bytes.
        """
        blocks, length = [], 0
        while block := self.read():
            blocks.append(block)
            length += len(block)
            if length > limit:
                raise MalformedDump(
                    f"{self.name}: one document of more than {limit >> 20} MiB.\n"
                    "Hint: export one request per line, or length-prefixed protobuf, "
                    "which are read piece by piece."
                )
        return b"".join(blocks)

    def check_ratio(self, plain_bytes: int) -> None:
        """Refuse the dump where `plain_bytes` is beyond reason for what was read of it.

        Raises:
            MalformedDump: where it is.
        """
        if plain_bytes > RATIO_FREE_BYTES and plain_bytes > MAX_RATIO * max(self.bytes_read, 1):
            raise MalformedDump(
                f"{self.name}: inflates more than {MAX_RATIO} times and was stopped at "
                f"{plain_bytes >> 20} MiB; nothing of it was kept.\n"
                "Hint: this is how a decompression bomb looks; inflate it yourself if you trust it."
            )
        if plain_bytes > MAX_BYTES:
            raise MalformedDump(
                f"{self.name}: inflates to more than {MAX_BYTES >> 30} GiB.\nHint: split the dump."
            )

    def _next_compression(self) -> Compression | None:
        return compression_of(self.peek(_HEAD_BYTES))

    def _raw(self) -> Iterator[bytes]:
        while block := self._stream.read(min(BLOCK_BYTES, self.size - self.bytes_read)):
            self.bytes_read += len(block)
            yield block

    def _undone(self, pieces: Iterator[bytes], compression: Compression) -> Iterator[bytes]:
        plain_bytes = 0
        content = inflated(pieces, compression)
        try:
            while True:
                block = next(content)
                plain_bytes += len(block)
                self.check_ratio(plain_bytes)
                if block:
                    yield block
        except StopIteration as end:
            self.is_cut = self.is_cut or not end.value
        except DAMAGED:
            self.is_damaged = True


def _chained(first: list[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    yield from first
    yield from rest

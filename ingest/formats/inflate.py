"""Bytes of a dump as they were before compression, read a block at a time and bounded."""

import zlib
from typing import BinaryIO

from ingest.errors import MalformedDump

BLOCK_BYTES = 1 << 18

# Telemetry shrinks 10 to 30 times, very repetitive dumps 100 times; a bomb shrinks 1,000 times.
MAX_RATIO = 250
# Below this the ratio says nothing: a small file of one repeated span is no danger.
RATIO_FREE_BYTES = 64 << 20
MAX_BYTES = 256 << 30


class Reader:
    """A dump as plain bytes: inflates gzip (any number of members) and zlib, and counts.

    `size` bounds what is read of `stream`, so that a dump still growing is read as it was hashed.
    `is_cut` turns true where a compressed stream ends before its end.
    """

    def __init__(self, stream: BinaryIO, *, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self.bytes_read = 0
        self.inflated = 0
        self.is_cut = False
        self.is_damaged = False
        self._stream = stream
        self._pending = self._raw()
        self.compression = _compression(self._pending)
        self._inflater = zlib.decompressobj(wbits=47) if self.compression else None
        self._compressed = b""
        if self._inflater is not None:
            self._compressed, self._pending = self._pending, b""

    def read(self, size: int = BLOCK_BYTES) -> bytes:
        """Return about `size` bytes of plain content, at least one; empty at the end.

        Raises:
            MalformedDump: where the content inflates beyond reason.
        """
        if self._pending:
            block, self._pending = self._pending, b""
            self.inflated += len(block) if self._inflater is None else 0
            return block
        if self._inflater is None:
            block = self._raw()
            self.inflated += len(block)
            return block
        return self._inflate(size)

    def peek(self, size: int) -> bytes:
        """Return up to `size` bytes from here without consuming them."""
        blocks = [self._pending] if self._pending else []
        counted = self.inflated
        self._pending = b""
        length = sum(map(len, blocks))
        while length < size:
            block = self.read()
            if not block:
                break
            blocks.append(block)
            length += len(block)
        self._pending = b"".join(blocks)
        if self._inflater is None:
            self.inflated = counted
        return self._pending[:size]

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

    def _raw(self) -> bytes:
        block = self._stream.read(min(BLOCK_BYTES, self.size - self.bytes_read))
        self.bytes_read += len(block)
        return block

    def _inflate(self, size: int) -> bytes:
        while True:
            if self._inflater is None or self.is_cut or self.is_damaged:
                return b""
            if not self._compressed:
                self._compressed = self._raw()
            if not self._compressed:
                self.is_cut = not self._inflater.eof
                self._inflater = None
                return b""
            if self._inflater.eof:
                self._compressed = self._compressed.lstrip(b"\0")
                if not self._compressed:
                    continue
                self._inflater = zlib.decompressobj(wbits=47)
            try:
                block = self._inflater.decompress(self._compressed, size)
            except zlib.error:
                self.is_damaged = True
                return b""
            self._compressed = self._inflater.unconsumed_tail or self._inflater.unused_data
            self.inflated += len(block)
            self._check_bounds()
            if block:
                return block

    def _check_bounds(self) -> None:
        consumed = max(self.bytes_read - len(self._compressed), 1)
        ratio = self.inflated / consumed
        if self.inflated > RATIO_FREE_BYTES and ratio > MAX_RATIO:
            raise MalformedDump(
                f"{self.name}: inflates more than {MAX_RATIO} times and was stopped at "
                f"{self.inflated >> 20} MiB; nothing of it was kept.\n"
                "Hint: this is how a decompression bomb looks; inflate it yourself if you trust it."
            )
        if self.inflated > MAX_BYTES:
            raise MalformedDump(
                f"{self.name}: inflates to more than {MAX_BYTES >> 30} GiB.\nHint: split the dump."
            )


def _compression(head: bytes) -> str:
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    # zlib says so in two bytes that are a multiple of 31; no JSON or OTLP message starts with x.
    if head[:1] == b"\x78" and len(head) > 1 and (head[0] * 256 + head[1]) % 31 == 0:
        return "zlib"
    return ""

"""Compressions a dump may come in: how each is told apart and undone, in bounded pieces."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import zstandard

PIECE_BYTES = 1 << 18
# Four bytes of zstd may stand for 128 KiB, and the library has no bound on what one call returns.
_ZSTD_SLICE_BYTES = 1 << 11
_MAX_WINDOW_BYTES = 1 << 27
_LZMA_BYTES = 1 << 28

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = tuple(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))

# What the libraries raise for bytes that are not theirs.
DAMAGED = (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError, zstandard.ZstdError)


@dataclass(frozen=True)
class Compression:
    """A compression: its name, whether `head` is written in it, and how to undo it.

    `start` returns an inflater for one member or frame; `pieces(inflater, data)` yields what `data`
    inflates to, in bounded pieces, and returns the bytes after the member's end.
    """

    name: str
    matches: Callable[[bytes], bool]
    start: Callable[[], Any]
    pieces: Callable[[Any, bytes], Generator[bytes, None, bytes]]


def compression_of(head: bytes) -> Compression | None:
    """Return what `head`, the first bytes of a dump, is compressed with, if anything."""
    return next((each for each in COMPRESSIONS if each.matches(head)), None)


def inflated(pieces: Iterator[bytes], compression: Compression) -> Generator[bytes, None, bool]:
    """Yield the content of all members of `pieces`, and return whether the last one was whole.

    Raises:
        Exception: one of `DAMAGED` where the bytes are not what they seemed.
    """
    inflater = compression.start()
    for piece in pieces:
        data = piece
        while data:
            if inflater.eof:
                # Tapes and block devices pad with zeros.
                data = data.lstrip(b"\0")
                if not data:
                    break
                inflater = compression.start()
            data = yield from compression.pieces(inflater, data)
    return bool(inflater.eof)


def inflate_whole(data: bytes, *, limit: int) -> bytes:
    """Return what one zstd frame, or several in a row, inflate to.

    Raises:
        ValueError: where they are cut, damaged, or inflate to more than `limit` bytes.
    """
    content, length = [], 0
    pieces = inflated(iter([data]), _ZSTD)
    try:
        while True:
            piece = next(pieces)
            content.append(piece)
            length += len(piece)
            if length > limit:
                raise ValueError(f"it inflates to more than {limit >> 20} MiB")
    except StopIteration as end:
        if not end.value:
            raise ValueError("its zstd frame is cut") from end
    except zstandard.ZstdError as error:
        raise ValueError("its zstd frame is damaged") from error
    return b"".join(content)


def _zlib_pieces(inflater: Any, data: bytes) -> Generator[bytes, None, bytes]:
    while data and not inflater.eof:
        yield inflater.decompress(data, PIECE_BYTES)
        data = inflater.unconsumed_tail
    # A last copy may wait in the window although all input is taken.
    while not inflater.eof and (waiting := inflater.decompress(b"", PIECE_BYTES)):
        yield waiting
    return bytes(inflater.unused_data)


def _standard_pieces(inflater: Any, data: bytes) -> Generator[bytes, None, bytes]:
    yield inflater.decompress(data, PIECE_BYTES)
    while not inflater.eof and not inflater.needs_input:
        yield inflater.decompress(b"", PIECE_BYTES)
    return bytes(inflater.unused_data) if inflater.eof else b""


def _zstd_pieces(inflater: Any, data: bytes) -> Generator[bytes, None, bytes]:
    for at in range(0, len(data), _ZSTD_SLICE_BYTES):
        end = at + _ZSTD_SLICE_BYTES
        yield inflater.decompress(data[at:end])
        if inflater.eof:
            return bytes(inflater.unused_data) + data[end:]
    return b""


def _zstd() -> Any:
    return zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).decompressobj()


def _is_zlib(head: bytes) -> bool:
    # zlib says so in two bytes that are a multiple of 31; 8 is deflate, the only method there is.
    if len(head) < 2 or head[0] & 0x0F != 8 or head[0] > 0x78 or (head[0] << 8 | head[1]) % 31:
        return False
    return head[0] == 0x78 or bool(_try_inflating(head, 15))


def _is_deflate(head: bytes) -> bool:
    """Say whether `head` is deflate without a header: nothing tells but what it inflates to."""
    if not head or head[:1] in b" \t\r\n\xef" or head[:4] == b"\0\0\0\0":
        return False
    if head[:1] in b"{[" and head[1:].lstrip()[:1] in (b"", b'"', b"{", b"[", b"}", b"]"):
        return False
    content = _try_inflating(head, -15)
    start = content.lstrip()
    is_json = start[:1] in (b"{", b"[") and start[1:].lstrip()[:1] in (b'"', b"{", b"[")
    is_protobuf = len(content) > 64 and content[:1] == b"\x0a" and b"service.name" in content[:4096]
    return is_json or is_protobuf


def _try_inflating(head: bytes, wbits: int) -> bytes:
    try:
        return zlib.decompressobj(wbits=wbits).decompress(head[:PIECE_BYTES], 1 << 16)
    except zlib.error:
        return b""


_ZSTD = Compression(
    "zstd",
    lambda head: head[:4] == ZSTD_MAGIC or head[:4] in _SKIPPABLE,
    _zstd,
    _zstd_pieces,
)

COMPRESSIONS = (
    Compression(
        "gzip",
        lambda head: head[:2] == b"\x1f\x8b",
        lambda: zlib.decompressobj(wbits=31),
        _zlib_pieces,
    ),
    _ZSTD,
    Compression(
        "bzip2",
        lambda head: head[:3] == b"BZh" and head[4:10] == b"1AY&SY",
        bz2.BZ2Decompressor,
        _standard_pieces,
    ),
    Compression(
        "xz",
        lambda head: head[:6] == b"\xfd7zXZ\0",
        lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_LZMA_BYTES),
        _standard_pieces,
    ),
    Compression("zlib", _is_zlib, lambda: zlib.decompressobj(wbits=15), _zlib_pieces),
    Compression("deflate", _is_deflate, lambda: zlib.decompressobj(wbits=-15), _zlib_pieces),
)
